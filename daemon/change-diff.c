// SPDX-License-Identifier: GPL-2.0-or-later
/* What differs between the rules that a VM has and those it is to have. */
#include "change.h"

void change_done(struct change *c)
{
	for (size_t i = 0; c->add && i < c->n_add; i++)
		free(c->add[i].learned);
	free(c->add);
	free(c->update);
	free(c->drop);
	free(c->planned);
	*c = (struct change) {};
}

bool change_is_empty(const struct change *c)
{
	return !c->n_add && !c->n_update && !c->n_drop;
}

struct rule change_resolve(const struct vm *vm, const struct rule *rule)
{
	uint64_t limit = vm_gpa_limit(vm);
	struct rule resolved = *rule;

	if (!rule_pins(rule) && rule->length == RULE_LENGTH_ALL && rule->gpa < limit)
		resolved.length = limit - rule->gpa;
	return resolved;
}

static int by_policy(const void *a, const void *b, void *userdata)
{
	const struct vm *vm = userdata;
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return strcmp(vm->rules[x].policy, vm->rules[y].policy) ?: (x > y) - (x < y);
}

int change_groups(const struct vm *vm, struct change_groups *ret)
{
	struct change_groups g = { .rules = calloc(vm->n_rules + 1, sizeof(*g.rules)) };

	if (!g.rules)
		return -ENOMEM;
	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i].policy[0] && !vm->rules[i].orphan)
			g.rules[g.n++] = i;
	qsort_r(g.rules, g.n, sizeof(*g.rules), by_policy, (void *)vm);
	*ret = g;
	return 0;
}

void change_groups_done(struct change_groups *g)
{
	free(g->rules);
	*g = (struct change_groups) {};
}

/* How many come before those of a policy, or with @behind: before those behind them. */
static size_t count_before(const struct change_groups *g, const struct vm *vm,
			   const char *policy, bool behind)
{
	size_t low = 0, high = g->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(vm->rules[g->rules[mid]].policy, policy);

		if (c < 0 || (behind && c == 0))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const size_t *change_groups_find(const struct change_groups *g, const struct vm *vm,
				 const char *policy, size_t *ret_n)
{
	size_t first = count_before(g, vm, policy, false);

	*ret_n = count_before(g, vm, policy, true) - first;
	return &g->rules[first];
}

/* Names of rules, in order, once they are needed; each stands for its index. */
struct names {
	const struct rule *rules;
	size_t n;
	const struct rule **sorted;
};

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct rule *const *)a)->name, (*(const struct rule *const *)b)->name);
}

static int sort_names(struct names *names)
{
	names->sorted = calloc(names->n, sizeof(*names->sorted));
	if (!names->sorted)
		return -ENOMEM;
	for (size_t i = 0; i < names->n; i++)
		names->sorted[i] = &names->rules[i];
	qsort(names->sorted, names->n, sizeof(*names->sorted), by_name);
	return 0;
}

/* A VM's rules stand in the order of the text mostly: it is the one behind @last. */
static int find_wanted(struct names *names, const struct rule *like, size_t last, size_t *ret)
{
	const struct rule **found;
	size_t guess = names->n ? (last + 1) % names->n : 0;

	if (!names->n || streq(names->rules[guess].name, like->name)) {
		*ret = guess;
		return 0;
	}
	if (!names->sorted && sort_names(names) < 0)
		return -ENOMEM;
	found = bsearch(&like, names->sorted, names->n, sizeof(*names->sorted), by_name);
	*ret = found ? (size_t)(*found - names->rules) : names->n;
	return 0;
}

/* A mode that somebody chose, if the rule can have it as it is now. */
static const char *chosen_mode(const struct vm_rule *has, const struct rule *rule,
			       const char *mode)
{
	const char *chosen = mode_of(&has->rule);

	/* What somebody chose for this VM stays until the policy says something else. */
	if (!has->policy_mode || !streq(has->policy_mode, mode) || streq(chosen, mode))
		return NULL;
	return streq(chosen, MERLON_MODE_LEARN) && !rule_can_learn(rule) ? NULL : chosen;
}

enum what {
	WHAT_NOTHING,		/* no rule of that name was met yet */
	WHAT_STAYS,
	WHAT_REPLACED,
};

/* One that the VM has, beside what it is to be. */
static enum what compare(struct change *c, const struct vm_rule *has, const struct rule *rule,
			 const char *mode)
{
	bool disarmed = has->info.rule.flags & KVM_VMI_RULE_DISARMED;
	struct rule wanted = change_resolve(c->vm, rule);
	const char *chosen = chosen_mode(has, rule, mode);
	bool same_mode = has->policy_mode && streq(has->policy_mode, mode);

	/* "now" takes the place of "boot": whoever waits need not any longer. */
	if (has->rule.boot && !wanted.boot)
		disarmed = false;
	if (!rule_same_reach(&has->rule, &wanted)) {
		c->drop[c->n_drop++] = (struct change_drop) { .id = has->id, .replaced = true };
		c->add[c->n_add++] = (struct change_add) {
			.rule = rule, .disarmed = disarmed, .mode = chosen, .replaces = has->id,
		};
		return WHAT_REPLACED;
	}
	if (chosen)
		mode_put(&wanted, chosen);
	if (rule_same_answers(&has->rule, &wanted) && same_mode && has->rule.boot == wanted.boot) {
		c->kept++;
		return WHAT_STAYS;
	}
	c->update[c->n_update++] = (struct change_update) {
		.id = has->id,
		.wanted = wanted,
		.policy_mode = mode,
		.arm = has->info.rule.flags & KVM_VMI_RULE_DISARMED && !disarmed,
	};
	return WHAT_STAYS;
}

int change_diff(struct vm *vm, const struct change_groups *groups, const char *policy,
		const struct rule *rules, size_t n, const char *mode, struct change *ret)
{
	_cleanup_(change_done) struct change c = { .vm = vm, .next = vm->next_rule };
	struct names names = { .rules = rules, .n = n };
	_cleanup_free_ const struct rule **sorted = NULL;
	_cleanup_free_ enum what *found = NULL;
	size_t n_has, last = n ? n - 1 : 0;
	const size_t *mine = change_groups_find(groups, vm, policy, &n_has);

	strcpy(c.policy, policy);
	c.add = calloc(n + 1, sizeof(*c.add));
	c.update = calloc(n_has + 1, sizeof(*c.update));
	c.drop = calloc(n_has + 1, sizeof(*c.drop));
	found = calloc(n + 1, sizeof(*found));
	if (!c.add || !c.update || !c.drop || !found)
		return -ENOMEM;
	/*
	 * The oldest first: of two with one name the other was to take its place when merlond
	 * died, and may cover nothing yet.  It goes, and is made anew.
	 */
	for (size_t i = 0; i < n_has; i++) {
		const struct vm_rule *has = &vm->rules[mine[i]];
		size_t at;
		int r = find_wanted(&names, &has->rule, last, &at);

		sorted = names.sorted;
		if (r < 0)
			return r;
		if (at == n || found[at]) {
			c.drop[c.n_drop++] = (struct change_drop) {
				.id = has->id,
				.replaced = at < n && found[at] == WHAT_REPLACED,
			};
			continue;
		}
		found[at] = compare(&c, has, &rules[at], mode);
		last = at;
	}
	/* A name that is somebody else's comes out when it is planned. */
	for (size_t i = 0; i < n; i++)
		if (!found[i])
			c.add[c.n_add++] = (struct change_add) {
				.rule = &rules[i], .disarmed = rules[i].boot,
			};
	*ret = c;
	c = (struct change) {};
	return 0;
}

int change_add_all(struct vm *vm, const struct rule *rules, size_t n, struct change *ret)
{
	struct change c = { .vm = vm, .next = vm->next_rule, .n_add = n };

	c.add = calloc(n + 1, sizeof(*c.add));
	if (!c.add)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		c.add[i] = (struct change_add) { .rule = &rules[i], .disarmed = rules[i].boot };
	*ret = c;
	return 0;
}
