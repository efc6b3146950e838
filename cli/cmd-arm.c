// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon arm: rules that wait for their guest to have booted come into force. */
#include "bus.h"
#include "format.h"
#include "verb.h"

static const struct option_row options[] = { OPTION_DRY_RUN, {} };

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL, *report = NULL;
	_cleanup_free_ char *path = NULL, *title = NULL;
	struct json_object *names;
	enum merlon_exit e;

	e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	path = vm_path(vm);
	title = vm_title(vm);
	if (!path || !title)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "Arm", &report, "sb", operands[1] ?: "",
			  (int)arg_dry_run);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(report);
	names = json_get_array(report, arg_dry_run ? "would-arm" : "armed");
	if (!names)
		return bus_bad_reply("Arm");
	if (!json_object_array_length(names))
		say("%s: nothing waits to be armed\n", title);
	for (size_t i = 0; i < json_object_array_length(names); i++)
		say("%s: rule %s %s armed\n", title,
		    json_object_get_string(json_object_array_get_idx(names, i)) ?: "?",
		    arg_dry_run ? "would be" : "is");
	return MERLON_EXIT_OK;
}

const struct verb verb_arm = {
	.name = "arm",
	.operands = "VM [RULE]",
	.min = 1,
	.max = 2,
	.help = "Put rules into force that wait for the boot",
	.details = "Rules of policies are armed when their guest has booted, unless they say \"arm\":\n"
		   "\"now\": until then the guest writes what they protect. arm says that it has, and\n"
		   "arms again what a reset has disarmed.",
	.options = options,
	.run = run,
};
