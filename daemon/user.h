/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Users of this host. */
#ifndef MERLON_USER_H
#define MERLON_USER_H

#include <sys/types.h>

/**
 * user_lookup() - the uid of a name
 * @name: the user's
 * @ret: untouched on failure
 *
 * Asks what nsswitch.conf says, and waits for that: called when files are read, never for a
 * VM or a call.
 *
 * Return: 0; -ENOENT: this host has no such user; another negative errno if nobody could say.
 */
int user_lookup(const char *name, uid_t *ret);

#endif
