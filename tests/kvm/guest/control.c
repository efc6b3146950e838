// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on control registers. */
#include "guest.h"
#include "l1.h"

#define LOAD_CR(n, value)							\
	asm volatile(TRY("movq %[v], %%cr" #n) : : [v] "r"(value) : TRY_CLOBBERS)

void op_load_cr0(struct guest_cpu *cpu)
{
	cpu->ret[0] = READ_CR(0);
	LOAD_CR(0, cpu->arg[0]);
	cpu->ret[1] = READ_CR(0);
}

void op_load_cr4(struct guest_cpu *cpu)
{
	cpu->ret[0] = READ_CR(4);
	LOAD_CR(4, cpu->arg[0]);
	cpu->ret[1] = READ_CR(4);
}

void op_lmsw(struct guest_cpu *cpu)
{
	cpu->ret[0] = READ_CR(0);
	asm volatile(TRY("lmsw %w[v]") : : [v] "r"((uint32_t)cpu->arg[0]) : TRY_CLOBBERS);
	cpu->ret[1] = READ_CR(0);
}

/* The second load is none if the first was refused. */
#define TOGGLE_CR(n, cpu)							\
	do {									\
		uint64_t bits_ = (cpu)->arg[0], i_, cr_;			\
										\
		for (i_ = 0; i_ < (cpu)->arg[1] && !(cpu)->stop; i_++) {	\
			cr_ = READ_CR(n);					\
			LOAD_CR(n, cr_ & ~bits_);				\
			if (!(READ_CR(n) & bits_))				\
				(cpu)->ret[0]++;				\
			LOAD_CR(n, cr_ | bits_);				\
			(cpu)->progress++;					\
		}								\
	} while (0)

void op_toggle_cr0(struct guest_cpu *cpu)
{
	TOGGLE_CR(0, cpu);
}

void op_toggle_cr4(struct guest_cpu *cpu)
{
	TOGGLE_CR(4, cpu);
}
