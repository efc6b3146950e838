/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams of events: one socket for each Subscribe, with a queue of its own.  The
 * other end is only read; whoever has it may answer nothing with it.
 */
#ifndef MERLON_STREAM_H
#define MERLON_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "api/event.h"

/* Streams of one uid (root's are not counted), and of all. */
#define STREAM_MAX_UID 16
#define STREAM_MAX 1024

/* Bytes that wait for one reader, what keeping them costs included. */
#define STREAM_QUEUE_MAX (1U << 20)

struct stream;

/**
 * struct stream_list - all streams
 * @lost: events that streams lost since merlond started, those of closed ones included
 */
struct stream_list {
	struct stream **streams;
	size_t n;
	uint64_t lost;
};

/**
 * stream_open() - a stream for a connection
 * @l: the list, which stays where it is
 * @event: the loop that writes
 * @name: the connection's unique name; who knows that it left the bus closes the stream by
 *	stream_close_name()
 * @uid: whose it is
 * @vm: only of this VM, 0: of all
 * @ret: the reader's end, to be closed by the caller
 *
 * The first packet, a hello, is on its way.
 *
 * Return: 0; -EDQUOT the uid has enough; -ENFILE all have; -EMFILE merlond has no
 * more fds; -ENOMEM; another negative errno.
 */
int stream_open(struct stream_list *l, sd_event *event, const char *name, uid_t uid, uint64_t vm,
		int *ret);

/* Closes all streams of a connection. */
void stream_close_name(struct stream_list *l, const char *name);
void stream_done(struct stream_list *l);

/**
 * stream_send() - puts an event into the queues of those whose filters fit
 * @l: the list
 * @event: the event
 *
 * Writes nothing: the loop does.  A queue that is full counts instead.
 *
 * Return: 0 or -ENOMEM, then those who did not get it have counted it.
 */
int stream_send(struct stream_list *l, const struct event *event);

#endif
