// SPDX-License-Identifier: GPL-2.0-or-later
/* What a call costs merlond, beside one that does nothing. */
#include "native.h"

#define CALLS 5000
#define VM_PATH MERLON_PATH_VM "/17"
#define RULE "{\"name\":\"more\",\"gpa\":\"0x8000\",\"length\":4096,\"write\":\"deny\"}"

static bool call(sd_bus *bus, const char *interface, const char *member, const char *types,
		 const char *text)
{
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, VM_PATH, interface, member);

	if (r >= 0 && types)
		r = sd_bus_message_append(m, types, text, 0);
	if (r >= 0)
		r = sd_bus_call(bus, m, 0, &error, &reply);
	if (r < 0)
		note("%s: %s", member, error.message ?: "?");
	return r >= 0;
}

void native_calls(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	uint64_t begin, nothing, protect = 0, unprotect = 0;
	bool right = true;

	begin = native_cpu();
	for (int i = 0; i < CALLS; i++)
		right = call(bus, "org.freedesktop.DBus.Peer", "Ping", NULL, NULL) && right;
	nothing = native_cpu() - begin;
	for (int i = 0; i < CALLS; i++) {
		begin = native_cpu();
		right = call(bus, MERLON_IFACE_VM, "Protect", "sb", RULE) && right;
		protect += native_cpu() - begin;
		begin = native_cpu();
		right = call(bus, MERLON_IFACE_VM, "Unprotect", "sb", "more") && right;
		unprotect += native_cpu() - begin;
	}
	ok(right, "%d rules were set and dropped", CALLS);
	native_figure("n.call.nothing", (double)nothing / CALLS, "cpu-ns", NULL);
	native_figure("n.call.protect", (double)protect / CALLS, "cpu-ns", NULL);
	native_figure("n.call.unprotect", (double)unprotect / CALLS, "cpu-ns", NULL);
}
