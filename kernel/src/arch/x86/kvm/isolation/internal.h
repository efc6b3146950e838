/* SPDX-License-Identifier: GPL-2.0-only */
/* KVM address-space isolation: what the files of this directory share. */
#ifndef ARCH_X86_KVM_ISOLATION_INTERNAL_H
#define ARCH_X86_KVM_ISOLATION_INTERNAL_H

#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/stackdepot.h>
#include "isolation.h"

struct dentry;

/* Faults of one window that are told apart; more are only counted. */
#define ISOLATION_WINDOW_FAULTS	4
/* Places of a VM that are told apart. */
#define ISOLATION_VM_FAULTS	64
/* Callers of a place that are kept. */
#define ISOLATION_STACK_DEPTH	16

/**
 * struct isolation_fault - an access to what is not mapped
 * @ip: the instruction's address
 * @address: what it touched
 * @error_code: of the page fault; the reason's, 0, of another exception
 * @nr_entries: of @entries; 0 if no call stack was asked for, or none could be had
 * @entries: who called
 */
struct isolation_fault {
	unsigned long ip;
	unsigned long address;
	unsigned long error_code;
	unsigned int nr_entries;
	unsigned long entries[ISOLATION_STACK_DEPTH];
};

/**
 * struct isolation_window - of a CPU
 * @restricted: the CR3 to load; 0 = not in a window.  Set before it is loaded, cleared after
 *	another one is, so that who finds this table in CR3 finds the rest here
 * @full: the CR3 to go back to, which flushes nothing
 * @reason: of the first time it was left early
 * @kick: kvm_isolation.kick, when it was entered
 * @kicks: siblings that were kicked
 * @pauses: NMIs and machine checks
 * @nr_faults: of them, @faults has the first ones
 * @faults: see there
 */
struct isolation_window {
	unsigned long restricted;
	unsigned long full;
	enum kvm_isolation_reason reason;
	u32 kick;
	unsigned int kicks;
	unsigned int pauses;
	unsigned int nr_faults;
	struct isolation_fault faults[ISOLATION_WINDOW_FAULTS];
};

/* What a test does in a window. */
enum isolation_probe_action {
	ISOLATION_PROBE_READ,	/* a byte */
	ISOLATION_PROBE_NMI,	/* an NMI to itself */
	ISOLATION_PROBE_GP,	/* a general protection fault */
	ISOLATION_PROBE_UD,	/* an invalid opcode */
	ISOLATION_PROBE_DB,	/* a debug exception */
	ISOLATION_PROBE_STACK,	/* goes without a stack */
};

/**
 * struct isolation_probe - what a test asks for
 * @armed: at the next entry
 * @action: what to do
 * @prime: read it just before, too
 * @no_flush: leave global entries in the TLB, to see that this makes a difference
 * @address: of a byte; of the stack
 * @stayed: the CPU was on the restricted page table afterwards
 * @done: @stayed is valid
 */
struct isolation_probe {
	bool armed;
	enum isolation_probe_action action;
	bool prime;
	bool no_flush;
	unsigned long address;
	bool stayed;
	bool done;
};

/**
 * struct kvm_isolation - of a VM
 * @lock: guards the page table and what vCPUs have in it; innermost, may be held
 *	while memory is allocated
 * @cr3: the restricted table
 * @pages: mapped
 * @tables: pages of page tables
 * @kick: for which reasons of leaving, by bit, siblings must not be in a guest
 * @lost: counters of vCPUs that are gone
 * @place_lock: guards @places; taken with interrupts off
 * @places: see there
 * @no_place: faults for which there was none
 * @dropped: objects that a test took away, by bit
 * @probe: see there
 *
 * Has pages of its own, for it is mapped itself.
 */
struct kvm_isolation {
	/* The page table */
	struct mutex lock;
	unsigned long cr3;
	unsigned long pages;
	unsigned long tables;
	u32 kick;
	struct kvm_isolation_counters lost;
	raw_spinlock_t place_lock;
	struct kvm_isolation_place places[ISOLATION_VM_FAULTS];
	u64 no_place;
	unsigned long dropped;
	struct isolation_probe probe;
};

/* table.c */
int isolation_create_table(struct kvm_isolation *iso);
void isolation_free_table(struct kvm_isolation *iso);
int isolation_map(struct kvm_isolation *iso, unsigned long start, unsigned long length);
void isolation_unmap(struct kvm_isolation *iso, unsigned long start, unsigned long length);
void isolation_hide(struct kvm_isolation *iso, unsigned long address, bool hide);
bool isolation_is_mapped(struct kvm_isolation *iso, unsigned long start, unsigned long length);

/* objects.c */
int isolation_map_vm(struct kvm *kvm);
void isolation_drop(struct kvm_vcpu *vcpu, enum kvm_isolation_object object);

/* fault.c */
extern bool kvm_isolation_fault_stack;
void isolation_account_faults(struct kvm_vcpu *vcpu, struct isolation_window *w);
bool isolation_place(struct kvm_isolation *iso, unsigned int index,
		     struct kvm_isolation_place *ret);

/* vm.c */
extern bool isolation_flush_global;
extern unsigned int isolation_vcpu_size;
extern const char *const isolation_reasons[KVM_ISOLATION_NR_REASONS];
extern const char *const isolation_exits[KVM_ISOLATION_NR_EXITS];
void isolation_add_counters(struct kvm_isolation_counters *sum,
			    const struct kvm_isolation_counters *counters);
void isolation_stats(struct kvm *kvm, struct kvm_isolation_stats *stats);
void isolation_host(struct kvm_isolation_host *host);

/* window.c */
bool isolation_is_restricted(void);
bool isolation_was_left(void);

/* kick.c */
extern bool kvm_isolation_kick;
void isolation_kick(struct isolation_window *w, enum kvm_isolation_reason reason);
void isolation_set_kick(struct kvm_isolation *iso, u32 reasons);
void isolation_init_kick(struct kvm_isolation *iso);

/* timer.c */
void isolation_pass_deadline(struct kvm_vcpu *vcpu);

/* probe.c */
#ifdef CONFIG_KVM_ISOLATION_PROBE
void isolation_before_probe(struct kvm_isolation *iso);
void isolation_probe(struct kvm_isolation *iso);
void isolation_create_probe(struct kvm *kvm);
#else
static inline void isolation_before_probe(struct kvm_isolation *iso) { }
static inline void isolation_probe(struct kvm_isolation *iso) { }
static inline void isolation_create_probe(struct kvm *kvm) { }
#endif

#endif /* ARCH_X86_KVM_ISOLATION_INTERNAL_H */
