// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: who may execute a page, and whether it may be read.
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

/* Does the CPU execute what cannot be read? */
bool kvm_vmi_exec_only __read_mostly;
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_exec_only);

/* The rights that can be taken away on this host: KVM_VMI_CAP_READ, _EXEC, _EXEC_USER, ... */
u64 kvm_vmi_rights_features(void)
{
	u64 features;

	if (!tdp_enabled)
		return 0;
	features = KVM_VMI_CAP_EXEC;
	if (READ_ONCE(kvm_vmi_splits_exec))
		features |= shadow_nx_mask ? KVM_VMI_CAP_EXEC_USER :
					     KVM_VMI_CAP_EXEC_USER | KVM_VMI_CAP_EXEC_KERNEL;
	if (kvm_vmi_maps_exec_only())
		features |= KVM_VMI_CAP_READ;
	return features;
}

/* Does this CPU keep a guest from what these KVM_VMI_RIGHT_* deny? */
bool kvm_vmi_can_enforce(u32 rights)
{
	u64 features = kvm_vmi_rights_features();

	if (!(rights & KVM_VMI_RIGHT_READ) && !(features & KVM_VMI_CAP_READ))
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
	if (!(rights & KVM_VMI_RIGHT_READ))
		access &= ~ACC_READ_MASK;
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
	if (likely(rights == KVM_VMI_RIGHT_ALL) || !tdp_enabled)
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

/**
 * kvm_vmi_fault_right - the right that a fault needs
 * @vcpu: the vCPU, its own thread
 * @fault: no write
 */
u32 kvm_vmi_fault_right(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault)
{
	return fault->exec ? kvm_vmi_fetch_right(vcpu, fault->user) : KVM_VMI_RIGHT_READ;
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
	    kvm_vmi_lets(vmi, fault->gfn, right))
		return true;
	state->right = right;
	state->fetch_user = fault->user;
	return false;
}

/*
 * Ask about a fetch: of the rule and the rights that the vCPU's state names.  What is allowed
 * is open for a second, unless rules have changed since.
 * Return: %KVM_VMI_ALLOW, %KVM_VMI_DENY, or %KVM_VMI_KILL: the VM is dead already
 */
static u32 kvm_vmi_ask_fetch(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v, bool user)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	unsigned int what = 0;
	u32 verdict;

	/* As the CPU decides, if it does. */
	if (mmu_has_mbec(vcpu->arch.mmu)) {
		v->flags &= ~KVM_VMI_V_USER;
		if (user)
			v->flags |= KVM_VMI_V_USER;
	}
	if (!is_paging(vcpu))
		v->flags |= KVM_VMI_V_NO_PAGING;
	if (state->right & KVM_VMI_RIGHT_EXEC_KERNEL)
		what |= KVM_VMI_OPEN_KERNEL;
	if (state->right & KVM_VMI_RIGHT_EXEC_USER)
		what |= KVM_VMI_OPEN_USER;
	verdict = kvm_vmi_raise(vcpu, v, &state->speaker);
	if (verdict == KVM_VMI_ALLOW &&
	    kvm_vmi_open_fetch(vcpu->kvm->arch.vmi, gpa_to_gfn(v->gpa), what,
			       state->speaker.changes) == -ENOMEM)
		verdict = KVM_VMI_DENY;
	return verdict;
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
	struct kvm_vmi_violation v;

	if (kvm_vmi_lets(vmi, gpa_to_gfn(state->gpa), state->right) ||
	    kvm_vmi_must_wait(vcpu))
		return 1;

	kvm_vmi_describe(vcpu, &v, KVM_VMI_FETCH, state->gpa);
	if (state->gva_valid) {
		v.gva = state->gva;
		v.flags |= KVM_VMI_V_GVA;
	}
	/* What is allowed the guest tries again. */
	if (kvm_vmi_ask_fetch(vcpu, &v, state->fetch_user) == KVM_VMI_DENY)
		kvm_vmi_deny(vcpu);
	return 1;
}

/* Would the CPU count it as user mode's?  What the guest's page tables let be fetched. */
static bool kvm_vmi_fetches_as_user(struct kvm_vcpu *vcpu, gva_t gva)
{
	struct kvm_pagewalk *walk = &vcpu->arch.gva_walk;
	bool cpl3 = kvm_x86_call(get_cpl)(vcpu) == 3;
	struct x86_exception exception;

	if (cpl3 || shadow_nx_mask || !mmu_has_mbec(vcpu->arch.mmu))
		return cpl3;
	if (!is_paging(vcpu))
		return true;
	/* Then it is none, or the guest's tables have changed since. */
	if (kvm_is_cr4_bit_set(vcpu, X86_CR4_SMEP))
		return false;
	return walk->gva_to_gpa(vcpu, walk, gva, PFERR_USER_MASK | PFERR_FETCH_MASK,
				&exception) != INVALID_GPA;
}

/*
 * Each rule of a frame may be granted by itself, and rules may change while a program is asked;
 * not for ever, before the guest has its #GP.  Only those of aliases can be more.
 */
#define KVM_VMI_FETCH_TRIES	(KVM_VMI_NR_LAYERS * KVM_VMI_MAX_OWNERS)

/*
 * Mostly the CPU has fetched what is emulated.  Not if it could not walk the guest's tables,
 * which it cannot do where they are protected from writes; nor in real mode without
 * unrestricted guest.  An attacker must not have KVM execute what the CPU may not.
 *
 * An answer may end another vCPU's step, which is tried again, as an instruction cannot wait
 * for it here.
 */
bool __kvm_vmi_refuses_fetch(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa,
			     struct x86_exception *exception)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	gfn_t gfn = gpa_to_gfn(gpa);
	struct kvm_vmi_violation v;
	u8 right, was = state->right;
	unsigned int i;
	u32 verdict;
	bool user;

	if ((kvm_vmi_in_run(vmi, &state->code, gfn, gfn) ||
	     kvm_vmi_find_run(vmi, gfn, &state->code)) &&
	    !(~state->code.rights & KVM_VMI_RIGHT_EXEC))
		return false;
	if (!tdp_enabled || state->fetches == KVM_VMI_FETCHES_TO_SKIP ||
	    kvm_vmi_lets(vmi, gfn, KVM_VMI_RIGHT_EXEC))
		return false;
	user = kvm_vmi_fetches_as_user(vcpu, gva);
	right = kvm_vmi_fetch_right(vcpu, user);
	for (i = 0; ; i++) {
		if (kvm_vmi_lets(vmi, gfn, right) ||
		    !kvm_vmi_look_right(vmi, gfn, right, KVM_VMI_ACTION_FETCH, &state->speaker))
			return false;
		/* Without memory there is nothing to ask about. */
		if (state->fetches == KVM_VMI_FETCHES_TO_LOOK || i == KVM_VMI_FETCH_TRIES ||
		    kvm_is_error_hva(kvm_vcpu_gfn_to_hva_prot(vcpu, gfn, NULL)))
			break;
		kvm_vmi_describe(vcpu, &v, KVM_VMI_FETCH, gpa);
		v.gva = gva;
		v.flags |= KVM_VMI_V_GVA | KVM_VMI_V_EMULATED;
		state->right = right;
		verdict = kvm_vmi_ask_fetch(vcpu, &v, user);
		state->right = was;
		if (verdict != KVM_VMI_ALLOW)
			break;
	}
	/* As kvm_vmi_deny() has it; who emulates may make of it what it does of such a fault. */
	*exception = (struct x86_exception){ .vector = GP_VECTOR, .error_code_valid = true };
	return true;
}
