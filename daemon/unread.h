/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections that call and do not read the answers.  What lies in a bus's queue for them
 * is charged to merlond: where dbus-daemon has 127 MiB of it, it takes nothing from merlond
 * any more, for anybody.  So after some calls of a connection the bus is asked how much lies
 * there, and while that is too much its calls wait.
 *
 * A bus that does not say so (dbus-broker charges who does not read) is not asked again.
 */
#ifndef MERLON_UNREAD_H
#define MERLON_UNREAD_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/* Bytes that may lie there before calls of a connection wait. */
#define UNREAD_MAX (64U << 10)
/*
 * Calls after which the bus is asked, and that are served before it has answered: more than
 * the 128 whose answers a system bus lets a connection wait for.  Introspection, which is
 * long and everybody's to ask for, counts as UNREAD_INTROSPECT calls.
 */
#define UNREAD_ASK 16
#define UNREAD_WINDOW 256
#define UNREAD_INTROSPECT 8
/*
 * Calls that wait, of a connection and of all, and bytes of any text of one; others of a
 * connection that does not read have no answer.
 */
#define UNREAD_HELD 128
#define UNREAD_HELD_ALL 4096
#define UNREAD_HELD_TEXT 1024

struct unread_peer;

/**
 * struct unread - connections that call
 * @held: calls that wait
 * @again: asks again for the connections that they are of
 * @blind: the bus does not say who does not read
 * @passes: is this call none to count: it was counted before, or its connection is allowed
 *	more; @userdata: its argument
 */
struct unread {
	sd_bus *bus;
	sd_bus_slot *filter;
	sd_event_source *again;
	struct unread_peer **peers;
	size_t n;
	size_t held;
	bool blind;
	bool (*passes)(sd_bus_message *call, void *userdata);
	void *userdata;
};

/**
 * unread_start() - looks at each call from now on
 * @u: stays where it is until unread_done()
 * @bus: the bus
 * @event: the loop
 * @passes: see there
 * @userdata: of @passes
 *
 * Who knows that a connection left the bus calls unread_forget().
 *
 * Return: 0 or a negative errno.
 */
int unread_start(struct unread *u, sd_bus *bus, sd_event *event,
		 bool (*passes)(sd_bus_message *call, void *userdata), void *userdata);

/* Nothing happens if there is none of that name. */
void unread_forget(struct unread *u, const char *name);
void unread_done(struct unread *u);

#endif
