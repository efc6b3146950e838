// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon probe: what this host can enforce, and what is missing. */
#include <inttypes.h>

#include "bus.h"
#include "format.h"
#include "isolation.h"
#include "verb.h"

static void print_words(struct json_object *o, const char *key)
{
	struct json_object *words = json_get_array(o, key);
	size_t n = words ? json_object_array_length(words) : 0;

	if (!n)
		return;
	say("%-12s", key);
	for (size_t i = 0; i < n; i++)
		say(" %s", json_object_get_string(json_object_array_get_idx(words, i)));
	say("\n");
}

static bool has_word(struct json_object *words, const char *word)
{
	for (size_t i = 0; words && i < json_object_array_length(words); i++)
		if (streq(json_object_get_string(json_object_array_get_idx(words, i)), word))
			return true;
	return false;
}

/* "engines software", what the host has; "engine auto, which takes software", what VMs get. */
static void print_engines(struct json_object *report, struct json_object *kernel)
{
	bool hardware = has_word(json_get_array(kernel, "engines"), MERLON_ENGINE_HARDWARE);
	const char *wanted = json_get_string(report, "engine-default", NULL);
	const char *taken = json_get_string(kernel, "engine-auto", NULL);

	print_words(kernel, "engines");
	if (!wanted || !taken)
		return;
	say("%-12s %s", "engine", wanted);
	if (streq(wanted, MERLON_ENGINE_AUTO) ||
	    (streq(wanted, MERLON_ENGINE_HARDWARE) && !hardware))
		say(", which takes %s", taken);
	say(hardware ? "\n" : " (" MERLON_ENGINE_HARDWARE " is not available)\n");
}

static void print_missing(struct json_object *missing)
{
	for (size_t i = 0; missing && i < json_object_array_length(missing); i++) {
		struct json_object *m = json_object_array_get_idx(missing, i);

		say_in(SHADE_BAD, "%-12s", "missing");
		say(" %s: %s\n", json_get_string(m, "what", "?"), json_get_string(m, "why", "?"));
		say("%-12s %s\n", "", json_get_string(m, "do", ""));
	}
}

static void print_report(struct json_object *report, struct json_object *kernel, bool patched)
{
	say("%-12s %s\n", "merlond", json_get_string(report, "version", "?"));
	say("%-12s ", "kernel");
	if (patched)
		say_in(SHADE_GOOD, "protects guests");
	else
		say_in(SHADE_BAD, "cannot protect guests");
	if (patched)
		say(" (interface %" PRIu64 ", CPU %s)", json_get_u64(kernel, "abi", 0),
		    json_get_string(kernel, "vendor", "?"));
	say("\n");
	print_words(kernel, "features");
	print_engines(report, kernel);
	print_words(kernel, "verdicts");
	print_words(kernel, "kinds");
	if (patched)
		say("%-12s %s\n", "admission", json_get_string(kernel, "admission", "?"));
	say_isolation_host(report, "isolation", 12);
	print_missing(json_get_array(report, "missing"));
}

static enum merlon_exit run(_unused_ char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *report = NULL;
	struct json_object *kernel = NULL;
	enum merlon_exit e;
	bool patched;

	e = bus_connect(&bus);
	if (e != MERLON_EXIT_OK)
		return e;
	e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "Probe", &report, "");
	if (e != MERLON_EXIT_OK)
		return e;
	if (!json_object_is_type(report, json_type_object))
		return bus_bad_reply("Probe");

	json_object_object_get_ex(report, "kernel", &kernel);
	patched = json_get_bool(kernel, "patched", false);
	if (arg_json) {
		e = print_json(report);
		if (e != MERLON_EXIT_OK)
			return e;
	} else {
		print_report(report, kernel, patched);
	}
	return patched ? MERLON_EXIT_OK : MERLON_EXIT_NOT_SUPPORTED;
}

const struct verb verb_probe = {
	.name = "probe",
	.operands = "",
	.help = "Show what this host can enforce",
	.details = "Exits 6 if this kernel cannot protect guests, and says what is missing.",
	.paged = true,
	.run = run,
};
