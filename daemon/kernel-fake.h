/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The played kernel: what its calls (kernel-fake.c) and its commands share. */
#ifndef MERLON_KERNEL_FAKE_H
#define MERLON_KERNEL_FAKE_H

#include <stdio.h>

#include "kernel-fake-isolation.h"
#include "kernel-fake-model.h"
#include "kernel.h"

union any_record {
	struct merlon_record head;
	struct merlon_vm_record vm;
	struct merlon_notice_record notice;
	struct merlon_violation_record violation;
	struct merlon_unpinned_record unpinned;
	struct merlon_counters_record counters;
};

/* What a vCPU has in its registers, as a test has said. */
struct fake_cpu {
	uint64_t vm;
	uint32_t vcpu_id;
	uint32_t nested;
	uint64_t cr0, cr4, efer;
};

struct queue {
	int fd;
	union any_record *records;
	size_t first, n, room;
};

struct fault {
	char operation[32];
	int error;
	unsigned int n;
};

/* A call that changes a VM: the operation, and the rule it is about. */
struct fake_call {
	uint64_t vm;
	char operation[16];
	uint32_t rule;
};

struct fake {
	struct kernel base;
	struct fake_call *calls;
	size_t n_calls;
	struct fake_model model;
	struct queue queues[KERNEL_NR_RINGS];
	struct fault faults[8];
	struct fake_cpu cpus[8];
	size_t n_cpus;
	struct fake_isolation isolation;
	uint64_t control_lost;
	void (*on_record)(const struct merlon_record *record, size_t size, void *userdata);
	void *userdata;
	sd_event_source *listener;
	char state_path[4096];
};

/* kernel-fake.c: a record for the rings; what has no room there is counted. */
void fake_push_vm(struct fake *f, const struct fake_vm *vm, uint16_t kind);
/* The VM ends: what it lost, and that. */
void fake_push_end(struct fake *f, const struct fake_vm *vm);
void fake_push_notice(struct fake *f, const struct fake_vm *vm, uint16_t kind, uint32_t detail);
/* What any violation has is filled in; the last @less bytes an older program has not. */
void fake_push_violation(struct fake *f, struct fake_vm *vm, const struct kvm_vmi_violation *v,
			 uint32_t verdict, size_t less);
void fake_push_access(struct fake *f, struct fake_vm *vm, uint64_t gpa, uint32_t rule,
		      uint32_t kind, uint32_t verdict, size_t less);
void fake_push_unpinned(struct fake *f, struct fake_vm *vm, uint32_t vcpu_id, uint64_t cr0,
			uint64_t cr4, uint64_t efer);

/* Into the file that a restart is to find. */
void fake_persist(struct fake *f);

/**
 * fake_command() - carry out one command (kernel-fake.c lists them)
 * @line: it is cut into words
 * @out: gets the answer
 *
 * Return: 0 or a negative errno; -ESRCH if there is no such VM, or no such command of one.
 */
int fake_command(struct fake *f, char *line, FILE *out);

#endif
