// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon mode: whether a rule enforces, only reports, or learns. */
#include "bus.h"
#include "format.h"
#include "verb.h"

static const struct option_row options[] = { OPTION_DRY_RUN, {} };

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL, *report = NULL;
	_cleanup_free_ char *path = NULL, *title = NULL;
	const char *rule = operands[1], *mode = operands[2];
	enum merlon_exit e;

	if (!streq(mode, MERLON_MODE_ENFORCE) && !streq(mode, MERLON_MODE_MONITOR) &&
	    !streq(mode, MERLON_MODE_LEARN)) {
		fail("expected enforce, monitor or learn, got %s", mode);
		fail_hint("see 'merlon mode --help'");
		return MERLON_EXIT_USAGE;
	}
	e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	path = vm_path(vm);
	title = vm_title(vm);
	if (!path || !title)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "SetMode", &report, "ssb", rule, mode,
			  (int)arg_dry_run);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(report);
	say("%s: the mode of rule %s %s %s\n", title, rule, arg_dry_run ? "would be" : "is", mode);
	return MERLON_EXIT_OK;
}

const struct verb verb_mode = {
	.name = "mode",
	.operands = "VM RULE MODE",
	.min = 3,
	.max = 3,
	.help = "Have a rule enforce, only report, or learn",
	.details = "MODE is enforce (violations get the rule's verdict), monitor (they are reported\n"
		   "and let through) or learn (what the guest's kernel executes, it may execute\n"
		   "from then on; for rules of execute=user). What is denied, and what was learned,\n"
		   "stays.",
	.options = options,
	.run = run,
};
