/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics over a local socket that systemd made (merlond-metrics.socket): one short
 * HTTP/1.0 GET for each connection.  Who may connect is the socket's mode's say.
 */
#ifndef MERLON_SCRAPE_H
#define MERLON_SCRAPE_H

#include "manager.h"

/* FileDescriptorName= of the socket. */
#define SCRAPE_FD_NAME "metrics"

/* Connections at once, bytes of a request, and the time a connection has. */
#define SCRAPE_MAX 8
#define SCRAPE_REQUEST_MAX 4096
#define SCRAPE_USEC 5000000ULL

struct scrape;

/**
 * scrape_new() - serves the socket, if systemd passed one
 * @m: the manager, which outlives it
 * @ret: to be freed with scrape_free(); NULL if there is none
 *
 * Closes fds of other names that were passed.  Logs.  Return: 0 or a negative errno.
 */
int scrape_new(struct manager *m, struct scrape **ret);

/* Closes its connections and the socket.  Takes NULL; returns NULL. */
struct scrape *scrape_free(struct scrape *s);

#endif
