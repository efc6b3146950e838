/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * merlond itself: VMs, the kernel they live in, watchers, and what is wrong.
 * Knows the bus only as a thing to send events to.
 */
#ifndef MERLON_MANAGER_H
#define MERLON_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "auth.h"
#include "kernel.h"
#include "peer.h"
#include "policies.h"
#include "policy-watch.h"
#include "settings.h"
#include "stream.h"
#include "unread.h"
#include "vm.h"
#include "watch.h"

/**
 * struct manager_options - the command line
 * @runtime_dir, @bpffs_dir: directories
 * @config: settings file
 * @policy_dirs: where policies are, from the one that counts first
 * @state_dir: what outlives a boot
 * @script: of the fake kernel, or NULL
 * @admission: enum kvm_vmi_admission, -1: as the settings say
 */
struct manager_options {
	const char *runtime_dir;
	const char *bpffs_dir;
	const char *config;
	const char *policy_dirs[POLICY_NR_DIRS];
	const char *state_dir;
	const char *script;
	int admission;
};

/**
 * struct manager - the daemon
 * @kernel: NULL while there is none that can protect; @missing says why
 * @caps: what @kernel can do
 * @admission: what new VMs wait for
 * @degraded: bit per enum merlon_degraded, for those without a VM in them
 * @control_lost: lost records of the control ring that were made up for
 * @settings_passing: they cannot be used for a reason that is not in the file
 * @unsaved: state.json lacks something that may be saved with the next
 * @lost_recently: events were lost since the last tick; @journal_failed: the journal took one
 *	not
 * @auth: calls that wait for what auth_check() asks
 * @stranger_journal: turns in the journal of VMs that are not in the table
 * @tick: every half minute; @lost_timer: a second after events came, and while watchers are
 *	to be told of a loss; @isolation_timer: each second where KVM isolates; @sweep: frees
 *	VMs that ended, @sweep_after: once so many more records of events were read
 */
struct manager {
	struct manager_options options;
	sd_event *event;
	sd_bus *bus;
	struct kernel *kernel;
	struct kernel_missing missing;
	struct kvm_vmi_caps caps;
	struct settings settings;
	struct vm_table vms;
	struct policies policies;
	struct policy_watch policy_watch;
	struct peers peers;
	struct unread unread;
	struct watch_list watches;
	struct stream_list streams;
	struct auth auth;
	struct journal_limit stranger_journal;
	unsigned int degraded;
	enum kvm_vmi_admission admission;
	uint64_t control_lost;
	bool settings_passing;
	bool unsaved;
	bool lost_recently;
	bool journal_failed;
	int lock_fd;
	sd_event_source *ring[KERNEL_NR_RINGS];
	sd_event_source *tick;
	sd_event_source *lost_timer;
	sd_event_source *isolation_timer;
	sd_event_source *sweep;
	size_t sweep_after;
	sd_bus_slot *manager_slot;
	sd_bus_slot *vm_slot;
	char status[256];
};

/**
 * manager_new() - settings, runtime directory and its lock
 * @options: must outlive the manager
 * @event: the loop
 * @ret: to be freed with manager_free()
 *
 * Logs.  Return: 0; -EWOULDBLOCK when another merlond has the lock; another
 * negative errno.
 */
int manager_new(const struct manager_options *options, sd_event *event, struct manager **ret);

/* Lets go of everything; what the kernel enforces stays in force.  Takes NULL. */
struct manager *manager_free(struct manager *m);

/**
 * manager_start() - takes hold of the kernel and of the VMs there are
 * @m: the manager
 *
 * A host whose kernel cannot protect is no failure: @m->kernel stays NULL.  Logs.
 *
 * Return: 0 or a negative errno.
 */
int manager_start(struct manager *m);

/* SIGHUP: settings and policies again, and a look at the kernel.  Logs. */
void manager_reload(struct manager *m);

/**
 * manager_clear() - merlond --clear: drops every rule, admission, programs, pins
 * @m: the manager, not started
 *
 * Logs.  Return: 0 or a negative errno.
 */
int manager_clear(struct manager *m);

/* The number of rules, armed or not. */
size_t manager_count_rules(const struct manager *m);

/*
 * A VM has ended: it is told of and freed when its last events are out, which are in the ring
 * by now.
 */
void manager_sweep_soon(struct manager *m);

/* Writes state.json; a failure is logged and, since names would be lost, returned. */
int manager_save(struct manager *m);

/*
 * Tells the kernel what a new VM waits for: the settings and the policies have changed.
 * Logs.
 */
void manager_set_admission(struct manager *m);

/* Adds to or takes from the reasons for Degraded. */
void manager_set_degraded(struct manager *m, enum merlon_degraded reason, bool on);

/**
 * manager_degraded() - the reasons, for those who may list VMs
 * @m: the manager
 * @ret: reasons, a detail behind a colon (the id of a VM, a file), each a string to be freed
 *	like the array, NULL at the end
 *
 * Return: 0 or -ENOMEM.
 */
int manager_degraded(const struct manager *m, char ***ret);

/**
 * manager_degraded_bits() - the reasons without details, for everybody
 * @m: the manager
 * @ret: a bit per enum merlon_degraded
 *
 * Return: 0 or -ENOMEM.
 */
int manager_degraded_bits(const struct manager *m, unsigned int *ret);

/* Says in STATUS= what there is. */
void manager_notify_status(struct manager *m);

#endif
