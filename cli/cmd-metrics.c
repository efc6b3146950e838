// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon metrics: what merlond counts, as OpenMetrics text. */
#include "bus.h"
#include "format.h"
#include "verb.h"

static enum merlon_exit run(_unused_ char **operands)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	enum merlon_exit e;
	const char *text;

	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_call(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "Metrics", NULL, &reply, "");
	if (e != MERLON_EXIT_OK)
		return e;
	if (sd_bus_message_read(reply, "s", &text) < 0)
		return bus_bad_reply("Metrics");
	if (arg_json) {
		o = json_object_new_object();
		if (!o || json_add_string(o, "openmetrics", text) < 0)
			return fail_memory();
		return print_json(o);
	}
	fputs(text, stdout);
	return MERLON_EXIT_OK;
}

const struct verb verb_metrics = {
	.name = "metrics",
	.operands = "",
	.help = "Print what merlond counts, for Prometheus",
	.details = "OpenMetrics text, as merlond-metrics.socket serves it. With --json one object\n"
		   "that has the text as \"openmetrics\".",
	.run = run,
};
