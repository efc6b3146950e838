// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon engine: who checks writes to parts of a VM's pages, and the choice of it. */
#include "bus.h"
#include "engine.h"
#include "format.h"
#include "verb.h"

static const struct option_row options[] = { OPTION_DRY_RUN, {} };

/* Of what DescribeVm tells, what it is about. */
static enum merlon_exit print_members(struct json_object *vm)
{
	static const char *const keys[] = { "id", "name", MERLON_VM_ENGINE, MERLON_VM_ENGINE_WANTED,
					    MERLON_VM_ENGINE_SETTLED, MERLON_VM_ENGINE_BYTES };
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *value;

	if (!o)
		return fail_memory();
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (json_object_object_get_ex(vm, keys[i], &value) &&
		    json_add(o, keys[i], json_object_get(value)) < 0)
			return fail_memory();
	return print_json(o);
}

static enum merlon_exit show(struct json_object *vm)
{
	_cleanup_free_ char *title = vm_title(vm);

	if (!title)
		return fail_memory();
	/* A merlond that is older than the verb. */
	if (!json_get_string(vm, MERLON_VM_ENGINE, NULL))
		return bus_bad_reply("DescribeVm");
	if (arg_json)
		return print_members(vm);
	say("%s: ", title);
	say_engine(vm);
	say("\n");
	return MERLON_EXIT_OK;
}

static enum merlon_exit choose(sd_bus *bus, struct json_object *vm, const char *word)
{
	_cleanup_free_ char *path = vm_path(vm), *title = vm_title(vm);
	_cleanup_json_ struct json_object *report = NULL;
	struct json_object *choice = NULL;
	const char *engine;
	enum merlon_exit e;

	if (!path || !title)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "SetEngine", &report, "sb", word,
			  (int)arg_dry_run);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(report);
	json_object_object_get_ex(report, arg_dry_run ? "would-set" : "set", &choice);
	engine = json_get_string(choice, MERLON_VM_ENGINE, NULL);
	if (!engine)
		return bus_bad_reply("SetEngine");
	say("%s: engine %s %s", title, word, arg_dry_run ? "would be set" : "is set");
	say(streq(engine, word) ? "\n" : ", which takes %s\n", engine);
	return MERLON_EXIT_OK;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL;
	enum merlon_exit e;

	if (operands[1] && merlon_engine_from_name(operands[1]) < 0) {
		fail("expected auto, software or hardware, got %s", operands[1]);
		fail_hint("see 'merlon engine --help'");
		return MERLON_EXIT_USAGE;
	}
	e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	return operands[1] ? choose(bus, vm, operands[1]) : show(vm);
}

const struct verb verb_engine = {
	.name = "engine",
	.operands = "VM [ENGINE]",
	.min = 1,
	.max = 2,
	.help = "Show or choose who checks writes to parts of a page",
	.details = "ENGINE is software (KVM: works everywhere), hardware (the CPU, where probe\n"
		   "lists it) or auto (hardware where it is available). What is allowed and\n"
		   "denied is the same. It can be chosen until the VM is first protected; then it\n"
		   "is settled.",
	.options = options,
	.run = run,
};
