// SPDX-License-Identifier: GPL-2.0-or-later
/* Which events a user wants to see. */
#include "event-filter.h"
#include "format.h"
#include "util/parse.h"

enum merlon_exit event_filter_check(const struct event_filter *filter)
{
	static const char kinds[] =
#define X(name, json, message_id, fields, meaning) " " json
		MERLON_EVENTS(X)
#undef X
		;

	if (!filter->kind || merlon_event_from_name(filter->kind) >= 0)
		return MERLON_EXIT_OK;
	fail("--kind: expected the kind of an event, got %s", filter->kind);
	fail_hint("kinds are:%s", kinds);
	return MERLON_EXIT_USAGE;
}

uint64_t event_filter_id(const char *vm)
{
	uint64_t id;

	return parse_u64(vm + (*vm == '#'), &id) < 0 ? 0 : id;
}

static bool is_of_rule(struct json_object *event, const char *rule)
{
	struct json_object *rules = json_get_array(event, "rules");

	for (size_t i = 0; rules && i < json_object_array_length(rules); i++)
		if (streq(json_object_get_string(json_object_array_get_idx(rules, i)) ?: "", rule))
			return true;
	return streq(json_get_string(event, "rule", ""), rule);
}

bool event_filter_takes(const struct event_filter *filter, struct json_object *event)
{
	uint64_t id = filter->vm ? event_filter_id(filter->vm) : 0;

	if (filter->vm && (id == 0 || json_get_u64(event, "vm", 0) != id) &&
	    !streq(json_get_string(event, "name", ""), filter->vm))
		return false;
	if (filter->kind && !streq(json_get_string(event, "kind", ""), filter->kind))
		return false;
	return !filter->rule || is_of_rule(event, filter->rule);
}
