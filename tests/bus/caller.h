/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Callers of merlond of any uid, and calls that are answered later. */
#ifndef MERLON_CALLER_H
#define MERLON_CALLER_H

#include "harness.h"

/* A connection to the bus of this uid. */
sd_bus *connect_as(uid_t uid);

/**
 * struct call - a call and what came of it
 * @name: "" for success, else the error's name without what all of its kind begin with
 * @message: the error's
 * @order: it was the how-manieth to be answered, from 1
 */
struct call {
	sd_bus_slot *slot;
	bool done;
	char name[128];
	char message[512];
	unsigned int order;
};

/* Sends it; @call is filled when the answer comes, within 200 s. */
void call_start(sd_bus *bus, struct call *call, bool interactive, const char *path,
		const char *interface, const char *method, const char *types, ...);

/* Waits for the answer, so many seconds; whether it came. */
bool call_wait(sd_bus *bus, struct call *call, int seconds);

/* Both, with 20 s; true for success. */
bool call_now(sd_bus *bus, struct call *call, const char *path, const char *interface,
	      const char *method, const char *types, ...);

/* It failed so, with this in its message; a point of TAP. */
_printf_(4, 5) bool failed_as(const struct call *call, const char *name, const char *text,
			      const char *what, ...);

#endif
