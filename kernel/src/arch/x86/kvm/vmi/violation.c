// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: from a forbidden access to what becomes of
 * it.
 *
 * A violation is raised before anything is mapped, so nothing loops.  The rule
 * that speaks has an action; a program may choose another legal verdict.
 */
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

/**
 * kvm_vmi_subpages - the sub-pages that bytes of a page touch
 * @offset: first byte within the page
 * @len: bytes, at least 1; what lies beyond the page is ignored
 */
u32 kvm_vmi_subpages(unsigned int offset, unsigned int len)
{
	unsigned int last = min_t(unsigned int, offset + len, PAGE_SIZE) - 1;

	return GENMASK(last >> KVM_VMI_SUBPAGE_SHIFT, offset >> KVM_VMI_SUBPAGE_SHIFT);
}

/**
 * kvm_vmi_describe - begin a violation
 * @vcpu: the vCPU, loaded
 * @v: filled but for gva, tag, length, insn_len
 * @kind: &enum kvm_vmi_kind
 * @gpa: L1 address
 */
void kvm_vmi_describe(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v, u32 kind, gpa_t gpa)
{
	memset(v, 0, sizeof(*v));
	v->kind = kind;
	v->gpa = gpa;
	v->rip = kvm_rip_read(vcpu);
	v->cr3 = kvm_read_cr3(vcpu);
	v->vcpu_id = vcpu->vcpu_id;
	if (kvm_x86_call(get_cpl)(vcpu) == 3)
		v->flags |= KVM_VMI_V_USER;
	if (is_guest_mode(vcpu))
		v->flags |= KVM_VMI_V_NESTED;
	if (kvm_event_needs_reinjection(vcpu))
		v->flags |= KVM_VMI_V_VECTORING;
}

/*
 * What may be answered.  Allowing means emulating or, where that is not possible
 * (event delivery is never), having the CPU do it alone.
 */
static u32 kvm_vmi_legal(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v)
{
	u32 legal = BIT(KVM_VMI_DENY) | BIT(KVM_VMI_KILL);

	/* A register is loaded, or is not. */
	if (v->kind == KVM_VMI_CR || v->kind == KVM_VMI_EFER)
		return legal | BIT(KVM_VMI_ALLOW) | BIT(KVM_VMI_SKIP);
	if (kvm_vmi_may_exit(vcpu, v))
		legal |= BIT(KVM_VMI_EXIT);
	/* The delivery of an event that reads a page can only be had with it open. */
	if (v->kind == KVM_VMI_READ && v->flags & KVM_VMI_V_VECTORING)
		return legal;
	if ((v->flags & KVM_VMI_V_VECTORING && v->kind != KVM_VMI_FETCH) ||
	    v->kind == KVM_VMI_UNEMULATABLE)
		return kvm_vmi_can_step(vcpu, v->gpa) ? legal | BIT(KVM_VMI_ALLOW) : legal;
	legal |= BIT(KVM_VMI_ALLOW);
	if (v->kind == KVM_VMI_WRITE && !(v->flags & KVM_VMI_V_NESTED))
		legal |= BIT(KVM_VMI_SKIP);
	return legal;
}

/* The counters of an access that ended so. */
u32 kvm_vmi_outcome(u32 verdict)
{
	switch (verdict) {
	case KVM_VMI_ALLOW:
		return BIT(KVM_VMI_COUNT_ALLOWED);
	case KVM_VMI_SKIP:
		return BIT(KVM_VMI_COUNT_SKIPPED);
	case KVM_VMI_OPENED:
		return BIT(KVM_VMI_COUNT_OPENED);
	case KVM_VMI_EXIT:
		/* It has not ended. */
		return 0;
	default:
		return BIT(KVM_VMI_COUNT_DENIED);
	}
}

/**
 * kvm_vmi_raise - report a violation and decide
 * @vcpu: the vCPU, its own thread; kvm->srcu held and nothing else
 * @v: from kvm_vmi_describe()
 * @s: the rule that speaks
 *
 * Programs are asked about the rules they can see: not about those of the VMM.
 * Return: %KVM_VMI_DENY, _ALLOW (as far as this layer is concerned), _SKIP, _KILL (the
 * VM is dead already), _EXIT (kvm_vmi_leave() is prepared), or %KVM_VMI_OPENED (the
 * page is open for a second: let the CPU try again)
 */
u32 kvm_vmi_raise(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v,
		  const struct kvm_vmi_speaker *s)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	u32 answer = KVM_VMI_DEFAULT, counters = BIT(KVM_VMI_COUNT_VIOLATIONS), verdict;
	bool read = v->kind == KVM_VMI_READ ||
		    (v->kind == KVM_VMI_UNEMULATABLE &&
		     vcpu->arch.vmi.right == KVM_VMI_RIGHT_READ);
	unsigned int what = read ? KVM_VMI_OPEN_READ : KVM_VMI_OPEN_WRITE;

	v->seq = atomic64_inc_return(&vmi->violations[s->layer]);
	if (s->layer == KVM_VMI_LAYER_VMM)
		v->flags |= KVM_VMI_V_VMM;
	v->rule = s->rule;
	v->cookie = s->cookie;
	if (!v->legal)
		v->legal = kvm_vmi_legal(vcpu, v);
	else
		v->legal &= kvm_vmi_legal(vcpu, v);

	/* The rule's own word: its action, and its default where that cannot be done. */
	verdict = s->action;
	if (v->kind == KVM_VMI_KVM && verdict != KVM_VMI_ALLOW && verdict != KVM_VMI_KILL)
		verdict = KVM_VMI_DENY;
	if (!(v->legal & BIT(verdict)) && verdict != KVM_VMI_ALLOW)
		verdict = s->dflt;
	v->action = verdict;
	if (s->flags & KVM_VMI_RULE_MONITOR)
		v->flags |= KVM_VMI_V_MONITOR;

	if (v->kind == KVM_VMI_UNEMULATABLE)
		counters |= BIT(KVM_VMI_COUNT_UNEMULATABLE);

	/* What KVM does by itself is decided by the rule alone. */
	if (v->kind == KVM_VMI_KVM)
		counters |= BIT(KVM_VMI_COUNT_KVM_WRITES);
	else if (s->layer == KVM_VMI_LAYER_DAEMON)
		answer = kvm_vmi_ask(vcpu, v);
	if (answer != KVM_VMI_DEFAULT &&
	    (answer >= KVM_VMI_NR_VERDICTS || !(v->legal & BIT(answer)))) {
		v->flags |= KVM_VMI_V_BAD_VERDICT;
		atomic64_inc(&vmi->bad_verdicts);
		counters |= BIT(KVM_VMI_COUNT_BAD_VERDICTS);
		answer = KVM_VMI_DEFAULT;
	}
	if (answer != KVM_VMI_DEFAULT && !(s->flags & KVM_VMI_RULE_MONITOR))
		verdict = answer;

	/* Skipping takes the decoder; what it does not know cannot be skipped. */
	if ((verdict == KVM_VMI_SKIP || verdict == KVM_VMI_EXIT) &&
	    v->kind != KVM_VMI_UNEMULATABLE && v->kind != KVM_VMI_CR &&
	    v->kind != KVM_VMI_EFER && !(v->flags & KVM_VMI_V_EMULATED) &&
	    !kvm_vmi_decode(vcpu, &v->insn_len)) {
		v->legal &= ~BIT(KVM_VMI_SKIP);
		counters |= BIT(KVM_VMI_COUNT_UNEMULATABLE);
		if (verdict == KVM_VMI_SKIP)
			verdict = s->dflt;
	}

	/* Only a rule can ask for what KVM cannot emulate: its page opens instead. */
	if (!(v->legal & BIT(verdict)))
		verdict = kvm_vmi_open_page(vmi, gpa_to_gfn(v->gpa), what, v->legal, s->layer);

	kvm_vmi_count(vmi, s, counters | kvm_vmi_outcome(verdict));
	trace_kvm_vmi_violation(vcpu->kvm, vmi->id, v, verdict);

	if (verdict == KVM_VMI_KILL)
		kvm_vmi_kill(vcpu->kvm);
	else if (verdict == KVM_VMI_EXIT)
		kvm_vmi_prepare_exit(vcpu, v, s);
	return verdict;
}

/**
 * kvm_vmi_deny - the access does not happen, and the guest learns it
 * @vcpu: the vCPU
 *
 * #GP(0): after a #PF a guest kernel would find its page tables in order and try
 * for ever.  While an event is being delivered the CPU itself would raise #DF,
 * and shut down if that was a #DF (SDM vol. 3, "Interrupt 8 - Double Fault").
 */
void kvm_vmi_deny(struct kvm_vcpu *vcpu)
{
	bool df = vcpu->arch.exception.injected && vcpu->arch.exception.vector == DF_VECTOR;

	/* Should the guest try again, so does the CPU. */
	vcpu->arch.vmi.step.tries = 0;
	vcpu->arch.vmi.step.again = false;
	if (!kvm_event_needs_reinjection(vcpu)) {
		kvm_queue_exception_e(vcpu, GP_VECTOR, 0);
		return;
	}

	kvm_clear_exception_queue(vcpu);
	kvm_clear_interrupt_queue(vcpu);
	if (vcpu->arch.nmi_injected) {
		/* No IRET will come that unblocks the next one. */
		vcpu->arch.nmi_injected = false;
		kvm_x86_call(set_nmi_mask)(vcpu, false);
	}
	if (df)
		kvm_make_request(KVM_REQ_TRIPLE_FAULT, vcpu);
	else
		kvm_queue_exception_e(vcpu, DF_VECTOR, 0);
}

/**
 * kvm_vmi_unemulatable - KVM cannot carry out an access to a page of the map
 * @vcpu: the vCPU
 * @gpa: where
 * @insn: an instruction or the delivery of an event, not a task switch
 *
 * If nothing is known to be denied of it the CPU does it alone: what it may not write
 * is put back.  Else the strictest rule of the whole frame speaks, a layer at a time:
 * what is touched is not known.
 * Return: 1, the guest goes on with what was decided; 0 to leave to the VMM
 */
int kvm_vmi_unemulatable(struct kvm_vcpu *vcpu, gpa_t gpa, bool insn)
{
	if (vcpu->arch.vmi.right == KVM_VMI_RIGHT_READ)
		return kvm_vmi_unreadable(vcpu, gpa);

	if (insn && kvm_vmi_can_step(vcpu, gpa) && kvm_vmi_may_begin_step(vcpu, gpa) &&
	    kvm_vmi_step(vcpu, gpa))
		return 1;

	kvm_vmi_forget_grants(vcpu);
	return kvm_vmi_unemulatable_from(vcpu, gpa, 0, insn);
}

/* The same; the layers before this one have let it through. */
int kvm_vmi_unemulatable_from(struct kvm_vcpu *vcpu, gpa_t gpa, unsigned int layer, bool insn)
{
	bool can = insn && kvm_vmi_can_step(vcpu, gpa), asked = layer;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	u32 legal = BIT(KVM_VMI_NR_VERDICTS) - 1;
	struct kvm_vmi_violation v;
	struct kvm_vmi_speaker s;

	if (!can)
		legal &= ~BIT(KVM_VMI_ALLOW);

	for (; layer < KVM_VMI_NR_LAYERS; layer++) {
		kvm_vmi_look_layer(vmi, layer, gpa_to_gfn(gpa), KVM_VMI_WRITE_ALL, &s);
		if (!s.rule)
			continue;

		kvm_vmi_describe(vcpu, &v, KVM_VMI_UNEMULATABLE, gpa);
		v.legal = legal;
		switch (kvm_vmi_raise(vcpu, &v, &s)) {
		case KVM_VMI_ALLOW:
			/* Or the page would be open, were it not for another layer. */
			kvm_vmi_grant_step(vcpu, &s);
			asked = true;
			continue;
		case KVM_VMI_DENY:
			kvm_vmi_deny(vcpu);
			return 1;
		case KVM_VMI_EXIT:
			return kvm_vmi_leave(vcpu);
		case KVM_VMI_OPENED:
			/* In a second it may be stepped again. */
			vcpu->arch.vmi.step.tries = 0;
			return 1;
		default:
			return 1;
		}
	}

	/* If the rules have just gone, the CPU can do it now. */
	if (can && asked && !kvm_vmi_step(vcpu, gpa) &&
	    kvm_vmi_open_page(vmi, gpa_to_gfn(gpa), KVM_VMI_OPEN_WRITE,
			      BIT(KVM_VMI_DENY) | BIT(KVM_VMI_KILL),
			      KVM_VMI_NR_LAYERS - 1) != KVM_VMI_OPENED)
		kvm_vmi_deny(vcpu);
	return 1;
}

/* What may be written may be read. */
static bool kvm_vmi_run_lets(struct kvm_vcpu *vcpu, const struct kvm_vmi_run *run,
			     const struct kvm_page_fault *fault)
{
	return fault->write || run->rights == KVM_VMI_RIGHT_ALL ||
	       !(~run->rights & kvm_vmi_fault_right(vcpu, fault));
}

int __kvm_vmi_page_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	/* Writes to no memory, or to read-only memory, are the VMM's to see. */
	if (fault->rsvd || !fault->slot || fault->slot->flags & KVM_MEMSLOT_INVALID ||
	    (fault->slot->flags & KVM_MEM_READONLY && fault->write))
		return RET_PF_CONTINUE;
	if (unlikely(state->step.on) && !fault->prefetch) {
		if (kvm_vmi_step_fault(vcpu, fault))
			return RET_PF_CONTINUE;
		if (kvm_vmi_end_step(vcpu, KVM_VMI_STEP_FAULT))
			return RET_PF_RETRY;
	}
	/* Reads too make SPTEs that may be writable. */
	fault->vmi_run = &state->data;
	if (kvm_vmi_in_run(vmi, &state->data, fault->gfn, fault->gfn) &&
	    kvm_vmi_run_lets(vcpu, &state->data, fault))
		return RET_PF_CONTINUE;
	if (!fault->write) {
		/* For nobody yet it is mapped without that right. */
		if (fault->prefetch || (fault->exec ? kvm_vmi_may_fetch(vcpu, fault) :
						      kvm_vmi_may_read(vcpu, fault))) {
			kvm_vmi_find_run(vmi, fault->gfn, &state->data);
			return RET_PF_CONTINUE;
		}
		state->gpa = gfn_to_gpa(fault->gfn) | offset_in_page(fault->addr);
		state->error_code = fault->error_code;
		return RET_PF_VMI;
	}
	if (kvm_vmi_look(vmi, fault->gfn, kvm_vmi_subpages(offset_in_page(fault->addr), 1),
			 &state->speaker) == KVM_VMI_WRITE_ALL ||
	    kvm_vmi_opened(vmi, fault->gfn) & KVM_VMI_OPEN_WRITE) {
		kvm_vmi_find_run(vmi, fault->gfn, &state->data);
		return RET_PF_CONTINUE;
	}
	if (fault->prefetch)
		return RET_PF_WRITE_PROTECTED;
	state->right = 0;
	state->gpa = gfn_to_gpa(fault->gfn) | offset_in_page(fault->addr);
	state->error_code = fault->error_code;
	if (!state->speaker.rule && kvm_vmi_spp_can_check(vcpu, fault)) {
		fault->vmi_spp = true;
		return RET_PF_CONTINUE;
	}
	return RET_PF_VMI;
}

/**
 * kvm_vmi_emulate - carry out the access of a fault, as far as the map lets it
 * @vcpu: the vCPU, its state filled by kvm_vmi_handle_fault()
 * @insn: the instruction, if the CPU has told it
 * @insn_len: its bytes
 *
 * Return: 1 to go on, 0 to leave to the VMM, -errno
 */
int kvm_vmi_emulate(struct kvm_vcpu *vcpu, void *insn, int insn_len)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	int r;

	/* KVM's emulator cannot deliver events. */
	if (kvm_event_needs_reinjection(vcpu))
		return kvm_vmi_unemulatable(vcpu, state->gpa, true);

	state->fresh = true;
	state->emulating = true;
	r = x86_emulate_instruction(vcpu, state->cr2_or_gpa, EMULTYPE_PF, insn, insn_len);
	/* With 0 the instruction may go on once the VMM has served a device, or answered. */
	if (r)
		kvm_vmi_end_emulation(vcpu);
	return r;
}

/**
 * kvm_vmi_next_speaker - who is asked after a layer that lets a fault's access through
 * @vcpu: the vCPU, its state filled by kvm_vmi_handle_fault()
 * @layer: that layer
 * @ret: filled
 *
 * Return: false if no later layer denies the byte at which the access begins
 */
bool kvm_vmi_next_speaker(struct kvm_vcpu *vcpu, unsigned int layer,
			  struct kvm_vmi_speaker *ret)
{
	gpa_t gpa = vcpu->arch.vmi.gpa;

	while (++layer < KVM_VMI_NR_LAYERS) {
		kvm_vmi_look_layer(vcpu->kvm->arch.vmi, layer, gpa_to_gfn(gpa),
				   kvm_vmi_subpages(offset_in_page(gpa), 1), ret);
		if (ret->rule)
			return true;
	}
	return false;
}

/**
 * kvm_vmi_settle - ask about a fault, a layer at a time, and do what is answered
 * @vcpu: the vCPU, its state filled by kvm_vmi_handle_fault()
 * @first: the rule that speaks, of the first layer that was not asked
 * @insn: as for kvm_vmi_emulate()
 * @insn_len: likewise
 *
 * Return: 1 to go on, 0 to leave to the VMM, -errno
 */
int kvm_vmi_settle(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *first, void *insn,
		   int insn_len)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	u32 first_subpage = kvm_vmi_subpages(offset_in_page(state->gpa), 1);
	struct kvm_vmi_speaker s = *first;
	struct kvm_vmi_violation v;

	do {
		if (state->walk && s.flags & KVM_VMI_RULE_PAGE_TABLE)
			continue;

		kvm_vmi_describe(vcpu, &v, state->walk ? KVM_VMI_WALK : KVM_VMI_WRITE,
				 state->gpa);
		if (state->gva_valid) {
			v.gva = state->gva;
			v.flags |= KVM_VMI_V_GVA;
		}
		if (!state->walk)
			kvm_vmi_find_tag(vcpu, &v, false);

		state->exit.denied = first_subpage;
		switch (kvm_vmi_raise(vcpu, &v, &s)) {
		case KVM_VMI_ALLOW:
			kvm_vmi_answer(vcpu, &s, v.kind, state->gpa, first_subpage);
			break;
		case KVM_VMI_SKIP:
			return kvm_vmi_skip(vcpu);
		case KVM_VMI_DENY:
			kvm_vmi_deny(vcpu);
			return 1;
		case KVM_VMI_EXIT:
			return kvm_vmi_leave(vcpu);
		default:
			return 1;
		}
	} while (kvm_vmi_next_speaker(vcpu, s.layer, &s));

	return kvm_vmi_emulate(vcpu, insn, insn_len);
}

/* The linear address of a fault, if it can be known. */
static void kvm_vmi_find_gva(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	state->gva_valid = !vcpu->arch.mmu->root_role.direct && !is_guest_mode(vcpu);
	if (state->gva_valid)
		state->gva = cr2_or_gpa;
	else if (!state->walk)
		state->gva_valid = kvm_x86_call(get_fault_gva)(vcpu, (unsigned long *)&state->gva);
}

/**
 * kvm_vmi_handle_fault - settle a fault that kvm_vmi_page_fault() took over
 * @vcpu: the vCPU
 * @cr2_or_gpa: as for kvm_mmu_page_fault()
 * @insn: likewise
 * @insn_len: likewise
 *
 * Only where the access begins is known.  If that sub-page is denied, the rule
 * is asked right away, without decoding; else the emulator looks at each byte.  So it
 * does if only the VMM denies that sub-page, as a rule before it may deny a later byte.
 * Return: as kvm_mmu_page_fault(): 1 to go on, 0 to leave to the VMM, -errno
 */
int kvm_vmi_handle_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, void *insn, int insn_len)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	gfn_t gfn = gpa_to_gfn(state->gpa);
	struct kvm_vmi_speaker s = state->speaker;

	if (__kvm_vmi_begin_emulation(vcpu))
		return 1;
	state->walk = state->error_code & PFERR_GUEST_PAGE_MASK;
	state->cr2_or_gpa = cr2_or_gpa;

	if (state->right) {
		kvm_vmi_find_gva(vcpu, cr2_or_gpa);
		return state->right == KVM_VMI_RIGHT_READ ?
		       kvm_vmi_handle_read(vcpu, insn, insn_len) : kvm_vmi_handle_fetch(vcpu);
	}
	if (kvm_vmi_opened(vmi, gfn) & KVM_VMI_OPEN_WRITE || kvm_vmi_must_wait(vcpu))
		return 1;
	if (kvm_vmi_step_again(vcpu, state->gpa, state->walk) && kvm_vmi_step(vcpu, state->gpa))
		return 1;
	kvm_vmi_find_gva(vcpu, cr2_or_gpa);
	if (!s.rule || (s.layer != KVM_VMI_LAYER_DAEMON && !state->walk &&
			!kvm_event_needs_reinjection(vcpu) &&
			!mtree_empty(&vmi->layers[KVM_VMI_LAYER_DAEMON].map)))
		return kvm_vmi_emulate(vcpu, insn, insn_len);

	return kvm_vmi_settle(vcpu, &s, insn, insn_len);
}
