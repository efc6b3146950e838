// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * policy.c and match.c: the text of a policy's file.  What is taken has its name in the
 * names of its rules, and is taken again by its own text; what is not is told in one line.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "policy.h"
#include "util/util.h"

static void holds_policy(const struct policy *policy)
{
	size_t len = strlen(policy->name);

	HOLDS(policy_name_is_valid(policy->name));
	HOLDS(policy->n);
	for (size_t i = 0; i < policy->n; i++) {
		HOLDS(!strncmp(policy->rules[i].name, policy->name, len));
		HOLDS(policy->rules[i].name[len] == ':' && policy->rules[i].name[len + 1]);
		HOLDS(strlen(policy->rules[i].name) <= MERLON_NAME_MAX);
	}
}

static void try(const uint8_t *data, size_t size, const char *name)
{
	_cleanup_(policy_freep) struct policy *policy = NULL, *again = NULL;
	_cleanup_free_ char *message = NULL, *none = NULL;
	int r;

	r = policy_parse((const char *)data, size, "label", name, &policy, &message);
	if (r < 0) {
		HOLDS(!policy);
		HOLDS(r == -EINVAL || r == -EOPNOTSUPP || r == -E2BIG);
		holds_message(message, "label");
		return;
	}
	HOLDS(!message);
	holds_policy(policy);
	HOLDS(policy_parse(policy->text, policy->len, "label", policy->name, &again, &none) == 0);
	HOLDS(again->n == policy->n && !strcmp(again->mode, policy->mode));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	try(data, size, NULL);
	try(data, size, "web");
	return 0;
}
