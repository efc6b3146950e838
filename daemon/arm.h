/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Arming: rules that wait until their guest has booted, and those that a reset has
 * disarmed, come into force.
 */
#ifndef MERLON_ARM_H
#define MERLON_ARM_H

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm.h"

/**
 * arm_rules() - puts rules that are disarmed into force
 * @m: the manager, with a kernel
 * @vm: the VM
 * @name: the rule's name; "": every rule of this VM that merlond knows
 * @dry_run: change nothing
 * @ret_report: JSON as of org.merlon1.xml, to be freed with free()
 * @reterr: set on failure
 *
 * Rules that are armed stay as they are.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int arm_rules(struct manager *m, struct vm *vm, const char *name, bool dry_run,
	      char **ret_report, sd_bus_error *reterr);

#endif
