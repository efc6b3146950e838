/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * KVM's address-space isolation as merlond tells of it: the host's word, counters of a VM,
 * when siblings are kicked, and events of windows that were left unexpectedly.
 */
#ifndef MERLON_ISOLATION_H
#define MERLON_ISOLATION_H

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm.h"

/* Adds to an object "isolation", as Probe has it.  0 or -ENOMEM. */
int isolation_host_to_json(struct json_object *o, const struct manager *m);

/**
 * isolation_describe() - a VM's counters
 * @m: the manager, with a kernel
 * @vm: the VM
 * @ret: JSON as of org.merlon1.xml, to be freed with free()
 * @reterr: set on failure
 *
 * That the VM is not isolated is an answer, no failure.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int isolation_describe(struct manager *m, const struct vm *vm, char **ret, sd_bus_error *reterr);

/**
 * isolation_choose_kick() - when the siblings of a VM's CPUs leave their guests
 * @m: the manager, with a kernel
 * @vm: the VM
 * @word: MERLON_KICK_NEVER or MERLON_KICK_ALWAYS
 * @dry_run: check everything, change nothing
 * @ret_report: JSON as of org.merlon1.xml, to be freed with free()
 * @reterr: set on failure
 *
 * The kernel has it for as long as the VM is there; merlond keeps nothing.  Logs.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int isolation_choose_kick(struct manager *m, const struct vm *vm, const char *word, bool dry_run,
			  char **ret_report, sd_bus_error *reterr);

/**
 * isolation_look() - tells watchers and the log of windows left unexpectedly
 * @m: the manager, with a kernel
 *
 * Of each VM at most one event in ISOLATION_EVENT_NS and one line in ISOLATION_LOG_NS, with
 * the count of all since the one before.
 *
 * Return: true if the host isolates, so that it is worth looking again soon.
 */
bool isolation_look(struct manager *m);

/* Nanoseconds. */
#define ISOLATION_EVENT_NS	5000000000ULL
#define ISOLATION_LOG_NS	60000000000ULL

#endif
