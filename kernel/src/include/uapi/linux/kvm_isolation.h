/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * KVM address-space isolation: why windows end, what guests are left for, and what the BPF
 * calls bpf_kvm_isolation_*() hand over.  All numbers only grow while a VM lives.
 */
#ifndef _UAPI_LINUX_KVM_ISOLATION_H
#define _UAPI_LINUX_KVM_ISOLATION_H

#include <linux/types.h>

/**
 * enum kvm_isolation_reason - why a window was left
 * @KVM_ISOLATION_END: the vCPU's exit is for code outside of it
 * @KVM_ISOLATION_FAULT: something was touched that is not mapped
 * @KVM_ISOLATION_DEBUG: #DB: a breakpoint or a single step in the kernel
 * @KVM_ISOLATION_BREAKPOINT: #BP: a kprobe
 * @KVM_ISOLATION_BUG: #UD: WARN() or BUG()
 * @KVM_ISOLATION_PROTECTION: #GP or #CP, such as an MSR that is not there
 * @KVM_ISOLATION_DOUBLE_FAULT: #DF: the stack itself was not mapped
 * @KVM_ISOLATION_TIMER: to set a timer of the host, among those of others
 * @KVM_ISOLATION_WAKE: to wake another thread, among those of others
 * @KVM_ISOLATION_NR_REASONS: how many there are
 */
enum kvm_isolation_reason {
	KVM_ISOLATION_END,
	KVM_ISOLATION_FAULT,
	KVM_ISOLATION_DEBUG,
	KVM_ISOLATION_BREAKPOINT,
	KVM_ISOLATION_BUG,
	KVM_ISOLATION_PROTECTION,
	KVM_ISOLATION_DOUBLE_FAULT,
	KVM_ISOLATION_TIMER,
	KVM_ISOLATION_WAKE,
	KVM_ISOLATION_NR_REASONS,
};

/**
 * enum kvm_isolation_exit - what a guest was left for
 * @KVM_ISOLATION_EXIT_OTHER: anything else
 * @KVM_ISOLATION_EXIT_INTERRUPT: an interrupt, NMI or machine check of the host
 * @KVM_ISOLATION_EXIT_HLT: HLT
 * @KVM_ISOLATION_EXIT_NESTED: anything, by an L2
 * @KVM_ISOLATION_EXIT_MEMORY: EPT or NPT
 * @KVM_ISOLATION_EXIT_IO: IN, OUT
 * @KVM_ISOLATION_EXIT_WINDOW: the guest takes interrupts again
 * @KVM_ISOLATION_EXIT_TIMER: the VMX preemption timer
 * @KVM_ISOLATION_EXIT_CPUID: CPUID
 * @KVM_ISOLATION_EXIT_RDMSR: RDMSR
 * @KVM_ISOLATION_EXIT_WRMSR: WRMSR
 * @KVM_ISOLATION_EXIT_CR_READ: a MOV from CR3 or CR8
 * @KVM_ISOLATION_EXIT_PAUSE: PAUSE
 * @KVM_ISOLATION_NR_EXITS: how many there are
 */
enum kvm_isolation_exit {
	KVM_ISOLATION_EXIT_OTHER,
	KVM_ISOLATION_EXIT_INTERRUPT,
	KVM_ISOLATION_EXIT_HLT,
	KVM_ISOLATION_EXIT_NESTED,
	KVM_ISOLATION_EXIT_MEMORY,
	KVM_ISOLATION_EXIT_IO,
	KVM_ISOLATION_EXIT_WINDOW,
	KVM_ISOLATION_EXIT_TIMER,
	KVM_ISOLATION_EXIT_CPUID,
	KVM_ISOLATION_EXIT_RDMSR,
	KVM_ISOLATION_EXIT_WRMSR,
	KVM_ISOLATION_EXIT_CR_READ,
	KVM_ISOLATION_EXIT_PAUSE,
	KVM_ISOLATION_NR_EXITS,
};

/* Room for more of them. */
#define KVM_ISOLATION_MAX_REASONS	16
#define KVM_ISOLATION_MAX_EXITS		32

/* &kvm_isolation_stats.kick */
#define KVM_ISOLATION_KICK_NEVER	0U
#define KVM_ISOLATION_KICK_ALWAYS	((1U << KVM_ISOLATION_NR_REASONS) - 1)

/**
 * struct kvm_isolation_stats - a VM, of all the vCPUs that it has or had
 * @windows: windows entered
 * @left: windows left, by &enum kvm_isolation_reason; of each the first reason
 * @inside: exits settled on the restricted page table, by &enum kvm_isolation_exit
 * @outside: exits that were not
 * @faults: accesses to what is not mapped
 * @no_place: those of them that bpf_kvm_isolation_place() does not tell
 * @pauses: NMIs and machine checks in windows
 * @kicks: siblings that were made to leave their guests
 * @waits: entries put off because of a sibling
 * @refused: KVM_RUNs without isolation: no memory, or a protected guest
 * @mapped_bytes: by the restricted page table, less what is shared by all
 * @table_bytes: the table itself
 * @kick: for which reasons of leaving siblings are kicked, by bit
 * @reserved: 0
 */
struct kvm_isolation_stats {
	__u64 windows;
	__u64 left[KVM_ISOLATION_MAX_REASONS];
	__u64 inside[KVM_ISOLATION_MAX_EXITS];
	__u64 outside[KVM_ISOLATION_MAX_EXITS];
	__u64 faults;
	__u64 no_place;
	__u64 pauses;
	__u64 kicks;
	__u64 waits;
	__u64 refused;
	__u64 mapped_bytes;
	__u64 table_bytes;
	__u32 kick;
	__u32 reserved;
};

/**
 * struct kvm_isolation_place - where accesses to what is not mapped come from
 * @ip: the instruction's address in the kernel
 * @address: the page that it touched
 * @count: how often
 * @stack: of the kernel's stack depot, or 0
 * @reserved: 0
 */
struct kvm_isolation_place {
	__u64 ip;
	__u64 address;
	__u64 count;
	__u32 stack;
	__u32 reserved;
};

/**
 * struct kvm_isolation_told - a window that is over, as struct kvm_vmi_ops.isolation_exit gets it
 * @reason: &enum kvm_isolation_reason, the first one
 * @exit: &enum kvm_isolation_exit, of the guest's last exit
 * @faults: accesses to what is not mapped
 * @kicks: siblings that were made to leave their guests
 * @ip: where the first of those accesses was, 0 if there was none
 * @address: what it touched
 */
struct kvm_isolation_told {
	__u32 reason;
	__u32 exit;
	__u32 faults;
	__u32 kicks;
	__u64 ip;
	__u64 address;
};

/**
 * struct kvm_isolation_host - this host
 * @on: kvm.isolation=1 has been granted
 * @kick: what new VMs have in &kvm_isolation_stats.kick
 * @refused: why it cannot be, asked for or not; empty if it can
 */
struct kvm_isolation_host {
	__u32 on;
	__u32 kick;
	char refused[64];
};

#endif /* _UAPI_LINUX_KVM_ISOLATION_H */
