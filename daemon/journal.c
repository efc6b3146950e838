// SPDX-License-Identifier: GPL-2.0-or-later
/* Structured entries of the journal. */
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <syslog.h>

#include "journal.h"
#include "util/json.h"
#include "util/util.h"

/* Members of the widest event and what each entry has beside them. */
#define FIELDS_MAX 40

struct entry {
	struct iovec fields[FIELDS_MAX];
	int n;
};

static void entry_done(struct entry *e)
{
	while (e->n)
		free(e->fields[--e->n].iov_base);
}

#define _cleanup_entry_ _cleanup_(entry_done)

/* Values are never formats, and the journal gets their length. */
static _printf_(2, 3) int add(struct entry *e, const char *format, ...)
{
	char *text = NULL;
	va_list ap;
	int r;

	if (e->n == FIELDS_MAX)
		return -ENOBUFS;
	va_start(ap, format);
	r = vasprintf(&text, format, ap);
	va_end(ap);
	if (r < 0)
		return -ENOMEM;
	e->fields[e->n++] = (struct iovec) { .iov_base = text, .iov_len = (size_t)r };
	return 0;
}

/* "rule-id" is MERLON_RULE_ID; the VM's name must not be taken for a name of something else. */
static void field_name(const char *key, char *name, size_t size)
{
	size_t n = (size_t)snprintf(name, size, "MERLON_%s", streq(key, "name") ? "VM_NAME" : key);

	for (size_t i = 0; i < n && i < size; i++)
		name[i] = name[i] == '-' ? '_' : (char)toupper((unsigned char)name[i]);
}

static int add_words(struct entry *e, const char *name, struct json_object *words)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return -ENOMEM;
	for (size_t i = 0; i < json_object_array_length(words); i++)
		fprintf(f, "%s%s", i ? " " : "",
			json_object_get_string(json_object_array_get_idx(words, i)));
	if (fclose(f) != 0)
		return -ENOMEM;
	return add(e, "%s=%s", name, text);
}

/* Each member of the event is a field, so that the two never differ. */
static int add_members(struct entry *e, const char *json)
{
	_cleanup_json_ struct json_object *o = NULL;
	int r = json_parse(json, strlen(json), &o);

	if (r < 0)
		return r;
	json_object_object_foreach(o, key, value) {
		char name[64];

		field_name(key, name, sizeof(name));
		if (json_object_is_type(value, json_type_array))
			r = add_words(e, name, value);
		else if (json_object_is_type(value, json_type_boolean))
			r = add(e, "%s=%d", name, json_object_get_boolean(value));
		else
			r = add(e, "%s=%s", name, json_object_get_string(value));
		if (r < 0)
			return r;
	}
	return 0;
}

static int priority(const struct event *event)
{
	switch (event->kind) {
	case MERLON_EVENT_VIOLATION:
	case MERLON_EVENT_VM_KILLED:
	case MERLON_EVENT_ADMISSION_EXPIRED:
	case MERLON_EVENT_RULE_DISARMED:
	case MERLON_EVENT_UNPINNED:
	case MERLON_EVENT_ISOLATION_LEFT:
	case MERLON_EVENT_LOST:
		return LOG_WARNING;
	default:
		return LOG_INFO;
	}
}

/* A bucket of JOURNAL_BURST entries, kept as the time at which it is full again. */
static bool take_turn(struct journal_limit *limit, uint64_t now)
{
	uint64_t base = limit->full > now ? limit->full : now;

	if (base - now > (JOURNAL_BURST - 1) * JOURNAL_NS)
		return false;
	limit->full = base + JOURNAL_NS;
	return true;
}

int journal_event(journal_send_t send, struct journal_limit *limit, const struct event *event)
{
	_cleanup_entry_ struct entry e = { .n = 0 };
	_cleanup_free_ char *json = NULL, *line = NULL;
	int r;

	if (!take_turn(limit, event->time)) {
		limit->folded++;
		return 0;
	}
	r = event_to_json(event, &json);
	if (r >= 0)
		r = event_line(json, &line);
	if (r >= 0)
		r = add(&e, "MESSAGE=%s", line);
	if (r >= 0)
		r = add(&e, "MESSAGE_ID=%s", merlon_event_message_id(event->kind));
	if (r >= 0)
		r = add(&e, "PRIORITY=%d", priority(event));
	if (r >= 0)
		r = add_members(&e, json);
	if (r >= 0 && limit->folded)
		r = add(&e, "MERLON_FOLDED=%" PRIu64, limit->folded);
	if (r >= 0)
		r = send(e.fields, e.n);
	if (r < 0) {
		limit->folded++;
		return r;
	}
	limit->folded = 0;
	return 1;
}

int journal_folded(journal_send_t send, struct journal_limit *limit, uint64_t vm,
		   const char *name)
{
	_cleanup_entry_ struct entry e = { .n = 0 };
	int r;

	if (!limit->folded)
		return 0;
	r = add(&e, "MESSAGE=VM #%" PRIu64 ": %" PRIu64 " more events have no entry.", vm,
		limit->folded);
	if (r >= 0)
		r = add(&e, "MESSAGE_ID=%s", MERLON_FOLDED_MESSAGE_ID);
	if (r >= 0)
		r = add(&e, "PRIORITY=%d", LOG_NOTICE);
	if (r >= 0)
		r = add(&e, "MERLON_VM=%" PRIu64, vm);
	if (r >= 0)
		r = add(&e, "MERLON_VM_NAME=%s", name);
	if (r >= 0)
		r = add(&e, "MERLON_FOLDED=%" PRIu64, limit->folded);
	if (r >= 0)
		r = send(e.fields, e.n);
	if (r >= 0)
		limit->folded = 0;
	return r;
}

int journal_degraded(journal_send_t send, enum merlon_degraded reason, bool on)
{
	_cleanup_entry_ struct entry e = { .n = 0 };
	const char *name = merlon_degraded_name(reason);
	int r;

	r = add(&e, "MESSAGE=%s: %s.", on ? "Degraded" : "No longer degraded", name);
	if (r >= 0)
		r = add(&e, "MESSAGE_ID=%s", merlon_degraded_message_id(reason));
	if (r >= 0)
		r = add(&e, "PRIORITY=%d", on ? LOG_WARNING : LOG_NOTICE);
	if (r >= 0)
		r = add(&e, "MERLON_REASON=%s", name);
	if (r >= 0)
		r = add(&e, "MERLON_DEGRADED=%d", on);
	return r < 0 ? r : send(e.fields, e.n);
}
