// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams of events: queues and the sockets they are written to. */
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "loss.h"
#include "stream.h"
#include "util/json.h"
#include "util/util.h"

/* Packets written for one reader in one turn of the loop. */
#define TURN_MAX 256

/* One text, in the queues of several readers. */
struct packet {
	size_t refs;
	size_t len;
	char text[];
};

struct item {
	struct item *next;
	struct packet *packet;
};

/**
 * struct stream - a reader
 * @vm: only of this VM, 0: of all
 * @fd: our end, write only
 * @first, @last: the queue; @queued: its bytes
 * @missed: events that found no room since the last one that did, as loss_by() counts them
 */
struct stream {
	struct stream_list *list;
	sd_event_source *source;
	uid_t uid;
	uint64_t vm;
	int fd;
	struct item *first;
	struct item *last;
	size_t queued;
	uint64_t missed;
	char name[];
};

static void packet_unref(struct packet *p)
{
	if (--p->refs == 0)
		free(p);
}

DEFINE_CLEANUP(struct packet *, packet_unref)

static struct packet *packet_new(const char *text)
{
	size_t len = strlen(text);
	struct packet *p = malloc(sizeof(*p) + len);

	if (!p)
		return NULL;
	p->refs = 1;
	p->len = len;
	memcpy(p->text, text, len);
	return p;
}

static size_t cost(const struct packet *p)
{
	return sizeof(struct item) + sizeof(*p) + p->len;
}

static void pop(struct stream *s)
{
	struct item *i = s->first;

	s->queued -= cost(i->packet);
	s->first = i->next;
	if (!s->first)
		s->last = NULL;
	packet_unref(i->packet);
	free(i);
}

static int push(struct stream *s, struct packet *p)
{
	struct item *i = calloc(1, sizeof(*i));

	if (!i)
		return -ENOMEM;
	i->packet = p;
	p->refs++;
	if (s->last)
		s->last->next = i;
	else
		s->first = i;
	s->last = i;
	s->queued += cost(p);
	return 0;
}

static void stream_free(struct stream *s)
{
	sd_event_source_disable_unref(s->source);
	while (s->first)
		pop(s);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

DEFINE_CLEANUP(struct stream *, stream_free)

static void stream_close(struct stream *s)
{
	struct stream_list *l = s->list;

	for (size_t i = 0; i < l->n; i++) {
		if (l->streams[i] != s)
			continue;
		l->streams[i] = l->streams[--l->n];
		stream_free(s);
		return;
	}
}

void stream_close_name(struct stream_list *l, const char *name)
{
	for (size_t i = l->n; i-- > 0;)
		if (streq(l->streams[i]->name, name))
			stream_close(l->streams[i]);
}

void stream_done(struct stream_list *l)
{
	while (l->n)
		stream_close(l->streams[l->n - 1]);
	free(l->streams);
	*l = (struct stream_list) { 0 };
}

static int push_lost(struct stream *s)
{
	struct event lost = loss_of_reader(s->missed);
	_cleanup_(packet_unrefp) struct packet *p = NULL;
	_cleanup_free_ char *json = NULL;
	int r;

	r = event_to_json(&lost, &json);
	if (r < 0)
		return r;
	p = packet_new(json);
	if (!p)
		return -ENOMEM;
	r = push(s, p);
	if (r >= 0)
		s->missed = 0;
	return r;
}

/*
 * A reader that has missed some gets more when half of its queue is free: otherwise a
 * slow one would be told of a loss after each event.
 */
static bool has_caught_up(const struct stream *s)
{
	return s->queued <= STREAM_QUEUE_MAX / 2;
}

static void miss(struct stream *s, const struct event *event)
{
	s->missed += loss_by(event);
	s->list->lost += loss_by(event);
}

static int put(struct stream *s, const struct event *event, struct packet *p)
{
	int r = 0;

	if (s->missed && has_caught_up(s))
		r = push_lost(s);
	if (s->missed || s->queued + cost(p) > STREAM_QUEUE_MAX) {
		miss(s, event);
		return r;
	}
	r = push(s, p);
	if (r < 0)
		miss(s, event);
	return r;
}

static int want_to_write(struct stream *s)
{
	return sd_event_source_set_io_events(s->source, s->first || s->missed ? EPOLLOUT : 0);
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct stream *s = userdata;

	(void)source;
	if (revents & (EPOLLHUP | EPOLLERR)) {
		stream_close(s);
		return 0;
	}
	for (unsigned int n = 0; n < TURN_MAX; n++) {
		struct packet *p;

		/* Where they were: behind what was queued, before what comes. */
		if (s->missed && has_caught_up(s) && push_lost(s) < 0)
			break;
		if (!s->first)
			break;
		p = s->first->packet;
		if (send(fd, p->text, p->len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
			if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS ||
			    errno == ENOMEM)
				break;
			stream_close(s);
			return 0;
		}
		pop(s);
	}
	if (want_to_write(s) < 0)
		stream_close(s);
	return 0;
}

static int push_hello(struct stream *s)
{
	_cleanup_(packet_unrefp) struct packet *p = NULL;
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *kinds = json_object_new_array();
	_cleanup_free_ char *text = NULL;
	int r;

	if (!o) {
		json_object_put(kinds);
		return -ENOMEM;
	}
	r = json_add(o, "kinds", kinds);
	for (int i = 0; r >= 0 && i < MERLON_EVENT_MAX; i++)
		r = json_append(kinds, json_object_new_string(merlon_event_name(i)));
	if (r >= 0)
		r = json_add_string(o, "stream", MERLON_STREAM_NAME);
	if (r >= 0)
		r = json_add_u64(o, "version", MERLON_STREAM_VERSION);
	if (r >= 0)
		r = json_add_u64(o, "vm", s->vm);
	if (r >= 0)
		r = json_text(o, JSON_ONE_LINE, &text);
	if (r < 0)
		return r;
	p = packet_new(text);
	return p ? push(s, p) : -ENOMEM;
}

static int check_limits(const struct stream_list *l, uid_t uid)
{
	size_t of_uid = 0;

	for (size_t i = 0; i < l->n; i++)
		of_uid += l->streams[i]->uid == uid;
	if (uid != 0 && of_uid >= STREAM_MAX_UID)
		return -EDQUOT;
	return l->n >= STREAM_MAX ? -ENFILE : 0;
}

/* Our end is for writing alone: nothing that a reader sends is ever kept, let alone read. */
static int make_pair(struct stream *s, int *ret)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		/* -ENFILE is the limit of streams. */
		return errno == ENFILE ? -EMFILE : -errno;
	s->fd = fds[0];
	*ret = fds[1];
	return shutdown(s->fd, SHUT_RD) < 0 ? -errno : 0;
}

int stream_open(struct stream_list *l, sd_event *event, const char *name, uid_t uid, uint64_t vm,
		int *ret)
{
	_cleanup_(stream_freep) struct stream *s = NULL;
	_cleanup_close_ int reader = -EBADF;
	struct stream **streams;
	int r;

	r = check_limits(l, uid);
	if (r < 0)
		return r;
	s = calloc(1, sizeof(*s) + strlen(name) + 1);
	if (!s)
		return -ENOMEM;
	s->list = l;
	s->uid = uid;
	s->vm = vm;
	s->fd = -EBADF;
	strcpy(s->name, name);
	r = make_pair(s, &reader);
	if (r >= 0)
		r = push_hello(s);
	if (r >= 0)
		r = sd_event_add_io(event, &s->source, s->fd, EPOLLOUT, on_io, s);
	if (r < 0)
		return r;
	streams = reallocarray(l->streams, l->n + 1, sizeof(*streams));
	if (!streams)
		return -ENOMEM;
	l->streams = streams;
	l->streams[l->n++] = TAKE_PTR(s);
	*ret = TAKE_FD(reader);
	return 0;
}

static int make_packet(const struct event *event, struct packet **ret)
{
	_cleanup_free_ char *json = NULL;
	int r;

	r = event_to_json(event, &json);
	if (r < 0)
		return r;
	*ret = packet_new(json);
	return *ret ? 0 : -ENOMEM;
}

int stream_send(struct stream_list *l, const struct event *event)
{
	_cleanup_(packet_unrefp) struct packet *p = NULL;
	int r, ret = 0;

	for (size_t i = 0; i < l->n; i++) {
		struct stream *s = l->streams[i];

		if (s->vm && s->vm != event->vm)
			continue;
		r = p ? 0 : make_packet(event, &p);
		if (r < 0)
			miss(s, event);
		else
			r = put(s, event, p);
		if (r < 0)
			ret = r;
		r = want_to_write(s);
		if (r < 0)
			ret = r;
	}
	return ret;
}
