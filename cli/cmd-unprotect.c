// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon unprotect: drops one rule of a VM, or all of them. */
#include <inttypes.h>

#include "bus.h"
#include "dropped.h"
#include "format.h"
#include "verb.h"

static bool arg_all;

static const struct option_row options[] = {
	{ .name = "all", .help = "drop every rule of the VM", .flag = &arg_all },
	OPTION_DRY_RUN,
	{}
};

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL;
	enum merlon_exit e;

	if (!operands[1] == !arg_all) {
		fail("unprotect needs the name of a rule or --all, not both");
		fail_hint("see 'merlon status %s' for the rules it has", operands[0]);
		return MERLON_EXIT_USAGE;
	}
	/* "" would mean all of them on the bus: not what an empty variable meant. */
	if (operands[1] && !*operands[1]) {
		fail("no rule has an empty name");
		fail_hint("--all drops every rule of the VM");
		return MERLON_EXIT_NO_SUCH;
	}
	e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	return drop_rules(bus, vm, operands[1] ?: "");
}

const struct verb verb_unprotect = {
	.name = "unprotect",
	.operands = "VM [RULE]",
	.min = 1,
	.max = 2,
	.help = "Drop a rule of a VM, or with --all every rule",
	.options = options,
	.run = run,
};
