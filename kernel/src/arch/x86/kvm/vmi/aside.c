// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: what a step has written to denied sub-pages.
 *
 * It is put back as it was before, at once, and what was written stays aside.  Then the
 * rules are asked, and all of it is written after all, or nothing.
 */
#include <linux/highmem.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/page_track.h"
#include "vmi/internal.h"

/* More than one for each sub-page and layer of all frames are not needed. */
#define KVM_VMI_STEP_QUESTIONS	(KVM_VMI_STEP_FRAMES * KVM_VMI_NR_LAYERS * 32)

/* The bits of a denied sub-page that may have been set: all its rules say so. */
static u64 kvm_vmi_step_exempt(struct kvm_vcpu *vcpu, const struct kvm_vmi_step_frame *f,
			       unsigned int subpage)
{
	struct kvm_vmi_speaker s;
	unsigned int l;

	for (l = 0; l < KVM_VMI_NR_LAYERS; l++) {
		const struct kvm_vmi_grant *g = &f->grant[l];

		kvm_vmi_look_layer(vcpu->kvm->arch.vmi, l, f->gfn, BIT(subpage), &s);
		if (s.rule && !(s.flags & KVM_VMI_RULE_PAGE_TABLE) &&
		    !(g->walk && g->rule == s.rule && g->changes == s.changes &&
		      g->denied & BIT(subpage)))
			return 0;
	}
	return vcpu->arch.vmi.step.walk_bits;
}

/* Put a sub-page back as it was; what has been written to it stays aside, in @old. */
static void kvm_vmi_step_put_back(struct kvm_vmi_step_aside *aside, unsigned int subpage,
				  u64 *now, u64 *old, u64 exempt)
{
	unsigned int i;

	for (i = 0; i < KVM_VMI_STEP_WORDS; i++) {
		u64 new = READ_ONCE(now[i]), was = old[i] | (new & exempt);

		if (new == was)
			continue;
		WRITE_ONCE(now[i], was);
		old[i] = new;
		aside->words[subpage] |= BIT(i);
		aside->changed |= BIT(subpage);
	}
}

/* What is put aside of a frame has just been stored to, by KVM. */
static void kvm_vmi_step_written(struct kvm_vcpu *vcpu, unsigned int frame)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	gfn_t gfn = vcpu->arch.vmi.step.frame[frame].gfn;
	unsigned long changed = step->aside[frame].changed;
	unsigned int subpage, word, offset;
	u64 now;

	kvm_vcpu_mark_page_dirty(vcpu, gfn);
	/* Pairs with account_shadowed(): an SPTE is made of what was stored, or taken back. */
	smp_mb();
	if (tdp_enabled && !vcpu->kvm->arch.indirect_shadow_pages)
		return;
	for_each_set_bit(subpage, &changed, 32) {
		unsigned long words = step->aside[frame].words[subpage];

		for_each_set_bit(word, &words, KVM_VMI_STEP_WORDS) {
			offset = (subpage << KVM_VMI_SUBPAGE_SHIFT) + word * sizeof(now);
			memcpy_from_page((char *)&now, step->page[frame], offset, sizeof(now));
			kvm_page_track_write(vcpu, gfn_to_gpa(gfn) + offset, (const u8 *)&now,
					     sizeof(now));
		}
	}
}

/*
 * Put aside what has been written to denied sub-pages.  Nothing but KVM, where a rule
 * lets it, and the VMM can write the frames any more.
 */
void kvm_vmi_step_put_aside(struct kvm_vcpu *vcpu)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	unsigned int i, subpage;

	memset(vmi->step.aside, 0, sizeof(vmi->step.aside));
	for (i = 0; i < st->nr; i++) {
		const struct kvm_vmi_step_frame *f = &st->frame[i];
		unsigned long map = ~kvm_vmi_write_map(vmi, f->gfn) & KVM_VMI_WRITE_ALL;
		u8 *now, *old = vmi->step.copy + i * PAGE_SIZE;

		if (!map)
			continue;
		now = kmap_local_page(vmi->step.page[i]);
		for_each_set_bit(subpage, &map, 32) {
			unsigned int offset = subpage << KVM_VMI_SUBPAGE_SHIFT;

			if (memcmp(now + offset, old + offset, BIT(KVM_VMI_SUBPAGE_SHIFT)))
				kvm_vmi_step_put_back(&vmi->step.aside[i], subpage,
						      (u64 *)(now + offset),
						      (u64 *)(old + offset),
						      kvm_vmi_step_exempt(vcpu, f, subpage));
		}
		kunmap_local(now);
		/* The VMM may have read it in between, or KVM, as a page table. */
		if (vmi->step.aside[i].changed)
			kvm_vmi_step_written(vcpu, i);
	}
}

/* All of it has been let through. */
static void kvm_vmi_step_write(struct kvm_vcpu *vcpu)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	unsigned int i, subpage, word;

	for (i = 0; i < st->nr; i++) {
		const u64 *new = (const u64 *)(step->copy + i * PAGE_SIZE);
		unsigned long changed = step->aside[i].changed;
		u64 *now;

		if (!changed)
			continue;
		now = kmap_local_page(step->page[i]);
		for_each_set_bit(subpage, &changed, 32) {
			unsigned long words = step->aside[i].words[subpage];

			for_each_set_bit(word, &words, KVM_VMI_STEP_WORDS)
				WRITE_ONCE(now[subpage * KVM_VMI_STEP_WORDS + word],
					   new[subpage * KVM_VMI_STEP_WORDS + word]);
		}
		kunmap_local(now);
		kvm_vmi_step_written(vcpu, i);
	}
}

/**
 * struct kvm_vmi_step_objection - what a rule has against what is put aside
 * @speaker: the rule
 * @frame: which of the step's
 * @gpa: the first byte
 * @denied: sub-pages
 */
struct kvm_vmi_step_objection {
	struct kvm_vmi_speaker speaker;
	unsigned int frame;
	gpa_t gpa;
	u32 denied;
};

/* The first byte of a sub-page that is put aside and differs from what is there. */
static gpa_t kvm_vmi_step_first(struct kvm_vmi_step *step, unsigned int frame,
				unsigned int subpage)
{
	unsigned int offset = (subpage << KVM_VMI_SUBPAGE_SHIFT) +
			      __ffs(step->aside[frame].words[subpage]) * sizeof(u64);
	u64 now;

	memcpy_from_page((char *)&now, step->page[frame], offset, sizeof(now));
	now ^= *(u64 *)(step->copy + frame * PAGE_SIZE + offset);
	return gfn_to_gpa(step->gfn[frame]) + offset + (now ? __ffs64(now) / BITS_PER_BYTE : 0);
}

/* By that very rule, as it is now: before the step, or asked since. */
static bool kvm_vmi_step_granted(struct kvm_vcpu *vcpu, unsigned int frame,
				 unsigned int subpage, const struct kvm_vmi_speaker *s)
{
	const struct kvm_vmi_grant *g = &vcpu->arch.vmi.step.frame[frame].grant[s->layer];
	const struct kvm_vmi_step_aside *aside = &vcpu->kvm->arch.vmi->step.aside[frame];

	if (aside->let[s->layer] & BIT(subpage) && aside->changes == s->changes)
		return true;
	return g->rule == s->rule && g->changes == s->changes && !g->walk &&
	       g->denied & BIT(subpage);
}

/*
 * A rule that was not asked, or has not let through what is put aside; the first layer
 * first, in it the strictest.  As for stores of the emulator.
 */
static bool kvm_vmi_step_objects(struct kvm_vcpu *vcpu, struct kvm_vmi_step_objection *ret)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	unsigned int l, i, subpage;
	struct kvm_vmi_speaker s;

	ret->speaker.rule = 0;
	for (l = 0; l < KVM_VMI_NR_LAYERS && !ret->speaker.rule; l++)
		for (i = 0; i < st->nr; i++) {
			unsigned long changed = vmi->step.aside[i].changed;

			for_each_set_bit(subpage, &changed, 32) {
				kvm_vmi_look_layer(vmi, l, st->frame[i].gfn, BIT(subpage), &s);
				if (!s.rule || kvm_vmi_step_granted(vcpu, i, subpage, &s))
					continue;
				if (s.rule == ret->speaker.rule && i == ret->frame) {
					ret->denied |= BIT(subpage);
				} else if (kvm_vmi_stricter(&s, &ret->speaker)) {
					ret->speaker = s;
					ret->frame = i;
					ret->denied = BIT(subpage);
				}
			}
		}
	if (ret->speaker.rule)
		ret->gpa = kvm_vmi_step_first(&vmi->step, ret->frame, __ffs(ret->denied));
	return ret->speaker.rule;
}

static u32 kvm_vmi_step_raise(struct kvm_vcpu *vcpu, const struct kvm_vmi_step_objection *o,
			      bool vectoring)
{
	const struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	struct kvm_vmi_violation v;

	kvm_vmi_describe(vcpu, &v, KVM_VMI_WRITE, o->gpa);
	v.rip = st->rip;
	v.cr3 = st->cr3;
	v.flags = (st->cpl == 3 ? KVM_VMI_V_USER : 0) | (st->nested ? KVM_VMI_V_NESTED : 0) |
		  (vectoring ? KVM_VMI_V_VECTORING : 0);
	v.legal = BIT(KVM_VMI_DENY) | BIT(KVM_VMI_ALLOW) | BIT(KVM_VMI_KILL);
	return kvm_vmi_raise(vcpu, &v, &o->speaker);
}

/* Ask about what is put aside, and write it if all of it is let through. */
u32 kvm_vmi_step_settle(struct kvm_vcpu *vcpu, bool vectoring)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_step_objection o;
	struct kvm_vmi_step_aside *aside;
	unsigned int tries;
	u32 verdict;
	int idx;

	for (tries = 0; tries < KVM_VMI_STEP_QUESTIONS; tries++) {
		idx = srcu_read_lock(&vmi->store_srcu);
		if (!kvm_vmi_step_objects(vcpu, &o)) {
			kvm_vmi_step_write(vcpu);
			srcu_read_unlock(&vmi->store_srcu, idx);
			return KVM_VMI_ALLOW;
		}
		srcu_read_unlock(&vmi->store_srcu, idx);

		verdict = kvm_vmi_step_raise(vcpu, &o, vectoring);
		/* Where the CPU cannot do so any more it has opened the page. */
		if (verdict != KVM_VMI_ALLOW && verdict != KVM_VMI_OPENED)
			return verdict;
		aside = &vmi->step.aside[o.frame];
		if (aside->changes != o.speaker.changes)
			memset(aside->let, 0, sizeof(aside->let));
		aside->changes = o.speaker.changes;
		aside->let[o.speaker.layer] |= o.denied;
	}
	/* The rules change all the time. */
	return KVM_VMI_DENY;
}
