// SPDX-License-Identifier: GPL-2.0-or-later
/* L1: the tables of nested paging, and what does not depend on the vendor. */
#include "guest.h"
#include "l1.h"

#define PAGE_SIZE	0x1000UL
#define HUGE_SIZE	0x200000UL
#define ENTRIES		512

/* Which one this CPU is; read by the L2 too, which has the same memory. */
static const struct l1_vendor *vendor;

static uint64_t l1_base(const struct guest_cpu *cpu)
{
	return L1_BASE((cpu_block(cpu) - GUEST_CPU_BASE) / GUEST_CPU_SIZE);
}

static const struct l1_vendor *find_vendor(void)
{
	uint32_t a, b, c, d;

	asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(1), "2"(0));
	if (c & 1U << 5)
		return &l1_vmx;
	asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "0"(0x80000001), "2"(0));
	return c & 1U << 2 ? &l1_svm : NULL;
}

static uint64_t *table(uint64_t base, uint64_t page)
{
	return (uint64_t *)(base + page);
}

/* Low memory and the arena, each where it is; the arena at L2_ARENA as well. */
static void make_tables(uint64_t base, uint32_t mode)
{
	const struct l1_vendor *v = vendor;
	uint64_t leaf = mode & L1_SPLITS ? v->leaf & ~HERE(v->user)() : v->leaf, i;

	table(base, L1_ROOT)[0] = (base + L1_PDPT) | v->table;
	table(base, L1_PDPT)[0] = (base + L1_PD_LOW) | v->table;
	table(base, L1_PDPT)[GUEST_ARENA >> 30] = (base + L1_PD_ARENA) | v->table;
	table(base, L1_PDPT)[L2_ARENA >> 30] = (base + L1_PD_ARENA) | v->table;
	for (i = 0; i < GUEST_LOW_SIZE / HUGE_SIZE; i++)
		table(base, L1_PD_LOW)[i] = i * HUGE_SIZE | leaf | v->huge;
	if (mode & L1_HUGE) {
		table(base, L1_PD_ARENA)[0] = GUEST_ARENA | leaf | v->huge;
		return;
	}
	table(base, L1_PD_ARENA)[0] = (base + L1_PT_ARENA) | v->table;
	for (i = 0; i < ENTRIES; i++)
		table(base, L1_PT_ARENA)[i] = (GUEST_ARENA + i * PAGE_SIZE) | leaf;
}

void op_nested_on(struct guest_cpu *cpu)
{
	vendor = find_vendor();
	if (!vendor)
		return;
	make_tables(l1_base(cpu), cpu->l2_mode);
	if (HERE(vendor->on)(cpu, l1_base(cpu)))
		cpu->ret[0] = vendor->number;
}

void op_nested_run(struct guest_cpu *cpu)
{
	/* An injected event that goes wrong ends up there too. */
	if (cpu->l2_mode & L1_INJECTS)
		cpu->fixup = (uint64_t)l2_start;
	HERE(vendor->run)(cpu, l1_base(cpu));
	/* The L2 may have been left in the middle of an instruction under test. */
	cpu->fixup = 0;
}

/* The stack that the L2 is entered with, which only an injected event uses. */
uint64_t l2_stack(struct guest_cpu *cpu)
{
	return cpu->l2_mode & L1_INJECTS ? cpu->arg[0] : here(cpu_block(cpu) + GUEST_L2_TOP);
}

static void do_in_user_mode(struct guest_cpu *cpu)
{
	agent_do(cpu, cpu->l2_op);
}

void l2_main(struct guest_cpu *cpu)
{
	cpu->fixup = 0;
	cpu->l2_cr3 = READ_CR(3);
	if (cpu->l2_mode & L1_USER)
		do_as_user(do_in_user_mode, cpu);
	else
		agent_do(cpu, cpu->l2_op);
	for (;;) {
		if (vendor == &l1_vmx)
			asm volatile("vmcall" : : : "memory");
		else
			asm volatile("vmmcall" : : : "memory");
	}
}
