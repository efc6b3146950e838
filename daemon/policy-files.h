/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directories of policies: what counts in them, who may have written it, and writing.
 * The first directory counts before the others.
 */
#ifndef MERLON_POLICY_FILES_H
#define MERLON_POLICY_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "api/names.h"

/* Which is which, from the one that counts first. */
enum policy_dir {
	POLICY_DIR_ETC,		/* the administrator's */
	POLICY_DIR_RUN,		/* until the host reboots */
	POLICY_DIR_LIB,		/* packages' */
	POLICY_NR_DIRS
};

/* Policies there may be, of all directories together. */
#define POLICY_MAX 1000

/**
 * struct policy_file - a name, and the file that counts for it
 * @name: of the policy; "" if the file cannot hold one by its name
 * @dir: where the file is
 * @path: its path
 * @masked: it is a link to /dev/null: there is no such policy
 * @error: why it cannot be used; then @text is NULL, as it is of a masked one
 * @text: its contents, terminated
 * @len: bytes
 */
struct policy_file {
	char name[MERLON_NAME_MAX + 1];
	enum policy_dir dir;
	char *path;
	bool masked;
	char *error;
	char *text;
	size_t len;
};

struct policy_files {
	struct policy_file *files;
	size_t n;
};

/**
 * policy_files_read() - what is in the directories
 * @dirs: POLICY_NR_DIRS of them
 * @ret: in the order of names, those that cannot hold a policy first; to be let go with
 *	policy_files_done(), untouched on failure
 * @reterr_dir: the directory that cannot be read; set on failure unless memory ran out
 * @reterr_problem: what is wrong with it, a constant; likewise
 *
 * A directory that is not there is empty.  A file that cannot be used has an error, and
 * still counts before those below.
 *
 * Return: 0; -ENOSPC for more than POLICY_MAX; another negative errno.
 */
int policy_files_read(const char *const dirs[static POLICY_NR_DIRS], struct policy_files *ret,
		      const char **reterr_dir, const char **reterr_problem);
void policy_files_done(struct policy_files *files);

/**
 * policy_file_read() - NAME.json of one directory
 * @dir: the directory
 * @which: it is
 * @name: of a policy
 * @ret: to be let go with policy_file_done(), untouched on failure; may have an error
 *
 * Return: 0; -ENOENT; -ENOMEM; another negative errno if the directory cannot be read.
 */
int policy_file_read(const char *dir, enum policy_dir which, const char *name,
		     struct policy_file *ret);
void policy_file_done(struct policy_file *file);

/* Writes NAME.json into a directory, which is made if need be; 0 or a negative errno. */
int policy_file_write(const char *dir, const char *name, const char *text, size_t len);

/* Is there a NAME.json, whatever it is? */
bool policy_file_exists(const char *dir, const char *name);

/* Renames NAME.json to NAME.json.unloaded, which is no policy; -ENOENT. */
int policy_file_set_aside(const char *dir, const char *name);

/* Takes that back, if there is a NAME.json.unloaded: 0 or a negative errno. */
int policy_file_restore(const char *dir, const char *name);

/* Removes NAME.json; -ENOENT. */
int policy_file_remove(const char *dir, const char *name);

/* Makes NAME.json a link to /dev/null; -EEXIST. */
int policy_file_mask(const char *dir, const char *name);

#endif
