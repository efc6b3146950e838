// SPDX-License-Identifier: GPL-2.0-or-later
/* Rules that learn. */
#include "bus-fault.h"
#include "learn.h"
#include "log.h"
#include "map.h"
#include "ruleset.h"
#include "util/json.h"

/* The interface of the first kernel whose programs may grant. */
#define ABI_GRANT 5

int learn_check(const struct manager *m, const struct rule *rule, sd_bus_error *reterr)
{
	if (rule_pins(rule))
		return bus_fault(reterr, MERLON_E_INVALID_RULE,
				 "Rule '%s' cannot learn: it pins bits of registers, and only a "
				 "rule of execute learns", rule->name);
	if (!rule_can_learn(rule))
		return bus_fault(reterr, MERLON_E_INVALID_RULE,
				 "Rule '%s' cannot learn: expected a rule of execute 'user' that "
				 "denies no writes", rule->name);
	if (m->caps.abi < ABI_GRANT)
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "Rule '%s': this kernel (interface %u) cannot learn", rule->name,
				 m->caps.abi);
	return ruleset_check_rights(m, rule, reterr);
}

int learn_begin(struct kernel *k, uint64_t cookie)
{
	return k->ops->set_answer(k, cookie, MERLON_ANSWER_LEARN);
}

int learn_end(struct kernel *k, uint64_t cookie)
{
	int r = k->ops->clear_answer(k, cookie);

	if (r >= 0 || r == -ENOENT)
		return 0;
	return log_error_errno(r, "A rule goes on learning: %m");
}

bool learn_is_on(struct kernel *k, uint64_t cookie)
{
	uint32_t answer;

	return k->ops->get_answer(k, cookie, &answer) >= 0 && answer == MERLON_ANSWER_LEARN;
}

static bool is_known(const struct manager *m, uint64_t cookie)
{
	for (size_t i = 0; i < m->vms.n; i++)
		for (size_t j = 0; j < m->vms.vms[i]->n_rules; j++) {
			/* Orphans too: whoever has lost its name has not ended it. */
			if (m->vms.vms[i]->rules[j].info.rule.cookie == cookie)
				return true;
		}
	return false;
}

void learn_sweep(struct manager *m)
{
	_cleanup_free_ uint64_t *cookies = calloc(MERLON_MAX_VERDICTS, sizeof(*cookies));
	struct kernel *k = m->kernel;
	size_t n = 0;

	if (!cookies)
		return;
	/* All of them before one is deleted: where a key was that is gone nothing goes on. */
	while (n < MERLON_MAX_VERDICTS &&
	       k->ops->next_answer(k, n ? &cookies[n - 1] : NULL, &cookies[n]) >= 0)
		n++;
	for (size_t i = 0; i < n; i++)
		if (!is_known(m, cookies[i]))
			(void)learn_end(k, cookies[i]);
}

/* Exceptions as they come, in order. */
struct exceptions {
	struct rule_span *spans;
	size_t n;
	size_t room;
};

static int add_exception(struct exceptions *e, uint64_t from, uint64_t to)
{
	if (from >= to)
		return 0;
	/* More are not exported, only known to be more. */
	if (e->n > RULE_MAX_EXCEPT)
		return 0;
	if (e->n == e->room) {
		size_t room = e->room ? 2 * e->room : 64;
		struct rule_span *spans = reallocarray(e->spans, room, sizeof(*spans));

		if (!spans)
			return -ENOMEM;
		e->spans = spans;
		e->room = room;
	}
	e->spans[e->n++] = (struct rule_span) { from, to - from };
	return 0;
}

/* What lies between the rule's claims: one frame after the other, in batches. */
static int read_exceptions(struct kernel *k, const struct vm *vm, const struct vm_rule *rule,
			   struct exceptions *e)
{
	uint64_t end = (rule->rule.gpa + rule->rule.length) >> MAP_PAGE_SHIFT;
	uint64_t gfn = rule->rule.gpa >> MAP_PAGE_SHIFT, covered = gfn;
	_cleanup_free_ struct kvm_vmi_range *ranges = NULL;
	int n, r = 0;

	ranges = calloc(KVM_VMI_MAX_BATCH, sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	while (gfn < end) {
		n = k->ops->get_access(k, vm->info.id, gfn, ranges);
		if (n <= 0) {
			r = n;
			break;
		}
		for (int i = 0; i < n && r >= 0; i++) {
			const struct kvm_vmi_range *range = &ranges[i];

			gfn = range->gfn + range->nr;
			if (range->rule != rule->id || gfn <= covered || range->gfn >= end)
				continue;
			if (range->gfn > covered)
				r = add_exception(e, covered << MAP_PAGE_SHIFT,
						  range->gfn << MAP_PAGE_SHIFT);
			covered = gfn;
		}
		if (r < 0)
			break;
	}
	if (r < 0)
		return r;
	return add_exception(e, covered << MAP_PAGE_SHIFT, end << MAP_PAGE_SHIFT);
}

int learn_read(struct kernel *k, const struct vm *vm, const struct vm_rule *rule,
	       struct rule_span **ret, size_t *ret_n)
{
	struct exceptions e = {};
	int r = read_exceptions(k, vm, rule, &e);

	if (r >= 0 && e.n > RULE_MAX_EXCEPT)
		r = -E2BIG;
	if (r < 0) {
		free(e.spans);
		return r;
	}
	*ret = e.spans;
	*ret_n = e.n;
	return 0;
}

static int policy_text(const struct rule *rule, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	_cleanup_json_ struct json_object *rules = json_object_new_array();
	_cleanup_free_ char *text = NULL;
	struct json_object *body;
	int r;

	if (!o || !rules)
		return -ENOMEM;
	r = rule_to_json(rule, &text);
	if (r >= 0)
		r = json_parse(text, strlen(text), &body);
	if (r >= 0)
		r = json_append(rules, body);
	if (r >= 0)
		r = json_add_u64(o, "version", 1);
	if (r >= 0)
		r = json_add_string(o, "mode", "enforce");
	if (r >= 0)
		r = json_add(o, "rules", TAKE_PTR(rules));
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

int learn_export(struct manager *m, struct vm *vm, const char *name, char **ret,
		 sd_bus_error *reterr)
{
	const struct vm_rule *rule = ruleset_find(vm, name);
	_cleanup_free_ struct rule_span *spans = NULL;
	struct rule exported;
	size_t n = 0;
	int r;

	if (!rule || rule->orphan)
		return bus_fault(reterr, MERLON_E_NO_SUCH_RULE, "VM #%llu has no such rule",
				 (unsigned long long)vm->info.id);
	exported = rule->rule;
	/* In its policy's file it is called without the policy's name. */
	if (rule->policy[0]) {
		const char *own = startswith(rule->rule.name, rule->policy);

		if (own && *own == ':')
			memmove(exported.name, own + 1, strlen(own));
	}
	/* Of rules that deny writes the kernel has parts of frames, which have not changed. */
	if (rule_can_learn(&exported)) {
		r = learn_read(m->kernel, vm, rule, &spans, &n);
		if (r == -E2BIG)
			return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
					 "Rule '%s' has learned more than %d ranges", name,
					 RULE_MAX_EXCEPT);
		if (r < 0)
			return r == -ENOMEM ? r : bus_fault_errno(reterr, r, "Reading the map");
		exported.except = spans;
		exported.n_except = n;
	}
	return policy_text(&exported, ret);
}
