// SPDX-License-Identifier: GPL-2.0-or-later
/* Dropping rules, as the verbs unprotect and clear both do. */
#include "dropped.h"
#include "format.h"
#include "util/escape.h"
#include "verb.h"

void print_dropped(const char *title, struct json_object *names)
{
	size_t n = names ? json_object_array_length(names) : 0;

	if (n == 0) {
		say("%s: no rules\n", title);
		return;
	}
	say("%s: %s", title, arg_dry_run ? "would drop" : "dropped");
	for (size_t i = 0; i < n; i++) {
		const char *name = json_object_get_string(json_object_array_get_idx(names, i));

		say("%s %s", i ? "," : "", name && *name ? name : "(orphan)");
	}
	say("\n");
}

enum merlon_exit drop_rules(sd_bus *bus, struct json_object *vm, const char *name)
{
	_cleanup_json_ struct json_object *report = NULL;
	_cleanup_free_ char *path = vm_path(vm), *title = vm_title(vm);
	/* A rule's name is ASCII: anything else may as well be asked for escaped. */
	_cleanup_free_ char *escaped = escape_terminal(name);
	enum merlon_exit e;

	if (!path || !title || !escaped)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "Unprotect", &report, "sb", escaped,
			  (int)arg_dry_run);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(report);
	print_dropped(title, json_get_array(report, arg_dry_run ? "would-remove" : "removed"));
	return MERLON_EXIT_OK;
}
