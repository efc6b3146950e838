/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One instruction of OP_PROBE, as it is or behind the prefix that has KVM emulate it. */
#ifndef KVM_TEST_GUEST_PROBE_H
#define KVM_TEST_GUEST_PROBE_H

#include "guest.h"

/* kvm.force_emulation_prefix: UD2, and bytes that no CPU sees because of that. */
#define FORCED	"ud2; .byte 0x6b, 0x76, 0x6d"

/* @insn as it is, or forced; operands follow. */
#define PROBE(insn, ...)							\
	do {									\
		if (cpu->arg[2] & PROBE_FORCED)					\
			asm volatile(TRY_BEHIND(FORCED, insn) __VA_ARGS__);	\
		else								\
			asm volatile(TRY(insn) __VA_ARGS__);			\
	} while (0)

/* The same with the stack pointer in the operand @sp. */
#define PROBE_ON_STACK(insn, ...)						\
	do {									\
		if (cpu->arg[2] & PROBE_FORCED)					\
			asm volatile(TRY_ON_STACK_BEHIND(FORCED, "%[sp]", insn) __VA_ARGS__); \
		else								\
			asm volatile(TRY_ON_STACK("%[sp]", insn) __VA_ARGS__);	\
	} while (0)

/* Memory below all that a function which does not call others has on its stack. */
#define FREE_STACK	((uint64_t *)((uint64_t)__builtin_frame_address(0) - 1024))

/* probe-far.c: PROBE_*_FAR_* and PROBE_IRET_* */
void probe_far(struct guest_cpu *cpu, uint64_t p) __attribute__((visibility("hidden")));

#endif /* KVM_TEST_GUEST_PROBE_H */
