/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The native bench: merlond as it is shipped, on a bus of its own, with a played kernel
 * whose events ring is a real BPF one.  What its cases share.
 */
#ifndef MERLON_NATIVE_H
#define MERLON_NATIVE_H

#include "harness.h"

/* Records that are on their way at most: a stream's queue has room for as many. */
#define NATIVE_WINDOW 1000

/* merlond, its ring, and a VM #17 with a rule "idt". */
void native_start(void);

/* CPU time that merlond has used, nanoseconds. */
uint64_t native_cpu(void);

/* Puts violations of VM #17 into the ring, all of them: waits while it is full. */
void native_fill(uint64_t n);

/* Subscribe: a stream's fd. */
int native_subscribe(sd_bus *bus);

/**
 * struct native_had - what a stream's reader has had
 * @violations: events
 * @lost: that it was told of as lost
 * @others: other packets
 */
struct native_had {
	uint64_t violations;
	uint64_t lost;
	uint64_t others;
};

/* Takes what is there; waits for something if @wait. */
void native_read(int fd, struct native_had *had, bool wait);

/* A figure, as tests/bench/table.awk reads them, and as people do. */
void native_figure(const char *name, double value, const char *unit, const char *aim);

/* The cases; each a number of points. */
void native_events(void);
void native_calls(void);
void native_soak(unsigned int rounds);

#endif
