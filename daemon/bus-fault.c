// SPDX-License-Identifier: GPL-2.0-or-later
/* Errors as they travel. */
#include <stdarg.h>

#include <linux/kvm_vmi.h>

#include "bus-fault.h"
#include "../bpf/intf.h"

int bus_fault(sd_bus_error *reterr, enum merlon_error error, const char *format, ...)
{
	char message[1024];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(message, sizeof(message), format, ap);
	va_end(ap);
	return sd_bus_error_set(reterr, merlon_error_name(error), message);
}

int bus_fault_errno(sd_bus_error *reterr, int r, const char *what)
{
	switch (r) {
	case -ESRCH:
		return bus_fault(reterr, MERLON_E_VM_GONE, "%s failed: this VM ended", what);
	case -EIO:
		return bus_fault(reterr, MERLON_E_VM_GONE, "%s failed: this VM is dead", what);
	case -EOPNOTSUPP:
	case -ENOSYS:
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "%s failed: this kernel or VM does not support it", what);
	case -ENOSPC:
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "%s failed: more than %u rules in a VM or %u on a frame", what,
				 KVM_VMI_MAX_RULES, KVM_VMI_MAX_OWNERS);
	case -ENOBUFS:
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "%s failed: more than %u rules learn, of all VMs together", what,
				 MERLON_MAX_VERDICTS);
	case -ERANGE:
		return bus_fault(reterr, MERLON_E_INVALID_RULE,
				 "%s failed: beyond the guest's physical addresses", what);
	case -ETIMEDOUT:
		return bus_fault(reterr, MERLON_E_TIMEOUT, "%s took too long", what);
	case -ENOMEM:
		return bus_fault(reterr, MERLON_E_KERNEL_ERROR, "%s failed: out of memory", what);
	default:
		return bus_fault(reterr, MERLON_E_KERNEL_ERROR, "%s failed: %s", what,
				 strerror(-r));
	}
}

int bus_fault_parse(sd_bus_error *reterr, int r, const char *message)
{
	enum merlon_error error;

	switch (r) {
	case -EINVAL:
		error = MERLON_E_INVALID_RULE;
		break;
	case -EOPNOTSUPP:
		error = MERLON_E_NOT_SUPPORTED;
		break;
	case -E2BIG:
		error = MERLON_E_LIMITS_EXCEEDED;
		break;
	default:
		return r;
	}
	return bus_fault(reterr, error, "%s", message ? message : "");
}
