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

/* "enforce", "monitor" or "learn". */
const char *mode_of(const struct rule *rule) __attribute__((__pure__));

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
