/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of how the lab's CPU treats an instruction: run a few in some mode and
 * see what exception ended them. Paging, GDT, IDT and TSS are the test's own; the
 * first GiB is there one to one and again in the upper half, and the system's
 * structures lie so that they reach over the end of the address space: GDT and IDT
 * start in its last page, vector 0x80 and selector 0x1000 are at the address 0, and so
 * is the bitmap of I/O ports, if it is put there.
 */
#include "bare.h"

#define UPPER	  0xffff800000000000UL
/* The last page, and where it is in memory; the page at 0 is behind it */
#define TOP	  (-PAGE)
#define TOP_FRAME 0x1000000UL
#define LOW_FRAME (TOP_FRAME + PAGE)

/* In the last page, below TSS; the GDT's are selectors */
#define CODE32	     0x08
#define DATA	     0x10
#define CODE64	     0x18
#define USER_CODE32  0x23
#define USER_DATA    0x2b
#define USER_CODE64  0x33
#define CPL1_DATA    0x39
#define CPL1_CODE64  0x41
#define TSS_SEL	     0x48
#define LDT_SEL	     0x58
#define IDT	     0x800
#define TSS	     0xf80
/* In the page at 0 */
#define GDT_LOW	     0xf00
#define GDT_LOW_SEL  0x1f03
#define VECTOR_LOW   0x82
/* A vector in the last page, and one whose frame is put on the stack that is in use */
#define VECTOR_UPPER 0x21
#define VECTOR_SAME  0x20

/* Pages of the test, by linear addresses in the lower half, and frames: its code, a stack, data */
#define CODE_PAGE  0x1200000UL
#define STACK_PAGE 0x1201000UL
#define CELL_PAGE  0x1202000UL
#define STACK_TOP  (STACK_PAGE + PAGE)

/* Data, both for supervisor and user */
#define DESCRIPTOR 0x00cff3000000ffffUL

#define P 1ull
#define W 2ull
#define U 4ull
#define A (1ull << 5)
#define D (1ull << 6)

#define AC	    (1ul << 18)
#define CR4_OSXSAVE (1ul << 18)
#define CR4_SMAP    (1ul << 21)

#define UD 6
#define NP 11
#define SS 12
#define GP 13
#define PF 14

/* How to start (read by probe.S) */
struct shot {
	uint64_t rip, cs, rflags, rsp, ss, cr4, rax, rbx, rcx, rdx, rsi, rdi, rbp, r11;
};

/* What ended it (written by probe.S); CR2 is set from here before */
struct got {
	uint64_t vector, error, rip, cs, rflags, rsp, unused, cr2, rax, rbx, rcx;
};

struct shot shot;
struct got got;

struct mode {
	const char *name;
	uint16_t cs, ss;
	uint8_t cpl;
};

enum { CPL0, CPL1, CPL3, COMPAT3, COMPAT0 };
static const struct mode modes[] = {
	[CPL0] = { "CPL 0", CODE64, DATA, 0 },
	[CPL1] = { "CPL 1", CPL1_CODE64, CPL1_DATA, 1 },
	[CPL3] = { "CPL 3", USER_CODE64, USER_DATA, 3 },
	[COMPAT3] = { "CPL 3, 32-bit", USER_CODE32, USER_DATA, 3 },
	[COMPAT0] = { "CPL 0, 32-bit", CODE32, DATA, 0 },
};

/* What CR2 is before, and what is foretold: of a page fault a range of CR2 */
#define SENTINEL 0x123456789000UL
static struct {
	uint64_t vector, error, cr2, cr2_range, rip;
} want;

/* Run it until an exception, which is left in `got`. Also flushes the TLB. */
void probe(void);
extern const uint8_t stubs[][16];
/* MOV to CR4 from RAX, then an undefined instruction */
extern const char move_cr4[];

/* As many tables as the tests need, and some more */
static PAGE_ALIGNED uint64_t pool[32][512];
static unsigned int pool_used;
static uint64_t *root;
static int levels = 4;
static PAGE_ALIGNED uint8_t exception_stack[PAGE], probe_stack[PAGE];
static const char *name;

static inline uint64_t *new_table(void)
{
	return pool[pool_used++];
}

/* The entry of that address on a level: 1 is of a page, 2 of 2 MiB */
static inline uint64_t *entry(uint64_t address, int level)
{
	uint64_t *table = root, *e, i;
	int l;

	for (l = levels;; l--) {
		e = &table[address >> (12 + 9 * (l - 1)) & 511];
		if (l == level)
			return e;
		if (!(*e & P)) {
			*e = (uint64_t)new_table() | P | W | U;
		} else if (l == 2 && *e & 0x80) {
			table = new_table();
			for (i = 0; i < 512; i++)
				table[i] = ((*e & ~0xfffull) + i * PAGE) | P | W;
			*e = (uint64_t)table | P | W | U;
		}
		table = (uint64_t *)(*e & 0xffffffffff000);
	}
}

/* Map a page; bits: U or none. Its A and D are clear, the TLB is not flushed. */
static inline void map(uint64_t address, uint64_t frame, uint64_t bits)
{
	*entry(address, 1) = frame | P | W | bits;
}

static inline void load_cr3(uint64_t cr3)
{
	asm volatile("movq %0, %%cr3" : : "r"(cr3) : "memory");
}

static inline uint64_t read_cr4(void)
{
	uint64_t cr4;

	asm volatile("movq %%cr4, %0" : "=r"(cr4));
	return cr4;
}

static inline void write_cr4(uint64_t cr4)
{
	asm volatile("movq %0, %%cr4" : : "r"(cr4) : "memory");
}

static inline void cpuid(uint32_t leaf, uint32_t subleaf, uint32_t *eax, uint32_t *ecx)
{
	uint32_t ebx, edx;

	*eax = leaf;
	*ecx = subleaf;
	asm volatile("cpuid" : "+a"(*eax), "=b"(ebx), "+c"(*ecx), "=d"(edx));
}

static inline void copy(void *to, const void *from, const void *from_end)
{
	const uint8_t *p = from;
	uint8_t *q = to;

	while (p < (const uint8_t *)from_end)
		*q++ = *p++;
}

static inline void gate(uint8_t *table, int vector, int ist)
{
	uint64_t *g = (uint64_t *)(table + vector * 16);
	uint64_t to = (uint64_t)stubs[vector] + UPPER;

	g[0] = (to & 0xffff) | CODE64 << 16 | (uint64_t)ist << 32 | 0xeeull << 40 |
	       (to >> 16 & 0xffff) << 48;
	g[1] = to >> 32;
}

/* A descriptor of 16 bytes */
static inline void system_descriptor(uint16_t selector, uint64_t base, uint32_t limit, uint8_t type)
{
	uint64_t *d = (uint64_t *)(TOP_FRAME + selector);

	d[0] = (limit & 0xffff) | (base & 0xffffff) << 16 | (uint64_t)(0x80 | type) << 40 |
	       (uint64_t)(limit >> 16) << 48 | (base >> 24 & 0xff) << 56;
	d[1] = base >> 32;
}

static inline void load_ldt(uint64_t base)
{
	system_descriptor(LDT_SEL, base, 0xfff, 2);
	asm volatile("lldt %0" : : "r"((uint16_t)LDT_SEL) : "memory");
}

/* Where the bitmap of I/O ports starts, in bytes from the TSS (up to 0x1000) */
static inline void set_io_base(uint16_t offset)
{
	*(uint16_t *)(TOP_FRAME + TSS + 102) = offset;
}

static inline void probe_tables(void)
{
	uint64_t i;

	root = new_table();
	for (i = 0; i < 512; i++) {
		*entry(i << 21, 2) = i << 21 | 0x83;
		*entry(UPPER + (i << 21), 2) = i << 21 | 0x83;
	}
	map(TOP, TOP_FRAME, 0);
	map(0, LOW_FRAME, 0);
	load_cr3((uint64_t)root);
}

static inline void probe_init(void)
{
	/* By selector, all of 4 GiB and accessed */
	static const uint64_t segments[] = {
		[CODE32 / 8] = 0x00cf9b000000ffff,    [DATA / 8] = 0x00cf93000000ffff,
		[CODE64 / 8] = 0x00af9b000000ffff,    [USER_CODE32 / 8] = 0x00cffb000000ffff,
		[USER_DATA / 8] = 0x00cff3000000ffff, [USER_CODE64 / 8] = 0x00affb000000ffff,
		[CPL1_DATA / 8] = 0x00cfb3000000ffff, [CPL1_CODE64 / 8] = 0x00afbb000000ffff,
	};
	uint8_t *top = (uint8_t *)TOP_FRAME, *low = (uint8_t *)LOW_FRAME;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) pointer;
	uint64_t i;

	for (i = 0; i < PAGE; i++)
		top[i] = low[i] = 0;
	probe_tables();
	for (i = 0; i < sizeof(segments) / sizeof(*segments); i++)
		((uint64_t *)top)[i] = segments[i];
	*(uint64_t *)(low + GDT_LOW) = DESCRIPTOR;
	for (i = 0; i < 32; i++)
		gate(top + IDT, i, 1);
	gate(top + IDT, VECTOR_SAME, 0);
	gate(top + IDT, VECTOR_UPPER, 1);
	gate(low - (PAGE - IDT), VECTOR_LOW, 1);
	/* RSP0 and IST1 */
	*(uint64_t *)(top + TSS + 0x04) =
		(uint64_t)exception_stack + sizeof(exception_stack) + UPPER;
	*(uint64_t *)(top + TSS + 0x24) = *(uint64_t *)(top + TSS + 0x04);
	system_descriptor(TSS_SEL, TOP + TSS, 0x7ff, 9);
	pointer.limit = 0x1fff;
	pointer.base = TOP;
	asm volatile("lgdt %0" : : "m"(pointer) : "memory");
	pointer.limit = 0x90 * 16 - 1;
	pointer.base = TOP + IDT;
	asm volatile("lidt %0" : : "m"(pointer) : "memory");
	asm volatile("ltr %0" : : "r"((uint16_t)TSS_SEL) : "memory");
}

/* Run it from there in the program's own mode, CPL 0, but in the upper half */
static inline void probe_here(const void *rip, uint64_t rax, uint64_t cr4)
{
	shot = (struct shot){ .rip = (uint64_t)rip + UPPER,
			      .cs = CODE64,
			      .ss = DATA,
			      .rflags = 2,
			      .rsp = (uint64_t)probe_stack + sizeof(probe_stack) + UPPER,
			      .cr4 = cr4,
			      .rax = rax };
	probe();
}

/* Does MOV to CR4 end in #GP(0)? */
static inline bool cr4_refused(uint64_t cr4)
{
	probe_here(move_cr4, cr4, read_cr4());
	return got.vector == GP && !got.error && got.rip == (uint64_t)move_cr4 + UPPER;
}

/* The next probe in that mode, of what is at an offset of the page with the code */
static inline void start_at(const struct mode *mode, uint64_t offset)
{
	uint64_t half = mode->cpl == 3 ? 0 : UPPER;

	shot = (struct shot){ .cs = mode->cs, .ss = mode->ss, .rflags = 2 };
	shot.rip = CODE_PAGE + half + offset;
	shot.rsp = STACK_TOP + half;
	shot.cr4 = read_cr4();
	got.cr2 = SENTINEL;
}

static inline bool as_foretold(void)
{
	return got.vector == want.vector && got.error == want.error &&
	       got.cr2 - want.cr2 <= want.cr2_range && got.rip == want.rip && got.cs == shot.cs;
}

/* What came, and what was wanted */
static inline void put_probe(void)
{
	put_pair("vector ", got.vector);
	put_pair(" error ", got.error);
	put_pair(" rip ", got.rip);
	put_pair(" cs ", got.cs);
	put_pair(" cr2 ", got.cr2);
	put_pair(" wanted: vector ", want.vector);
	put_pair(" error ", want.error);
	put_pair(" rip ", want.rip);
	put_pair(" cr2 ", want.cr2);
	put(REPORT, "\n");
}

/* Put the code there, for all modes, with a stack, and switch AVX on */
static inline void prepare_code(const void *code, const void *code_end)
{
	copy((void *)CODE_PAGE, code, code_end);
	map(CODE_PAGE, CODE_PAGE, U);
	map(STACK_PAGE, STACK_PAGE, U);
	write_cr4(read_cr4() | CR4_OSXSAVE);
	asm volatile("xsetbv" : : "a"(7), "d"(0), "c"(0));
	set_io_base(0x7ff);
}

/* Masks of ones and an index of zeros, which a gather uses up */
static inline void set_vectors(void)
{
	asm volatile("vpcmpeqd %ymm1, %ymm1, %ymm1\n\t"
		     "vpcmpeqd %xmm2, %xmm2, %xmm2\n\t"
		     "vpxor %xmm3, %xmm3, %xmm3");
}
