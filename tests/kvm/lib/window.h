/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A VM's windows of isolation, as debugfs tells of them. */
#ifndef KVM_TEST_WINDOW_H
#define KVM_TEST_WINDOW_H

#include <stdbool.h>

#include "vcpu.h"

#define WINDOW_TRACING	"/sys/kernel/tracing"

/** window_parameter - kvm.isolation: Y or N; 0 where KVM does not know it */
char window_parameter(void);

/** window_is_on - are guests isolated here? */
bool window_is_on(void);

/** window_set_file - of sysfs or the like; the case ends if it cannot be */
void window_set_file(const char *path, const char *value);

/** window_vm - one with interrupts */
struct vm *window_vm(unsigned int vcpus);

/** window_work - exits of several kinds: settled within, by KVM outside, by the VMM */
void window_work(struct vcpu *v, unsigned int rounds);

/** window_reset - tracing and parameters that cases change, as they were */
void window_reset(void);

/** window_file - the path of a file of the VM */
void window_file(struct vm *vm, const char *name, char *path, size_t size);

/** window_report - all of the file "isolation"; until the next call */
const char *window_report(struct vm *vm);

/** window_count - a number of it, by its name */
uint64_t window_count(struct vm *vm, const char *name);

/** window_note_places - say where faults come from */
void window_note_places(struct vm *vm);

/** window_ask - write to "isolation_probe"; 0 or an errno */
int window_ask(struct vm *vm, const char *what);

/** window_answer - what the next window found out; until the next call */
const char *window_answer(struct vm *vm);

#endif /* KVM_TEST_WINDOW_H */
