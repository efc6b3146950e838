// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules that move: under another name, or from one policy to another. */
#include "change.h"

static int by_place(const struct rule *a, const struct rule *b)
{
	return (a->gpa > b->gpa) - (a->gpa < b->gpa) ?:
	       (a->length > b->length) - (a->length < b->length);
}

static int by_place_and_id(const void *a, const void *b)
{
	const struct vm_rule *x = *(const struct vm_rule *const *)a;
	const struct vm_rule *y = *(const struct vm_rule *const *)b;

	return by_place(&x->rule, &y->rule) ?: (x->id > y->id) - (x->id < y->id);
}

/* The first that is not before @rule; @n if all are. */
static size_t first_at(const struct vm_rule *const *leavers, size_t n, const struct rule *rule)
{
	size_t low = 0;

	while (low < n) {
		size_t mid = low + (n - low) / 2;

		if (by_place(&leavers[mid]->rule, rule) < 0)
			low = mid + 1;
		else
			n = mid;
	}
	return low;
}

static bool is_disarmed(const struct vm_rule *rule)
{
	return rule->info.rule.flags & KVM_VMI_RULE_DISARMED;
}

static void inherit(struct change_add *add, const struct rule *wanted, const struct vm_rule *old)
{
	const char *mode = mode_of(add->rule), *chosen = mode_of(&old->rule);

	/* Of several that are alike one that is armed counts. */
	if (!is_disarmed(old))
		add->disarmed = false;
	else if (!add->replaces && !add->heir_of)
		/* After a reset, for one; but who waits for the boot need not if it says "now". */
		add->disarmed = !(old->rule.boot && !wanted->boot);
	if (!add->mode && !add->replaces && old->policy_mode && streq(old->policy_mode, mode) &&
	    !streq(chosen, mode))
		add->mode = chosen;
	if (!add->heir_of)
		add->heir_of = old->id;
}

int change_inherit(struct change *changes, size_t n)
{
	_cleanup_free_ const struct vm_rule **leavers = NULL;
	size_t n_leavers = 0;

	for (size_t i = 0; i < n; i++)
		n_leavers += changes[i].n_drop;
	leavers = calloc(n_leavers + 1, sizeof(*leavers));
	if (!leavers)
		return -ENOMEM;
	n_leavers = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < changes[i].n_drop; j++) {
			const struct vm_rule *rule = vm_find_rule(changes[i].vm,
								  changes[i].drop[j].id);

			if (rule)
				leavers[n_leavers++] = rule;
		}
	qsort(leavers, n_leavers, sizeof(*leavers), by_place_and_id);
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < changes[i].n_add; j++) {
			struct change_add *add = &changes[i].add[j];
			const struct rule wanted = change_resolve(changes[i].vm, add->rule);

			for (size_t k = first_at(leavers, n_leavers, &wanted);
			     k < n_leavers && by_place(&leavers[k]->rule, &wanted) == 0; k++)
				if (rule_same_reach(&leavers[k]->rule, &wanted))
					inherit(add, &wanted, leavers[k]);
		}
	return 0;
}

/* Does @rule overlap anything that a failed change was to add? */
static bool is_needed(const struct change *changes, size_t n, const struct rule *rule)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; changes[i].failed && j < changes[i].n_add; j++) {
			const struct rule wanted = change_resolve(changes[i].vm,
								  changes[i].add[j].rule);

			if (rule_overlaps(&wanted, rule))
				return true;
		}
	return false;
}

void change_hold(struct change *changes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; !changes[i].failed && j < changes[i].n_drop; j++) {
			struct change_drop *drop = &changes[i].drop[j];
			const struct vm_rule *rule = vm_find_rule(changes[i].vm, drop->id);

			drop->held = rule && is_needed(changes, n, &rule->rule);
		}
}
