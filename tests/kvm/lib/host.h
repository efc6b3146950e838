/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the host's memory management can do to a guest's memory behind its back. */
#ifndef KVM_TEST_HOST_H
#define KVM_TEST_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

/** host_swap_on - have somewhere to swap to (zram); skips the case if there is nothing */
void host_swap_on(void);

/** host_swap_out - page the memory out; false if it stayed */
bool host_swap_out(void *p, uint64_t size);

/** host_is_resident - is the page of @p in memory and mapped by this process? */
bool host_is_resident(void *p);

/** host_merge - have KSM merge @pages equal pages at @p; false if it did not */
bool host_merge(void *p, unsigned int pages);

/** host_merge_always - have KSM merge what it may, until it is told not to */
void host_merge_always(bool on);

/** host_collapse - make one huge page of the 2 MiB at @p; false if that failed */
bool host_collapse(void *p);

/** host_nx_huge_pages - set KVM's parameter, which new VMs take: "off", "force", "auto" */
bool host_nx_huge_pages(const char *value);

/** host_force_emulation - have KVM emulate what follows its prefix; false if it cannot */
bool host_force_emulation(bool on);

/** host_has_flag - of /proc/cpuinfo */
bool host_has_flag(const char *flag);

/** host_has_tdp - does the CPU walk the guest's page tables by itself, with EPT or NPT? */
bool host_has_tdp(void);

/** host_scans_for_leaks - is this a kernel that does, the lab's debug? */
bool host_scans_for_leaks(void);

/** host_stat - a number of KVM's debugfs about @vm, or -1 */
long host_stat(struct vm *vm, const char *name);

#endif /* KVM_TEST_HOST_H */
