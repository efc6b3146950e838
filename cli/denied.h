/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rule denies, in words, as the verbs status and protect both print it. */
#ifndef MERLON_CLI_DENIED_H
#define MERLON_CLI_DENIED_H

#include "util/json.h"

/**
 * say_denied() - "read, write, execute none -> deny", "pin cr4 smep smap -> deny"; no newline
 * @rule: as the daemon lists it; a merlond that knows writes alone does not say so
 */
void say_denied(struct json_object *rule);

/* " smep smap" of an array of words, nothing of anything else. */
void say_words(struct json_object *words);

/* "cr0 wp, cr4 smep smap" of an object with an array for each register. */
void say_registers(struct json_object *registers);

#endif
