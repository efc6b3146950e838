// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: who checks writes to parts of a frame.
 *
 * One policy, two engines.  The software engine works everywhere and is the
 * reference; Intel's sub-page write permissions only spare exits.  A VM's engine
 * can be chosen until it is first protected, then it stays.
 */
#include "mmu.h"
#include "mmu/spte.h"
#include "vmi/internal.h"
#include "vmi/trace.h"

/**
 * kvm_vmi_has_hardware - can the CPU check sub-pages, and is it to?
 * @kvm: a VM, or NULL for any
 *
 * kvm_intel sees to it that it never does without PML: what the CPU lets
 * through by itself would be missing from the dirty log.
 */
bool kvm_vmi_has_hardware(struct kvm *kvm)
{
	return shadow_spp_mask && (!kvm || kvm->arch.cpu_dirty_log_size);
}

/**
 * kvm_vmi_engine - the engine in use, or that would be if the VM were protected
 * @vmi: the VM
 */
u32 kvm_vmi_engine(struct kvm_vmi *vmi)
{
	if (READ_ONCE(vmi->engine_fixed))
		return READ_ONCE(vmi->sppt) ? KVM_VMI_ENGINE_HARDWARE : KVM_VMI_ENGINE_SOFTWARE;
	return READ_ONCE(vmi->engine) != KVM_VMI_ENGINE_SOFTWARE &&
	       kvm_vmi_has_hardware(vmi->kvm) ?
	       KVM_VMI_ENGINE_HARDWARE : KVM_VMI_ENGINE_SOFTWARE;
}

/**
 * kvm_vmi_set_engine - choose the engine of a VM
 * @kvm: the VM, referenced
 * @engine: &enum kvm_vmi_engine
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP (no such hardware, or not to be used), -EBUSY
 * (it has been protected already), -EINTR
 */
int kvm_vmi_set_engine(struct kvm *kvm, u32 engine)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	int r = 0;

	if (engine >= KVM_VMI_NR_ENGINES)
		return -EINVAL;
	if (engine == KVM_VMI_ENGINE_HARDWARE && !kvm_vmi_has_hardware(kvm))
		return -EOPNOTSUPP;

	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	if (vmi->engine_fixed)
		r = -EBUSY;
	else
		WRITE_ONCE(vmi->engine, engine);
	mutex_unlock(&vmi->lock);
	return r;
}

/**
 * kvm_vmi_fix_engine - the VM is about to be protected
 * @vmi: the VM, locked
 *
 * Return: 0 or -ENOMEM; then its engine is still open
 */
int kvm_vmi_fix_engine(struct kvm_vmi *vmi)
{
	int r;

	lockdep_assert_held(&vmi->lock);
	if (vmi->engine_fixed)
		return 0;
	if (kvm_vmi_engine(vmi) == KVM_VMI_ENGINE_HARDWARE) {
		r = kvm_vmi_spp_begin(vmi);
		if (r)
			return r;
	}
	WRITE_ONCE(vmi->engine_fixed, true);
	trace_kvm_vmi_vm(vmi->id, KVM_VMI_VM_ENGINE, kvm_vmi_engine(vmi));
	return 0;
}
