// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * rule.c and what it reads with (schema.c, span.c, registers.c, policy-locate.c): what the
 * bus brings as rules.  What is taken keeps the promises of rule.h, and is written and read
 * again as the same rule; what is not is told in one line.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "rule.h"
#include "util/util.h"

static void holds_rule(const struct rule *rule)
{
	uint64_t end = rule->gpa;

	HOLDS(rule->name[0] && strlen(rule->name) <= MERLON_NAME_MAX);
	HOLDS(rule->name[0] != '-' && rule->name[0] != '.');
	HOLDS(rule->action != KVM_VMI_DEFAULT && rule->action < KVM_VMI_NR_VERDICTS);
	HOLDS(rule->dflt == KVM_VMI_DENY || rule->dflt == KVM_VMI_ALLOW ||
	      rule->dflt == KVM_VMI_KILL);
	if (rule_pins(rule)) {
		HOLDS(!rule->gpa && !rule->length && !rule->n_except);
		HOLDS(!rule->write_deny && !rule->read_deny);
		return;
	}
	HOLDS(rule->write_deny || rule->read_deny || rule->execute != RULE_EXECUTE_BOTH);
	HOLDS(!(rule->gpa % 128) && !(rule->length % 128));
	HOLDS(rule->gpa < 1ULL << 52 && rule->length <= (1ULL << 52) - rule->gpa);
	HOLDS(rule->n_except <= RULE_MAX_EXCEPT);
	for (size_t i = 0; i < rule->n_except; i++) {
		const struct rule_span *s = &rule->except[i];

		HOLDS(s->length && !(s->gpa % 4096) && !(s->length % 4096));
		HOLDS(s->gpa >= end && s->length <= (1ULL << 52) - s->gpa);
		end = s->gpa + s->length;
		HOLDS(rule->length == RULE_LENGTH_ALL || end <= rule->gpa + rule->length);
	}
}

static void holds_again(const struct rule *rule)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	_cleanup_free_ struct rule *again = NULL;
	size_t n = 0;

	HOLDS(rule_to_json(rule, &text) == 0);
	if (rules_parse(text, strlen(text), "again", &again, &n, &message) < 0) {
		fprintf(stderr, "%s\n%s\n", text, message);
		HOLDS(false);
	}
	HOLDS(n == 1);
	HOLDS(!strcmp(again->name, rule->name));
	HOLDS(rule_same_reach(again, rule));
	again->monitor = rule->monitor;
	again->learn = rule->learn;
	HOLDS(rule_same_answers(again, rule));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct rule *rules = NULL;
	_cleanup_free_ char *message = NULL;
	size_t n = 0;
	int r;

	r = rules_parse((const char *)data, size, "label", &rules, &n, &message);
	if (r < 0) {
		HOLDS(r == -EINVAL || r == -EOPNOTSUPP || r == -E2BIG);
		HOLDS(!rules && !n);
		holds_message(message, "label");
		return 0;
	}
	HOLDS(!message && n >= 1 && n <= KVM_VMI_MAX_RULES);
	for (size_t i = 0; i < n; i++) {
		holds_rule(&rules[i]);
		holds_again(&rules[i]);
		for (size_t j = 0; j < i; j++)
			HOLDS(strcmp(rules[i].name, rules[j].name));
	}
	return 0;
}
