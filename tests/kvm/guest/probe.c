// SPDX-License-Identifier: GPL-2.0-or-later
/* One access of many kinds, carried out by the CPU or, behind a prefix, by KVM's emulator. */
#include "probe.h"

#define RFLAGS_AC	(1UL << 18)

/* In the VMCS: written again before an L2 runs. */
#define GUEST_ES_BASE	0x6806UL

struct invpcid {
	uint64_t pcid, address;
};

static void set_ac(uint64_t ac)
{
	asm volatile("pushfq; andq %0, (%%rsp); orq %1, (%%rsp); popfq"
		     : : "r"(~RFLAGS_AC), "r"(ac) : "memory", "cc");
}

static void probe_memory(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t value = cpu->arg[3], di = (uint64_t)&value;

	switch (cpu->arg[0]) {
	case PROBE_LOAD:
		PROBE("movq (%[p]), %[v]", : [v] "+r"(value) : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_STORE:
		PROBE("movq %[v], (%[p])", : : [v] "r"(value), [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_MOVS:
		PROBE("movsq", : "+S"(p), "+D"(di) : : TRY_CLOBBERS);
		break;
	case PROBE_SGDT:
		PROBE("sgdt (%[p])", : : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_LGDT:
		PROBE("lgdt (%[p])", : : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_LEA:
		PROBE("leaq (%[p]), %[v]", : [v] "+r"(value) : [p] "r"(p) : TRY_CLOBBERS);
		break;
	}
	cpu->ret[0] = value;
}

static void probe_rbp(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t value = 0;

	if (cpu->arg[2] & PROBE_FORCED)
		asm volatile("xchgq %%rbp, %%rsi\n\t"
			     TRY_BEHIND(FORCED, "movq (%%rbp), %%rax") "xchgq %%rbp, %%rsi"
			     : "+a"(value), "+S"(p) : : TRY_CLOBBERS);
	else
		asm volatile("xchgq %%rbp, %%rsi\n\t"
			     TRY("movq (%%rbp), %%rax") "xchgq %%rbp, %%rsi"
			     : "+a"(value), "+S"(p) : : TRY_CLOBBERS);
	cpu->ret[0] = value;
}

/* RBP may be the frame pointer: it is put back before the compiler needs it. */
static void probe_leave(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t value = 0;

	if (cpu->arg[2] & PROBE_FORCED)
		asm volatile("xchgq %%rbp, %%rsi\n\t"
			     TRY_ON_STACK_BEHIND(FORCED, "%[sp]", "leave")
			     "movq %%rbp, %%rax\n\tmovq %%rsi, %%rbp"
			     : "+a"(value), "+S"(p) : [sp] "c"(FREE_STACK) : TRY_CLOBBERS);
	else
		asm volatile("xchgq %%rbp, %%rsi\n\t"
			     TRY_ON_STACK("%[sp]", "leave")
			     "movq %%rbp, %%rax\n\tmovq %%rsi, %%rbp"
			     : "+a"(value), "+S"(p) : [sp] "c"(FREE_STACK) : TRY_CLOBBERS);
	cpu->ret[0] = value;
}

static void probe_stack(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t value = cpu->arg[3];

	switch (cpu->arg[0]) {
	case PROBE_PUSH:
		PROBE_ON_STACK("pushq %[v]", : : [sp] "r"(p + 8), [v] "r"(value) : TRY_CLOBBERS);
		break;
	case PROBE_POP:
		PROBE_ON_STACK("popq %[v]", : [v] "+r"(value) : [sp] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_CALL_ON:
		PROBE_ON_STACK("call 772f", : : [sp] "r"(p + 8) : TRY_CLOBBERS);
		break;
	}
	cpu->ret[0] = value;
}

static void probe_branch(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t *frame = FREE_STACK, sp = (uint64_t)frame;

	if (cpu->arg[0] == PROBE_CALL) {
		PROBE_ON_STACK("call *%[p]", : : [sp] "r"(sp), [p] "r"(p) : TRY_CLOBBERS);
		return;
	}
	frame[0] = p;
	frame[1] = cpu->flags & GUEST_F_USER ? GUEST_USER_CS32 : GUEST_CS32;
	PROBE_ON_STACK("lretq", : : [sp] "r"(sp) : TRY_CLOBBERS);
}

static void probe_cmpxchg(struct guest_cpu *cpu, uint64_t p)
{
	uint64_t old = 0x0101010101010101UL * PROBE_FILLING, new = cpu->arg[3];

	switch (cpu->arg[0]) {
	case PROBE_CMPXCHG:
		PROBE("lock cmpxchgq %[v], (%[p])", : "+a"(old) : [p] "r"(p), [v] "r"(new)
		      : TRY_CLOBBERS);
		break;
	case PROBE_CMPXCHG8B: {
		uint64_t low = (uint32_t)old, high = low;

		PROBE("lock cmpxchg8b (%[p])", : "+a"(low), "+d"(high)
		      : [p] "r"(p), "b"((uint32_t)new), "c"(new >> 32) : TRY_CLOBBERS);
		break;
	}
	case PROBE_CMPXCHG16B: {
		uint64_t high = old;

		PROBE("lock cmpxchg16b (%[p])", : "+a"(old), "+d"(high)
		      : [p] "r"(p), "b"(new), "c"(0) : TRY_CLOBBERS);
		break;
	}
	}
}

static void probe_port(struct guest_cpu *cpu, uint64_t p)
{
	uint8_t byte = 0;

	switch (cpu->arg[0]) {
	case PROBE_IN:
		PROBE("inb %%dx, %%al", : "+a"(byte) : "d"((uint16_t)cpu->arg[3]) : TRY_CLOBBERS);
		break;
	case PROBE_OUTS:
		PROBE("outsl", : "+S"(p) : "d"((uint16_t)GUEST_PORT_BENCH) : TRY_CLOBBERS);
		break;
	case PROBE_INS:
		PROBE("insl", : "+D"(p) : "d"((uint16_t)GUEST_PORT_BENCH) : TRY_CLOBBERS);
		break;
	}
}

static void probe_vmx(struct guest_cpu *cpu, uint64_t p)
{
	switch (cpu->arg[0]) {
	case PROBE_VMPTRST:
		PROBE("vmptrst (%[p])", : : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_VMPTRLD:
		PROBE("vmptrld (%[p])", : : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_VMREAD:
		PROBE("vmread %[f], (%[p])", : : [p] "r"(p), [f] "r"(GUEST_ES_BASE) : TRY_CLOBBERS);
		break;
	case PROBE_VMWRITE:
		PROBE("vmwrite (%[p]), %[f]", : : [p] "r"(p), [f] "r"(GUEST_ES_BASE) : TRY_CLOBBERS);
		break;
	case PROBE_INVEPT:
		PROBE("invept (%[p]), %[all]", : : [p] "r"(p), [all] "r"(2UL) : TRY_CLOBBERS);
		break;
	case PROBE_INVVPID:
		PROBE("invvpid (%[p]), %[all]", : : [p] "r"(p), [all] "r"(2UL) : TRY_CLOBBERS);
		break;
	}
}

static void probe_system(struct guest_cpu *cpu, uint64_t p)
{
	struct invpcid named = { 0, p };

	switch (cpu->arg[0]) {
	case PROBE_INVLPG:
		PROBE("invlpg (%[p])", : : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case PROBE_INVPCID:
		PROBE("invpcid (%[d]), %[type]",
		      : : [d] "r"(&named), [type] "r"(0UL) : TRY_CLOBBERS);
		break;
	case PROBE_INVPCID_AT:
		PROBE("invpcid (%[d]), %[type]", : : [d] "r"(p), [type] "r"(2UL) : TRY_CLOBBERS);
		break;
	case PROBE_LOAD_DS:
		PROBE("movw %w[selector], %%ds",
		      : : [selector] "r"((uint32_t)cpu->arg[3]) : TRY_CLOBBERS);
		break;
	case PROBE_LTR:
		PROBE("ltr %w[selector]",
		      : : [selector] "r"((uint32_t)cpu->arg[3]) : TRY_CLOBBERS);
		break;
	case PROBE_LLDT:
		PROBE("lldt %w[selector]",
		      : : [selector] "r"((uint32_t)cpu->arg[3]) : TRY_CLOBBERS);
		break;
	case PROBE_CR4:
		PROBE("movq %[v], %%cr4", : : [v] "r"(cpu->arg[3]) : TRY_CLOBBERS);
		asm volatile("movq %%cr4, %0" : "=r"(cpu->ret[0]));
		break;
	}
}

void op_probe(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[1];

	if (cpu->arg[2] & PROBE_AC)
		set_ac(RFLAGS_AC);
	switch (cpu->arg[0]) {
	case PROBE_LOAD:
	case PROBE_STORE:
	case PROBE_MOVS:
	case PROBE_SGDT:
	case PROBE_LGDT:
	case PROBE_LEA:
		probe_memory(cpu, p);
		break;
	case PROBE_LOAD_SS:
		probe_rbp(cpu, p);
		break;
	case PROBE_LEAVE:
		probe_leave(cpu, p);
		break;
	case PROBE_PUSH:
	case PROBE_POP:
	case PROBE_CALL_ON:
		probe_stack(cpu, p);
		break;
	case PROBE_CALL:
	case PROBE_JUMP_32:
		probe_branch(cpu, p);
		break;
	case PROBE_CMPXCHG:
	case PROBE_CMPXCHG8B:
	case PROBE_CMPXCHG16B:
		probe_cmpxchg(cpu, p);
		break;
	case PROBE_IN:
	case PROBE_OUTS:
	case PROBE_INS:
		probe_port(cpu, p);
		break;
	case PROBE_JMP_FAR_TO ... PROBE_IRET_ON:
		probe_far(cpu, p);
		break;
	case PROBE_VMPTRST:
	case PROBE_VMREAD ... PROBE_INVVPID:
		probe_vmx(cpu, p);
		break;
	default:
		probe_system(cpu, p);
		break;
	}
	set_ac(0);
}
