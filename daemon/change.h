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

/* A rule that gets an id of its own. */
struct change_add {
	const struct rule *rule;
	bool disarmed;		/* it takes the place of one that is, or waits for the boot */
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
 */
struct change {
	struct vm *vm;
	char policy[MERLON_NAME_MAX + 1];
	struct change_add *add;
	size_t n_add;
	struct change_update *update;
	size_t n_update;
	uint32_t *drop;
	size_t n_drop;
	size_t kept;
	struct vm_rule *planned;
	uint32_t next;
	size_t added;
	bool asked;
};

/* Nothing that was kept, the VM included, is owned. */
void change_done(struct change *c);

/* Is there nothing to do? */
bool change_is_empty(const struct change *c);

/**
 * change_diff() - from the rules that a VM has of a policy to those it is to have
 * @vm: the VM
 * @policy: the policy's name
 * @rules: those it is to have, by their full names; must outlive the change
 * @n: how many; 0: none of them
 * @mode: the policy's mode: a rule's own changes only if this differs from what it was
 * @ret: to be let go with change_done(); untouched on failure
 *
 * Pure.  Return: 0 or -ENOMEM.
 */
int change_diff(struct vm *vm, const char *policy, const struct rule *rules, size_t n,
		const char *mode, struct change *ret);

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
 * change_commit() - into the kernel, then drops what is gone
 * @m: the manager, with a kernel
 * @c: staged
 * @reterr: set on failure
 *
 * On failure it is as it was before change_plan(), as far as the kernel lets us; the names
 * are to be saved again, as they are after rules were dropped.
 *
 * Return: as change_plan().
 */
int change_commit(struct manager *m, struct change *c, sd_bus_error *reterr);

#endif
