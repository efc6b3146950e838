// SPDX-License-Identifier: GPL-2.0-or-later
/* Events as JSON and as lines for people, both from the table in names.h. */
#include <inttypes.h>

#include <json-c/printbuf.h>

#include "api/event.h"
#include "util/json.h"

struct field {
	const char *name;
	enum merlon_type type;
	size_t offset;
};

#define F(member, json, type, meaning) { json, MERLON_##type, offsetof(struct event, member) },
static const struct field fields_common[] = { MERLON_EVENT_FIELDS_COMMON(F) };
static const struct field fields_VIOLATION[] = { MERLON_EVENT_FIELDS_VIOLATION(F) };
static const struct field fields_CREATED[] = { MERLON_EVENT_FIELDS_CREATED(F) };
static const struct field fields_RESET[] = { MERLON_EVENT_FIELDS_RESET(F) };
static const struct field fields_RULE[] = { MERLON_EVENT_FIELDS_RULE(F) };
static const struct field fields_UNPINNED[] = { MERLON_EVENT_FIELDS_UNPINNED(F) };
static const struct field fields_ISOLATION[] = { MERLON_EVENT_FIELDS_ISOLATION(F) };
static const struct field fields_LOST[] = { MERLON_EVENT_FIELDS_LOST(F) };
/* ISO C has no empty arrays; the count of this one is 0. */
static const struct field fields_NONE[1];
#undef F

#define F(member, json, type, meaning) +1
static const struct {
	const struct field *fields;
	size_t n;
} kinds[MERLON_EVENT_MAX] = {
#define X(id, json, msg, set, meaning) \
	[MERLON_EVENT_##id] = { fields_##set, 0 MERLON_EVENT_FIELDS_##set(F) },
	MERLON_EVENTS(X)
#undef X
};
#undef F

/*
 * Events come by the hundred thousand, and are flat: written piece by piece into json-c's
 * buffer they cost a quarter of what a tree of objects does.
 */
static int put(struct printbuf *p, const char *text, size_t len)
{
	return printbuf_memappend(p, text, (int)len) < 0 ? -ENOMEM : 0;
}

/* What is printable and no quote stands for itself; nothing else is to be expected. */
static int put_string(struct printbuf *p, const char *text, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	int r = put(p, "\"", 1);

	while (r >= 0 && len) {
		unsigned char c;
		size_t n = 0;

		while (n < len && text[n] >= ' ' && text[n] <= '~' && text[n] != '"' &&
		       text[n] != '\\')
			n++;
		r = n ? put(p, text, n) : 0;
		text += n;
		len -= n;
		if (r < 0 || !len)
			break;
		c = (unsigned char)*text++;
		len--;
		if (c == '"' || c == '\\')
			r = put(p, (char[]){ '\\', (char)c }, 2);
		else
			r = put(p, (char[]){ '\\', 'u', '0', '0', hex[c >> 4], hex[c & 15] }, 6);
	}
	return r < 0 ? r : put(p, "\"", 1);
}

static int put_words(struct printbuf *p, const char *words)
{
	const char *begin = "[";
	int r = 0;

	while (r >= 0 && *words) {
		size_t n = strcspn(words, " ");

		r = put(p, begin, 1);
		if (r >= 0)
			r = put_string(p, words, n);
		words += n;
		words += strspn(words, " ");
		begin = ",";
	}
	if (r >= 0 && *begin == '[')
		r = put(p, begin, 1);
	return r < 0 ? r : put(p, "]", 1);
}

/* @base: 10, or 16, which JSON knows as a string only: "0x1f". */
static int put_number(struct printbuf *p, uint64_t value, unsigned int base)
{
	char text[2 + 2 + 20], *end = text + sizeof(text), *s = end;

	if (base == 16)
		*--s = '"';
	do {
		*--s = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	if (base == 16) {
		s -= strlen("\"0x");
		memcpy(s, "\"0x", strlen("\"0x"));
	}
	return put(p, s, (size_t)(end - s));
}

/* Memory has addresses, a register values. */
static bool is_left_out(const struct event *event, size_t offset)
{
	switch (offset) {
	case offsetof(struct event, gva):
		return event->reg || !event->gva_valid;
	case offsetof(struct event, tag):
		return event->reg || !event->tag_valid;
	case offsetof(struct event, gpa):
		return event->reg;
	case offsetof(struct event, reg):
	case offsetof(struct event, cleared):
	case offsetof(struct event, old_value):
	case offsetof(struct event, new_value):
		return !event->reg;
	case offsetof(struct event, clear_cr0):
		return !event->clear_cr0;
	case offsetof(struct event, clear_cr4):
		return !event->clear_cr4;
	case offsetof(struct event, clear_efer):
		return !event->clear_efer;
	case offsetof(struct event, ip):
	case offsetof(struct event, address):
		return !event->ip;
	default:
		return false;
	}
}

static int put_value(struct printbuf *p, const struct event *event, const struct field *f)
{
	const void *value = (const char *)event + f->offset;
	const char *text;

	if (f->offset == offsetof(struct event, kind)) {
		text = merlon_event_name(event->kind);
		return put_string(p, text, strlen(text));
	}
	switch (f->type) {
	case MERLON_STRING:
		text = *(const char *const *)value ?: "";
		return put_string(p, text, strlen(text));
	case MERLON_WORDS:
		return put_words(p, *(const char *const *)value ?: "");
	case MERLON_HEX:
		return put_number(p, *(const uint64_t *)value, 16);
	case MERLON_U64:
		return put_number(p, *(const uint64_t *)value, 10);
	case MERLON_BOOL:
		text = *(const bool *)value ? "true" : "false";
		return put(p, text, strlen(text));
	}
	return -EINVAL;
}

static int put_fields(struct printbuf *p, const struct event *event, const struct field *fields,
		      size_t n)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (is_left_out(event, fields[i].offset))
			continue;
		r = put(p, p->bpos ? "," : "{", 1);
		if (r >= 0)
			r = put_string(p, fields[i].name, strlen(fields[i].name));
		if (r >= 0)
			r = put(p, ":", 1);
		if (r >= 0)
			r = put_value(p, event, &fields[i]);
	}
	return r;
}

int event_to_json(const struct event *event, char **ret)
{
	struct printbuf *p = printbuf_new();
	char *text = NULL;
	int r;

	if (!p)
		return -ENOMEM;
	r = put_fields(p, event, fields_common, ARRAY_SIZE(fields_common));
	if (r >= 0)
		r = put_fields(p, event, kinds[event->kind].fields, kinds[event->kind].n);
	if (r >= 0)
		r = put(p, "}", 1);
	if (r >= 0) {
		text = strndup(p->buf, (size_t)p->bpos);
		r = text ? 0 : -ENOMEM;
	}
	printbuf_free(p);
	if (r >= 0)
		*ret = text;
	return r;
}

static bool is_common(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields_common); i++)
		if (streq(fields_common[i].name, key))
			return true;
	return false;
}

/* "write of 8 bytes at gpa 0x..." */
static void print_access(FILE *f, struct json_object *o)
{
	uint64_t length = json_get_u64(o, "length", 0);
	const char *gva = json_get_string(o, "gva", NULL), *tag = json_get_string(o, "tag", NULL);

	fprintf(f, "%s", json_get_string(o, "access", "?"));
	if (length)
		fprintf(f, " of %" PRIu64 " byte%s", length, length == 1 ? "" : "s");
	fprintf(f, " at gpa %s", json_get_string(o, "gpa", "?"));
	if (gva)
		fprintf(f, " gva %s", gva);
	if (tag)
		fprintf(f, " tag %s", tag);
}

/* @before, then each word with a space before it; nothing if there is none. */
static void print_words(FILE *f, struct json_object *o, const char *key, const char *before)
{
	struct json_object *words = json_get_array(o, key);
	size_t n = words ? json_object_array_length(words) : 0;

	for (size_t i = 0; i < n; i++) {
		const char *word = json_object_get_string(json_object_array_get_idx(words, i));

		fprintf(f, "%s %s", i ? "" : before, word ?: "?");
	}
}

/* "cr4 0x370ef0 -> 0x70ef0 without smep smap" */
static void print_register(FILE *f, struct json_object *o, const char *name)
{
	fprintf(f, "%s %s -> %s", name, json_get_string(o, "old", "?"),
		json_get_string(o, "new", "?"));
	print_words(f, o, "cleared", " without");
}

/* "cpu 1 has clear cr0 wp cr4 smep, rules cpu" */
static void print_unpinned(FILE *f, struct json_object *o)
{
	fprintf(f, "cpu %" PRIu64 " has clear", json_get_u64(o, "vcpu", 0));
	print_words(f, o, "cr0", " cr0");
	print_words(f, o, "cr4", " cr4");
	print_words(f, o, "efer", " efer");
	print_words(f, o, "rules", ", rules");
}

/* "windows left 12 times: fault, most by 0xff... touching 0xff..." */
static void print_isolation(FILE *f, struct json_object *o)
{
	uint64_t count = json_get_u64(o, "count", 0);
	const char *ip = json_get_string(o, "ip", NULL);

	fprintf(f, "%" PRIu64 " window%s left:", count, count == 1 ? "" : "s");
	print_words(f, o, "reasons", "");
	if (ip)
		fprintf(f, ", most by ip %s at %s", ip, json_get_string(o, "address", "?"));
}

/* "deny: write of 8 bytes at gpa 0x...": what a person wants to read first. */
static void print_violation(FILE *f, struct json_object *o)
{
	const char *reg = json_get_string(o, "register", NULL);
	const char *rule = json_get_string(o, "rule", "");

	fprintf(f, "%s: ", json_get_string(o, "verdict", "?"));
	if (reg)
		print_register(f, o, reg);
	else
		print_access(f, o);
	fprintf(f, " by %s rip %s", json_get_bool(o, "user", false) ? "user" : "kernel",
		json_get_string(o, "rip", "?"));
	fprintf(f, ", cpu %" PRIu64, json_get_u64(o, "vcpu", 0));
	if (*rule)
		fprintf(f, ", rule %s", rule);
	else
		fprintf(f, ", rule #%" PRIu64, json_get_u64(o, "rule-id", 0));
	if (json_get_bool(o, "nested", false))
		fputs(", nested", f);
	if (json_get_bool(o, "vectoring", false))
		fputs(", during event delivery", f);
	if (json_get_bool(o, "monitor", false))
		fputs(", monitor only", f);
	if (json_get_bool(o, "bad-verdict", false))
		fputs(", program's verdict was illegal", f);
}

int event_line(const char *json, char **ret)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *line = NULL;
	const char *kind, *name;
	uint64_t time;
	size_t size;
	FILE *f;
	int r;

	r = json_parse(json, strlen(json), &o);
	if (r < 0)
		return r;
	kind = json_get_string(o, "kind", NULL);
	if (!kind)
		return -EINVAL;
	name = json_get_string(o, "name", "");
	time = json_get_u64(o, "time", 0);

	f = open_memstream(&line, &size);
	if (!f)
		return -ENOMEM;
	/* Seconds since boot, as the kernel's log has them. */
	fprintf(f, "[%5" PRIu64 ".%06" PRIu64 "] #%" PRIu64 "%s%s %s", time / 1000000000,
		time % 1000000000 / 1000, json_get_u64(o, "vm", 0), *name ? " " : "", name, kind);
	if (merlon_event_from_name(kind) == MERLON_EVENT_VIOLATION) {
		fputc(' ', f);
		print_violation(f, o);
	} else if (merlon_event_from_name(kind) == MERLON_EVENT_UNPINNED) {
		fputc(' ', f);
		print_unpinned(f, o);
	} else if (merlon_event_from_name(kind) == MERLON_EVENT_ISOLATION_LEFT) {
		fputc(' ', f);
		print_isolation(f, o);
	} else {
		json_object_object_foreach(o, key, value)
			if (!is_common(key))
				fprintf(f, " %s=%s", key, json_object_get_string(value));
	}
	if (fclose(f) != 0)
		return -ENOMEM;

	*ret = TAKE_PTR(line);
	return 0;
}
