// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's address-space isolation in words. */
#include <inttypes.h>

#include "api/names.h"
#include "format.h"
#include "isolation.h"
#include "util/kallsyms.h"

/* What a terminal has at least; places for people (JSON has all). */
#define COLUMNS 80
#define SHOWN_PLACES 10
#define SYMBOL_WIDTH 46

void say_isolation_host(struct json_object *report, const char *title, int width)
{
	struct json_object *host = NULL;
	const char *state, *why;

	json_object_object_get_ex(report, "isolation", &host);
	state = json_get_string(host, "state", NULL);
	if (!state)
		return;
	say("%-*s %s", width, title, state);
	why = json_get_string(host, "why", NULL);
	if (why)
		say(": %s\n", why);
	else
		say(", siblings of new VMs are kicked: %s\n", json_get_string(host, "kick", "?"));
}

/* Two queries for each place: its instruction, and what that touched. */
static void name_place(struct json_object *place, const struct kallsyms_query *q, int *r)
{
	if (*r >= 0 && *q[0].name)
		*r = json_add_string(place, "symbol", q[0].name);
	if (*r >= 0 && *q[1].name)
		*r = json_add_string(place, "address-symbol", q[1].name);
}

int isolation_name_places(struct json_object *isolation)
{
	_cleanup_fclose_ FILE *f = fopen(KALLSYMS_PATH, "re");
	struct json_object *places = json_get_array(isolation, "places");
	size_t n = places ? json_object_array_length(places) : 0;
	_cleanup_free_ struct kallsyms_query *q = calloc(2 * n + 1, sizeof(*q));
	int r = 0;

	if (!q)
		return -ENOMEM;
	/* Then they stay numbers. */
	if (!f || !n)
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct json_object *place = json_object_array_get_idx(places, i);

		q[2 * i].address = strtoull(json_get_string(place, "ip", "0"), NULL, 16);
		q[2 * i + 1].address = strtoull(json_get_string(place, "address", "0"), NULL, 16);
	}
	kallsyms_resolve(f, q, 2 * n);
	for (size_t i = 0; i < n; i++)
		name_place(json_object_array_get_idx(places, i), &q[2 * i], &r);
	return r;
}

/* "  outside    memory 12, io 500", as many lines as it takes. */
static void say_counts(struct json_object *isolation, const char *key)
{
	struct json_object *counts = NULL;
	bool first = true;
	int column;

	json_object_object_get_ex(isolation, key, &counts);
	if (!json_object_is_type(counts, json_type_object) || !json_object_object_length(counts))
		return;
	say("  %-9s", key);
	column = 11;
	json_object_object_foreach(counts, word, value) {
		char text[96];
		int len = snprintf(text, sizeof(text), "%s %" PRIu64, word,
				   json_object_get_uint64(value));

		if (!first)
			say(",");
		/* Two more for the space before it and the comma after. */
		if (!first && column + 2 + len >= COLUMNS) {
			say("\n%-11s", "");
			column = 11;
		}
		say(" %s", text);
		column += 2 + len;
		first = false;
	}
	say("\n");
}

/* "; of 1200 exits, 97.5% settled inside": rounded down, so that 100% is all of them. */
static void say_share(struct json_object *isolation)
{
	uint64_t settled = json_get_u64(isolation, "settled", 0);
	uint64_t all = json_get_u64(isolation, "settled-of", 0);
	uint64_t permille;

	if (!all)
		return;
	/* No product that could overflow. */
	permille = all > UINT64_MAX / 1000 ? settled / (all / 1000) : settled * 1000 / all;
	say("; of %" PRIu64 " exits, %" PRIu64 ".%" PRIu64 "%% settled inside", all, permille / 10,
	    permille % 10);
}

/* At most @width bytes, the end of what is longer left out. */
static void add_symbol(struct table *t, struct json_object *place, const char *symbol,
		       const char *number)
{
	const char *text = json_get_string(place, symbol, NULL) ?:
			   json_get_string(place, number, "?");

	if (strlen(text) > SYMBOL_WIDTH)
		table_add(t, "%.*s...", SYMBOL_WIDTH - 3, text);
	else
		table_add(t, "%s", text);
}

/*
 * What was touched goes below its instruction, for both may be long; a count of twelve digits
 * still fits.
 */
static void say_places(struct json_object *isolation)
{
	struct json_object *places = json_get_array(isolation, "places");
	size_t n = places ? json_object_array_length(places) : 0;
	_cleanup_table_ struct table t = { .columns = 3 };

	if (!n)
		return;
	table_add(&t, "   MISSING");
	table_add(&t, " ");
	table_add(&t, "WHERE");
	for (size_t i = 0; i < n && i < SHOWN_PLACES; i++) {
		struct json_object *place = json_object_array_get_idx(places, i);

		table_add(&t, "%10" PRIu64, json_get_u64(place, "count", 0));
		table_add(&t, "by");
		add_symbol(&t, place, "symbol", "ip");
		table_add(&t, " ");
		table_add(&t, "at");
		add_symbol(&t, place, "address-symbol", "address");
	}
	(void)table_print(&t);
	if (n > SHOWN_PLACES)
		say("%10s  and %zu more places\n", "", n - SHOWN_PLACES);
}

void say_isolation(struct json_object *isolation, const char *title)
{
	char mapped[SIZE_TEXT_MAX], table[SIZE_TEXT_MAX];
	uint64_t no_place = json_get_u64(isolation, "no-place", 0);

	if (!json_get_bool(isolation, "isolated", false)) {
		say("%s: not isolated\n", title);
		return;
	}
	/* A name may be long; what follows is not. */
	say("%s:\n  %-9s %" PRIu64, title, "windows", json_get_u64(isolation, "windows", 0));
	say_share(isolation);
	say("\n");
	say_counts(isolation, "left");
	say_counts(isolation, "inside");
	say_counts(isolation, "outside");
	say("  %-9s %s, %" PRIu64 " kicks, %" PRIu64 " entries put off\n", "siblings",
	    json_get_string(isolation, "kick", "?"), json_get_u64(isolation, "kicks", 0),
	    json_get_u64(isolation, "waits", 0));
	say("  %-9s %s, table %s, %" PRIu64 " runs without for want of it\n", "memory",
	    format_size(json_get_u64(isolation, "mapped-bytes", 0), mapped),
	    format_size(json_get_u64(isolation, "table-bytes", 0), table),
	    json_get_u64(isolation, "refused", 0));
	say("  %-9s %" PRIu64 " accesses to what is not mapped", "faults",
	    json_get_u64(isolation, "faults", 0));
	if (no_place)
		say(", %" PRIu64 " of places not kept", no_place);
	say("\n");
	say_places(isolation);
}
