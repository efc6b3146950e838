// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the storage of one layer's rights.
 *
 * A maple tree maps runs of L1 guest frames to entries.  A run that one rule
 * claims is a value: 32 sub-page write bits, the rights, the rule's id.  A run
 * that several rules claim points to a counted list of owners, sorted by rule
 * id.  Readers walk under RCU, in any context; writers hold kvm_vmi.lock and
 * may sleep.
 *
 * A change is made run by run with the old entries kept aside: storing them
 * back may allocate but not fail, so a batch is applied whole or not at all.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "vmi/internal.h"
#include "vmi/trace.h"

/* Of one layer, 32 bytes each at worst. */
#define KVM_VMI_MAX_RUNS	SZ_4M

/* A page is charged for as many; nodes that are half empty included. */
#define KVM_VMI_PLEDGE_RUNS	32

/* Value entries; bit 35 is reserved for a right of the whole page. */
#define KVM_VMI_ENTRY_RIGHTS_SHIFT	32
#define KVM_VMI_ENTRY_RIGHTS_BITS	4
#define KVM_VMI_ENTRY_RULE_SHIFT	36
#define KVM_VMI_ENTRY_RULE_BITS		24

/* xa_mk_value() holds BITS_PER_LONG - 1 bits. */
static_assert(KVM_VMI_ENTRY_RIGHTS_SHIFT + KVM_VMI_ENTRY_RIGHTS_BITS ==
	      KVM_VMI_ENTRY_RULE_SHIFT);
static_assert(KVM_VMI_ENTRY_RULE_SHIFT + KVM_VMI_ENTRY_RULE_BITS <= BITS_PER_LONG - 1);
static_assert(KVM_VMI_RULE_ID_MAX == (1U << KVM_VMI_ENTRY_RULE_BITS) - 1);
static_assert(KVM_VMI_RIGHT_ALL < 1U << KVM_VMI_ENTRY_RIGHTS_BITS);

/**
 * struct kvm_vmi_owners - the rules that claim a run, immutable
 * @refs: runs of the tree and undo records that point here
 * @rcu: freed after readers
 * @nr: owners, 2 to %KVM_VMI_MAX_OWNERS
 * @owner: sorted by rule id
 */
struct kvm_vmi_owners {
	unsigned long refs;
	struct rcu_head rcu;
	unsigned int nr;
	struct kvm_vmi_owner owner[] __counted_by(nr);
};

static void *kvm_vmi_entry_value(const struct kvm_vmi_owner *o)
{
	return xa_mk_value((u64)o->rule << KVM_VMI_ENTRY_RULE_SHIFT |
			   (u64)o->rights << KVM_VMI_ENTRY_RIGHTS_SHIFT | o->write);
}

static void kvm_vmi_entry_parse(void *entry, struct kvm_vmi_owner *o)
{
	u64 value = xa_to_value(entry);

	o->rule = value >> KVM_VMI_ENTRY_RULE_SHIFT;
	o->rights = value >> KVM_VMI_ENTRY_RIGHTS_SHIFT & KVM_VMI_RIGHT_ALL;
	o->write = value;
}

/**
 * kvm_vmi_map_entry_owners - who claims a run
 * @entry: from the tree, or NULL
 * @owners: filled, room for %KVM_VMI_MAX_OWNERS
 *
 * Context: RCU, or kvm_vmi.lock
 * Return: how many
 */
u32 kvm_vmi_map_entry_owners(void *entry, struct kvm_vmi_owner *owners)
{
	struct kvm_vmi_owners *list = entry;

	if (!entry)
		return 0;
	if (xa_is_value(entry)) {
		kvm_vmi_entry_parse(entry, owners);
		return 1;
	}
	memcpy(owners, list->owner, list->nr * sizeof(*owners));
	return list->nr;
}

/**
 * kvm_vmi_map_peek_owners - who claims a run, without copying them
 * @entry: from the tree, or NULL
 * @one: room for the owner that a value stands for
 * @ret: the owners, sorted by rule id, valid as long as @entry
 *
 * Context: RCU, or kvm_vmi.lock
 * Return: how many
 */
u32 kvm_vmi_map_peek_owners(void *entry, struct kvm_vmi_owner *one,
			    const struct kvm_vmi_owner **ret)
{
	struct kvm_vmi_owners *list = entry;

	*ret = one;
	if (!entry)
		return 0;
	if (xa_is_value(entry)) {
		kvm_vmi_entry_parse(entry, one);
		return 1;
	}
	*ret = list->owner;
	return list->nr;
}

static void kvm_vmi_entry_get(void *entry, unsigned long n)
{
	if (entry && !xa_is_value(entry))
		((struct kvm_vmi_owners *)entry)->refs += n;
}

static void kvm_vmi_entry_put(void *entry, unsigned long n)
{
	struct kvm_vmi_owners *list = entry;

	if (!entry || xa_is_value(entry) || !n)
		return;
	list->refs -= n;
	if (!list->refs)
		kfree_rcu(list, rcu);
}

/*
 * What a run's entry becomes when @new->rule claims it, or gives its claim up.
 * The result comes with a reference; @entry itself if nothing changes.
 */
static void *kvm_vmi_entry_change(void *entry, const struct kvm_vmi_owner *new, bool set)
{
	struct kvm_vmi_owner owners[KVM_VMI_MAX_OWNERS + 1] __uninitialized;
	struct kvm_vmi_owners *list;
	bool found;
	u32 i, nr;

	/* The common case: nobody else claims the run. */
	if (!entry)
		return set ? kvm_vmi_entry_value(new) : NULL;
	if (xa_is_value(entry)) {
		kvm_vmi_entry_parse(entry, owners);
		if (owners[0].rule == new->rule)
			return set ? kvm_vmi_entry_value(new) : NULL;
	}

	nr = kvm_vmi_map_entry_owners(entry, owners);
	for (i = 0; i < nr && owners[i].rule < new->rule; i++)
		;
	found = i < nr && owners[i].rule == new->rule;

	if (set && found) {
		if (owners[i].write == new->write && owners[i].rights == new->rights)
			goto same;
		owners[i] = *new;
	} else if (set) {
		if (nr == KVM_VMI_MAX_OWNERS)
			return ERR_PTR(-ENOSPC);
		memmove(&owners[i + 1], &owners[i], (nr - i) * sizeof(*owners));
		owners[i] = *new;
		nr++;
	} else if (found) {
		nr--;
		memmove(&owners[i], &owners[i + 1], (nr - i) * sizeof(*owners));
	} else {
		goto same;
	}

	if (!nr)
		return NULL;
	if (nr == 1)
		return kvm_vmi_entry_value(&owners[0]);

	list = kmalloc(struct_size(list, owner, nr), GFP_KERNEL_ACCOUNT);
	if (!list)
		return ERR_PTR(-ENOMEM);
	list->refs = 1;
	list->nr = nr;
	memcpy(list->owner, owners, nr * sizeof(*owners));
	return list;

same:
	kvm_vmi_entry_get(entry, 1);
	return entry;
}

/**
 * kvm_vmi_store_nofail - store what must not be lost
 * @mas: where, the tree's lock held
 * @entry: what
 *
 * May dip into reserves.  The slab allocator's own bookkeeping does not heed
 * __GFP_NOFAIL (alloc_empty_sheaf()), so it may take more than one attempt.
 * Context: sleeps
 */
void kvm_vmi_store_nofail(struct ma_state *mas, void *entry)
{
	u64 first = mas->index, last = mas->last;

	while (mas_store_gfp(mas, entry, GFP_KERNEL_ACCOUNT | __GFP_NOFAIL)) {
		cond_resched();
		mas_set_range(mas, first, last);
	}
}

/* A page of memory that is charged and not used. */
struct kvm_vmi_pledge {
	struct kvm_vmi_pledge *next;
};

static void kvm_vmi_release(struct kvm_vmi_layer *layer, unsigned long runs)
{
	while (layer->nr_pledged > DIV_ROUND_UP(runs, KVM_VMI_PLEDGE_RUNS)) {
		struct kvm_vmi_pledge *p = layer->pledged;

		layer->pledged = p->next;
		layer->nr_pledged--;
		free_page((unsigned long)p);
		cond_resched();
	}
}

/*
 * The slab allocator charges nobody for the nodes of a tree, as these come from a
 * sheaf.  A VMM needs no privilege to have as many as it likes of them, in as many
 * VMs as it likes: let it pay for pages of the same size.  -ENOMEM if it cannot.
 */
static int kvm_vmi_pledge(struct kvm_vmi_layer *layer, unsigned long runs)
{
	while (layer->nr_pledged < DIV_ROUND_UP(runs, KVM_VMI_PLEDGE_RUNS)) {
		struct kvm_vmi_pledge *p = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);

		if (!p)
			return -ENOMEM;
		p->next = layer->pledged;
		layer->pledged = p;
		layer->nr_pledged++;
	}
	return 0;
}

/*
 * Store @entry over [lo, hi], which lies within one run [first, last] of @old.
 * The tree takes references of its own.  -ENOMEM or -ENOSPC, but not @nofail.
 */
static int kvm_vmi_map_store(struct kvm_vmi_layer *layer, struct ma_state *mas,
			     u64 first, u64 last, void *old, u64 lo, u64 hi, void *entry,
			     bool nofail)
{
	unsigned long rest = (first < lo) + (last > hi);
	long more = !!entry + (old ? (long)rest - 1 : 0);
	int r = 0;

	/* Maple nodes are charged to nobody, so there is an end to them. */
	if (more > 0 && layer->nr_runs + more > KVM_VMI_MAX_RUNS && !nofail)
		return -ENOSPC;
	if (more > 0 && layer->charged && !nofail) {
		r = kvm_vmi_pledge(layer, layer->nr_runs + more);
		if (r)
			return r;
	}

	kvm_vmi_entry_get(entry, 1);
	kvm_vmi_entry_get(old, rest);

	/* From the node where the run was found, which is mostly where it goes. */
	if (mas_is_active(mas))
		__mas_set_range(mas, lo, hi);
	else
		mas_set_range(mas, lo, hi);
	if (nofail)
		kvm_vmi_store_nofail(mas, entry);
	else
		r = mas_store_gfp(mas, entry, GFP_KERNEL_ACCOUNT);
	if (r) {
		kvm_vmi_entry_put(old, rest);
		kvm_vmi_entry_put(entry, 1);
		return r;
	}
	kvm_vmi_entry_put(old, 1);
	layer->nr_runs += more;
	/* A page is kept back, so that a run that comes and goes moves none. */
	kvm_vmi_release(layer, layer->nr_runs + KVM_VMI_PLEDGE_RUNS);
	return 0;
}

static int kvm_vmi_change_add(struct kvm_vmi_change *change, u64 first, u64 last, void *entry)
{
	if (change->nr == change->max) {
		unsigned int max = max(64U, change->max * 2);
		struct kvm_vmi_undo *undo;

		undo = kvmalloc_array(max, sizeof(*undo), GFP_KERNEL_ACCOUNT);
		if (!undo)
			return -ENOMEM;
		if (change->nr)
			memcpy(undo, change->undo, change->nr * sizeof(*undo));
		kvfree(change->undo);
		change->undo = undo;
		change->max = max;
	}
	kvm_vmi_entry_get(entry, 1);
	change->undo[change->nr++] = (struct kvm_vmi_undo){ first, last, entry };
	return 0;
}

/**
 * kvm_vmi_map_apply - one item of a batch
 * @vmi: the VM, locked, its layer bracketed by an MMU invalidation
 * @layer: where
 * @change: records what was there
 * @range: whose claim on what; checked
 * @set: claim, else give up
 *
 * Return: 0, -ENOMEM, -ENOSPC (too many rules on a frame, or runs); on failure
 * the caller rolls @change back
 */
int kvm_vmi_map_apply(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
		      struct kvm_vmi_change *change, const struct kvm_vmi_range *range,
		      bool set)
{
	struct kvm_vmi_owner new = {
		.rule = range->rule,
		.write = range->write,
		.rights = range->rights,
	};
	u64 cur = range->gfn, end = range->gfn + range->nr - 1;
	struct ma_state mas;
	int r;

	lockdep_assert_held(&vmi->lock);
	mas_init(&mas, &layer->map, cur);

	/* A claim that restricts nothing is none. */
	if (new.write == KVM_VMI_WRITE_ALL && new.rights == KVM_VMI_RIGHT_ALL)
		set = false;

	while (cur <= end) {
		u64 first, last, hi;
		void *old, *entry;

		mas_set(&mas, cur);
		old = mas_walk(&mas);
		first = mas.index;
		last = mas.last;
		hi = min(last, end);

		entry = kvm_vmi_entry_change(old, &new, set);
		if (IS_ERR(entry))
			return PTR_ERR(entry);
		if (entry != old) {
			r = kvm_vmi_change_add(change, cur, hi, old);
			if (!r) {
				r = kvm_vmi_map_store(layer, &mas, first, last, old, cur, hi,
						      entry, false);
				if (r)
					kvm_vmi_entry_put(change->undo[--change->nr].entry, 1);
			}
			if (r) {
				kvm_vmi_entry_put(entry, 1);
				return r;
			}
		}
		kvm_vmi_entry_put(entry, 1);
		if (hi == U64_MAX)
			break;
		cur = hi + 1;
		cond_resched();
	}
	return 0;
}

void kvm_vmi_change_commit(struct kvm_vmi_change *change)
{
	unsigned int i;

	for (i = 0; i < change->nr; i++)
		kvm_vmi_entry_put(change->undo[i].entry, 1);
	kvfree(change->undo);
}

/*
 * The rights are as they were.  A run that the change has cut stays in pieces,
 * which count as runs.
 */
void kvm_vmi_change_rollback(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
			     struct kvm_vmi_change *change)
{
	struct ma_state mas;

	lockdep_assert_held(&vmi->lock);
	mas_init(&mas, &layer->map, 0);

	while (change->nr) {
		struct kvm_vmi_undo *undo = &change->undo[--change->nr];
		u64 cur = undo->first;

		/* Later items of the batch may have cut what was stored here. */
		for (;;) {
			u64 first, last, hi;
			void *old;

			mas_set(&mas, cur);
			old = mas_walk(&mas);
			first = mas.index;
			last = mas.last;
			hi = min(last, undo->last);
			kvm_vmi_map_store(layer, &mas, first, last, old, cur, hi, undo->entry,
					  true);
			if (hi == undo->last)
				break;
			cur = hi + 1;
		}
		kvm_vmi_entry_put(undo->entry, 1);
	}
	kvfree(change->undo);
}

/**
 * kvm_vmi_map_next - the first run at or after a frame
 * @layer: where
 * @gfn: from here on
 * @ret_first: its first frame, possibly before @gfn
 * @ret_last: its last frame
 * @ret_entry: its entry
 *
 * Context: RCU, or kvm_vmi.lock
 * Return: false at the end
 */
bool kvm_vmi_map_next(struct kvm_vmi_layer *layer, u64 gfn, u64 *ret_first, u64 *ret_last,
		      void **ret_entry)
{
	struct ma_state mas;
	void *entry;

	mas_init(&mas, &layer->map, gfn);
	entry = mas_find(&mas, ULONG_MAX);
	if (!entry)
		return false;
	*ret_first = mas.index;
	*ret_last = mas.last;
	*ret_entry = entry;
	return true;
}

/**
 * kvm_vmi_map_get - claims as the owner of the layer would set them
 * @layer: where, locked
 * @gfn: from the run at or after this frame on
 * @ranges: filled, one item per run and owner
 * @nr: room in @ranges, at least %KVM_VMI_MAX_OWNERS
 *
 * Return: how many; only whole runs, 0 at the end
 */
int kvm_vmi_map_get(struct kvm_vmi_layer *layer, u64 gfn, struct kvm_vmi_range *ranges,
		    unsigned int nr)
{
	struct kvm_vmi_owner owners[KVM_VMI_MAX_OWNERS];
	u64 first, last;
	unsigned int n = 0;
	void *entry;

	while (kvm_vmi_map_next(layer, gfn, &first, &last, &entry)) {
		u32 i, count = kvm_vmi_map_entry_owners(entry, owners);

		if (n + count > nr)
			break;
		for (i = 0; i < count; i++)
			ranges[n++] = (struct kvm_vmi_range){
				.gfn = first,
				.nr = last - first + 1,
				.rule = owners[i].rule,
				.write = owners[i].write,
				.rights = owners[i].rights,
			};
		if (last == U64_MAX)
			break;
		gfn = last + 1;
	}
	return n;
}

/*
 * As mm's trees.  Without ALLOC_RANGE a middle node keeps its metadata in the
 * last of its slots, and mt_free_walk() and mas_topiary_replace() take that of
 * a node with 15 children for one more child.
 */
#define KVM_VMI_TREE_FLAGS	(MT_FLAGS_ALLOC_RANGE | MT_FLAGS_USE_RCU | MT_FLAGS_LOCK_EXTERN)

void kvm_vmi_map_init(struct kvm_vmi *vmi)
{
	unsigned int i;

	for (i = 0; i < KVM_VMI_NR_LAYERS; i++) {
		struct kvm_vmi_layer *layer = &vmi->layers[i];

		mt_init_flags(&layer->map, KVM_VMI_TREE_FLAGS);
		mt_set_external_lock(&layer->map, &vmi->lock);
		xa_init_flags(&layer->rules, XA_FLAGS_ACCOUNT);
		layer->charged = i == KVM_VMI_LAYER_VMM;
	}
	mt_init_flags(&vmi->aliases, KVM_VMI_TREE_FLAGS);
	mt_set_external_lock(&vmi->aliases, &vmi->lock);
	/* A vCPU begins with 0: it knows of no run. */
	vmi->map_seq = 2;
}

void kvm_vmi_map_destroy(struct kvm_vmi *vmi)
{
	u64 first, last, gfn;
	unsigned int i;
	void *entry;

	mutex_lock(&vmi->lock);
	for (i = 0; i < KVM_VMI_NR_LAYERS; i++) {
		struct kvm_vmi_layer *layer = &vmi->layers[i];

		for (gfn = 0; kvm_vmi_map_next(layer, gfn, &first, &last, &entry);
		     gfn = last + 1) {
			kvm_vmi_entry_put(entry, 1);
			if (last == U64_MAX)
				break;
			cond_resched();
		}
		/* No reader is left. */
		mt_clear_in_rcu(&layer->map);
		__mt_destroy(&layer->map);
		kvm_vmi_release(layer, 0);
		kvm_vmi_rules_destroy(layer);
	}
	mt_clear_in_rcu(&vmi->aliases);
	__mt_destroy(&vmi->aliases);
	mutex_unlock(&vmi->lock);
}
