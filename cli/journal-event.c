// SPDX-License-Identifier: GPL-2.0-or-later
/* Events as merlond wrote them to the journal. */
#include <ctype.h>

#include "api/names.h"
#include "journal-event.h"
#include "util/escape.h"
#include "util/parse.h"
#include "util/util.h"

struct field {
	const char *name;
	enum merlon_type type;
};

#define F(member, json, type, meaning) { json, MERLON_##type },
static const struct field fields_common[] = { MERLON_EVENT_FIELDS_COMMON(F) {} };
static const struct field fields_VIOLATION[] = { MERLON_EVENT_FIELDS_VIOLATION(F) {} };
static const struct field fields_CREATED[] = { MERLON_EVENT_FIELDS_CREATED(F) {} };
static const struct field fields_RESET[] = { MERLON_EVENT_FIELDS_RESET(F) {} };
static const struct field fields_RULE[] = { MERLON_EVENT_FIELDS_RULE(F) {} };
static const struct field fields_UNPINNED[] = { MERLON_EVENT_FIELDS_UNPINNED(F) {} };
static const struct field fields_ISOLATION[] = { MERLON_EVENT_FIELDS_ISOLATION(F) {} };
static const struct field fields_LOST[] = { MERLON_EVENT_FIELDS_LOST(F) {} };
static const struct field fields_NONE[] = { {} };
#undef F

static const struct field *const kinds[MERLON_EVENT_MAX] = {
#define X(id, json, msg, set, meaning) [MERLON_EVENT_##id] = fields_##set,
	MERLON_EVENTS(X)
#undef X
};

/* The value of a field, escaped once more; NULL and -ENOENT if the entry has none. */
static int get(sd_journal *j, const char *name, char **ret)
{
	const char *data;
	size_t n = strlen(name) + 1, size;
	_cleanup_free_ char *text = NULL;
	int r;

	r = sd_journal_get_data(j, name, (const void **)&data, &size);
	if (r < 0)
		return r;
	if (size < n)
		return -EBADMSG;
	text = strndup(data + n, size - n);
	*ret = text ? escape_terminal(text) : NULL;
	return *ret ? 0 : -ENOMEM;
}

static int add_words(struct json_object *o, const char *key, char *text)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	char *word;

	if (!array)
		return -ENOMEM;
	while ((word = strsep(&text, " ")))
		if (*word && json_append(array, json_object_new_string(word)) < 0)
			return -ENOMEM;
	return json_add(o, key, TAKE_PTR(array));
}

static int add(struct json_object *o, const struct field *f, char *text)
{
	uint64_t n;

	switch (f->type) {
	case MERLON_STRING:
		return json_add_string(o, f->name, text);
	case MERLON_WORDS:
		return add_words(o, f->name, text);
	case MERLON_HEX:
		return parse_address(text, &n) < 0 ? -EBADMSG : json_add_hex(o, f->name, n);
	case MERLON_U64:
		return parse_u64(text, &n) < 0 ? -EBADMSG : json_add_u64(o, f->name, n);
	case MERLON_BOOL:
		return json_add_bool(o, f->name, streq(text, "1"));
	}
	return -EBADMSG;
}

/* "rule-id" is MERLON_RULE_ID, but "name" is MERLON_VM_NAME. */
static int add_fields(sd_journal *j, struct json_object *o, const struct field *f)
{
	for (; f->name; f++) {
		_cleanup_free_ char *text = NULL;
		char name[64];
		int r;

		snprintf(name, sizeof(name), "MERLON_%s", streq(f->name, "name") ? "VM_NAME" : f->name);
		for (char *p = name; *p; p++)
			*p = *p == '-' ? '_' : (char)toupper((unsigned char)*p);
		r = get(j, name, &text);
		if (r >= 0)
			r = add(o, f, text);
		/* What was not known was left out. */
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

int journal_event_read(sd_journal *j, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	int kind, r;

	if (!o)
		return -ENOMEM;
	r = add_fields(j, o, fields_common);
	if (r < 0)
		return r;
	kind = merlon_event_from_name(json_get_string(o, "kind", ""));
	if (kind < 0)
		return -EBADMSG;
	r = add_fields(j, o, kinds[kind]);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(o);
	return 0;
}

uint64_t journal_event_folded(sd_journal *j)
{
	_cleanup_free_ char *text = NULL;
	uint64_t n = 0;

	if (get(j, "MERLON_FOLDED", &text) >= 0)
		(void)parse_u64(text, &n);
	return n;
}
