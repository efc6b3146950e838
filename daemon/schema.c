// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Members of a JSON object by a table, and errors that say where and what.  No json-c
 * getter runs before the table has seen the type, for the getters convert silently.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy-locate.h"
#include "schema.h"
#include "util/escape.h"
#include "util/util.h"

/* As much of a wrong value as an error repeats. */
#define GOT_MAX 40

/* The problem is freed. */
static int fail(struct schema_text *p, size_t offset, const char *path, int error,
		char *take_problem)
{
	_cleanup_free_ char *problem = take_problem, *raw = NULL;
	unsigned int line, column;

	if (!problem)
		return -ENOMEM;
	policy_position(p->text, offset, &line, &column);
	if (asprintf(&raw, "%s:%u:%u: %s%s%s", p->label, line, column, path, *path ? ": " : "",
		     problem) < 0) {
		raw = NULL;
		return -ENOMEM;
	}
	/* The label is a file's name: whatever it holds, the message is one line. */
	p->message = escape_terminal(raw);
	return p->message ? error : -ENOMEM;
}

static _printf_(1, 0) char *format_text(const char *format, va_list ap)
{
	char *text;

	return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

int schema_fail_at(struct schema_text *p, size_t offset, const char *path, int error,
		   const char *format, ...)
{
	char *problem;
	va_list ap;

	va_start(ap, format);
	problem = format_text(format, ap);
	va_end(ap);
	return fail(p, offset, path, error, problem);
}

int schema_fail(struct schema_text *p, const char *path, int error, const char *format, ...)
{
	char *problem;
	va_list ap;

	va_start(ap, format);
	problem = format_text(format, ap);
	va_end(ap);
	return fail(p, policy_locate(p->text, p->len, path, NULL, NULL), path, error, problem);
}

/* What stands at @path, as an error repeats it. */
static char *got(const struct schema_text *p, const char *path)
{
	size_t end, start = policy_locate(p->text, p->len, path, NULL, &end);
	_cleanup_free_ char *raw = NULL;

	if (end == start)
		return strdup("nothing");
	if (p->text[start] == '{')
		return strdup("an object");
	if (p->text[start] == '[')
		return strdup("an array");
	if (end - start <= GOT_MAX)
		raw = strndup(p->text + start, end - start);
	else if (asprintf(&raw, "%.*s...", GOT_MAX, p->text + start) < 0)
		raw = NULL;
	return raw ? escape_terminal(raw) : NULL;
}

int schema_fail_expected(struct schema_text *p, const char *path, const char *expected)
{
	_cleanup_free_ char *value = got(p, path);

	if (!value)
		return -ENOMEM;
	return schema_fail(p, path, -EINVAL, "expected %s, got %s", expected, value);
}

int schema_fail_missing(struct schema_text *p, const char *path, const char *expected)
{
	return schema_fail(p, path, -EINVAL, "expected %s, got none", expected);
}

static int fail_not_built(struct schema_text *p, const char *path)
{
	_cleanup_free_ char *value = got(p, path);

	if (!value)
		return -ENOMEM;
	return schema_fail(p, path, -EOPNOTSUPP, "%s is not supported here yet", value);
}

/*
 * json-c clips what is larger to UINT64_MAX and
 * reads negative numbers as 0: ask for the signed value first.
 */
int schema_integer(struct json_object *v, uint64_t *ret)
{
	if (json_object_get_int64(v) < 0 || json_object_get_uint64(v) > INT64_MAX)
		return -ERANGE;
	*ret = json_object_get_uint64(v);
	return 0;
}

int schema_word(struct schema_text *p, const char *path, const struct schema_word *words,
		const char *s, int *ret)
{
	_cleanup_free_ char *list = NULL;
	size_t size;
	FILE *m;

	for (const struct schema_word *w = words; w->word; w++)
		if (streq(w->word, s)) {
			if (w->value == SCHEMA_NOT_BUILT)
				return fail_not_built(p, path);
			*ret = w->value;
			return 0;
		}

	m = open_memstream(&list, &size);
	if (!m)
		return -ENOMEM;
	for (const struct schema_word *w = words; w->word; w++)
		fprintf(m, "%s\"%s\"", w == words ? "" : w[1].word ? ", " : " or ", w->word);
	if (fclose(m) != 0)
		return -ENOMEM;
	return schema_fail_expected(p, path, list);
}

static const struct schema_field *find_field(const struct schema_field *fields, size_t n,
					     const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (streq(fields[i].key, key))
			return &fields[i];
	return NULL;
}

static int fail_unknown_key(struct schema_text *p, const char *path, const char *key,
			    const struct schema_field *fields, size_t n)
{
	_cleanup_free_ char *list = NULL;
	size_t size;
	FILE *m;

	m = open_memstream(&list, &size);
	if (!m)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		fprintf(m, "%s%s", i ? " " : "", fields[i].key);
	if (fclose(m) != 0)
		return -ENOMEM;
	return schema_fail_at(p, policy_locate(p->text, p->len, path, key, NULL), path, -EINVAL,
			      "expected one of the keys %s, got \"%s\"", list, key);
}

int schema_read(struct schema_text *p, const char *path, struct json_object *o,
		const struct schema_field *fields, size_t n, void *target)
{
	json_object_object_foreach(o, key, v) {
		const struct schema_field *f = find_field(fields, n, key);
		char sub[SCHEMA_PATH_MAX];
		int r;

		if (!f)
			return fail_unknown_key(p, path, key, fields, n);
		snprintf(sub, sizeof(sub), "%s/%s", path, key);
		if (!(f->types & 1U << json_object_get_type(v)))
			return schema_fail_expected(p, sub, f->words ? "a string" : f->expected);
		if (f->words)
			r = schema_word(p, sub, f->words, json_object_get_string(v),
					(int *)((char *)target + f->offset));
		else
			r = f->parse(p, sub, v, target);
		if (r < 0)
			return r;
	}
	return 0;
}
