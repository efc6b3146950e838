// SPDX-License-Identifier: GPL-2.0-or-later
/* What a rule denies, in words. */
#include "denied.h"
#include "format.h"

void say_words(struct json_object *words)
{
	if (!json_object_is_type(words, json_type_array))
		return;
	for (size_t i = 0; i < json_object_array_length(words); i++)
		say(" %s", json_object_get_string(json_object_array_get_idx(words, i)) ?: "?");
}

void say_registers(struct json_object *registers)
{
	const char *separator = "";

	json_object_object_foreach(registers, reg, bits) {
		/* Who has left them clear stands beside the registers. */
		if (!json_object_is_type(bits, json_type_array))
			continue;
		say("%s%s", separator, reg);
		say_words(bits);
		separator = ", ";
	}
}

/* "pin cr0 wp, cr4 smep smap" */
static void say_pins(struct json_object *pin)
{
	say("pin ");
	if (json_object_object_length(pin) == 0)
		say("nothing");
	say_registers(pin);
}

void say_denied(struct json_object *rule)
{
	struct json_object *pin;
	bool write = streq(json_get_string(rule, "write", "deny"), "deny");
	const char *execute = json_get_string(rule, "execute", "both");

	if (json_object_object_get_ex(rule, "pin", &pin) &&
	    json_object_is_type(pin, json_type_object)) {
		say_pins(pin);
		say(" -> %s", json_get_string(rule, "action", "?"));
		return;
	}
	if (streq(json_get_string(rule, "read", "allow"), "deny"))
		say("read, ");
	if (write)
		say("write");
	if (!streq(execute, "both"))
		say("%sexecute %s%s", write ? ", " : "", execute,
		    streq(execute, "none") ? "" : " only");
	say(" -> %s", json_get_string(rule, "action", "?"));
}
