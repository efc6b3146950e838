// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: guest frames that share memory.
 *
 * A VMM may back two memslots by the same memory (the BIOS below 1 MiB and
 * below 4 GiB, SMRAM).  What is forbidden at one address is forbidden at the
 * others.  A tree marks the frames for which there is another one; only for
 * those the memslots are searched.  Memory that a VMM maps twice at different
 * host addresses is not found: see vmi.rst.
 */
#include <linux/interval_tree.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/internal.h"
#include "../../../../virt/kvm/kvm_mm.h"

static struct interval_tree_node *kvm_vmi_first_slot(struct kvm_memslots *slots,
						     unsigned long first,
						     unsigned long last)
{
	return interval_tree_iter_first(&slots->hva_tree, first, last);
}

static gfn_t kvm_vmi_slot_gfn(const struct kvm_memory_slot *slot, unsigned long hva)
{
	return slot->base_gfn + ((hva - slot->userspace_addr) >> PAGE_SHIFT);
}

static unsigned long kvm_vmi_slot_end(const struct kvm_memory_slot *slot)
{
	return slot->userspace_addr + (slot->npages << PAGE_SHIFT);
}

/* What @a and @b map of the same memory, if not at the same address. */
static bool kvm_vmi_overlap(const struct kvm_memory_slot *a, const struct kvm_memory_slot *b,
			    gfn_t *ret_a, gfn_t *ret_b, unsigned long *ret_nr)
{
	unsigned long start = max(a->userspace_addr, b->userspace_addr);
	unsigned long end = min(kvm_vmi_slot_end(a), kvm_vmi_slot_end(b));

	if (a == b || start >= end || kvm_vmi_slot_gfn(a, start) == kvm_vmi_slot_gfn(b, start))
		return false;
	*ret_a = kvm_vmi_slot_gfn(a, start);
	*ret_b = kvm_vmi_slot_gfn(b, start);
	*ret_nr = (end - start) >> PAGE_SHIFT;
	return true;
}

/*
 * What a VMM may have us keep and search: a change of one frame's rights zaps
 * each alias of it, and marks are charged to nobody.  QEMU needs a few dozen.
 */
#define KVM_VMI_SLOT_ALIASES	64	/* that a new slot may have */
#define KVM_VMI_ALL_ALIASES	4096	/* pairs of slots when a map is begun */
#define KVM_VMI_MAX_MARKS	SZ_64K

static void kvm_vmi_mark(struct kvm_vmi *vmi, gfn_t gfn, unsigned long nr)
{
	gfn_t first = gfn, last = gfn + nr - 1;
	unsigned int joined = 0;
	struct ma_state mas;

	lockdep_assert_held(&vmi->lock);
	/*
	 * One run with what it overlaps or adjoins, or a VMM that moves a slot to and
	 * fro would have ever more of them.
	 */
	mas_init(&mas, &vmi->aliases, gfn ? gfn - 1 : 0);
	while (mas_find(&mas, gfn + nr)) {
		if (mas.index <= gfn && mas.last >= gfn + nr - 1)
			return;
		first = min(first, mas.index);
		last = max(last, mas.last);
		joined++;
	}
	mas_set_range(&mas, first, last);
	/* A mark that is missing is an unprotected alias. */
	kvm_vmi_store_nofail(&mas, xa_mk_value(1));
	vmi->marks += 1 - joined;
}

enum kvm_vmi_alias_pass {
	KVM_VMI_COUNT_ALIASES,
	KVM_VMI_MARK_ALIASES,
	KVM_VMI_ZAP_ALIASES,	/* what is mapped there is mapped anew, by the rules of both */
};

/* What slot @a shares with others.  How often, up to @max. */
static unsigned int kvm_vmi_find_aliases_of(struct kvm *kvm, const struct kvm_memory_slot *a,
					    enum kvm_vmi_alias_pass pass, unsigned int max)
{
	unsigned long first = a->userspace_addr, last = kvm_vmi_slot_end(a) - 1;
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct interval_tree_node *node;
	unsigned int found = 0;
	unsigned long nr;
	gfn_t gfn_a, gfn_b;
	int i;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		struct kvm_memslots *slots = __kvm_memslots(kvm, i);

		for (node = kvm_vmi_first_slot(slots, first, last); node;
		     node = interval_tree_iter_next(node, first, last)) {
			struct kvm_memory_slot *b = container_of(node, struct kvm_memory_slot,
								 hva_node[slots->node_idx]);

			/* What is being moved is not another's. */
			if (b->flags & KVM_MEMSLOT_INVALID ||
			    !kvm_vmi_overlap(a, b, &gfn_a, &gfn_b, &nr))
				continue;
			if (++found == max)
				return found;
			switch (pass) {
			case KVM_VMI_COUNT_ALIASES:
				break;
			case KVM_VMI_MARK_ALIASES:
				kvm_vmi_mark(vmi, gfn_a, nr);
				kvm_vmi_mark(vmi, gfn_b, nr);
				break;
			case KVM_VMI_ZAP_ALIASES:
				kvm_vmi_zap_run(vmi, gfn_a, gfn_a + nr - 1, false);
				kvm_vmi_zap_run(vmi, gfn_b, gfn_b + nr - 1, false);
				break;
			}
			cond_resched();
		}
	}
	return found;
}

static bool kvm_vmi_too_many_aliases(struct kvm *kvm)
{
	unsigned int left = KVM_VMI_ALL_ALIASES;
	struct kvm_memory_slot *slot;
	int i, bkt;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, i)) {
			left -= kvm_vmi_find_aliases_of(kvm, slot, KVM_VMI_COUNT_ALIASES, left);
			if (!left)
				return true;
		}
	}
	return false;
}

/**
 * kvm_vmi_find_aliases - mark the aliases of all slots
 * @kvm: the VM, slots_lock held, its map empty
 *
 * Return: false if there are more than a map may have; nothing is marked then
 */
bool kvm_vmi_find_aliases(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int i, bkt;

	lockdep_assert_held(&kvm->slots_lock);
	guard(mutex)(&kvm->arch.vmi->lock);

	if (kvm_vmi_too_many_aliases(kvm))
		return false;
	kvm_vmi_bracket_start(kvm, 0, U64_MAX);
	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, i))
			kvm_vmi_find_aliases_of(kvm, slot, KVM_VMI_MARK_ALIASES, UINT_MAX);
	kvm_vmi_bracket_end(kvm);
	return true;
}

int __kvm_vmi_prepare_memory_region(struct kvm *kvm, const struct kvm_memory_slot *new)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	unsigned int found;

	lockdep_assert_held(&kvm->slots_lock);
	guard(mutex)(&vmi->lock);

	found = kvm_vmi_find_aliases_of(kvm, new, KVM_VMI_COUNT_ALIASES,
					KVM_VMI_SLOT_ALIASES + 1);
	if (!found)
		return 0;
	if (found > KVM_VMI_SLOT_ALIASES || vmi->marks >= KVM_VMI_MAX_MARKS)
		return -ENOSPC;
	/* No vCPU takes these frames for unshared any more when the slot appears. */
	kvm_vmi_bracket_start(kvm, 0, U64_MAX);
	kvm_vmi_find_aliases_of(kvm, new, KVM_VMI_MARK_ALIASES, UINT_MAX);
	kvm_vmi_bracket_end(kvm);
	return 0;
}

/**
 * kvm_vmi_commit_memory_region - a memslot has changed
 * @kvm: the VM, slots_lock held
 * @new: what the slot is now
 * @change: how
 *
 * What the slot shares was mapped by the rules of the other address alone, so it
 * is zapped.  Marks are never taken back: a stale one costs a search that finds
 * nothing.
 */
void kvm_vmi_commit_memory_region(struct kvm *kvm, const struct kvm_memory_slot *new,
				  enum kvm_mr_change change)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	unsigned int found;
	int idx;

	if (!kvm_vmi_active(kvm) || (change != KVM_MR_CREATE && change != KVM_MR_MOVE))
		return;

	lockdep_assert_held(&kvm->slots_lock);
	idx = srcu_read_lock(&kvm->srcu);
	mutex_lock(&vmi->lock);
	found = kvm_vmi_find_aliases_of(kvm, new, KVM_VMI_ZAP_ALIASES, UINT_MAX);
	mutex_unlock(&vmi->lock);
	srcu_read_unlock(&kvm->srcu, idx);
	if (found) {
		kvm_vmi_recheck_maps(kvm);
		synchronize_srcu_expedited(&vmi->store_srcu);
	}
}

/* Is any of these frames marked?  RCU or kvm_vmi.lock. */
bool kvm_vmi_has_alias(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	unsigned long index = first;

	return !mtree_empty(&vmi->aliases) && mt_find(&vmi->aliases, &index, last);
}

/**
 * kvm_vmi_walk_aliases - the other frames that reach a frame's memory
 * @vmi: the VM, kvm->srcu or slots_lock held
 * @gfn: the frame
 * @fn: called for each; stops when it returns false
 * @arg: for @fn
 */
void kvm_vmi_walk_aliases(struct kvm_vmi *vmi, gfn_t gfn, kvm_vmi_alias_fn fn, void *arg)
{
	struct kvm *kvm = vmi->kvm;
	struct interval_tree_node *node;
	int i, j;

	if (mtree_empty(&vmi->aliases) || !mtree_load(&vmi->aliases, gfn))
		return;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		struct kvm_memory_slot *a = __gfn_to_memslot(__kvm_memslots(kvm, i), gfn);
		unsigned long hva;

		if (!a)
			continue;
		hva = a->userspace_addr + ((gfn - a->base_gfn) << PAGE_SHIFT);
		for (j = 0; j < kvm_arch_nr_memslot_as_ids(kvm); j++) {
			struct kvm_memslots *slots = __kvm_memslots(kvm, j);

			for (node = kvm_vmi_first_slot(slots, hva, hva); node;
			     node = interval_tree_iter_next(node, hva, hva)) {
				struct kvm_memory_slot *b =
					container_of(node, struct kvm_memory_slot,
						     hva_node[slots->node_idx]);
				gfn_t other = kvm_vmi_slot_gfn(b, hva);

				if (other != gfn && !fn(vmi, other, arg))
					return;
			}
		}
	}
}

static void kvm_vmi_zap(struct kvm *kvm, gfn_t first, gfn_t last)
{
	/* As kvm_vmi_bracket_start(). */
	kvm_zap_gfn_range(kvm, first, min_t(gfn_t, last, U64_MAX - 2) + 1);
}

/* Zap the other addresses of what @slot maps from @first to @last. */
static void kvm_vmi_zap_aliases(struct kvm *kvm, const struct kvm_memory_slot *slot,
				gfn_t first, gfn_t last)
{
	unsigned long start = __gfn_to_hva_memslot(slot, first);
	unsigned long end = __gfn_to_hva_memslot(slot, last) + PAGE_SIZE - 1;
	struct interval_tree_node *node;
	int i;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		struct kvm_memslots *slots = __kvm_memslots(kvm, i);

		for (node = kvm_vmi_first_slot(slots, start, end); node;
		     node = interval_tree_iter_next(node, start, end)) {
			struct kvm_memory_slot *b = container_of(node, struct kvm_memory_slot,
								 hva_node[slots->node_idx]);
			unsigned long from = max(start, b->userspace_addr);
			unsigned long to = min(end, kvm_vmi_slot_end(b) - 1);

			if (b != slot)
				kvm_vmi_zap(kvm, kvm_vmi_slot_gfn(b, from),
					    kvm_vmi_slot_gfn(b, to));
			cond_resched();
		}
	}
}

/**
 * kvm_vmi_zap_run - what is mapped there must be mapped anew
 * @vmi: the VM, locked, kvm->srcu held
 * @first: first frame
 * @last: last frame
 * @recover: rights were given back: whole huge pages, so that they can return
 *
 * Also drops what KVM has mapped of these frames for its own use.
 * Context: sleeps; the vCPUs' TLBs are flushed on return.
 */
void kvm_vmi_zap_run(struct kvm_vmi *vmi, gfn_t first, gfn_t last, bool recover)
{
	struct kvm *kvm = vmi->kvm;
	struct kvm_memslot_iter iter;
	gfn_t changed_first = first, changed_last = last;
	bool aliased;
	int i;

	kvm_vmi_spp_update(vmi, first, last);
	if (recover)
		first = gfn_round_for_level(first, PG_LEVEL_2M);
	last = kvm_vmi_zap_end(last, recover);
	kvm_vmi_zap(kvm, first, last);
	aliased = kvm_vmi_has_alias(vmi, first, last);

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_for_each_memslot_in_gfn_range(&iter, __kvm_memslots(kvm, i), first,
						  last == U64_MAX ? last : last + 1) {
			struct kvm_memory_slot *slot = iter.slot;
			gfn_t from = max(first, slot->base_gfn);
			gfn_t to = min(last, slot->base_gfn + slot->npages - 1);
			unsigned long start = __gfn_to_hva_memslot(slot, from);
			unsigned long end = __gfn_to_hva_memslot(slot, to) + PAGE_SIZE;

			gfn_to_pfn_cache_invalidate_start(kvm, start, end);
			if (aliased)
				kvm_vmi_zap_aliases(kvm, slot, from, to);
			cond_resched();
		}
	}
	kvm_vmi_spp_trim(vmi, changed_first, changed_last);
}
