// SPDX-License-Identifier: GPL-2.0-only
/* What a window of address-space isolation touches beside common KVM: AMD. */
#include "../isolation/isolation.h"
#include "svm.h"

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
