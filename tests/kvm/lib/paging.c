// SPDX-License-Identifier: GPL-2.0-or-later
/* The guest's own page tables: four levels, and a fifth if asked for; 4 KiB leaves. */
#include "vm.h"

uint64_t vm_new_table(struct vm *vm)
{
	uint64_t gpa = vm->next_table;

	require(gpa < GUEST_PT_END, "no room for another page table");
	vm->next_table += PAGE_SIZE;
	return gpa;
}

/* The entry of @table that covers @gva at @level; level 1 holds 4 KiB leaves. */
static uint64_t entry_of(uint64_t table, uint64_t gva, int level)
{
	return table + ((gva >> (12 + 9 * (level - 1))) & 511) * 8;
}

static uint64_t walk(struct vm *vm, uint64_t gva, bool create)
{
	uint64_t table = vm->root5 ? vm->root5 : vm->cr3, *entry;
	int level;

	for (level = vm->root5 ? 5 : 4; level > 1; level--) {
		entry = vm_hva(vm, entry_of(table, gva, level));
		if (!(*entry & PTE_PRESENT)) {
			require(create, "no page table for %#llx", (unsigned long long)gva);
			*entry = vm_new_table(vm) | PTE_PRESENT | PTE_WRITE | PTE_USER |
				 PTE_ACCESSED;
		}
		table = *entry & PTE_FRAME;
	}
	return entry_of(table, gva, 1);
}

uint64_t vm_five_levels(struct vm *vm)
{
	uint64_t root5 = vm_new_table(vm), *root = vm_hva(vm, root5);

	/* Both halves are of one table, as they are with four levels. */
	root[0] = vm->cr3 | PTE_DEFAULT;
	root[511] = root[0];
	vm->root5 = root5;
	return root5;
}

void vm_map(struct vm *vm, uint64_t gva, uint64_t gpa, unsigned long pages, uint64_t bits)
{
	unsigned long i;

	for (i = 0; i < pages; i++) {
		uint64_t *pte = vm_hva(vm, walk(vm, gva + i * PAGE_SIZE, true));

		*pte = (gpa + i * PAGE_SIZE) | bits;
	}
}

uint64_t vm_pte(struct vm *vm, uint64_t gva)
{
	return walk(vm, gva, false);
}
