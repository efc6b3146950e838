/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a reader of events is told of those that it, and not the kernel, has lost. */
#ifndef MERLON_LOSS_H
#define MERLON_LOSS_H

#include <stdint.h>

#include "api/event.h"

/**
 * loss_of_reader() - event "lost" of a reader's own loss, as of now
 * @count: events that it will not get
 *
 * Its VM is 0, which no VM has: those that the kernel lost have their VM.
 */
struct event loss_of_reader(uint64_t count);

/* What a reader that does not get this event has lost: one, or what it would have told of. */
static inline uint64_t loss_by(const struct event *event)
{
	return event->kind == MERLON_EVENT_LOST ? event->count : 1;
}

#endif
