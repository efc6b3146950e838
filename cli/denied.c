// SPDX-License-Identifier: GPL-2.0-or-later
/* What a rule denies, in words. */
#include "denied.h"
#include "format.h"

void say_denied(struct json_object *rule)
{
	bool write = streq(json_get_string(rule, "write", "deny"), "deny");
	const char *execute = json_get_string(rule, "execute", "both");

	if (streq(json_get_string(rule, "read", "allow"), "deny"))
		say("read, ");
	if (write)
		say("write");
	if (!streq(execute, "both"))
		say("%sexecute %s%s", write ? ", " : "", execute,
		    streq(execute, "none") ? "" : " only");
	say(" -> %s", json_get_string(rule, "action", "?"));
}
