/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events of several hosts, as they happen. */
#ifndef MERLON_CLI_WATCH_HOSTS_H
#define MERLON_CLI_WATCH_HOSTS_H

#include "event-filter.h"

/**
 * watch_hosts() - 'merlon watch --json' on each host of --host, printed here
 * @filter: what is printed of it
 * @count: events after which it ends, 0: none
 *
 * What runs there has fixed words only. Ends when every host has.
 *
 * Return: MERLON_EXIT_OK after @count events, MERLON_EXIT_INTERRUPTED,
 * MERLON_EXIT_SOME_HOSTS when none is left.
 */
enum merlon_exit watch_hosts(const struct event_filter *filter, uint64_t count);

#endif
