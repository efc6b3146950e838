// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon isolation: what KVM's address-space isolation does, and when siblings are kicked. */
#include "bus.h"
#include "format.h"
#include "isolation.h"
#include "verb.h"

static const struct option_row options[] = { OPTION_DRY_RUN, {} };

/* A VM that ended meanwhile is left out where all were asked for: 0 then. */
static enum merlon_exit read_vm(sd_bus *bus, struct json_object *vm, bool all,
				struct json_object **ret)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_free_ char *path = vm_path(vm);
	enum merlon_exit e;
	const char *text;
	int r;

	if (!path)
		return fail_memory();
	e = bus_call(bus, path, MERLON_IFACE_VM, "Isolation", &error, &reply, "");
	if (e == MERLON_EXIT_NO_SUCH && all)
		return MERLON_EXIT_OK;
	if (e != MERLON_EXIT_OK)
		return bus_report(&error);
	r = sd_bus_message_read(reply, "s", &text);
	if (r >= 0)
		r = json_parse(text, strlen(text), ret);
	if (r >= 0 && !json_object_is_type(*ret, json_type_object))
		r = -EINVAL;
	if (r >= 0)
		/* The symbols here are those of another kernel. */
		r = bus_host() ? 0 : isolation_name_places(*ret);
	if (r == -ENOMEM)
		return fail_memory();
	return r < 0 ? bus_bad_reply("Isolation") : MERLON_EXIT_OK;
}

/* Adds "id" and "name" to what Isolation() answered, and that to @array. */
static enum merlon_exit append_vm(struct json_object *array, struct json_object *vm,
				  struct json_object *isolation)
{
	int r;

	r = json_add_u64(isolation, "id", json_get_u64(vm, "id", 0));
	if (r >= 0)
		r = json_add_string(isolation, "name", json_get_string(vm, "name", ""));
	if (r >= 0)
		r = json_append(array, json_object_get(isolation));
	return r < 0 ? fail_memory() : MERLON_EXIT_OK;
}

static enum merlon_exit show_vm(sd_bus *bus, struct json_object *vm, bool all,
				struct json_object *array)
{
	_cleanup_json_ struct json_object *isolation = NULL;
	_cleanup_free_ char *title = vm_title(vm);
	enum merlon_exit e;

	if (!title)
		return fail_memory();
	e = read_vm(bus, vm, all, &isolation);
	if (e != MERLON_EXIT_OK || !isolation)
		return e;
	if (arg_json)
		return append_vm(array, vm, isolation);
	say_isolation(isolation, title);
	return MERLON_EXIT_OK;
}

/* Those of @vms; the host before them. */
static enum merlon_exit show(sd_bus *bus, struct json_object *vms, bool all)
{
	_cleanup_json_ struct json_object *report = NULL, *o = json_object_new_object();
	_cleanup_json_ struct json_object *array = json_object_new_array();
	struct json_object *host = NULL;
	enum merlon_exit e;

	if (!o || !array)
		return fail_memory();
	e = bus_call_json(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "Probe", &report, "");
	if (e != MERLON_EXIT_OK)
		return e;
	/* A merlond that is older than the verb. */
	if (!json_object_object_get_ex(report, "isolation", &host))
		return bus_bad_reply("Probe");
	if (!arg_json)
		say_isolation_host(report, "host:", 0);
	for (size_t i = 0; i < json_object_array_length(vms); i++) {
		e = show_vm(bus, json_object_array_get_idx(vms, i), all, array);
		if (e != MERLON_EXIT_OK)
			return e;
	}
	if (!arg_json)
		return MERLON_EXIT_OK;
	if (json_add(o, "host", json_object_get(host)) < 0 ||
	    json_add(o, "vms", TAKE_PTR(array)) < 0)
		return fail_memory();
	return print_json(o);
}

static enum merlon_exit status(const char *what)
{
	_cleanup_json_ struct json_object *vms = NULL, *vm = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	enum merlon_exit e;

	if (!what) {
		e = bus_connect(&bus);
		if (e == MERLON_EXIT_OK)
			e = bus_list_vms(bus, &vms);
		return e == MERLON_EXIT_OK ? show(bus, vms, true) : e;
	}
	e = bus_open_vm(what, &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	vms = json_object_new_array();
	if (!vms || json_append(vms, TAKE_PTR(vm)) < 0)
		return fail_memory();
	return show(bus, vms, false);
}

static enum merlon_exit kick(const char *what, const char *word)
{
	_cleanup_json_ struct json_object *vm = NULL, *report = NULL;
	_cleanup_free_ char *path = NULL, *title = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	enum merlon_exit e;

	e = bus_open_vm(what, &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	path = vm_path(vm);
	title = vm_title(vm);
	if (!path || !title)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "SetIsolationKick", &report, "sb", word,
			  (int)arg_dry_run);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_json)
		return print_json(report);
	say("%s: siblings %s kicked: %s\n", title, arg_dry_run ? "would be" : "are", word);
	return MERLON_EXIT_OK;
}

static enum merlon_exit usage(const char *expected, const char *got)
{
	if (got)
		fail("expected %s, got %s", expected, got);
	else
		fail("expected %s", expected);
	fail_hint("see 'merlon isolation --help'");
	return MERLON_EXIT_USAGE;
}

static enum merlon_exit run(char **operands)
{
	const char *word = operands[1] ? operands[2] : NULL;

	if (streq(operands[0], "status")) {
		if (word)
			return usage("one VM", word);
		if (arg_dry_run)
			return usage("kick with --dry-run", operands[0]);
		return status(operands[1]);
	}
	if (!streq(operands[0], "kick"))
		return usage("status or kick", operands[0]);
	if (!word)
		return usage("a VM and never or always", NULL);
	if (!streq(word, MERLON_KICK_NEVER) && !streq(word, MERLON_KICK_ALWAYS))
		return usage("never or always", word);
	return kick(operands[1], word);
}

const struct verb verb_isolation = {
	.name = "isolation",
	.operands = "status [VM] | kick VM WHEN",
	.min = 1,
	.max = 3,
	.help = "Show or steer KVM's isolation",
	.details = "status: whether this host isolates, or why not; for each VM the windows\n"
		   "entered, the share of exits that were settled in them, why they were left, and\n"
		   "which mappings were missing most. Run by root it names addresses of the\n"
		   "kernel; what has no name is a number.\n\n"
		   "kick: WHEN is never or always: whether siblings of a CPU leave their guests\n"
		   "when this VM's guest has left a window. The kernel has it until the VM ends.",
	.options = options,
	.paged = true,
	.run = run,
};
