// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Has the lab's CPU Intel's linear-address-space separation (LASS) as the architecture
 * describes it (SDM vol. 3, "Linear-Address-Space Separation", and of "Determination
 * of User-Mode and Supervisor-Mode Accesses" what an implicit access is)? Every kind of
 * access in every mode to every place, with the exception that a table of the rules
 * foretells. Not a test of Merlon: of what it stands on.
 */
#include "probe.h"

#define CR4_CET	 (1ul << 23)
#define CR4_LASS (1ul << 27)

#define MSR_U_CET   0x6a0
#define MSR_PL3_SSP 0x6a7

/* In the page under test: data, and an undefined instruction */
#define WORD   0x800
#define TARGET 0xc00

/* lass.S */
extern const uint8_t page_code[], page_code_end[], access_length[];
enum access {
	LOAD,
	STORE,
	ADD,
	LOAD_RBP,
	STOS,
	MOVUPS,
	MASKED_LOAD,
	MASKED_STORE,
	GATHER,
	PUSH,
	POP,
	CLFLUSH,
	PREFETCH,
	INVLPG,
	LOAD_DS,
	IN,
	INT_LOWER,
	INT_UPPER,
	INT_FRAME,
	JUMP,
	CALL,
	RET,
	FAR_RET,
	WRUSS,
	WRSS,
};
#define PUSH_SYSCALL	0x400
#define SYSCALL_PUSH	0x410
#define LOAD_SYSCALL	0x420
#define SYSCALL_LOAD	0x430
#define SYSCALL_JUMP	0x440
#define LOAD_SYSRET	0x450
#define STORE_STAC_CLAC 0x460
#define LOAD_CR4_LOAD	0x470

enum rule {
	NONE, /* none of an access, or of one that faults */
	EXPLICIT,
	IMPLICIT, /* by the CPU for itself */
	FETCH,
};

/* Sets of modes */
#define M0   (1 << CPL0)
#define M1   (1 << CPL1)
#define M3   (1 << CPL3)
#define MC   (1 << COMPAT3)
#define M64  (M0 | M1 | M3)
#define MALL (M64 | MC)

/* What is accessed how; the size is of the whole access */
static const struct kind {
	const char *name;
	enum access access;
	enum rule rule;
	uint16_t size;
	uint8_t modes;
	bool write, stack;
} kinds[] = {
	{ "load", LOAD, EXPLICIT, 4, MALL, false, false },
	{ "store", STORE, EXPLICIT, 4, MALL, true, false },
	{ "locked add", ADD, EXPLICIT, 4, MALL, true, false },
	{ "load by RBP", LOAD_RBP, EXPLICIT, 4, MALL, false, true },
	{ "string", STOS, EXPLICIT, 4, MALL, true, false },
	{ "vector load", MOVUPS, EXPLICIT, 16, MALL, false, false },
	{ "masked load", MASKED_LOAD, EXPLICIT, 32, MALL, false, false },
	{ "masked store", MASKED_STORE, EXPLICIT, 32, MALL, true, false },
	{ "gather", GATHER, EXPLICIT, 4, M64, false, false },
	{ "push", PUSH, EXPLICIT, 8, M64, true, true },
	{ "pop", POP, EXPLICIT, 8, M64, false, true },
	{ "CLFLUSH", CLFLUSH, EXPLICIT, 1, M64, false, false },
	{ "prefetch", PREFETCH, NONE, 1, M64, false, false },
	{ "INVLPG", INVLPG, NONE, 1, M0, false, false },
	{ "descriptor of the LDT", LOAD_DS, IMPLICIT, 8, MALL, false, false },
	{ "jump", JUMP, FETCH, 2, M64, false, false },
	{ "call", CALL, FETCH, 2, M64, false, false },
	{ "return", RET, FETCH, 2, M64, false, false },
	{ "far return", FAR_RET, FETCH, 2, M64, false, false },
};

/* Where, and whether a user page is there; wrapping: half of it before the address 0 */
static const struct place {
	const char *name;
	bool upper, wrapping;
	uint64_t user;
} places[] = {
	{ "lower half, supervisor page", false, false, 0 },
	{ "lower half, user page", false, false, U },
	{ "upper half, supervisor page", true, false, 0 },
	{ "upper half, user page", true, false, U },
	{ "over the end, to a supervisor page", false, true, 0 },
	{ "over the end, to a user page", false, true, U },
};

static bool lass, smap, ac;
static void aim(const struct mode *mode, uint64_t offset)
{
	start_at(mode, offset);
	shot.rflags |= ac ? AC : 0;
	shot.cr4 |= (lass ? CR4_LASS : 0) | (smap ? CR4_SMAP : 0);
}

static bool bit63(uint64_t address)
{
	return address >> 63;
}

/* The rules of LASS */
static bool violation(enum rule rule, bool user, uint64_t first, uint64_t last)
{
	bool lower = !bit63(first) || !bit63(last), upper = bit63(first) || bit63(last);

	switch (rule) {
	case EXPLICIT:
		return user ? upper : lower && smap && !ac;
	case IMPLICIT:
		return lower && smap;
	case FETCH:
		return user ? upper : lower;
	default:
		return false;
	}
}

/* Of paging: does it fault there? Entries above the last let all pass. */
static bool page_fault(enum rule rule, bool user, uint64_t address)
{
	bool user_page = *entry(address, 1) & U;

	if (rule == IMPLICIT)
		return user_page && smap;
	if (user)
		return !user_page;
	return rule == EXPLICIT && user_page && smap && !ac;
}

/* What happens instead of what ends with the vector at an address */
static void foretell(const struct kind *kind, const struct mode *mode, uint64_t first,
		     uint64_t vector, uint64_t end)
{
	uint64_t last = first + kind->size - 1, at = first;
	bool user = mode->cpl == 3;

	want.vector = vector;
	want.error = 0;
	want.cr2 = SENTINEL;
	want.cr2_range = 0;
	want.rip = end;
	if (kind->rule == NONE)
		return;
	if (lass && violation(kind->rule, user, first, last)) {
		want.vector = kind->stack ? SS : GP;
	} else {
		if (!page_fault(kind->rule, user, at))
			at = last & -PAGE;
		if (!page_fault(kind->rule, user, at))
			return;
		want.vector = PF;
		want.error = 1 | (kind->write ? 2 : 0) | (user && kind->rule != IMPLICIT ? 4 : 0);
		want.cr2 = (at ^ first) & -PAGE ? at : first;
		/* Elements of a vector are read in any order. */
		if (kind->access == MASKED_LOAD || kind->access == MASKED_STORE) {
			want.cr2 = first;
			want.cr2_range = kind->size - 1;
		}
	}
	want.rip = kind->rule == FETCH ? first : shot.rip;
}

/* The entry of that address and its accessed bit: the last page is always in use */
static bool unused(uint64_t address)
{
	return (address & -PAGE) == TOP || !(*entry(address, 1) & A);
}

static bool in_use(uint64_t address)
{
	return (address & -PAGE) == TOP || *entry(address, 1) & A;
}

static void complain(void)
{
	put(REPORT, lass ? "# LASS on, SMAP " : "# LASS off, SMAP ");
	put(REPORT, smap ? "on, AC " : "off, AC ");
	put(REPORT, ac ? "1: " : "0: ");
	put_probe();
}

/* Memory is reached by its frames. */
static uint8_t *frame(uint64_t address)
{
	uint64_t page = address & -PAGE;

	if (page == TOP)
		page = TOP_FRAME;
	else if (page == 0)
		page = LOW_FRAME;
	return (uint8_t *)((page & ~UPPER) + (address & (PAGE - 1)));
}

static uint8_t filling(unsigned int i, bool fetch)
{
	if (fetch)
		return i ? 0x0b : 0x0f; /* UD2 */
	return DESCRIPTOR >> (i % 8 * 8);
}

static void fill(uint64_t address, unsigned int size, bool fetch)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		*frame(address + i) = filling(i, fetch);
}

static void clear(uint64_t address, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		*frame(address + i) = 0;
}

static bool changed(uint64_t address, unsigned int size)
{
	unsigned int i;

	for (i = 0; i < size; i++)
		if (*frame(address + i) != filling(i, false))
			return true;
	return false;
}

/* What a place's kind of access is to, all set up for it */
static uint64_t prepare(const struct kind *kind, const struct place *place)
{
	uint64_t address = CELL_PAGE + (kind->rule == FETCH ? TARGET : WORD);

	if (place->upper)
		address += UPPER;
	if (place->wrapping)
		address = -(uint64_t)(kind->size / 2);
	/* First, for it sets accessed bits */
	fill(address, kind->size, kind->rule == FETCH);
	map(CELL_PAGE, CELL_PAGE, place->user);
	map(CELL_PAGE + UPPER, CELL_PAGE, place->user);
	map(0, LOW_FRAME, place->user);
	return address;
}

/* One access with what is switched on */
static bool try_access(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	uint64_t address = prepare(kind, place), last = address + kind->size - 1;
	bool ok, passed;

	if (kind->access == LOAD_DS)
		load_ldt(address);
	set_vectors();
	aim(mode, kind->access * 16);
	shot.rax = shot.rbp = shot.rdi = address;
	shot.rbx = ~DESCRIPTOR;
	shot.rcx = kind->size;
	if (kind->access == LOAD_DS)
		shot.rax = 7;
	if (kind->access == RET || kind->access == FAR_RET) {
		shot.rsp -= 16;
		((uint64_t *)(STACK_TOP - 16))[0] = address;
		((uint64_t *)(STACK_TOP - 16))[1] = mode->cs;
	}
	if (kind->stack && kind->access != LOAD_RBP)
		shot.rsp = address + (kind->access == PUSH ? 8 : 0);
	foretell(kind, mode, address, UD,
		 kind->rule == FETCH ? address : shot.rip + access_length[kind->access]);
	probe();
	passed = want.vector == UD;
	ok = as_foretold();
	if (passed && kind->rule != NONE)
		ok = ok && in_use(address) && in_use(last) &&
		     changed(address, kind->size) == (kind->write || kind->rule == FETCH);
	else if (!passed && want.vector != PF)
		ok = ok && unused(address) && unused(last);
	if (!passed && kind->rule != FETCH && kind->access != STOS)
		ok = ok && !changed(address, kind->size);
	if (passed && kind->access == LOAD)
		ok = ok && (uint32_t)got.rbx == (uint32_t)DESCRIPTOR;
	clear(address, kind->size);
	return ok;
}

static void set_name(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	static char line[120];
	const char *parts[] = { mode->name, ": ", kind->name, ", ", place->name };
	char *end = line;
	const char *p;
	int i;

	for (i = 0; i < 5; i++)
		for (p = parts[i]; *p; p++)
			*end++ = *p;
	*end = 0;
	name = line;
}

typedef bool try_fn(const struct kind *, const struct mode *, const struct place *);

/* All combinations of the switches */
static void all_switches(try_fn *f, const struct kind *kind, const struct mode *mode,
			 const struct place *place)
{
	bool ok = true;
	int i;

	set_name(kind, mode, place);

	for (i = 0; i < 8; i++) {
		lass = i & 1;
		smap = i & 2;
		ac = i & 4;
		if (f(kind, mode, place))
			continue;
		if (ok)
			report(ok = false, name);
		complain();
	}
	if (ok)
		report(true, name);
}

static void test_cells(void)
{
	const struct place *place;
	const struct kind *kind;
	unsigned int m;

	for (kind = kinds; kind < kinds + sizeof(kinds) / sizeof(*kinds); kind++) {
		for (m = CPL0; m < COMPAT0; m++) {
			if (!(kind->modes & 1 << m))
				continue;
			for (place = places; place < places + sizeof(places) / sizeof(*places);
			     place++) {
				/* 32-bit code has no such addresses, but the CPU itself has */
				if (m == COMPAT3 && kind->rule != IMPLICIT &&
				    (place->upper || place->wrapping))
					continue;
				if (place->wrapping && kind->size == 1)
					continue;
				all_switches(try_access, kind, &modes[m], place);
			}
		}
	}
}

/* A descriptor of the GDT that is behind the end of the address space, and one that is not */
static bool try_gdt(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	uint64_t address = place->upper ? TOP + (USER_DATA & ~7) : GDT_LOW;

	map(0, LOW_FRAME, place->user);
	aim(mode, LOAD_DS * 16);
	shot.rax = place->upper ? USER_DATA : GDT_LOW_SEL;
	foretell(kind, mode, address, UD, shot.rip + access_length[LOAD_DS]);
	probe();
	return as_foretold() &&
	       (want.vector == UD ? in_use(address) : want.vector == PF || unused(address));
}

/* The bit of a port: two bytes are read, wherever the bitmap is. */
static bool try_port(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	uint64_t address = place->wrapping ? -1ul : place->upper ? -15ul : 0x400;
	const uint16_t port = 0x80;

	map(0, LOW_FRAME, place->user);
	set_io_base(address - (TOP + TSS) - port / 8);
	aim(mode, IN * 16);
	shot.rdx = port;
	foretell(kind, mode, address, UD, shot.rip + access_length[IN]);
	probe();
	set_io_base(0x7ff);
	return as_foretold() &&
	       (want.vector == UD ? in_use(address + 1) : want.vector == PF || unused(address + 1));
}

/* A gate of the IDT */
static bool try_gate(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	enum access access = place->upper ? INT_UPPER : INT_LOWER;
	uint64_t address = place->upper ? TOP + IDT + VECTOR_UPPER * 16 : (VECTOR_LOW - 0x80) * 16;
	uint64_t vector = place->upper ? VECTOR_UPPER : VECTOR_LOW;

	map(0, LOW_FRAME, place->user);
	aim(mode, access * 16);
	foretell(kind, mode, address, vector, shot.rip + access_length[access]);
	probe();
	return as_foretold() &&
	       (want.vector == vector ? in_use(address) : want.vector == PF || unused(address));
}

/*
 * The frame of an interrupt on the interrupted program's stack. Whether its pushes heed
 * AC is not told clearly, so they are not tried with it.
 */
static bool try_frame(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	uint64_t address;

	if (ac)
		return true;
	address = prepare(kind, place) + 8;
	aim(mode, INT_FRAME * 16);
	shot.rsp = address + kind->size;
	foretell(kind, mode, address, VECTOR_SAME, shot.rip + access_length[INT_FRAME]);
	if (want.vector == PF)
		want.cr2 = address + kind->size - 8;
	probe();
	return as_foretold() && (want.vector == VECTOR_SAME ? in_use(address)
							    : want.vector == PF || unused(address));
}

/* 32-bit code at CPL 0 can only be in the lower half. */
static bool try_compat0(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	uint64_t address = prepare(kind, place);

	aim(mode, 0);
	shot.rip = address;
	foretell(kind, mode, address, UD, address);
	probe();
	return as_foretold() && (want.vector == UD ? in_use(address) : unused(address));
}

static void test_structures(void)
{
	static const struct kind gdt = {
		"descriptor of the GDT", LOAD_DS, IMPLICIT, 8, 0, false, false
	};
	static const struct kind port = { "bitmap of I/O ports", IN, IMPLICIT, 2, 0, false, false };
	static const struct kind idt = {
		"gate of the IDT", INT_LOWER, IMPLICIT, 16, 0, false, false
	};
	static const struct kind frame = {
		"interrupt's frame", INT_FRAME, EXPLICIT, 40, 0, true, true
	};
	static const struct kind fetch = { "code", JUMP, FETCH, 2, 0, false, false };
	unsigned int m, i;

	for (i = 0; i < 6; i++) {
		for (m = CPL0; m < COMPAT0; m++) {
			if (i != 3 && i < 4) {
				all_switches(try_gdt, &gdt, &modes[m], &places[i]);
				all_switches(try_gate, &idt, &modes[m], &places[i]);
			}
			if (i != 3 && modes[m].cpl == 3)
				all_switches(try_port, &port, &modes[m], &places[i]);
		}
		if (i < 4)
			all_switches(try_frame, &frame, &modes[CPL0], &places[i]);
		if (i < 2)
			all_switches(try_compat0, &fetch, &modes[COMPAT0], &places[i]);
	}
}

/* Stores to user mode's shadow stack are its own, whoever makes them; WRUSS is at CPL 0. */
static bool try_shadow(const struct kind *kind, const struct mode *mode, const struct place *place)
{
	uint64_t address = CELL_PAGE + WORD + (place->upper ? UPPER : 0);

	*entry(address, 1) = CELL_PAGE | P | U | D;
	aim(mode, kind->access * 16);
	shot.cr4 |= CR4_CET;
	shot.rax = address;
	foretell(kind, &modes[CPL3], address, UD, shot.rip + access_length[kind->access]);
	probe();
	return as_foretold() && (want.vector == UD ? in_use(address) : unused(address));
}

static void test_shadow_stack(void)
{
	static const struct kind wruss = { "WRUSS", WRUSS, EXPLICIT, 8, 0, true, false };
	static const struct kind wrss = { "WRSS", WRSS, EXPLICIT, 8, 0, true, false };
	uint64_t cr0;
	unsigned int i;

	/* CET needs CR0.WP; only user mode has a shadow stack, and may write to it */
	asm volatile("movq %%cr0, %0" : "=r"(cr0));
	asm volatile("movq %0, %%cr0" : : "r"(cr0 | 1 << 16));
	wrmsr(MSR_U_CET, 3);
	wrmsr(MSR_PL3_SSP, STACK_TOP);
	for (i = 1; i < 4; i += 2) {
		all_switches(try_shadow, &wruss, &modes[CPL0], &places[i]);
		all_switches(try_shadow, &wrss, &modes[CPL3], &places[i]);
	}
	wrmsr(MSR_U_CET, 0);
	asm volatile("movq %0, %%cr0" : : "r"(cr0));
}

/* In compatibility mode the CPU's own accesses have 64-bit addresses, behind a page's end too. */
static void test_split(void)
{
	uint64_t address = UPPER + CELL_PAGE + PAGE - 4;

	name = "CPL 3, 32-bit: a descriptor over the end of a page in the upper half";
	lass = smap = true;
	ac = false;
	map(CELL_PAGE + UPPER, CELL_PAGE, 0);
	map(CELL_PAGE + PAGE + UPPER, CELL_PAGE + PAGE, 0);
	fill(address, 8, false);
	load_ldt(address);
	aim(&modes[COMPAT3], LOAD_DS * 16);
	shot.rax = 7;
	want.vector = UD;
	want.error = 0;
	want.cr2 = SENTINEL;
	want.rip = shot.rip + access_length[LOAD_DS];
	probe();
	if (!report(as_foretold(), name))
		complain();
}

/* MOV to CR4 in the lower half: the next instruction is not fetched. */
static void test_enable(void)
{
	static const uint8_t code[] = { 0x0f, 0x22, 0xe0, 0x0f, 0x0b };
	static const struct mode *const in[] = { &modes[CPL0], &modes[COMPAT0] };
	static const char *const names[] = {
		"CPL 0: LASS switched on in the lower half",
		"CPL 0, 32-bit: LASS switched on",
	};
	uint64_t base = read_cr4();
	unsigned int i;
	int on;
	bool ok;

	map(CELL_PAGE, CELL_PAGE, 0);
	copy((void *)(CELL_PAGE + TARGET), code, code + sizeof(code));
	ac = false;
	for (i = 0; i < 2; i++) {
		ok = true;
		for (on = 0; on < 2; on++) {
			lass = smap = false;
			aim(in[i], 0);
			shot.rip = CELL_PAGE + TARGET;
			shot.rax = base | (on ? CR4_LASS : 0);
			want.vector = on ? GP : UD;
			want.error = 0;
			want.cr2 = SENTINEL;
			want.rip = CELL_PAGE + TARGET + 3;
			probe();
			ok = as_foretold() && ok;
		}
		if (!report(ok, names[i]))
			complain();
	}
}

/* What was there before LASS was switched on is out of reach, whatever a TLB keeps. */
static void test_enable_after_load(void)
{
	int on;
	bool ok = true;

	name = "supervisor mode loads, switches LASS on, and loads no more";
	map(CELL_PAGE, CELL_PAGE, 0);
	ac = lass = false;
	smap = true;
	for (on = 0; on < 2; on++) {
		aim(&modes[CPL0], LOAD_CR4_LOAD);
		shot.rax = CELL_PAGE + WORD;
		shot.rcx = shot.cr4 | (on ? CR4_LASS : 0);
		want.vector = on ? GP : UD;
		want.error = 0;
		want.cr2 = SENTINEL;
		want.cr2_range = 0;
		want.rip = shot.rip + (on ? 5 : 7);
		probe();
		ok = as_foretold() && ok;
	}
	if (!report(ok, name))
		complain();
}

/* Some code that goes to another mode and back; where it ends and how, without AC and with it */
static void sequence(const char *what, const struct mode *mode, uint64_t start, uint64_t rax,
		     const uint64_t vectors[2], uint16_t cs, const uint64_t rips[2])
{
	bool ok = true;
	int i;

	lass = smap = true;
	for (i = 0; i < 2; i++) {
		ac = i;
		aim(mode, start);
		shot.rax = rax;
		shot.rcx = CODE_PAGE + LOAD * 16;
		shot.r11 = shot.rflags;
		want.vector = vectors[i];
		want.error = 0;
		want.cr2 = SENTINEL;
		want.rip = rips[i];
		probe();
		shot.cs = cs;
		if (as_foretold())
			continue;
		if (ok)
			report(ok = false, what);
		complain();
	}
	if (ok)
		report(true, what);
}

/* What one mode may, and what a TLB keeps of it, says nothing about the other. */
static void test_sequences(void)
{
	static const uint64_t gp_or_passed[] = { GP, UD }, ss_or_passed[] = { SS, UD };
	static const uint64_t gp[] = { GP, GP };
	const uint64_t push = CODE_PAGE + UPPER + SYSCALL_PUSH,
		       load = CODE_PAGE + UPPER + SYSCALL_LOAD;
	const uint64_t stac = CODE_PAGE + UPPER + STORE_STAC_CLAC, user = CODE_PAGE + LOAD * 16;
	const uint64_t jumped = CODE_PAGE + access_length[LOAD];

	map(CELL_PAGE, CELL_PAGE, U);
	map(CELL_PAGE + UPPER, CELL_PAGE, U);
	wrmsr(0xc0000080, rdmsr(0xc0000080) | 1);
	wrmsr(0xc0000081, 0x0020001800000000);
	wrmsr(0xc0000084, 0);

	wrmsr(0xc0000082, push);
	sequence("user mode pushes, then supervisor mode on the same stack", &modes[CPL3],
		 PUSH_SYSCALL, 0, ss_or_passed, CODE64, (const uint64_t[]){ push, push + 1 });
	wrmsr(0xc0000082, load);
	sequence("user mode loads, then supervisor mode the same", &modes[CPL3], LOAD_SYSCALL,
		 CELL_PAGE + WORD, gp_or_passed, CODE64, (const uint64_t[]){ load, load + 2 });
	wrmsr(0xc0000082, CODE_PAGE + UPPER + SYSCALL_JUMP);
	sequence("user mode executes a page, then supervisor mode the same", &modes[CPL3],
		 LOAD_SYSCALL, jumped, gp, CODE64, (const uint64_t[]){ jumped, jumped });
	map(CELL_PAGE + UPPER, CELL_PAGE, 0);
	map(CODE_PAGE + UPPER, CODE_PAGE, 0);
	sequence("supervisor mode loads, then user mode the same", &modes[CPL0], LOAD_SYSRET,
		 CODE_PAGE + UPPER, gp, USER_CODE64, (const uint64_t[]){ user, user });
	sequence("with STAC supervisor mode stores to a user page, and with CLAC no more",
		 &modes[CPL0], STORE_STAC_CLAC, CELL_PAGE + WORD, gp, CODE64,
		 (const uint64_t[]){ stac + 8, stac + 8 });
	map(CELL_PAGE, CELL_PAGE, 0);
	sequence("with STAC supervisor mode stores to its own page, and with CLAC no more",
		 &modes[CPL0], STORE_STAC_CLAC, CELL_PAGE + WORD, gp, CODE64,
		 (const uint64_t[]){ stac + 8, stac + 8 });
}

static bool has_lass(void)
{
	uint32_t eax, ecx;

	cpuid(7, 1, &eax, &ecx);
	return eax & 1 << 6;
}

void main(void)
{
	begin("lass");
	probe_init();
	prepare_code(page_code, page_code_end);
	report(has_lass(), "CPUID announces LASS");
	report(!cr4_refused(read_cr4() | CR4_LASS), "CR4.LASS can be set");
	report(rdmsr(0x489) & CR4_LASS, "and by VM entry and exit");
	if (!failures) {
		test_cells();
		test_structures();
		test_shadow_stack();
		test_split();
		test_enable();
		test_enable_after_load();
		test_sequences();
	}
	end("lass");
}
