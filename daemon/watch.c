// SPDX-License-Identifier: GPL-2.0-or-later
/* Who gets events. */
#include "loss.h"
#include "util/util.h"
#include "watch.h"

/*
 * A watcher that does not read (one that is stopped) would fill the bus daemon's
 * memory and then, since that is charged to the sender, shut merlond off.  So
 * after some events it is pinged, which libraries answer by themselves; while too
 * many are unanswered it gets none, and then the number of those it missed.
 */
#define PING_AFTER 512

/**
 * struct watch_account - the watchers of a uid together
 * @watches: how many
 * @unread: events sent to them that no pong says were read
 * @pings: that are on their way
 */
struct watch_account {
	uid_t uid;
	size_t watches;
	unsigned int unread;
	unsigned int pings;
};

/**
 * struct watch - a connection that wants events, or has to read those it got
 * @vm: only of this VM, 0: of all
 * @ended: it wants none any more
 * @unread: events sent that no pong says were read
 * @pinged: of these, sent before the ping that is on its way
 * @missed: events kept from it, that it is to be told of
 */
struct watch {
	struct watch_list *list;
	struct watch_account *account;
	sd_bus_slot *ping;
	uint64_t vm;
	bool ended;
	unsigned int unread;
	unsigned int pinged;
	uint64_t missed;
	char name[];
};

static struct watch_account *account_find(const struct watch_list *l, uid_t uid)
{
	for (size_t i = 0; i < l->n_accounts; i++)
		if (l->accounts[i]->uid == uid)
			return l->accounts[i];
	return NULL;
}

static struct watch_account *account_get(struct watch_list *l, uid_t uid)
{
	struct watch_account *a = account_find(l, uid), **accounts;

	if (a)
		return a;
	accounts = reallocarray(l->accounts, l->n_accounts + 1, sizeof(*accounts));
	if (!accounts)
		return NULL;
	l->accounts = accounts;
	a = calloc(1, sizeof(*a));
	if (!a)
		return NULL;
	a->uid = uid;
	l->accounts[l->n_accounts++] = a;
	return a;
}

/* One without watchers is none. */
static void account_put(struct watch_list *l, struct watch_account *a)
{
	if (a->watches)
		return;
	for (size_t i = 0; i < l->n_accounts; i++)
		if (l->accounts[i] == a) {
			l->accounts[i] = l->accounts[--l->n_accounts];
			break;
		}
	free(a);
}

static void ping_done(struct watch *w)
{
	if (!w->ping)
		return;
	w->ping = sd_bus_slot_unref(w->ping);
	w->list->pings--;
	w->account->pings--;
}

static void watch_free(struct watch *w)
{
	struct watch_account *a = w->account;

	ping_done(w);
	a->unread -= w->unread;
	a->watches--;
	account_put(w->list, a);
	free(w);
}

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

	return w && !w->ended ? w->vm : 0;
}

bool watch_has(const struct watch_list *l, const char *name)
{
	return watch_find(l, name);
}

size_t watch_count(const struct watch_list *l)
{
	size_t n = 0;

	for (size_t i = 0; i < l->n; i++)
		n += !l->watches[i]->ended;
	return n;
}

static void drop(struct watch *w)
{
	struct watch_list *l = w->list;

	for (size_t i = 0; i < l->n; i++)
		if (l->watches[i] == w) {
			l->watches[i] = l->watches[--l->n];
			break;
		}
	watch_free(w);
}

void watch_remove(struct watch_list *l, const char *name)
{
	struct watch *w = watch_find(l, name);

	if (w)
		drop(w);
}

int watch_set(struct watch_list *l, const char *name, uid_t uid, uint64_t vm)
{
	struct watch *w = watch_find(l, name);
	const struct watch_account *a = account_find(l, uid);
	struct watch **watches;

	if (w) {
		/* Of what it missed when it did not want any it is not told. */
		if (w->ended)
			w->missed = 0;
		w->ended = false;
		w->vm = vm;
		return 0;
	}
	if (uid != 0 && a && a->watches >= WATCH_MAX_UID)
		return -EDQUOT;
	if (l->n >= WATCH_MAX)
		return -ENFILE;

	watches = reallocarray(l->watches, l->n + 1, sizeof(*watches));
	if (!watches)
		return -ENOMEM;
	l->watches = watches;
	w = calloc(1, sizeof(*w) + strlen(name) + 1);
	if (!w)
		return -ENOMEM;
	w->list = l;
	w->vm = vm;
	strcpy(w->name, name);
	w->account = account_get(l, uid);
	if (!w->account) {
		free(w);
		return -ENOMEM;
	}
	w->account->watches++;
	l->watches[l->n++] = w;
	return 0;
}

void watch_done(struct watch_list *l)
{
	while (l->n)
		drop(l->watches[l->n - 1]);
	free(l->watches);
	free(l->accounts);
	*l = (struct watch_list) { 0 };
}

static bool is_due(const struct watch *w)
{
	return !w->ping && w->unread && (w->ended || w->unread >= PING_AFTER);
}

static bool may_ping(const struct watch *w)
{
	return w->list->pings < WATCH_PINGS &&
	       (w->account->uid == 0 || w->account->pings < WATCH_PINGS_UID);
}

static int on_pong(sd_bus_message *reply, void *userdata, sd_bus_error *reterr);

/* Those that find no room are pinged when another one's answer is there. */
static int send_ping(sd_bus *bus, struct watch *w)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	if (!is_due(w) || !may_ping(w))
		return 0;
	r = sd_bus_message_new_method_call(bus, &m, w->name, "/", "org.freedesktop.DBus.Peer",
					   "Ping");
	/* However long it takes: until then there is nothing to say to it. */
	if (r >= 0)
		r = sd_bus_call_async(bus, &w->ping, m, on_pong, w, UINT64_MAX);
	if (r < 0)
		return r;
	w->pinged = w->unread;
	w->list->pings++;
	w->account->pings++;
	return 0;
}

/* One that has missed some gets more when there is room for more than one. */
static bool has_room(const struct watch *w, sd_bus *bus)
{
	const struct watch_account *a = w->account;
	unsigned int part = w->missed ? 2 : 1;
	uint64_t queued = 0;

	if (w->unread >= WATCH_WINDOW / part ||
	    (a->uid != 0 && a->unread >= WATCH_WINDOW_UID / part))
		return false;
	return sd_bus_get_n_queued_write(bus, &queued) < 0 || queued < WATCH_BUS_MAX / part;
}

static int send_to(sd_bus *bus, struct watch *w, const struct event *event, const char *json)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sd_bus_message_new_signal(bus, &m, MERLON_PATH, MERLON_IFACE_MANAGER, "Event");
	if (r >= 0)
		r = sd_bus_message_append(m, "ttss", event->vm, event->seq,
					  merlon_event_name(event->kind), json);
	/* Never without a destination: that would be a broadcast. */
	if (r >= 0)
		r = sd_bus_message_set_destination(m, w->name);
	if (r >= 0)
		r = sd_bus_send(bus, m, NULL);
	if (r < 0)
		return r;
	w->unread++;
	w->account->unread++;
	return 0;
}

static void tell_lost(struct watch *w, sd_bus *bus)
{
	struct event lost = loss_of_reader(w->missed);
	_cleanup_free_ char *json = NULL;

	if (w->ended || !w->missed || !has_room(w, bus))
		return;
	if (event_to_json(&lost, &json) >= 0 && send_to(bus, w, &lost, json) >= 0)
		w->missed = 0;
}

static int miss(struct watch *w, const struct event *event, int r)
{
	w->missed += loss_by(event);
	w->list->lost += loss_by(event);
	return r;
}

bool watch_tell_lost(struct watch_list *l, sd_bus *bus)
{
	bool left = false;

	for (size_t i = 0; i < l->n; i++) {
		struct watch *w = l->watches[i];

		tell_lost(w, bus);
		(void)send_ping(bus, w);
		left |= !w->ended && w->missed;
	}
	return left;
}

static int on_pong(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	struct watch *w = userdata;
	struct watch_list *l = w->list;

	(void)reterr;
	ping_done(w);
	/*
	 * An error is an answer as well: of a bus that lets nobody ping.  But not when it is that
	 * merlond asks too much: then this one was never asked.
	 */
	if (!sd_bus_message_is_method_error(reply, SD_BUS_ERROR_LIMITS_EXCEEDED)) {
		w->unread -= w->pinged;
		w->account->unread -= w->pinged;
	}
	w->pinged = 0;
	if (w->ended && !w->unread)
		drop(w);
	(void)watch_tell_lost(l, sd_bus_message_get_bus(reply));
	return 0;
}

void watch_end(struct watch_list *l, sd_bus *bus, const char *name)
{
	struct watch *w = watch_find(l, name);

	if (!w)
		return;
	w->ended = true;
	if (!w->unread)
		drop(w);
	else
		(void)send_ping(bus, w);
}

/* What it is not sent it has missed. */
static int offer(sd_bus *bus, struct watch *w, const struct event *event, const char *json)
{
	int r;

	tell_lost(w, bus);
	/* Not before it has been told of the others: that is where they were. */
	if (w->missed || !has_room(w, bus))
		return miss(w, event, 0);
	r = send_to(bus, w, event, json);
	if (r < 0)
		return miss(w, event, r);
	return send_ping(bus, w);
}

int watch_send(struct watch_list *l, sd_bus *bus, const struct event *event)
{
	_cleanup_free_ char *json = NULL;
	int r, ret = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct watch *w = l->watches[i];

		if (w->ended || (w->vm && w->vm != event->vm))
			continue;
		r = json ? 0 : event_to_json(event, &json);
		/* One connection's trouble is not the next one's. */
		r = r < 0 ? miss(w, event, r) : offer(bus, w, event, json);
		if (r < 0)
			ret = r;
	}
	return ret;
}
