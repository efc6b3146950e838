// SPDX-License-Identifier: GPL-2.0-or-later
/* One policy. */
#include "policy.h"

#define SUFFIX ".json"

bool policy_name_is_valid(const char *name)
{
	static const char characters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";

	return *name && strlen(name) <= MERLON_NAME_MAX && *name != '.' && *name != '-' &&
	       !name[strspn(name, characters)];
}

int policy_name_of_file(const char *file, char ret[static MERLON_NAME_MAX + 1])
{
	size_t len = strlen(file), suffix = strlen(SUFFIX);
	_cleanup_free_ char *name = NULL;

	if (*file == '.' || len <= suffix || !streq(file + len - suffix, SUFFIX))
		return -ENOENT;
	name = strndup(file, len - suffix);
	if (!name)
		return -ENOMEM;
	if (!policy_name_is_valid(name))
		return -EINVAL;
	strcpy(ret, name);
	return 0;
}

struct policy *policy_free(struct policy *policy)
{
	if (policy) {
		free(policy->rules);
		free(policy->text);
		free(policy);
	}
	return NULL;
}

static int set_name(struct schema_text *p, const struct rule_head *head, const char *name,
		    char ret[static MERLON_NAME_MAX + 1])
{
	char expected[MERLON_NAME_MAX + 64];

	if (!name && !head->name[0])
		return schema_fail_missing(p, "", "the key \"name\"");
	if (name && head->name[0] && !streq(name, head->name)) {
		snprintf(expected, sizeof(expected), "\"%s\", the file's name without " SUFFIX,
			 name);
		return schema_fail_expected(p, "/name", expected);
	}
	if (!policy_name_is_valid(name ?: head->name))
		return schema_fail_expected(p, "/name",
					    "a name: 1 to 64 of A-Z a-z 0-9 _ . - and not . - first");
	strcpy(ret, name ?: head->name);
	return 0;
}

/* Events and 'merlon unprotect' have names of rules only: they say whose they are. */
static int qualify_rules(struct schema_text *p, struct policy *policy)
{
	size_t prefix = strlen(policy->name) + 1;

	for (size_t i = 0; i < policy->n; i++) {
		char *name = policy->rules[i].name, path[SCHEMA_PATH_MAX];
		char expected[64];

		if (prefix + strlen(name) > MERLON_NAME_MAX) {
			snprintf(path, sizeof(path), "/rules/%zu/name", i);
			if (prefix >= MERLON_NAME_MAX)
				return schema_fail(p, path, -EINVAL,
						   "expected a policy with a shorter name: with "
						   "\"%s:\" a rule's has at most %d characters",
						   policy->name, MERLON_NAME_MAX);
			snprintf(expected, sizeof(expected), "at most %zu characters after \"%.20s%s:\"",
				 MERLON_NAME_MAX - prefix, policy->name,
				 strlen(policy->name) > 20 ? "..." : "");
			return schema_fail_expected(p, path, expected);
		}
		memmove(name + prefix, name, strlen(name) + 1);
		memcpy(name, policy->name, prefix - 1);
		name[prefix - 1] = ':';
	}
	return 0;
}

static int check(struct schema_text *p, struct policy *policy, const struct rule_head *head,
		 const char *name)
{
	int r;

	r = set_name(p, head, name, policy->name);
	if (r < 0)
		return r;
	if (!head->has_match)
		return schema_fail_missing(p, "", "the key \"match\" (of all VMs, {\"trust\": \"any\"})");
	if (!match_says_something(&head->match))
		return schema_fail_missing(p, "/match", "one of vm uuid user unit pid trust");
	return qualify_rules(p, policy);
}

int policy_parse(const char *text, size_t len, const char *label, const char *name,
		 struct policy **ret, char **reterr_message)
{
	struct schema_text p = { .text = text, .len = len, .label = label };
	_cleanup_(policy_freep) struct policy *policy = calloc(1, sizeof(*policy));
	struct rule_head head;
	int r;

	*reterr_message = NULL;
	if (!policy)
		return -ENOMEM;
	r = rules_parse_policy(text, len, label, &head, &policy->rules, &policy->n,
			       reterr_message);
	if (r < 0)
		return r;
	r = check(&p, policy, &head, name);
	if (r < 0) {
		*reterr_message = p.message;
		return r;
	}
	policy->text = strndup(text, len);
	if (!policy->text)
		return -ENOMEM;
	policy->len = len;
	policy->mode = head.mode;
	policy->match = head.match;
	*ret = TAKE_PTR(policy);
	return 0;
}
