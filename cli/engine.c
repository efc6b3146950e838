// SPDX-License-Identifier: GPL-2.0-or-later
/* A VM's engine in words. */
#include "engine.h"
#include "format.h"

void say_engine(struct json_object *vm)
{
	const char *engine = json_get_string(vm, MERLON_VM_ENGINE, "?");
	const char *wanted = json_get_string(vm, MERLON_VM_ENGINE_WANTED, "?");
	uint64_t bytes = json_get_u64(vm, MERLON_VM_ENGINE_BYTES, 0);
	char size[SIZE_TEXT_MAX];

	say("engine %s", engine);
	if (!streq(engine, wanted))
		say(" (%s)", wanted);
	say(json_get_bool(vm, MERLON_VM_ENGINE_SETTLED, false) ? ", settled" : ", not settled");
	if (bytes)
		say(", table %s", format_size(bytes, size));
}
