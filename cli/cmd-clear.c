// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon clear: drops every rule, also those that merlond has no name for. */
#include <inttypes.h>

#include "bus.h"
#include "dropped.h"
#include "format.h"
#include "verb.h"

static const struct option_row options[] = { OPTION_DRY_RUN, {} };

static enum merlon_exit clear_all(sd_bus *bus)
{
	_cleanup_json_ struct json_object *report = NULL;
	struct json_object *vms;
	enum merlon_exit e;

	e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "ClearAll", &report, "b",
			  (int)arg_dry_run);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(report);
	vms = json_get_array(report, arg_dry_run ? "would-clear" : "cleared");
	if (!vms)
		return bus_bad_reply("ClearAll");
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);
		const char *name = json_get_string(vm, "name", "");
		_cleanup_free_ char *title = NULL;

		if (asprintf(&title, "%s%s#%" PRIu64 "%s", name, *name ? " (" : "",
			     json_get_u64(vm, "vm", 0), *name ? ")" : "") < 0)
			return fail_memory();
		print_dropped(title, json_get_array(vm, "rules"));
	}
	if (json_object_array_length(vms) == 0)
		say("no rules\n");
	return MERLON_EXIT_OK;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL;
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e != MERLON_EXIT_OK)
		return e;
	if (!operands[0])
		return clear_all(bus);
	e = bus_describe_vm(bus, operands[0], &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	return drop_rules(bus, vm, "");
}

const struct verb verb_clear = {
	.name = "clear",
	.operands = "[VM]",
	.max = 1,
	.help = "Drop every rule of a VM, or of all VMs",
	.details = "Rules that lost their names (orphans) are dropped too.",
	.options = options,
	.run = run,
};
