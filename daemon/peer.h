/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connections to the bus, by their unique names: for who keeps something for one, when it
 * has left.  One match for all of them: a bus lets a connection have 512.
 */
#ifndef MERLON_PEER_H
#define MERLON_PEER_H

#include <systemd/sd-bus.h>

typedef void (*peer_left_t)(const char *name, void *userdata);

/**
 * struct peers - what is called for each connection that leaves the bus
 * @match: of the bus's signal
 * @left: called; nothing may be kept for that name
 * @userdata: of @left
 */
struct peers {
	sd_bus_slot *match;
	peer_left_t left;
	void *userdata;
};

/**
 * peers_follow() - from now on, to be called before the first call of anybody is answered
 * @p: stays where it is until peers_done()
 * @bus: the bus
 * @left: see there
 * @userdata: of @left
 *
 * Waits for nothing.
 *
 * Return: 0 or a negative errno.
 */
int peers_follow(struct peers *p, sd_bus *bus, peer_left_t left, void *userdata);

/**
 * peer_check() - something is kept for a connection from now on: is it still there?
 * @p: with peers_follow()
 * @bus: the bus
 * @name: of the connection
 *
 * For a call that has been put aside its caller may have left before.  Asks the bus, waits
 * for nothing; if it has left, @p's function is called when the answer is there.
 *
 * Return: 0 or a negative errno.
 */
int peer_check(struct peers *p, sd_bus *bus, const char *name);

void peers_done(struct peers *p);

#endif
