// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon owner: which rule speaks when a byte is touched. */
#include <inttypes.h>

#include "bus.h"
#include "denied.h"
#include "format.h"
#include "verb.h"

static bool speaks(struct json_object *owner, const char *access, uint64_t id)
{
	return id && json_get_u64(owner, access, 0) == id;
}

static void print_claim(struct json_object *owner, struct json_object *claim)
{
	static const char *const accesses[] = { "write", "read", "execute" };
	uint64_t id = json_get_u64(claim, "id", 0);
	bool armed = json_get_bool(claim, "armed", false);
	const char *name = json_get_string(claim, "rule", "");

	if (*name)
		say_in(SHADE_BOLD, "%s", name);
	else
		say_in(SHADE_BAD, "orphan rule %" PRIu64, id);
	say("  ");
	say_denied(claim);
	say("  %s, ", json_get_string(claim, "mode", "?"));
	say_in(armed ? SHADE_GOOD : SHADE_BAD, armed ? "armed" : "disarmed");
	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++)
		if (speaks(owner, accesses[i], id))
			say("  owns %s", accesses[i]);
	say("\n");
}

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL, *owner = NULL;
	_cleanup_free_ char *path = NULL, *title = NULL;
	struct json_object *claims;
	enum merlon_exit e;

	e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	path = vm_path(vm);
	title = vm_title(vm);
	if (!path || !title)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "Owner", &owner, "s", operands[1]);
	if (e != MERLON_EXIT_OK)
		return e;
	claims = json_get_array(owner, "claims");
	if (!claims)
		return bus_bad_reply("Owner");
	if (arg_json)
		e = print_json(owner);
	else if (!json_object_array_length(claims))
		say("%s: no rule claims gpa %s\n", title, json_get_string(owner, "gpa", "?"));
	else
		for (size_t i = 0; i < json_object_array_length(claims); i++)
			print_claim(owner, json_object_array_get_idx(claims, i));
	return e == MERLON_EXIT_OK && !json_object_array_length(claims) ? MERLON_EXIT_NO_SUCH : e;
}

const struct verb verb_owner = {
	.name = "owner",
	.operands = "VM ADDRESS",
	.min = 2,
	.max = 2,
	.help = "Show which rules claim a byte",
	.details = "ADDRESS is a guest physical address, 0x... Of the rules that deny an access there\n"
		   "the strictest owns it: kill, then exit, deny, skip, allow; of two alike the older\n"
		   "one. Exits 5 if no rule claims the byte.",
	.run = run,
};
