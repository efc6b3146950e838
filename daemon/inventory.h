/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Keeps the table of VMs like the kernel's: by its records, which are hints, and
 * by enumeration, which is the truth.  Tells watchers what changes.
 */
#ifndef MERLON_INVENTORY_H
#define MERLON_INVENTORY_H

#include "api/event.h"
#include "manager.h"

/**
 * inventory_reconcile() - makes the picture of VMs and rules that of the kernel
 * @m: the manager, with a kernel
 *
 * Takes nothing away from the kernel: a rule merlond does not know is listed as
 * an orphan.  Logs.
 */
void inventory_reconcile(struct manager *m);

/* @size bytes of a record of a ring; @userdata is the manager. */
void inventory_on_record(const struct merlon_record *record, size_t size, void *userdata);

/* VMs of one user whom the settings do not trust, so that there is room for others. */
#define INVENTORY_MAX_OF_USER (MERLON_MAX_VMS / 8)

/*
 * Gives VMs that are new what policies say of them, and lets run who waits for that: once for
 * all that came in one turn of the loop.
 */
void inventory_settle(struct manager *m);

/* Removes VMs that ended and whose last events are out. */
void inventory_sweep(struct manager *m);

/* Brings @vm's info and its counts of lost events up to date; 0, or -ESRCH. */
int inventory_refresh(struct manager *m, struct vm *vm);

/* Tells watchers of events that were lost since they were told last. */
void inventory_tell_lost(struct manager *m);

/* Fills in what all events of a VM have and sends it to watchers; logs failures. */
void inventory_emit(struct manager *m, struct vm *vm, struct event *event);

/* Tells the journal of events of @vm that it has no entries for; logs failures. */
void inventory_tell_folded(struct vm *vm);

/* A rule was set, cleared or disarmed. */
void inventory_emit_rule(struct manager *m, struct vm *vm, enum merlon_event_kind kind,
			 uint32_t id, const char *name);

#endif
