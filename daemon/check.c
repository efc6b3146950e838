// SPDX-License-Identifier: GPL-2.0-or-later
/* Whether a text is a policy that merlond would take. */
#include "api/check.h"
#include "policy.h"

int check_policy(const char *text, size_t len, const char *file, struct check_summary *ret,
		 char **reterr_message)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
	char name[MERLON_NAME_MAX + 1];
	bool named;
	int r;

	*reterr_message = NULL;
	r = policy_name_of_file(base, name);
	if (r == -EINVAL) {
		if (asprintf(reterr_message, "%s: expected a file name of A-Z a-z 0-9 _ . - and "
			     "not . - first, at most 64 before .json", file) < 0)
			*reterr_message = NULL;
		return *reterr_message ? -EINVAL : -ENOMEM;
	}
	if (r == -ENOMEM)
		return r;
	named = r >= 0;
	r = policy_parse(text, len, file, named ? name : NULL, &policy, reterr_message);
	if (r < 0)
		return r;
	*ret = (struct check_summary) { .mode = policy->mode, .rules = policy->n };
	strcpy(ret->name, policy->name);
	for (size_t i = 0; i < policy->n; i++)
		ret->boot += policy->rules[i].boot;
	return 0;
}
