/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What rules claim of a VM's memory, as the kernel has it. */
#ifndef MERLON_CLAIMS_H
#define MERLON_CLAIMS_H

#include "manager.h"
#include "vm.h"

/**
 * claims_mend() - sets again what rules of ours do not claim
 * @m: the manager, with a kernel
 * @vm: the VM, its rules as the kernel has them
 *
 * A merlond that died between setting a rule and its claims has left one that is listed, and
 * denies nothing.  Of a rule that may learn, claims that are open were learned, unless there
 * are none at all.  Logs.
 */
void claims_mend(struct manager *m, struct vm *vm);

#endif
