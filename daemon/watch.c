// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets events. */
#include "util/util.h"
#include "watch.h"

/*
 * A watcher that does not read (one that is stopped) would fill the bus daemon's
 * memory and then, since that is charged to the sender, shut merlond off.  So
 * after some events it is pinged, which libraries answer by themselves; while too
 * many are unanswered it gets none, and then the number of those it missed.
 */
#define WINDOW 4096
#define PING_AFTER 512

/**
 * struct watch - a connection that wants events
 * @vm: only of this VM, 0: of all
 * @unread: events sent that no pong says were read
 * @pinged: of these, sent before the ping that is on its way
 * @missed: events kept from it
 */
struct watch {
	sd_bus_slot *ping;
	uid_t uid;
	uint64_t vm;
	unsigned int unread;
	unsigned int pinged;
	uint64_t missed;
	char name[];
};

static void watch_free(struct watch *w)
{
	sd_bus_slot_unref(w->ping);
	free(w);
}

DEFINE_CLEANUP(struct watch *, watch_free)

static struct watch *watch_find(const struct watch_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (streq(l->watches[i]->name, name))
			return l->watches[i];
	return NULL;
}

uint64_t watch_vm(const struct watch_list *l, const char *name)
{
	const struct watch *w = watch_find(l, name);

	return w ? w->vm : 0;
}

void watch_remove(struct watch_list *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (!streq(l->watches[i]->name, name))
			continue;
		watch_free(l->watches[i]);
		l->watches[i] = l->watches[--l->n];
		return;
	}
}

int watch_set(struct watch_list *l, const char *name, uid_t uid, uint64_t vm)
{
	_cleanup_(watch_freep) struct watch *w = NULL;
	struct watch *old = watch_find(l, name);
	struct watch **watches;
	size_t of_uid = 0;

	if (old) {
		old->vm = vm;
		return 0;
	}
	for (size_t i = 0; i < l->n; i++)
		of_uid += l->watches[i]->uid == uid;
	if (uid != 0 && of_uid >= WATCH_MAX_UID)
		return -EDQUOT;
	if (l->n >= WATCH_MAX)
		return -ENFILE;

	w = calloc(1, sizeof(*w) + strlen(name) + 1);
	if (!w)
		return -ENOMEM;
	w->uid = uid;
	w->vm = vm;
	strcpy(w->name, name);
	watches = reallocarray(l->watches, l->n + 1, sizeof(*watches));
	if (!watches)
		return -ENOMEM;
	l->watches = watches;
	l->watches[l->n++] = TAKE_PTR(w);
	return 0;
}

void watch_done(struct watch_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		watch_free(l->watches[i]);
	free(l->watches);
	*l = (struct watch_list) { 0 };
}

static int send_to(sd_bus *bus, struct watch *w, const struct event *event, const char *json);

static int on_pong(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	struct watch *w = userdata;
	struct event lost = { .kind = MERLON_EVENT_LOST, .vm = w->vm, .count = w->missed };
	_cleanup_free_ char *json = NULL;

	/* An error is an answer as well: of a bus that lets nobody ping. */
	(void)reterr;
	w->ping = sd_bus_slot_unref(w->ping);
	w->unread -= w->pinged;
	w->pinged = 0;
	if (w->missed && event_to_json(&lost, &json) >= 0) {
		w->missed = 0;
		(void)send_to(sd_bus_message_get_bus(reply), w, &lost, json);
	}
	return 0;
}

static int send_ping(sd_bus *bus, struct watch *w)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_method_call(bus, &m, w->name, "/", "org.freedesktop.DBus.Peer",
					   "Ping");
	/* However long it takes: until then there is nothing to say to it. */
	if (r >= 0)
		r = sd_bus_call_async(bus, &w->ping, m, on_pong, w, UINT64_MAX);
	if (r >= 0)
		w->pinged = w->unread;
	return r;
}

static int send_to(sd_bus *bus, struct watch *w, const struct event *event, const char *json)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (w->unread >= WINDOW) {
		w->missed++;
		return 0;
	}
	r = sd_bus_message_new_signal(bus, &m, MERLON_PATH, MERLON_IFACE_MANAGER, "Event");
	if (r >= 0)
		r = sd_bus_message_append(m, "ttss", event->vm, event->seq,
					  merlon_event_name(event->kind), json);
	/* Never without a destination: that would be a broadcast. */
	if (r >= 0)
		r = sd_bus_message_set_destination(m, w->name);
	if (r >= 0)
		r = sd_bus_send(bus, m, NULL);
	if (r >= 0 && ++w->unread >= PING_AFTER && !w->ping)
		r = send_ping(bus, w);
	return r;
}

int watch_send(const struct watch_list *l, sd_bus *bus, const struct event *event)
{
	_cleanup_free_ char *json = NULL;
	int r, ret = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct watch *w = l->watches[i];

		if (w->vm && w->vm != event->vm)
			continue;
		if (!json) {
			r = event_to_json(event, &json);
			if (r < 0)
				return r;
		}
		/* One connection's trouble is not the next one's. */
		r = send_to(bus, w, event, json);
		if (r < 0)
			ret = r;
	}
	return ret;
}
