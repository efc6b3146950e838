// SPDX-License-Identifier: GPL-2.0-or-later
/* See caller.h. */
#include <stdarg.h>
#include <time.h>

#include "caller.h"

static unsigned int answered;

sd_bus *connect_as(uid_t uid)
{
	const char *name;
	sd_bus *bus;

	/* The bus looks at who connects, and has when there is a name. */
	if (seteuid(uid) < 0)
		abort();
	bus = connect_bus();
	if (sd_bus_get_unique_name(bus, &name) < 0 || seteuid(0) < 0)
		abort();
	return bus;
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	const sd_bus_error *error = sd_bus_message_get_error(reply);
	struct call *call = userdata;

	(void)reterr;
	call->done = true;
	call->order = ++answered;
	if (error) {
		const char *name = startswith(error->name, MERLON_ERROR_PREFIX);

		name = name ?: startswith(error->name, "org.freedesktop.DBus.Error.");
		snprintf(call->name, sizeof(call->name), "%s", name ?: error->name);
		snprintf(call->message, sizeof(call->message), "%s", error->message ?: "");
	}
	call->slot = sd_bus_slot_unref(call->slot);
	return 0;
}

static void startv(sd_bus *bus, struct call *call, bool interactive, const char *path,
		   const char *interface, const char *method, const char *types, va_list ap)
{
	_cleanup_message_ sd_bus_message *m = NULL;

	*call = (struct call) { 0 };
	if (sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, path, interface, method) < 0 ||
	    sd_bus_message_set_allow_interactive_authorization(m, interactive) < 0 ||
	    (*types && sd_bus_message_appendv(m, types, ap) < 0) ||
	    sd_bus_call_async(bus, &call->slot, m, on_reply, call, 200000000) < 0 ||
	    sd_bus_flush(bus) < 0)
		ok(false, "%s is sent", method);
}

void call_start(sd_bus *bus, struct call *call, bool interactive, const char *path,
		const char *interface, const char *method, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	startv(bus, call, interactive, path, interface, method, types, ap);
	va_end(ap);
}

bool call_wait(sd_bus *bus, struct call *call, int seconds)
{
	time_t end = time(NULL) + seconds;

	while (!call->done) {
		int r = sd_bus_process(bus, NULL);

		if (r < 0 || time(NULL) > end)
			break;
		if (r == 0 && sd_bus_wait(bus, 100000) < 0)
			break;
	}
	return call->done;
}

bool call_now(sd_bus *bus, struct call *call, const char *path, const char *interface,
	      const char *method, const char *types, ...)
{
	va_list ap;

	va_start(ap, types);
	startv(bus, call, false, path, interface, method, types, ap);
	va_end(ap);
	return call_wait(bus, call, 20) && !*call->name;
}

bool failed_as(const struct call *call, const char *name, const char *text, const char *what, ...)
{
	bool good = call->done && streq(call->name, name) && strstr(call->message, text);
	char line[256];
	va_list ap;

	va_start(ap, what);
	vsnprintf(line, sizeof(line), what, ap);
	va_end(ap);
	ok(good, "%s", line);
	if (!good)
		note("%s, expected %s with '%s': %s", call->done ? call->name : "no answer", name,
		     text, call->message);
	return good;
}
