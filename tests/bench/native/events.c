// SPDX-License-Identifier: GPL-2.0-or-later
/* What an event costs merlond, from the ring to those who read. */
#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "native.h"

#define EVENTS 200000
#define MAX_READERS 16

static unsigned int signals;

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	const char *kind;

	(void)userdata;
	(void)reterr;
	if (sd_bus_message_read(m, "tts", NULL, NULL, &kind) >= 0 && streq(kind, "violation"))
		signals++;
	return 0;
}

static void streams(const char *name, size_t n, const char *aim)
{
	struct native_had had[MAX_READERS] = { 0 };
	_cleanup_bus_ sd_bus *bus = connect_bus();
	bool right = true;
	int fd[MAX_READERS];
	uint64_t cpu, sent = 0;

	for (size_t i = 0; i < n; i++)
		fd[i] = native_subscribe(bus);
	cpu = native_cpu();
	while (sent < EVENTS) {
		native_fill(NATIVE_WINDOW);
		sent += NATIVE_WINDOW;
		for (size_t i = 0; i < n; i++)
			while (had[i].violations + had[i].lost < sent)
				native_read(fd[i], &had[i], true);
	}
	cpu = native_cpu() - cpu;
	for (size_t i = 0; i < n; i++) {
		right = right && had[i].violations == EVENTS && !had[i].lost;
		close(fd[i]);
	}
	ok(right, "%s: each of %zu readers had %d events, none lost", name, n, EVENTS);
	native_figure(name, (double)cpu / EVENTS, "cpu-ns", aim);
}

static void watcher(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	uint64_t cpu, sent = 0;

	if (sd_bus_match_signal(bus, &slot, NULL, MERLON_PATH, MERLON_IFACE_MANAGER, "Event",
				on_signal, NULL) < 0 ||
	    sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER, "Watch", NULL,
			       NULL, "s", "{}") < 0) {
		ok(false, "Watch");
		return;
	}
	cpu = native_cpu();
	/* Fewer at a time: a watcher's own window is smaller than a stream's queue. */
	while (sent < EVENTS / 10) {
		native_fill(100);
		sent += 100;
		while (signals < sent)
			if (sd_bus_process(bus, NULL) == 0)
				(void)sd_bus_wait(bus, 1000000);
	}
	cpu = native_cpu() - cpu;
	ok(signals == sent, "a watcher had %" PRIu64 " signals", sent);
	native_figure("n.event.signal", (double)cpu / (double)sent, "cpu-ns", NULL);
}

void native_events(void)
{
	streams("n.event.stream", 1, "3000");
	streams("n.event.streams-10", 10, NULL);
	watcher();
}
