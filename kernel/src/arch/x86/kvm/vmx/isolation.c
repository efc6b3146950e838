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
	kvm_isolation_object(vcpu, 2, vmx_l1d_flush_pages, PAGE_SIZE << L1D_CACHE_ORDER);
}
