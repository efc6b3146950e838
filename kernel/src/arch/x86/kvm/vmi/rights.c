// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: who may execute a page.
 *
 * What can be said depends on the CPU.  Intel's EPT has one execute bit, or with
 * mode-based execute control (SDM vol. 3, 30.3.2) one for supervisor-mode and one for
 * user-mode linear addresses: what the guest's page tables say of the address, not the
 * privilege level.  AMD's nested page tables have NX, and with guest mode execute trap
 * (APM vol. 2, 15.25.14) the U bit denies fetches below CPL 3: by privilege level.
 *
 * A fetch that is not let through cannot be emulated, and its page would be left again by
 * the next instruction: so a page of which one fetch is allowed is open for a second.
 */
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "vmi/internal.h"
#include "x86.h"

#define KVM_VMI_RIGHT_EXEC	(KVM_VMI_RIGHT_EXEC_KERNEL | KVM_VMI_RIGHT_EXEC_USER)

/* Does the CPU tell fetches of a guest's user mode from those of its kernel? */
bool kvm_vmi_splits_exec __read_mostly;
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_splits_exec);

/* What can be said about execution on this host: KVM_VMI_CAP_EXEC, _EXEC_USER, _EXEC_KERNEL. */
u64 kvm_vmi_exec_features(void)
{
	u64 features;

	if (!tdp_enabled)
		return 0;
	features = KVM_VMI_CAP_EXEC;
	if (READ_ONCE(kvm_vmi_splits_exec))
		features |= shadow_nx_mask ? KVM_VMI_CAP_EXEC_USER :
					     KVM_VMI_CAP_EXEC_USER | KVM_VMI_CAP_EXEC_KERNEL;
	return features;
}

/* Does this CPU keep a guest from what these KVM_VMI_RIGHT_* deny? */
bool kvm_vmi_can_enforce(u32 rights)
{
	u64 features = kvm_vmi_exec_features();

	if (!(rights & KVM_VMI_RIGHT_READ))
		return false;
	switch (rights & KVM_VMI_RIGHT_EXEC) {
	case KVM_VMI_RIGHT_EXEC:
		return true;
	case KVM_VMI_RIGHT_EXEC_USER:
		return features & KVM_VMI_CAP_EXEC_USER;
	case KVM_VMI_RIGHT_EXEC_KERNEL:
		return features & KVM_VMI_CAP_EXEC_KERNEL;
	default:
		return features & KVM_VMI_CAP_EXEC;
	}
}

/*
 * With EPT.  A root of L1's for its L2 may be used without mode-based control, although L1
 * has it: then the bit for user mode counts for nothing, so what is not allowed to both is
 * allowed to none.
 */
static unsigned int kvm_vmi_restrict_ept(union kvm_mmu_page_role role, u32 rights,
					 unsigned int access)
{
	if (!role.cr4_smep && (rights & KVM_VMI_RIGHT_EXEC) != KVM_VMI_RIGHT_EXEC)
		rights &= ~KVM_VMI_RIGHT_EXEC;
	if (!(rights & KVM_VMI_RIGHT_EXEC_KERNEL))
		access &= ~ACC_EXEC_MASK;
	if (!(rights & KVM_VMI_RIGHT_EXEC_USER))
		access &= ~ACC_USER_EXEC_MASK;
	return access;
}

/* With NPT.  The same of guest mode execute trap, which takes the U bit to be set. */
static unsigned int kvm_vmi_restrict_npt(union kvm_mmu_page_role role, u32 rights,
					 unsigned int access)
{
	switch (rights & KVM_VMI_RIGHT_EXEC) {
	case KVM_VMI_RIGHT_EXEC:
		return access;
	case KVM_VMI_RIGHT_EXEC_USER:
		if (role.cr4_smep)
			return access | ACC_USER_MASK;
		fallthrough;
	default:
		return access & ~ACC_EXEC_MASK;
	}
}

/**
 * kvm_vmi_restrict_rights - the access of an SPTE, as far as rights let it
 * @role: of the page table
 * @rights: of its frame, KVM_VMI_RIGHT_*
 * @access: ACC_*
 */
unsigned int kvm_vmi_restrict_rights(union kvm_mmu_page_role role, u32 rights,
				     unsigned int access)
{
	if (likely((rights & KVM_VMI_RIGHT_EXEC) == KVM_VMI_RIGHT_EXEC) || !tdp_enabled)
		return access;
	return shadow_nx_mask ? kvm_vmi_restrict_npt(role, rights, access) :
				kvm_vmi_restrict_ept(role, rights, access);
}

/*
 * The right that a fetch needs.  Where the CPU does not tell user from kernel, both; and
 * what AMD's CPUs execute in kernel mode they execute in user mode.
 */
static u32 kvm_vmi_fetch_right(struct kvm_vcpu *vcpu, bool user)
{
	if (!mmu_has_mbec(vcpu->arch.mmu))
		return KVM_VMI_RIGHT_EXEC;
	if (user)
		return KVM_VMI_RIGHT_EXEC_USER;
	return shadow_nx_mask ? KVM_VMI_RIGHT_EXEC : KVM_VMI_RIGHT_EXEC_KERNEL;
}

/* All that it takes for this fetch is permitted, or open. */
static bool kvm_vmi_lets_fetch(struct kvm_vmi *vmi, gfn_t gfn, u32 right)
{
	return !(~kvm_vmi_access(vmi, gfn).rights & right);
}

/**
 * kvm_vmi_may_fetch - may it be mapped as it is asked for?
 * @vcpu: the vCPU, its own thread
 * @fault: a fetch
 *
 * Return: false if it is a violation, which is noted
 */
bool kvm_vmi_may_fetch(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault)
{
	u32 right = kvm_vmi_fetch_right(vcpu, fault->user);
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	if (!kvm_vmi_look_right(vmi, fault->gfn, right, KVM_VMI_ACTION_FETCH,
				&state->speaker) ||
	    kvm_vmi_lets_fetch(vmi, fault->gfn, right))
		return true;
	state->fetch = right;
	state->fetch_user = fault->user;
	return false;
}

/**
 * kvm_vmi_handle_fetch - settle a fetch that kvm_vmi_may_fetch() has found forbidden
 * @vcpu: the vCPU, its state filled by kvm_vmi_handle_fault()
 *
 * RIP is there already, or its instruction reaches in from the page before: denying it is
 * a fault of that instruction.
 * Return: 1, the guest goes on
 */
int kvm_vmi_handle_fetch(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	gfn_t gfn = gpa_to_gfn(state->gpa);
	struct kvm_vmi_violation v;

	if (kvm_vmi_lets_fetch(vmi, gfn, state->fetch) || kvm_vmi_must_wait(vcpu))
		return 1;

	kvm_vmi_describe(vcpu, &v, KVM_VMI_FETCH, state->gpa);
	/* As the CPU has decided, if it does. */
	if (mmu_has_mbec(vcpu->arch.mmu)) {
		v.flags &= ~KVM_VMI_V_USER;
		if (state->fetch_user)
			v.flags |= KVM_VMI_V_USER;
	}
	if (!is_paging(vcpu))
		v.flags |= KVM_VMI_V_NO_PAGING;
	if (state->gva_valid) {
		v.gva = state->gva;
		v.flags |= KVM_VMI_V_GVA;
	}
	switch (kvm_vmi_raise(vcpu, &v, &state->speaker)) {
	case KVM_VMI_ALLOW:
		/* After a change the guest tries again. */
		if (kvm_vmi_open_fetch(vmi, gfn,
				       (state->fetch & KVM_VMI_RIGHT_EXEC_KERNEL ?
					KVM_VMI_OPEN_KERNEL : 0) |
				       (state->fetch & KVM_VMI_RIGHT_EXEC_USER ?
					KVM_VMI_OPEN_USER : 0), state->speaker.changes) == -ENOMEM)
			kvm_vmi_deny(vcpu);
		break;
	case KVM_VMI_DENY:
		kvm_vmi_deny(vcpu);
		break;
	}
	return 1;
}
