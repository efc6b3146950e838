/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A VM as merlond knows it, its rules among that, and the table of them.  What
 * the kernel says is copied, never trusted to be still true.
 */
#ifndef MERLON_VM_H
#define MERLON_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm_isolation.h>

#include "identify.h"
#include "journal.h"
#include "rule.h"

/**
 * struct vm_rule - a rule of a VM
 * @id: in the kernel's table, unique within the VM
 * @rule: what was asked for, with exceptions of its own; for an orphan only the kernel's
 *	half is known: the name is "", gpa and length are 0
 * @orphan: the kernel has it and merlond does not know it
 * @info: as the kernel last told
 * @pinned: as @rule.pin, as the kernel last told
 * @policy: the policy that it is of, "" for none
 * @policy_mode: MERLON_MODE_*, what that policy has last said; NULL where it is of none
 * @pin_read, @pin_set: what came of asking for @pinned, and of setting it again, last time:
 *	0 or a negative errno; only a change of these is logged
 */
struct vm_rule {
	uint32_t id;
	bool orphan;
	struct rule rule;
	struct kvm_vmi_rule_info info;
	uint64_t pinned[MERLON_REGISTER_MAX];
	char policy[MERLON_NAME_MAX + 1];
	const char *policy_mode;
	int pin_read;
	int pin_set;
};

/* A rule that was dropped, for events that were on their way. */
struct vm_retired {
	uint32_t id;
	char name[MERLON_NAME_MAX + 1];
};

/* So many of them are remembered. */
#define VM_MAX_RETIRED 64

/* Pinned bits that a CPU has left clear, as the kernel has told or as was seen since. */
struct vm_unpinned {
	uint32_t vcpu_id;
	uint64_t bits[MERLON_REGISTER_MAX];
};

/**
 * struct vm_isolation - what was told of a VM's windows
 * @told: &kvm_isolation_stats.left when watchers were last told; @told_at: when that was
 * @logged_at: when the log was; @unlogged: windows that it has not been told of
 *
 * Times are nanoseconds of CLOCK_BOOTTIME, 0 for never.
 */
struct vm_isolation {
	uint64_t told[KVM_ISOLATION_MAX_REASONS];
	uint64_t told_at;
	uint64_t logged_at;
	uint64_t unlogged;
};

/**
 * struct vm - a VM
 * @info: as the kernel last told
 * @identity: what its process says, all "" until it has been read
 * @trusted: the VMM's uid is one whose claims count
 * @rules: sorted by id; @room_rules: for how many there is memory
 * @retired: the rules dropped last, NULL if none was; @n_retired: dropped ever
 * @unpinned: one for each CPU that has left pinned bits clear; @unpinned_logged: all such
 *	bits that were logged since the last reset
 * @isolation: what was told of its windows
 * @journal: its turns in the journal
 * @next_rule: the next rule's id; ids are not used twice, for events that are
 *	still on their way carry them
 * @last_seq: number of the last violation that was reported
 * @missed: violations that merlond was not there to be told of, or could not read
 * @dropped: events that the kernel lost, as it last told
 * @lost: events lost so far: @missed and @dropped; @lost_told: of these, reported
 * @engine_chosen: somebody chose its engine, be it auto: the settings do not count
 * @known: the kernel has told of it since merlond started
 * @identified: @identity is final
 * @gone: it ended; kept until its last events are out
 * @seen: mark of reconciling
 * @policy_due: it is new, and has not got yet what policies say of it
 * @policy_failed: a policy that is for it could not be applied
 * @policy_told: that was logged, and need not be again
 */
struct vm {
	struct kvm_vmi_vm_info info;
	struct identity identity;
	bool trusted;
	struct vm_rule *rules;
	size_t n_rules;
	size_t room_rules;
	struct vm_retired *retired;
	size_t n_retired;
	struct vm_unpinned *unpinned;
	size_t n_unpinned;
	uint64_t unpinned_logged[MERLON_REGISTER_MAX];
	struct vm_isolation isolation;
	struct journal_limit journal;
	uint32_t next_rule;
	uint64_t last_seq;
	uint64_t missed;
	uint64_t dropped;
	uint64_t lost;
	uint64_t lost_told;
	bool engine_chosen;
	bool known;
	bool identified;
	bool gone;
	bool seen;
	bool policy_due;
	bool policy_failed;
	bool policy_told;
};

/* Sorted by id. */
struct vm_table {
	struct vm **vms;
	size_t n;
};

/* Returns NULL when memory ran out. */
struct vm *vm_new(uint64_t id);
/* Takes NULL; returns NULL. */
struct vm *vm_free(struct vm *vm);

/* One past the guest's last physical address. */
uint64_t vm_gpa_limit(const struct vm *vm) __attribute__((__pure__));

/* "running", "pending", "dead" or "unsupported". */
const char *vm_state(const struct vm *vm);

/* The rule, or NULL.  An orphan is found by its id alone. */
struct vm_rule *vm_find_rule(const struct vm *vm, uint32_t id);
struct vm_rule *vm_find_rule_by_name(const struct vm *vm, const char *name);

/* The rule's name as events carry it, also after it was dropped; "" for a stranger's. */
const char *vm_rule_name(const struct vm *vm, uint32_t id);

/**
 * vm_add_rule() - room for a rule, in its place
 * @vm: the VM
 * @id: the rule's, not there yet
 *
 * Return: the rule, zeroed but for its id, valid until the next call that adds or
 * removes one; NULL when memory ran out.
 */
struct vm_rule *vm_add_rule(struct vm *vm, uint32_t id);
void vm_remove_rule(struct vm *vm, uint32_t id);
/* The same for one that never was in force: no event on its way is about it. */
void vm_withdraw_rule(struct vm *vm, uint32_t id);

/* An id for the next rule, not used before; 0 when there is none. */
uint32_t vm_next_rule_id(struct vm *vm);

/**
 * vm_cookie() - the mark by which merlond knows its rule again
 * @vm: the VM's id
 * @name: the rule's
 *
 * Return: never 0.
 */
uint64_t vm_cookie(uint64_t vm, const char *name) __attribute__((__pure__));

struct vm *vm_table_find(const struct vm_table *t, uint64_t id);
/* 0, -ENOMEM, -EEXIST, -ENOSPC for more than MERLON_MAX_VMS; takes @vm on success. */
int vm_table_add(struct vm_table *t, struct vm *vm);
/* Frees the VM. */
void vm_table_remove(struct vm_table *t, uint64_t id);
void vm_table_done(struct vm_table *t);

/* Why vm_table_resolve() did not find one. */
enum vm_resolve {
	VM_FOUND,
	VM_NONE,
	VM_AMBIGUOUS,
};

/**
 * vm_table_resolve() - a VM by any of its names
 * @t: the VMs
 * @what: "#17" (id), "17" (id or name), a uuid or a name in escaped form
 * @ret: the VM, untouched unless found
 * @reterr_ids: for VM_AMBIGUOUS "#17, #23", at most this much
 * @size: of @reterr_ids
 *
 * Claims of VMMs nobody trusts count too: a name that two VMs carry names neither,
 * whoever gave it.
 */
enum vm_resolve vm_table_resolve(const struct vm_table *t, const char *what, struct vm **ret,
				 char *reterr_ids, size_t size);

#endif
