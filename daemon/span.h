/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Runs of a guest's bytes in JSON: a rule's own, and what it excepts.  Pure, as rule.h. */
#ifndef MERLON_SPAN_H
#define MERLON_SPAN_H

#include <stdint.h>

#include <json-c/json.h>

#include "rule.h"
#include "schema.h"

/* No CPU has more than 52 bits of physical address. */
#define SPAN_LIMIT (UINT64_C(1) << 52)
#define SPAN_FRAME UINT64_C(4096)

/* The value of a "gpa", a string.  0, or a negative errno with the text's message set. */
int span_read_gpa(struct schema_text *p, const char *path, struct json_object *v, uint64_t *ret);

/* The value of a "length", a string or a number; not 0.  As span_read_gpa(). */
int span_read_length(struct schema_text *p, const char *path, struct json_object *v,
		     uint64_t *ret);

/* Fails: what is at @path is not of whole frames, as it has to be @where. */
int span_fail_frames(struct schema_text *p, const char *path, const char *where,
		     const struct rule_span *span);

/**
 * spans_read() - what a rule excepts
 * @p: the text
 * @path: where the rule stands in it
 * @array: the value of its "except"
 * @rule: the rule; its @except, to be freed with free(), and @n_except are set
 *
 * Return: 0; -EINVAL for what is no run of whole frames within the rule's; -E2BIG for more
 * than RULE_MAX_EXCEPT; -ENOMEM.
 */
int spans_read(struct schema_text *p, const char *path, struct json_object *array,
	       struct rule *rule);

/* Adds "except" to an object, unless the rule has none.  0 or -ENOMEM. */
int spans_to_json(struct json_object *o, const struct rule *rule);

#endif
