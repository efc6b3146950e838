// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: pages that may not be read.
 *
 * What a guest executes need not be readable for it, where the CPU has execute-only pages
 * (Intel's EPT, SDM vol. 3, 30.3.2).  What an instruction reads is checked, by the CPU or
 * by KVM's emulator in its place.  Not checked is what the CPU reads of page tables, and
 * what KVM reads to carry out an instruction without the emulator.
 */
#include "kvm_emulate.h"
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/internal.h"
#include "x86.h"

/**
 * kvm_vmi_may_read - may it be mapped as it is asked for?
 * @vcpu: the vCPU, its own thread
 * @fault: neither a write nor a fetch
 *
 * Return: false if it is a violation, which is noted
 */
bool kvm_vmi_may_read(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	if (likely(kvm_vmi_lets(vmi, fault->gfn, KVM_VMI_RIGHT_READ)) ||
	    !kvm_vmi_look_right(vmi, fault->gfn, KVM_VMI_RIGHT_READ, KVM_VMI_ACTION_READ,
				&state->speaker))
		return true;
	state->right = KVM_VMI_RIGHT_READ;
	return false;
}

/**
 * kvm_vmi_handle_read - settle a read that kvm_vmi_may_read() has found forbidden
 * @vcpu: the vCPU, its state filled by kvm_vmi_handle_fault()
 * @insn: as for kvm_vmi_emulate()
 * @insn_len: likewise
 *
 * A page walk without EPT's accessed bits is one: KVM's own walker reads what it likes.
 * Return: 1 to go on, 0 to leave to the VMM, -errno
 */
int kvm_vmi_handle_read(struct kvm_vcpu *vcpu, void *insn, int insn_len)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	/* Decoding fetches, which looks up another. */
	struct kvm_vmi_speaker s = state->speaker;
	struct kvm_vmi_violation v;

	if (kvm_vmi_lets(vcpu->kvm->arch.vmi, gpa_to_gfn(state->gpa), KVM_VMI_RIGHT_READ) ||
	    kvm_vmi_must_wait(vcpu))
		return 1;
	if (state->walk)
		return kvm_vmi_emulate(vcpu, insn, insn_len);

	kvm_vmi_describe(vcpu, &v, KVM_VMI_READ, state->gpa);
	if (state->gva_valid) {
		v.gva = state->gva;
		v.flags |= KVM_VMI_V_GVA;
	}
	kvm_vmi_find_tag(vcpu, &v, false);
	switch (kvm_vmi_raise(vcpu, &v, &s)) {
	case KVM_VMI_ALLOW:
		kvm_vmi_answer(vcpu, &s, KVM_VMI_READ, state->gpa,
			       kvm_vmi_subpages(offset_in_page(state->gpa), 1));
		return kvm_vmi_emulate(vcpu, insn, insn_len);
	case KVM_VMI_DENY:
		kvm_vmi_deny(vcpu);
		return 1;
	default:
		return 1;
	}
}

/**
 * kvm_vmi_unreadable - KVM cannot carry out a read of a page of the map
 * @vcpu: the vCPU
 * @gpa: where
 *
 * Nor can the CPU alone: it would have to be told what it may read of the page.
 * Return: 1, the guest goes on with what was decided
 */
int kvm_vmi_unreadable(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_violation v;
	struct kvm_vmi_speaker s;

	/* Without a rule it is tried again. */
	if (!kvm_vmi_look_right(vmi, gpa_to_gfn(gpa), KVM_VMI_RIGHT_READ, KVM_VMI_ACTION_READ,
				&s))
		return 1;
	kvm_vmi_describe(vcpu, &v, KVM_VMI_UNEMULATABLE, gpa);
	v.legal = BIT(KVM_VMI_DENY) | BIT(KVM_VMI_KILL);
	switch (kvm_vmi_raise(vcpu, &v, &s)) {
	case KVM_VMI_OPENED:
	case KVM_VMI_KILL:
		break;
	default:
		kvm_vmi_deny(vcpu);
	}
	return 1;
}

/* Rules may change while a program is asked; not for ever, before the guest has its #GP. */
#define KVM_VMI_READ_TRIES	16

/*
 * The emulator has read bytes of one page, and has not used them yet.  Looking at the map
 * after that leaves no time in which a right could go.
 */
bool __kvm_vmi_refuses_read(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa, unsigned int bytes,
			    struct x86_exception *exception)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	gfn_t gfn = gpa_to_gfn(gpa);
	u32 denied = kvm_vmi_subpages(offset_in_page(gpa), bytes), verdict;
	struct kvm_vmi_violation v;
	struct kvm_vmi_speaker s;
	unsigned int i;

	/* Not to be overtaken by what follows. */
	smp_rmb();
	if (kvm_vmi_in_run(vmi, &state->data, gfn, gfn) ||
	    kvm_vmi_find_run(vmi, gfn, &state->data))
		return false;
	for (i = 0; ; i++) {
		if (kvm_vmi_lets(vmi, gfn, KVM_VMI_RIGHT_READ) ||
		    !kvm_vmi_look_right(vmi, gfn, KVM_VMI_RIGHT_READ, KVM_VMI_ACTION_READ, &s) ||
		    kvm_vmi_answered(vcpu, &s, KVM_VMI_READ, gpa, denied))
			return false;
		if (i == KVM_VMI_READ_TRIES)
			break;
		kvm_vmi_describe(vcpu, &v, KVM_VMI_READ, gpa);
		v.gva = gva;
		v.length = bytes;
		v.flags |= KVM_VMI_V_GVA | KVM_VMI_V_EMULATED;
		if (state->emulating)
			kvm_vmi_find_tag(vcpu, &v, true);
		verdict = kvm_vmi_raise(vcpu, &v, &s);
		if (verdict == KVM_VMI_ALLOW)
			kvm_vmi_answer(vcpu, &s, KVM_VMI_READ, gpa, denied);
		else if (verdict != KVM_VMI_OPENED)
			break;
	}
	/* For a task switch, of which nothing else tells. */
	state->denied = true;
	/* Not every reader wants to know. */
	if (exception)
		*exception = (struct x86_exception){
			.vector = GP_VECTOR,
			.error_code_valid = true,
		};
	return true;
}
