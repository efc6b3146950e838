// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exits that are settled within the window, beside those that KVM's fastpath knows.
 *
 * Interrupts and preemption are off, and no SRCU is held.  So what stands in the table
 * neither sleeps nor takes mmu_lock, nor reads guest memory, nor calls a BPF program; all
 * else goes to the ordinary handlers, behind the window.  A handler that finds that it
 * cannot returns EXIT_FASTPATH_NONE and has changed nothing.
 */
#include "internal.h"
#include "../cpuid.h"
#include "../hyperv.h"
#include "../lapic.h"
#include "../msrs.h"
#include "../pmu.h"
#include "../trace.h"
#include "../vmi/vmi.h"
#include "../x86.h"

static fastpath_t go_on(int r)
{
	return r ? EXIT_FASTPATH_REENTER_GUEST : EXIT_FASTPATH_EXIT_USERSPACE;
}

static fastpath_t serve_cpuid(struct kvm_vcpu *vcpu, u32 unused)
{
	return go_on(kvm_emulate_cpuid(vcpu));
}

/* What is in the vCPU, or in the page of its APIC. */
static bool is_plain_msr(struct kvm_vcpu *vcpu, u32 msr)
{
	switch (msr) {
	case APIC_BASE_MSR ... APIC_BASE_MSR + 0xff:
		return lapic_in_kernel(vcpu);
	case MSR_IA32_TSC:
	case MSR_IA32_APICBASE:
	case MSR_IA32_TSC_ADJUST:
	case MSR_IA32_TSC_DEADLINE:
	case MSR_IA32_MISC_ENABLE:
	case MSR_IA32_UCODE_REV:
	case MSR_IA32_ARCH_CAPABILITIES:
	case MSR_PLATFORM_INFO:
	case MSR_EFER:
		return true;
	default:
		return false;
	}
}

static fastpath_t serve_rdmsr(struct kvm_vcpu *vcpu, u32 unused)
{
	u32 msr = kvm_ecx_read(vcpu);
	u64 data;

	/* What the VMM filters is not mapped. */
	if (!is_plain_msr(vcpu, msr) || rcu_access_pointer(vcpu->kvm->arch.msr_filter) ||
	    kvm_msr_read(vcpu, msr, &data))
		return EXIT_FASTPATH_NONE;

	trace_kvm_msr_read(msr, data);
	kvm_eax_write(vcpu, data);
	kvm_edx_write(vcpu, data >> 32);
	return go_on(kvm_skip_emulated_instruction(vcpu));
}

static int highest_in_service(struct kvm_lapic *apic)
{
	int i;

	/* Eight registers of 32 vectors, 16 bytes apart. */
	for (i = 7; i >= 0; i--) {
		u32 bits = kvm_lapic_get_reg(apic, APIC_ISR + i * 0x10);

		if (bits)
			return i * 32 + __fls(bits);
	}
	return -1;
}

/* Would anybody but the local APIC have to know of an EOI? */
static bool is_local_eoi(struct kvm_vcpu *vcpu)
{
	int vector = highest_in_service(vcpu->arch.apic);

	return vector < 0 || (!test_bit(vector, vcpu->arch.ioapic_handled_vectors) &&
			      !kvm_hv_synic_has_vector(vcpu, vector));
}

static fastpath_t serve_wrmsr(struct kvm_vcpu *vcpu, u32 unused)
{
	u32 msr = kvm_ecx_read(vcpu);
	u64 data = kvm_read_edx_eax(vcpu);

	if (!lapic_in_kernel(vcpu) || !apic_x2apic_mode(vcpu->arch.apic))
		return EXIT_FASTPATH_NONE;

	switch (msr) {
	case APIC_BASE_MSR + (APIC_TASKPRI >> 4):
		break;
	case APIC_BASE_MSR + (APIC_EOI >> 4):
		if (!is_local_eoi(vcpu))
			return EXIT_FASTPATH_NONE;
		break;
	default:
		return EXIT_FASTPATH_NONE;
	}
	/* It refuses before it changes anything. */
	if (kvm_x2apic_msr_write(vcpu, msr, data))
		return EXIT_FASTPATH_NONE;

	trace_kvm_msr_write(msr, data);
	return go_on(kvm_skip_emulated_instruction(vcpu));
}

/* @operand: the control register, and from bit 8 on the general one. */
static fastpath_t serve_cr_read(struct kvm_vcpu *vcpu, u32 operand)
{
	unsigned int cr = operand & 0xff, reg = operand >> 8;
	unsigned long value;

	if (cr == 3)
		value = kvm_read_cr3(vcpu);
	else if (cr == 8)
		value = kvm_get_cr8(vcpu);
	else
		return EXIT_FASTPATH_NONE;

	kvm_register_write(vcpu, reg, value);
	trace_kvm_cr_read(cr, value);
	return go_on(kvm_skip_emulated_instruction(vcpu));
}

static fastpath_t serve_pause(struct kvm_vcpu *vcpu, u32 unused)
{
	/* Another vCPU might be given this one's time, by the scheduler. */
	if (atomic_read(&vcpu->kvm->online_vcpus) > 1)
		return EXIT_FASTPATH_NONE;
	return go_on(kvm_skip_emulated_instruction(vcpu));
}

/* What waits to be injected is looked at behind the window, as ever. */
static fastpath_t serve_irq_window(struct kvm_vcpu *vcpu, u32 unused)
{
	kvm_make_request(KVM_REQ_EVENT, vcpu);
	kvm_x86_call(isolation_close_irq_window)(vcpu);
	++vcpu->stat.irq_window_exits;
	return EXIT_FASTPATH_REENTER_GUEST;
}

static fastpath_t (*const served[KVM_ISOLATION_NR_EXITS])(struct kvm_vcpu *vcpu, u32 operand) = {
	[KVM_ISOLATION_EXIT_WINDOW] = serve_irq_window,
	[KVM_ISOLATION_EXIT_CPUID] = serve_cpuid,
	[KVM_ISOLATION_EXIT_RDMSR] = serve_rdmsr,
	[KVM_ISOLATION_EXIT_WRMSR] = serve_wrmsr,
	[KVM_ISOLATION_EXIT_CR_READ] = serve_cr_read,
	[KVM_ISOLATION_EXIT_PAUSE] = serve_pause,
};

/* Settled, and not by someone behind the window. */
static bool is_settled(enum kvm_isolation_exit exit, fastpath_t fastpath)
{
	return fastpath == EXIT_FASTPATH_REENTER_GUEST ||
	       /* Of HLT, the vCPU blocks. */
	       (fastpath == EXIT_FASTPATH_EXIT_HANDLED && exit != KVM_ISOLATION_EXIT_HLT);
}

static fastpath_t serve(struct kvm_vcpu *vcpu, fastpath_t fastpath)
{
	struct kvm_isolation_counters *c = &vcpu->arch.isolation.counters;
	enum kvm_isolation_exit exit;
	u32 operand = 0;

	if (!__kvm_isolation_in_window())
		return fastpath;

	exit = kvm_x86_call(isolation_exit)(vcpu, &operand);
	vcpu->arch.isolation.exit = exit;
	if (fastpath == EXIT_FASTPATH_NONE && served[exit] && !isolation_was_left() &&
	    kvm_pmu_is_fastpath_emulation_allowed(vcpu) && !kvm_vmi_is_stepping(vcpu))
		fastpath = served[exit](vcpu, operand);

	if (is_settled(exit, fastpath) && !isolation_was_left())
		c->inside[exit]++;
	else
		c->outside[exit]++;
	/*
	 * Not back to the guest from the full table: siblings wait for this thread, and what it
	 * has loaded is to be flushed.  The next entry has a window again.
	 */
	if (fastpath == EXIT_FASTPATH_REENTER_GUEST && isolation_was_left())
		return EXIT_FASTPATH_EXIT_HANDLED;
	return fastpath;
}

fastpath_t __kvm_isolation_serve(struct kvm_vcpu *vcpu, fastpath_t fastpath)
{
	fastpath = serve(vcpu, fastpath);
	if (fastpath != EXIT_FASTPATH_REENTER_GUEST)
		__kvm_isolation_leave(vcpu);
	return fastpath;
}
