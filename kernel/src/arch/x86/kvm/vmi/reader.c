// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the access map's one reader, which merges
 * rules, layers and aliases.
 *
 * Most of a guest lies in long runs of frames that are all alike: that no rule claims, or
 * that one does whose rights are of whole pages.  A vCPU remembers the one it was last in,
 * and the sequence number of the map tells whether it still is: then nothing need be looked
 * up.
 */
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/internal.h"

#define KVM_VMI_ACCESS_ALL \
	((struct kvm_vmi_access){ .write = KVM_VMI_WRITE_ALL, .rights = KVM_VMI_RIGHT_ALL })

static bool kvm_vmi_is_all(struct kvm_vmi_access access)
{
	return access.write == KVM_VMI_WRITE_ALL && access.rights == KVM_VMI_RIGHT_ALL;
}

/* What the rules in force of one layer let be done to the frames of a run. */
static void kvm_vmi_merge_run(struct kvm_vmi_layer *layer, void *entry,
			      struct kvm_vmi_access *access)
{
	const struct kvm_vmi_owner *owners;
	struct kvm_vmi_owner one;
	u32 i, nr = kvm_vmi_map_peek_owners(entry, &one, &owners);

	for (i = 0; i < nr; i++) {
		if (!kvm_vmi_rule_armed(layer, owners[i].rule))
			continue;
		access->write &= owners[i].write;
		access->rights &= owners[i].rights;
	}
}

static bool kvm_vmi_merge_layers(struct kvm_vmi *vmi, gfn_t gfn, void *arg)
{
	unsigned int l;

	for (l = 0; l < KVM_VMI_NR_LAYERS; l++)
		if (!mtree_empty(&vmi->layers[l].map))
			kvm_vmi_merge_run(&vmi->layers[l], mtree_load(&vmi->layers[l].map, gfn),
					  arg);
	return true;
}

/* What the rules in force of all layers let be written of @gfn, aliases aside.  RCU. */
u32 kvm_vmi_layers_map(struct kvm_vmi *vmi, gfn_t gfn)
{
	struct kvm_vmi_access access = KVM_VMI_ACCESS_ALL;

	kvm_vmi_merge_layers(vmi, gfn, &access);
	return access.write;
}

/**
 * kvm_vmi_access - what may be done to a frame
 * @vmi: the VM, with kvm->srcu or slots_lock held
 * @gfn: the frame
 *
 * The stricter right of all rules in force, layers and aliases, but for what is open.
 * Context: any
 */
struct kvm_vmi_access kvm_vmi_access(struct kvm_vmi *vmi, gfn_t gfn)
{
	struct kvm_vmi_access access = KVM_VMI_ACCESS_ALL;
	unsigned int open;

	rcu_read_lock();
	kvm_vmi_merge_layers(vmi, gfn, &access);
	kvm_vmi_walk_aliases(vmi, gfn, kvm_vmi_merge_layers, &access);
	rcu_read_unlock();

	open = likely(kvm_vmi_is_all(access)) ? 0 : kvm_vmi_opened(vmi, gfn);
	if (open & KVM_VMI_OPEN_WRITE)
		access.write = KVM_VMI_WRITE_ALL;
	/* Nothing can be writable and not readable. */
	if (open & (KVM_VMI_OPEN_READ | KVM_VMI_OPEN_WRITE))
		access.rights |= KVM_VMI_RIGHT_READ;
	if (open & KVM_VMI_OPEN_KERNEL)
		access.rights |= KVM_VMI_RIGHT_EXEC_KERNEL;
	if (open & KVM_VMI_OPEN_USER)
		access.rights |= KVM_VMI_RIGHT_EXEC_USER;
	return access;
}

/* The sub-pages of a frame that may be written.  As kvm_vmi_access(). */
u32 kvm_vmi_write_map(struct kvm_vmi *vmi, gfn_t gfn)
{
	return kvm_vmi_access(vmi, gfn).write;
}

/* Has the frame all of these KVM_VMI_RIGHT_*?  As kvm_vmi_access(). */
bool kvm_vmi_lets(struct kvm_vmi *vmi, gfn_t gfn, u32 right)
{
	return !(~kvm_vmi_access(vmi, gfn).rights & right);
}

/* What a tree has for @gfn; @run shrinks to the frames for which it has the same.  RCU. */
static void *kvm_vmi_find_entry(struct maple_tree *tree, gfn_t gfn, struct kvm_vmi_run *run)
{
	struct ma_state mas;
	void *entry;

	if (mtree_empty(tree))
		return NULL;
	mas_init(&mas, tree, gfn);
	entry = mas_walk(&mas);
	run->first = max(run->first, mas.index);
	run->last = min(run->last, mas.last);
	return entry;
}

/**
 * kvm_vmi_find_run - the frames around @gfn that may be written, with the same rights
 * @vmi: the VM
 * @gfn: the frame
 * @ret: filled if it is such a frame, which no other frame shares, and the map is not being
 *	changed
 *
 * Context: any
 */
bool kvm_vmi_find_run(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_run *ret)
{
	/* Pairs with kvm_vmi_map_seq_inc(): whoever reads it sees the maps as of then. */
	struct kvm_vmi_run run = { 0, ULONG_MAX, smp_load_acquire(&vmi->map_seq) };
	struct kvm_vmi_access access = KVM_VMI_ACCESS_ALL;
	unsigned int l;
	void *entry;

	if (run.seq & 1)
		return false;

	guard(rcu)();
	if (kvm_vmi_find_entry(&vmi->aliases, gfn, &run))
		return false;
	for (l = 0; l < KVM_VMI_NR_LAYERS; l++) {
		entry = kvm_vmi_find_entry(&vmi->layers[l].map, gfn, &run);
		if (entry)
			kvm_vmi_merge_run(&vmi->layers[l], entry, &access);
	}
	if (access.write != KVM_VMI_WRITE_ALL ||
	    (access.rights != KVM_VMI_RIGHT_ALL && !kvm_vmi_is_closed(vmi, gfn, &run)))
		return false;
	run.rights = access.rights;
	*ret = run;
	return true;
}

/**
 * kvm_vmi_restrict - what a SPTE may let be done
 * @vcpu: the vCPU
 * @role: of the page table
 * @gfn: what it maps
 * @access: ACC_*, as far as others let it
 * @ret_may_write: may the frame be written, even if @access does not say so?
 *
 * Context: mmu_lock
 * Return: ACC_*
 */
unsigned int kvm_vmi_restrict(struct kvm_vcpu *vcpu, union kvm_mmu_page_role role, gfn_t gfn,
			      unsigned int access, bool *ret_may_write)
{
	struct kvm_vmi_run *run = &vcpu->arch.vmi.data;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_access may;

	lockdep_assert_held(&vcpu->kvm->mmu_lock);
	*ret_may_write = true;
	if (kvm_vmi_in_run(vmi, run, gfn, gfn) || kvm_vmi_find_run(vmi, gfn, run))
		return kvm_vmi_restrict_rights(role, run->rights, access);
	may = kvm_vmi_access(vmi, gfn);
	if (may.write != KVM_VMI_WRITE_ALL &&
	    !(may.rights & KVM_VMI_RIGHT_READ && kvm_vmi_step_may_write(vcpu, gfn))) {
		*ret_may_write = false;
		access &= ~ACC_WRITE_MASK;
	}
	return kvm_vmi_restrict_rights(role, may.rights, access);
}

/* For an SPTE that a huge one is split into.  mmu_lock. */
unsigned int __kvm_vmi_restrict_split(struct kvm *kvm, union kvm_mmu_page_role role, gfn_t gfn,
				      unsigned int access)
{
	lockdep_assert_held(&kvm->mmu_lock);
	return kvm_vmi_restrict_rights(role, kvm_vmi_access(kvm->arch.vmi, gfn).rights, access);
}

/* Runs that are looked at before a huge page is given up. */
#define KVM_VMI_HUGE_RUNS	16

/* Are all these frames fully writable, or all not at all, with the same rights, here? */
static bool kvm_vmi_uniform(struct kvm_vmi_layer *layer, u64 first, u64 last)
{
	struct kvm_vmi_access all = {}, run;
	u64 gfn = first, run_first, run_last;
	unsigned int runs = 0;
	bool any = false;
	void *entry;

	while (gfn <= last && kvm_vmi_map_next(layer, gfn, &run_first, &run_last, &entry) &&
	       run_first <= last) {
		/* The gap before, or after the last run, is not restricted. */
		if (run_first > gfn && any && !kvm_vmi_is_all(all))
			return false;
		if (run_first > gfn) {
			any = true;
			all = KVM_VMI_ACCESS_ALL;
		}
		run = KVM_VMI_ACCESS_ALL;
		kvm_vmi_merge_run(layer, entry, &run);
		if ((run.write && run.write != KVM_VMI_WRITE_ALL) ||
		    (any && (run.write != all.write || run.rights != all.rights)) ||
		    ++runs > KVM_VMI_HUGE_RUNS)
			return false;
		any = true;
		all = run;
		gfn = run_last + 1;
	}
	return gfn > last || !any || kvm_vmi_is_all(all);
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
			  !kvm_vmi_any_open(vmi, first, last) &&
			  !kvm_vmi_is_stepped(vmi, first, last);
	rcu_read_unlock();
	return allowed;
}

int __kvm_vmi_max_level(struct kvm *kvm, const struct kvm_page_fault *fault, gfn_t gfn,
			int level)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;

	lockdep_assert_held(&kvm->mmu_lock);
	/* Who makes a huge page of small ones has no fault that would be stale. */
	if (!fault && READ_ONCE(vmi->map_seq) & 1)
		return PG_LEVEL_4K;
	for (; level > PG_LEVEL_4K; level--) {
		gfn_t first = gfn_round_for_level(gfn, level);
		gfn_t last = first + KVM_PAGES_PER_HPAGE(level) - 1;

		if (fault && fault->vmi_run &&
		    kvm_vmi_in_run(vmi, fault->vmi_run, first, last))
			break;
		if (kvm_vmi_hugepage_allowed(vmi, first, last))
			break;
	}
	return level;
}
