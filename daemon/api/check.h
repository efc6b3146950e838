/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a text is a policy that merlond would take from a directory: for merlon, which
 * checks without a daemon, a kernel or root.
 */
#ifndef MERLON_CHECK_H
#define MERLON_CHECK_H

#include <stddef.h>

/* What is in a policy that is right. */
struct check_summary {
	char name[65];
	const char *mode;
	size_t rules;
	size_t boot;		/* of these, armed when the guest has booted */
};

/**
 * check_policy() - judges a text as merlond does
 * @text: it
 * @len: bytes
 * @file: what errors call it; if it ends in ".json", the policy is called so
 * @ret: filled on success
 * @reterr_message: set on failure, "FILE:LINE:COL: /path: expected ..., got ...", to be
 *	freed with free(); NULL when memory ran out
 *
 * What a host's CPU or kernel cannot do is not looked at.
 *
 * Return: 0; -EINVAL; -EOPNOTSUPP for words that are not built yet; -E2BIG; -ENOMEM.
 */
int check_policy(const char *text, size_t len, const char *file, struct check_summary *ret,
		 char **reterr_message);

#endif
