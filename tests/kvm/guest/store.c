// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations that store: plain, read-modify-write, locked. */
#include "guest.h"

#define BY_SIZE(cpu, one, two, four, eight)			\
	do {							\
		switch ((cpu)->arg[2]) {			\
		case 1: one; break;				\
		case 2: two; break;				\
		case 4: four; break;				\
		default: eight; break;				\
		}						\
	} while (0)

#define STORE(insn, mod)						\
	asm volatile(TRY(insn " %" mod "[value], (%[p])")		\
		     : : [value] "q"(value), [p] "r"(p) : TRY_CLOBBERS)

#define LOAD(insn, mod)							\
	asm volatile(TRY(insn " (%[p]), %" mod "[value]")		\
		     : [value] "+q"(value) : [p] "r"(p) : TRY_CLOBBERS)

#define EXCHANGE(insn, mod)						\
	asm volatile(TRY(insn " %" mod "[value], (%[p])")		\
		     : [value] "+q"(value) : [p] "r"(p) : TRY_CLOBBERS)

#define COMPARE(mod)							\
	asm volatile(TRY("lock cmpxchg %" mod "[value], (%[p])")	\
		     "setz %[zf]"					\
		     : "+a"(old), [zf] "=q"(zf)				\
		     : [value] "q"(value), [p] "r"(p) : TRY_CLOBBERS)

/*
 * The flags are read behind TRY's own last MOV, which leaves them alone; after
 * an exception they are what the interrupted instruction had left.
 */

void op_store(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1];

	BY_SIZE(cpu, STORE("movb", "b"), STORE("movw", "w"), STORE("movl", "k"),
		STORE("movq", "q"));
}

void op_load(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = 0;

	BY_SIZE(cpu, LOAD("movb", "b"), LOAD("movw", "w"), LOAD("movl", "k"), LOAD("movq", "q"));
	cpu->ret[0] = value;
}

void op_add(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1];

	BY_SIZE(cpu, STORE("addb", "b"), STORE("addw", "w"), STORE("addl", "k"),
		STORE("addq", "q"));
}

void op_lock_add(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1];

	BY_SIZE(cpu, STORE("lock addb", "b"), STORE("lock addw", "w"), STORE("lock addl", "k"),
		STORE("lock addq", "q"));
}

void op_xadd(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1];

	BY_SIZE(cpu, EXCHANGE("lock xaddb", "b"), EXCHANGE("lock xaddw", "w"),
		EXCHANGE("lock xaddl", "k"), EXCHANGE("lock xaddq", "q"));
	cpu->ret[0] = value;
}

void op_xchg(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1];

	BY_SIZE(cpu, EXCHANGE("xchgb", "b"), EXCHANGE("xchgw", "w"), EXCHANGE("xchgl", "k"),
		EXCHANGE("xchgq", "q"));
	cpu->ret[0] = value;
}

void op_cmpxchg(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1], old = cpu->arg[3];
	uint8_t zf = 0;

	BY_SIZE(cpu, COMPARE("b"), COMPARE("w"), COMPARE("k"), COMPARE("q"));
	cpu->ret[0] = old;
	cpu->ret[1] = zf;
}

void op_cmpxchg8b(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1], old = cpu->arg[3];
	uint32_t eax = old, edx = old >> 32;
	uint8_t zf;

	asm volatile(TRY("lock cmpxchg8b (%[p])") "setz %[zf]"
		     : "+a"(eax), "+d"(edx), [zf] "=r"(zf)
		     : [p] "r"(p), "b"((uint32_t)value), "c"((uint32_t)(value >> 32))
		     : TRY_CLOBBERS);
	cpu->ret[0] = (uint64_t)edx << 32 | eax;
	cpu->ret[1] = zf;
}

void op_cmpxchg16b(struct guest_cpu *cpu)
{
	uint64_t rax = cpu->arg[3], rdx = cpu->arg[5];
	uint8_t zf;

	asm volatile(TRY("lock cmpxchg16b (%[p])") "setz %[zf]"
		     : "+a"(rax), "+d"(rdx), [zf] "=r"(zf)
		     : [p] "r"(cpu->arg[0]), "b"(cpu->arg[1]), "c"(cpu->arg[4])
		     : TRY_CLOBBERS);
	cpu->ret[0] = rax;
	cpu->ret[1] = zf;
	cpu->ret[2] = rdx;
}

void op_bts(struct guest_cpu *cpu)
{
	uint8_t cf;

	asm volatile(TRY("lock btsq %[bit], (%[p])") "setc %[cf]"
		     : [cf] "=r"(cf) : [p] "r"(cpu->arg[0]), [bit] "r"(cpu->arg[1])
		     : TRY_CLOBBERS);
	cpu->ret[1] = cf;
}

void op_movbe(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[0], value = cpu->arg[1];

	asm volatile(TRY("movbe %[value], (%[p])")
		     : : [value] "r"(value), [p] "r"(p) : TRY_CLOBBERS);
}
