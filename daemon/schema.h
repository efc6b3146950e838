/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * JSON objects whose keys stand in a table: which there are, which types they have, which
 * of their words are built.  What is wrong with a text is told with its line and column.
 * Pure, as rule.h.
 */
#ifndef MERLON_SCHEMA_H
#define MERLON_SCHEMA_H

#include <stddef.h>
#include <stdint.h>

#include <json-c/json.h>

#include "util/util.h"

/* Bytes of a path, "/rules/1/gpa". */
#define SCHEMA_PATH_MAX 128

/**
 * struct schema_text - a text that is read
 * @text: it, which need not be terminated
 * @len: its bytes
 * @label: what errors call it
 * @message: the first error, to be freed with free(); NULL while there is none, and
 *	without memory for it
 */
struct schema_text {
	const char *text;
	size_t len;
	const char *label;
	char *message;
};

/* The value of a word that the vocabulary has and this version cannot do. */
#define SCHEMA_NOT_BUILT (-1)

/* A word and its value; the last of a list has none. */
struct schema_word {
	const char *word;
	int value;
};

/**
 * struct schema_field - one key of an object
 * @key: its name
 * @types: SCHEMA_* that its value may have
 * @expected: what errors say was expected; words speak for themselves
 * @words: the list of its words, whose value is stored as an int at @offset; or NULL, and
 *	@parse reads it
 * @offset: in the target of schema_read()
 * @parse: 0 or a negative errno with the text's message set; @v has one of @types
 */
struct schema_field {
	const char *key;
	unsigned int types;
	const char *expected;
	const struct schema_word *words;
	size_t offset;
	int (*parse)(struct schema_text *p, const char *path, struct json_object *v, void *target);
};

#define SCHEMA_STRING	(1U << json_type_string)
#define SCHEMA_INT	(1U << json_type_int)
#define SCHEMA_BOOL	(1U << json_type_boolean)
#define SCHEMA_OBJECT	(1U << json_type_object)
#define SCHEMA_ARRAY	(1U << json_type_array)

#define SCHEMA_WORD(k, list, type, member) \
	{ .key = k, .types = SCHEMA_STRING, .words = list, .offset = offsetof(type, member) }
#define SCHEMA_OTHER(k, t, e, f) { .key = k, .types = t, .expected = e, .parse = f }

/**
 * schema_read() - every member of an object, in the order of the text
 * @p: the text
 * @path: where the object stands in it, "" for the whole
 * @o: the object
 * @fields: its keys
 * @n: how many
 * @target: what the members are stored in
 *
 * Return: 0; -EINVAL for a key, type or word that is not in the table; -EOPNOTSUPP for one
 * that is not built; what a field's parse returns; -ENOMEM.
 */
int schema_read(struct schema_text *p, const char *path, struct json_object *o,
		const struct schema_field *fields, size_t n, void *target);

/**
 * schema_word() - one word of a list
 * @p: the text
 * @path: where the word stands in it
 * @words: the list
 * @s: the word
 * @ret: its value, untouched on failure
 *
 * Return: 0; -EINVAL for a word that is not in the list; -EOPNOTSUPP for one that is not
 * built; -ENOMEM.
 */
int schema_word(struct schema_text *p, const char *path, const struct schema_word *words,
		const char *s, int *ret);

/* A number 0..2^63-1 of JSON; -ERANGE. */
int schema_integer(struct json_object *v, uint64_t *ret);

/* "LABEL:LINE:COL: PATH: problem", of what stands at @path.  Returns @error, or -ENOMEM. */
_printf_(4, 5) int schema_fail(struct schema_text *p, const char *path, int error,
			       const char *format, ...);

/* The same, where @offset is the place in the text, and @path may be "". */
_printf_(5, 6) int schema_fail_at(struct schema_text *p, size_t offset, const char *path,
				  int error, const char *format, ...);

/* "PATH: expected X, got what stands there".  -EINVAL or -ENOMEM. */
int schema_fail_expected(struct schema_text *p, const char *path, const char *expected);

/* The same of what is not there. */
int schema_fail_missing(struct schema_text *p, const char *path, const char *expected);

#endif
