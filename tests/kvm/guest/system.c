// SPDX-License-Identifier: GPL-2.0-or-later
/* Operations on system registers, and the simple loads. */
#include "guest.h"

#define X2APIC_SELF_IPI	0x83f

void op_rdmsr(struct guest_cpu *cpu)
{
	uint32_t lo = 0, hi = 0;

	asm volatile(TRY("rdmsr") : "+a"(lo), "+d"(hi) : "c"((uint32_t)cpu->arg[0])
		     : TRY_CLOBBERS);
	cpu->ret[0] = (uint64_t)hi << 32 | lo;
}

void op_wrmsr(struct guest_cpu *cpu)
{
	asm volatile(TRY("wrmsr") : : "c"((uint32_t)cpu->arg[0]), "a"((uint32_t)cpu->arg[1]),
		     "d"((uint32_t)(cpu->arg[1] >> 32)) : TRY_CLOBBERS);
}

void op_cpuid(struct guest_cpu *cpu)
{
	uint32_t a, b, c, d;

	asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d)
		     : "0"((uint32_t)cpu->arg[0]), "2"((uint32_t)cpu->arg[1]));
	cpu->ret[0] = a;
	cpu->ret[1] = b;
	cpu->ret[2] = c;
	cpu->ret[3] = d;
}

void op_load_cr3(struct guest_cpu *cpu)
{
	asm volatile(TRY("movq %[value], %%cr3") : : [value] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_invlpg(struct guest_cpu *cpu)
{
	asm volatile(TRY("invlpg (%[p])") : : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_load_cr8(struct guest_cpu *cpu)
{
	asm volatile(TRY("movq %0, %%cr8") : : "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_load_ds(struct guest_cpu *cpu)
{
	asm volatile(TRY("movw %w[value], %%ds") : : [value] "r"((uint32_t)cpu->arg[0])
		     : TRY_CLOBBERS);
}

void op_ltr(struct guest_cpu *cpu)
{
	asm volatile(TRY("ltr %w[value]") : : [value] "r"((uint32_t)cpu->arg[0])
		     : TRY_CLOBBERS);
}

void op_hlt(struct guest_cpu *cpu)
{
	(void)cpu;
	asm volatile("sti; hlt; cli" : : : "memory");
}

void op_rdtsc_spin(struct guest_cpu *cpu)
{
	uint64_t start = rdtsc();

	while (rdtsc() - start < cpu->arg[0] && !cpu->stop)
		cpu->progress++;
}

/* The instruction under test is the first one there. */
static uint64_t execute(struct guest_cpu *cpu)
{
	uint64_t rax = 0;

	cpu->insn = cpu->arg[0];
	asm volatile("movq %%rsp, %%r12\n\t"
		     "leaq 772f(%%rip), %%r11\n\t"
		     "movq %%r11, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"
		     "call *%[p]\n"
		     "772:\tmovq %%r12, %%rsp\n\t"
		     "movq $0, " CPU_MEM(GUEST_CPU_FIXUP)
		     : "+a"(rax) : [p] "r"(cpu->arg[0])
		     : "rcx", "rdx", "rdi", "r12", TRY_CLOBBERS);
	return rax;
}

void op_execute(struct guest_cpu *cpu)
{
	cpu->ret[0] = execute(cpu);
}

void op_execute_spin(struct guest_cpu *cpu)
{
	uint64_t n = 0;

	while (!cpu->faults && !cpu->stop && n < cpu->arg[1]) {
		execute(cpu);
		cpu->progress = ++n;
	}
	cpu->ret[0] = n - !!cpu->faults;
}

void op_adc_spin(struct guest_cpu *cpu)
{
	while (!cpu->stop) {
		asm volatile("stc; adcq $1, (%0)" : : "r"(cpu->arg[0]) : "memory", "cc");
		cpu->ret[0] = ++cpu->progress;
	}
}

void op_ipi_self(struct guest_cpu *cpu)
{
	uint32_t vector = cpu->arg[0];

	asm volatile("sti\n\t"
		     TRY("wrmsr")
		     "nop; nop; cli"
		     : : "c"(X2APIC_SELF_IPI), "a"(vector), "d"(0) : TRY_CLOBBERS);
}

/* VMCALL; KVM puts VMMCALL there on AMD, or emulates it. */
void op_hypercall(struct guest_cpu *cpu)
{
	uint64_t rax = cpu->arg[0];

	asm volatile(TRY("vmcall")
		     : "+a"(rax)
		     : "b"(cpu->arg[1]), "c"(cpu->arg[2]), "d"(cpu->arg[3]), "S"(cpu->arg[4])
		     : TRY_CLOBBERS);
	cpu->ret[0] = rax;
}

void op_cr8_spin(struct guest_cpu *cpu)
{
	uint64_t n;

	for (n = 0; !cpu->stop; n++) {
		asm volatile("movq %0, %%cr8" : : "r"(n & 15) : "memory");
		cpu->progress++;
	}
}

void op_fill(struct guest_cpu *cpu)
{
	uint64_t i;

	for (i = 0; i < cpu->arg[3]; i++)
		*(volatile uint64_t *)(cpu->arg[0] + i * cpu->arg[2]) = cpu->arg[1];
}
