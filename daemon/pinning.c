// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules that pin bits of a guest's registers, in the kernel. */
#include "bus-fault.h"
#include "log.h"
#include "pinning.h"
#include "util/util.h"

int pinning_check(const struct manager *m, const struct rule *rule, sd_bus_error *reterr)
{
	if (m->caps.features & KVM_VMI_CAP_PIN)
		return 0;
	return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
			 "Rule '%s': this kernel (interface %u) cannot pin bits of registers; "
			 "merlon probe tells what it can", rule->name, m->caps.abi);
}

int pinning_set(struct kernel *k, const struct vm *vm, uint32_t id, const struct rule *rule)
{
	const struct kvm_vmi_pin pin = {
		.cr0 = rule->pin[MERLON_REGISTER_CR0],
		.cr4 = rule->pin[MERLON_REGISTER_CR4],
		.efer = rule->pin[MERLON_REGISTER_EFER],
		.rule = id,
	};

	return k->ops->set_pin(k, vm->info.id, &pin);
}

bool pinning_is_whole(const struct vm *vm, const struct vm_rule *rule)
{
	return vm->info.flags & KVM_VMI_VM_DEAD ||
	       memcmp(rule->rule.pin, rule->pinned, sizeof(rule->pinned)) == 0;
}

static int read_pins(struct kernel *k, const struct vm *vm, struct vm_rule *rule)
{
	struct kvm_vmi_pin pin;
	int r;

	r = k->ops->get_pin(k, vm->info.id, rule->id, &pin);
	if (r < 0)
		return r;
	rule->pinned[MERLON_REGISTER_CR0] = pin.cr0;
	rule->pinned[MERLON_REGISTER_CR4] = pin.cr4;
	rule->pinned[MERLON_REGISTER_EFER] = pin.efer;
	return 0;
}

static int reconcile(struct kernel *k, const struct vm *vm, struct vm_rule *rule)
{
	int r = read_pins(k, vm, rule);

	if (r < 0)
		return r;
	if (rule->orphan) {
		memcpy(rule->rule.pin, rule->pinned, sizeof(rule->pinned));
		return 0;
	}
	if (pinning_is_whole(vm, rule))
		return 0;
	log_warning("VM #%llu: rule '%s' does not pin what it is to; it is set again.",
		    (unsigned long long)vm->info.id, rule->rule.name);
	r = pinning_set(k, vm, rule->id, &rule->rule);
	return r < 0 ? r : read_pins(k, vm, rule);
}

void pinning_reconcile(struct manager *m, const struct vm *vm, struct vm_rule *rule)
{
	int r;

	/* Whether a rule of ours pins, we know. */
	if (!(m->caps.features & KVM_VMI_CAP_PIN) || !(rule->orphan || rule_pins(&rule->rule)))
		return;
	r = reconcile(m->kernel, vm, rule);
	/* One that ends just now, or is dead, pins nothing more. */
	if (r < 0 && r != -ENOENT && r != -ESRCH && r != -EIO)
		log_warning_errno(r, "VM #%llu: what rule #%u pins is not known, ignoring: %m",
				  (unsigned long long)vm->info.id, rule->id);
}
