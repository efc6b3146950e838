/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accesses under Linear Address Space Separation, and what the architecture says of each. */
#ifndef KVM_TEST_LASS_H
#define KVM_TEST_LASS_H

#include "lib/vcpu.h"

#define CR4_SMAP	(1UL << 21)
#define CR4_LASS	(1UL << 27)
#define CPUID_7_1_LASS	(1U << 6)	/* EAX */

/* A page in each half, and the last eight bytes of the upper one with the first of the lower. */
#define LOWER_PAGE	0x70000000UL
#define UPPER_PAGE	0xffff900000000000UL
#define TOP_PAGE	0xfffffffffffff000UL
#define OFFSET		0x100UL

/* What is there. */
#define LOWER_FRAME	(GUEST_ARENA + 2 * PAGE_SIZE)
#define UPPER_FRAME	(GUEST_ARENA + 3 * PAGE_SIZE)
#define TOP_FRAME	(GUEST_ARENA + 4 * PAGE_SIZE)
#define BOTTOM_FRAME	0UL
#define LEAF		(PTE_PRESENT | PTE_WRITE)

/* Every byte of the pages, once they are filled. */
#define RET		PROBE_FILLING

/* The last one is in the upper half but for its last byte. */
enum lass_place { LOWER, UPPER, WRAPPING, WRAPPING_LAST, NR_PLACES };

/** struct lass_row - one kind of access */
struct lass_row {
	enum guest_probe probe;
	uint8_t size;		/* in bytes, if it can wrap by the last of them */
	bool stack;		/* #SS, not #GP */
	bool fetch;
	bool implicit;
	bool exempt;
	bool kernel_only;	/* user mode may not */
	bool native_only;	/* KVM's emulator cannot */
	bool in_pieces;		/* the first of which is in the upper half if they wrap */
	bool aligned;		/* so it cannot wrap */
	bool unknown;		/* to KVM's emulator, which looks at its operand nevertheless */
	bool far;		/* a far transfer, whose selector is of the LDT if implicit */
};

/** struct lass_cell - one way to do it */
struct lass_cell {
	enum lass_place place;
	bool user, smap, ac, forced;
};

/** struct lass - a guest whose kernel is in the upper half, with the bit set */
struct lass {
	struct vm *vm;
	struct vcpu *v;
	unsigned int transfers;	/* of the last probe by a port */
};

/** lass_makes_sense - can it be tried, and does it tell anything? */
bool lass_makes_sense(const struct lass_row *row, const struct lass_cell *c, bool forbidden);

/** lass_is_forbidden - the architecture's rules */
bool lass_is_forbidden(const struct lass_row *row, const struct lass_cell *c);

/** lass_has - this CPU has LASS */
bool lass_has(struct vcpu *v);

/** lass_make_tables - the page tables that lass_map_pages() fills */
void lass_make_tables(struct vm *vm);

/** lass_begin - as at first, also after a cell that has gone wrong */
void lass_begin(struct lass *l);

/** lass_set_up - a new guest, with the bit set; KVM may be told to emulate */
void lass_set_up(struct lass *l);

/** lass_map_pages - pages that nobody has touched, for one side: no other check says no */
void lass_map_pages(struct lass *l, bool user);

/** lass_is_accessed - the page has been walked to */
bool lass_is_accessed(struct lass *l, uint64_t gva);

/** lass_byte_at - one byte of the pages under test */
uint8_t *lass_byte_at(struct lass *l, uint64_t address);

/** lass_put - what is to be read there */
void lass_put(struct lass *l, uint64_t address, const void *bytes, size_t n);

/** lass_fill_pages - with RET */
void lass_fill_pages(struct lass *l);

/** lass_probe - do it */
struct run lass_probe(struct lass *l, const struct lass_row *row, const struct lass_cell *c);

/** lass_cell_text - for a failure's words; until the next call */
const char *lass_cell_text(const struct lass_cell *c);

/** lass_check - do it, and judge; false if it is not as it should be */
bool lass_check(struct lass *l, const struct lass_row *row, const struct lass_cell *c);

#endif /* KVM_TEST_LASS_H */
