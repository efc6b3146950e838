/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events and reasons for Degraded as structured entries of the journal, so many of
 * each VM; systemd/merlon.catalog explains them.
 */
#ifndef MERLON_JOURNAL_H
#define MERLON_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "api/event.h"

/* Of one VM: this many entries at once, and then one in this time. */
#define JOURNAL_BURST 20
#define JOURNAL_NS 1000000000ULL

/* journal_socket_send(), or what a test has in its place. */
typedef int (*journal_send_t)(const struct iovec *iov, int n);

/**
 * struct journal_limit - of one VM, all zero at first
 * @full: CLOCK_BOOTTIME in ns at which as many entries as JOURNAL_BURST are free again
 * @folded: events without an entry since the last one that has one
 */
struct journal_limit {
	uint64_t full;
	uint64_t folded;
};

/**
 * journal_event() - an entry for an event, if it is the VM's turn
 * @send: where to
 * @limit: of the event's VM
 * @event: its @time decides about the turn
 *
 * Return: 1, 0 if it was folded, -ENOMEM, or what @send returned.
 */
int journal_event(journal_send_t send, struct journal_limit *limit, const struct event *event);

/**
 * journal_folded() - an entry that tells how many events have none, if any have
 * @send: where to
 * @limit: of the VM; then nothing is folded
 * @vm: its id
 * @name: its name, escaped
 *
 * Return: 0, -ENOMEM, or what @send returned.
 */
int journal_folded(journal_send_t send, struct journal_limit *limit, uint64_t vm,
		   const char *name);

/**
 * journal_degraded() - an entry for a reason that came or went
 * @send: where to
 * @reason: without a detail
 * @on: it came
 *
 * Return: 0, -ENOMEM, or what @send returned.
 */
int journal_degraded(journal_send_t send, enum merlon_degraded reason, bool on);

#endif
