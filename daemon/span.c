// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs of a guest's bytes in JSON: a rule's own, and what it excepts. */
#include <inttypes.h>
#include <stdlib.h>

#include "span.h"
#include "util/json.h"
#include "util/parse.h"

/* One of "except". */
struct exception {
	struct rule_span span;
	bool has_gpa, has_length;
};

int span_read_gpa(struct schema_text *p, const char *path, struct json_object *v, uint64_t *ret)
{
	if (parse_address(json_object_get_string(v), ret) < 0)
		return schema_fail_expected(p, path, PARSE_ADDRESS_EXPECTED);
	return 0;
}

int span_read_length(struct schema_text *p, const char *path, struct json_object *v, uint64_t *ret)
{
	int r;

	if (json_object_is_type(v, json_type_int))
		r = schema_integer(v, ret);
	else
		r = parse_size(json_object_get_string(v), ret);
	if (r == -ERANGE)
		return schema_fail_expected(p, path, "a size of at most 2^63-1");
	if (r < 0)
		return schema_fail_expected(p, path, PARSE_SIZE_EXPECTED);
	if (*ret == 0)
		return schema_fail_expected(p, path, "a size above 0");
	return 0;
}

/* Who may execute, and what is excepted, is said of whole frames. */
int span_fail_frames(struct schema_text *p, const char *path, const char *where,
		     const struct rule_span *span)
{
	uint64_t low = span->gpa & ~(SPAN_FRAME - 1);
	uint64_t high = (span->gpa + span->length + SPAN_FRAME - 1) & ~(SPAN_FRAME - 1);
	char sub[SCHEMA_PATH_MAX];

	snprintf(sub, sizeof(sub), "%s/%s", path, span->gpa % SPAN_FRAME ? "gpa" : "length");
	return schema_fail(p, sub, -EINVAL,
			   "expected whole frames of %" PRIu64 " bytes %s, got gpa 0x%" PRIx64
			   " length 0x%" PRIx64 "; the frames around it are gpa 0x%" PRIx64
			   " length 0x%" PRIx64,
			   SPAN_FRAME, where, span->gpa, span->length, low, high - low);
}

static int parse_except_gpa(struct schema_text *p, const char *path, struct json_object *v,
			    void *target)
{
	struct exception *e = target;

	e->has_gpa = true;
	return span_read_gpa(p, path, v, &e->span.gpa);
}

static int parse_except_length(struct schema_text *p, const char *path, struct json_object *v,
			       void *target)
{
	struct exception *e = target;

	e->has_length = true;
	return span_read_length(p, path, v, &e->span.length);
}

static const struct schema_field except_fields[] = {
	SCHEMA_OTHER("gpa", SCHEMA_STRING, PARSE_ADDRESS_EXPECTED, parse_except_gpa),
	SCHEMA_OTHER("length", SCHEMA_STRING | SCHEMA_INT, PARSE_SIZE_EXPECTED,
		     parse_except_length),
};

static int compare_spans(const void *a, const void *b)
{
	const struct rule_span *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static int read_span(struct schema_text *p, const char *path, struct json_object *o,
		     const struct rule *rule, struct rule_span *ret)
{
	uint64_t limit = rule->length == RULE_LENGTH_ALL ? SPAN_LIMIT : rule->gpa + rule->length;
	struct exception e = {};
	uint64_t end;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return schema_fail_expected(p, path, "a range (an object)");
	r = schema_read(p, path, o, except_fields, ARRAY_SIZE(except_fields), &e);
	if (r < 0)
		return r;
	if (!e.has_gpa)
		return schema_fail_missing(p, path, "the key \"gpa\"");
	if (!e.has_length)
		return schema_fail_missing(p, path, "the key \"length\"");
	if ((e.span.gpa | e.span.length) % SPAN_FRAME)
		return span_fail_frames(p, path, "in \"except\"", &e.span);
	if (__builtin_add_overflow(e.span.gpa, e.span.length, &end) || e.span.gpa < rule->gpa ||
	    end > limit)
		return schema_fail(p, path, -EINVAL,
				   "expected a range within the rule's, got gpa 0x%" PRIx64
				   " length 0x%" PRIx64,
				   e.span.gpa, e.span.length);
	*ret = e.span;
	return 0;
}

/* In order, and what touches or overlaps in one. */
static size_t merge(struct rule_span *spans, size_t n)
{
	size_t last = 0;

	qsort(spans, n, sizeof(*spans), compare_spans);
	for (size_t i = 1; i < n; i++) {
		uint64_t end = spans[last].gpa + spans[last].length;

		if (spans[i].gpa > end)
			spans[++last] = spans[i];
		else if (spans[i].gpa + spans[i].length > end)
			spans[last].length = spans[i].gpa + spans[i].length - spans[last].gpa;
	}
	return last + 1;
}

int spans_read(struct schema_text *p, const char *path, struct json_object *array,
	       struct rule *rule)
{
	size_t n = json_object_array_length(array);
	_cleanup_free_ struct rule_span *spans = NULL;
	int r;

	if (!n)
		return 0;
	if (n > RULE_MAX_EXCEPT) {
		char sub[SCHEMA_PATH_MAX];

		snprintf(sub, sizeof(sub), "%s/except", path);
		return schema_fail(p, sub, -E2BIG, "expected at most %d ranges, got %zu",
				   RULE_MAX_EXCEPT, n);
	}
	spans = calloc(n, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		char sub[SCHEMA_PATH_MAX];

		snprintf(sub, sizeof(sub), "%s/except/%zu", path, i);
		r = read_span(p, sub, json_object_array_get_idx(array, i), rule, &spans[i]);
		if (r < 0)
			return r;
	}
	rule->n_except = merge(spans, n);
	rule->except = TAKE_PTR(spans);
	return 0;
}

int spans_to_json(struct json_object *o, const struct rule *rule)
{
	struct json_object *array;
	int r;

	if (!rule->n_except)
		return 0;
	array = json_object_new_array();
	if (!array)
		return -ENOMEM;
	r = json_add(o, "except", array);
	for (size_t i = 0; r >= 0 && i < rule->n_except; i++) {
		_cleanup_json_ struct json_object *span = json_object_new_object();

		if (!span || json_add_hex(span, "gpa", rule->except[i].gpa) < 0 ||
		    json_add_u64(span, "length", rule->except[i].length) < 0)
			return -ENOMEM;
		r = json_append(array, TAKE_PTR(span));
	}
	return r;
}
