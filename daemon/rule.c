// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * JSON text to rules.  Which keys there are, which types they have and which of
 * their words are built stands in three tables; no json-c getter runs before the
 * table has seen the type, for the getters convert silently.
 */
#include <inttypes.h>
#include <stdarg.h>

#include "policy-locate.h"
#include "rule.h"
#include "util/escape.h"
#include "util/json.h"
#include "util/parse.h"

/* No CPU has more than 52 bits of physical address. */
#define GPA_LIMIT (UINT64_C(1) << 52)
#define SUBPAGE_SIZE (UINT64_C(1) << KVM_VMI_SUBPAGE_SHIFT)
#define FRAME_SIZE (UINT64_C(4096))

/* As much of a wrong value as an error repeats. */
#define GOT_MAX 40

#define PATH_MAX_LEN 128

struct parse {
	const char *text;
	size_t len;
	const char *label;
	char *message;
};

enum access_word { UNSAID, ALLOW, DENY };

/* A rule while its members are read, with what struct rule has no room for. */
struct draft {
	struct rule rule;
	bool has_name, has_gpa, has_length, has_on_reset;
	int write, execute, action, dflt, on_reset;
	int ignored;			/* words with one legal value */
	struct json_object *except;
};

/* One of "except". */
struct exception {
	struct rule_span span;
	bool has_gpa, has_length;
};

struct policy {
	int mode, on_reset;
	struct json_object *rules;
	int ignored;
};

enum mode_word { ENFORCE, MONITOR, LEARN };

#define NOT_BUILT (-1)

struct word {
	const char *word;
	int value;			/* or NOT_BUILT */
};

/*
 * One key of an object.  Exactly one of @words and @parse is set; with @words the
 * int at @offset of the target receives the word's value.
 */
struct field {
	const char *key;
	unsigned int types;		/* bits 1 << enum json_type */
	const char *expected;		/* for errors; words speak for themselves */
	const struct word *words;
	size_t offset;
	int (*parse)(struct parse *p, const char *path, struct json_object *v, void *target);
};

#define STRING (1U << json_type_string)
#define INT (1U << json_type_int)
#define BOOL (1U << json_type_boolean)
#define OBJECT (1U << json_type_object)
#define ARRAY (1U << json_type_array)

/*
 * "LABEL:LINE:COL: PATH: problem".  Returns @error, or -ENOMEM.  @offset is where
 * in the text, @path may be "".
 */
_printf_(5, 6) static int fail_at(struct parse *p, size_t offset, const char *path, int error,
				  const char *format, ...)
{
	_cleanup_free_ char *problem = NULL, *raw = NULL;
	unsigned int line, column;
	va_list ap;
	int r;

	va_start(ap, format);
	r = vasprintf(&problem, format, ap);
	va_end(ap);
	if (r < 0) {
		problem = NULL;
		return -ENOMEM;
	}
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

/* What stands at @path, as an error repeats it. */
static char *got(const struct parse *p, const char *path)
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

/* "PATH: expected X, got what stands there". */
static int fail_expected(struct parse *p, const char *path, const char *expected)
{
	_cleanup_free_ char *value = got(p, path);

	if (!value)
		return -ENOMEM;
	return fail_at(p, policy_locate(p->text, p->len, path, NULL, NULL), path, -EINVAL,
		       "expected %s, got %s", expected, value);
}

static int fail_missing(struct parse *p, const char *path, const char *expected)
{
	return fail_at(p, policy_locate(p->text, p->len, path, NULL, NULL), path, -EINVAL,
		       "expected %s, got none", expected);
}

static int fail_not_built(struct parse *p, const char *path)
{
	_cleanup_free_ char *value = got(p, path);

	if (!value)
		return -ENOMEM;
	return fail_at(p, policy_locate(p->text, p->len, path, NULL, NULL), path, -EOPNOTSUPP,
		       "%s is not supported here yet", value);
}

/*
 * A number 0..2^63-1 of JSON.  json-c clips what is larger to UINT64_MAX and
 * reads negative numbers as 0: ask for the signed value first.
 */
static int get_integer(struct json_object *v, uint64_t *ret)
{
	if (json_object_get_int64(v) < 0 || json_object_get_uint64(v) > INT64_MAX)
		return -ERANGE;
	*ret = json_object_get_uint64(v);
	return 0;
}

/* json-c strings carry their length; policy_check() has refused \u0000. */
static const char *get_string(struct json_object *v)
{
	return json_object_get_string(v);
}

static bool name_is_valid(const char *s)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

	return *s && strlen(s) <= MERLON_NAME_MAX && strchr(first, *s) &&
	       s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-")] ==
		       '\0';
}

#define NAME_EXPECTED "a name: 1 to 64 of A-Z a-z 0-9 _ . : - and not . : - first"

static int parse_name(struct parse *p, const char *path, struct json_object *v, void *target)
{
	struct draft *d = target;

	if (!name_is_valid(get_string(v)))
		return fail_expected(p, path, NAME_EXPECTED);
	strcpy(d->rule.name, get_string(v));
	d->has_name = true;
	return 0;
}

/* The same form, for a policy; merlond has no use for it yet. */
static int check_name(struct parse *p, const char *path, struct json_object *v,
		      _unused_ void *target)
{
	return name_is_valid(get_string(v)) ? 0 : fail_expected(p, path, NAME_EXPECTED);
}

static int get_gpa(struct parse *p, const char *path, struct json_object *v, uint64_t *ret)
{
	if (parse_address(get_string(v), ret) < 0)
		return fail_expected(p, path, PARSE_ADDRESS_EXPECTED);
	return 0;
}

static int get_length(struct parse *p, const char *path, struct json_object *v, uint64_t *ret)
{
	int r;

	if (json_object_is_type(v, json_type_int))
		r = get_integer(v, ret);
	else
		r = parse_size(get_string(v), ret);
	if (r == -ERANGE)
		return fail_expected(p, path, "a size of at most 2^63-1");
	if (r < 0)
		return fail_expected(p, path, PARSE_SIZE_EXPECTED);
	if (*ret == 0)
		return fail_expected(p, path, "a size above 0");
	return 0;
}

static int parse_gpa(struct parse *p, const char *path, struct json_object *v, void *target)
{
	struct draft *d = target;

	d->has_gpa = true;
	return get_gpa(p, path, v, &d->rule.gpa);
}

static int parse_length(struct parse *p, const char *path, struct json_object *v, void *target)
{
	struct draft *d = target;

	d->has_length = true;
	if (json_object_is_type(v, json_type_string) && streq(get_string(v), "all")) {
		d->rule.length = RULE_LENGTH_ALL;
		return 0;
	}
	return get_length(p, path, v, &d->rule.length);
}

static int parse_except(_unused_ struct parse *p, _unused_ const char *path,
			struct json_object *v, void *target)
{
	struct draft *d = target;

	d->except = v;
	return 0;
}

static int parse_except_gpa(struct parse *p, const char *path, struct json_object *v,
			    void *target)
{
	struct exception *e = target;

	e->has_gpa = true;
	return get_gpa(p, path, v, &e->span.gpa);
}

static int parse_except_length(struct parse *p, const char *path, struct json_object *v,
			       void *target)
{
	struct exception *e = target;

	e->has_length = true;
	return get_length(p, path, v, &e->span.length);
}

static int parse_page_table(_unused_ struct parse *p, _unused_ const char *path,
			    struct json_object *v, void *target)
{
	struct draft *d = target;

	d->rule.page_table = json_object_get_boolean(v);
	return 0;
}

static int parse_version(struct parse *p, const char *path, struct json_object *v,
			 _unused_ void *target)
{
	uint64_t version;

	if (get_integer(v, &version) < 0 || version != 1)
		return fail_expected(p, path, "version 1");
	return 0;
}

static int parse_not_built(struct parse *p, const char *path, _unused_ struct json_object *v,
			   _unused_ void *target)
{
	const char *key = strrchr(path, '/') + 1;

	return fail_at(p, policy_locate(p->text, p->len, path, NULL, NULL), path, -EOPNOTSUPP,
		       "\"%s\" is not supported here yet", key);
}

static int parse_rules_array(_unused_ struct parse *p, _unused_ const char *path,
			     struct json_object *v, void *target)
{
	struct policy *policy = target;

	policy->rules = v;
	return 0;
}

static int check_count(struct parse *p, const char *path, struct json_object *v,
		       _unused_ void *target)
{
	uint64_t n;

	return get_integer(v, &n) < 0 ? fail_expected(p, path, "a number 0..2^63-1") : 0;
}

static int check_any(_unused_ struct parse *p, _unused_ const char *path,
		     _unused_ struct json_object *v, _unused_ void *target)
{
	return 0;
}

static int parse_match(struct parse *p, const char *path, struct json_object *v, void *target);

static const struct word words_write[] = { { "allow", ALLOW }, { "deny", DENY }, {} };
static const struct word words_read[] = { { "allow", ALLOW }, { "deny", NOT_BUILT }, {} };
static const struct word words_execute[] = {
	{ "both", RULE_EXECUTE_BOTH }, { "user", KVM_VMI_RIGHT_EXEC_USER },
	{ "kernel", KVM_VMI_RIGHT_EXEC_KERNEL }, { "none", 0 }, {}
};
static const struct word words_action[] = {
	{ "deny", KVM_VMI_DENY }, { "allow", KVM_VMI_ALLOW }, { "skip", KVM_VMI_SKIP },
	{ "kill", KVM_VMI_KILL }, { "exit", KVM_VMI_EXIT },   { "hold", NOT_BUILT },
	{}
};
static const struct word words_default[] = {
	{ "deny", KVM_VMI_DENY }, { "allow", KVM_VMI_ALLOW }, { "kill", KVM_VMI_KILL }, {}
};
static const struct word words_on_reset[] = {
	{ "disarm", KVM_VMI_RESET_DISARM }, { "keep", KVM_VMI_RESET_KEEP },
	{ "kill", KVM_VMI_RESET_KILL }, {}
};
static const struct word words_arm[] = { { "now", ALLOW }, { "boot", NOT_BUILT }, {} };
static const struct word words_mode[] = {
	{ "monitor", MONITOR }, { "enforce", ENFORCE }, { "learn", LEARN }, {}
};
static const struct word words_trust[] = { { "any", ALLOW }, {} };

#define WORD(k, list, type, member) \
	{ .key = k, .types = STRING, .words = list, .offset = offsetof(type, member) }
#define OTHER(k, t, e, f) { .key = k, .types = t, .expected = e, .parse = f }

static const struct field rule_fields[] = {
	OTHER("name", STRING, NAME_EXPECTED, parse_name),
	OTHER("gpa", STRING, PARSE_ADDRESS_EXPECTED, parse_gpa),
	OTHER("length", STRING | INT, PARSE_SIZE_EXPECTED, parse_length),
	OTHER("except", ARRAY, "an array of ranges", parse_except),
	OTHER("symbol", STRING, "the name of a symbol", parse_not_built),
	OTHER("offset", STRING | INT, PARSE_SIZE_EXPECTED, parse_not_built),
	WORD("write", words_write, struct draft, write),
	WORD("read", words_read, struct draft, ignored),
	WORD("execute", words_execute, struct draft, execute),
	WORD("action", words_action, struct draft, action),
	WORD("default", words_default, struct draft, dflt),
	OTHER("deadline-ms", INT, "milliseconds", parse_not_built),
	WORD("arm", words_arm, struct draft, ignored),
	WORD("on-reset", words_on_reset, struct draft, on_reset),
	OTHER("page-table", BOOL, "true or false", parse_page_table),
	OTHER("verify", INT, "seconds", parse_not_built),
	OTHER("pin", STRING | ARRAY | OBJECT, "what to pin", parse_not_built),
	OTHER("efi-runtime", STRING | ARRAY | OBJECT | BOOL, "EFI runtime ranges", parse_not_built),
};

static const struct field except_fields[] = {
	OTHER("gpa", STRING, PARSE_ADDRESS_EXPECTED, parse_except_gpa),
	OTHER("length", STRING | INT, PARSE_SIZE_EXPECTED, parse_except_length),
};

static const struct field policy_fields[] = {
	OTHER("version", INT, "version 1", parse_version),
	OTHER("name", STRING, NAME_EXPECTED, check_name),
	WORD("mode", words_mode, struct policy, mode),
	WORD("on-reset", words_on_reset, struct policy, on_reset),
	OTHER("match", OBJECT, "an object", parse_match),
	OTHER("symbols", STRING, "a file name", parse_not_built),
	OTHER("require", BOOL, "true or false", parse_not_built),
	OTHER("rules", ARRAY, "an array of rules", parse_rules_array),
};

static const struct field match_fields[] = {
	OTHER("vm", STRING, "a pattern for names", check_any),
	OTHER("uuid", STRING, "a uuid", check_any),
	OTHER("user", STRING | INT, "a user's name or number", check_any),
	OTHER("unit", STRING, "a pattern for systemd units", check_any),
	OTHER("pid", INT, "a process id", check_count),
	WORD("trust", words_trust, struct policy, ignored),
};

static int parse_word(struct parse *p, const char *path, const struct field *f, const char *s,
		      void *target)
{
	_cleanup_free_ char *list = NULL;
	size_t size;
	FILE *m;

	for (const struct word *w = f->words; w->word; w++)
		if (streq(w->word, s)) {
			if (w->value == NOT_BUILT)
				return fail_not_built(p, path);
			*(int *)((char *)target + f->offset) = w->value;
			return 0;
		}

	m = open_memstream(&list, &size);
	if (!m)
		return -ENOMEM;
	for (const struct word *w = f->words; w->word; w++)
		fprintf(m, "%s\"%s\"", w == f->words ? "" : w[1].word ? ", " : " or ", w->word);
	if (fclose(m) != 0)
		return -ENOMEM;
	return fail_expected(p, path, list);
}

static const struct field *find_field(const struct field *fields, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (streq(fields[i].key, key))
			return &fields[i];
	return NULL;
}

static int fail_unknown_key(struct parse *p, const char *path, const char *key,
			    const struct field *fields, size_t n)
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
	return fail_at(p, policy_locate(p->text, p->len, path, key, NULL), path, -EINVAL,
		       "expected one of the keys %s, got \"%s\"", list, key);
}

/* Every member of @o through the table, in the order of the text. */
static int parse_object(struct parse *p, const char *path, struct json_object *o,
			const struct field *fields, size_t n, void *target)
{
	json_object_object_foreach(o, key, v) {
		const struct field *f = find_field(fields, n, key);
		char sub[PATH_MAX_LEN];
		int r;

		if (!f)
			return fail_unknown_key(p, path, key, fields, n);
		snprintf(sub, sizeof(sub), "%s/%s", path, key);
		if (!(f->types & 1U << json_object_get_type(v)))
			return fail_expected(p, sub, f->words ? "a string" : f->expected);
		if (f->words)
			r = parse_word(p, sub, f, get_string(v), target);
		else
			r = f->parse(p, sub, v, target);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_match(struct parse *p, const char *path, struct json_object *v, void *target)
{
	return parse_object(p, path, v, match_fields, ARRAY_SIZE(match_fields), target);
}

/* Where the bytes are: whole sub-pages below the limit of all CPUs. */
static int check_range(struct parse *p, const char *path, const struct rule *rule)
{
	uint64_t end, low = rule->gpa & ~(SUBPAGE_SIZE - 1), high;
	const char *key = rule->gpa % SUBPAGE_SIZE ? "gpa" : "length";
	char sub[PATH_MAX_LEN];

	if (__builtin_add_overflow(rule->gpa, rule->length, &end) || end > GPA_LIMIT) {
		snprintf(sub, sizeof(sub), "%s/%s", path, rule->gpa >= GPA_LIMIT ? "gpa" : "length");
		return fail_at(p, policy_locate(p->text, p->len, sub, NULL, NULL), sub, -EINVAL,
			       "expected a range that ends at 2^52 or below, got gpa 0x%" PRIx64
			       " length 0x%" PRIx64, rule->gpa, rule->length);
	}
	if (rule->gpa % SUBPAGE_SIZE == 0 && rule->length % SUBPAGE_SIZE == 0)
		return 0;

	/* With RULE_LENGTH_ALL it is the address. */
	high = (end + SUBPAGE_SIZE - 1) & ~(SUBPAGE_SIZE - 1);
	snprintf(sub, sizeof(sub), "%s/%s", path, key);
	return fail_at(p, policy_locate(p->text, p->len, sub, NULL, NULL), sub, -EINVAL,
		       "expected multiples of %" PRIu64 " bytes, got gpa 0x%" PRIx64
		       " length 0x%" PRIx64 "; the aligned range around it is gpa 0x%" PRIx64
		       " length 0x%" PRIx64,
		       SUBPAGE_SIZE, rule->gpa, rule->length, low, high - low);
}

/* Who may execute, and what is excepted, is said of whole frames. */
static int fail_frames(struct parse *p, const char *path, const char *where,
		       const struct rule_span *span)
{
	uint64_t low = span->gpa & ~(FRAME_SIZE - 1);
	uint64_t high = (span->gpa + span->length + FRAME_SIZE - 1) & ~(FRAME_SIZE - 1);
	char sub[PATH_MAX_LEN];

	snprintf(sub, sizeof(sub), "%s/%s", path, span->gpa % FRAME_SIZE ? "gpa" : "length");
	return fail_at(p, policy_locate(p->text, p->len, sub, NULL, NULL), sub, -EINVAL,
		       "expected whole frames of %" PRIu64 " bytes %s, got gpa 0x%" PRIx64
		       " length 0x%" PRIx64 "; the frames around it are gpa 0x%" PRIx64
		       " length 0x%" PRIx64,
		       FRAME_SIZE, where, span->gpa, span->length, low, high - low);
}

static int compare_spans(const void *a, const void *b)
{
	const struct rule_span *x = a, *y = b;

	return (x->gpa > y->gpa) - (x->gpa < y->gpa);
}

static int parse_exception(struct parse *p, const char *path, struct json_object *o,
			   const struct rule *rule, struct rule_span *ret)
{
	uint64_t limit = rule->length == RULE_LENGTH_ALL ? GPA_LIMIT : rule->gpa + rule->length;
	struct exception e = {};
	uint64_t end;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return fail_expected(p, path, "a range (an object)");
	r = parse_object(p, path, o, except_fields, ARRAY_SIZE(except_fields), &e);
	if (r < 0)
		return r;
	if (!e.has_gpa)
		return fail_missing(p, path, "the key \"gpa\"");
	if (!e.has_length)
		return fail_missing(p, path, "the key \"length\"");
	if ((e.span.gpa | e.span.length) % FRAME_SIZE)
		return fail_frames(p, path, "in \"except\"", &e.span);
	if (__builtin_add_overflow(e.span.gpa, e.span.length, &end) || e.span.gpa < rule->gpa ||
	    end > limit)
		return fail_at(p, policy_locate(p->text, p->len, path, NULL, NULL), path, -EINVAL,
			       "expected a range within the rule's, got gpa 0x%" PRIx64
			       " length 0x%" PRIx64, e.span.gpa, e.span.length);
	*ret = e.span;
	return 0;
}

/* In order, and what touches or overlaps in one. */
static size_t merge_spans(struct rule_span *spans, size_t n)
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

static int parse_exceptions(struct parse *p, const char *path, struct json_object *array,
			    struct rule *rule)
{
	size_t n = json_object_array_length(array);
	_cleanup_free_ struct rule_span *spans = NULL;
	int r;

	if (!n)
		return 0;
	if (n > RULE_MAX_EXCEPT) {
		char sub[PATH_MAX_LEN];

		snprintf(sub, sizeof(sub), "%s/except", path);
		return fail_at(p, policy_locate(p->text, p->len, sub, NULL, NULL), sub, -E2BIG,
			       "expected at most %d ranges, got %zu", RULE_MAX_EXCEPT, n);
	}
	spans = calloc(n, sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		char sub[PATH_MAX_LEN];

		snprintf(sub, sizeof(sub), "%s/except/%zu", path, i);
		r = parse_exception(p, sub, json_object_array_get_idx(array, i), rule, &spans[i]);
		if (r < 0)
			return r;
	}
	rule->n_except = merge_spans(spans, n);
	rule->except = TAKE_PTR(spans);
	return 0;
}

static int parse_rule(struct parse *p, const char *path, struct json_object *o,
		      const struct policy *policy, struct rule *ret)
{
	struct draft d = {
		.action = KVM_VMI_DENY,
		.dflt = KVM_VMI_DENY,
		.on_reset = policy->on_reset,
		.execute = RULE_EXECUTE_BOTH,
	};
	int r;

	if (!json_object_is_type(o, json_type_object))
		return fail_expected(p, path, "a rule (an object)");
	r = parse_object(p, path, o, rule_fields, ARRAY_SIZE(rule_fields), &d);
	if (r < 0)
		return r;

	if (!d.has_name)
		return fail_missing(p, path, "the key \"name\"");
	if (!d.has_gpa)
		return fail_missing(p, path, "the key \"gpa\"");
	if (!d.has_length)
		return fail_missing(p, path, "the key \"length\"");
	if (d.write != DENY && d.execute == RULE_EXECUTE_BOTH)
		return fail_missing(p, path, "something that is denied (\"write\": \"deny\", or "
				    "\"execute\": \"none\", \"user\" or \"kernel\")");
	r = check_range(p, path, &d.rule);
	if (r < 0)
		return r;
	if (d.execute != RULE_EXECUTE_BOTH && (d.rule.gpa | d.rule.length) % FRAME_SIZE)
		return fail_frames(p, path, "with \"execute\"",
				   &(struct rule_span) { d.rule.gpa, d.rule.length });

	d.rule.write_deny = d.write == DENY;
	d.rule.execute = (uint32_t)d.execute;
	d.rule.action = (enum kvm_vmi_verdict)d.action;
	d.rule.dflt = (enum kvm_vmi_verdict)d.dflt;
	d.rule.on_reset = (enum kvm_vmi_on_reset)d.on_reset;
	d.rule.monitor = policy->mode == MONITOR;
	d.rule.learn = policy->mode == LEARN;
	if (d.rule.learn && !rule_can_learn(&d.rule))
		return fail_at(p, policy_locate(p->text, p->len, path, NULL, NULL), path, -EINVAL,
			       "expected \"execute\": \"user\" and no \"write\": \"deny\" in mode "
			       "\"learn\"");
	/* Last: from here on there is something to free. */
	if (d.except) {
		r = parse_exceptions(p, path, d.except, &d.rule);
		if (r < 0)
			return r;
	}
	*ret = d.rule;
	return 0;
}

/* One block that holds the rules and what they except; the rules' own are freed. */
static int pack_rules(const struct rule *rules, size_t n, struct rule **ret)
{
	size_t n_spans = 0;
	struct rule_span *next;
	struct rule *packed;

	for (size_t i = 0; i < n; i++)
		n_spans += rules[i].n_except;
	packed = malloc(n * sizeof(*packed) + n_spans * sizeof(*next));
	if (!packed)
		return -ENOMEM;
	memcpy(packed, rules, n * sizeof(*packed));
	next = (struct rule_span *)(packed + n);
	for (size_t i = 0; i < n; i++) {
		if (!packed[i].n_except)
			continue;
		memcpy(next, rules[i].except, rules[i].n_except * sizeof(*next));
		packed[i].except = next;
		next += rules[i].n_except;
	}
	*ret = packed;
	return 0;
}

static void free_rules(struct rule *rules, size_t n)
{
	for (size_t i = 0; rules && i < n; i++)
		free(rules[i].except);
	free(rules);
}

static int compare_names(const void *a, const void *b)
{
	const struct rule *x = *(const struct rule *const *)a, *y = *(const struct rule *const *)b;
	int c = strcmp(x->name, y->name);

	/* Equal names in the order of the text, so that the error shows the second. */
	return c ?: (x > y) - (x < y);
}

static int check_names_differ(struct parse *p, const struct rule *rules, size_t n)
{
	_cleanup_free_ const struct rule **sorted = calloc(n, sizeof(*sorted));

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &rules[i];
	qsort(sorted, n, sizeof(*sorted), compare_names);
	for (size_t i = 1; i < n; i++) {
		char path[PATH_MAX_LEN];

		if (!streq(sorted[i - 1]->name, sorted[i]->name))
			continue;
		snprintf(path, sizeof(path), "/rules/%zu/name", (size_t)(sorted[i] - rules));
		return fail_expected(p, path, "a name that no other rule here has");
	}
	return 0;
}

static int parse_policy(struct parse *p, struct json_object *root, struct rule **ret_rules,
			size_t *ret_n)
{
	struct policy policy = { .mode = ENFORCE, .on_reset = KVM_VMI_RESET_DISARM };
	struct rule *rules;
	size_t n;
	int r;

	r = parse_object(p, "", root, policy_fields, ARRAY_SIZE(policy_fields), &policy);
	if (r < 0)
		return r;
	if (!policy.rules)
		return fail_missing(p, "", "the key \"rules\"");
	n = json_object_array_length(policy.rules);
	if (n == 0)
		return fail_missing(p, "/rules", "at least one rule");
	if (n > KVM_VMI_MAX_RULES)
		return fail_at(p, policy_locate(p->text, p->len, "/rules", NULL, NULL), "/rules",
			       -E2BIG, "expected at most %d rules, got %zu", KVM_VMI_MAX_RULES, n);

	rules = calloc(n, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		char path[PATH_MAX_LEN];

		snprintf(path, sizeof(path), "/rules/%zu", i);
		r = parse_rule(p, path, json_object_array_get_idx(policy.rules, i), &policy,
			       &rules[i]);
	}
	if (r >= 0)
		r = check_names_differ(p, rules, n);
	if (r >= 0)
		r = pack_rules(rules, n, ret_rules);
	free_rules(rules, n);
	if (r < 0)
		return r;
	*ret_n = n;
	return 0;
}

/* Keys that only a policy has: with one of them, "rules" is what is missing. */
static bool is_policy(struct json_object *root)
{
	static const char *const keys[] = { "rules", "version", "mode", "match", "symbols",
					    "require" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_object_object_get_ex(root, keys[i], NULL))
			return true;
	return false;
}

static int parse_text(struct parse *p, struct rule **ret_rules, size_t *ret_n)
{
	struct policy alone = { .mode = ENFORCE, .on_reset = KVM_VMI_RESET_DISARM };
	_cleanup_json_ struct json_object *root = NULL;
	_cleanup_free_ char *problem = NULL;
	struct rule rule = {};
	size_t offset;
	int r;

	if (p->len > MERLON_TEXT_MAX)
		return fail_at(p, 0, "", -E2BIG, "expected at most %u bytes, got %zu",
			       MERLON_TEXT_MAX, p->len);
	r = policy_check(p->text, p->len, &offset, &problem);
	if (r == -EINVAL)
		return fail_at(p, offset, "", -EINVAL, "%s", problem);
	if (r < 0)
		return r;
	/* "null" is JSON without being an object of json-c. */
	r = json_parse(p->text, p->len, &root);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !json_object_is_type(root, json_type_object))
		return fail_expected(p, "", "a rule or a policy (an object)");

	if (is_policy(root))
		return parse_policy(p, root, ret_rules, ret_n);

	r = parse_rule(p, "", root, &alone, &rule);
	if (r >= 0)
		r = pack_rules(&rule, 1, ret_rules);
	free(rule.except);
	if (r < 0)
		return r;
	*ret_n = 1;
	return 0;
}

int rules_parse(const char *text, size_t len, const char *file_label,
		struct rule **ret_rules, size_t *ret_n, char **reterr_message)
{
	struct parse p = { .text = text, .len = len, .label = file_label };
	int r;

	r = parse_text(&p, ret_rules, ret_n);
	if (r < 0)
		*reterr_message = p.message;
	return r;
}

int rule_copy(const struct rule *rule, struct rule *ret)
{
	struct rule_span *except = NULL;

	if (rule->n_except) {
		except = calloc(rule->n_except, sizeof(*except));
		if (!except)
			return -ENOMEM;
		memcpy(except, rule->except, rule->n_except * sizeof(*except));
	}
	*ret = *rule;
	ret->except = except;
	return 0;
}

bool rule_can_learn(const struct rule *rule)
{
	return rule->execute == KVM_VMI_RIGHT_EXEC_USER && !rule->write_deny;
}

static int add_exceptions(struct json_object *o, const struct rule *rule)
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

int rule_to_json(const struct rule *rule, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	if (!o ||
	    json_add_string(o, "name", rule->name) < 0 ||
	    json_add_hex(o, "gpa", rule->gpa) < 0 ||
	    (rule->length == RULE_LENGTH_ALL ? json_add_string(o, "length", "all") :
					       json_add_u64(o, "length", rule->length)) < 0 ||
	    add_exceptions(o, rule) < 0 ||
	    json_add_string(o, "write", rule->write_deny ? "deny" : "allow") < 0 ||
	    json_add_string(o, "execute", merlon_execute_name(rule->execute)) < 0 ||
	    json_add_string(o, "action", merlon_verdict_name(rule->action)) < 0 ||
	    json_add_string(o, "default", merlon_verdict_name(rule->dflt)) < 0 ||
	    json_add_string(o, "on-reset", merlon_on_reset_name(rule->on_reset)) < 0 ||
	    json_add_bool(o, "page-table", rule->page_table) < 0)
		return -ENOMEM;
	return json_text(o, JSON_ONE_LINE, ret);
}
