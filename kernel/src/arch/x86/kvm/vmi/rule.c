// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the rule table, and which rule speaks for
 * an access that several forbid.
 */
#include <linux/slab.h>

#include "vmi/internal.h"

/* Longest deadline that a rule may ask for, milliseconds. */
#define KVM_VMI_DEADLINE_MS_MAX		10000

/* The strictest rule owning a denied byte speaks: kill > exit > hold > deny > skip > allow. */
static const u8 kvm_vmi_strictness[KVM_VMI_NR_VERDICTS] = {
	[KVM_VMI_ALLOW] = 1,
	[KVM_VMI_SKIP] = 2,
	[KVM_VMI_DENY] = 3,
	[KVM_VMI_HOLD] = 4,
	[KVM_VMI_EXIT] = 5,
	[KVM_VMI_KILL] = 6,
};

static int kvm_vmi_rule_check(const struct kvm_vmi_rule *r)
{
	const u32 either = KVM_VMI_RULE_UPDATE | KVM_VMI_RULE_DISARMED;
	unsigned int i;

	if (!r->id || r->id > KVM_VMI_RULE_ID_MAX || r->flags & ~KVM_VMI_RULE_FLAGS ||
	    r->on_reset > KVM_VMI_RESET_KILL || r->deadline_ms > KVM_VMI_DEADLINE_MS_MAX ||
	    memchr_inv(r->reserved, 0, sizeof(r->reserved)) || r->reserved2 ||
	    (r->flags & either) == either)
		return -EINVAL;

	for (i = 0; i < KVM_VMI_NR_ACTIONS; i++) {
		switch (r->action[i]) {
		case KVM_VMI_DEFAULT:
		case KVM_VMI_DENY:
		case KVM_VMI_ALLOW:
		case KVM_VMI_KILL:
			break;
		case KVM_VMI_SKIP:
			if (i != KVM_VMI_ACTION_WRITE)
				return -EINVAL;
			break;
		case KVM_VMI_EXIT:
			if (i != KVM_VMI_ACTION_WRITE)
				return -EOPNOTSUPP;
			break;
		case KVM_VMI_HOLD:
			return -EOPNOTSUPP;
		default:
			return -EINVAL;
		}
	}

	switch (r->dflt) {
	case KVM_VMI_DEFAULT:
	case KVM_VMI_DENY:
	case KVM_VMI_ALLOW:
	case KVM_VMI_KILL:
		return 0;
	default:
		return -EINVAL;
	}
}

/**
 * kvm_vmi_rules_check - are these rules well formed?
 * @rules: a private copy of what the caller gave
 * @nr: how many
 *
 * Return: 0, -EINVAL, -EOPNOTSUPP
 */
int kvm_vmi_rules_check(const struct kvm_vmi_rule *rules, unsigned int nr)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < nr && !r; i++)
		r = kvm_vmi_rule_check(&rules[i]);
	return r;
}

static void kvm_vmi_rule_fill(struct kvm_vmi_rule_entry *e, const struct kvm_vmi_rule *r)
{
	u32 flags = r->flags;
	unsigned int i;

	if (flags & KVM_VMI_RULE_UPDATE) {
		flags &= ~KVM_VMI_RULE_UPDATE;
		flags |= e->flags & KVM_VMI_RULE_DISARMED;
	}
	e->id = r->id;
	for (i = 0; i < KVM_VMI_NR_ACTIONS; i++)
		WRITE_ONCE(e->action[i], r->action[i] ?: KVM_VMI_DENY);
	WRITE_ONCE(e->dflt, r->dflt ?: KVM_VMI_DENY);
	WRITE_ONCE(e->on_reset, r->on_reset);
	WRITE_ONCE(e->deadline_ms, r->deadline_ms);
	WRITE_ONCE(e->cookie, r->cookie);
	WRITE_ONCE(e->flags, flags);
}

/**
 * kvm_vmi_rules_set - create rules or replace their parameters
 * @vmi: the VM, locked
 * @layer: whose
 * @rules: checked
 * @nr: how many
 *
 * New rules first, taken back if one fails; then what cannot fail.
 * Return: 0, -ENOSPC, -ENOMEM
 */
int kvm_vmi_rules_set(struct kvm_vmi *vmi, struct kvm_vmi_layer *layer,
		      const struct kvm_vmi_rule *rules, unsigned int nr)
{
	struct kvm_vmi_rule_entry **fresh, *e;
	unsigned int i, added = 0;
	int r = 0;

	lockdep_assert_held(&vmi->lock);

	fresh = kvcalloc(nr, sizeof(*fresh), GFP_KERNEL_ACCOUNT);
	if (!fresh)
		return -ENOMEM;

	for (i = 0; i < nr; i++) {
		if (xa_load(&layer->rules, rules[i].id))
			continue;
		r = -ENOSPC;
		if (layer->nr_rules + added >= KVM_VMI_MAX_RULES)
			goto undo;
		r = -ENOMEM;
		e = kzalloc_obj(*e, GFP_KERNEL_ACCOUNT);
		if (!e)
			goto undo;
		kvm_vmi_rule_fill(e, &rules[i]);
		r = xa_err(xa_store(&layer->rules, e->id, e, GFP_KERNEL_ACCOUNT));
		if (r) {
			kfree(e);
			goto undo;
		}
		fresh[added++] = e;
	}

	WRITE_ONCE(layer->nr_rules, layer->nr_rules + added);
	for (i = 0; i < nr; i++) {
		e = xa_load(&layer->rules, rules[i].id);
		kvm_vmi_rule_fill(e, &rules[i]);
	}
	kvfree(fresh);
	return 0;

undo:
	/* No frame refers to a rule that did not exist. */
	while (added) {
		e = fresh[--added];
		xa_erase(&layer->rules, e->id);
		kfree_rcu(e, rcu);
	}
	kvfree(fresh);
	return r;
}

/**
 * kvm_vmi_rule_next - the rule with the lowest id above this one
 * @layer: whose, locked
 * @after: an id, 0 to begin
 * @info: filled
 *
 * Return: 0 or -ENOENT
 */
int kvm_vmi_rule_next(struct kvm_vmi_layer *layer, u32 after, struct kvm_vmi_rule_info *info)
{
	struct kvm_vmi_rule_entry *e;
	unsigned long id = after;

	e = xa_find_after(&layer->rules, &id, ULONG_MAX, XA_PRESENT);
	if (!e)
		return -ENOENT;

	memset(info, 0, sizeof(*info));
	info->rule.id = e->id;
	info->rule.flags = e->flags;
	memcpy(info->rule.action, e->action, sizeof(e->action));
	info->rule.dflt = e->dflt;
	info->rule.on_reset = e->on_reset;
	info->rule.deadline_ms = e->deadline_ms;
	info->rule.cookie = e->cookie;
	info->violations = atomic64_read(&e->counter[KVM_VMI_COUNT_VIOLATIONS]);
	info->denied = atomic64_read(&e->counter[KVM_VMI_COUNT_DENIED]);
	info->allowed = atomic64_read(&e->counter[KVM_VMI_COUNT_ALLOWED]);
	info->skipped = atomic64_read(&e->counter[KVM_VMI_COUNT_SKIPPED]);
	info->bad_verdicts = atomic64_read(&e->counter[KVM_VMI_COUNT_BAD_VERDICTS]);
	info->unemulatable = atomic64_read(&e->counter[KVM_VMI_COUNT_UNEMULATABLE]);
	info->opened = atomic64_read(&e->counter[KVM_VMI_COUNT_OPENED]);
	info->kvm_writes = atomic64_read(&e->counter[KVM_VMI_COUNT_KVM_WRITES]);
	info->stepped = atomic64_read(&e->counter[KVM_VMI_COUNT_STEPPED]);
	info->granted = atomic64_read(&e->counter[KVM_VMI_COUNT_GRANTED]);
	return 0;
}

/* The rule is gone; no frame refers to it any more. */
void kvm_vmi_rule_erase(struct kvm_vmi_layer *layer, u32 id)
{
	struct kvm_vmi_rule_entry *e = xa_erase(&layer->rules, id);

	if (!e)
		return;
	WRITE_ONCE(layer->nr_rules, layer->nr_rules - 1);
	kfree_rcu(e, rcu);
}

void kvm_vmi_rules_destroy(struct kvm_vmi_layer *layer)
{
	struct kvm_vmi_rule_entry *e;
	unsigned long id;

	xa_for_each(&layer->rules, id, e)
		kfree_rcu(e, rcu);
	xa_destroy(&layer->rules);
}

/* Is this rule in force?  RCU. */
bool kvm_vmi_rule_armed(struct kvm_vmi_layer *layer, u32 id)
{
	struct kvm_vmi_rule_entry *e = xa_load(&layer->rules, id);

	return e && !(READ_ONCE(e->flags) & KVM_VMI_RULE_DISARMED);
}

/*
 * What a rule says about an access of this kind, KVM_VMI_ACTION_*; but for
 * &kvm_vmi_speaker.changes.  RCU.  False if it is disarmed.
 */
bool kvm_vmi_speaker_fill(struct kvm_vmi_speaker *s, const struct kvm_vmi_rule_entry *e,
			  unsigned int layer, unsigned int kind)
{
	s->flags = READ_ONCE(e->flags);
	if (s->flags & KVM_VMI_RULE_DISARMED)
		return false;
	s->rule = e->id;
	s->layer = layer;
	s->action = s->flags & KVM_VMI_RULE_MONITOR ? KVM_VMI_ALLOW : READ_ONCE(e->action[kind]);
	s->dflt = READ_ONCE(e->dflt);
	s->cookie = READ_ONCE(e->cookie);
	return true;
}

/* Does @a speak rather than @b, or is there no @b? */
bool kvm_vmi_stricter(const struct kvm_vmi_speaker *a, const struct kvm_vmi_speaker *b)
{
	if (!a->rule || !b->rule)
		return a->rule;
	/* The daemon's layer answers first; the VMM's is asked what that lets through. */
	if (a->layer != b->layer)
		return a->layer < b->layer;
	if (kvm_vmi_strictness[a->action] != kvm_vmi_strictness[b->action])
		return kvm_vmi_strictness[a->action] > kvm_vmi_strictness[b->action];
	return a->rule < b->rule;
}

/*
 * @mask: sub-pages that are written
 * @right: or the right that is used, KVM_VMI_RIGHT_*
 * @kind: KVM_VMI_ACTION_*
 * @legal: what can be carried out: another action counts as its rule's default; 0 to
 *	take actions as they are
 * @map: sub-pages that may be written
 */
struct kvm_vmi_search {
	unsigned int first_layer;
	unsigned int last_layer;
	u32 mask;
	u32 legal;
	u32 right;
	unsigned int kind;
	u32 map;
	struct kvm_vmi_speaker best;
};

static bool kvm_vmi_speaker_of(struct kvm_vmi *vmi, gfn_t gfn, void *arg)
{
	const struct kvm_vmi_owner *owners;
	struct kvm_vmi_owner one;
	struct kvm_vmi_search *search = arg;
	unsigned int l;

	for (l = search->first_layer; l <= search->last_layer; l++) {
		struct kvm_vmi_layer *layer = &vmi->layers[l];
		u32 i, nr;

		if (mtree_empty(&layer->map))
			continue;
		nr = kvm_vmi_map_peek_owners(mtree_load(&layer->map, gfn), &one, &owners);
		for (i = 0; i < nr; i++) {
			struct kvm_vmi_rule_entry *e;
			struct kvm_vmi_speaker s;

			e = xa_load(&layer->rules, owners[i].rule);
			if (!e || !kvm_vmi_speaker_fill(&s, e, l, search->kind))
				continue;
			search->map &= owners[i].write;
			if (!(~owners[i].write & search->mask) &&
			    !(~owners[i].rights & search->right))
				continue;
			if (search->legal && s.action != KVM_VMI_ALLOW &&
			    !(search->legal & BIT(s.action)))
				s.action = s.dflt;
			if (kvm_vmi_stricter(&s, &search->best))
				search->best = s;
		}
	}
	return true;
}

static u32 kvm_vmi_search(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_search *search,
			  struct kvm_vmi_speaker *ret)
{
	u64 changes = READ_ONCE(vmi->changes);

	search->map = KVM_VMI_WRITE_ALL;
	/* Pairs with kvm_vmi_end_change(). */
	smp_rmb();
	rcu_read_lock();
	kvm_vmi_speaker_of(vmi, gfn, search);
	kvm_vmi_walk_aliases(vmi, gfn, kvm_vmi_speaker_of, search);
	rcu_read_unlock();
	*ret = search->best;
	ret->changes = changes;
	return search->map;
}

/**
 * kvm_vmi_look - what may be written of a frame, and who says so
 * @vmi: the VM, with kvm->srcu held for its aliases
 * @gfn: the frame
 * @mask: sub-pages
 * @ret: the strictest rule in force that denies one of @mask; its rule is 0 if
 *	none does
 *
 * kvm_vmi_write_map(), open pages aside, and kvm_vmi_speaker() in one.
 * Context: any
 */
u32 kvm_vmi_look(struct kvm_vmi *vmi, gfn_t gfn, u32 mask, struct kvm_vmi_speaker *ret)
{
	struct kvm_vmi_search search = { 0, KVM_VMI_NR_LAYERS - 1, mask };

	return kvm_vmi_search(vmi, gfn, &search, ret);
}

/**
 * kvm_vmi_look_layer - the same of one layer alone
 * @vmi: the VM, with kvm->srcu held for its aliases
 * @layer: &enum kvm_vmi_layer_id
 * @gfn: the frame
 * @mask: sub-pages
 * @ret: the strictest rule in force of this layer that denies one of @mask; its rule
 *	is 0 if none does
 *
 * Verdicts are not merged across layers: what the rules of one let through is asked
 * of the next.
 * Context: any
 */
u32 kvm_vmi_look_layer(struct kvm_vmi *vmi, unsigned int layer, gfn_t gfn, u32 mask,
		       struct kvm_vmi_speaker *ret)
{
	struct kvm_vmi_search search = { layer, layer, mask };

	return kvm_vmi_search(vmi, gfn, &search, ret);
}

/**
 * kvm_vmi_look_right - who denies a right of a whole frame
 * @vmi: the VM, with kvm->srcu held for its aliases
 * @gfn: the frame
 * @right: KVM_VMI_RIGHT_*
 * @kind: KVM_VMI_ACTION_*
 * @ret: the strictest rule in force that does; its rule is 0 if none does
 *
 * Context: any
 * Return: does one?
 */
bool kvm_vmi_look_right(struct kvm_vmi *vmi, gfn_t gfn, u32 right, unsigned int kind,
			struct kvm_vmi_speaker *ret)
{
	struct kvm_vmi_search search = {
		.last_layer = KVM_VMI_NR_LAYERS - 1, .right = right, .kind = kind,
	};

	kvm_vmi_search(vmi, gfn, &search, ret);
	return ret->rule;
}

/**
 * kvm_vmi_lets_frame - would the rules of a layer let all of a frame be written, or read?
 * @vmi: the VM, with kvm->srcu held for its aliases
 * @layer: &enum kvm_vmi_layer_id
 * @gfn: the frame
 * @right: %KVM_VMI_RIGHT_READ, or 0: be written
 * @legal: verdicts that can be carried out, bits of &enum kvm_vmi_verdict
 *
 * By what each comes to in the end: a strict action that cannot be done may have a
 * mild default.
 */
bool kvm_vmi_lets_frame(struct kvm_vmi *vmi, unsigned int layer, gfn_t gfn, u32 right,
			u32 legal)
{
	struct kvm_vmi_search search = {
		.first_layer = layer,
		.last_layer = layer,
		.mask = right ? 0 : KVM_VMI_WRITE_ALL,
		.right = right,
		.kind = right ? KVM_VMI_ACTION_READ : KVM_VMI_ACTION_WRITE,
		.legal = legal,
	};
	struct kvm_vmi_speaker s;

	kvm_vmi_search(vmi, gfn, &search, &s);
	return !s.rule || s.action == KVM_VMI_ALLOW;
}

/**
 * kvm_vmi_speaker - the strictest rule that denies one of these sub-pages
 * @vmi: the VM, with kvm->srcu held for its aliases
 * @gfn: the frame
 * @mask: sub-pages
 * @ret: filled if there is one
 *
 * Context: any
 * Return: false if no rule that is in force denies any of them
 */
bool kvm_vmi_speaker(struct kvm_vmi *vmi, gfn_t gfn, u32 mask, struct kvm_vmi_speaker *ret)
{
	kvm_vmi_look(vmi, gfn, mask, ret);
	return ret->rule;
}

/**
 * kvm_vmi_count - count an event of a rule
 * @vmi: the VM
 * @s: the rule, which may be gone
 * @counters: under which, bits over &enum kvm_vmi_counter
 */
void kvm_vmi_count(struct kvm_vmi *vmi, const struct kvm_vmi_speaker *s, u32 counters)
{
	struct kvm_vmi_rule_entry *e;

	rcu_read_lock();
	e = xa_load(&vmi->layers[s->layer].rules, s->rule);
	if (e) {
		while (counters) {
			atomic64_inc(&e->counter[__ffs(counters)]);
			counters &= counters - 1;
		}
	}
	rcu_read_unlock();
}
