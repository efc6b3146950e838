/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests and the program inside the tiny guest share: where things are
 * in guest memory, the mailbox of a vCPU, and the operations the guest carries
 * out on request.  Read by C on both sides and by the guest's assembly.
 */
#ifndef KVM_TEST_GUEST_ABI_H
#define KVM_TEST_GUEST_ABI_H

/* Guest memory below 4 MiB, identity mapped: tables, one block per vCPU, code. */
#define GUEST_LOW_SIZE		0x400000UL
#define GUEST_PT_BASE		0x10000UL
#define GUEST_PT_END		0x80000UL
#define GUEST_CPU_BASE		0x100000UL
#define GUEST_CPU_SIZE		0x20000UL
#define GUEST_MAX_CPUS		4
#define GUEST_IMAGE_BASE	0x200000UL
#define GUEST_IMAGE_MAX		0x80000UL
#define GUEST_SCRATCH_BASE	0x300000UL	/* what L1 needs to run an L2 */

/* Offsets inside a vCPU's block. Everything has a page of its own, to be protected. */
#define GUEST_GDT		0x0000UL
#define GUEST_IDT		0x1000UL
#define GUEST_TSS		0x2000UL
#define GUEST_MAILBOX		0x3000UL
#define GUEST_STACK_TOP		0x6000UL
#define GUEST_IST1_TOP		0x8000UL	/* #DF */
#define GUEST_IST2_TOP		0xa000UL	/* free for tests */
#define GUEST_RSP0_TOP		0xc000UL	/* traps from user mode */
#define GUEST_USER_TOP		0xe000UL
#define GUEST_L2_TOP		0x10000UL

/* Where tests map the memory they protect: one page table of its own. */
#define GUEST_ARENA		0x40000000UL

/*
 * A guest in the upper half of the address space has all of that at this distance again, for
 * its kernel; its user mode stays below.
 */
#define GUEST_HIGH		0xffff800000000000UL

#define GUEST_CS		0x08
#define GUEST_DS		0x10
#define GUEST_USER_CS		0x1b
#define GUEST_USER_DS		0x23
#define GUEST_SPARE_DS		0x28	/* a data segment whose accessed bit is clear */
#define GUEST_TR		0x30
#define GUEST_CS32		0x40	/* 32-bit code in compatibility mode */
#define GUEST_USER_CS32		0x4b

#define GUEST_VECTOR_RETURN	0x80	/* from user mode back to the agent */
#define GUEST_VECTOR_EVENT	0x30	/* what tests inject; all from 0x20 on are counted */

/* Ports by which the guest stops for the host. */
#define GUEST_PORT_DONE		0x5a0	/* an operation has ended */
#define GUEST_PORT_TRAP		0x5a4	/* an exception nobody expected */
#define GUEST_PORT_BENCH	0x5a8	/* nothing but an exit */

/* Offsets into struct guest_cpu, for assembly. */
#define GUEST_CPU_SELF		0x00
#define GUEST_CPU_FIXUP		0x08
#define GUEST_CPU_INSN		0x10
#define GUEST_CPU_SAVED_RSP	0x18
#define GUEST_CPU_END_RSP	0x20
#define GUEST_CPU_USER_RSP	0x28
#define GUEST_CPU_L2_STEPS	0x30

#define GUEST_NO_FAULT		0xffffffffU

#define GUEST_PUSHED_FLAGS	0x46UL		/* equal */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* Operations. Arguments are named as in &guest_cpu.arg. */
enum guest_op {
	OP_NOP,
	/* stores: arg0 = address, arg1 = value, arg2 = size in bytes */
	OP_STORE,
	OP_LOAD,		/* ret0 = value */
	OP_ADD,			/* add %reg, mem */
	OP_LOCK_ADD,
	OP_XADD,		/* lock; ret0 = old value */
	OP_XCHG,		/* ret0 = old value */
	OP_CMPXCHG,		/* lock; arg3 = expected; ret0 = old value, ret1 = ZF */
	OP_CMPXCHG8B,		/* lock; arg3 = expected; ret0 = old value, ret1 = ZF */
	OP_CMPXCHG16B,		/* lock; arg1:arg4 = new, arg3:arg5 = expected; ret1 = ZF */
	OP_BTS,			/* lock; arg1 = bit; ret1 = CF */
	OP_MOVBE,
	/* strings: arg0 = destination, arg1 = source or value, arg2 = size, arg3 = count,
	 * arg4 = 1 to go down; ret0 = count left, ret1 = rdi, ret2 = rsi
	 */
	OP_REP_STOS,
	OP_REP_MOVS,
	/* stack: arg0 = rsp to use, arg1 = value; ret0 = rsp afterwards */
	OP_PUSH,
	OP_CALL,
	OP_PUSHF,		/* pushes GUEST_PUSHED_FLAGS */
	OP_ENTER,		/* arg1 = rbp; ret1 = rbp afterwards */
	OP_PUSH_FAULT,		/* on that stack a store to arg1, which faults */
	OP_INT,			/* software interrupt GUEST_VECTOR_EVENT */
	OP_UD2,			/* a fault; vector and fixup as usual */
	OP_STI_NOP,		/* opens the window for an external interrupt */
	/* what KVM's emulator may not know: arg0 = address, arg1 = 8-byte pattern */
	OP_MOVUPS,
	OP_MOVDQU,
	OP_MOVNTDQ,
	OP_MOVSS,
	OP_VMOVDQU,		/* 32 bytes */
	OP_VMASKMOV,		/* 32 bytes, all lanes */
	OP_FXSAVE,		/* 512 bytes */
	OP_XSAVE,		/* x87 and SSE: 576 bytes */
	OP_EXECUTE,		/* call arg0; ret0 = RAX afterwards */
	OP_EXECUTE_SPIN,	/* until it faults, at most arg1 times; ret0 = calls that returned */
	OP_ADC_SPIN,		/* add 1 and the carry, which is set, until stopped; ret0 = rounds */
	OP_XSAVE_FLAGS,		/* with arg2 set in RFLAGS; ret0 = DR6 afterwards, ret1 = RFLAGS */
	OP_FNSTENV,
	OP_FSTP,		/* 8 bytes */
	OP_SGDT,		/* 10 bytes */
	/* system */
	OP_RDMSR,		/* arg0 = index; ret0 = value */
	OP_WRMSR,		/* arg0 = index, arg1 = value */
	OP_CPUID,		/* arg0 = leaf, arg1 = subleaf; ret0..ret3 */
	OP_LOAD_CR3,		/* arg0 = value */
	OP_INVLPG,		/* arg0 = address */
	OP_LOAD_CR8,		/* arg0 = value */
	OP_LOAD_DS,		/* arg0 = selector */
	OP_LTR,			/* arg0 = selector */
	OP_HLT,			/* interrupts on, halt, interrupts off */
	OP_RDTSC_SPIN,		/* arg0 = ticks to spin */
	OP_FEATURES,		/* ret0: 1 = SSE, 2 = AVX, 4 = XSAVE is on; 8 = MOVDIR64B,
				 * 16 = AVX-512
				 */
	OP_IPI_SELF,		/* arg0 = vector, through the x2APIC */
	OP_HYPERCALL,		/* arg0 = number, arg1.. = arguments; ret0 */
	/* load: see hammer.c */
	OP_HAMMER,
	OP_CR8_SPIN,		/* load CR8 with ever other values */
	OP_FILL,		/* arg0 = address, arg1 = value, arg2 = stride, arg3 = count */
	/* nested: see l1.h */
	OP_NESTED_ON,		/* VMXON, or EFER.SVME; ret0 = 1 Intel, 2 AMD */
	OP_NESTED_RUN,		/* the operation in &guest_cpu.l2_op, carried out by an L2 */
	/* an L1's instructions; on Intel ret1 = what they say of themselves: 0 success */
	OP_VMREAD_MEM,		/* arg0 = address, arg1 = field encoding */
	OP_VMPTRST,		/* arg0 = address */
	OP_VMPTRLD,		/* arg0 = address of the operand, as for the next two */
	OP_VMCLEAR,
	OP_INVEPT,
	OP_VMSAVE,		/* arg0 = physical address */
	OP_BENCH,		/* see bench.c */
	/* more stores */
	OP_PUSHW,		/* as OP_PUSH, 2 bytes */
	OP_ENTER_NESTED,	/* as OP_ENTER, with one level: 16 bytes */
	OP_VMOVDQU64,		/* arg0 = address, arg1 = 8-byte pattern: 64 bytes, AVX-512 */
	OP_MOVDIR64B,		/* arg0 = address, arg1 = 8-byte pattern: 64 bytes */
	OP_WRITES,		/* many of the above: see writes.h */
	/* reads of arg0 that KVM's emulator does, or does not, know */
	OP_LIDT,		/* 10 bytes, which should be what the register has */
	OP_FLD,			/* 8 bytes; ret0 = them */
	OP_CALL_MEM,		/* arg0 = rsp to use, arg1 = address of a pointer, or 0 to do nothing;
				 * ret0 = rsp afterwards, ret1 = what the pointer should be
				 */
	OP_PROBE,		/* arg0 = &enum guest_probe, arg1 = address, arg2 = PROBE_*,
				 * arg3 = operand; ret0 = what was read
				 */
	/* control registers: ret0 = the value before, ret1 = afterwards */
	OP_LOAD_CR0,		/* arg0 = value */
	OP_LOAD_CR4,		/* arg0 = value */
	OP_LMSW,		/* arg0 = value, of CR0's low 16 bits */
	OP_TOGGLE_CR0,		/* flip the bits arg0, clear first, arg1 times or until stopped; ret0 =
				 * how often they were clear then
				 */
	OP_TOGGLE_CR4,
	OP_DEADLINE,		/* an APIC timer interrupt: arg0 = ticks of the TSC until it, arg1 =
				 * set at once in its place, 0 = nothing, or DEADLINE_NEVER; arg2 =
				 * ticks to wait at most, arg3 = how; ret0 = after how many it came,
				 * or 0 */
	OP_NR
};

/* How OP_PROBE touches the address, by one instruction. */
enum guest_probe {
	PROBE_LOAD,		/* 8 bytes */
	PROBE_STORE,		/* 8 bytes, the operand */
	PROBE_MOVS,		/* 8 bytes from there, to the stack */
	PROBE_PUSH,		/* 8 bytes */
	PROBE_POP,		/* 8 bytes */
	PROBE_LOAD_SS,		/* 8 bytes by RBP, which is relative to SS */
	PROBE_CALL,		/* of code there */
	PROBE_CALL_ON,		/* of code that returns, with a stack there */
	PROBE_INVLPG,
	PROBE_INVPCID,		/* of type 0; the descriptor is the agent's, it names the address */
	PROBE_INVPCID_AT,	/* of all contexts, with the descriptor there */
	PROBE_LOAD_DS,		/* the operand is the selector; the address is for the host to prepare */
	PROBE_IN,		/* from the operand's port; likewise */
	PROBE_SGDT,		/* 10 bytes */
	PROBE_LGDT,		/* 10 bytes, what PROBE_SGDT left */
	PROBE_LEA,		/* ret0 = the address */
	PROBE_JUMP_32,		/* to code there in a 32-bit segment of the same privilege */
	PROBE_VMPTRST,		/* Intel, 8 bytes; by an L1 */
	PROBE_CR4,		/* loads the operand; ret0 = what CR4 is afterwards */
	PROBE_CMPXCHG,		/* 8 bytes, locked: from all bytes PROBE_FILLING to the operand */
	PROBE_CMPXCHG8B,	/* likewise */
	PROBE_CMPXCHG16B,	/* likewise, 16 bytes */
	PROBE_OUTS,		/* 4 bytes from there, to GUEST_PORT_BENCH */
	PROBE_INS,		/* 4 bytes, from GUEST_PORT_BENCH */
	PROBE_LTR,		/* the operand is the selector; the host prepares the GDT */
	PROBE_LLDT,		/* likewise */
	/*
	 * Far transfers: to code there (_TO), which is as PROBE_CALL's; by a pointer of 10 bytes
	 * there (_AT), or with a stack there (_ON), both to code that is JMP RBX.  The operand is
	 * the selector, where the host has not prepared it; for PROBE_CALL_FAR_ON arg4 the code.
	 */
	PROBE_JMP_FAR_TO,
	PROBE_JMP_FAR_AT,
	PROBE_CALL_FAR_TO,
	PROBE_CALL_FAR_AT,
	PROBE_CALL_FAR_ON,	/* pushes 16 bytes */
	PROBE_RET_FAR_TO,
	PROBE_RET_FAR_ON,	/* pops 16 bytes */
	PROBE_IRET_TO,
	PROBE_IRET_ON,		/* pops 40 bytes */
	/* Intel, by an L1: the operands of more VMX instructions */
	PROBE_VMREAD,		/* 8 bytes, a segment's base */
	PROBE_VMWRITE,		/* 8 bytes, likewise */
	PROBE_VMPTRLD,		/* 8 bytes, which are no VMCS's address: it fails */
	PROBE_INVEPT,		/* 16 bytes, of all contexts */
	PROBE_INVVPID,		/* likewise */
	PROBE_LEAVE,		/* 8 bytes by RBP, without an operand */
	PROBE_NR
};

/* How OP_DEADLINE waits. */
enum guest_wait {
	DEADLINE_SPIN,
	DEADLINE_CPUID,		/* with exits */
	DEADLINE_HALT,
};
#define DEADLINE_NEVER		(~0UL)

/* Flags of OP_PROBE. */
#define PROBE_FORCED	(1U << 0)	/* behind KVM's prefix that has it emulate */
#define PROBE_AC	(1U << 1)	/* with RFLAGS.AC set */

#define PROBE_FILLING	0xc3	/* every byte of a page under test: RET */

/* What OP_BENCH repeats. */
enum guest_bench {
	BENCH_NOTHING,		/* the loops below but for CPUID or OUT */
	BENCH_CPUID,
	BENCH_OUT,		/* to GUEST_PORT_BENCH */
	BENCH_WBINVD,
	BENCH_STORE,		/* 8 bytes */
	BENCH_STORE_RBP,	/* the same through RBP */
	BENCH_LOAD,		/* 8 bytes */
	BENCH_VMASKMOV,		/* stores 32 bytes, by an instruction that KVM does not emulate */
	BENCH_CALL,		/* of code there */
	BENCH_USER,		/* to user mode and back */
	BENCH_GAP,		/* until the word there is not 0; ticks: the longest between two looks */
};

/* &guest_cpu.flags */
#define GUEST_F_USER		(1U << 0)	/* carry the operation out in user mode */
#define GUEST_F_X2APIC		(1U << 1)	/* acknowledge interrupts */

/**
 * struct guest_cpu - the mailbox of a vCPU, at its GS base
 * @self: its own address
 * @fixup: where an exception continues, 0 when none is expected
 * @insn: the instruction under test
 * @saved_rsp: while the instruction under test has a stack of its own
 * @end_rsp: the stack pointer after it
 * @user_rsp: the agent's stack pointer while in user mode
 * @l2_steps: instructions of the L2 that L1 has stepped, see l1.h
 * @op: what to do (&enum guest_op), written by the host
 * @flags: GUEST_F_*, written by the host
 * @arg: of the operation
 * @ret: of the operation
 * @done: operations ended so far
 * @vector: the last exception's, or %GUEST_NO_FAULT
 * @error: its error code
 * @fault_rip: its instruction pointer
 * @fault_rflags: its flags
 * @fault_rsp: its stack pointer
 * @cr2: as it was then
 * @faults: exceptions caught by this operation
 * @events: interrupts taken since the host cleared this
 * @last_event: vector of the last one
 * @progress: iterations of a load, for the host to watch
 * @stop: set by the host to end a load
 * @l2_exit: why the L2 stopped, see l1.h
 * @l2_info: vector of an exception; else the reason as the CPU gives it
 * @l2_gpa: guest physical address of a nested page fault
 * @l2_rip: where the L2 stopped
 * @l2_cr3: what the L2 read there when it began
 * @l2_op: the operation that the L2 carries out
 * @l2_mode: how L1 runs its L2, see l1.h
 */
struct guest_cpu {
	uint64_t self;
	volatile uint64_t fixup;
	volatile uint64_t insn;
	volatile uint64_t saved_rsp;
	volatile uint64_t end_rsp;
	volatile uint64_t user_rsp;
	volatile uint64_t l2_steps;
	volatile uint32_t op;
	volatile uint32_t flags;
	volatile uint64_t arg[8];
	volatile uint64_t ret[4];
	volatile uint64_t done;
	volatile uint32_t vector;
	volatile uint32_t error;
	volatile uint64_t fault_rip;
	volatile uint64_t fault_rflags;
	volatile uint64_t fault_rsp;
	volatile uint64_t cr2;
	volatile uint64_t faults;
	volatile uint64_t events;
	volatile uint64_t last_event;
	volatile uint64_t progress;
	volatile uint64_t stop;
	volatile uint64_t l2_exit;
	volatile uint64_t l2_info;
	volatile uint64_t l2_gpa;
	volatile uint64_t l2_rip;
	volatile uint64_t l2_cr3;
	volatile uint32_t l2_op;
	volatile uint32_t l2_mode;
};

_Static_assert(offsetof(struct guest_cpu, self) == GUEST_CPU_SELF, "abi");
_Static_assert(offsetof(struct guest_cpu, fixup) == GUEST_CPU_FIXUP, "abi");
_Static_assert(offsetof(struct guest_cpu, insn) == GUEST_CPU_INSN, "abi");
_Static_assert(offsetof(struct guest_cpu, saved_rsp) == GUEST_CPU_SAVED_RSP, "abi");
_Static_assert(offsetof(struct guest_cpu, end_rsp) == GUEST_CPU_END_RSP, "abi");
_Static_assert(offsetof(struct guest_cpu, user_rsp) == GUEST_CPU_USER_RSP, "abi");
_Static_assert(offsetof(struct guest_cpu, l2_steps) == GUEST_CPU_L2_STEPS, "abi");

/**
 * struct guest_image - the first bytes of the guest's program
 * @magic: %GUEST_IMAGE_MAGIC
 * @entry: where a vCPU starts; GS base and RSP are set, RDI is ignored
 * @stubs: the first of 256 interrupt stubs
 * @stub_size: bytes from one to the next
 */
struct guest_image {
	uint64_t magic;
	uint64_t entry;
	uint64_t stubs;
	uint64_t stub_size;
};

#define GUEST_IMAGE_MAGIC	0x7473657467766b6dULL

#endif /* __ASSEMBLER__ */
#endif /* KVM_TEST_GUEST_ABI_H */
