/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules that pin bits of a guest's registers, in the kernel. */
#ifndef MERLON_PINNING_H
#define MERLON_PINNING_H

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "manager.h"
#include "rule.h"
#include "vm.h"

/* Can this host pin at all?  0, or a negative errno with @reterr set. */
int pinning_check(const struct manager *m, const struct rule *rule, sd_bus_error *reterr);

/* Has the kernel pin what the rule says; 0 or a negative errno of the kernel. */
int pinning_set(struct kernel *k, const struct vm *vm, uint32_t id, const struct rule *rule);

/**
 * pinning_reconcile() - what the rule pins, as the kernel has it
 * @m: the manager, with a kernel
 * @vm: the VM
 * @rule: one that the kernel has; its @pinned is set, and for an orphan its rule's bits
 *
 * A rule of ours that pins something else in the kernel, for merlond was killed between two
 * calls, is set again.  What the kernel does not answer stays as it was last known.  Logs,
 * but a failure that repeats only once.
 */
void pinning_reconcile(struct manager *m, const struct vm *vm, struct vm_rule *rule);

/* Does the kernel pin what the rule says?  A VM that is dead, and asked no more, counts as yes. */
bool pinning_is_whole(const struct vm *vm, const struct vm_rule *rule);

/*
 * Adds to an object what the kernel pins, "pin", and what it does not though it is asked
 * for, "not-pinned", left out if there is none.  0 or -ENOMEM.
 */
int pinning_to_json(struct json_object *o, const struct vm_rule *rule);

#endif
