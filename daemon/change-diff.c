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

static const struct rule *find_wanted(const struct rule *rules, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (streq(rules[i].name, name))
			return &rules[i];
	return NULL;
}

static void set_mode(struct rule *rule, const char *mode)
{
	rule->monitor = streq(mode, MERLON_MODE_MONITOR);
	rule->learn = streq(mode, MERLON_MODE_LEARN);
}

/* One that could not be dropped when another took its place. */
static bool is_superseded(const struct vm *vm, size_t i)
{
	for (size_t j = i + 1; j < vm->n_rules; j++)
		if (!vm->rules[j].orphan &&
		    streq(vm->rules[j].rule.name, vm->rules[i].rule.name))
			return true;
	return false;
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

	strcpy(c.policy, policy);
	c.add = calloc(n + 1, sizeof(*c.add));
	c.update = calloc(vm->n_rules + 1, sizeof(*c.update));
	c.drop = calloc(vm->n_rules + 1, sizeof(*c.drop));
	if (!c.add || !c.update || !c.drop)
		return -ENOMEM;
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm_rule *has = &vm->rules[i];
		const struct rule *rule;

		if (has->orphan || !streq(has->policy, policy))
			continue;
		rule = find_wanted(rules, n, has->rule.name);
		if (rule && !is_superseded(vm, i))
			compare(&c, has, rule, mode);
		else
			c.drop[c.n_drop++] = has->id;
	}
	for (size_t i = 0; i < n; i++) {
		const struct vm_rule *has = vm_find_rule_by_name(vm, rules[i].name);

		/* One that is somebody else's comes out when it is planned. */
		if (!has || !streq(has->policy, policy))
			c.add[c.n_add++] = (struct change_add) {
				.rule = &rules[i], .disarmed = rules[i].boot,
			};
	}
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
