// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on strings and on the stack, and events that push a frame there. */
#include "guest.h"

#define STRING(insn)							\
	do {								\
		if (cpu->arg[4])					\
			asm volatile("std");				\
		asm volatile(TRY("rep " insn)				\
			     : "+D"(di), "+S"(si), "+c"(count)		\
			     : "a"(cpu->arg[1]) : TRY_CLOBBERS);	\
		asm volatile("cld");					\
	} while (0)

static void string_end(struct guest_cpu *cpu, uint64_t count, uint64_t di, uint64_t si)
{
	cpu->ret[0] = count;
	cpu->ret[1] = di;
	cpu->ret[2] = si;
}

void op_rep_stos(struct guest_cpu *cpu)
{
	uint64_t di = cpu->arg[0], si = 0, count = cpu->arg[3];

	switch (cpu->arg[2]) {
	case 1: STRING("stosb"); break;
	case 2: STRING("stosw"); break;
	case 4: STRING("stosl"); break;
	default: STRING("stosq"); break;
	}
	string_end(cpu, count, di, si);
}

void op_rep_movs(struct guest_cpu *cpu)
{
	uint64_t di = cpu->arg[0], si = cpu->arg[1], count = cpu->arg[3];

	switch (cpu->arg[2]) {
	case 1: STRING("movsb"); break;
	case 2: STRING("movsw"); break;
	case 4: STRING("movsl"); break;
	default: STRING("movsq"); break;
	}
	string_end(cpu, count, di, si);
}

void op_push(struct guest_cpu *cpu)
{
	asm volatile(TRY_ON_STACK("%[sp]", "pushq %[value]")
		     : : [sp] "r"(cpu->arg[0]), [value] "r"(cpu->arg[1]) : TRY_CLOBBERS);
	cpu->ret[0] = cpu->end_rsp;
}

/* A call to the next instruction: what is pushed is the address of fixup. */
void op_call(struct guest_cpu *cpu)
{
	asm volatile(TRY_ON_STACK("%[sp]", "call 772f")
		     : : [sp] "r"(cpu->arg[0]) : TRY_CLOBBERS);
	cpu->ret[0] = cpu->end_rsp;
}

void op_pushw(struct guest_cpu *cpu)
{
	asm volatile(TRY_ON_STACK("%[sp]", "pushw %w[value]")
		     : : [sp] "r"(cpu->arg[0]), [value] "r"(cpu->arg[1]) : TRY_CLOBBERS);
	cpu->ret[0] = cpu->end_rsp;
}

/* It calls the instruction behind it. */
void op_call_mem(struct guest_cpu *cpu)
{
	uint64_t to;

	asm volatile("leaq 773f(%%rip), %[to]\n\t"
		     "testq %[slot], %[slot]\n\t"
		     "jz 774f\n\t"
		     TRY_ON_STACK("%[sp]", "call *(%[slot])\n773:")
		     "774:"
		     : [to] "=&r"(to)
		     : [sp] "r"(cpu->arg[0]), [slot] "r"(cpu->arg[1])
		     : TRY_CLOBBERS);
	cpu->ret[0] = cpu->end_rsp;
	cpu->ret[1] = to;
}

void op_pushf(struct guest_cpu *cpu)
{
	asm volatile("cmpq %[sp], %[sp]\n\t"
		     TRY_ON_STACK("%[sp]", "pushfq")
		     : : [sp] "r"(cpu->arg[0]) : TRY_CLOBBERS);
	cpu->ret[0] = cpu->end_rsp;
}

/* ENTER pushes RBP and moves it. */
#define ENTER(level)							\
	do {								\
		uint64_t rbp = cpu->arg[1];				\
									\
		asm volatile("xchgq %%rax, %%rbp\n\t"			\
			     "movq %%rax, %%r10\n\t"			\
			     TRY_ON_STACK("%%rdi", "enter $0, $" level)	\
			     "movq %%rbp, %%rax\n\t"			\
			     "movq %%r10, %%rbp"			\
			     : "+a"(rbp) : "D"(cpu->arg[0])		\
			     : "r10", TRY_CLOBBERS);			\
		cpu->ret[0] = cpu->end_rsp;				\
		cpu->ret[1] = rbp;					\
	} while (0)

void op_enter(struct guest_cpu *cpu)
{
	ENTER("0");
}

void op_enter_nested(struct guest_cpu *cpu)
{
	ENTER("1");
}

/* A page fault whose frame goes to that stack. */
void op_push_fault(struct guest_cpu *cpu)
{
	asm volatile(TRY_ON_STACK("%[sp]", "movq %[sp], (%[p])")
		     : : [sp] "r"(cpu->arg[0]), [p] "r"(cpu->arg[1]) : TRY_CLOBBERS);
}

/* With arg0 the frame goes to that stack, else to the agent's. */
void op_int(struct guest_cpu *cpu)
{
	if (cpu->arg[0])
		asm volatile(TRY_ON_STACK("%[sp]", "int %[vector]")
			     : : [sp] "r"(cpu->arg[0]), [vector] "i"(GUEST_VECTOR_EVENT)
			     : TRY_CLOBBERS);
	else
		asm volatile(TRY("int %[vector]")
			     : : [vector] "i"(GUEST_VECTOR_EVENT) : TRY_CLOBBERS);
}

void op_ud2(struct guest_cpu *cpu)
{
	if (cpu->arg[0])
		asm volatile(TRY_ON_STACK("%[sp]", "ud2") : : [sp] "r"(cpu->arg[0])
			     : TRY_CLOBBERS);
	else
		asm volatile(TRY("ud2") : : : TRY_CLOBBERS);
}

/* STI holds interrupts off for one instruction more: the second NOP is interrupted. */
void op_sti_nop(struct guest_cpu *cpu)
{
	if (cpu->arg[0])
		asm volatile(TRY_ON_STACK("%[sp]", "sti; nop; nop; nop; cli")
			     : : [sp] "r"(cpu->arg[0]) : TRY_CLOBBERS);
	else
		asm volatile(TRY("sti; nop; nop; nop; cli") : : : TRY_CLOBBERS);
	asm volatile("cli");
}
