// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: what KVM cannot emulate, the CPU carries out
 * by itself, alone.
 *
 * Some stores to a frame with denied sub-pages KVM's emulator does not know, and it
 * delivers no events.  One vCPU of the VM at a time, the owner, may do them for
 * itself, with the frame writable: first all others are kept out of the guest and out
 * of stores of the emulator (gate.c).  The frame is copied, then made writable; exactly
 * one instruction runs, or one event is delivered; then the right is withdrawn, and
 * whatever denied byte has changed is put back and is a violation (aside.c).  Only then
 * the gate opens.
 *
 * The step ends with the first exit but a fault that makes the frame writable, with
 * KVM_RUN, and with a reset of the vCPU.  An instruction that did not get its turn
 * faults again, and is stepped again with all frames that are known by then: not for
 * ever, see KVM_VMI_STEP_TRIES.
 *
 * What a device, or KVM where a rule lets it, writes to the frame meanwhile cannot be
 * told from what the instruction writes.  The gate holds no reads: KVM and devices may see
 * what is put back later.
 */
#include <linux/highmem.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/page_track.h"
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

/*
 * Steps of one instruction that may come to nothing in a row, counted by what ended
 * them: the guest's doing, or maybe the host's.  What the VMM interrupts is not counted:
 * KVM_RUN returns.
 */
#define KVM_VMI_STEP_TRIES	1024
#define KVM_VMI_STEP_TRY_GUEST	32
#define KVM_VMI_STEP_TRY_HOST	1
/* Entries of one step: a fault for each frame, and some that must be taken again. */
#define KVM_VMI_STEP_ENTRIES	16

static_assert(KVM_VMI_STEP_TRIES + KVM_VMI_STEP_TRY_GUEST <= U16_MAX);
static_assert(KVM_VMI_STEP_ENTRIES <= U8_MAX);

/* Accessed and dirty bits of a guest's page table entries (SDM vol. 3, 4.5.4, 30.3.5). */
#define KVM_VMI_WALK_BITS	(PT_ACCESSED_MASK | PT_DIRTY_MASK)
#define KVM_VMI_WALK_BITS_EPT	(BIT_ULL(8) | BIT_ULL(9))

void kvm_vmi_step_init(struct kvm_vmi *vmi)
{
	init_waitqueue_head(&vmi->step.wq);
}

/* No vCPU is left. */
void kvm_vmi_step_destroy(struct kvm_vmi *vmi)
{
	kvfree(vmi->step.copy);
}

/**
 * kvm_vmi_can_step - could the CPU carry out alone what this vCPU has exited for?
 * @vcpu: the vCPU, its own thread
 * @gpa: what that has tried to write
 *
 * Not what has been tried often enough.
 */
bool kvm_vmi_can_step(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;

	if (st->tries >= KVM_VMI_STEP_TRIES && st->rip == kvm_rip_read(vcpu))
		return false;
	/* What is to be raised first could itself be what writes. */
	if (kvm_is_exception_pending(vcpu) || current->mm != vcpu->kvm->mm)
		return false;
	/* What is writable is readable: nobody could tell what it reads. */
	if (!kvm_vmi_lets(vcpu->kvm->arch.vmi, gpa_to_gfn(gpa), KVM_VMI_RIGHT_READ))
		return false;
	switch (kvm_x86_call(step_cap)(vcpu)) {
	case KVM_VMI_STEP_ALL:
		return true;
	case KVM_VMI_STEP_INSN:
		return !kvm_event_needs_reinjection(vcpu) && kvm_vmi_may_trap(vcpu);
	default:
		return false;
	}
}

/* ---- what it was granted ---- */

void kvm_vmi_forget_grants(struct kvm_vcpu *vcpu)
{
	memset(vcpu->arch.vmi.step.grant, 0, sizeof(vcpu->arch.vmi.step.grant));
}

/* This rule, asked about all of the frame, lets it be written. */
void kvm_vmi_grant_step(struct kvm_vcpu *vcpu, const struct kvm_vmi_speaker *s)
{
	vcpu->arch.vmi.step.grant[s->layer] = (struct kvm_vmi_grant){
		.changes = s->changes,
		.rule = s->rule,
		.denied = KVM_VMI_WRITE_ALL,
	};
}

/**
 * kvm_vmi_may_begin_step - is nothing known to be denied of what begins at @gpa?
 * @vcpu: the vCPU, its own thread
 * @gpa: where
 *
 * Its first byte may be written, or each layer has been asked about it and has let it
 * through: that sub-page is granted then, and no other.
 */
bool kvm_vmi_may_begin_step(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	u32 first = kvm_vmi_subpages(offset_in_page(gpa), 1);
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	bool walk = vcpu->arch.vmi.walk;
	struct kvm_vmi_speaker s;
	unsigned int l;

	kvm_vmi_forget_grants(vcpu);
	for (l = 0; l < KVM_VMI_NR_LAYERS; l++) {
		kvm_vmi_look_layer(vmi, l, gpa_to_gfn(gpa), first, &s);
		if (!s.rule || (walk && s.flags & KVM_VMI_RULE_PAGE_TABLE))
			continue;
		if (walk ? !kvm_vmi_walk_answered(vcpu, &s) :
			   !kvm_vmi_answered(vcpu, &s, KVM_VMI_WRITE, gpa, first))
			return false;
		kvm_vmi_grant_step(vcpu, &s);
		vcpu->arch.vmi.step.grant[l].denied = first;
		vcpu->arch.vmi.step.grant[l].walk = walk;
	}
	return true;
}

/* ---- the right ---- */

/* Is one of these frames writable for some vCPU's step?  mmu_lock or kvm_vmi.lock. */
bool kvm_vmi_is_stepped(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	const struct kvm_vmi_step *step = &vmi->step;
	unsigned int i, nr = READ_ONCE(step->nr);

	for (i = 0; i < nr; i++)
		if (first <= READ_ONCE(step->gfn[i]) && READ_ONCE(step->gfn[i]) <= last)
			return true;
	return false;
}

static int kvm_vmi_step_find(struct kvm_vmi_step *step, gfn_t gfn)
{
	unsigned int i;

	for (i = 0; i < step->nr; i++)
		if (step->gfn[i] == gfn)
			return i;
	return -1;
}

/**
 * kvm_vmi_step_may_write - may this vCPU's SPTE of a frame be writable for its step?
 * @vcpu: the vCPU
 * @gfn: the frame
 *
 * Only if it still is the page that was copied: of the same place of the VMM's
 * memory, which has not been invalidated since.
 * Context: mmu_lock, kvm->srcu
 */
bool kvm_vmi_step_may_write(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	int i;

	lockdep_assert_held(&vcpu->kvm->mmu_lock);
	if (!vcpu->arch.vmi.step.on)
		return false;
	i = kvm_vmi_step_find(step, gfn);
	return i >= 0 && step->hva[i] == kvm_vcpu_gfn_to_hva(vcpu, gfn) &&
	       !mmu_invalidate_retry_gfn(vcpu->kvm, step->seq, gfn);
}

/**
 * kvm_vmi_step_fault - is this fault to map a frame of the vCPU's step?
 * @vcpu: the vCPU, in a step
 * @fault: with gfn and slot filled in
 *
 * Return: false if the step must end before it is handled
 */
bool kvm_vmi_step_fault(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;

	/* Some instructions read first what they write. */
	if (kvm_vmi_step_find(step, fault->gfn) < 0 ||
	    kvm_gfn_is_write_tracked(vcpu->kvm, fault->slot, fault->gfn) ||
	    /* Has it become another page?  Looked at again with mmu_lock. */
	    READ_ONCE(vcpu->kvm->mmu_invalidate_seq) != step->seq)
		return false;
	if (vcpu->arch.vmi.step.faulted)
		kvm_x86_call(set_step)(vcpu, true);
	vcpu->arch.vmi.step.faulted = false;
	return true;
}

/* Make the frames writable for the owner.  False if killed. */
static bool kvm_vmi_step_grant(struct kvm_vcpu *vcpu)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	gfn_t first = U64_MAX, last = 0;
	unsigned int i;

	for (i = 0; i < st->nr; i++) {
		first = min(first, st->frame[i].gfn);
		last = max(last, st->frame[i].gfn);
	}

	if (mutex_lock_killable(&vmi->lock))
		return false;
	/* Else a huge page could become writable with this one frame's right. */
	kvm_vmi_bracket_start(vmi->kvm, first, last);
	for (i = 0; i < st->nr; i++)
		WRITE_ONCE(vmi->step.gfn[i], st->frame[i].gfn);
	WRITE_ONCE(vmi->step.nr, st->nr);
	for (i = 0; i < st->nr; i++)
		kvm_vmi_zap_run(vmi, st->frame[i].gfn, st->frame[i].gfn, false);
	kvm_vmi_bracket_end(vmi->kvm);
	mutex_unlock(&vmi->lock);
	return true;
}

/* On return no SPTE, and no TLB that is used again, lets the frames be written. */
static void kvm_vmi_step_withdraw(struct kvm_vmi *vmi)
{
	unsigned int i, nr = vmi->step.nr;
	gfn_t first = U64_MAX, last = 0;

	for (i = 0; i < nr; i++) {
		first = min(first, vmi->step.gfn[i]);
		last = max(last, vmi->step.gfn[i]);
	}

	mutex_lock(&vmi->lock);
	/* Else a huge page could be made of one that is still writable. */
	kvm_vmi_bracket_start(vmi->kvm, first, last);
	WRITE_ONCE(vmi->step.nr, 0);
	for (i = 0; i < nr; i++)
		kvm_vmi_zap_run(vmi, vmi->step.gfn[i], vmi->step.gfn[i], false);
	kvm_vmi_bracket_end(vmi->kvm);
	mutex_unlock(&vmi->lock);
}

/* ---- before and after ---- */

/*
 * Have the frames' pages there, for as long as the step lasts: pinned, so that a fork
 * leaves them to the guest.  May wait for the VMM.
 */
static bool kvm_vmi_step_pin(struct kvm_vcpu *vcpu)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	unsigned int i;

	for (i = 0; i < st->nr; i++) {
		struct kvm_memory_slot *slot = kvm_vcpu_gfn_to_memslot(vcpu,
								       st->frame[i].gfn);

		/* A page table that KVM shadows, and keeps in step, is written by KVM alone. */
		if (!slot || kvm_gfn_is_write_tracked(vcpu->kvm, slot, st->frame[i].gfn))
			return false;
		step->hva[i] = kvm_vcpu_gfn_to_hva(vcpu, st->frame[i].gfn);
		if (kvm_is_error_hva(step->hva[i]) ||
		    pin_user_pages_fast(step->hva[i], 1, FOLL_WRITE, &step->page[i]) != 1)
			return false;
	}
	return true;
}

static void kvm_vmi_step_put_pages(struct kvm_vmi_step *step)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(step->page); i++) {
		if (step->page[i])
			unpin_user_pages_dirty_lock(&step->page[i], 1,
						    step->aside[i].changed);
		step->page[i] = NULL;
	}
}

/*
 * Pin the frames.  Where that cannot be done to all that an earlier try has found, they may
 * be others by now: then @gfn alone, at which it faults now.
 */
static bool kvm_vmi_step_pin_known(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	unsigned int i;

	if (kvm_vmi_step_pin(vcpu))
		return true;
	kvm_vmi_step_put_pages(step);
	for (i = 0; i < st->nr && st->frame[i].gfn != gfn; i++)
		;
	if (st->nr < 2 || i == st->nr)
		return false;
	st->frame[0] = st->frame[i];
	st->nr = 1;
	if (kvm_vmi_step_pin(vcpu))
		return true;
	kvm_vmi_step_put_pages(step);
	return false;
}

/* Copy the frames as they are.  False if a page has gone again. */
static bool kvm_vmi_step_copy(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	struct page *page;
	unsigned int i;

	step->seq = READ_ONCE(vcpu->kvm->mmu_invalidate_seq);
	/* The pages are looked for after it: see kvm_vmi_step_may_write(). */
	smp_rmb();
	for (i = 0; i < step->nr; i++) {
		if (!get_user_page_fast_only(step->hva[i], FOLL_WRITE, &page))
			return false;
		put_page(page);
		if (page != step->page[i])
			return false;
		memcpy_from_page(step->copy + i * PAGE_SIZE, step->page[i], 0, PAGE_SIZE);
	}
	return true;
}

/* The bits of a quadword that a page walk sets. */
static u64 kvm_vmi_walk_bits(struct kvm_vcpu *vcpu)
{
	u64 bits = KVM_VMI_WALK_BITS;

	/* Four-byte entries: both halves. */
	if (!is_pae(vcpu))
		bits |= bits << 32;
	if (is_guest_mode(vcpu) && vcpu->arch.mmu == &vcpu->arch.guest_mmu)
		bits |= KVM_VMI_WALK_BITS_EPT;
	return bits;
}

static void kvm_vmi_step_save_regs(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(st->regs); i++)
		st->regs[i] = kvm_register_read_raw(vcpu, i);
	st->rip = kvm_rip_read(vcpu);
	st->rflags = kvm_get_rflags(vcpu);
	kvm_get_segment(vcpu, &st->cs, VCPU_SREG_CS);
	kvm_get_segment(vcpu, &st->ss, VCPU_SREG_SS);
	st->cpl = kvm_x86_call(get_cpl)(vcpu);
	st->cr3 = kvm_read_cr3(vcpu);
	st->walk_bits = kvm_vmi_walk_bits(vcpu);
	st->nested = is_guest_mode(vcpu);
	st->vectoring = kvm_event_needs_reinjection(vcpu);
	st->df = vcpu->arch.exception.injected && vcpu->arch.exception.vector == DF_VECTOR;
	st->nmi = vcpu->arch.nmi_injected;
}

/* What has faulted: the same as before, with the same registers? */
static bool kvm_vmi_step_is_again(struct kvm_vcpu *vcpu)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	unsigned int i;

	if (!st->again || st->rip != kvm_rip_read(vcpu) || st->cr3 != kvm_read_cr3(vcpu) ||
	    st->nested != is_guest_mode(vcpu) ||
	    st->vectoring != kvm_event_needs_reinjection(vcpu))
		return false;
	for (i = 0; i < ARRAY_SIZE(st->regs); i++)
		if (st->regs[i] != kvm_register_read_raw(vcpu, i))
			return false;
	return true;
}

/**
 * kvm_vmi_step_again - does this fault only repeat what has been let through?
 * @vcpu: the vCPU, its own thread
 * @gpa: what it faulted at
 * @walk: the fault is one of the CPU's page walk
 *
 * The instruction is the one whose step came to nothing, or the event that one; it was
 * asked about, here too, and no rule has changed since.  Then nobody is asked twice.
 */
bool kvm_vmi_step_again(struct kvm_vcpu *vcpu, gpa_t gpa, bool walk)
{
	u32 first = kvm_vmi_subpages(offset_in_page(gpa), 1);
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	const struct kvm_vmi_grant *g;
	struct kvm_vmi_speaker s;
	unsigned int i, l;

	if (likely(!st->again) || !kvm_vmi_step_is_again(vcpu) || !kvm_vmi_can_step(vcpu, gpa))
		return false;
	for (i = 0; i < st->nr && st->frame[i].gfn != gpa_to_gfn(gpa); i++)
		;
	if (i == st->nr)
		return false;
	for (l = 0; l < KVM_VMI_NR_LAYERS; l++) {
		kvm_vmi_look_layer(vmi, l, gpa_to_gfn(gpa), first, &s);
		if (!s.rule || (walk && s.flags & KVM_VMI_RULE_PAGE_TABLE))
			continue;
		g = &st->frame[i].grant[l];
		if (g->rule != s.rule || g->changes != s.changes || g->walk != walk ||
		    !(g->denied & first))
			return false;
	}
	memcpy(st->grant, st->frame[i].grant, sizeof(st->grant));
	return true;
}

/* Add a frame to those known to be written. */
static void kvm_vmi_step_add_frame(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	unsigned int i;

	if (!kvm_vmi_step_is_again(vcpu)) {
		st->nr = 0;
		if (st->rip != kvm_rip_read(vcpu))
			st->tries = 0;
	}
	for (i = 0; i < st->nr; i++)
		if (st->frame[i].gfn == gfn)
			break;
	if (i == ARRAY_SIZE(st->frame)) {
		/* No instruction writes so many: some are of pages that have moved since. */
		st->tries += KVM_VMI_STEP_TRY_GUEST;
		st->nr = 0;
		i = 0;
	}
	st->frame[i].gfn = gfn;
	memcpy(st->frame[i].grant, st->grant, sizeof(st->grant));
	st->nr = max_t(u8, st->nr, i + 1);
}

static u8 *kvm_vmi_step_alloc(struct kvm_vmi *vmi)
{
	struct mem_cgroup *old = set_active_memcg(vmi->memcg);
	u8 *copy = kvmalloc(KVM_VMI_STEP_FRAMES * PAGE_SIZE, GFP_KERNEL_ACCOUNT);

	set_active_memcg(old);
	return copy;
}

/* The vCPU is the owner.  False if nothing has come of it. */
static bool kvm_vmi_begin_step(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_step *step = &vmi->step;
	bool can;

	if (!step->copy)
		step->copy = kvm_vmi_step_alloc(vmi);
	/* First, while the others run: here it may take long. */
	memset(step->aside, 0, sizeof(step->aside));
	if (!step->copy || !kvm_vmi_step_pin_known(vcpu, gfn)) {
		kvm_vmi_open_gate(vcpu);
		return false;
	}

	kvm_vmi_close_gate(vcpu);
	if (!kvm_vmi_step_grant(vcpu)) {
		kvm_vmi_step_put_pages(step);
		kvm_vmi_open_gate(vcpu);
		return true;
	}
	/*
	 * No vCPU can change the instruction any more, nor is it another one by an old TLB,
	 * or by tables of L1's for its L2 that were not flushed.
	 */
	kvm_make_request(KVM_REQ_TLB_FLUSH_GUEST, vcpu);
	if (st->nested)
		kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
	pagefault_disable();
	can = kvm_vmi_can_step(vcpu, gfn_to_gpa(gfn));
	pagefault_enable();
	if (!can || !kvm_vmi_step_copy(vcpu)) {
		st->tries += KVM_VMI_STEP_TRY_GUEST;
		kvm_vmi_step_withdraw(vmi);
		kvm_vmi_step_put_pages(step);
		kvm_vmi_open_gate(vcpu);
		return true;
	}
	st->entries = 0;
	st->faulted = false;
	st->on = true;
	kvm_x86_call(set_step)(vcpu, true);
	return true;
}

/**
 * kvm_vmi_step - have the CPU carry out alone what this vCPU has exited for
 * @vcpu: the vCPU, its own thread; kvm->srcu held and nothing else; what it was
 *	granted is known
 * @gpa: what it faulted at
 *
 * Return: true if it is to enter the guest: to do so, or, if another vCPU steps or a
 * page was not there, to fault once more.  False if it cannot be done: nothing has
 * changed
 */
bool kvm_vmi_step(struct kvm_vcpu *vcpu, gpa_t gpa)
{
	/* KVM has emulated while a fault of the step before was pending. */
	if (vcpu->arch.vmi.step.on && kvm_vmi_end_step(vcpu, KVM_VMI_STEP_FAULT))
		return true;
	kvm_vmi_step_add_frame(vcpu, gpa_to_gfn(gpa));
	kvm_vmi_step_save_regs(vcpu);
	vcpu->arch.vmi.step.again = true;
	return !kvm_vmi_claim_gate(vcpu) || kvm_vmi_begin_step(vcpu, gpa_to_gfn(gpa));
}

/* ---- its end ---- */

/*
 * RIP and what an exception, or a far call, changes: as if the instruction had not
 * begun.  What it has written beside what is denied stays.
 */
static bool kvm_vmi_step_rewind(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_segment cs;
	unsigned int i;

	/* Leaving virtual 8086 mode changes more. */
	if ((st->rflags ^ kvm_get_rflags(vcpu)) & X86_EFLAGS_VM)
		return false;
	kvm_get_segment(vcpu, &cs, VCPU_SREG_CS);
	if (cs.selector != st->cs.selector || kvm_x86_call(get_cpl)(vcpu) != st->cpl) {
		kvm_set_segment(vcpu, &st->ss, VCPU_SREG_SS);
		kvm_set_segment(vcpu, &st->cs, VCPU_SREG_CS);
	}
	for (i = 0; i < ARRAY_SIZE(st->regs); i++)
		kvm_register_write_raw(vcpu, i, st->regs[i]);
	kvm_rip_write(vcpu, st->rip);
	kvm_set_rflags(vcpu, st->rflags);
	return true;
}

/*
 * An instruction's store is denied with #GP, instead of any exception that it has met
 * later.  If an event was delivered, what was pushed to a denied sub-page is gone: #DF,
 * as during delivery.
 */
static void kvm_vmi_step_deny(struct kvm_vcpu *vcpu, bool vectoring, bool undone)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;

	if (!vectoring && (undone || kvm_event_needs_reinjection(vcpu))) {
		if (!kvm_event_needs_reinjection(vcpu))
			kvm_clear_exception_queue(vcpu);
		kvm_vmi_deny(vcpu);
		return;
	}
	if (vectoring && st->nmi)
		kvm_x86_call(set_nmi_mask)(vcpu, false);
	if (vectoring && st->df)
		kvm_make_request(KVM_REQ_TRIPLE_FAULT, vcpu);
	else
		kvm_queue_exception_e(vcpu, DF_VECTOR, 0);
}

/**
 * kvm_vmi_end_step - withdraw the right, put back what is denied, let the others run
 * @vcpu: the vCPU, in a step, its own thread, loaded; kvm->srcu held and nothing else
 * @end: what it ends with
 *
 * Return: true if it has written what is denied; an exception is queued, and what
 * the guest was left for does not matter any more
 */
bool kvm_vmi_end_step(struct kvm_vcpu *vcpu, enum kvm_vmi_step_end end)
{
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	bool undone = true, vectoring;
	struct kvm_vmi_speaker s;
	u32 verdict;

	if (!st->faulted)
		kvm_x86_call(set_step)(vcpu, false);
	st->on = false;
	st->faulted = false;
	/* Events have waited. */
	kvm_make_request(KVM_REQ_EVENT, vcpu);

	/* Delivered: else it is pending again, and dropped with what it has written. */
	vectoring = st->vectoring && end == KVM_VMI_STEP_DONE;
	kvm_vmi_step_withdraw(vmi);
	kvm_vmi_step_put_aside(vcpu);
	verdict = kvm_vmi_step_settle(vcpu, vectoring);
	kvm_vmi_step_put_pages(&vmi->step);
	kvm_vmi_open_gate(vcpu);

	if (end == KVM_VMI_STEP_DONE) {
		st->again = false;
		st->tries = 0;
		if (kvm_vmi_speaker(vmi, st->frame[0].gfn, KVM_VMI_WRITE_ALL, &s))
			kvm_vmi_count(vmi, &s, BIT(KVM_VMI_COUNT_STEPPED));
		if (verdict == KVM_VMI_DENY && !vectoring)
			undone = kvm_vmi_step_rewind(vcpu);
	} else if (end == KVM_VMI_STEP_FAULT) {
		st->tries += KVM_VMI_STEP_TRY_GUEST;
	}
	trace_kvm_vmi_step(vmi->id, vcpu->vcpu_id, gfn_to_gpa(st->frame[0].gfn),
			   verdict == KVM_VMI_ALLOW ? end : KVM_VMI_STEP_DENIED);

	/* What an L2 has begun it begins again, once its hypervisor, which runs, lets it. */
	if (verdict == KVM_VMI_ALLOW || st->nested != is_guest_mode(vcpu))
		return false;
	if (verdict == KVM_VMI_DENY)
		kvm_vmi_step_deny(vcpu, vectoring, undone);
	return true;
}

bool __kvm_vmi_exited(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	enum kvm_vmi_step_end end;
	bool handled = false;

	end = kvm_x86_call(step_end)(vcpu, &handled);
	/* If it makes a frame writable the step goes on, else it ends before entry. */
	if (end == KVM_VMI_STEP_FAULT && ++st->entries < KVM_VMI_STEP_ENTRIES) {
		kvm_x86_call(set_step)(vcpu, false);
		st->faulted = true;
		kvm_make_request(KVM_REQ_VMI_STEP, vcpu);
		return false;
	}
	if (end != KVM_VMI_STEP_FAULT)
		st->tries += KVM_VMI_STEP_TRY_HOST;
	return (kvm_vmi_end_step(vcpu, end) && end != KVM_VMI_STEP_SHUTDOWN) || handled;
}

void __kvm_vmi_stop_step(struct kvm_vcpu *vcpu)
{
	kvm_vmi_end_step(vcpu, KVM_VMI_STEP_OTHER);
}

bool __kvm_vmi_interrupt_step(struct kvm_vcpu *vcpu)
{
	/* L2 does not exit before what is being delivered to it is: by this very step. */
	if (kvm_event_needs_reinjection(vcpu) || vcpu->arch.nested_run_pending)
		return false;
	/* It may have to wait all the same: then it comes with each step again. */
	vcpu->arch.vmi.step.tries += KVM_VMI_STEP_TRY_HOST;
	__kvm_vmi_stop_step(vcpu);
	return true;
}
