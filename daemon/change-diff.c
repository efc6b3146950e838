// SPDX-License-Identifier: GPL-2.0-or-later
/* What differs between the rules that a VM has and those it is to have. */
#include "change.h"

void change_done(struct change *c)
{
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

/*
 * From the one behind @from on, all around: a VM's rules stand in the order of the text
 * mostly.  @n if there is none.
 */
static size_t find_wanted(const struct rule *rules, size_t n, const char *name, size_t from)
{
	for (size_t k = 1; k <= n; k++) {
		size_t i = (from + k) % n;

		if (streq(rules[i].name, name))
			return i;
	}
	return n;
}

static void set_mode(struct rule *rule, const char *mode)
{
	rule->monitor = streq(mode, MERLON_MODE_MONITOR);
	rule->learn = streq(mode, MERLON_MODE_LEARN);
}

/* One that the VM has, beside what it is to be. */
static void compare(struct change *c, const struct vm_rule *has, const struct rule *rule,
		    const char *mode)
{
	bool disarmed = has->info.rule.flags & KVM_VMI_RULE_DISARMED;
	struct rule wanted = change_resolve(c->vm, rule);
	/* What somebody chose for this VM stays until the policy says something else. */
	bool same_mode = has->policy_mode && streq(has->policy_mode, mode);

	/* "now" takes the place of "boot": whoever waits need not any longer. */
	if (has->rule.boot && !wanted.boot)
		disarmed = false;
	if (!rule_same_reach(&has->rule, &wanted)) {
		c->drop[c->n_drop++] = has->id;
		c->add[c->n_add++] = (struct change_add) { .rule = rule, .disarmed = disarmed };
		return;
	}
	if (same_mode)
		set_mode(&wanted, mode_of(&has->rule));
	if (rule_same_answers(&has->rule, &wanted) && same_mode && has->rule.boot == wanted.boot) {
		c->kept++;
		return;
	}
	c->update[c->n_update++] = (struct change_update) {
		.id = has->id,
		.wanted = wanted,
		.policy_mode = mode,
		.arm = has->info.rule.flags & KVM_VMI_RULE_DISARMED && !disarmed,
	};
}

int change_diff(struct vm *vm, const char *policy, const struct rule *rules, size_t n,
		const char *mode, struct change *ret)
{
	_cleanup_(change_done) struct change c = { .vm = vm, .next = vm->next_rule };
	_cleanup_free_ bool *found = NULL;
	size_t last = n ? n - 1 : 0;

	strcpy(c.policy, policy);
	c.add = calloc(n + 1, sizeof(*c.add));
	c.update = calloc(vm->n_rules + 1, sizeof(*c.update));
	c.drop = calloc(vm->n_rules + 1, sizeof(*c.drop));
	if (!c.add || !c.update || !c.drop)
		return -ENOMEM;
	found = calloc(n + 1, sizeof(*found));
	if (!found)
		return -ENOMEM;
	/*
	 * The oldest first: of two with one name the other was to take its place when merlond
	 * died, and may cover nothing yet.  It goes, and is made anew.
	 */
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm_rule *has = &vm->rules[i];
		size_t at;

		if (has->orphan || !streq(has->policy, policy))
			continue;
		at = find_wanted(rules, n, has->rule.name, last);
		if (at == n || found[at]) {
			c.drop[c.n_drop++] = has->id;
			continue;
		}
		found[at] = true;
		last = at;
		compare(&c, has, &rules[at], mode);
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
