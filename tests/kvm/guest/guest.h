/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside the guest: how an operation is written, and how an instruction is tried
 * that may fault.  Not for the host's side.
 */
#ifndef KVM_TEST_GUEST_H
#define KVM_TEST_GUEST_H

#include "abi.h"

/* What is declared here is found relative to RIP: the program runs in either half. */
#pragma GCC visibility push(hidden)

#define STR_(x)	#x
#define STR(x)	STR_(x)
#define CPU_MEM(offset)	"%%gs:" STR(offset)

/*
 * Try one instruction.  An exception in it is recorded in the mailbox and
 * continues behind it.  Clobbers R11: name it with TRY_CLOBBERS.
 */
#define TRY(insn)	TRY_BEHIND("", insn)

/* The same behind prefix bytes that are none of the CPU's. */
#define TRY_BEHIND(prefix, insn)					\
	"leaq 772f(%%rip), %%r11\n\t"					\
	"movq %%r11, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"			\
	"leaq 771f(%%rip), %%r11\n\t"					\
	"movq %%r11, " CPU_MEM(GUEST_CPU_INSN) "\n\t"			\
	prefix "\n"							\
	"771:\t" insn "\n"						\
	"772:\n\t"							\
	"movq $0, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"

/* The same with the stack pointer in the operand @sp, its end in end_rsp. */
#define TRY_ON_STACK(sp, insn)	TRY_ON_STACK_BEHIND("", sp, insn)

#define TRY_ON_STACK_BEHIND(prefix, sp, insn)				\
	"movq %%rsp, " CPU_MEM(GUEST_CPU_SAVED_RSP) "\n\t"		\
	"leaq 772f(%%rip), %%r11\n\t"					\
	"movq %%r11, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"			\
	"leaq 771f(%%rip), %%r11\n\t"					\
	"movq %%r11, " CPU_MEM(GUEST_CPU_INSN) "\n\t"			\
	"movq " sp ", %%rsp\n\t"					\
	prefix "\n"							\
	"771:\t" insn "\n"						\
	"772:\n\t"							\
	"movq %%rsp, " CPU_MEM(GUEST_CPU_END_RSP) "\n\t"		\
	"movq " CPU_MEM(GUEST_CPU_SAVED_RSP) ", %%rsp\n\t"		\
	"movq $0, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"

#define TRY_CLOBBERS	"r11", "memory", "cc"

typedef void (*guest_op_fn)(struct guest_cpu *cpu);

/* What an interrupt stub leaves on the stack. */
struct guest_frame {
	uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
	uint64_t rdi, rsi, rbp, rbx, rdx, rcx, rax;
	uint64_t vector, error;
	uint64_t rip, cs, rflags, rsp, ss;
};

/* entry.S */
void user_call(guest_op_fn fn, struct guest_cpu *cpu, void *stack);

/* agent.c */
void agent_main(struct guest_cpu *cpu) __attribute__((noreturn));
void agent_trap(struct guest_frame *frame);
void agent_do(struct guest_cpu *cpu, uint32_t op);
/* Call @fn in user mode, which is in the lower half. */
void do_as_user(guest_op_fn fn, struct guest_cpu *cpu);

/*
 * The operations: store.c, string.c, simd.c, system.c, control.c, hammer.c, writes.c, bench.c,
 * l1.c, l1-vmx.c, l1-svm.c, probe.c
 */
#define DECLARE_OP(name)	void name(struct guest_cpu *cpu)
DECLARE_OP(op_store);
DECLARE_OP(op_load);
DECLARE_OP(op_add);
DECLARE_OP(op_lock_add);
DECLARE_OP(op_xadd);
DECLARE_OP(op_xchg);
DECLARE_OP(op_cmpxchg);
DECLARE_OP(op_cmpxchg8b);
DECLARE_OP(op_cmpxchg16b);
DECLARE_OP(op_bts);
DECLARE_OP(op_movbe);
DECLARE_OP(op_rep_stos);
DECLARE_OP(op_rep_movs);
DECLARE_OP(op_push);
DECLARE_OP(op_call);
DECLARE_OP(op_pushf);
DECLARE_OP(op_enter);
DECLARE_OP(op_push_fault);
DECLARE_OP(op_int);
DECLARE_OP(op_ud2);
DECLARE_OP(op_sti_nop);
DECLARE_OP(op_movups);
DECLARE_OP(op_movdqu);
DECLARE_OP(op_movntdq);
DECLARE_OP(op_movss);
DECLARE_OP(op_vmovdqu);
DECLARE_OP(op_vmaskmov);
DECLARE_OP(op_vmovdqu64);
DECLARE_OP(op_fxsave);
DECLARE_OP(op_xsave);
DECLARE_OP(op_xsave_flags);
DECLARE_OP(op_fnstenv);
DECLARE_OP(op_fstp);
DECLARE_OP(op_sgdt);
DECLARE_OP(op_lidt);
DECLARE_OP(op_fld);
DECLARE_OP(op_rdmsr);
DECLARE_OP(op_wrmsr);
DECLARE_OP(op_cpuid);
DECLARE_OP(op_load_cr3);
DECLARE_OP(op_invlpg);
DECLARE_OP(op_load_cr8);
DECLARE_OP(op_load_ds);
DECLARE_OP(op_ltr);
DECLARE_OP(op_hlt);
DECLARE_OP(op_rdtsc_spin);
DECLARE_OP(op_adc_spin);
DECLARE_OP(op_execute);
DECLARE_OP(op_execute_spin);
DECLARE_OP(op_features);
DECLARE_OP(op_ipi_self);
DECLARE_OP(op_hypercall);
DECLARE_OP(op_hammer);
DECLARE_OP(op_cr8_spin);
DECLARE_OP(op_fill);
DECLARE_OP(op_nested_on);
DECLARE_OP(op_nested_run);
DECLARE_OP(op_vmread_mem);
DECLARE_OP(op_vmptrst);
DECLARE_OP(op_vmptrld);
DECLARE_OP(op_vmclear);
DECLARE_OP(op_invept);
DECLARE_OP(op_vmsave);
DECLARE_OP(op_bench);
DECLARE_OP(op_deadline);
DECLARE_OP(op_pushw);
DECLARE_OP(op_enter_nested);
DECLARE_OP(op_movdir64b);
DECLARE_OP(op_writes);
DECLARE_OP(op_call_mem);
DECLARE_OP(op_probe);
DECLARE_OP(op_load_cr0);
DECLARE_OP(op_load_cr4);
DECLARE_OP(op_lmsw);
DECLARE_OP(op_toggle_cr0);
DECLARE_OP(op_toggle_cr4);

#pragma GCC visibility pop

static inline struct guest_cpu *this_cpu(void)
{
	struct guest_cpu *cpu;

	asm volatile("movq " CPU_MEM(GUEST_CPU_SELF) ", %0" : "=r"(cpu));
	return cpu;
}

static inline uint64_t rdtsc(void)
{
	uint32_t lo, hi;

	asm volatile("rdtsc" : "=a"(lo), "=d"(hi) : : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32))
		     : "memory");
}

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
	return (uint64_t)hi << 32 | lo;
}

static inline void outl(uint16_t port, uint32_t value)
{
	asm volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

/* The same place in the lower half, where its address is the physical one. */
static inline uint64_t low(uint64_t address)
{
	return address & ~GUEST_HIGH;
}

/*
 * The same place in the half that this code runs in.  The program is linked for the lower
 * one, and so are the pointers in its tables.
 */
static inline uint64_t here(uint64_t address)
{
	uint64_t rip;

	asm("leaq 0(%%rip), %0" : "=r"(rip));
	return low(address) | (rip & GUEST_HIGH);
}

#define HERE(pointer)	((__typeof__(pointer))here((uint64_t)(pointer)))

/* The block of memory that belongs to @cpu, by its physical address. */
static inline uint64_t cpu_block(const struct guest_cpu *cpu)
{
	return low((uint64_t)cpu) - GUEST_MAILBOX;
}

#endif /* KVM_TEST_GUEST_H */
