/* SPDX-License-Identifier: GPL-2.0-or-later */
/* org.merlon1.Manager on the wire. */
#ifndef MERLON_MANAGER_BUS_H
#define MERLON_MANAGER_BUS_H

#include "manager.h"

/* Puts /org/merlon1 and the VMs' objects on @m->bus; 0 or a negative errno. */
int manager_bus_publish(struct manager *m);

/**
 * bus_need_kernel() - for methods that need a kernel that protects
 * @m: the manager
 * @reterr: set when there is none
 *
 * Return: 0 or a negative errno.
 */
int bus_need_kernel(struct manager *m, sd_bus_error *reterr);

/* For auth_check(), which tells nobody why: the VM by any of its names, or NULL. */
const struct vm *bus_find_vm(const struct manager *m, const char *what);

/* The VM by any of its names, or @reterr and a negative errno. */
int bus_resolve_vm(struct manager *m, const char *what, struct vm **ret, sd_bus_error *reterr);

/*
 * Bytes of a report: a system bus throws out who sends a message of more than 32 MiB, and so
 * much of one has to fit into what it keeps for everybody.
 */
#define BUS_REPORT_MAX (16U << 20)

/**
 * bus_reply_report() - answers a call with one string
 * @call: the call
 * @report: the string
 * @narrow: what to do if it is too long
 * @reterr: set then
 *
 * Return: as a method does.
 */
int bus_reply_report(sd_bus_message *call, const char *report, const char *narrow,
		     sd_bus_error *reterr);

/* Reads a string argument of at most @max bytes. */
int bus_read_text(sd_bus_message *call, size_t max, const char **ret, sd_bus_error *reterr);

#endif
