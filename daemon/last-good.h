/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policies that were last right, in STATE_DIR/last-good: used while a file is broken,
 * above all when merlond starts.
 */
#ifndef MERLON_LAST_GOOD_H
#define MERLON_LAST_GOOD_H

#include <stdbool.h>
#include <stddef.h>

/* Keeps a text; nothing is written if it is there already.  0 or a negative errno. */
int last_good_save(const char *state_dir, const char *name, const char *text, size_t len);

/* Reads it back, terminated, to be freed with free(); -ENOENT or another negative errno. */
int last_good_read(const char *state_dir, const char *name, char **ret, size_t *ret_len);

/* Removes it; 0 too if it is not there, or a negative errno. */
int last_good_remove(const char *state_dir, const char *name);

/* Calls @found for each there is, as long as that returns 0 or more; what it returned last. */
int last_good_each(const char *state_dir, int (*found)(const char *name, void *userdata),
		   void *userdata);

/* Removes those that nobody wants any more. */
void last_good_sweep(const char *state_dir, bool (*wanted)(const char *name, void *userdata),
		     void *userdata);

#endif
