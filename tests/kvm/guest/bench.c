// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One instruction over and over, timed by the guest itself.  Under the lab's
 * emulator the TSC counts instructions, so the difference of two loops is what
 * their instructions cost beyond the one they are.
 *
 * arg0 = &enum guest_bench	arg1 = address	arg2 = iterations
 * arg3 = added to the address after each
 * ret0 = ticks; ret1 = exceptions
 */
#include "guest.h"

/* Both stores cost the guest the same instructions, whether they fault or not. */
#define STORE_BY(reg)								\
	asm volatile("xchgq %%rbp, %[q]\n\t"					\
		     TRY("movq %[v], (" reg ")")				\
		     "xchgq %%rbp, %[q]"					\
		     : [q] "+S"(q) : [p] "D"(p), [v] "a"(i) : TRY_CLOBBERS)

#define REPEAT(...)								\
	do {									\
		start = rdtsc();						\
		for (i = 0; i < n; i++, p += stride, q += stride)		\
			__VA_ARGS__;						\
		end = rdtsc();							\
	} while (0)

static void nothing(struct guest_cpu *cpu)
{
	(void)cpu;
}

/* A loop that has nothing else to do sees when it did not run, or was slow. */
static uint64_t longest_gap(const volatile uint64_t *stop)
{
	uint64_t before = rdtsc(), now, longest = 0;

	while (!*stop) {
		now = rdtsc();
		if (now - before > longest)
			longest = now - before;
		before = now;
		this_cpu()->progress++;
	}
	return longest;
}

void op_bench(struct guest_cpu *cpu)
{
	uint64_t p = cpu->arg[1], q = p, n = cpu->arg[2], stride = cpu->arg[3];
	uint64_t start = 0, end = 0, i, tmp;
	uint32_t a, b, c, d;

	switch (cpu->arg[0]) {
	case BENCH_NOTHING:
		REPEAT(asm volatile("movl $0, %%eax; movl $0, %%ecx; nop"
				    : "=a"(a), "=b"(b), "=c"(c), "=d"(d)));
		break;
	case BENCH_CPUID:
		REPEAT(asm volatile("movl $0, %%eax; movl $0, %%ecx; cpuid"
				    : "=a"(a), "=b"(b), "=c"(c), "=d"(d)));
		break;
	case BENCH_OUT:
		REPEAT(asm volatile("movl $0, %%eax; movl $0, %%ecx; outl %%eax, %%dx"
				    : "=a"(a), "=b"(b), "=c"(c)
				    : "d"((uint16_t)GUEST_PORT_BENCH) : "memory"));
		break;
	case BENCH_WBINVD:
		REPEAT(asm volatile("movl $0, %%eax; movl $0, %%ecx; wbinvd"
				    : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : : "memory"));
		break;
	case BENCH_STORE:
		REPEAT(STORE_BY("%[p]"));
		break;
	/* Through RBP an address that is not canonical raises #SS(0), which no
	 * hypervisor intercepts
	 */
	case BENCH_STORE_RBP:
		REPEAT(STORE_BY("%%rbp"));
		break;
	case BENCH_LOAD:
		REPEAT(asm volatile("movq (%[p]), %[t]" : [t] "=r"(tmp) : [p] "r"(p) : "memory"));
		break;
	case BENCH_VMASKMOV:
		REPEAT(asm volatile("vxorps %%ymm1, %%ymm1, %%ymm1\n\t"
				    "vcmpeqps %%ymm1, %%ymm1, %%ymm1\n\t"
				    TRY("vmaskmovps %%ymm0, %%ymm1, (%[p])")
				    : : [p] "r"(p) : TRY_CLOBBERS));
		break;
	case BENCH_CALL:
		REPEAT(asm volatile("movq %%rsp, %%r12\n\t"
				    "leaq 772f(%%rip), %%r11\n\t"
				    "movq %%r11, " CPU_MEM(GUEST_CPU_FIXUP) "\n\t"
				    "call *%[p]\n"
				    "772:\tmovq %%r12, %%rsp\n\t"
				    "movq $0, " CPU_MEM(GUEST_CPU_FIXUP)
				    : : [p] "r"(p) : "r12", TRY_CLOBBERS));
		break;
	case BENCH_USER:
		REPEAT(do_as_user(nothing, cpu));
		break;
	case BENCH_GAP:
		end = longest_gap((const volatile uint64_t *)p);
		break;
	}
	cpu->ret[0] = end - start;
	cpu->ret[1] = cpu->faults;
}
