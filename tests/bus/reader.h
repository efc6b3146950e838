/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Readers of streams, and what merlond has. */
#ifndef MERLON_READER_H
#define MERLON_READER_H

#include "harness.h"

/* The packet that reader_next() has read last, or an error of reader_open(). */
extern char packet[65536];

/* The stream that Subscribe gives for this filter; -1 and an error's text. */
int reader_open(sd_bus *bus, const char *filter);

/* The next packet: its bytes, 0 at the end, -1 if none came in @ms. */
ssize_t reader_next(int fd, int ms);

/* The process that has merlond's name on the bus. */
pid_t merlond_pid(void);

/* KiB of memory that merlond has for itself. */
unsigned long merlond_resident(void);

#endif
