// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Has the lab's CPU AMD's Guest Mode Execute Trap (GMET) as the architecture
 * describes it (APM vol. 2, "Guest Mode Execute Trap Extension", and of "Nested
 * Paging" the sections on table walks, on faults and on attributes)? A hypervisor
 * without anything around it: its guest executes, reads and writes pages that the
 * nested page tables give it. Not a test of Merlon: of what it stands on.
 */
#include "bare.h"

/* The pages under test: 2 MiB with a nested page table of their own */
#define TEST   0x1000000UL
#define CELL   (TEST + 0 * PAGE)
#define NEXT   (TEST + 1 * PAGE)
#define TABLE  (TEST + 2 * PAGE) /* a page table of the guest, for BY_TABLE */
#define LARGE  0x1200000UL	  /* a large page under test */
#define TARGET 0x1400000UL	  /* what BY_TABLE is */
/* The guest has the first GiB one to one, its own user pages, and again here, not user */
#define SUPERVISOR 0x40000000UL
#define BY_TABLE   0x80000000UL

/* A page under test: code (svm.S), and a word of data */
#define STOP	0x000
#define SYSCALL 0x010
#define SYSRET	0x020
#define DATA	0x800
#define WORD	0x5a5a5a5aUL

#define P	 1ull
#define W	 2ull
#define U	 4ull
#define A_AND_D	 (3ull << 5)
#define PS	 (1ull << 7)
#define NX	 (1ull << 63)
#define ALL	 (P | W | U | A_AND_D)

/* The VMCB, APM vol. 2 appendix B */
#define EXCEPTIONS    0x008
#define INTERCEPTS    0x00c
#define INTERCEPTS2   0x010
#define ASID	      0x058
#define TLB_CONTROL   0x05c
#define EXITCODE      0x070
#define EXITINFO1     0x078
#define EXITINFO2     0x080
#define EXITINTINFO   0x088
#define NESTED	      0x090
#define NCR3	      0x0b0
#define GUEST_ES      0x400
#define GUEST_CS      0x410
#define GUEST_SS      0x420
#define GUEST_GDTR    0x460
#define GUEST_IDTR    0x480
#define GUEST_CPL     0x4c8 /* its byte 3 */
#define GUEST_EFER    0x4d0
#define GUEST_CR4     0x548
#define GUEST_CR3     0x550
#define GUEST_CR0     0x558
#define GUEST_DR7     0x560
#define GUEST_DR6     0x568
#define GUEST_RFLAGS  0x570
#define GUEST_RIP     0x578
#define GUEST_RSP     0x5d8
#define GUEST_RAX     0x5f8
#define GUEST_PAT     0x668

#define NP_ENABLE   1u
#define GMET_ENABLE 8u
#define FLUSH_ALL   1u

#define EXIT_PF	     0x4e
#define EXIT_VMMCALL 0x81
#define EXIT_NPF     0x400

/* EXITINFO1 of a nested page fault */
#define PRESENT 1ull
#define WRITE	2ull
#define USER	4ull
#define FETCH	16ull
#define FINAL	(1ull << 32)
#define WALK	(1ull << 33)

#define MSR_EFER   0xc0000080
#define MSR_STAR   0xc0000081
#define MSR_LSTAR  0xc0000082
#define MSR_SFMASK 0xc0000084
#define MSR_HSAVE  0xc0010117
#define EFER_SCE   (1u << 0)
#define EFER_LONG  (5u << 8)
#define EFER_NXE   (1u << 11)
#define EFER_SVME  (1u << 12)

/* svm.S */
extern const char guest_read[], guest_read_done[], guest_write[], guest_write_done[];
extern const char guest_touch[], guest_jump[], guest_raise[];
extern const uint8_t page_code[], page_code_end[];

static PAGE_ALIGNED union {
	uint32_t d[PAGE / 4];
	uint64_t q[PAGE / 8];
} vmcb;
#define FIELD32(offset) vmcb.d[(offset) / 4]
#define FIELD(offset)	vmcb.q[(offset) / 8]

static PAGE_ALIGNED uint8_t host_save[PAGE];
/*
 * Without GMET and with it: PML4, PDPT, PD. The guest's code has to be a user page
 * without it, and must not be one with it. The page table of TEST is for both.
 */
static PAGE_ALIGNED uint64_t nested[2][3][512];
static PAGE_ALIGNED uint64_t nested_test[512];
/* The guest's: PML4, PDPT, PD, and the PD of SUPERVISOR */
static PAGE_ALIGNED uint64_t guest_tables[4][512];
static PAGE_ALIGNED uint64_t idt[512];
static PAGE_ALIGNED uint8_t guest_stack[2 * PAGE];

/* Who accesses a page: the CPL is what counts */
struct mode {
	const char *name;
	uint8_t cpl;
	bool no_paging;
	bool user_page; /* in the guest's own tables */
};

static const struct mode cpl0 = { "CPL 0", 0, false, false };
static const struct mode cpl3 = { "CPL 3", 3, false, true };
static const struct mode modes[] = {
	{ "CPL 0", 0, false, false },
	{ "CPL 0, a user page of the guest's", 0, false, true },
	{ "CPL 1", 1, false, false },
	{ "CPL 2", 2, false, false },
	{ "CPL 3", 3, false, true },
	{ "CPL 0, the guest's paging off", 0, true, false },
	{ "CPL 3, the guest's paging off", 3, true, false },
};

static bool gmet;
static const char *name;

static struct {
	uint64_t code, info1, info2, interrupted, rip, rax;
	unsigned int cpl;
} out;

static void point(bool ok)
{
	if (report(ok, name))
		return;
	put_pair("# code ", out.code);
	put_pair(" info1 ", out.info1);
	put_pair(" info2 ", out.info2);
	put_pair(" interrupted ", out.interrupted);
	put_pair(" rip ", out.rip);
	put_pair(" rax ", out.rax);
	put_pair(" cpl ", out.cpl);
	put(REPORT, "\n");
}

static void enter(void)
{
	asm volatile("vmrun" : : "a"(&vmcb) : "rcx", "r11", "cc", "memory");
	out.code = FIELD(EXITCODE);
	out.info1 = FIELD(EXITINFO1);
	out.info2 = FIELD(EXITINFO2);
	out.interrupted = FIELD(EXITINTINFO);
	out.rip = FIELD(GUEST_RIP);
	out.rax = FIELD(GUEST_RAX);
	out.cpl = FIELD32(GUEST_CPL) >> 24;
}

/* Selector, attributes and limit; the base is 0 */
static void segment(unsigned int field, uint16_t selector, uint16_t attributes)
{
	FIELD(field) = selector | (uint32_t)attributes << 16 | 0xffffffffull << 32;
	FIELD(field + 8) = 0;
}

static void run(const struct mode *mode, const void *rip, uint64_t rax)
{
	uint16_t dpl = mode->cpl << 5;

	segment(GUEST_CS, 0x18 | mode->cpl, (mode->no_paging ? 0xc9b : 0xa9b) | dpl);
	segment(GUEST_SS, 0x10 | mode->cpl, 0xc93 | dpl);
	FIELD32(GUEST_CPL) = (uint32_t)mode->cpl << 24;
	FIELD(GUEST_EFER) = EFER_SVME | (mode->no_paging ? 0 : EFER_LONG | EFER_SCE);
	FIELD(GUEST_CR0) = mode->no_paging ? 0x31 : 0x80000031; /* without WP */
	FIELD(GUEST_CR4) = 0x20;
	FIELD(GUEST_CR3) = (uint64_t)guest_tables[0];
	FIELD(GUEST_RFLAGS) = 2;
	FIELD(GUEST_RIP) = (uint64_t)rip;
	FIELD(GUEST_RSP) = (uint64_t)guest_stack + sizeof(guest_stack);
	FIELD(GUEST_RAX) = rax;
	FIELD(NESTED) = NP_ENABLE | (gmet ? GMET_ENABLE : 0);
	FIELD(NCR3) = (uint64_t)nested[gmet][0];
	FIELD(EXITCODE) = 0;
	enter();
}

/* It came to VMMCALL there. */
static bool stopped(const void *rip, unsigned int cpl)
{
	return out.code == EXIT_VMMCALL && out.rip == (uint64_t)rip && out.cpl == cpl;
}

static bool fault(uint64_t info1, uint64_t gpa, const void *rip, unsigned int cpl)
{
	return out.code == EXIT_NPF && out.info1 == info1 && out.info2 == gpa &&
	       out.rip == (uint64_t)rip && out.cpl == cpl && !(out.interrupted >> 31 & 1);
}

/* All accesses are user's; with GMET it is told who makes them. */
static uint64_t user_bit(const struct mode *mode)
{
	return !gmet || mode->cpl == 3 ? USER : 0;
}

static uint32_t *word(uint64_t page)
{
	return (uint32_t *)(page + DATA);
}

/* A page of the guest: the code and the word */
static void fill(uint64_t page)
{
	const uint8_t *p = page_code;
	uint8_t *to = (uint8_t *)page;

	while (p < page_code_end)
		*to++ = *p++;
	*word(page) = WORD;
}

static void set(uint64_t page, uint64_t bits)
{
	nested_test[(page - TEST) / PAGE] = page | bits;
}

static uint64_t linear(const struct mode *mode, uint64_t page)
{
	return page + (mode->no_paging || mode->user_page ? 0 : SUPERVISOR);
}

static bool fetches(const struct mode *mode, uint64_t page)
{
	const void *rip = (void *)linear(mode, page);

	run(mode, rip, 0);
	return stopped(rip, mode->cpl);
}

/* With GMET it is told wrongly of a fetch: erratum 1218, which the emulator has on purpose. */
#define WRONGLY_USER	USER

/* info1: but for whose access it is */
static bool fetch_faults(const struct mode *mode, uint64_t page, uint64_t info1)
{
	const void *rip = (void *)linear(mode, page);
	uint64_t user = gmet ? user_bit(mode) ^ USER : user_bit(mode);

	run(mode, rip, 0);
	return fault(info1 | user | FETCH | FINAL, page, rip, mode->cpl);
}

static bool reads(const struct mode *mode, uint64_t page)
{
	run(mode, guest_read, linear(mode, page) + DATA);
	return stopped(guest_read_done, mode->cpl) && out.rax == WORD;
}

static bool read_faults(const struct mode *mode, uint64_t page, uint64_t info1)
{
	run(mode, guest_read, linear(mode, page) + DATA);
	return fault(info1 | user_bit(mode) | FINAL, page + DATA, guest_read, mode->cpl);
}

static bool writes(const struct mode *mode, uint64_t page)
{
	uint64_t p = linear(mode, page) + DATA;
	bool ok;

	run(mode, guest_write, p);
	ok = stopped(guest_write_done, mode->cpl) && *word(page) == p;
	*word(page) = WORD;
	return ok;
}

static bool write_faults(const struct mode *mode, uint64_t page, uint64_t info1)
{
	run(mode, guest_write, linear(mode, page) + DATA);
	return fault(info1 | user_bit(mode) | WRITE | FINAL, page + DATA, guest_write, mode->cpl) &&
	       *word(page) == WORD;
}

/*
 * May it fetch, read, write: x where not. Without GMET any access needs a user page.
 * With it U/S is only about fetches (table "GMET Page Configuration"). NX forbids these
 * to all, either way.
 */
static const struct row {
	bool gmet;
	uint64_t bits;
	const char *supervisor, *user, *name;
} rows[] = {
	{ false, 0,	 "xxx", "xxx", "GMET off, U=0 NX=0: " },
	{ false, NX,	 "xxx", "xxx", "GMET off, U=0 NX=1: " },
	{ false, U,	 "...", "...", "GMET off, U=1 NX=0: " },
	{ false, U | NX, "x..", "x..", "GMET off, U=1 NX=1: " },
	{ true,	 0,	 "...", "...", "GMET on, U=0 NX=0: " },
	{ true,	 NX,	 "x..", "x..", "GMET on, U=0 NX=1: " },
	{ true,	 U,	 "x..", "...", "GMET on, U=1 NX=0: " },
	{ true,	 U | NX, "x..", "x..", "GMET on, U=1 NX=1: " },
};

static void test_cells(void)
{
	const struct mode *mode;
	const struct row *row;
	const char *verdict;
	char line[100], *end;
	const char *p;
	bool ok;

	for (row = rows; row < rows + sizeof(rows) / sizeof(*rows); row++) {
		gmet = row->gmet;
		set(CELL, (ALL & ~U) | row->bits);
		for (mode = modes; mode < modes + sizeof(modes) / sizeof(*modes); mode++) {
			end = line;
			for (p = row->name; *p; p++)
				*end++ = *p;
			for (p = mode->name; *p; p++)
				*end++ = *p;
			*end = 0;
			name = line;
			verdict = mode->cpl == 3 ? row->user : row->supervisor;
			ok = verdict[0] == '.' ? fetches(mode, CELL) :
						 fetch_faults(mode, CELL, PRESENT);
			ok = ok && (verdict[1] == '.' ? reads(mode, CELL) :
							read_faults(mode, CELL, PRESENT));
			ok = ok && (verdict[2] == '.' ? writes(mode, CELL) :
							write_faults(mode, CELL, PRESENT));
			point(ok);
		}
	}
}

/* Rights that GMET leaves alone. The guest's CR0.WP is off, which does not matter here. */
static void test_rights(void)
{
	static const char *const names[2][2] = {
		{ "GMET off: a page that is not there", "GMET off: a page that is not writable" },
		{ "GMET on: a page that is not there", "GMET on: a page that is not writable" },
	};
	int on;

	for (on = 0; on < 2; on++) {
		gmet = on;
		name = names[on][0];
		set(CELL, (on ? ALL & ~U : ALL) & ~P);
		point(fetch_faults(&cpl0, CELL, 0) && read_faults(&cpl0, CELL, 0) &&
		      write_faults(&cpl0, CELL, 0) && fetch_faults(&cpl3, CELL, 0) &&
		      read_faults(&cpl3, CELL, 0) && write_faults(&cpl3, CELL, 0));
		name = names[on][1];
		set(CELL, (on ? ALL & ~U : ALL) & ~W);
		point(fetches(&cpl0, CELL) && reads(&cpl0, CELL) &&
		      write_faults(&cpl0, CELL, PRESENT) && fetches(&cpl3, CELL) &&
		      reads(&cpl3, CELL) && write_faults(&cpl3, CELL, PRESENT));
	}
}

/* A user page is one by the entries of all levels. */
static void test_levels(void)
{
	static const char *const names[] = {
		"GMET on: with U=0 in the PML4 all pages are the supervisor's",
		"GMET on: with U=0 in the PDPT all pages are the supervisor's",
		"GMET on: with U=0 in the PD all pages are the supervisor's",
	};
	uint64_t *entries[] = { &nested[1][0][0], &nested[1][1][0], &nested[1][2][TEST >> 21] };
	int i;

	gmet = true;
	set(CELL, ALL);
	for (i = 0; i < 3; i++) {
		name = names[i];
		*entries[i] &= ~U;
		point(fetches(&cpl0, CELL) && fetches(&cpl3, CELL) && writes(&cpl0, CELL));
		*entries[i] |= U;
	}
	name = "GMET on: NX in the PD";
	*entries[2] |= NX;
	set(NEXT, ALL & ~U);
	point(fetch_faults(&cpl0, CELL, PRESENT) && fetch_faults(&cpl3, CELL, PRESENT) &&
	      fetch_faults(&cpl0, NEXT, PRESENT) && fetch_faults(&cpl3, NEXT, PRESENT));
	*entries[2] &= ~NX;

	name = "GMET on: a large user page";
	nested[1][2][LARGE >> 21] = LARGE | ALL | PS;
	point(fetch_faults(&cpl0, LARGE, PRESENT) && fetches(&cpl3, LARGE) &&
	      reads(&cpl0, LARGE) && writes(&cpl0, LARGE));
	name = "GMET on: a large page of the supervisor's";
	nested[1][2][LARGE >> 21] = LARGE | (ALL & ~U) | PS;
	point(fetches(&cpl0, LARGE) && fetches(&cpl3, LARGE) && writes(&cpl3, LARGE));
	name = "GMET on: a large page with NX";
	nested[1][2][LARGE >> 21] |= NX;
	point(fetch_faults(&cpl0, LARGE, PRESENT) && fetch_faults(&cpl3, LARGE, PRESENT) &&
	      reads(&cpl0, LARGE));
}

static bool by_table(const struct mode *mode)
{
	const void *rip = (void *)BY_TABLE;

	run(mode, rip, 0);
	if (!stopped(rip, mode->cpl))
		return false;
	run(mode, guest_read, BY_TABLE + DATA);
	return stopped(guest_read_done, mode->cpl) && out.rax == WORD;
}

/* Not even a fetch makes the walk one. */
static bool walk_faults(const struct mode *mode, uint64_t info1)
{
	const void *rip = (void *)BY_TABLE;

	run(mode, rip, 0);
	if (!fault(info1 | WRITE | USER | WALK, TABLE, rip, mode->cpl))
		return false;
	run(mode, guest_read, BY_TABLE + DATA);
	return fault(info1 | WRITE | USER | WALK, TABLE, guest_read, mode->cpl);
}

/* Walks of the guest's page tables are user's writes, for whatever access. */
static void test_walks(void)
{
	*(uint64_t *)TABLE = TARGET | ALL | PS;
	gmet = false;
	name = "GMET off: a page table of the guest's that is not a user page";
	set(TABLE, ALL & ~U);
	point(walk_faults(&cpl0, PRESENT) && walk_faults(&cpl3, PRESENT));
	name = "GMET off: such a page with NX";
	set(TABLE, ALL | NX);
	point(by_table(&cpl0) && by_table(&cpl3));

	gmet = true;
	name = "GMET on: a page table of the guest's with U=0 NX=0";
	set(TABLE, ALL & ~U);
	point(by_table(&cpl0) && by_table(&cpl3));
	name = "GMET on: a page table of the guest's with U=0 NX=1";
	set(TABLE, (ALL & ~U) | NX);
	point(by_table(&cpl0) && by_table(&cpl3));
	name = "GMET on: a page table of the guest's with U=1 NX=0";
	set(TABLE, ALL);
	point(by_table(&cpl0) && by_table(&cpl3));
	name = "GMET on: a page table of the guest's with U=1 NX=1";
	set(TABLE, ALL | NX);
	point(by_table(&cpl0) && by_table(&cpl3));
	name = "GMET on: a page table of the guest's that is not there";
	set(TABLE, ALL & ~U & ~P);
	point(walk_faults(&cpl0, 0) && walk_faults(&cpl3, 0));
	name = "GMET on: a page table of the guest's that is not writable";
	set(TABLE, ALL & ~U & ~W);
	point(walk_faults(&cpl0, PRESENT) && walk_faults(&cpl3, PRESENT));
}

/* Run from one place on a page to another one, with SYSCALL arriving at lstar */
static void hop(const struct mode *mode, uint64_t rip, uint64_t rax, const void *lstar)
{
	wrmsr(MSR_LSTAR, (uint64_t)lstar);
	run(mode, (void *)rip, rax);
}

/* Of one page, or frame, in both modes: the TLB must not take the one's right for the other's. */
static void test_tlb(void)
{
	const uint64_t gpf = PRESENT | FETCH | FINAL | WRONGLY_USER;
	const void *cell = (void *)CELL, *alias = (void *)(CELL + SUPERVISOR);
	bool ok;

	gmet = true;
	set(CELL, ALL);
	set(NEXT, ALL & ~U);
	name = "user mode executes a page, then supervisor mode, by SYSCALL to that page";
	hop(&cpl3, CELL + SYSCALL, 0, cell);
	point(fault(gpf, CELL, cell, 0));
	name = "the same by way of another page";
	hop(&cpl3, CELL + SYSCALL, CELL, guest_jump);
	point(fault(gpf, CELL, cell, 0));
	name = "the same at another linear address";
	hop(&cpl3, CELL + SYSCALL, CELL + SUPERVISOR, guest_jump);
	point(fault(gpf, CELL, alias, 0));
	name = "from a user page to one of the supervisor's";
	hop(&cpl3, CELL + SYSCALL, NEXT, guest_jump);
	point(stopped((void *)NEXT, 0));
	name = "supervisor mode executes a page, then user mode, then supervisor mode";
	hop(&cpl0, NEXT + SYSRET, NEXT + SYSCALL, (void *)NEXT);
	point(stopped((void *)NEXT, 0));
	name = "supervisor mode executes a page that in the guest's tables is not user mode's";
	hop(&cpl0, NEXT + SUPERVISOR + SYSRET, NEXT + SUPERVISOR, NULL);
	point(out.code == EXIT_PF && out.info1 == (PRESENT | USER) &&
	      out.info2 == NEXT + SUPERVISOR && out.rip == NEXT + SUPERVISOR && out.cpl == 3);
	name = "supervisor mode executes a page, then user mode another, then supervisor mode that";
	hop(&cpl0, NEXT + SYSRET, CELL + SYSCALL, cell);
	point(fault(gpf, CELL, cell, 0));
	name = "supervisor mode reads and writes a user page, then executes it";
	run(&cpl0, guest_touch, CELL);
	ok = fault(gpf, CELL, cell, 0);
	run(&cpl3, guest_touch, CELL);
	point(ok && stopped(cell, 3));
	fill(CELL);
	name = "supervisor mode is refused a page, then user mode executes it, and again";
	point(fetch_faults(&cpl0, CELL, PRESENT) && fetches(&cpl3, CELL) &&
	      fetch_faults(&cpl0, CELL, PRESENT) && fetches(&cpl3, CELL));
	gmet = false;
	name = "without GMET both execute it";
	hop(&cpl3, CELL + SYSCALL, 0, cell);
	ok = stopped(cell, 0);
	hop(&cpl0, CELL + SYSRET, CELL + SYSCALL, cell);
	point(ok && stopped(cell, 0));
}

/* Fetches that are not of an instruction's first byte behind a branch */
static void test_fetches(void)
{
	/* movl $.., %eax; two of its bytes before the edge */
	uint8_t *edge = (uint8_t *)NEXT - 2;
	uint64_t handler = CELL + SUPERVISOR;

	gmet = true;
	edge[0] = 0xb8;
	edge[1] = edge[2] = edge[3] = edge[4] = 0;
	edge[5] = 0x0f;
	edge[6] = 0x01;
	edge[7] = 0xd9;
	set(CELL, ALL & ~U);
	set(NEXT, ALL);
	name = "an instruction that ends on a user page, in supervisor mode";
	run(&cpl0, edge, 0);
	point(fault(PRESENT | FETCH | FINAL | WRONGLY_USER, NEXT, edge, 0));
	name = "an instruction that ends on a user page, in user mode";
	run(&cpl3, edge, 0);
	point(stopped(edge + 5, 3));
	fill(NEXT);

	idt[0x80 * 2] = (handler & 0xffff) | 0x18 << 16 | 0x8eull << 40 | (handler >> 16) << 48;
	idt[0x80 * 2 + 1] = 0;
	name = "an interrupt's handler on a page of the supervisor's";
	run(&cpl0, guest_raise, 0);
	point(stopped((void *)handler, 0));
	name = "an interrupt's handler on a user page";
	set(CELL, ALL);
	run(&cpl0, guest_raise, 0);
	point(fault(PRESENT | FETCH | FINAL | WRONGLY_USER, CELL, (void *)handler, 0));
}

/* A user page is what it should be, with GMET or without it. */
static bool behaves(bool on)
{
	gmet = on;
	return (on ? fetch_faults(&cpl0, CELL, PRESENT) : fetches(&cpl0, CELL)) &&
	       fetches(&cpl3, CELL);
}

static void test_switch(void)
{
	bool ok;

	set(CELL, ALL);
	name = "GMET off, on and off again, with the TLB flushed";
	point(behaves(false) && behaves(true) && behaves(false));
	name = "two guests by turns, one of them with GMET, and ASIDs of their own";
	FIELD32(TLB_CONTROL) = 0;
	FIELD32(ASID) = 2;
	ok = behaves(true);
	FIELD32(ASID) = 1;
	ok = ok && behaves(false);
	FIELD32(ASID) = 2;
	point(ok && behaves(true));
	FIELD32(ASID) = 1;
	FIELD32(TLB_CONTROL) = FLUSH_ALL;
	name = "GMET without nested paging is nothing, and enables none";
	gmet = true;
	run(&cpl0, (void *)CELL, 0);
	FIELD(NESTED) = GMET_ENABLE;
	FIELD(NCR3) = 0;
	FIELD(GUEST_RIP) = CELL;
	enter();
	point(stopped((void *)CELL, 0));
	name = "with it all is as before";
	point(behaves(true));
}

static void build_tables(void)
{
	uint64_t i, on;

	for (on = 0; on < 2; on++) {
		nested[on][0][0] = (uint64_t)nested[on][1] | ALL;
		nested[on][1][0] = (uint64_t)nested[on][2] | ALL;
		for (i = 0; i < 512; i++)
			nested[on][2][i] = i << 21 | (on ? ALL & ~U : ALL) | PS;
		nested[on][2][TEST >> 21] = (uint64_t)nested_test | ALL;
	}
	guest_tables[0][0] = (uint64_t)guest_tables[1] | ALL;
	guest_tables[1][0] = (uint64_t)guest_tables[2] | ALL;
	guest_tables[1][SUPERVISOR >> 30] = (uint64_t)guest_tables[3] | ALL;
	guest_tables[1][BY_TABLE >> 30] = TABLE | ALL;
	for (i = 0; i < 512; i++) {
		guest_tables[2][i] = i << 21 | ALL | PS;
		guest_tables[3][i] = i << 21 | (ALL & ~U) | PS;
	}
	fill(CELL);
	fill(NEXT);
	fill(LARGE);
	fill(TARGET);
}

static void cpuid(uint32_t leaf, uint32_t *ecx, uint32_t *edx)
{
	uint32_t ebx;

	asm volatile("cpuid" : "+a"(leaf), "=b"(ebx), "=c"(*ecx), "=d"(*edx));
}

static bool svm_on(void)
{
	uint32_t ecx, edx;

	cpuid(0x80000001, &ecx, &edx);
	if (!(ecx & 1 << 2))
		return false;
	cpuid(0x8000000a, &ecx, &edx);
	if (!(edx & 1))
		return false;
	wrmsr(MSR_EFER, rdmsr(MSR_EFER) | EFER_SVME | EFER_NXE | EFER_SCE);
	wrmsr(MSR_HSAVE, (uint64_t)host_save);
	wrmsr(MSR_STAR, 0x0008001800000000);
	wrmsr(MSR_SFMASK, 0);
	return true;
}

static bool has_gmet(void)
{
	uint32_t ecx, edx;

	cpuid(0x8000000a, &ecx, &edx);
	return edx & 1 << 17;
}

static void vmcb_fill(void)
{
	int i;

	FIELD32(EXCEPTIONS) = ~0u;
	FIELD32(INTERCEPTS) = 1u << 31; /* shutdown */
	FIELD32(INTERCEPTS2) = 3;	/* VMRUN, VMMCALL */
	FIELD32(ASID) = 1;
	FIELD32(TLB_CONTROL) = FLUSH_ALL;
	for (i = 0; i < 4; i++)
		segment(GUEST_ES + i * 16, 0x10, 0xc93);
	FIELD(GUEST_GDTR) = 0x2full << 32;
	FIELD(GUEST_GDTR + 8) = (uint64_t)gdt;
	FIELD(GUEST_IDTR) = (sizeof(idt) - 1) << 32;
	FIELD(GUEST_IDTR + 8) = (uint64_t)idt;
	FIELD(GUEST_DR6) = 0xffff0ff0;
	FIELD(GUEST_DR7) = 0x400;
	FIELD(GUEST_PAT) = 0x0007040600070406;
}

void main(void)
{
	begin("gmet");
	name = "SVM with nested paging";
	build_tables();
	point(svm_on());
	if (!failures) {
		vmcb_fill();
		name = "CPUID announces GMET";
		point(has_gmet());
		test_cells();
		test_rights();
		test_levels();
		test_walks();
		test_tlb();
		test_fetches();
		test_switch();
	}
	end("gmet");
}
