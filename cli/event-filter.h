/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which events a user wants to see, of those that come or of those in the journal. */
#ifndef MERLON_CLI_EVENT_FILTER_H
#define MERLON_CLI_EVENT_FILTER_H

#include <stdbool.h>

#include "api/names.h"
#include "util/json.h"

/**
 * struct event_filter - all of what is set has to be so
 * @vm: id ("17" or "#17") or name, escaped as merlond escapes names; NULL: any
 * @rule: name of the rule that the event is about; NULL: any
 * @kind: word of the event's kind; NULL: any
 */
struct event_filter {
	const char *vm;
	const char *rule;
	const char *kind;
};

/* Is @filter's kind one that there is?  Says which there are, if not. */
enum merlon_exit event_filter_check(const struct event_filter *filter);

/* Does the user want it?  @event: as a line of 'merlon watch --json' has it. */
bool event_filter_takes(const struct event_filter *filter, struct json_object *event);

/* The number of "17" or "#17", 0 for anything else. */
uint64_t event_filter_id(const char *vm);

#endif
