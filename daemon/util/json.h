/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json-c with cleanup and negative errno: every add says whether memory ran
 * out, which json-c's own calls leave to NULL pointers.
 */
#ifndef MERLON_JSON_H
#define MERLON_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

#include "util/util.h"

static inline void json_putp(struct json_object **o)
{
	json_object_put(*o);
}

#define _cleanup_json_ _cleanup_(json_putp)

/* Arrays and objects within each other that json_parse() takes. */
#define JSON_DEPTH 16

/* How all of Merlon writes JSON: one line, '/' not escaped. */
#define JSON_ONE_LINE (JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
#define JSON_PRETTY (JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED | \
		     JSON_C_TO_STRING_NOSLASHESCAPE)

/*
 * All of these add to the object @o under @key and return 0 or -ENOMEM.  Strings
 * must be UTF-8 (escape names first); hex numbers become strings "0x...", for
 * JSON's readers lose integers above 2^53.
 */
int json_add(struct json_object *o, const char *key, struct json_object *take_value);
int json_add_string(struct json_object *o, const char *key, const char *value);
int json_add_u64(struct json_object *o, const char *key, uint64_t value);
int json_add_hex(struct json_object *o, const char *key, uint64_t value);
int json_add_bool(struct json_object *o, const char *key, bool value);

/* The same at the end of an array. */
int json_append(struct json_object *array, struct json_object *take_value);

/**
 * json_text() - the text of a value
 * @o: a value
 * @flags: JSON_ONE_LINE or JSON_PRETTY
 * @ret: to be freed with free(), untouched on failure
 *
 * Return: 0 or -ENOMEM.
 */
int json_text(struct json_object *o, int flags, char **ret);

/*
 * Readers for text that merlond itself wrote: the member if it is there and has
 * the type, otherwise @otherwise.  Input of users goes through rule.c's table.
 */
const char *json_get_string(struct json_object *o, const char *key, const char *otherwise);
uint64_t json_get_u64(struct json_object *o, const char *key, uint64_t otherwise);
bool json_get_bool(struct json_object *o, const char *key, bool otherwise);
struct json_object *json_get_array(struct json_object *o, const char *key);

/**
 * json_parse() - text to value, strictly
 * @text: JSON, not terminated
 * @len: bytes
 * @ret: to be released with json_object_put(), untouched on failure
 *
 * Return: 0, -EINVAL when it is not one JSON value (null is none) in UTF-8 and
 * at most JSON_DEPTH deep, -ENOMEM.
 */
int json_parse(const char *text, size_t len, struct json_object **ret);

#endif
