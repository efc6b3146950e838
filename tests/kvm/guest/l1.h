/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A minimal hypervisor in the guest: how the tests choose what it does, and
 * where it has its pages.  The L2 has L1's address space and carries out one
 * operation of the mailbox, then calls L1.  Its CR3 differs from L1's by
 * %L2_CR3_MARK.
 */
#ifndef KVM_TEST_GUEST_L1_H
#define KVM_TEST_GUEST_L1_H

#include "abi.h"

/* &guest_cpu.l2_mode.  The first three, and L1_SPLITS, count when OP_NESTED_ON makes the tables. */
#define L1_PAGING	(1U << 0)	/* nested EPT or nested NPT */
#define L1_HUGE		(1U << 1)	/* the arena by one 2 MiB entry, else by 4 KiB ones */
#define L1_AD		(1U << 2)	/* accessed and dirty bits in EPT; NPT has them always */
#define L1_TAKES_FAULTS	(1U << 3)	/* #GP and #DF of the L2 are L1's */
#define L1_INJECTS	(1U << 4)	/* an interrupt at entry; the L2's stack is at arg0 */
#define L1_STORES_MSRS	(1U << 5)	/* Intel: one at VM-exit, into the page for it */
#define L1_LEAVES_VMCB	(1U << 6)	/* AMD: enter with the VMCB as it is */
#define L1_TPR_SHADOW	(1U << 7)	/* Intel: the L2's CR8 is in the virtual-APIC page */
#define L1_POSTED	(1U << 8)	/* Intel, with the last: interrupts are posted */
#define L1_STEPS	(1U << 9)	/* Intel: the monitor trap flag; counts and goes on */
/* With nested paging that tells user mode from the kernel, if the CPU has it: MBEC, GMET. */
#define L1_SPLITS	(1U << 10)
#define L1_USER		(1U << 11)	/* the L2 carries its operation out in user mode */
#define L1_TAKES_CRS	(1U << 12)	/* the L2's loads of CR0, CR4 and EFER are L1's */
/*
 * Intel: L1's own registers come back without the bits arg5 of EFER, arg6 of CR0 and arg7 of
 * CR4.
 */
#define L1_LOSES_BITS	(1U << 13)
#define L1_OWN_EFER	(1U << 14)	/* Intel: L1 has its EFER back, whatever the L2 has made of it */

/* &guest_cpu.l2_exit */
#define L2_DONE		0		/* the L2 has ended by itself */
#define L2_EXCEPTION	1		/* l2_info = vector */
#define L2_NESTED_FAULT	2		/* EPT violation, or #NPF: l2_gpa */
#define L2_SHUTDOWN	3
#define L2_NOT_ENTERED	4		/* l2_info = the CPU's error */
#define L2_OTHER	5

#define L1_POSTED_VECTOR 0xf2		/* says that some are */

#define L2_CR3_MARK	8UL		/* PWT: of no consequence */

/* With nested paging the L2 finds the arena at this physical address too. */
#define L2_ARENA	0x80000000UL

/* Pages of L1, from L1_BASE of its vCPU on. */
#define L1_SIZE		0x40000UL
#define L1_BASE(id)	(GUEST_SCRATCH_BASE + (id) * L1_SIZE)
#define L1_VMXON	0x0000UL	/* Intel; AMD: the host's save area */
#define L1_VMCS		0x1000UL	/* AMD: the VMCB */
#define L1_MSR_BITMAP	0x2000UL	/* two pages */
#define L1_IO_BITMAP	0x4000UL	/* three pages */
#define L1_ROOT		0x8000UL	/* tables of nested paging: level 4 */
#define L1_PDPT		0x9000UL
#define L1_PD_LOW	0xa000UL
#define L1_PD_ARENA	0xb000UL
#define L1_PT_ARENA	0xc000UL	/* not with L1_HUGE */
#define L1_MSR_STORE	0xd000UL
#define L1_VAPIC	0xe000UL
#define L1_PI_DESC	0xf400UL	/* within its page */
#define L1_FREE		0x10000UL	/* for tests */

#ifdef KVM_TEST_GUEST_H

#pragma GCC visibility push(hidden)

/**
 * struct l1_vendor - what differs between Intel and AMD
 * @number: what OP_NESTED_ON returns
 * @table: bits of an entry that points to a table
 * @leaf: bits of one that maps memory
 * @user: of those of a leaf, what would keep the kernel from executing with L1_SPLITS; 0 if
 *	the CPU has nothing for that
 * @huge: the bit of a leaf above the last level
 * @on: after the tables are made; 0 if that failed
 * @run: enter the L2 and return when it has left, for &guest_cpu.l2_exit
 */
struct l1_vendor {
	uint32_t number;
	uint64_t table;
	uint64_t leaf;
	uint64_t (*user)(void);
	uint64_t huge;
	int (*on)(struct guest_cpu *cpu, uint64_t base);
	void (*run)(struct guest_cpu *cpu, uint64_t base);
};

extern const struct l1_vendor l1_vmx, l1_svm;

/* What both have to tell the CPU about an address space. */
struct l1_table {
	uint16_t limit;
	uint64_t base;
} __attribute__((packed));

#define READ_CR(n)								\
	({									\
		uint64_t v_;							\
										\
		asm volatile("movq %%cr" #n ", %0" : "=r"(v_));			\
		v_;								\
	})

static inline struct l1_table l1_gdt(void)
{
	struct l1_table t;

	asm volatile("sgdt %0" : "=m"(t));
	return t;
}

static inline struct l1_table l1_idt(void)
{
	struct l1_table t;

	asm volatile("sidt %0" : "=m"(t));
	return t;
}

#define MSR_EFER	0xc0000080
#define MSR_GS_BASE	0xc0000101
#define EFER_SVME	(1UL << 12)

/* entry-l2.S */
void l2_start(void) __attribute__((noreturn));
int vmx_enter(int resume);
void vmx_exit(void);
void svm_enter(uint64_t vmcb);
extern const char svm_vmrun[], svm_left[];	/* in there: VMRUN, and what follows it */

/* l1.c */
void l2_main(struct guest_cpu *cpu) __attribute__((noreturn));
uint64_t l2_stack(struct guest_cpu *cpu);

#pragma GCC visibility pop

#endif /* KVM_TEST_GUEST_H */
#endif /* KVM_TEST_GUEST_L1_H */
