/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a rule's violations come to: they get the rule's verdict (enforce), they are
 * reported and let through (monitor), or what the kernel executes is excepted from then
 * on (learn).  It can be changed while the rule is in force.
 */
#ifndef MERLON_MODE_H
#define MERLON_MODE_H

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm.h"

/* The interface of the first kernel that updates a rule. */
#define MODE_ABI_UPDATE 5

/**
 * mode_change() - sets a rule's mode and what comes of its violations
 * @m: the manager, with a kernel that updates rules
 * @vm: the VM
 * @rule: the rule as it is
 * @wanted: as it is to be; of the same reach
 * @arm: it is armed; otherwise armed or not as it is
 *
 * merlond's table is left to the caller.
 *
 * Return: 0 or a negative errno; -ENOENT if the kernel has it no more.
 */
int mode_change(struct manager *m, struct vm *vm, const struct vm_rule *rule,
		const struct rule *wanted, bool arm);

/**
 * mode_set() - changes the mode of a rule that is set
 * @m: the manager, with a kernel
 * @vm: the VM
 * @name: the rule's
 * @word: the mode
 * @dry_run: check everything, change nothing
 * @ret_report: JSON as of org.merlon1.xml, to be freed with free()
 * @reterr: set on failure
 *
 * What it denies, what it has learned and whether it is armed stay as they are.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int mode_set(struct manager *m, struct vm *vm, const char *name, const char *word, bool dry_run,
	     char **ret_report, sd_bus_error *reterr);

#endif
