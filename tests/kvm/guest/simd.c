// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stores, and loads, that KVM's emulator may not know: x87, SSE, AVX, state saves.  The agent
 * itself uses no vector register, so none is named as clobbered.
 */
#include "guest.h"

#define CR4_OSFXSR	(1UL << 9)
#define CR4_OSXMMEXCPT	(1UL << 10)
#define CR4_OSXSAVE	(1UL << 18)
#define CR0_EM		(1UL << 2)
#define CR0_MP		(1UL << 1)
#define CR0_TS		(1UL << 3)

static void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *a, uint32_t *b, uint32_t *c,
		  uint32_t *d)
{
	asm volatile("cpuid" : "=a"(*a), "=b"(*b), "=c"(*c), "=d"(*d) : "0"(leaf), "2"(subleaf));
}

/* Switch vector state on, as far as the CPU has it. */
void op_features(struct guest_cpu *cpu)
{
	uint32_t a, b, c, d, have = 1;
	uint64_t cr0, cr4;

	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	cr0 = (cr0 & ~(CR0_EM | CR0_TS)) | CR0_MP;
	asm volatile("movq %0, %%cr0" : : "r"(cr0));
	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	cr4 |= CR4_OSFXSR | CR4_OSXMMEXCPT;
	cpuid(1, 0, &a, &b, &c, &d);
	if (c & (1U << 26)) {
		cr4 |= CR4_OSXSAVE;
		have |= 4;
	}
	asm volatile("movq %0, %%cr4" : : "r"(cr4));
	if ((have & 4) && (c & (1U << 28))) {
		uint32_t state = 7;

		/* AVX512F, and room for its registers */
		cpuid(7, 0, &a, &b, &c, &d);
		if (b & (1U << 16)) {
			cpuid(0xd, 0, &a, &b, &c, &d);
			state |= a & 0xe0;
		}
		asm volatile("xsetbv" : : "a"(state), "d"(0), "c"(0));
		have |= state == 0xe7 ? 2 | 16 : 2;
	} else if (have & 4) {
		asm volatile("xsetbv" : : "a"(3), "d"(0), "c"(0));
	}
	asm volatile("fninit");
	cpuid(7, 0, &a, &b, &c, &d);
	if (c & (1U << 28))
		have |= 8;
	cpu->ret[0] = have;
}

#define XMM_STORE(insn)								\
	asm volatile("movq %[value], %%xmm0\n\t"				\
		     "punpcklqdq %%xmm0, %%xmm0\n\t"				\
		     TRY(insn " %%xmm0, (%[p])")				\
		     : : [p] "r"(cpu->arg[0]), [value] "r"(cpu->arg[1]) : TRY_CLOBBERS)

void op_movups(struct guest_cpu *cpu)
{
	XMM_STORE("movups");
}

void op_movdqu(struct guest_cpu *cpu)
{
	XMM_STORE("movdqu");
}

void op_movntdq(struct guest_cpu *cpu)
{
	XMM_STORE("movntdq");
}

void op_movss(struct guest_cpu *cpu)
{
	XMM_STORE("movss");
}

#define YMM_FILL							\
	"vmovq %[value], %%xmm0\n\t"					\
	"vpunpcklqdq %%xmm0, %%xmm0, %%xmm0\n\t"			\
	"vinsertf128 $1, %%xmm0, %%ymm0, %%ymm0\n\t"

void op_vmovdqu(struct guest_cpu *cpu)
{
	asm volatile(YMM_FILL TRY("vmovdqu %%ymm0, (%[p])")
		     : : [p] "r"(cpu->arg[0]), [value] "r"(cpu->arg[1]) : TRY_CLOBBERS);
}

void op_vmovdqu64(struct guest_cpu *cpu)
{
	asm volatile("vpbroadcastq %[value], %%zmm0\n\t"
		     TRY("vmovdqu64 %%zmm0, (%[p])")
		     : : [p] "r"(cpu->arg[0]), [value] "r"(cpu->arg[1]) : TRY_CLOBBERS);
}

void op_vmaskmov(struct guest_cpu *cpu)
{
	asm volatile(YMM_FILL
		     "vxorps %%ymm1, %%ymm1, %%ymm1\n\t"
		     "vcmpeqps %%ymm1, %%ymm1, %%ymm1\n\t"
		     TRY("vmaskmovps %%ymm0, %%ymm1, (%[p])")
		     : : [p] "r"(cpu->arg[0]), [value] "r"(cpu->arg[1]) : TRY_CLOBBERS);
}

void op_movdir64b(struct guest_cpu *cpu)
{
	uint64_t source[8];
	int i;

	for (i = 0; i < 8; i++)
		source[i] = cpu->arg[1];
	asm volatile(TRY("movdir64b (%[source]), %[p]")
		     : : [source] "r"(source), [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_fxsave(struct guest_cpu *cpu)
{
	asm volatile(TRY("fxsave64 (%[p])") : : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_xsave(struct guest_cpu *cpu)
{
	asm volatile(TRY("xsave64 (%[p])")
		     : : [p] "r"(cpu->arg[0]), "a"(3), "d"(0) : TRY_CLOBBERS);
}

/* As TRY(), with POPF right before the instruction. */
void op_xsave_flags(struct guest_cpu *cpu)
{
	uint64_t flags, dr6 = 0xffff0ff0;

	asm volatile("movq %0, %%dr6" : : "r"(dr6));
	asm volatile("leaq 772f(%%rip), %%r11\n\t"
		     "movq %%r11, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"
		     "leaq 771f(%%rip), %%r11\n\t"
		     "movq %%r11, " CPU_MEM(GUEST_CPU_INSN) "\n\t"
		     "pushfq; orq %[set], (%%rsp); popfq\n"
		     "771:\txsave64 (%[p])\n"
		     "772:\tpushfq; popq %[flags]\n\t"
		     "pushq %[clear]; popfq\n\t"
		     "movq $0, " CPU_MEM(GUEST_CPU_FIXUP)
		     : [flags] "=&r"(flags)
		     : [p] "r"(cpu->arg[0]), [set] "r"(cpu->arg[2]), "a"(3), "d"(0),
		       [clear] "r"(2UL)
		     : TRY_CLOBBERS);
	asm volatile("movq %%dr6, %0" : "=r"(dr6));
	cpu->ret[0] = dr6;
	cpu->ret[1] = flags;
}

void op_fnstenv(struct guest_cpu *cpu)
{
	asm volatile(TRY("fnstenv (%[p])") : : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_fstp(struct guest_cpu *cpu)
{
	asm volatile("fninit; fld1\n\t"
		     TRY("fstpl (%[p])")
		     "fninit" : : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_sgdt(struct guest_cpu *cpu)
{
	asm volatile(TRY("sgdt (%[p])") : : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_lidt(struct guest_cpu *cpu)
{
	asm volatile(TRY("lidt (%[p])") : : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
}

void op_fld(struct guest_cpu *cpu)
{
	uint64_t value = 0;

	asm volatile("fninit; fldz\n\t"
		     TRY("fldl (%[p])")
		     "fstpl %[value]; fninit"
		     : [value] "=m"(value) : [p] "r"(cpu->arg[0]) : TRY_CLOBBERS);
	cpu->ret[0] = value;
}
