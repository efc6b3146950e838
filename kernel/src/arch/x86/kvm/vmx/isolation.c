// SPDX-License-Identifier: GPL-2.0-only
/* What a window of address-space isolation touches beside common KVM: Intel. */
#include "../isolation/isolation.h"
#include "vmx.h"
#include "x86_ops.h"

/**
 * vmx_isolation_objects() - map what may have changed since the last KVM_RUN
 * @vcpu: kvm_isolation.lock of its VM is held
 *
 * The VMCS and EPT are the CPU's, which uses their physical addresses.
 */
void vmx_isolation_objects(struct kvm_vcpu *vcpu)
{
	struct vcpu_vmx *vmx = to_vmx(vcpu);

	kvm_isolation_object(vcpu, 0, vmx->vmcs01.msr_bitmap, PAGE_SIZE);
	kvm_isolation_object(vcpu, 1, vmx->nested.vmcs02.msr_bitmap, PAGE_SIZE);
	if (IS_ENABLED(CONFIG_CPU_MITIGATIONS))
		kvm_isolation_object(vcpu, 2, vmx_l1d_flush_pages, PAGE_SIZE << L1D_CACHE_ORDER);
}

/* Of a MOV from a control register, see serve_cr_read(). */
static enum kvm_isolation_exit exit_of_cr(struct kvm_vcpu *vcpu, u32 *operand)
{
	unsigned long qual = vmx_get_exit_qual(vcpu);

	/* SDM vol. 3, "Exit Qualification for Control-Register Accesses": bits 5:4 */
	if ((qual >> 4 & 3) != 1)
		return KVM_ISOLATION_EXIT_OTHER;
	*operand = (qual & 15) | (qual >> 8 & 15) << 8;
	return KVM_ISOLATION_EXIT_CR_READ;
}

static enum kvm_isolation_exit exit_of_exception(struct kvm_vcpu *vcpu)
{
	u32 info = vmx_get_intr_info(vcpu);

	return is_nmi(info) || is_machine_check(info) ? KVM_ISOLATION_EXIT_INTERRUPT :
							KVM_ISOLATION_EXIT_OTHER;
}

/**
 * vmx_isolation_exit() - what was the guest left for?
 * @vcpu: in a window
 * @operand: see serve_cr_read()
 */
enum kvm_isolation_exit vmx_isolation_exit(struct kvm_vcpu *vcpu, u32 *operand)
{
	switch (vmx_get_exit_reason(vcpu).basic) {
	case EXIT_REASON_EXTERNAL_INTERRUPT:
		return KVM_ISOLATION_EXIT_INTERRUPT;
	case EXIT_REASON_EXCEPTION_NMI:
		return exit_of_exception(vcpu);
	}

	/* Bus locks the VMM is told of with the exit. */
	if (vmx_get_exit_reason(vcpu).failed_vmentry ||
	    vmx_get_exit_reason(vcpu).bus_lock_detected)
		return KVM_ISOLATION_EXIT_OTHER;
	if (is_guest_mode(vcpu))
		return KVM_ISOLATION_EXIT_NESTED;

	switch (vmx_get_exit_reason(vcpu).basic) {
	case EXIT_REASON_HLT:
		return KVM_ISOLATION_EXIT_HLT;
	case EXIT_REASON_EPT_VIOLATION:
	case EXIT_REASON_EPT_MISCONFIG:
	case EXIT_REASON_PML_FULL:
		return KVM_ISOLATION_EXIT_MEMORY;
	case EXIT_REASON_IO_INSTRUCTION:
		return KVM_ISOLATION_EXIT_IO;
	case EXIT_REASON_INTERRUPT_WINDOW:
		return KVM_ISOLATION_EXIT_WINDOW;
	case EXIT_REASON_PREEMPTION_TIMER:
		return KVM_ISOLATION_EXIT_TIMER;
	case EXIT_REASON_CPUID:
		return KVM_ISOLATION_EXIT_CPUID;
	case EXIT_REASON_MSR_READ:
		return KVM_ISOLATION_EXIT_RDMSR;
	case EXIT_REASON_MSR_WRITE:
		return KVM_ISOLATION_EXIT_WRMSR;
	case EXIT_REASON_CR_ACCESS:
		return exit_of_cr(vcpu, operand);
	case EXIT_REASON_PAUSE_INSTRUCTION:
		return KVM_ISOLATION_EXIT_PAUSE;
	default:
		return KVM_ISOLATION_EXIT_OTHER;
	}
}

/**
 * vmx_isolation_close_irq_window() - no exit any more when the guest takes interrupts
 * @vcpu: which has just left the guest for it
 */
void vmx_isolation_close_irq_window(struct kvm_vcpu *vcpu)
{
	exec_controls_clearbit(to_vmx(vcpu), CPU_BASED_INTR_WINDOW_EXITING);
}
