// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon status: is protection what was asked, and which rules are in force. */
#include <inttypes.h>

#include "bus.h"
#include "denied.h"
#include "engine.h"
#include "format.h"
#include "verb.h"

/*
 * What Probe says of it has the ids of VMs and the names of files, if we may know them; nobody
 * is asked for a password for these alone, the reasons are for everybody.  NULL if it says
 * nothing.
 */
static struct json_object *get_details(sd_bus *bus)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_json_ struct json_object *report = NULL;
	struct json_object *details;
	const char *text;

	if (sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, MERLON_PATH,
					   MERLON_IFACE_MANAGER, "Probe") < 0 ||
	    sd_bus_message_set_allow_interactive_authorization(m, 0) < 0 ||
	    sd_bus_call(bus, m, 0, &error, &reply) < 0 ||
	    sd_bus_message_read(reply, "s", &text) < 0 ||
	    json_parse(text, strlen(text), &report) < 0)
		return NULL;
	details = json_get_array(report, "degraded");
	return details ? json_object_get(details) : NULL;
}

static enum merlon_exit get_degraded(sd_bus *bus, struct json_object **ret)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_json_ struct json_object *reasons = NULL;
	const char *reason;
	int r;

	r = sd_bus_get_property(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
				"Degraded", &error, &reply, "as");
	if (r < 0) {
		bus_set_errno(&error, r);
		return bus_report(&error);
	}
	reasons = json_object_new_array();
	if (!reasons)
		return fail_memory();
	r = sd_bus_message_enter_container(reply, 'a', "s");
	while (r >= 0 && (r = sd_bus_message_read_basic(reply, 's', &reason)) > 0)
		r = json_append(reasons, json_object_new_string(reason));
	if (r == -ENOMEM)
		return fail_memory();
	if (r < 0)
		return bus_bad_reply("Degraded");
	if (json_object_array_length(reasons)) {
		struct json_object *details = get_details(bus);

		if (details && json_object_array_length(details)) {
			json_object_put(reasons);
			reasons = details;
		} else {
			json_object_put(details);
		}
	}
	*ret = TAKE_PTR(reasons);
	return MERLON_EXIT_OK;
}

/* The VM that the user named, or all of them, each with member "rules". */
static enum merlon_exit get_vms(sd_bus *bus, const char *what, struct json_object **ret)
{
	_cleanup_json_ struct json_object *vms = NULL;
	enum merlon_exit e;

	if (what) {
		struct json_object *vm;

		e = bus_describe_vm(bus, what, &vm);
		if (e != MERLON_EXIT_OK)
			return e;
		vms = json_object_new_array();
		if (!vms || json_append(vms, vm) < 0)
			return fail_memory();
	} else {
		e = bus_list_vms(bus, &vms);
		if (e != MERLON_EXIT_OK)
			return e;
	}

	*ret = TAKE_PTR(vms);
	return MERLON_EXIT_OK;
}

/*
 * Replaces the number "rules" of each VM by its rules.  A VM that ended since the
 * list was made is dropped from it.
 */
static enum merlon_exit get_rules(sd_bus *bus, struct json_object *vms)
{
	for (size_t i = 0; i < json_object_array_length(vms);) {
		struct json_object *vm = json_object_array_get_idx(vms, i), *rules = NULL;
		_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
		_cleanup_message_ sd_bus_message *reply = NULL;
		_cleanup_free_ char *path = vm_path(vm);
		enum merlon_exit e;
		const char *text;

		if (!path)
			return fail_memory();
		e = bus_call(bus, path, MERLON_IFACE_VM, "ListRules", &error, &reply, "");
		if (e == MERLON_EXIT_NO_SUCH) {
			json_object_array_del_idx(vms, i, 1);
			continue;
		}
		if (e != MERLON_EXIT_OK)
			return bus_report(&error);
		if (sd_bus_message_read(reply, "s", &text) < 0 ||
		    json_parse(text, strlen(text), &rules) < 0)
			return bus_bad_reply("ListRules");
		if (!json_object_is_type(rules, json_type_array)) {
			json_object_put(rules);
			return bus_bad_reply("ListRules");
		}
		if (json_add(vm, "rules", rules) < 0)
			return fail_memory();
		i++;
	}
	return MERLON_EXIT_OK;
}

static void print_degraded(struct json_object *degraded)
{
	for (size_t i = 0; i < json_object_array_length(degraded); i++) {
		const char *reason = json_object_get_string(json_object_array_get_idx(degraded, i));
		const char *hint = merlon_degraded_hint(reason);

		say_in(SHADE_BAD, "degraded");
		say(": %s%s%s\n", reason, hint ? ": " : "", hint ?: "");
	}
}

/* Bits that the rule is about, and that are not kept set. */
static void print_unset(struct json_object *rule)
{
	struct json_object *missing, *clear = json_get_array(rule, MERLON_LEFT_CLEAR);

	if (json_object_object_get_ex(rule, MERLON_NOT_PINNED, &missing) &&
	    json_object_is_type(missing, json_type_object)) {
		say("    ");
		say_in(SHADE_BAD, "not pinned");
		say(": ");
		say_registers(missing);
		say("\n");
	}
	for (size_t i = 0; clear && i < json_object_array_length(clear); i++) {
		struct json_object *o = json_object_array_get_idx(clear, i);

		if (!json_object_is_type(o, json_type_object))
			continue;
		say("    ");
		say_in(SHADE_BAD, "left clear");
		say(" on cpu %" PRIu64 ": ", json_get_u64(o, "vcpu", 0));
		say_registers(o);
		say("\n");
	}
}

static void print_rule(struct json_object *rule)
{
	const char *name = json_get_string(rule, "name", "");
	bool armed = json_get_bool(rule, "armed", false);
	bool enforces = armed && streq(json_get_string(rule, "mode", "enforce"), "enforce");
	const char *gpa = json_get_string(rule, "gpa", NULL);
	const char *device = json_get_string(rule, MERLON_DEVICE_WRITES, NULL);
	uint64_t lost = json_get_u64(rule, "bad-verdicts", 0);
	uint64_t stepped = json_get_u64(rule, "stepped", 0);
	uint64_t granted = json_get_u64(rule, "granted", 0);
	uint64_t exceptions = json_get_u64(rule, "exceptions", 0);
	char size[SIZE_TEXT_MAX];

	say("  ");
	if (*name)
		say_in(SHADE_BOLD, "%s", name);
	else
		say_in(SHADE_BAD, "orphan rule %" PRIu64, json_get_u64(rule, "id", 0));
	if (gpa)
		say("  gpa %s length %s", gpa, format_size(json_get_u64(rule, "length", 0), size));
	if (exceptions)
		say(" except %" PRIu64 " range%s", exceptions, exceptions == 1 ? "" : "s");
	say("  ");
	say_denied(rule);
	say("  %s, ", json_get_string(rule, "mode", "?"));
	say_in(armed ? SHADE_GOOD : SHADE_BAD, armed ? "armed" : "disarmed");
	if (streq(json_get_string(rule, "arm", "now"), "boot"))
		say(" (at boot)");
	say("  on-reset %s", json_get_string(rule, "on-reset", "?"));
	if (!json_object_object_get_ex(rule, "pin", NULL))
		say("  engine %s", json_get_string(rule, "engine", "?"));
	say("\n");
	say("    violations %" PRIu64 ": denied %" PRIu64 ", allowed %" PRIu64 ", skipped %" PRIu64,
	    json_get_u64(rule, "violations", 0), json_get_u64(rule, "denied", 0),
	    json_get_u64(rule, "allowed", 0), json_get_u64(rule, "skipped", 0));
	if (lost)
		say("; illegal verdicts %" PRIu64, lost);
	if (stepped)
		say("; stepped %" PRIu64, stepped);
	if (granted)
		say("; learned %" PRIu64, granted);
	say("\n");
	/* What a guest can aim at its memory from a device gets through: never silent. */
	if (enforces && device)
		say("    device writes: %s\n", device);
	print_unset(rule);
}

static void print_vm(struct json_object *vm)
{
	struct json_object *rules = json_get_array(vm, "rules");
	const char *name = json_get_string(vm, "name", "");
	const char *state = json_get_string(vm, "state", "?");
	uint64_t lost = json_get_u64(vm, "lost", 0);
	size_t n = json_object_array_length(rules);

	say_in(SHADE_BOLD, "#%" PRIu64 "%s%s", json_get_u64(vm, "id", 0), *name ? " " : "", name);
	say("  ");
	say_in(streq(state, MERLON_STATE_RUNNING) ? SHADE_GOOD : SHADE_BAD, "%s", state);
	say("  resets %" PRIu64 "  violations %" PRIu64, json_get_u64(vm, "generation", 0),
	    json_get_u64(vm, "violations", 0));
	if (lost)
		say("  events lost %" PRIu64, lost);
	say("\n");
	if (json_get_string(vm, MERLON_VM_ENGINE, NULL)) {
		say("  ");
		say_engine(vm);
		say("\n");
	}
	for (size_t i = 0; i < n; i++)
		print_rule(json_object_array_get_idx(rules, i));
	if (n == 0)
		say("  no rules\n");
}

static bool has_reason(struct json_object *degraded, enum merlon_degraded reason)
{
	for (size_t i = 0; i < json_object_array_length(degraded); i++) {
		struct json_object *r = json_object_array_get_idx(degraded, i);

		if (streq(json_object_get_string(r), merlon_degraded_name(reason)))
			return true;
	}
	return false;
}

static enum merlon_exit print_all(struct json_object *degraded, struct json_object *vms)
{
	if (arg_json) {
		_cleanup_json_ struct json_object *o = json_object_new_object();

		if (!o || json_add(o, "degraded", json_object_get(degraded)) < 0 ||
		    json_add(o, "vms", json_object_get(vms)) < 0)
			return fail_memory();
		return print_json(o);
	}

	print_degraded(degraded);
	for (size_t i = 0; i < json_object_array_length(vms); i++)
		print_vm(json_object_array_get_idx(vms, i));
	if (json_object_array_length(vms) == 0 &&
	    !has_reason(degraded, MERLON_DEGRADED_NO_KERNEL_SUPPORT))
		say("no VMs\n");
	return MERLON_EXIT_OK;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *degraded = NULL, *vms = NULL;
	enum merlon_exit e;

	e = bus_connect(&bus);
	if (e != MERLON_EXIT_OK)
		return e;
	e = get_degraded(bus, &degraded);
	if (e != MERLON_EXIT_OK)
		return e;
	/* Without support nothing can be listed; that is the status then, no error. */
	if (has_reason(degraded, MERLON_DEGRADED_NO_KERNEL_SUPPORT)) {
		vms = json_object_new_array();
		if (!vms)
			return fail_memory();
	} else {
		e = get_vms(bus, operands[0], &vms);
		if (e == MERLON_EXIT_OK)
			e = get_rules(bus, vms);
		/* Looking at the rules may have told merlond more. */
		if (e == MERLON_EXIT_OK) {
			json_object_put(degraded);
			degraded = NULL;
			e = get_degraded(bus, &degraded);
		}
		if (e != MERLON_EXIT_OK)
			return e;
	}
	e = print_all(degraded, vms);
	if (e == MERLON_EXIT_OK && json_object_array_length(degraded) > 0)
		return MERLON_EXIT_DEGRADED;
	return e;
}

const struct verb verb_status = {
	.name = "status",
	.operands = "[VM]",
	.max = 1,
	.help = "Show whether protection is what was asked, and the rules in force",
	.details = "Exits 3 if anything is degraded.",
	.paged = true,
	.run = run,
};
