// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the changes of an access map, and their
 * protocol.
 *
 * A change is made between kvm_mmu_invalidate_start() and _end(), outside
 * mmu_lock: a fault that looked at the old map finds itself stale and starts
 * over.  What is mapped is zapped, TLBs are flushed.  An emulated store looks at
 * the map and stores within kvm_vmi.store_srcu, so waiting for that SRCU after
 * the map's mutex is dropped leaves no store that was checked against the old
 * rights.  Only then the caller is told that the right is gone.
 */
#include <linux/sched/mm.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

/* The maps are about to change, or have changed.  Between, no run is known. */
static void kvm_vmi_map_seq_inc(struct kvm_vmi *vmi)
{
	lockdep_assert_held(&vmi->lock);
	lockdep_assert_held_write(&vmi->kvm->mmu_lock);
	/* What was stored to the maps comes before.  Pairs with kvm_vmi_find_run(). */
	smp_store_release(&vmi->map_seq, vmi->map_seq + 1);
}

/**
 * kvm_vmi_bracket_start - faults on and around these frames start over until the end
 * @kvm: the VM, kvm_vmi.lock held
 * @first: first frame
 * @last: last frame
 */
void kvm_vmi_bracket_start(struct kvm *kvm, gfn_t first, gfn_t last)
{
	/*
	 * A huge SPTE takes its right from its first frame, so a fault on any other
	 * must not find that frame half changed either.
	 */
	first = gfn_round_for_level(first, KVM_MAX_HUGEPAGE_LEVEL);
	last |= KVM_PAGES_PER_HPAGE(KVM_MAX_HUGEPAGE_LEVEL) - 1;

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_start(kvm);
	/* All frames end below U64_MAX, which as an end means that none was given. */
	kvm_mmu_invalidate_range_add(kvm, first, min_t(gfn_t, last, U64_MAX - 2) + 1);
	kvm_vmi_map_seq_inc(kvm->arch.vmi);
	write_unlock(&kvm->mmu_lock);
}

void kvm_vmi_bracket_end(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	kvm_vmi_map_seq_inc(kvm->arch.vmi);
	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);

	kvm_vmi_recheck_maps(kvm);
}

/*
 * Zap what a change touched, neighbouring frames in one go; and, where whole huge
 * pages are zapped, what is in the same or the next.  As kvm_vmi_zap_run().
 */
void kvm_vmi_zap_change(struct kvm_vmi *vmi, const struct kvm_vmi_change *change,
			bool recover)
{
	unsigned int i, j;

	for (i = 0; i < change->nr; i = j) {
		u64 first = change->undo[i].first, last = change->undo[i].last;

		for (j = i + 1; j < change->nr && change->undo[j].first > last &&
		     change->undo[j].first <= kvm_vmi_zap_end(last, recover) + 1; j++)
			last = change->undo[j].last;
		kvm_vmi_zap_run(vmi, first, last, recover);
	}
}

static int kvm_vmi_check_ranges(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
				const struct kvm_vmi_range *ranges, unsigned int nr, bool set)
{
	u64 end = BIT_ULL(kvm_vmi_maxphyaddr(vmi->kvm) - PAGE_SHIFT);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const struct kvm_vmi_range *r = &ranges[i];

		if (!r->nr || r->gfn + r->nr < r->gfn || r->reserved ||
		    r->rights & ~KVM_VMI_RIGHT_ALL)
			return -EINVAL;
		/* No page table has such entries (SDM vol. 3, 30.3.3.1). */
		if (set && r->write && !(r->rights & KVM_VMI_RIGHT_READ))
			return -EINVAL;
		if (r->gfn >= end || r->gfn + r->nr > end)
			return -ERANGE;
		if (set && !kvm_vmi_can_enforce(r->rights))
			return -EOPNOTSUPP;
		if (!r->rule || r->rule > KVM_VMI_RULE_ID_MAX)
			return -EINVAL;
		if (!xa_load(&layer->rules, r->rule))
			return -ENOENT;
	}
	return 0;
}

/*
 * What was granted under the rules and rights so far is to be asked for again.
 * Stores look at it within kvm_vmi.store_srcu, which a change waits for.
 */
void kvm_vmi_end_change(struct kvm_vmi *vmi)
{
	lockdep_assert_held(&vmi->lock);
	/* Who reads the new count sees the new rules.  Pairs with kvm_vmi_look(). */
	smp_wmb();
	WRITE_ONCE(vmi->changes, vmi->changes + 1);
}

/* May the map of this VM change?  kvm_vmi.lock. */
int kvm_vmi_changeable(struct kvm_vmi *vmi)
{
	if (READ_ONCE(vmi->kvm->vm_dead))
		return -EIO;
	if (vmi->unsupported)
		return -EOPNOTSUPP;
	return 0;
}

static int kvm_vmi_change_locked(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
				 const struct kvm_vmi_range *ranges, unsigned int nr, bool set)
{
	struct kvm_vmi_change change = {};
	struct kvm *kvm = vmi->kvm;
	u64 first = U64_MAX, last = 0;
	bool recover = false;
	unsigned int i;
	int r = 0;

	for (i = 0; i < nr; i++) {
		first = min(first, ranges[i].gfn);
		last = max(last, ranges[i].gfn + ranges[i].nr - 1);
	}
	/* Aliases may be anywhere. */
	if (!mtree_empty(&vmi->aliases)) {
		first = 0;
		last = U64_MAX;
	}

	kvm_vmi_bracket_start(kvm, first, last);
	for (i = 0; i < nr && !r; i++) {
		r = kvm_vmi_map_apply(vmi, layer, &change, &ranges[i], set);
		recover |= !set || ranges[i].write == KVM_VMI_WRITE_ALL;
	}
	if (r) {
		kvm_vmi_change_rollback(vmi, layer, &change);
		/* A right that was there for a moment may have been mapped. */
		for (i = 0; i < nr; i++)
			kvm_vmi_zap_run(vmi, ranges[i].gfn, ranges[i].gfn + ranges[i].nr - 1,
					false);
	} else {
		/* Pages may have been opened by another address of their memory. */
		if (!mtree_empty(&vmi->aliases))
			kvm_vmi_close_pages(vmi, 0, ULONG_MAX);
		for (i = 0; i < nr; i++)
			kvm_vmi_close_pages(vmi, ranges[i].gfn,
					    ranges[i].gfn + ranges[i].nr - 1);
		kvm_vmi_zap_change(vmi, &change, recover);
		kvm_vmi_change_commit(&change);
	}
	kvm_vmi_end_change(vmi);
	kvm_vmi_bracket_end(kvm);

	for (i = 0; i < nr && !r; i++)
		trace_kvm_vmi_access_change(vmi->id, ranges[i].gfn, ranges[i].nr,
					    ranges[i].rule,
					    set ? ranges[i].write : KVM_VMI_WRITE_ALL,
					    set ? ranges[i].rights : KVM_VMI_RIGHT_ALL,
					    layer - vmi->layers);
	return r;
}

/**
 * kvm_vmi_change_layer - set or clear rules' claims on frames
 * @kvm: the VM, referenced
 * @layer_id: whose rules
 * @ranges: a private copy of what the caller gave
 * @nr: 1 to %KVM_VMI_MAX_BATCH
 * @set: each rule's claim on these frames becomes the one given; else it ends
 *
 * Whole or not at all.  On success no write lands any more, and nothing is executed any
 * more, that is forbidden now.
 * Context: sleeps, no KVM lock held
 * Return: 0, -EINVAL, -ERANGE, -ENOENT, -EOPNOTSUPP, -ENOSPC, -ENOMEM, -EIO, -EAGAIN,
 * -EINTR
 */
int kvm_vmi_change_layer(struct kvm *kvm, enum kvm_vmi_layer_id layer_id,
			 const struct kvm_vmi_range *ranges, unsigned int nr, bool set)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_layer *layer = &vmi->layers[layer_id];
	struct mem_cgroup *old;
	int r, idx;

	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -EINVAL;
	r = kvm_vmi_activate(kvm);
	if (r)
		return r;

	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	idx = srcu_read_lock(&kvm->srcu);
	old = set_active_memcg(vmi->memcg);
	r = kvm_vmi_changeable(vmi);
	if (!r)
		r = kvm_vmi_check_ranges(vmi, layer, ranges, nr, set);
	if (!r && set)
		r = kvm_vmi_fix_engine(vmi);
	if (!r)
		r = kvm_vmi_change_locked(vmi, layer, ranges, nr, set);
	set_active_memcg(old);
	srcu_read_unlock(&kvm->srcu, idx);
	mutex_unlock(&vmi->lock);

	/* Also after a failure: a store may have seen what was taken back. */
	if (r || set)
		synchronize_srcu_expedited(&vmi->store_srcu);
	return r;
}

/* The same in the layer of who sets rules by kfunc. */
int kvm_vmi_change_access(struct kvm *kvm, const struct kvm_vmi_range *ranges,
			  unsigned int nr, bool set)
{
	return kvm_vmi_change_layer(kvm, KVM_VMI_LAYER_DAEMON, ranges, nr, set);
}

/* Does this rule claim the run? */
static bool kvm_vmi_claims(void *entry, u32 rule)
{
	const struct kvm_vmi_owner *owners;
	struct kvm_vmi_owner one;
	u32 i, nr = kvm_vmi_map_peek_owners(entry, &one, &owners);

	for (i = 0; i < nr; i++)
		if (owners[i].rule == rule)
			return true;
	return false;
}

/* The next run at or after @gfn that @rule claims. */
static bool kvm_vmi_next_claim(struct kvm_vmi_layer *layer, u32 rule, u64 gfn,
			       u64 *ret_first, u64 *ret_last)
{
	void *entry;

	while (kvm_vmi_map_next(layer, gfn, ret_first, ret_last, &entry)) {
		if (kvm_vmi_claims(entry, rule))
			return true;
		if (*ret_last == U64_MAX)
			break;
		gfn = *ret_last + 1;
		cond_resched();
	}
	return false;
}

/**
 * kvm_vmi_zap_rule - what a rule claims must be mapped anew
 * @vmi: the VM, locked and bracketed, kvm->srcu held
 * @layer: whose rule
 * @rule: its id
 * @recover: as for kvm_vmi_zap_run()
 */
void kvm_vmi_zap_rule(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer, u32 rule,
		      bool recover)
{
	u64 gfn, first, last;

	for (gfn = 0; kvm_vmi_next_claim(layer, rule, gfn, &first, &last); gfn = last + 1) {
		kvm_vmi_zap_run(vmi, first, last, recover);
		if (last == U64_MAX)
			break;
	}
}

/**
 * kvm_vmi_set_layer_rules - create rules or replace their parameters
 * @kvm: the VM, referenced
 * @layer_id: whose
 * @rules: a private copy of what the caller gave
 * @nr: 1 to %KVM_VMI_MAX_BATCH
 *
 * Arms what was disarmed unless %KVM_VMI_RULE_DISARMED is given, or %KVM_VMI_RULE_UPDATE,
 * with which a rule that a reset has disarmed in between stays so.
 * Context: sleeps, no KVM lock held
 * Return: 0, -ENOENT (%KVM_VMI_RULE_UPDATE), -EINVAL, -EOPNOTSUPP, -ENOSPC, -ENOMEM,
 * -EIO, -EAGAIN, -EINTR
 */
int kvm_vmi_set_layer_rules(struct kvm *kvm, enum kvm_vmi_layer_id layer_id,
			    const struct kvm_vmi_rule *rules, unsigned int nr)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_layer *layer = &vmi->layers[layer_id];
	struct mem_cgroup *old;
	unsigned long *known;
	bool again = false;
	unsigned int i;
	int r, idx;

	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -EINVAL;
	r = kvm_vmi_rules_check(rules, nr);
	if (r)
		return r;
	r = kvm_vmi_activate(kvm);
	if (r)
		return r;
	known = bitmap_zalloc(nr, GFP_KERNEL);
	if (!known)
		return -ENOMEM;

	if (mutex_lock_killable(&vmi->lock)) {
		bitmap_free(known);
		return -EINTR;
	}
	idx = srcu_read_lock(&kvm->srcu);
	old = set_active_memcg(vmi->memcg);
	r = kvm_vmi_changeable(vmi);
	if (r)
		goto unlock;

	for (i = 0; i < nr; i++) {
		if (xa_load(&layer->rules, rules[i].id)) {
			__set_bit(i, known);
			again = true;
		} else if (rules[i].flags & KVM_VMI_RULE_UPDATE) {
			r = -ENOENT;
			goto unlock;
		}
	}
	/* Whatever was let through, or mapped, by the old parameters ends here. */
	if (again)
		kvm_vmi_bracket_start(kvm, 0, U64_MAX);
	r = kvm_vmi_rules_set(vmi, layer, rules, nr);
	if (!r && again) {
		kvm_vmi_close_pages(vmi, 0, ULONG_MAX);
		for_each_set_bit(i, known, nr)
			kvm_vmi_zap_rule(vmi, layer, rules[i].id, true);
	}
	if (again) {
		kvm_vmi_update_pins(vmi);
		kvm_vmi_end_change(vmi);
		kvm_vmi_bracket_end(kvm);
	}
unlock:
	set_active_memcg(old);
	srcu_read_unlock(&kvm->srcu, idx);
	mutex_unlock(&vmi->lock);
	bitmap_free(known);

	if (!r && again) {
		kvm_vmi_spread_pins(kvm);
		synchronize_srcu_expedited(&vmi->store_srcu);
	}
	return r;
}

/* The same in the layer of who sets rules by kfunc. */
int kvm_vmi_set_rules(struct kvm *kvm, const struct kvm_vmi_rule *rules, unsigned int nr)
{
	return kvm_vmi_set_layer_rules(kvm, KVM_VMI_LAYER_DAEMON, rules, nr);
}

/* A rule and all its claims.  Frees memory only where other rules share a frame. */
static int kvm_vmi_clear_rule_locked(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer, u32 id)
{
	struct kvm_vmi_change change = {};
	struct kvm *kvm = vmi->kvm;
	u64 gfn, first, last;
	int r = 0;

	kvm_vmi_bracket_start(kvm, 0, U64_MAX);
	for (gfn = 0; kvm_vmi_next_claim(layer, id, gfn, &first, &last); gfn = last + 1) {
		struct kvm_vmi_range range = {
			.gfn = first,
			.nr = last - first + 1,
			.rule = id,
		};

		r = kvm_vmi_map_apply(vmi, layer, &change, &range, false);
		if (r || last == U64_MAX)
			break;
	}
	if (r) {
		kvm_vmi_change_rollback(vmi, layer, &change);
		/* A right that was there for a moment may have been mapped. */
		kvm_vmi_zap_rule(vmi, layer, id, false);
	} else {
		kvm_vmi_zap_change(vmi, &change, true);
		kvm_vmi_change_commit(&change);
		kvm_vmi_rule_erase(layer, id);
	}
	kvm_vmi_end_change(vmi);
	kvm_vmi_bracket_end(kvm);
	if (!r)
		trace_kvm_vmi_access_change(vmi->id, 0, 0, id, KVM_VMI_WRITE_ALL,
					    KVM_VMI_RIGHT_ALL, layer - vmi->layers);
	return r;
}

/**
 * kvm_vmi_clear_rule - remove a rule and its claims; what lies below shows again
 * @kvm: the VM, referenced
 * @id: the rule, 0 for every rule
 *
 * Context: sleeps, no KVM lock held
 * Return: 0, -ENOENT, -ENOMEM (with @id 0 some rules may be gone), -EINTR
 */
int kvm_vmi_clear_rule(struct kvm *kvm, u32 id)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_layer *layer = &vmi->layers[KVM_VMI_LAYER_DAEMON];
	struct mem_cgroup *old;
	unsigned long i = id;
	int r = 0, idx;

	if (id > KVM_VMI_RULE_ID_MAX)
		return -EINVAL;

	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	idx = srcu_read_lock(&kvm->srcu);
	old = set_active_memcg(vmi->memcg);
	if (!id)
		while (!r && xa_find(&layer->rules, &i, ULONG_MAX, XA_PRESENT))
			r = kvm_vmi_clear_rule_locked(vmi, layer, i);
	else if (!xa_load(&layer->rules, id))
		r = -ENOENT;
	else
		r = kvm_vmi_clear_rule_locked(vmi, layer, id);
	kvm_vmi_update_pins(vmi);
	set_active_memcg(old);
	srcu_read_unlock(&kvm->srcu, idx);
	mutex_unlock(&vmi->lock);

	kvm_vmi_spread_pins(kvm);
	/* A store may have seen what was taken back; without a rule there is no map. */
	if (r && r != -ENOENT)
		synchronize_srcu_expedited(&vmi->store_srcu);
	return r;
}
