/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pinned bits that CPUs of a guest leave clear: a pin rests until the guest has set the bit,
 * and who makes a CPU start anew has it so.  KVM tells once of each CPU that is in long
 * mode and has had such bits clear for a second, and nothing when it sets them after all.
 */
#ifndef MERLON_UNPINNED_H
#define MERLON_UNPINNED_H

#include <json-c/json.h>

#include "manager.h"
#include "vm.h"

/* A record: remembered, sent to watchers, and logged if it tells of other bits than before. */
void unpinned_on_record(struct manager *m, const struct merlon_unpinned_record *record);

/**
 * unpinned_check() - which of the bits that were told of are still clear?
 * @k: the kernel
 * @vm: the VM
 *
 * Looks at the CPUs that were told of.  Takes a second at most: at the first one that does
 * not answer in time it stops, and what it has not seen stays as it was told.
 */
void unpinned_check(struct kernel *k, struct vm *vm);

/* A reset: nothing was told yet. */
void unpinned_forget(struct vm *vm);

/*
 * Adds to an object "left-clear": the CPUs that have bits of this rule clear, and which;
 * left out if there are none.  0 or -ENOMEM.
 */
int unpinned_to_json(struct json_object *o, const struct vm *vm, const struct vm_rule *rule);

#endif
