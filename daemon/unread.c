// SPDX-License-Identifier: GPL-2.0-or-later
/* Connections that do not read. */
#include "log.h"
#include "unread.h"
#include "util/util.h"

#define DRIVER_NAME	"org.freedesktop.DBus"
#define DRIVER_PATH	"/org/freedesktop/DBus"
#define STATS_IFACE	"org.freedesktop.DBus.Debug.Stats"

/* How often the bus is asked about who has a call that waits. */
#define AGAIN_USEC 100000ULL

/**
 * struct unread_peer - a connection that calls
 * @question: to the bus, how much it has not read
 * @calls: that were served since the bus was asked last; @asked: of these, before that
 * @stuck: it had too much then
 * @held: calls of it that wait, @n_held of them
 */
struct unread_peer {
	struct unread *unread;
	sd_bus_slot *question;
	unsigned int calls;
	unsigned int asked;
	bool stuck;
	sd_bus_message *held[UNREAD_HELD];
	size_t n_held;
	char name[];
};

static void peer_free(struct unread_peer *p)
{
	sd_bus_slot_unref(p->question);
	for (size_t i = 0; i < p->n_held; i++)
		sd_bus_message_unref(p->held[i]);
	p->unread->held -= p->n_held;
	free(p);
}

static void peer_drop(struct unread_peer *p)
{
	struct unread *u = p->unread;

	for (size_t i = 0; i < u->n; i++)
		if (u->peers[i] == p) {
			u->peers[i] = u->peers[--u->n];
			break;
		}
	peer_free(p);
}

static struct unread_peer *peer_find(const struct unread *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++)
		if (streq(u->peers[i]->name, name))
			return u->peers[i];
	return NULL;
}

static struct unread_peer *peer_get(struct unread *u, const char *name)
{
	struct unread_peer *p = peer_find(u, name), **peers;

	if (p)
		return p;
	peers = reallocarray(u->peers, u->n + 1, sizeof(*peers));
	if (!peers)
		return NULL;
	u->peers = peers;
	p = calloc(1, sizeof(*p) + strlen(name) + 1);
	if (!p)
		return NULL;
	p->unread = u;
	strcpy(p->name, name);
	u->peers[u->n++] = p;
	return p;
}

/* Its calls come in again after what is there by now, and are counted then. */
static void let_pass(struct unread_peer *p)
{
	struct unread *u = p->unread;

	for (size_t i = 0; i < p->n_held; i++) {
		(void)sd_bus_enqueue_for_read(u->bus, p->held[i]);
		sd_bus_message_unref(p->held[i]);
	}
	u->held -= p->n_held;
	p->n_held = 0;
}

/* @reply: a{sv}; the number of bytes that lie there, as dbus-daemon calls it. */
static int read_bytes(sd_bus_message *reply, uint32_t *ret)
{
	const char *key;
	int r;

	r = sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (r >= 0 && (r = sd_bus_message_enter_container(reply, 'e', "sv")) > 0) {
		r = sd_bus_message_read(reply, "s", &key);
		if (r >= 0 && streq(key, "OutgoingBytes"))
			return sd_bus_message_read(reply, "v", "u", ret);
		if (r >= 0)
			r = sd_bus_message_skip(reply, "v");
		if (r >= 0)
			r = sd_bus_message_exit_container(reply);
	}
	return r < 0 ? r : -ENODATA;
}

static int on_stats(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	struct unread_peer *p = userdata;
	struct unread *u = p->unread;
	uint32_t bytes = 0;

	(void)reterr;
	p->question = sd_bus_slot_unref(p->question);
	if (sd_bus_message_is_method_error(reply, SD_BUS_ERROR_NAME_HAS_NO_OWNER)) {
		peer_drop(p);
		return 0;
	}
	if (sd_bus_message_is_method_error(reply, NULL) || read_bytes(reply, &bytes) <= 0) {
		log_debug("The bus does not say who does not read.");
		u->blind = true;
		for (size_t i = 0; i < u->n; i++)
			let_pass(u->peers[i]);
		return 0;
	}
	p->calls -= p->asked;
	p->asked = 0;
	p->stuck = bytes > UNREAD_MAX;
	if (!p->stuck) {
		let_pass(p);
	} else if (p->n_held) {
		(void)sd_event_source_set_time_relative(u->again, AGAIN_USEC);
		(void)sd_event_source_set_enabled(u->again, SD_EVENT_ONESHOT);
	}
	return 0;
}

static void ask(struct unread_peer *p)
{
	struct unread *u = p->unread;

	if (p->question)
		return;
	if (sd_bus_call_method_async(u->bus, &p->question, DRIVER_NAME, DRIVER_PATH, STATS_IFACE,
				     "GetConnectionStats", on_stats, p, "s", p->name) >= 0)
		p->asked = p->calls;
}

static int on_again(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct unread *u = userdata;

	(void)source;
	(void)usec;
	for (size_t i = 0; i < u->n; i++)
		if (u->peers[i]->n_held)
			ask(u->peers[i]);
	return 0;
}

/* Numbers and short texts alone. */
static bool is_short(sd_bus_message *call)
{
	const char *text = sd_bus_message_get_path(call);
	bool good = text && strlen(text) <= UNREAD_HELD_TEXT;

	for (const char *type = sd_bus_message_get_signature(call, true); good && *type; type++) {
		union {
			const char *text;
			uint64_t number;
		} value;

		good = strchr("sbtu", *type) &&
		       sd_bus_message_read_basic(call, *type, &value) > 0 &&
		       (*type != 's' || strlen(value.text) <= UNREAD_HELD_TEXT);
	}
	return sd_bus_message_rewind(call, true) >= 0 && good;
}

static void hold(struct unread_peer *p, sd_bus_message *call)
{
	struct unread *u = p->unread;

	if (p->n_held < UNREAD_HELD && u->held < UNREAD_HELD_ALL && is_short(call)) {
		p->held[p->n_held++] = sd_bus_message_ref(call);
		u->held++;
	}
	ask(p);
}

/* 1: the call is not served, now at least. */
static int on_message(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	const char *sender = sd_bus_message_get_sender(call);
	struct unread *u = userdata;
	struct unread_peer *p;

	(void)reterr;
	/* What has no answer fills nothing. */
	if (u->blind || !sender || sd_bus_message_get_expect_reply(call) <= 0)
		return 0;
	if (u->passes(call, u->userdata))
		return 0;
	p = peer_get(u, sender);
	if (!p)
		return -ENOMEM;
	if (p->stuck || p->calls >= UNREAD_WINDOW) {
		hold(p, call);
		return 1;
	}
	p->calls += sd_bus_message_is_method_call(call, "org.freedesktop.DBus.Introspectable",
						  NULL) > 0 ? UNREAD_INTROSPECT : 1;
	if (p->calls >= UNREAD_ASK)
		ask(p);
	return 0;
}

int unread_start(struct unread *u, sd_bus *bus, sd_event *event,
		 bool (*passes)(sd_bus_message *call, void *userdata), void *userdata)
{
	int r;

	u->bus = bus;
	u->passes = passes;
	u->userdata = userdata;
	r = sd_event_add_time_relative(event, &u->again, CLOCK_MONOTONIC, 0, 0, on_again, u);
	if (r >= 0)
		r = sd_event_source_set_enabled(u->again, SD_EVENT_OFF);
	if (r >= 0)
		r = sd_bus_add_filter(bus, &u->filter, on_message, u);
	return r < 0 ? r : 0;
}

void unread_forget(struct unread *u, const char *name)
{
	struct unread_peer *p = peer_find(u, name);

	if (p)
		peer_drop(p);
}

void unread_done(struct unread *u)
{
	u->filter = sd_bus_slot_unref(u->filter);
	u->again = sd_event_source_disable_unref(u->again);
	while (u->n)
		peer_drop(u->peers[u->n - 1]);
	free(u->peers);
	*u = (struct unread) { 0 };
}
