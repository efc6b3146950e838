/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The policies of this host, and which of their rules VMs have.  Files are validated first,
 * all of them; then each VM gets the difference.
 */
#ifndef MERLON_POLICIES_H
#define MERLON_POLICIES_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

#include "policy-files.h"
#include "policy.h"

struct manager;
struct vm;

/**
 * struct policies_entry - a name, the policy that is in force under it, and the file
 * @name: "" for a file that cannot hold a policy by its name
 * @policy: NULL if the file is no policy and never was, or is masked
 * @path: of the file that counts
 * @dir: where that is
 * @masked: it is a link to /dev/null
 * @error: what is wrong with the file; then @policy is what it last was
 * @passing: that is not in the file, and may be gone when it is read again
 */
struct policies_entry {
	char name[MERLON_NAME_MAX + 1];
	struct policy *policy;
	char *path;
	enum policy_dir dir;
	bool masked;
	char *error;
	bool passing;
};

/**
 * struct policies - all of them, in the order of their names
 * @dir_error: a directory cannot be read, and all is as it was; NULL
 * @read: the directories were read
 */
struct policies {
	struct policies_entry *entries;
	size_t n;
	char *dir_error;
	bool read;
};

void policies_done(struct policies *p);

/**
 * policies_reload() - reads the directories and gives every VM the difference
 * @m: the manager; without a kernel the files are read all the same
 * @dry_run: only say what would change
 * @ret_report: JSON as of ReloadPolicies(), to be freed with free(); may be NULL
 *
 * Logs.  Return: 0 or -ENOMEM.
 */
int policies_reload(struct manager *m, bool dry_run, char **ret_report);

/**
 * policies_look() - reads the directories; if they say anything new, as policies_reload()
 * @m: the manager
 *
 * What somebody has dropped by hand does not come back because a file was touched.
 */
void policies_look(struct manager *m);

/**
 * policies_try() - what policies_reload() would do if there were this policy, too
 * @m: the manager
 * @policy: in place of the one of its name
 * @ret_report: as above
 *
 * Return: 0 or -ENOMEM.
 */
int policies_try(struct manager *m, const struct policy *policy, char **ret_report);

/**
 * policies_try_without() - the same if there were none of this name
 * @m: the manager
 * @name: the policy's
 * @below: but in this directory, or those that count after it; POLICY_NR_DIRS: in none
 * @ret_report: as above
 *
 * Return: 0 or -ENOMEM.
 */
int policies_try_without(struct manager *m, const char *name, enum policy_dir below,
			 char **ret_report);

/*
 * Somebody has unloaded it: if there is no file of that name any more, nothing is kept of it when
 * the directories are read next, whatever is wrong with others.
 */
void policies_forget(struct manager *m, const char *name);

/*
 * Gives VMs with &vm->policy_due what policies say of them, all in one go, before they run if
 * they wait for admission.  Logs.
 */
void policies_apply_new(struct manager *m);

/* The same for all VMs for which it failed, or whose rules were lost.  Logs. */
void policies_retry(struct manager *m);

/* Is anything wrong that may pass, although no file changes? */
bool policies_passing(const struct policies *p);

/* Is there a policy that enforces? */
bool policies_enforce(const struct policies *p);

struct policies_entry *policies_find(const struct policies *p, const char *name);

/* The JSON array of ListPolicies(). */
int policies_list(const struct manager *m, char **ret);

#endif
