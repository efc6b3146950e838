/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The hosts of --host, as names that are safe to hand to ssh. */
#ifndef MERLON_CLI_HOST_LIST_H
#define MERLON_CLI_HOST_LIST_H

#include <stddef.h>

#include "api/names.h"
#include "util/util.h"

/* Hosts of one call; the longest name: a host name of DNS (RFC 1035), a user and a port. */
#define HOSTS_MAX 1024
#define HOST_NAME_MAX_BYTES 320

/**
 * struct host_list - hosts in the order in which they were given
 * @names: each [USER@]HOST[:PORT], of characters that neither ssh nor a shell takes for more
 * @n: how many
 * @text: what the names lie in
 */
struct host_list {
	char **names;
	size_t n;
	char *text;
};

/**
 * host_list_parse() - "A,B" as a list
 * @text: what --host was given
 * @ret: to be released with host_list_done(), also on failure
 *
 * Says what is wrong if it fails: a name that is empty, twice there, too long or with
 * characters that names have not.
 */
enum merlon_exit host_list_parse(const char *text, struct host_list *ret);

void host_list_done(struct host_list *list);
#define _cleanup_host_list_ _cleanup_(host_list_done)

#endif
