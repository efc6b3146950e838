/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes of any number of VMs, which are carried out together: names of all are saved once;
 * then on each VM everything that comes is there before anything goes.
 */
#ifndef MERLON_CHANGES_H
#define MERLON_CHANGES_H

#include <json-c/json.h>

#include "change.h"

/**
 * struct changes - changes, those of one VM side by side
 * @changes: what is to be done
 * @errors: for each what came in its way, or in that of a part of it, NULL
 * @n: how many
 * @room: how many there is memory for
 */
struct changes {
	struct change *changes;
	char **errors;
	size_t n;
	size_t room;
};

void changes_done(struct changes *c);

/* Takes @change on success, and lets it go if it is empty; 0 or -ENOMEM. */
int changes_add(struct changes *c, struct change *change);

/**
 * changes_carry_out() - does it, or says what came of it
 * @m: the manager, with a kernel
 * @c: the changes; those of a VM have been through change_inherit()
 * @dry_run: change nothing; errors are those that can be known before
 *
 * One that fails leaves its VM's rules of that policy as they were, sets
 * &vm->policy_failed, and others go on.  Logs.
 *
 * Return: 0 or -ENOMEM.
 */
int changes_carry_out(struct manager *m, struct changes *c, bool dry_run);

/* Adds to @array {"vm", "name", "policy", "set", "changed", "dropped", "kept"}; 0 or -ENOMEM. */
int changes_to_json(const struct changes *c, struct json_object *array);

/* Adds "error" to those, once they are known. */
int changes_errors_to_json(const struct changes *c, struct json_object *array);

#endif
