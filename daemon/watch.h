/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who gets events: connections that called Watch, each with its filter, until
 * they call Unwatch or leave the bus.
 */
#ifndef MERLON_WATCH_H
#define MERLON_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "api/event.h"

/* Watchers of one uid (root's are not counted), and of all. */
#define WATCH_MAX_UID 16
#define WATCH_MAX 1024

struct watch;

struct watch_list {
	struct watch **watches;
	size_t n;
};

/**
 * watch_set() - a connection wants events
 * @l: the list
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

/* Nothing happens if there is none. */
void watch_remove(struct watch_list *l, const char *name);
void watch_done(struct watch_list *l);

/**
 * watch_send() - tells the watchers whose filters fit
 * @l: the list
 * @bus: the bus
 * @event: the event
 *
 * Return: 0, -ENOMEM, or an error of the bus.
 */
int watch_send(const struct watch_list *l, sd_bus *bus, const struct event *event);

#endif
