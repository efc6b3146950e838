/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A change of one VM's rules, in steps: what differs (pure), what that needs, into
 * merlond's table, into the kernel.  Between the last two the caller saves the names, once
 * for any number of changes.
 *
 * What takes a rule's place is in force before the old one goes, and what stays is not
 * touched: no byte that both deny is unprotected for an instant.
 */
#ifndef MERLON_CHANGE_H
#define MERLON_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

#include "manager.h"
#include "rule.h"
#include "vm.h"

/* A rule whose answers change, or its mode, or that is to be armed; its reach stays. */
struct change_update {
	uint32_t id;
	struct rule wanted;	/* its exceptions belong to whoever asked for it */
	const char *policy_mode;
	bool arm;
	struct rule was;
	const char *policy_mode_was;
	bool done;
};

/**
 * struct change_add - a rule that gets an id of its own
 * @rule: what is asked for
 * @disarmed: it takes the place of one that is, or waits for the boot
 * @mode: MERLON_MODE_*, what somebody has chosen for the one whose place it takes; NULL: the
 *	rule's own
 * @replaces: its namesake of this policy, which is dropped, 0 for none
 * @heir_of: a rule of the same reach that is dropped, maybe of another policy: what that has
 *	learned is excepted from this one, too; 0 for none
 * @learned: exceptions to be set in the kernel beside the rule's own; owned
 * @n_learned: how many
 */
struct change_add {
	const struct rule *rule;
	bool disarmed;
	const char *mode;
	uint32_t replaces;
	uint32_t heir_of;
	struct rule_span *learned;
	size_t n_learned;
};

/* A rule that goes; @replaced: one of its name comes; @held: it has to stay for now. */
struct change_drop {
	uint32_t id;
	bool replaced;
	bool held;
};

/**
 * struct change - what becomes of the rules that one VM has of one policy
 * @vm: the VM
 * @policy: the policy's name, "" for rules of nobody's but the caller of Protect()
 * @add: rules that are new, or whose reach differs: then the old one is in @drop
 * @update, @drop: others that do not stay as they are
 * @kept: how many do
 * @planned: @add as the VM will have them
 * @next: what the VM's next id was before
 * @added: of @planned, those that the VM has
 * @asked: the VM's engine was asked for
 * @staged: merlond's table has it
 * @failed: it cannot be done, or could not
 */
struct change {
	struct vm *vm;
	char policy[MERLON_NAME_MAX + 1];
	struct change_add *add;
	size_t n_add;
	struct change_update *update;
	size_t n_update;
	struct change_drop *drop;
	size_t n_drop;
	size_t kept;
	struct vm_rule *planned;
	uint32_t next;
	size_t added;
	bool asked;
	bool staged;
	bool failed;
};

/**
 * struct change_groups - a VM's rules of policies, those of each policy side by side
 * @rules: indexes into the VM's rules, by policy, then by id; orphans are not among them
 * @n: how many
 *
 * Valid until the VM's rules change.
 */
struct change_groups {
	size_t *rules;
	size_t n;
};

/* 0 or -ENOMEM; @ret is to be let go with change_groups_done(), untouched on failure. */
int change_groups(const struct vm *vm, struct change_groups *ret);
void change_groups_done(struct change_groups *g);

/* Those of @policy, and how many; any pointer if that is none. */
const size_t *change_groups_find(const struct change_groups *g, const struct vm *vm,
				 const char *policy, size_t *ret_n);

/* Nothing that was kept, the VM included, is owned. */
void change_done(struct change *c);

/* Is there nothing to do? */
bool change_is_empty(const struct change *c);

/**
 * change_diff() - from the rules that a VM has of a policy to those it is to have
 * @vm: the VM
 * @groups: its rules
 * @policy: the policy's name
 * @rules: those it is to have, by their full names; must outlive the change
 * @n: how many; 0: none of them
 * @mode: the policy's mode: a rule's own changes only if this differs from what it was
 * @ret: to be let go with change_done(); untouched on failure
 *
 * Pure.  Return: 0 or -ENOMEM.
 */
int change_diff(struct vm *vm, const struct change_groups *groups, const char *policy,
		const struct rule *rules, size_t n, const char *mode, struct change *ret);

/**
 * change_inherit() - what moves under another name, or to another policy
 * @changes: all those of one VM
 * @n: how many
 *
 * A rule that comes takes from one of the same reach that goes whether it is armed, the mode
 * that somebody has chosen for it, and what it has learned.  Pure.
 *
 * Return: 0 or -ENOMEM.
 */
int change_inherit(struct change *changes, size_t n);

/**
 * change_hold() - keeps what a failed change was to take the place of
 * @changes: all those of one VM
 * @n: how many
 *
 * Of changes that have not failed, a drop of a rule that overlaps what a failed one was to add
 * is held: its bytes would be denied by nobody.  Pure.
 */
void change_hold(struct change *changes, size_t n);

/* The rule as the VM would have it: its length is known.  Its exceptions stay the caller's. */
struct rule change_resolve(const struct vm *vm, const struct rule *rule);

/* All of @rules are new and nobody's policy.  0 or -ENOMEM. */
int change_add_all(struct vm *vm, const struct rule *rules, size_t n, struct change *ret);

/**
 * change_plan() - can it be done?
 * @m: the manager, with a kernel
 * @c: the change; gets its @planned
 * @reterr: set on failure
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int change_plan(struct manager *m, struct change *c, sd_bus_error *reterr);

/* Gives back the ids of a plan that nothing comes of. */
void change_unplan(struct change *c);

/* Into merlond's table; the names are to be saved next.  0, or -ENOMEM and as it was. */
int change_stage(struct change *c);

/* Out of it again. */
void change_unstage(struct change *c);

/**
 * change_commit() - what comes and what changes, into the kernel
 * @m: the manager, with a kernel
 * @c: staged
 * @reterr: set on failure
 *
 * On failure it is as it was before change_plan(), as far as the kernel lets us; the names
 * are to be saved again, as they are after rules were updated or dropped.
 *
 * Return: as change_plan().
 */
int change_commit(struct manager *m, struct change *c, sd_bus_error *reterr);

/**
 * change_drop() - drops what is gone, but for what is held
 * @m: the manager, with a kernel
 * @c: committed, as are all others of the VM that have not failed
 * @reterr: set on failure
 *
 * Return: as change_plan().
 */
int change_drop(struct manager *m, struct change *c, sd_bus_error *reterr);

#endif
