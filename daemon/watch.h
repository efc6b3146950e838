/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who gets events: connections that called Watch, each with its filter, until
 * they call Unwatch or leave the bus.
 *
 * Nobody waits for a watcher, nor for the bus: what cannot be sent to one is counted for
 * it, exactly, and it is told the number when it can be.  What it has not read is
 * remembered until it has, or has left: by Unwatch it gets no new allowance.
 */
#ifndef MERLON_WATCH_H
#define MERLON_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "api/event.h"

/* Watchers of one uid (root's are not counted), and of all; those that still have to read are. */
#define WATCH_MAX_UID 16
#define WATCH_MAX 1024

/* Events that a connection, and that all of a uid but root, may have unread. */
#define WATCH_WINDOW 4096
#define WATCH_WINDOW_UID (4 * WATCH_WINDOW)

/*
 * Pings that are on their way, of all and of a uid but root: a system bus lets a connection
 * wait for 128 answers at once, and of these polkit has AUTH_MAX_CHECKS (auth.h).
 */
#define WATCH_PINGS 48
#define WATCH_PINGS_UID 4

/* Watchers get nothing while the bus has more messages than this to write. */
#define WATCH_BUS_MAX 4096

struct watch;
struct watch_account;

/**
 * struct watch_list - all watchers
 * @accounts: what the watchers of each uid have together
 * @pings: that are on their way
 * @lost: events that watchers lost since merlond started, those that have left included
 */
struct watch_list {
	struct watch **watches;
	size_t n;
	struct watch_account **accounts;
	size_t n_accounts;
	unsigned int pings;
	uint64_t lost;
};

/**
 * watch_set() - a connection wants events
 * @l: the list, which stays where it is
 * @name: the connection's unique name; who knows that it left the bus calls watch_remove()
 * @uid: whose it is
 * @vm: only of this VM, 0: of all
 *
 * A connection has one filter; a new one replaces it.
 *
 * Return: 0; -EDQUOT the uid has enough; -ENFILE all have; -ENOMEM.
 */
int watch_set(struct watch_list *l, const char *name, uid_t uid, uint64_t vm);

/* The VM that a connection watches; 0 if it watches none, or all. */
uint64_t watch_vm(const struct watch_list *l, const char *name);

/* Does a connection get events, or has it to read some? */
bool watch_has(const struct watch_list *l, const char *name);

/* How many connections get events. */
size_t watch_count(const struct watch_list *l);

/**
 * watch_end() - a connection wants no more events
 * @l: the list
 * @bus: the bus
 * @name: the connection's; nothing happens if it watches nothing
 */
void watch_end(struct watch_list *l, sd_bus *bus, const char *name);

/* It has left the bus.  Nothing happens if there is none of that name. */
void watch_remove(struct watch_list *l, const char *name);
void watch_done(struct watch_list *l);

/**
 * watch_send() - tells the watchers whose filters fit
 * @l: the list
 * @bus: the bus
 * @event: the event
 *
 * Return: 0, -ENOMEM, or an error of the bus; then those who did not get it have it counted.
 */
int watch_send(struct watch_list *l, sd_bus *bus, const struct event *event);

/**
 * watch_tell_lost() - tells those who can be told what they missed
 * @l: the list
 * @bus: the bus
 *
 * Return: is there anybody who still has to be told?
 */
bool watch_tell_lost(struct watch_list *l, sd_bus *bus);

#endif
