/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An event, and its JSON: the text of signal Event and of a line that
 * 'merlon watch --json' prints.  Which members a kind has is names.h's table.
 */
#ifndef MERLON_EVENT_H
#define MERLON_EVENT_H

#include <stdbool.h>
#include <stdint.h>

#include "api/names.h"

/**
 * struct event - room for the members of every kind
 *
 * Strings are borrowed; NULL is written as "".  Members that the kind does not
 * have are ignored.  What the members mean stands in names.h.
 */
struct event {
	enum merlon_event_kind kind;
	uint64_t vm;
	uint64_t seq;
	uint64_t time;
	const char *name;
	const char *access;
	const char *rule;
	const char *verdict;
	const char *reg;	/* NULL: of memory; then this and the next three are left out */
	const char *cleared;
	const char *clear_cr0;	/* of unpinned, with the next three; NULL: left out */
	const char *clear_cr4;
	const char *clear_efer;
	const char *rules;
	const char *reasons;
	uint64_t ip;		/* 0: of no fault; then this and the next are left out */
	uint64_t address;
	uint64_t old_value;
	uint64_t new_value;
	uint64_t gpa;
	uint64_t gva;
	uint64_t tag;
	uint64_t rip;
	uint64_t cr3;
	uint64_t length;
	uint64_t rule_id;
	uint64_t vcpu;
	uint64_t pid;
	uint64_t uid;
	uint64_t generation;
	uint64_t count;
	bool gva_valid;		/* else "gva" is left out */
	bool tag_valid;		/* likewise */
	bool user;
	bool nested;
	bool vectoring;
	bool emulated;
	bool monitor;
	bool bad_verdict;
};

/**
 * event_to_json() - an event as one line of JSON
 * @event: strings in it are printable ASCII (escape_bytes() of what is not ours)
 * @ret: to be freed with free(), untouched on failure
 *
 * Return: 0 or -ENOMEM.
 */
int event_to_json(const struct event *event, char **ret);

/**
 * event_line() - the JSON of an event as a line for people
 * @json: what event_to_json() made; of a newer daemon too: kinds and members
 *	that are not known here are shown as name=value
 * @ret: without a newline, not escaped for terminals; to be freed with free(),
 *	untouched on failure
 *
 * Return: 0, -EINVAL if @json is not an event, -ENOMEM.
 */
int event_line(const char *json, char **ret);

#endif
