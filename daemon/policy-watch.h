/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Changes in the directories of policies: they are read again when nothing has happened
 * there for a moment.
 */
#ifndef MERLON_POLICY_WATCH_H
#define MERLON_POLICY_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "policy-files.h"

struct manager;

/**
 * struct policy_watch - watches of the directories
 * @source: of each directory that is there
 * @warned: it was logged that one cannot be watched
 * @quiet: runs from the last change on
 * @since: when the first of these changes was, CLOCK_MONOTONIC; 0: none is waiting
 */
struct policy_watch {
	sd_event_source *source[POLICY_NR_DIRS];
	bool warned[POLICY_NR_DIRS];
	sd_event_source *quiet;
	uint64_t since;
};

/* Watches directories that were not there before: 1 if there are any, 0.  Logs. */
int policy_watch_refresh(struct manager *m);
void policy_watch_done(struct policy_watch *w);

#endif
