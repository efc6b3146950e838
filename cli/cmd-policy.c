// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon policy: files of rules, and which VMs they are for. */
#include <inttypes.h>

#include "api/check.h"
#include "bus.h"
#include "format.h"
#include "input.h"
#include "verb.h"

static bool arg_persist;

static const struct option_row options[] = {
	{ .name = "persist", .help = "load, unload: for good, in " MERLON_POLICY_ETC,
	  .flag = &arg_persist },
	OPTION_DRY_RUN,
	{}
};

static enum merlon_exit usage(const char *expected, const char *got)
{
	fail("policy: expected %s%s%s", expected, got ? ", got " : "", got ?: "");
	fail_hint("see 'merlon policy --help'");
	return MERLON_EXIT_USAGE;
}

/* The worse of two files counts: what is wrong before what cannot be read or is not built. */
static enum merlon_exit worse(enum merlon_exit a, enum merlon_exit b)
{
	static const enum merlon_exit order[] = {
		MERLON_EXIT_USAGE, MERLON_EXIT_FAILED, MERLON_EXIT_NOT_SUPPORTED,
	};

	for (size_t i = 0; i < ARRAY_SIZE(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return MERLON_EXIT_OK;
}

/* "FILE:3:28: /rules/1/gpa: expected ...": where that is, for programs that show it there. */
static int add_place(struct json_object *o, const char *file, const char *error)
{
	const char *rest = startswith(error, streq(file, "-") ? "stdin" : file);
	unsigned int line, column;
	int n = 0, r = 0;

	if (!rest || sscanf(rest, ":%9u:%9u: %n", &line, &column, &n) != 2 || !n)
		return 0;
	if (json_add_u64(o, "line", line) < 0 || json_add_u64(o, "column", column) < 0)
		return -ENOMEM;
	rest += n;
	n = (int)strcspn(rest, ":");
	if (*rest == '/' && startswith(rest + n, ": ")) {
		_cleanup_free_ char *path = strndup(rest, (size_t)n);

		r = path ? json_add_string(o, "path", path) : -ENOMEM;
		rest += n + 2;
	}
	return r < 0 ? r : json_add_string(o, "message", rest);
}

static enum merlon_exit say_checked(struct json_object *array, const char *file,
				    const struct check_summary *summary, const char *error)
{
	_cleanup_json_ struct json_object *o = NULL;

	if (!arg_json) {
		if (error)
			fail("%s", error);
		else
			say("%s: policy %s, %s, %zu rule%s%s\n", file, summary->name, summary->mode,
			    summary->rules, summary->rules == 1 ? "" : "s",
			    summary->boot ? ", armed at boot" : "");
		return MERLON_EXIT_OK;
	}
	o = json_object_new_object();
	if (!o || json_add_string(o, "file", file) < 0 || json_add_bool(o, "valid", !error) < 0 ||
	    (error && (json_add_string(o, "error", error) < 0 || add_place(o, file, error) < 0)))
		return fail_memory();
	if (!error && (json_add_string(o, "name", summary->name) < 0 ||
		       json_add_string(o, "mode", summary->mode) < 0 ||
		       json_add_u64(o, "rules", summary->rules) < 0 ||
		       json_add_u64(o, "boot", summary->boot) < 0))
		return fail_memory();
	return json_append(array, TAKE_PTR(o)) < 0 ? fail_memory() : MERLON_EXIT_OK;
}

static enum merlon_exit check_one(struct json_object *array, const char *file)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	struct check_summary summary;
	enum merlon_exit e, said;
	int r;

	e = read_input(file, &text);
	if (e != MERLON_EXIT_OK && arg_json) {
		/* What it is has gone to stderr; the array has each file. */
		said = say_checked(array, file, NULL, "cannot be read");
		return said == MERLON_EXIT_OK ? e : said;
	}
	if (e != MERLON_EXIT_OK)
		return e;
	r = check_policy(text, strlen(text), streq(file, "-") ? "stdin" : file, &summary,
			 &message);
	if (r < 0 && !message)
		return fail_memory();
	said = say_checked(array, file, &summary, message);
	if (said != MERLON_EXIT_OK)
		return said;
	return r == -EOPNOTSUPP ? MERLON_EXIT_NOT_SUPPORTED :
	       r == -E2BIG ? MERLON_EXIT_FAILED :
	       r < 0 ? MERLON_EXIT_USAGE : MERLON_EXIT_OK;
}

static enum merlon_exit check(char **files)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	enum merlon_exit e = MERLON_EXIT_OK;

	if (!array)
		return fail_memory();
	if (!*files)
		return usage("a file", NULL);
	if (arg_host)
		return usage("check without --host: its files are here", NULL);
	for (; *files; files++)
		e = worse(e, check_one(array, *files));
	if (arg_json && print_json(array) != MERLON_EXIT_OK)
		return MERLON_EXIT_FAILED;
	return e;
}

static enum merlon_exit list(void)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *array = NULL;
	_cleanup_table_ struct table table = { .columns = 5, .shrinks = 1 };
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "ListPolicies", &array, "");
	if (e != MERLON_EXIT_OK)
		return e;
	if (!json_object_is_type(array, json_type_array))
		return bus_bad_reply("ListPolicies");
	if (arg_json)
		return print_json(array);
	table_add(&table, "POLICY");
	table_add(&table, "STATE");
	table_add(&table, "MODE");
	table_add(&table, "VMS");
	table_add(&table, "FILE");
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *o = json_object_array_get_idx(array, i);
		struct json_object *vms = json_get_array(o, "vms");

		table_add(&table, "%s", json_get_string(o, "name", ""));
		table_add(&table, "%s", json_get_string(o, "state", "?"));
		table_add(&table, "%s", json_get_string(o, "mode", "-"));
		if (vms)
			table_add(&table, "%zu", json_object_array_length(vms));
		else
			table_add(&table, "-");
		table_add(&table, "%s", json_get_string(o, "file", "?"));
	}
	e = table_print(&table);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		const char *error = json_get_string(json_object_array_get_idx(array, i), "error",
						    NULL);

		if (error)
			say("%s\n", error);
	}
	return e;
}

static void print_names(struct json_object *change, const char *key, char mark)
{
	struct json_object *names = json_get_array(change, key);

	for (size_t i = 0; names && i < json_object_array_length(names); i++)
		say("  %c %s\n", mark,
		    json_object_get_string(json_object_array_get_idx(names, i)) ?: "?");
}

/* What ReloadPolicies() tells; 3 where a file is broken, 1 where a change has failed. */
static enum merlon_exit print_report(struct json_object *report)
{
	struct json_object *invalid = json_get_array(report, "invalid");
	struct json_object *changes = json_get_array(report, "changes");
	enum merlon_exit e = MERLON_EXIT_OK;

	if (!invalid || !changes)
		return bus_bad_reply("ReloadPolicies");
	if (arg_json)
		e = print_json(report);
	for (size_t i = 0; i < json_object_array_length(changes); i++) {
		struct json_object *change = json_object_array_get_idx(changes, i);
		const char *error = json_get_string(change, "error", NULL);
		const char *name = json_get_string(change, "name", "");

		if (!arg_json) {
			say("%s%s#%" PRIu64 "%s, policy %s: %" PRIu64 " rules stay\n", name,
			    *name ? " (" : "", json_get_u64(change, "vm", 0), *name ? ")" : "",
			    json_get_string(change, "policy", "?"), json_get_u64(change, "kept", 0));
			print_names(change, "set", '+');
			print_names(change, "changed", '~');
			print_names(change, "dropped", '-');
		}
		if (error) {
			fail("VM #%" PRIu64 ": policy %s: %s", json_get_u64(change, "vm", 0),
			     json_get_string(change, "policy", "?"), error);
			e = MERLON_EXIT_FAILED;
		}
	}
	if (!arg_json && !json_object_array_length(changes))
		say(arg_dry_run ? "Nothing would change.\n" : "Nothing has changed.\n");
	for (size_t i = 0; i < json_object_array_length(invalid); i++) {
		struct json_object *o = json_object_array_get_idx(invalid, i);

		fail("%s%s", json_get_string(o, "error", "?"),
		     json_get_bool(o, "last-good", false) ?
			     "; what was right last stays in force" : "");
		if (e == MERLON_EXIT_OK)
			e = MERLON_EXIT_DEGRADED;
	}
	return e;
}

static enum merlon_exit reload(void)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *report = NULL;
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "ReloadPolicies", &report,
				  "b", (int)arg_dry_run);
	return e == MERLON_EXIT_OK ? print_report(report) : e;
}

static enum merlon_exit unload(const char *name)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *report = NULL;
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "UnloadPolicy", &report,
				  "sbb", name, (int)arg_persist, (int)arg_dry_run);
	return e == MERLON_EXIT_OK ? print_report(report) : e;
}

/* "/etc/x/web.json" is called "web"; what is no NAME.json says itself what it is called. */
static char *name_of(const char *file)
{
	const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file;
	size_t len = strlen(base), suffix = strlen(".json");

	if (len <= suffix || !streq(base + len - suffix, ".json"))
		return strdup("");
	return strndup(base, len - suffix);
}

static enum merlon_exit load(const char *file)
{
	_cleanup_free_ char *text = NULL, *message = NULL, *name = NULL;
	_cleanup_json_ struct json_object *report = NULL;
	struct check_summary summary;
	_cleanup_bus_ sd_bus *bus = NULL;
	enum merlon_exit e;

	e = read_input(file, &text);
	if (e != MERLON_EXIT_OK)
		return e;
	/* Here already, for here the file's name is known to errors. */
	if (check_policy(text, strlen(text), streq(file, "-") ? "stdin" : file, &summary,
			 &message) < 0 && message) {
		fail("%s", message);
		return strstr(message, "is not supported here yet") ? MERLON_EXIT_NOT_SUPPORTED :
								      MERLON_EXIT_USAGE;
	}
	name = name_of(file);
	if (!name)
		return fail_memory();
	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "LoadPolicy", &report,
				  "ssbb", name, text, (int)arg_persist, (int)arg_dry_run);
	return e == MERLON_EXIT_OK ? print_report(report) : e;
}

static enum merlon_exit diff(const char *file)
{
	arg_dry_run = true;
	return file ? load(file) : reload();
}

static enum merlon_exit run(char **operands)
{
	const char *what = operands[0], *operand = operands[1];

	if (streq(what, "check"))
		return check(operands + 1);
	if (operand && operands[2])
		return usage("one operand", operands[2]);
	if (streq(what, "diff"))
		return diff(operand);
	if (streq(what, "load"))
		return operand ? load(operand) : usage("a file, or - for stdin", NULL);
	if (streq(what, "unload"))
		return operand ? unload(operand) : usage("a policy's name", NULL);
	if (!streq(what, "list") && !streq(what, "reload"))
		return usage("check, list, diff, load, unload or reload", what);
	if (operand)
		return usage("no operand", operand);
	return streq(what, "list") ? list() : reload();
}

const struct verb verb_policy = {
	.name = "policy",
	.operands = "check FILE... | list | diff [FILE] | load FILE | unload NAME | reload",
	.min = 1,
	.max = 1000,
	.help = "Check, show and load policies",
	.details = "check: is each file a policy that merlond would take? Needs no merlond and no\n"
		   "root. Exits 0 if all are, 2 if one is wrong, 1 if one cannot be read, 6 if one\n"
		   "has words that are not supported yet.\n\n"
		   "list: the policies of this host, their files, and how many VMs they are for.\n\n"
		   "diff: what loading the file would change, or reading the directories again.\n\n"
		   "load: until the host reboots, or with --persist for good; unload takes back\n"
		   "what load did, and with --persist hides what a package brings.\n\n"
		   "reload: reads the directories again, as merlond does when files change.\n\n"
		   "What changes rules exits 3 if a file of the directories is broken, 1 if a VM\n"
		   "could not be given its rules. merlon-policy(5) tells what is in a policy.",
	.options = options,
	.paged = true,
	.run = run,
};
