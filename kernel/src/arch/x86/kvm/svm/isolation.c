// SPDX-License-Identifier: GPL-2.0-only
/* What a window of address-space isolation touches beside common KVM: AMD. */
#include "../isolation/isolation.h"
#include "svm.h"

/* EXITINFO1 of a MOV CRx has the number of the general register. */
#define CR_VALID	BIT_ULL(63)

/**
 * svm_isolation_objects() - map what may have changed since the last KVM_RUN
 * @vcpu: kvm_isolation.lock of its VM is held
 */
void svm_isolation_objects(struct kvm_vcpu *vcpu)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	kvm_isolation_object(vcpu, 0, svm->vmcb01.ptr, PAGE_SIZE);
	kvm_isolation_object(vcpu, 1, svm->nested.vmcb02.ptr, PAGE_SIZE);
	kvm_isolation_object(vcpu, 2, svm->msrpm, MSRPM_SIZE);
	kvm_isolation_object(vcpu, 3, svm->nested.msrpm, MSRPM_SIZE);
}

/* A MOV from CR0 + @cr, if the CPU tells where to (APM vol. 2, "MOV CRx/DRx Decode Assists"). */
static enum kvm_isolation_exit exit_of_cr(struct vcpu_svm *svm, unsigned int cr, u32 *operand)
{
	if (!cpu_feature_enabled(X86_FEATURE_DECODEASSISTS) ||
	    !(svm->vmcb->control.exit_info_1 & CR_VALID))
		return KVM_ISOLATION_EXIT_OTHER;
	*operand = cr | (svm->vmcb->control.exit_info_1 & SVM_EXITINFO_REG_MASK) << 8;
	return KVM_ISOLATION_EXIT_CR_READ;
}

/* As for KVM's fastpath: what follows the instruction must be known without decoding. */
static bool is_length_known(struct vcpu_svm *svm)
{
	return nrips && svm->vmcb->control.next_rip;
}

/**
 * svm_isolation_exit() - what was the guest left for?
 * @vcpu: in a window
 * @operand: see serve_cr_read()
 */
enum kvm_isolation_exit svm_isolation_exit(struct kvm_vcpu *vcpu, u32 *operand)
{
	struct vcpu_svm *svm = to_svm(vcpu);

	switch (svm->vmcb->control.exit_code) {
	case SVM_EXIT_INTR:
	case SVM_EXIT_NMI:
	case SVM_EXIT_SMI:
	case SVM_EXIT_EXCP_BASE + MC_VECTOR:
		return KVM_ISOLATION_EXIT_INTERRUPT;
	}

	if (is_guest_mode(vcpu))
		return KVM_ISOLATION_EXIT_NESTED;

	switch (svm->vmcb->control.exit_code) {
	case SVM_EXIT_HLT:
		return KVM_ISOLATION_EXIT_HLT;
	case SVM_EXIT_NPF:
		return KVM_ISOLATION_EXIT_MEMORY;
	case SVM_EXIT_IOIO:
		return KVM_ISOLATION_EXIT_IO;
	case SVM_EXIT_VINTR:
		return KVM_ISOLATION_EXIT_WINDOW;
	}

	if (!is_length_known(svm))
		return KVM_ISOLATION_EXIT_OTHER;

	switch (svm->vmcb->control.exit_code) {
	case SVM_EXIT_CPUID:
		return KVM_ISOLATION_EXIT_CPUID;
	case SVM_EXIT_MSR:
		return svm->vmcb->control.exit_info_1 ? KVM_ISOLATION_EXIT_WRMSR :
							KVM_ISOLATION_EXIT_RDMSR;
	case SVM_EXIT_READ_CR3:
		return exit_of_cr(svm, 3, operand);
	case SVM_EXIT_READ_CR8:
		return exit_of_cr(svm, 8, operand);
	case SVM_EXIT_PAUSE:
		return KVM_ISOLATION_EXIT_PAUSE;
	default:
		return KVM_ISOLATION_EXIT_OTHER;
	}
}

/**
 * svm_isolation_close_irq_window() - no exit any more when the guest takes interrupts
 * @vcpu: which has just left the guest for it
 */
void svm_isolation_close_irq_window(struct kvm_vcpu *vcpu)
{
	svm_clear_vintr(to_svm(vcpu));
}
