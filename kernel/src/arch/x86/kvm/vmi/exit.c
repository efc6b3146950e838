// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: accesses that are left to the VMM, and what was
 * answered about the accesses of an instruction.
 *
 * An exit leaves nothing behind but its description: no lock, no event under way, no
 * register changed.  The next KVM_RUN takes the answer, if the vCPU and the map are
 * still as they were, before anything of the guest runs; allowing means to execute the
 * instruction again in the emulator, which asks anew for whatever was not answered.
 */
#include "kvm_emulate.h"
#include "mmu.h"
#include "regs.h"
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

static_assert(KVM_SUBPAGE_EXIT_GVA == KVM_VMI_V_GVA);
static_assert(KVM_SUBPAGE_EXIT_USER == KVM_VMI_V_USER);
static_assert(KVM_SUBPAGE_EXIT_NESTED == KVM_VMI_V_NESTED);
static_assert(KVM_SUBPAGE_EXIT_VECTORING == KVM_VMI_V_VECTORING);
static_assert(KVM_SUBPAGE_EXIT_EMULATED == KVM_VMI_V_EMULATED);
static_assert(KVM_SUBPAGE_EXIT_OWN == KVM_VMI_V_VMM);
static_assert(sizeof(struct kvm_subpage_exit) == 40);
static_assert(sizeof_field(struct kvm_run, subpage) <= sizeof_field(struct kvm_run, padding));

#define KVM_VMI_EXIT_FLAGS	(KVM_VMI_V_GVA | KVM_VMI_V_USER | KVM_VMI_V_NESTED | \
				 KVM_VMI_V_EMULATED | KVM_VMI_V_VMM)

/* In &kvm_vmi_exit.regs, behind the general ones. */
#define KVM_VMI_EXIT_RIP	16

/* The VMM kills a VM by not running it. */
#define KVM_VMI_EXIT_ANSWERS	(BIT(KVM_VMI_DENY) | BIT(KVM_VMI_ALLOW) | BIT(KVM_VMI_SKIP))

/**
 * kvm_vmi_answer - an access of this instruction was let through
 * @vcpu: the vCPU
 * @s: by this rule, or although it says otherwise
 * @kind: %KVM_VMI_WRITE, _READ, or _WALK: the CPU's page walk
 * @gpa: first denied byte that was asked about
 * @denied: sub-pages of that frame that were asked about
 *
 * Kept until the emulator is done with the instruction.
 */
void kvm_vmi_answer(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s, u32 kind,
		    gpa_t gpa, u32 denied)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	state->answer[state->nr_answers++ % KVM_VMI_MAX_ANSWERS] = (struct kvm_vmi_answer){
		.gpa = gpa,
		.rip = kvm_rip_read(vcpu),
		.rcx = kvm_register_read_raw(vcpu, VCPU_REGS_RCX),
		.rule = s->rule,
		.denied = denied,
		.layer = s->layer,
		.changes = s->changes,
		.kind = kind,
	};
}

/*
 * Has this rule, as it is now, let through the store (%KVM_VMI_WRITE) or load (_READ) of this
 * instruction, or of this turn of it, at @gpa, of these sub-pages?  The CPU's fault tells the
 * first one only.
 */
bool kvm_vmi_answered(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s, u32 kind,
		      gpa_t gpa, u32 denied)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	unsigned int i, nr = min(state->nr_answers, KVM_VMI_MAX_ANSWERS);

	for (i = 0; i < nr; i++) {
		const struct kvm_vmi_answer *a = &state->answer[i];

		if (a->rule == s->rule && a->layer == s->layer && a->changes == s->changes &&
		    a->kind == kind && (kind == KVM_VMI_WALK ||
					(a->gpa == gpa && !(denied & ~a->denied))) &&
		    a->rip == kvm_rip_read(vcpu) &&
		    a->rcx == kvm_register_read_raw(vcpu, VCPU_REGS_RCX))
			return true;
	}
	return false;
}

/* Has it let through the page walk that the vCPU is emulated for? */
bool kvm_vmi_walk_answered(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s)
{
	return vcpu->arch.vmi.emulating && kvm_vmi_answered(vcpu, s, KVM_VMI_WALK, 0, 0);
}

/**
 * kvm_vmi_may_exit - can this violation be left to the VMM?
 * @vcpu: the vCPU
 * @v: from kvm_vmi_describe()
 *
 * Not while an event is being delivered, which would have to be taken back.  Not once
 * the emulator has reached a device: the instruction could not be executed again.  Nor
 * what KVM began to emulate, or does, for another reason than a fault of the map.
 */
bool kvm_vmi_may_exit(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v)
{
	const struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;

	if (!READ_ONCE(vcpu->kvm->arch.vmi->exits) || v->flags & KVM_VMI_V_VECTORING)
		return false;

	switch (v->kind) {
	case KVM_VMI_WRITE:
	case KVM_VMI_WALK:
		/* The CPU's fault: nothing has been executed. */
		if (!(v->flags & KVM_VMI_V_EMULATED))
			return true;
		break;
	case KVM_VMI_UNEMULATABLE:
		break;
	default:
		return false;
	}
	return state->emulating && !state->once && !vcpu->mmio_needed &&
	       !vcpu->arch.emulate_ctxt->io_read.end;
}

/* What the VMM may have changed before it answers. */
static void kvm_vmi_snapshot(struct kvm_vcpu *vcpu, u64 *regs)
{
	unsigned int i;

	for (i = 0; i < 16; i++)
		*regs++ = kvm_register_read_raw(vcpu, i);
	*regs++ = kvm_rip_read(vcpu);
	*regs++ = kvm_get_rflags(vcpu);
	*regs++ = kvm_read_cr0(vcpu);
	*regs++ = kvm_read_cr3(vcpu);
	*regs++ = kvm_read_cr4(vcpu);
	*regs++ = kvm_x86_call(get_segment_base)(vcpu, VCPU_SREG_CS);
	*regs = vcpu->arch.efer | (u64)is_guest_mode(vcpu) << 63 | (u64)is_smm(vcpu) << 62;
}

/**
 * kvm_vmi_prepare_exit - note what the VMM is to be told
 * @vcpu: the vCPU
 * @v: raised, kvm_vmi_may_exit()
 * @s: the rule that speaks
 */
void kvm_vmi_prepare_exit(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v,
			  const struct kvm_vmi_speaker *s)
{
	struct kvm_vmi_exit *x = &vcpu->arch.vmi.exit;

	/* What is answered is about this instruction: it may be another in memory by then. */
	if (!WARN_ON_ONCE(v->insn_len > sizeof(x->insn)))
		memcpy(x->insn, vcpu->arch.emulate_ctxt->fetch.data, v->insn_len);
	x->info = (struct kvm_subpage_exit){
		.gpa = v->gpa,
		.gva = v->flags & KVM_VMI_V_GVA ? v->gva : 0,
		.kind = v->kind,
		.flags = v->flags & KVM_VMI_EXIT_FLAGS,
		.length = v->length,
		.insn_len = v->insn_len,
		.legal = v->legal & KVM_VMI_EXIT_ANSWERS,
	};
	x->changes = s->changes;
	x->seq = v->seq;
	x->rule = s->rule;
	x->legal = v->legal & ~BIT(KVM_VMI_EXIT);
	x->layer = s->layer;
	x->dflt = s->dflt;
}

/*
 * The VMM has changed what the answer was about, or has an event delivered first, or
 * the map is another: then the access is tried again, and asked about if need be.
 */
static bool kvm_vmi_lapsed(struct kvm_vcpu *vcpu)
{
	const struct kvm_vmi_exit *x = &vcpu->arch.vmi.exit;
	u64 regs[KVM_VMI_EXIT_REGS];

	kvm_vmi_snapshot(vcpu, regs);
	return memcmp(regs, x->regs, sizeof(regs)) || kvm_event_needs_reinjection(vcpu) ||
	       kvm_is_exception_pending(vcpu) ||
	       READ_ONCE(vcpu->kvm->arch.vmi->changes) != x->changes;
}

/* What to do: the VMM's answer, or the rule's default where that is none. */
static u32 kvm_vmi_take_answer(struct kvm_vcpu *vcpu, u32 answer)
{
	struct kvm_vmi_exit *x = &vcpu->arch.vmi.exit;
	const struct kvm_vmi_speaker s = { .rule = x->rule, .layer = x->layer };
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	u32 counters = 0, insn_len, verdict = answer;

	if (answer != KVM_VMI_DEFAULT &&
	    (answer >= KVM_VMI_NR_VERDICTS || !(x->info.legal & BIT(answer)))) {
		if (x->layer == KVM_VMI_LAYER_DAEMON)
			atomic64_inc(&vmi->bad_verdicts);
		counters |= BIT(KVM_VMI_COUNT_BAD_VERDICTS);
		verdict = KVM_VMI_DEFAULT;
	}
	/* The guest may have changed the instruction. */
	if (verdict == KVM_VMI_SKIP && !kvm_vmi_decode(vcpu, &insn_len))
		verdict = KVM_VMI_DEFAULT;
	if (verdict == KVM_VMI_DEFAULT)
		verdict = x->dflt;
	if (!(x->legal & BIT(verdict)))
		verdict = kvm_vmi_open_page(vmi, gpa_to_gfn(x->info.gpa), KVM_VMI_OPEN_WRITE,
					    x->legal, x->layer);

	kvm_vmi_count(vmi, &s, counters | kvm_vmi_outcome(verdict));
	trace_kvm_vmi_answer(vmi->id, x->seq, vcpu->vcpu_id, x->layer, answer, verdict);
	return verdict;
}

/* The access may be carried out, as far as this rule is concerned. */
static int kvm_vmi_execute_again(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_vmi *state = &vcpu->arch.vmi;
	const struct kvm_vmi_exit *x = &state->exit;
	struct kvm_vmi_speaker s = {
		.rule = x->rule,
		.layer = x->layer,
		.changes = x->changes,
	};
	unsigned int len = x->info.insn_len;
	u8 insn[sizeof(x->insn)];

	/* What comes of it may be another exit. */
	memcpy(insn, x->insn, sizeof(insn));
	if (x->info.kind == KVM_VMI_UNEMULATABLE) {
		state->right = 0;
		kvm_vmi_grant_step(vcpu, &s);
		return kvm_vmi_unemulatable_from(vcpu, x->info.gpa, x->layer + 1, true);
	}

	state->pending = 0;
	state->denied = false;
	state->refused = false;
	state->again = true;
	kvm_vmi_answer(vcpu, &s, x->info.kind, x->info.gpa, x->denied);
	if (!(x->info.flags & KVM_SUBPAGE_EXIT_EMULATED) &&
	    kvm_vmi_next_speaker(vcpu, x->layer, &s))
		return kvm_vmi_settle(vcpu, &s, insn, len);
	return kvm_vmi_emulate(vcpu, insn, len);
}

static int kvm_vmi_complete_exit(struct kvm_vcpu *vcpu)
{
	const struct kvm_vmi_exit *x = &vcpu->arch.vmi.exit;
	u32 verdict = READ_ONCE(vcpu->run->subpage.verdict);

	/* An emulator that has raised an exception has ended it. */
	if (x->shadow && kvm_rip_read(vcpu) == x->regs[KVM_VMI_EXIT_RIP])
		kvm_x86_call(set_interrupt_shadow)(vcpu, x->shadow);
	if (kvm_vmi_lapsed(vcpu)) {
		trace_kvm_vmi_answer(vcpu->kvm->arch.vmi->id, x->seq, vcpu->vcpu_id, x->layer,
				     verdict, KVM_VMI_DEFAULT);
		kvm_vmi_end_emulation(vcpu);
		return 1;
	}

	verdict = kvm_vmi_take_answer(vcpu, verdict);
	if (verdict == KVM_VMI_ALLOW)
		return kvm_vmi_execute_again(vcpu);

	kvm_vmi_end_emulation(vcpu);
	switch (verdict) {
	case KVM_VMI_SKIP:
		return kvm_vmi_skip(vcpu);
	case KVM_VMI_DENY:
		kvm_vmi_deny(vcpu);
		return 1;
	case KVM_VMI_KILL:
		kvm_vmi_kill(vcpu->kvm);
		return 1;
	default:
		return 1;
	}
}

/**
 * kvm_vmi_leave - leave to the VMM with what kvm_vmi_prepare_exit() has noted
 * @vcpu: the vCPU, its registers as at the beginning of the instruction
 *
 * Return: 0, as for KVM_RUN
 */
int kvm_vmi_leave(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_exit *x = &vcpu->arch.vmi.exit;

	kvm_vmi_snapshot(vcpu, x->regs);
	x->shadow = kvm_x86_call(get_interrupt_shadow)(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_SUBPAGE;
	vcpu->run->subpage = x->info;
	vcpu->arch.complete_userspace_io = kvm_vmi_complete_exit;
	return 0;
}
