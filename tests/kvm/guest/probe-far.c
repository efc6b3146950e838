// SPDX-License-Identifier: GPL-2.0-or-later
/* Far transfers for OP_PROBE, and back to where they came from. */
#include "probe.h"

struct far_pointer {
	uint64_t offset;
	uint16_t selector;
} __attribute__((packed));

/*
 * The code that is gone to finds the way back in RBX, and at @link: that is on its stack for
 * some.
 */
#define PROBE_FAR(insn, sp_, p_, link_)						\
	do {									\
		if (cpu->arg[2] & PROBE_FORCED)					\
			asm volatile("leaq 772f(%%rip), %%rbx\n\t"		\
				     "movq %%rbx, (%[link])\n\t"		\
				     TRY_ON_STACK_BEHIND(FORCED, "%[sp]", insn)	\
				     : : [sp] "r"(sp_), "a"(p_), [link] "r"(link_)	\
				     : "rbx", TRY_CLOBBERS);			\
		else								\
			asm volatile("leaq 772f(%%rip), %%rbx\n\t"		\
				     "movq %%rbx, (%[link])\n\t"		\
				     TRY_ON_STACK("%[sp]", insn)		\
				     : : [sp] "r"(sp_), "a"(p_), [link] "r"(link_)	\
				     : "rbx", TRY_CLOBBERS);			\
	} while (0)

#define JMP_FAR		"rex64 ljmp *(%%rax)"
#define CALL_FAR	"rex64 lcall *(%%rax)"

static uint64_t flags_now(void)
{
	uint64_t flags;

	asm volatile("pushfq; popq %0" : "=r"(flags));
	return flags;
}

/* The selector of the transfer may be one of another table. */
static void restore_cs(uint64_t cs)
{
	asm volatile("pushq %0; leaq 1f(%%rip), %%r11; pushq %%r11; lretq\n"
		     "1:" : : "r"(cs) : "r11", "memory");
}

static void jump_or_call(struct guest_cpu *cpu, uint64_t p)
{
	struct far_pointer to = { p, cpu->arg[3] };
	uint64_t *stack = FREE_STACK, link;

	switch (cpu->arg[0]) {
	case PROBE_JMP_FAR_TO:
		PROBE_FAR(JMP_FAR, stack, &to, stack);
		break;
	case PROBE_JMP_FAR_AT:
		PROBE_FAR(JMP_FAR, stack, p, &link);
		break;
	case PROBE_CALL_FAR_TO:
		PROBE_FAR(CALL_FAR, stack, &to, &link);
		break;
	case PROBE_CALL_FAR_AT:
		PROBE_FAR(CALL_FAR, stack, p, &link);
		break;
	case PROBE_CALL_FAR_ON:
		to.offset = cpu->arg[4];
		PROBE_FAR(CALL_FAR, p + 16, &to, &link);
		break;
	}
}

static void far_return(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t *stack = FREE_STACK, link;

	stack[0] = p;
	stack[1] = cpu->arg[3];
	switch (cpu->arg[0]) {
	case PROBE_RET_FAR_TO:
		PROBE_FAR("lretq", stack, 0, stack + 2);
		break;
	case PROBE_RET_FAR_ON:
		PROBE_FAR("lretq", p, 0, &link);
		break;
	case PROBE_IRET_TO:
		stack[2] = flags_now();
		stack[3] = (uint64_t)(stack + 5);
		stack[4] = cpu->flags & GUEST_F_USER ? GUEST_USER_DS : GUEST_DS;
		PROBE_FAR("iretq", stack, 0, stack + 5);
		break;
	case PROBE_IRET_ON:
		PROBE_FAR("iretq", p, 0, &link);
		break;
	}
}

void probe_far(struct guest_cpu *cpu, uint64_t p)
{
	switch (cpu->arg[0]) {
	case PROBE_RET_FAR_TO:
	case PROBE_RET_FAR_ON:
	case PROBE_IRET_TO:
	case PROBE_IRET_ON:
		far_return(cpu, p);
		break;
	default:
		jump_or_call(cpu, p);
		break;
	}
	restore_cs(cpu->flags & GUEST_F_USER ? GUEST_USER_CS : GUEST_CS);
}
