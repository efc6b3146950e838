// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon list: the VMs of this host. */
#include <inttypes.h>

#include "bus.h"
#include "format.h"
#include "verb.h"

static void add_number(struct table *t, struct json_object *vm, const char *key)
{
	table_add(t, "%" PRIu64, json_get_u64(vm, key, 0));
}

static enum merlon_exit print_table(struct json_object *vms)
{
	_cleanup_table_ struct table t = { .columns = 9, .shrinks = 2 };
	static const char *const heading[] = { "ID",	 "NAME", "STATE", "UID",	"PID",
					       "VCPUS", "RULES", "VIOLATIONS", "UNIT" };

	for (size_t i = 0; i < ARRAY_SIZE(heading); i++)
		table_add(&t, "%s", heading[i]);
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		struct json_object *vm = json_object_array_get_idx(vms, i);
		const char *name = json_get_string(vm, "name", "");
		const char *unit = json_get_string(vm, "unit", "");

		table_add(&t, "#%" PRIu64, json_get_u64(vm, "id", 0));
		/* A name that anybody may have chosen is marked as a claim. */
		table_add(&t, "%s%s", *name ? name : "-",
			  *name && !json_get_bool(vm, "name-trusted", false) ? " (claimed)" : "");
		table_add(&t, "%s", json_get_string(vm, "state", "?"));
		add_number(&t, vm, "uid");
		add_number(&t, vm, "pid");
		add_number(&t, vm, "vcpus");
		add_number(&t, vm, "rules");
		add_number(&t, vm, "violations");
		table_add(&t, "%s", *unit ? unit : "-");
	}
	return table_print(&t);
}

static enum merlon_exit run(_unused_ char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vms = NULL;
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e != MERLON_EXIT_OK)
		return e;
	e = bus_list_vms(bus, &vms);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(vms);
	if (json_object_array_length(vms) == 0) {
		say("no VMs\n");
		return MERLON_EXIT_OK;
	}
	return print_table(vms);
}

const struct verb verb_list = {
	.name = "list",
	.operands = "",
	.help = "List the VMs of this host",
	.details = "A name marked (claimed) was chosen by a user whom merlond does not trust with\n"
		   "names: it may be anybody's.",
	.paged = true,
	.run = run,
};
