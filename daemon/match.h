/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which VMs a policy is for: its "match".  Pure, as rule.h.
 */
#ifndef MERLON_MATCH_H
#define MERLON_MATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "schema.h"

/* Bytes of a pattern: of names, in escaped form, and of units, of which none is longer. */
#define MATCH_PATTERN_MAX 256

/**
 * struct match - conditions, all of which a VM meets
 * @vm: pattern (glob) for names in escaped form, "" for none
 * @uuid: in lower case, "" for none
 * @unit: pattern for systemd units, "" for none
 * @user: name of the VMM's user, "" for none, or a number: then @uid is it
 * @uid: the VMM's, (uid_t)-1 if there is no such user on this host
 * @has_user: @uid counts
 * @pid: of the VMM, 0 for none
 * @any: claims of VMMs that nobody trusts count for @vm and @uuid, too
 */
struct match {
	char vm[MATCH_PATTERN_MAX];
	char uuid[37];
	char unit[MATCH_PATTERN_MAX];
	char user[65];
	uint32_t uid;
	bool has_user;
	uint32_t pid;
	bool any;
};

/**
 * struct match_subject - a VM, as far as it can be matched
 * @name, @uuid, @unit: "" for none
 * @trusted: @name and @uuid are those of a VMM whose word counts
 */
struct match_subject {
	const char *name;
	const char *uuid;
	const char *unit;
	uint32_t uid;
	uint32_t pid;
	bool trusted;
};

/**
 * match_read() - a "match" of a text
 * @p: the text
 * @path: where the object stands in it
 * @o: the object
 * @ret: filled; a user's name is left for match_resolve() to look up
 *
 * Return: 0, or as schema_read().
 */
int match_read(struct schema_text *p, const char *path, struct json_object *o, struct match *ret);

/* Has it a condition, or any VM allowed by name?  Of one that has not, nobody knows whom it means. */
bool match_says_something(const struct match *match);

/* Does it ask for what only the VMM's process says: a name, a uuid, a unit? */
bool match_needs_identity(const struct match *match);

/*
 * Looks the user up on this host; one that is not there is nobody's VMM.  0, or a negative errno
 * if nobody could say: then it is nobody's for now.
 */
int match_resolve(struct match *match);

/* A name or uuid of somebody who is not trusted counts for @any only. */
bool match_applies(const struct match *match, const struct match_subject *vm);

#endif
