// SPDX-License-Identifier: GPL-2.0-only
/*
 * The restricted page table of a VM.
 *
 * It shares with init_mm's, at the top level, the kernel's image with modules and
 * fixmap, and the CPUs' entry areas: they are always there and follow what init_mm
 * does.  The user's half is empty.  In between is only what isolation_map() put there,
 * in tables of our own and by pages of 4 KiB, for a neighbour is not ours to map.
 *
 * A flush is never asked for: who loads the table flushes what was left of it.  What is
 * mapped from the vmalloc area has to be unmapped before it is freed, lest the address
 * means something else then; of the direct map, an address always means the same.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/vmalloc.h>
#include <asm/cpu_entry_area.h>
#include <asm/pgtable.h>
#include "internal.h"

/* Entries are alike at all levels (SDM vol. 3, "4-Level Paging"). */
#define ENTRIES		(PAGE_SIZE / sizeof(u64))
#define LEVEL_BITS	9

static unsigned int top_level(void)
{
	return pgtable_l5_enabled() ? 5 : 4;
}

static unsigned int index_at(unsigned long address, unsigned int level)
{
	return (address >> (PAGE_SHIFT + LEVEL_BITS * (level - 1))) & (ENTRIES - 1);
}

static u64 *table_of(u64 entry)
{
	return __va(entry & PTE_PFN_MASK);
}

static u64 *top_of(struct kvm_isolation *iso)
{
	return __va(iso->cr3 & CR3_ADDR_MASK);
}

/* Behind a last-level table is a page that counts who wants each entry. */
static u16 *users_of(u64 *pte)
{
	u64 *table = PTR_ALIGN_DOWN(pte, PAGE_SIZE);

	return (u16 *)(table + ENTRIES) + (pte - table);
}

static bool is_shared(unsigned int index)
{
	return index == pgd_index(__START_KERNEL_map) ||
	       index == pgd_index(CPU_ENTRY_AREA_BASE);
}

/* The last-level entry of an address; NULL if there is none, or no memory to make it. */
static u64 *walk(struct kvm_isolation *iso, unsigned long address, bool create)
{
	unsigned int level;
	u64 *table = top_of(iso);

	for (level = top_level(); level > 1; level--) {
		u64 *entry = &table[index_at(address, level)];
		unsigned int order = level == 2;
		unsigned long page;

		if (!(*entry & _PAGE_PRESENT)) {
			if (!create)
				return NULL;
			page = __get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, order);
			if (!page)
				return NULL;
			iso->tables += 1 << order;
			/* A CPU may walk it meanwhile. */
			WRITE_ONCE(*entry, __pa(page) | _KERNPG_TABLE);
		}
		table = table_of(*entry);
	}
	return &table[index_at(address, 1)];
}

static unsigned long pfn_of(unsigned long address)
{
	return is_vmalloc_addr((void *)address) ? vmalloc_to_pfn((void *)address) :
						  PHYS_PFN(__pa(address));
}

static void unmap_pages(struct kvm_isolation *iso, unsigned long address, unsigned long end)
{
	for (; address < end; address += PAGE_SIZE) {
		u64 *pte = walk(iso, address, false);

		if (WARN_ON_ONCE(!pte || !*users_of(pte)))
			continue;
		if (--*users_of(pte))
			continue;
		WRITE_ONCE(*pte, 0);
		iso->pages--;
	}
}

/**
 * isolation_map() - map an object
 * @iso: with its lock held
 * @start: in the direct map or the vmalloc area; what is shared is there anyway
 * @length: more than 0; pages that it touches are mapped whole
 *
 * What is mapped several times is there until it is unmapped as often.  0, or -ENOMEM and
 * nothing is mapped.
 */
int isolation_map(struct kvm_isolation *iso, unsigned long start, unsigned long length)
{
	unsigned long address, end = PAGE_ALIGN(start + length);
	pgprot_t prot = __pgprot(pgprot_val(PAGE_KERNEL) & ~_PAGE_GLOBAL);

	if (is_shared(pgd_index(start)))
		return 0;
	start = PAGE_ALIGN_DOWN(start);
	for (address = start; address < end; address += PAGE_SIZE) {
		unsigned long pfn = pfn_of(address);
		u64 *pte = walk(iso, address, true);

		if (!pte) {
			unmap_pages(iso, start, address);
			return -ENOMEM;
		}
		if (!(*users_of(pte))++)
			iso->pages++;
		WRITE_ONCE(*pte, pte_val(pfn_pte(pfn, prot)));
	}
	return 0;
}

/**
 * isolation_unmap() - undo isolation_map()
 * @iso: with its lock held
 * @start: as there
 * @length: as there
 */
void isolation_unmap(struct kvm_isolation *iso, unsigned long start, unsigned long length)
{
	if (!is_shared(pgd_index(start)))
		unmap_pages(iso, PAGE_ALIGN_DOWN(start), PAGE_ALIGN(start + length));
}

/**
 * isolation_is_mapped() - is all of it there?
 * @iso: with its lock held
 * @start: as in isolation_map()
 * @length: as there
 */
bool isolation_is_mapped(struct kvm_isolation *iso, unsigned long start, unsigned long length)
{
	unsigned long address, end = start + length;

	for (address = PAGE_ALIGN_DOWN(start); address < end; address += PAGE_SIZE) {
		u64 *pte;

		if (is_shared(pgd_index(address)))
			continue;
		pte = walk(iso, address, false);
		if (!pte || !(*pte & _PAGE_PRESENT) ||
		    PHYS_PFN(*pte & PTE_PFN_MASK) != pfn_of(address))
			return false;
	}
	return true;
}

#ifdef CONFIG_KVM_ISOLATION_PROBE
/**
 * isolation_hide() - for tests: have a page that is mapped be there, or not
 * @iso: of a vCPU that is not in a window, with interrupts off
 * @address: of the page
 * @hide: take it away, or give it back
 */
void isolation_hide(struct kvm_isolation *iso, unsigned long address, bool hide)
{
	u64 *pte = walk(iso, address, false);

	if (pte && *pte)
		WRITE_ONCE(*pte, hide ? *pte & ~_PAGE_PRESENT : *pte | _PAGE_PRESENT);
}
#endif

/**
 * isolation_create_table() - an empty table, but for what is shared
 * @iso: gets @cr3, without a PCID
 *
 * 0 or -ENOMEM.
 */
int isolation_create_table(struct kvm_isolation *iso)
{
	unsigned int i;
	u64 *top;

	/*
	 * Two pages even without PTI: the entry code takes bit 12 of CR3 for the user's
	 * table (PTI_USER_PGTABLE_BIT), and may not find it here.
	 */
	top = (u64 *)__get_free_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO, 1);
	if (!top)
		return -ENOMEM;
	for (i = ENTRIES / 2; i < ENTRIES; i++) {
		if (is_shared(i))
			top[i] = pgd_val(init_mm.pgd[i]);
	}
	iso->cr3 = __sme_pa(top);
	iso->tables = 2;
	return 0;
}

static void free_below(u64 *table, unsigned int level)
{
	unsigned int i;

	for (i = 0; level > 1 && i < ENTRIES; i++) {
		if (level == top_level() && is_shared(i))
			continue;
		if (!(table[i] & _PAGE_PRESENT))
			continue;
		free_below(table_of(table[i]), level - 1);
		free_pages((unsigned long)table_of(table[i]), level == 2);
	}
}

/**
 * isolation_free_table() - when no CPU can load it again
 * @iso: where isolation_create_table() worked
 */
void isolation_free_table(struct kvm_isolation *iso)
{
	free_below(top_of(iso), top_level());
	free_pages((unsigned long)top_of(iso), 1);
}
