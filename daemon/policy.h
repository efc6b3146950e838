/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One policy: rules, and for which VMs they are.  Its name is that of its file, without
 * ".json"; its rules are called POLICY:RULE on a VM.  Pure.
 */
#ifndef MERLON_POLICY_H
#define MERLON_POLICY_H

#include "rule.h"

/**
 * struct policy - a policy that is right
 * @name: what its file is called, without ".json"
 * @mode: MERLON_MODE_*
 * @match: for which VMs it is
 * @rules: their names begin with that of the policy; one block of memory
 * @n: how many
 * @text: what it was read from, terminated
 * @len: bytes
 */
struct policy {
	char name[MERLON_NAME_MAX + 1];
	const char *mode;
	struct match match;
	struct rule *rules;
	size_t n;
	char *text;
	size_t len;
};

/**
 * policy_parse() - text to policy
 * @text: JSON, need not be terminated
 * @len: bytes
 * @label: what errors call the text
 * @name: what its file is called, without ".json"; NULL where there is no file: then
 *	the text has to say
 * @ret: to be freed with policy_free(), untouched on failure
 * @reterr_message: as of rules_parse()
 *
 * A user's name in "match" is not looked up, see match_resolve().
 *
 * Return: as rules_parse().
 */
int policy_parse(const char *text, size_t len, const char *label, const char *name,
		 struct policy **ret, char **reterr_message);

/* Takes NULL; returns NULL. */
struct policy *policy_free(struct policy *policy);
DEFINE_CLEANUP(struct policy *, policy_free)

/* May a policy be called so: 1 to MERLON_NAME_MAX of A-Z a-z 0-9 _ . -, not . - first? */
bool policy_name_is_valid(const char *name);

/**
 * policy_name_of_file() - what a policy is called by its file
 * @file: "linux-kernel.json"
 * @ret: the name
 *
 * Return: 0; -EINVAL for a file that cannot hold a policy by its name; -ENOENT for one that
 * does not look like one (hidden, or not ".json").
 */
int policy_name_of_file(const char *file, char ret[static MERLON_NAME_MAX + 1]);

#endif
