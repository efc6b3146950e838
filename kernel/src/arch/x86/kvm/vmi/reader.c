// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the access map's one reader, which merges
 * rules, layers and aliases.
 *
 * Most of a guest lies in gaps between what is claimed.  A vCPU remembers the one
 * it was last in, and the sequence number of the map tells whether it still is:
 * then nothing need be looked up.
 */
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/vmi.h"

/* The sub-pages of a run that the rules in force of one layer let be written. */
static u32 kvm_vmi_run_map(struct kvm_vmi_layer *layer, void *entry)
{
	const struct kvm_vmi_owner *owners;
	struct kvm_vmi_owner one;
	u32 i, nr = kvm_vmi_map_peek_owners(entry, &one, &owners);
	u32 map = KVM_VMI_WRITE_ALL;

	for (i = 0; i < nr; i++)
		if (kvm_vmi_rule_armed(layer, owners[i].rule))
			map &= owners[i].write;
	return map;
}

/* What the rules in force of all layers let be written of @gfn, aliases aside.  RCU. */
u32 kvm_vmi_layers_map(struct kvm_vmi *vmi, gfn_t gfn)
{
	u32 map = KVM_VMI_WRITE_ALL;
	unsigned int l;

	for (l = 0; l < KVM_VMI_NR_LAYERS; l++) {
		void *entry;

		if (mtree_empty(&vmi->layers[l].map))
			continue;
		entry = mtree_load(&vmi->layers[l].map, gfn);
		if (entry)
			map &= kvm_vmi_run_map(&vmi->layers[l], entry);
	}
	return map;
}

static bool kvm_vmi_merge_alias(struct kvm_vmi *vmi, gfn_t gfn, void *arg)
{
	u32 *map = arg;

	*map &= kvm_vmi_layers_map(vmi, gfn);
	return true;
}

/**
 * kvm_vmi_write_map - the sub-pages of a frame that may be written
 * @vmi: the VM, with kvm->srcu or slots_lock held
 * @gfn: the frame
 *
 * The stricter right of all rules in force, layers and aliases.
 * Context: any
 */
u32 kvm_vmi_write_map(struct kvm_vmi *vmi, gfn_t gfn)
{
	u32 map;

	rcu_read_lock();
	map = kvm_vmi_layers_map(vmi, gfn);
	kvm_vmi_walk_aliases(vmi, gfn, kvm_vmi_merge_alias, &map);
	rcu_read_unlock();

	if (unlikely(map != KVM_VMI_WRITE_ALL) && kvm_vmi_is_open(vmi, gfn, gfn))
		map = KVM_VMI_WRITE_ALL;
	return map;
}

/**
 * kvm_vmi_find_gap - the frames around @gfn that no rule claims and none shares
 * @vmi: the VM
 * @gfn: the frame
 * @ret: filled if it is such a frame, and if the map is not being changed
 *
 * Context: any
 */
bool kvm_vmi_find_gap(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_gap *ret)
{
	struct maple_tree *trees[KVM_VMI_NR_LAYERS + 1] = { &vmi->aliases };
	/* Pairs with kvm_vmi_map_seq_inc(): whoever reads it sees the maps as of then. */
	struct kvm_vmi_gap gap = { 0, ULONG_MAX, smp_load_acquire(&vmi->map_seq) };
	unsigned int i;

	if (gap.seq & 1)
		return false;
	for (i = 0; i < KVM_VMI_NR_LAYERS; i++)
		trees[i + 1] = &vmi->layers[i].map;

	guard(rcu)();
	for (i = 0; i < ARRAY_SIZE(trees); i++) {
		struct ma_state mas;

		if (mtree_empty(trees[i]))
			continue;
		mas_init(&mas, trees[i], gfn);
		if (mas_walk(&mas))
			return false;
		gap.first = max(gap.first, mas.index);
		gap.last = min(gap.last, mas.last);
	}
	*ret = gap;
	return true;
}

bool __kvm_vmi_may_write(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	lockdep_assert_held(&vcpu->kvm->mmu_lock);
	return kvm_vmi_find_gap(vmi, gfn, &vcpu->arch.vmi.gap) ||
	       kvm_vmi_write_map(vmi, gfn) == KVM_VMI_WRITE_ALL ||
	       kvm_vmi_step_may_write(vcpu, gfn);
}

/* Runs that are looked at before a huge page is given up. */
#define KVM_VMI_HUGE_RUNS	16

/* Are all these frames fully writable, or all not at all, by this layer? */
static bool kvm_vmi_uniform(struct kvm_vmi_layer *layer, u64 first, u64 last)
{
	u64 gfn = first, run_first, run_last;
	unsigned int runs = 0;
	bool any = false;
	u32 map = 0;
	void *entry;

	while (gfn <= last && kvm_vmi_map_next(layer, gfn, &run_first, &run_last, &entry) &&
	       run_first <= last) {
		u32 run = kvm_vmi_run_map(layer, entry);

		/* The gap before, or after the last run, is fully writable. */
		if (run_first > gfn && any && map != KVM_VMI_WRITE_ALL)
			return false;
		if (run_first > gfn) {
			any = true;
			map = KVM_VMI_WRITE_ALL;
		}
		if ((run && run != KVM_VMI_WRITE_ALL) || (any && run != map) ||
		    ++runs > KVM_VMI_HUGE_RUNS)
			return false;
		any = true;
		map = run;
		gfn = run_last + 1;
	}
	return gfn > last || !any || map == KVM_VMI_WRITE_ALL;
}

/*
 * A huge page may map frames that all have the same page-granular right.  Its
 * SPTE takes its rights from the frame it is built for, so this is the one place
 * that may say so.
 */
static bool kvm_vmi_hugepage_allowed(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	bool allowed = true;
	unsigned int l;

	rcu_read_lock();
	for (l = 0; l < KVM_VMI_NR_LAYERS && allowed; l++)
		allowed = mtree_empty(&vmi->layers[l].map) ||
			  kvm_vmi_uniform(&vmi->layers[l], first, last);
	if (allowed)
		allowed = !kvm_vmi_has_alias(vmi, first, last) &&
			  !kvm_vmi_is_open(vmi, first, last) &&
			  !kvm_vmi_is_stepped(vmi, first, last);
	rcu_read_unlock();
	return allowed;
}

int __kvm_vmi_max_level(struct kvm *kvm, const struct kvm_page_fault *fault, gfn_t gfn,
			int level)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;

	lockdep_assert_held(&kvm->mmu_lock);
	for (; level > PG_LEVEL_4K; level--) {
		gfn_t first = gfn_round_for_level(gfn, level);
		gfn_t last = first + KVM_PAGES_PER_HPAGE(level) - 1;

		if (fault && fault->vmi_gap &&
		    kvm_vmi_in_gap(vmi, fault->vmi_gap, first, last))
			break;
		if (kvm_vmi_hugepage_allowed(vmi, first, last))
			break;
	}
	return level;
}
