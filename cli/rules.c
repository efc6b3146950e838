// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Setting rules, as the verbs protect and pin both do.  merlond alone judges the text, and
 * its complaints are put back into the user's terms: a file's name, or that of an option.
 */
#include <inttypes.h>

#include "bus.h"
#include "denied.h"
#include "format.h"
#include "rules.h"
#include "verb.h"

/*
 * The option that makes what stands at a path: "/rules/0/gpa: expected" is of --gpa,
 * "/rules/0/pin/cr4/1: expected" of --cr4.  NULL: memory.
 */
static char *name_option(const char *path)
{
	const char *key = startswith(path, "/rules/0/pin/") ?: startswith(path, "/rules/0/") ?:
			  startswith(path, "/");
	const char *problem = strstr(path, ": ");
	char *s;

	/* Of no key: of the rule as a whole, or the text. */
	if (!key || !problem)
		return strdup(path);
	if (startswith(path, "/rules/0: "))
		return strdup(problem + 2);
	return asprintf(&s, "--%.*s%s", (int)strcspn(key, "/:"), key, problem) < 0 ? NULL : s;
}

/*
 * What a message calls "key": "value" are options here: --key=value.  A value that the user
 * gave is not spoken of so: its quotes are escaped.  NULL: memory.
 */
static char *name_options(const char *message)
{
	char key[32], value[32], *s = NULL;
	size_t size;
	FILE *f = open_memstream(&s, &size);

	if (!f)
		return NULL;
	while (*message) {
		int n = 0;

		if (sscanf(message, "\"%31[a-z-]\": \"%31[a-z-]\"%n", key, value, &n) == 2 && n) {
			fprintf(f, "--%s=%s", key, value);
			message += n;
		} else {
			fputc(*message++, f);
		}
	}
	if (fclose(f) != 0) {
		free(s);
		return NULL;
	}
	return s;
}

/*
 * "<text>:1:20: /rules/0/gpa: expected" becomes "FILE:1:20: /rules/0/gpa: expected"
 * or "--gpa: expected".  Any other message stays.  NULL: memory.
 */
static char *translate(const char *message, const char *file)
{
	const char *rest = startswith(message, MERLON_TEXT_LABEL ":"), *path;
	_cleanup_free_ char *of_option = NULL;
	char *s;

	if (!rest)
		return strdup(message);
	if (file)
		return asprintf(&s, "%s:%s", file, rest) < 0 ? NULL : s;
	path = strstr(rest, ": ");
	of_option = name_option(path ? path + 2 : rest);
	return of_option ? name_options(of_option) : NULL;
}

static enum merlon_exit report(const sd_bus_error *error, const char *file)
{
	_cleanup_error_ sd_bus_error translated = SD_BUS_ERROR_NULL;
	_cleanup_free_ char *message = translate(error->message ?: "", file);

	if (!message)
		return fail_memory();
	sd_bus_error_set(&translated, error->name, message);
	return bus_report(&translated);
}

static void print_place(struct json_object *rule)
{
	uint64_t frames = json_get_u64(rule, "frames", 0);
	char size[SIZE_TEXT_MAX];

	say("gpa %s length %s, %" PRIu64 " frame%s, engine %s, ",
	    json_get_string(rule, "gpa", "?"),
	    format_size(json_get_u64(rule, "length", 0), size), frames, frames == 1 ? "" : "s",
	    json_get_string(rule, "engine", "?"));
}

static void print_rule(struct json_object *rule, const char *title)
{
	say("%s: rule ", title);
	say_in(SHADE_BOLD, "%s", json_get_string(rule, "name", "?"));
	say(arg_dry_run ? " would be set: " : " is set: ");
	if (json_get_string(rule, "gpa", NULL))
		print_place(rule);
	say_denied(rule);
	say(" (%s%s)\n", json_get_string(rule, "mode", "enforce"),
	    streq(json_get_string(rule, "arm", "now"), "boot") ? ", waits to be armed" : "");
}

static enum merlon_exit print_report(const char *text, struct json_object *vm)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *title = vm_title(vm);
	struct json_object *rules;
	const char *device = NULL;

	if (!title)
		return fail_memory();
	if (arg_json)
		return print_json_text(text);
	if (json_parse(text, strlen(text), &o) < 0)
		return bus_bad_reply("Protect");
	rules = json_get_array(o, arg_dry_run ? "would-apply" : "applied");
	if (!rules)
		return bus_bad_reply("Protect");
	for (size_t i = 0; i < json_object_array_length(rules); i++) {
		struct json_object *rule = json_object_array_get_idx(rules, i);

		print_rule(rule, title);
		device = json_get_string(rule, MERLON_DEVICE_WRITES, device);
	}
	if (device)
		say("device writes: %s\n", device);
	return MERLON_EXIT_OK;
}

enum merlon_exit set_rules(const char *what, const char *text, const char *file)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ char *path = NULL;
	enum merlon_exit e;
	const char *answer;

	e = bus_open_vm(what, &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	path = vm_path(vm);
	if (!path)
		return fail_memory();
	e = bus_call(bus, path, MERLON_IFACE_VM, "Protect", &error, &reply, "sb", text,
		     (int)arg_dry_run);
	/* sd-bus refuses to carry what is not UTF-8. */
	if (e != MERLON_EXIT_OK && sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS)) {
		fail("%s: expected JSON in UTF-8, got other bytes", file ?: "an option");
		return MERLON_EXIT_USAGE;
	}
	if (e != MERLON_EXIT_OK)
		return report(&error, file);
	if (sd_bus_message_read(reply, "s", &answer) < 0)
		return bus_bad_reply("Protect");
	return print_report(answer, vm);
}
