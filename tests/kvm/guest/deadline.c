// SPDX-License-Identifier: GPL-2.0-or-later
/* The TSC deadline of the local APIC. */
#include "guest.h"

#define MSR_TSC_DEADLINE	0x6e0
#define X2APIC_SPURIOUS		0x80f
#define X2APIC_ENABLED		(1 << 8 | 0xff)
#define X2APIC_LVT_TIMER	0x832
#define LVT_TSC_DEADLINE	(2 << 17)

/* Until an interrupt has come, or nothing has for @most ticks. */
static void await(struct guest_cpu *cpu, uint64_t before, uint64_t start, uint64_t most,
		  uint64_t how)
{
	uint32_t eax, ecx;

	while (cpu->events == before && rdtsc() - start < most) {
		switch (how) {
		case DEADLINE_CPUID:
			eax = 0;
			ecx = 0;
			asm volatile("cpuid" : "+a"(eax), "+c"(ecx) : : "rbx", "rdx");
			break;
		case DEADLINE_HALT:
			/* None comes between the look and the halt. */
			asm volatile("cli" : : : "memory");
			if (cpu->events == before)
				asm volatile("sti; hlt" : : : "memory");
			asm volatile("sti" : : : "memory");
			break;
		default:
			asm volatile("pause");
		}
	}
}

void op_deadline(struct guest_cpu *cpu)
{
	uint64_t before = cpu->events, first = cpu->arg[0], second = cpu->arg[1], start;

	wrmsr(X2APIC_SPURIOUS, X2APIC_ENABLED);
	wrmsr(X2APIC_LVT_TIMER, LVT_TSC_DEADLINE | GUEST_VECTOR_EVENT);
	asm volatile("sti");
	start = rdtsc();
	wrmsr(MSR_TSC_DEADLINE, start + first);
	if (second)
		wrmsr(MSR_TSC_DEADLINE, second == DEADLINE_NEVER ? 0 : start + second);
	await(cpu, before, start, cpu->arg[2], cpu->arg[3]);
	cpu->ret[0] = cpu->events == before ? 0 : rdtsc() - start;
	asm volatile("cli");
	wrmsr(MSR_TSC_DEADLINE, 0);
}
