// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections to the bus, and who has left it. */
#include "peer.h"
#include "util/util.h"

#define DRIVER_NAME	"org.freedesktop.DBus"
#define DRIVER_PATH	"/org/freedesktop/DBus"
#define DRIVER_IFACE	"org.freedesktop.DBus"

/** struct question - is this connection still there? */
struct question {
	struct peers *peers;
	char name[];
};

static int on_left(sd_bus_message *m, void *userdata, sd_bus_error *reterr)
{
	struct peers *p = userdata;
	const char *name;

	(void)reterr;
	/* Anybody may send us a signal of this name. */
	if (streq(sd_bus_message_get_sender(m) ?: "", DRIVER_NAME) &&
	    sd_bus_message_read(m, "s", &name) >= 0)
		p->left(name, p->userdata);
	return 0;
}

int peers_follow(struct peers *p, sd_bus *bus, peer_left_t left, void *userdata)
{
	int r;

	p->left = left;
	p->userdata = userdata;
	r = sd_bus_add_match_async(bus, &p->match,
				   "type='signal',sender='" DRIVER_NAME "',"
				   "interface='" DRIVER_IFACE "',member='NameOwnerChanged',arg2=''",
				   on_left, NULL, p);
	return r < 0 ? r : 0;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	struct question *q = userdata;

	(void)reterr;
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		q->peers->left(q->name, q->peers->userdata);
	return 0;
}

int peer_check(struct peers *p, sd_bus *bus, const char *name)
{
	_cleanup_(sd_bus_slot_unrefp) sd_bus_slot *slot = NULL;
	struct question *q = calloc(1, sizeof(*q) + strlen(name) + 1);
	int r;

	if (!q)
		return -ENOMEM;
	q->peers = p;
	strcpy(q->name, name);
	r = sd_bus_call_method_async(bus, &slot, DRIVER_NAME, DRIVER_PATH, DRIVER_IFACE,
				     "GetNameOwner", on_answer, q, "s", name);
	if (r < 0) {
		free(q);
		return r;
	}
	/* The bus has it from now on, and frees it with itself. */
	sd_bus_slot_set_destroy_callback(slot, free);
	r = sd_bus_slot_set_floating(slot, 1);
	return r < 0 ? r : 0;
}

void peers_done(struct peers *p)
{
	p->match = sd_bus_slot_unref(p->match);
}
