/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM address-space isolation: what the kernel's exception handlers call, and the
 * state of a vCPU.  The rest is in arch/x86/kvm/isolation/.
 *
 * Around the entry of a guest KVM runs on a page table that maps only what it needs
 * there (a window).  An exception may come at any instruction of it, and of the switch.
 * So nothing but CR3 itself says whether a CPU is in a window, and whoever runs in one
 * may leave it at any time: what comes after works on the full table, too.
 */
#ifndef _ASM_X86_KVM_ISOLATION_H
#define _ASM_X86_KVM_ISOLATION_H

#include <linux/jump_label.h>
#include <linux/types.h>
#include <uapi/linux/kvm_isolation.h>

struct pt_regs;

/**
 * enum kvm_isolation_object - what is mapped for a vCPU
 * @KVM_ISOLATION_VM: struct kvm with the vendor's part around it
 * @KVM_ISOLATION_STATE: struct kvm_isolation
 * @KVM_ISOLATION_VCPU: struct kvm_vcpu with the vendor's part around it
 * @KVM_ISOLATION_RUN: what KVM_RUN shares with the VMM
 * @KVM_ISOLATION_PIO: the data of port I/O
 * @KVM_ISOLATION_APIC: struct kvm_lapic
 * @KVM_ISOLATION_APIC_REGS: its page of registers
 * @KVM_ISOLATION_APIC_MAP: which vCPU has which APIC id
 * @KVM_ISOLATION_PIC: the state of the kernel's i8259, of the VM
 * @KVM_ISOLATION_HYPERV: the vCPU's part of Hyper-V, once the guest has touched it
 * @KVM_ISOLATION_CPUID: what CPUID says
 * @KVM_ISOLATION_VMI: the state of introspection, of the VM
 * @KVM_ISOLATION_TASK: the thread in KVM_RUN
 * @KVM_ISOLATION_STACK: its stack
 * @KVM_ISOLATION_VENDOR: the first of those that the vendor's part names
 */
enum kvm_isolation_object {
	KVM_ISOLATION_VM,
	KVM_ISOLATION_STATE,
	KVM_ISOLATION_VCPU,
	KVM_ISOLATION_RUN,
	KVM_ISOLATION_PIO,
	KVM_ISOLATION_APIC,
	KVM_ISOLATION_APIC_REGS,
	KVM_ISOLATION_APIC_MAP,
	KVM_ISOLATION_PIC,
	KVM_ISOLATION_HYPERV,
	KVM_ISOLATION_CPUID,
	KVM_ISOLATION_VMI,
	KVM_ISOLATION_TASK,
	KVM_ISOLATION_STACK,
	KVM_ISOLATION_VENDOR,
	KVM_ISOLATION_NR_OBJECTS = KVM_ISOLATION_VENDOR + 4,
};

/** struct kvm_isolation_range - kernel addresses; @length 0 = none */
struct kvm_isolation_range {
	unsigned long start;
	unsigned long length;
};

/**
 * struct kvm_isolation_counters - of a vCPU; a VM's are the sum
 * @windows: windows entered
 * @inside: exits settled on the restricted table, by &enum kvm_isolation_exit
 * @outside: exits that were not
 * @left: windows left, by &enum kvm_isolation_reason; the first one of each window
 * @faults: all accesses to what is not mapped
 * @pauses: NMIs and machine checks that interrupted a window
 * @kicks: siblings that were made to leave their guests
 * @waits: entries put off because a sibling was not to be joined by a guest
 * @refused: KVM_RUNs without isolation, for want of memory or of a mapping
 *
 * Written by the vCPU's thread, or with interrupts off by its CPU.
 */
struct kvm_isolation_counters {
	u64 windows;
	u64 inside[KVM_ISOLATION_NR_EXITS];
	u64 outside[KVM_ISOLATION_NR_EXITS];
	u64 left[KVM_ISOLATION_NR_REASONS];
	u64 faults;
	u64 pauses;
	u64 kicks;
	u64 waits;
	u64 refused;
};

/**
 * struct kvm_vcpu_isolation - a vCPU
 * @cr3: the restricted one; 0 if this KVM_RUN is not isolated
 * @stale: something was not mapped: look again at what has changed
 * @keeps_deadline: the guest's TSC deadline is not among the host's timers yet; in a window only
 * @objects: what is mapped now, by &enum kvm_isolation_object; under kvm_isolation.lock
 * @counters: see there
 * @told: of the last window, for a program that wants to know
 * @is_told: @told has not been told yet
 * @exit: what the guest was left for at last
 */
struct kvm_vcpu_isolation {
	unsigned long cr3;
	bool stale;
	bool keeps_deadline;
	struct kvm_isolation_range objects[KVM_ISOLATION_NR_OBJECTS];
	struct kvm_isolation_counters counters;
	struct kvm_isolation_told told;
	bool is_told;
	enum kvm_isolation_exit exit;
};

#ifdef CONFIG_KVM_ISOLATION

DECLARE_STATIC_KEY_FALSE(kvm_isolation_key);

unsigned long __kvm_isolation_pause(void);
void __kvm_isolation_resume(unsigned long cr3);
bool __kvm_isolation_leave_early(struct pt_regs *regs, enum kvm_isolation_reason reason,
				 unsigned long error_code, unsigned long address);

/*
 * For exceptions that may come in the middle of others: go on with the full page table
 * until kvm_isolation_resume(), which gets what this returned.
 */
static __always_inline unsigned long kvm_isolation_pause(void)
{
	return static_branch_unlikely(&kvm_isolation_key) ? __kvm_isolation_pause() : 0;
}

static __always_inline void kvm_isolation_resume(unsigned long cr3)
{
	if (static_branch_unlikely(&kvm_isolation_key) && cr3)
		__kvm_isolation_resume(cr3);
}

/* A page fault.  True if it was for the restricted table: it was left, try again. */
static __always_inline bool kvm_isolation_fault(struct pt_regs *regs, unsigned long error_code,
						unsigned long address)
{
	return static_branch_unlikely(&kvm_isolation_key) &&
	       __kvm_isolation_leave_early(regs, KVM_ISOLATION_FAULT, error_code, address);
}

/*
 * Another exception, whose handler is not for the restricted table: leave it, if the CPU is
 * on it.  True if it was.
 */
static __always_inline bool kvm_isolation_exception(struct pt_regs *regs,
						    enum kvm_isolation_reason reason)
{
	return static_branch_unlikely(&kvm_isolation_key) &&
	       __kvm_isolation_leave_early(regs, reason, 0, 0);
}

#else

static __always_inline unsigned long kvm_isolation_pause(void)
{
	return 0;
}

static __always_inline void kvm_isolation_resume(unsigned long cr3)
{
}

static __always_inline bool kvm_isolation_fault(struct pt_regs *regs, unsigned long error_code,
						unsigned long address)
{
	return false;
}

static __always_inline bool kvm_isolation_exception(struct pt_regs *regs,
						    enum kvm_isolation_reason reason)
{
	return false;
}

#endif /* CONFIG_KVM_ISOLATION */

#endif /* _ASM_X86_KVM_ISOLATION_H */
