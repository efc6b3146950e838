// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Has the lab's CPU Intel's linear address masking (LAM) as the architecture describes
 * it (SDM vol. 3, "Linear-Address Masking")? Which pointers it takes for which address,
 * in each of its modes and with 5-level paging if the CPU has that; what accesses it is
 * for, and what it leaves alone. Also a CPU without it. Not a test of Merlon: of what it
 * stands on.
 */
#include "probe.h"
#include "vmx.h"

#define CR3_U57	     (1ul << 61)
#define CR3_U48	     (1ul << 62)
#define CR4_PGE	     (1ul << 7)
#define CR4_LA57     (1ul << 12)
#define CR4_FSGSBASE (1ul << 16)
#define CR4_LASS     (1ul << 27)
#define CR4_SUP	     (1ul << 28)
#define MSR_FS_BASE  0xc0000100

/* Another frame, and where in a page the data is */
#define OTHER (CELL_PAGE + PAGE)
#define WORD  0x800

/* Bits of pointers */
#define BIT(n)		(1ul << (n))
#define BITS(high, low) (BIT(high) - BIT(low) + BIT(high))

/* lam.S */
extern const uint8_t page_code[], page_code_end[], access_length[];
extern const char move_cr3[];
void five_levels(uint32_t cr3);
enum access {
	LOAD,
	STORE,
	ADD,
	LOAD_RBP,
	LOAD_FS,
	LODS,
	SCAS,
	STOS,
	MOVS,
	CMPS,
	BT,
	MOVUPS,
	MASKED_LOAD,
	MASKED_STORE,
	GATHER,
	CMPXCHG16B,
	FXSAVE,
	XSAVE,
	CLFLUSH,
	PUSH,
	POP,
	PUSH_MEMORY,
	ENTER,
	LEAVE,
	CALL_MEMORY,
	JUMP_MEMORY,
	FAR_JUMP_MEMORY,
	INT_FRAME,
	LEA,
	JUMP,
	CALL,
	RET,
	INVLPG,
	INVPCID,
	WRFSBASE,
	LLDT,
	LGDT,
	WRMSR,
	LOAD_DS,
};
#define LOAD_INVLPG_LOAD 0x400
#define LOAD_LOAD	 0x420
#define LOAD_DS_LOAD	 0x440
#define LOAD_CR3_LOAD	 0x460

/* Whether LAM is on for the pointers of a half, and how */
enum config { OFF, U57, U48, BOTH, SUP };
static const struct {
	const char *name;
	uint64_t cr3, cr4;
} configs[] = {
	[OFF] = { "off", 0, 0 },	   [U57] = { "LAM_U57", CR3_U57, 0 },
	[U48] = { "LAM_U48", CR3_U48, 0 }, [BOTH] = { "LAM_U57 and LAM_U48", CR3_U57 | CR3_U48, 0 },
	[SUP] = { "LAM_SUP", 0, CR4_SUP },
};

static void switch_to(enum config config)
{
	load_cr3((uint64_t)root | configs[config].cr3);
}

/* The next probe, LAM as it is switched to */
static void aim(enum config config, const struct mode *mode, uint64_t offset)
{
	switch_to(config);
	start_at(mode, offset);
	shot.cr4 |= configs[config].cr4;
}

static void foretell(uint64_t vector, uint64_t error, uint64_t cr2, uint64_t rip)
{
	want.vector = vector;
	want.error = error;
	want.cr2 = cr2;
	want.rip = rip;
}

static char line[160];

static void say(const char *const *parts)
{
	const char *p;
	char *end = line;

	for (; *parts; parts++)
		for (p = *parts; *p; p++)
			*end++ = *p;
	*end = 0;
	name = line;
}

static void point(bool ok)
{
	if (report(ok, name))
		return;
	put(REPORT, "# ");
	put_probe();
}

/* The page under test, in both halves and for both modes */
static void map_cells(void)
{
	map(CELL_PAGE, CELL_PAGE, U);
	map(CELL_PAGE + UPPER, CELL_PAGE, U);
}

/* Its data, for the program itself; what it does sets accessed and dirty bits too */
static uint64_t *cell(void)
{
	return (uint64_t *)(CELL_PAGE + WORD);
}

/*
 * A pointer to the page with these bits inverted, of 4-level paging in the modes off,
 * LAM_U57, LAM_U48 and both, and of 5-level paging in the first three; and for the upper
 * half, without LAM_SUP and with it, of both kinds of paging: it reaches the page, #GP, or
 * another address, where nothing is.
 */
static const struct row {
	const char *name;
	uint64_t bits;
	const char *lower[2], *upper[2];
} rows[] = {
	{ "no bit", 0, { "....", "..." }, { "..", ".." } },
	{ "bit 62", BIT(62), { "x...", "x.." }, { "x.", "x." } },
	{ "bit 57", BIT(57), { "x...", "x.." }, { "x.", "x." } },
	{ "bit 56", BIT(56), { "xx.x", "xx." }, { "x.", "xx" } },
	{ "bit 55", BIT(55), { "xx.x", "pp." }, { "x.", "pp" } },
	{ "bit 48", BIT(48), { "xx.x", "pp." }, { "x.", "pp" } },
	{ "bit 47", BIT(47), { "xxxx", "ppx" }, { "xx", "pp" } },
	{ "bits 62 and 55", BIT(62) | BIT(55), { "xx.x", "xp." }, { "x.", "xp" } },
	{ "bits 62 to 57", BITS(62, 57), { "x...", "x.." }, { "x.", "x." } },
	{ "bits 62 to 48", BITS(62, 48), { "xx.x", "xx." }, { "x.", "xx" } },
	{ "bits 62 to 47", BITS(62, 47), { "xxxx", "xxx" }, { "xx", "xx" } },
};

/* A load and a push by that pointer */
static bool pointer_is(char verdict, uint64_t pointer, enum config config, const struct mode *mode)
{
	bool upper = pointer >> 63, ok = true;
	uint64_t at = upper ? pointer | BITS(62, 57) : pointer & ~BITS(62, 57);
	uint64_t *pte;
	int push;

	for (push = 0; push < 2; push++) {
		map_cells();
		pte = entry(CELL_PAGE + (upper ? UPPER : 0), 1);
		aim(config, mode, push ? PUSH * 16 : LOAD * 16);
		shot.rax = pointer;
		if (push)
			shot.rsp = pointer + 8;
		if (verdict == '.')
			foretell(UD, 0, SENTINEL, shot.rip + access_length[push ? PUSH : LOAD]);
		else if (verdict == 'x')
			foretell(push ? SS : GP, 0, SENTINEL, shot.rip);
		else
			foretell(PF, (push ? 2 : 0) | (mode->cpl == 3 ? 4 : 0), at, shot.rip);
		probe();
		ok = ok && as_foretold() && !(*pte & A) == (verdict != '.');
		if (verdict == '.' && !push)
			ok = ok && (uint32_t)got.rbx == (uint32_t)*cell();
	}
	return ok;
}

static void test_rows(void)
{
	static const enum config of_upper[] = { OFF, SUP };
	static const int both_modes[] = { CPL0, CPL3 };
	const struct row *row;
	const char *verdicts;
	unsigned int half, c, m;
	enum config config;
	uint64_t pointer;
	bool ok;

	*cell() = DESCRIPTOR;
	for (row = rows; row < rows + sizeof(rows) / sizeof(*rows); row++) {
		for (half = 0; half < 2; half++) {
			verdicts = (half ? row->upper : row->lower)[levels - 4];
			pointer = (CELL_PAGE + WORD + (half ? UPPER : 0)) ^ row->bits;
			for (c = 0; verdicts[c]; c++) {
				config = half ? of_upper[c] : (enum config)c;
				ok = true;
				for (m = 0; m < 2; m++)
					ok = ok && pointer_is(verdicts[c], pointer, config,
							      &modes[both_modes[m]]);
				say((const char *[]){
					levels == 4 ? "4 levels, " : "5 levels, ",
					configs[config].name, ": ", half ? "an upper" : "a lower",
					" pointer with ", row->name, " inverted", NULL });
				point(ok);
			}
		}
	}
	switch_to(OFF);
}

/* Accesses of data, and what registers have the pointer */
static const struct kind {
	const char *name;
	enum access access;
	uint8_t modes; /* those of CPL 0 and 3 */
	bool write, stack;
} kinds[] = {
	{ "load", LOAD, 3, false, false },
	{ "store", STORE, 3, true, false },
	{ "locked add", ADD, 3, true, false },
	{ "load by RBP", LOAD_RBP, 3, false, true },
	{ "load by FS", LOAD_FS, 3, false, false },
	{ "LODS", LODS, 3, false, false },
	{ "SCAS", SCAS, 3, false, false },
	{ "REP STOS", STOS, 3, true, false },
	{ "REP MOVS", MOVS, 3, true, false },
	{ "CMPS", CMPS, 3, false, false },
	{ "bit test", BT, 3, false, false },
	{ "vector load", MOVUPS, 3, false, false },
	{ "masked load", MASKED_LOAD, 3, false, false },
	{ "masked store", MASKED_STORE, 3, true, false },
	{ "gather", GATHER, 3, false, false },
	{ "CMPXCHG16B", CMPXCHG16B, 3, true, false },
	{ "FXSAVE", FXSAVE, 3, true, false },
	{ "XSAVE", XSAVE, 3, true, false },
	{ "CLFLUSH", CLFLUSH, 3, false, false },
	{ "push", PUSH, 3, true, true },
	{ "pop", POP, 3, false, true },
	{ "push of memory", PUSH_MEMORY, 3, false, false },
	{ "ENTER", ENTER, 3, true, true },
	{ "LEAVE", LEAVE, 3, false, true },
	{ "call by memory", CALL_MEMORY, 3, false, false },
	{ "jump by memory", JUMP_MEMORY, 3, false, false },
	{ "far jump by memory", FAR_JUMP_MEMORY, 3, false, false },
	{ "interrupt's frame", INT_FRAME, 1, true, true },
	{ "INVPCID's descriptor", INVPCID, 1, false, false },
};

static bool data_access(const struct kind *kind, const struct mode *mode, enum config config,
			uint64_t pointer, bool passes)
{
	uint64_t half = pointer >> 63 ? UPPER : 0, end, vector = UD, *pte;
	const uint64_t *p;
	bool ok;

	for (p = cell(); p < cell() + 64; p++)
		*(uint64_t *)p = 0;
	map_cells();
	pte = entry(CELL_PAGE + half, 1);
	set_vectors();
	wrmsr(MSR_FS_BASE, CELL_PAGE + half);
	aim(config, mode, kind->access * 16);
	shot.rax = shot.rbp = shot.rsi = shot.rdi = pointer;
	end = shot.rip + access_length[kind->access];
	switch (kind->access) {
	case LOAD_FS:
		shot.rcx = pointer - (CELL_PAGE + half);
		break;
	case STOS:
		shot.rcx = 64;
		break;
	case MOVS:
		shot.rcx = 64; /* fall through */
	case CMPS:
		shot.rdi += 256;
		break;
	case XSAVE:
		shot.rax = 7;
		break;
	case PUSH:
	case ENTER:
		shot.rsp = pointer + 8;
		break;
	case POP:
		shot.rsp = pointer;
		break;
	case INT_FRAME:
		shot.rsp = pointer + 256;
		vector = VECTOR_SAME;
		break;
	case INVPCID:
		shot.rcx = 2;
		break;
	case FAR_JUMP_MEMORY:
		cell()[1] = mode->cs; /* fall through */
	case CALL_MEMORY:
	case JUMP_MEMORY:
		end = shot.rip - kind->access * 16 + access_length[LOAD];
		cell()[0] = end;
		break;
	default:
		break;
	}
	*pte &= ~(A | D);
	if (passes)
		foretell(vector, 0, SENTINEL, end);
	else
		foretell(kind->stack ? SS : GP, 0, SENTINEL, shot.rip);
	probe();
	ok = as_foretold() && !(*pte & A) == !passes && !(*pte & D) == !(passes && kind->write);
	if (passes && kind->access == INT_FRAME)
		ok = ok && got.rsp == shot.rsp; /* with its tag */
	wrmsr(MSR_FS_BASE, 0);
	return ok;
}

/* Untagged with LAM off and on, with a tag of its and one that is not, by both halves */
static void test_kinds(void)
{
	static const int both_modes[] = { CPL0, CPL3 };
	const struct kind *kind;
	const struct mode *mode;
	uint64_t p;
	int m, half;
	bool ok;

	for (kind = kinds; kind < kinds + sizeof(kinds) / sizeof(*kinds); kind++) {
		for (m = 0; m < 2; m++) {
			mode = &modes[both_modes[m]];
			for (half = 0; half < 2 && kind->modes & 1 << m; half++) {
				p = CELL_PAGE + WORD + (half ? UPPER : 0);
				if (half)
					ok = data_access(kind, mode, OFF, p, true) &&
					     data_access(kind, mode, OFF, p ^ BIT(60), false) &&
					     data_access(kind, mode, U48, p ^ BIT(60), false) &&
					     data_access(kind, mode, SUP, p, true) &&
					     data_access(kind, mode, SUP, p ^ BIT(60), true) &&
					     data_access(kind, mode, SUP, p ^ BITS(55, 49), true) &&
					     data_access(kind, mode, SUP, p ^ BITS(62, 47), false);
				else
					ok = data_access(kind, mode, OFF, p, true) &&
					     data_access(kind, mode, OFF, p ^ BIT(60), false) &&
					     data_access(kind, mode, SUP, p ^ BIT(60), false) &&
					     data_access(kind, mode, U57, p, true) &&
					     data_access(kind, mode, U57, p ^ BIT(60), true) &&
					     data_access(kind, mode, U57, p ^ BIT(50), false) &&
					     data_access(kind, mode, U48, p ^ BIT(50), true) &&
					     data_access(kind, mode, U48, p ^ BITS(62, 47), false);
				say((const char *[]){ mode->name, ": ", kind->name,
						      half ? ", upper half" : ", lower half",
						      NULL });
				point(ok);
			}
		}
	}
	switch_to(OFF);
}

/* Registers for an instruction that takes an address as it is, with a tag or without one */
static void set_registers(enum access access, uint64_t address)
{
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) *pointer = (void *)cell();

	shot.rax = address;
	switch (access) {
	case RET:
		shot.rsp -= 8;
		*(uint64_t *)(STACK_TOP - 8) = address;
		break;
	case INVPCID:
		shot.rcx = 0;
		shot.rax = CELL_PAGE + WORD;
		cell()[0] = 0;
		cell()[1] = address;
		break;
	case LLDT:
		shot.rcx = LDT_SEL;
		system_descriptor(LDT_SEL, address, 0xfff, 2);
		break;
	case LGDT:
		shot.rdi = CELL_PAGE + WORD;
		pointer->limit = 0x1fff;
		pointer->base = address;
		break;
	case WRMSR:
		shot.rax = (uint32_t)address;
		shot.rdx = address >> 32;
		shot.rcx = MSR_FS_BASE;
		break;
	default:
		break;
	}
}

static bool raw_address(enum access access, enum config config, uint64_t address, uint64_t vector,
			uint64_t error)
{
	bool branch = access == JUMP || access == CALL || access == RET;

	map_cells();
	aim(config, &modes[CPL0], access * 16);
	set_registers(access, address);
	if (vector != UD)
		foretell(vector, error, SENTINEL, shot.rip);
	else
		foretell(UD, 0, SENTINEL, branch ? address : shot.rip + access_length[access]);
	probe();
	return as_foretold() && (access != LEA || got.rbx == address);
}

/* What LAM leaves alone, with all of it on: the tag makes the address not canonical. */
static void test_raw(void)
{
	static const struct {
		const char *name;
		enum access access;
		uint64_t vector, error;
	} raws[] = {
		{ "LEA keeps the tag", LEA, UD, 0 },
		{ "a jump to a tagged address", JUMP, GP, 0 },
		{ "a call to a tagged address", CALL, GP, 0 },
		{ "a return to a tagged address", RET, GP, 0 },
		{ "INVLPG of a tagged address does not fault", INVLPG, UD, 0 },
		{ "INVPCID of a tagged address", INVPCID, GP, 0 },
		{ "WRFSBASE of a tagged address", WRFSBASE, GP, 0 },
		{ "WRMSR of a tagged address", WRMSR, GP, 0 },
		{ "LLDT of a tagged base", LLDT, GP, LDT_SEL },
		{ "LGDT of a tagged base", LGDT, GP, 0 },
	};
	const uint64_t tag = BIT(62) | BIT(58), code = CODE_PAGE + access_length[LOAD];
	uint64_t address;
	unsigned int i;
	bool ok;

	for (i = 0; i < sizeof(raws) / sizeof(*raws); i++) {
		switch (raws[i].access) {
		case JUMP:
		case CALL:
		case RET:
			address = code;
			break;
		case LGDT:
			address = TOP;
			break;
		default:
			address = CELL_PAGE;
			break;
		}
		name = raws[i].name;
		ok = raw_address(raws[i].access, U57, address, UD, 0);
		if (raws[i].access != LGDT)
			ok = ok && raw_address(raws[i].access, U57, address ^ tag, raws[i].vector,
					       raws[i].error);
		address |= UPPER;
		ok = ok && raw_address(raws[i].access, SUP, address, UD, 0) &&
		     raw_address(raws[i].access, SUP, address ^ tag, raws[i].vector, raws[i].error);
		point(ok);
	}
	wrmsr(MSR_FS_BASE, 0);
	switch_to(OFF);
}

/* INVLPG of a tagged address forgets nothing, of the address itself does. */
static void test_invlpg(void)
{
	uint64_t *pte = entry(CELL_PAGE, 1);
	bool ok = true;
	int tagged;

	name = "INVLPG of a tagged address forgets nothing";
	cell()[0] = 0x1111;
	*(uint64_t *)(OTHER + WORD) = 0x2222;
	for (tagged = 0; tagged < 2; tagged++) {
		map_cells();
		aim(U57, &modes[CPL0], LOAD_INVLPG_LOAD);
		shot.rax = CELL_PAGE + WORD;
		shot.rbx = OTHER | P | W | U;
		shot.rcx = (uint64_t)pte;
		shot.rdx = CELL_PAGE ^ (tagged ? BIT(62) : 0);
		foretell(UD, 0, SENTINEL, shot.rip + 10);
		probe();
		ok = ok && as_foretold() && got.rax == (tagged ? 0x1111 : 0x2222);
	}
	point(ok);
	switch_to(OFF);
}

static void test_addresses(void)
{
	uint64_t p = CELL_PAGE + WORD;
	bool ok;

	name = "CR2 of a page fault is without the tag";
	map_cells();
	*entry(CELL_PAGE, 1) = *entry(CELL_PAGE + UPPER, 1) = 0;
	aim(U48, &modes[CPL3], STORE * 16);
	shot.rax = p ^ BITS(62, 49);
	foretell(PF, 6, p, shot.rip);
	probe();
	ok = as_foretold();
	aim(SUP, &modes[CPL0], STORE * 16);
	shot.rax = (p + UPPER) ^ BITS(62, 49);
	foretell(PF, 2, p + UPPER, shot.rip);
	probe();
	ok = ok && as_foretold();
	aim(U57, &modes[CPL3], CLFLUSH * 16);
	shot.rax = p ^ BIT(58);
	foretell(PF, 4, p, shot.rip);
	probe();
	point(ok && as_foretold());

	name = "a tagged access over the end of a page";
	map_cells();
	map(OTHER, OTHER, U);
	aim(U57, &modes[CPL3], LOAD * 16);
	shot.rax = (OTHER - 2) ^ BIT(61);
	foretell(UD, 0, SENTINEL, shot.rip + access_length[LOAD]);
	probe();
	point(as_foretold() && *entry(CELL_PAGE, 1) & *entry(OTHER, 1) & A);

	name = "a pointer and the same with a tag";
	map_cells();
	cell()[0] = 0x3333;
	aim(U57, &modes[CPL3], LOAD_LOAD);
	shot.rax = p;
	shot.rcx = p ^ BIT(59);
	foretell(UD, 0, SENTINEL, shot.rip + 4);
	probe();
	point(as_foretold() && got.rbx == 0x3333 && got.rax == 0x3333);
	switch_to(OFF);
}

/* LASS decides by the tagged pointer's bit 63, which LAM leaves. */
static void test_lass(void)
{
	const uint64_t lower = (CELL_PAGE + WORD) ^ BIT(60);
	const uint64_t upper = (CELL_PAGE + UPPER + WORD) ^ BIT(60);
	static const struct {
		const char *name;
		enum config config;
		int mode;
		bool upper, ac, passes;
	} cases[] = {
		{ "with LASS user mode has the lower half by a tagged pointer", U57, CPL3, false,
		  false, true },
		{ "and not the upper", SUP, CPL3, true, false, false },
		{ "and supervisor mode the upper", SUP, CPL0, true, false, true },
		{ "and the lower not", U57, CPL0, false, false, false },
		{ "but with AC", U57, CPL0, false, true, true },
	};
	unsigned int i;
	uint64_t *pte;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		name = cases[i].name;
		map(CELL_PAGE, CELL_PAGE, cases[i].mode == CPL3 ? U : 0);
		map(CELL_PAGE + UPPER, CELL_PAGE, cases[i].mode == CPL3 ? U : 0);
		pte = entry(CELL_PAGE + (cases[i].upper ? UPPER : 0), 1);
		aim(cases[i].config, &modes[cases[i].mode], LOAD * 16);
		shot.cr4 |= CR4_LASS | CR4_SMAP;
		shot.rflags |= cases[i].ac ? AC : 0;
		shot.rax = cases[i].upper ? upper : lower;
		if (cases[i].passes)
			foretell(UD, 0, SENTINEL, shot.rip + access_length[LOAD]);
		else
			foretell(GP, 0, SENTINEL, shot.rip);
		probe();
		point(as_foretold() && !(*pte & A) == !cases[i].passes);
	}
	switch_to(OFF);
}

/* MOV to CR3 with these bits */
static bool cr3_taken(uint64_t bits)
{
	uint64_t cr3 = (uint64_t)root | bits;

	probe_here(move_cr3, cr3, read_cr4());
	load_cr3((uint64_t)root);
	return got.vector == UD && got.rbx == cr3;
}

static bool cr3_refused(uint64_t bits)
{
	probe_here(move_cr3, (uint64_t)root | bits, read_cr4());
	return got.vector == GP && !got.error && got.rip == (uint64_t)move_cr3 + UPPER;
}

static void test_cr3(void)
{
	name = "CR3 takes and keeps the bits of LAM";
	point(cr3_taken(0) && cr3_taken(CR3_U57) && cr3_taken(CR3_U48) &&
	      cr3_taken(CR3_U57 | CR3_U48));
	name = "and no others";
	point(cr3_refused(BIT(60)) && cr3_refused(BIT(63)) && cr3_refused(CR3_U57 | BIT(52)) &&
	      cr3_refused(CR3_U48 | BIT(60)));
}

/* With 5 levels LAM_U48 masks what without it is part of an address. */
static void test_hidden(void)
{
	const uint64_t p = CELL_PAGE + WORD, far = p | BIT(48);
	bool ok;

	map_cells();
	map(far, OTHER, U);
	cell()[0] = 0;
	*(uint64_t *)(OTHER + WORD) = DESCRIPTOR;
	load_ldt(far);

	name = "5 levels, LAM_U48: a table of descriptors is where its base says";
	aim(U48, &modes[CPL3], LOAD_DS * 16);
	shot.rax = 7;
	foretell(UD, 0, SENTINEL, shot.rip + access_length[LOAD_DS]);
	probe();
	point(as_foretold());

	name = "and data is not there";
	aim(U48, &modes[CPL0], LOAD_DS_LOAD);
	shot.rdx = 7;
	shot.rax = far;
	foretell(UD, 0, SENTINEL, shot.rip + 4);
	probe();
	ok = as_foretold() && got.rbx == 0;
	aim(U57, &modes[CPL0], LOAD_DS_LOAD);
	shot.rdx = 7;
	shot.rax = far;
	probe();
	point(ok && as_foretold() && got.rbx == (uint32_t)DESCRIPTOR);

	name = "and code is where it is";
	map(CELL_PAGE | BIT(47), CODE_PAGE, U);
	aim(U48, &modes[CPL3], JUMP * 16);
	shot.rax = CELL_PAGE | BIT(47) | access_length[LOAD];
	foretell(UD, 0, SENTINEL, shot.rax);
	probe();
	point(as_foretold());

	name = "data is not there from the moment LAM is switched on, though the page was global";
	*entry(far, 1) |= BIT(8);
	aim(OFF, &modes[CPL0], LOAD_CR3_LOAD);
	shot.cr4 |= CR4_PGE;
	shot.rax = far;
	shot.rcx = (uint64_t)root | CR3_U48;
	foretell(UD, 0, SENTINEL, shot.rip + 7);
	probe();
	point(as_foretold() && got.rbx == 0);
	switch_to(OFF);
}

/* What a VMX guest does until it stops: it loads, it stores, or it loads CR3 first. */
static volatile struct {
	bool store;
	uint64_t pointer, cr3, value;
} todo;

static PAGE_ALIGNED uint64_t ept[4][512]; /* PML4, PDPT, PD, the PT of the page under test */
static PAGE_ALIGNED uint8_t guest_stack[PAGE];
static bool launched;

static void __attribute__((noreturn)) guest(void)
{
	uint64_t value = 0;

	if (todo.cr3)
		load_cr3(todo.cr3);
	if (todo.store)
		asm volatile("movq %0, (%1)" : : "r"(value), "r"(todo.pointer) : "memory");
	else
		asm volatile("movq (%1), %0" : "=r"(value) : "r"(todo.pointer));
	todo.value = value;
	for (;;)
		asm volatile("vmcall");
}

/* By these CR3: the exit's reason; -1 if it was not entered */
static uint64_t enter_by(uint64_t guest_cr3, uint64_t host_cr3, uint64_t pointer, bool store)
{
	vmwrite(GUEST_CR3, guest_cr3);
	vmwrite(HOST_CR3, host_cr3);
	vmwrite(GUEST_RIP, (uint64_t)guest);
	vmwrite(GUEST_RSP, (uint64_t)guest_stack + sizeof(guest_stack) - 8);
	vmwrite(GUEST_RFLAGS, 2);
	todo.pointer = pointer;
	todo.store = store;
	todo.value = 0;
	if (guest_run(launched))
		return -1;
	launched = launched || !(vmread(EXIT_REASON) >> 31);
	return vmread(EXIT_REASON);
}

/* The same by the tables that are in use, with these bits */
static uint64_t enter(uint64_t guest_bits, uint64_t host_bits, uint64_t pointer, bool store)
{
	return enter_by((uint64_t)root | guest_bits, (uint64_t)root | host_bits, pointer, store);
}

static bool guest_faults(void)
{
	return (vmread(EVENT_INFO) & 0x800008ff) == (0x80000800 | GP);
}

static void build_ept(void)
{
	uint64_t i;

	ept[0][0] = (uint64_t)ept[1] | EPT_R | EPT_W | EPT_X;
	ept[1][0] = (uint64_t)ept[2] | EPT_R | EPT_W | EPT_X;
	for (i = 0; i < 512; i++)
		ept[2][i] = i << 21 | EPT_R | EPT_W | EPT_X | EPT_WB | EPT_LARGE;
	for (i = 0; i < 512; i++)
		ept[3][i] = ((CELL_PAGE & -BIT(21)) + i * PAGE) | EPT_R | EPT_W | EPT_X | EPT_WB;
	ept[2][CELL_PAGE >> 21] = (uint64_t)ept[3] | EPT_R | EPT_W | EPT_X;
}

/* LAM is the guest's, by the guest's CR3 and CR4, or the host's by the host's. */
static void test_vmx(void)
{
	const uint64_t p = CELL_PAGE + WORD, tagged = p ^ BIT(60), upper = (p + UPPER) ^ BIT(60);
	uint64_t value, cr4;
	bool ok;

	build_ept();
	map_cells();
	name = "VMX with EPT";
	ok = vmx_on() && vmcs_fill(0, ept[0]);
	point(ok);
	if (!ok)
		return;
	cell()[0] = 0x4444;

	name = "VM entry with LAM in the guest's CR3";
	point(enter(CR3_U57, 0, tagged, false) == EXIT_VMCALL && todo.value == 0x4444 &&
	      enter(CR3_U48, 0, tagged, false) == EXIT_VMCALL && todo.value == 0x4444 &&
	      vmread(GUEST_CR3) == ((uint64_t)root | CR3_U48));
	name = "and without it";
	point(enter(0, 0, tagged, false) == EXIT_EXCEPTION && guest_faults() &&
	      enter(0, 0, p, false) == EXIT_VMCALL && todo.value == 0x4444);
	name = "the guest switches it on itself";
	todo.cr3 = (uint64_t)root | CR3_U57;
	point(enter(0, 0, tagged, false) == EXIT_VMCALL && todo.value == 0x4444 &&
	      vmread(GUEST_CR3) == todo.cr3);
	todo.cr3 = 0;
	name = "LAM_SUP in the guest's CR4";
	cr4 = vmread(GUEST_CR4);
	ok = enter(0, 0, upper, false) == EXIT_EXCEPTION && guest_faults();
	vmwrite(GUEST_CR4, cr4 | CR4_SUP);
	point(ok && enter(0, 0, upper, false) == EXIT_VMCALL && todo.value == 0x4444);
	vmwrite(GUEST_CR4, cr4);
	name = "VM exit with LAM in the host's CR3";
	ok = enter(0, CR3_U57, tagged, false) == EXIT_EXCEPTION && guest_faults();
	asm volatile("movq (%1), %0" : "=r"(value) : "r"(ok ? tagged : p));
	point(ok && value == 0x4444);
	name = "an EPT violation's linear address is without the tag";
	ept[3][(CELL_PAGE >> 12) & 511] &= ~EPT_W;
	point(enter(CR3_U57, 0, tagged, true) == EXIT_EPT_VIOLATION &&
	      vmread(GUEST_LINEAR_ADDRESS) == p && vmread(GUEST_PHYSICAL_ADDRESS) == p);
	ept[3][(CELL_PAGE >> 12) & 511] |= EPT_W;
	name = "VM entry with other high bits in the guest's CR3";
	point(enter(BIT(60), 0, p, false) == (BIT(31) | EXIT_BAD_STATE) &&
	      enter(BIT(63) | CR3_U57, 0, p, false) == (BIT(31) | EXIT_BAD_STATE));
	name = "and in the host's";
	point(enter(0, BIT(60) | CR3_U48, p, false) == -1ul && vmread(INSTRUCTION_ERROR) == 8);
	name = "and with all in order again";
	point(enter(CR3_U57, 0, tagged, true) == EXIT_VMCALL && cell()[0] == 0);
}

/* What registers can have, the CPU tells, not the paging in use: these have four levels. */
static void test_registers(void)
{
	static const struct {
		const char *name;
		enum access access;
		uint64_t error;
	} kinds57[] = {
		{ "WRFSBASE", WRFSBASE, 0 },
		{ "WRMSR", WRMSR, 0 },
		{ "LLDT", LLDT, LDT_SEL },
		{ "INVPCID", INVPCID, 0 },
	};
	uint64_t address;
	unsigned int i;
	int half;
	bool ok;

	for (i = 0; i < sizeof(kinds57) / sizeof(*kinds57); i++) {
		for (half = 0, ok = true; half < 2; half++) {
			address = CELL_PAGE + (half ? UPPER : 0);
			ok = ok && raw_address(kinds57[i].access, OFF, address ^ BIT(50), UD, 0) &&
			     raw_address(kinds57[i].access, OFF, address ^ BIT(57), GP,
					 kinds57[i].error);
		}
		say((const char *[]){ "4 levels on a CPU of 5: ", kinds57[i].name,
				      " of an address of 57 bits, not of 58", NULL });
		point(ok);
	}
	wrmsr(MSR_FS_BASE, 0);
	load_ldt(CELL_PAGE);
	switch_to(OFF);
}

static void use_five_levels(void)
{
	uint64_t *lower = new_table(), *upper = new_table(), *top = new_table();
	int i;

	lower[0] = root[0];
	for (i = 256; i < 512; i++)
		upper[i] = root[i];
	top[0] = (uint64_t)lower | P | W | U;
	top[511] = (uint64_t)upper | P | W | U;
	five_levels((uint64_t)top);
	root = top;
	levels = 5;
}

/* As enter_by(), by tables and with CR4.LA57 as told of either side; the host's are in use then. */
static uint64_t cross(uint64_t *guest_root, uint64_t *host_root, uint64_t *root4, uint64_t pointer)
{
	uint64_t cr4 = read_cr4() & ~CR4_LA57, reason;

	vmwrite(GUEST_CR4, cr4 | CR4_SUP | (guest_root == root4 ? 0 : CR4_LA57));
	vmwrite(HOST_CR4, cr4 | (host_root == root4 ? 0 : CR4_LA57));
	reason = enter_by((uint64_t)guest_root, (uint64_t)host_root, pointer, false);
	root = host_root;
	levels = host_root == root4 ? 4 : 5;
	return reason;
}

/* Do addresses have that many levels? Also by the TLB's leave. */
static bool host_is(int its)
{
	const uint64_t p = CELL_PAGE + WORD;

	return levels == its && !(read_cr4() & CR4_LA57) == (its == 4) &&
	       pointer_is(its == 4 ? 'x' : 'p', p ^ BIT(51), OFF, &modes[CPL0]) &&
	       pointer_is(its == 4 ? '.' : 'p', (p + UPPER) ^ BIT(51), SUP, &modes[CPL0]) &&
	       pointer_is('.', (p + UPPER) ^ BIT(60), SUP, &modes[CPL0]) &&
	       pointer_is('.', p, OFF, &modes[CPL0]);
}

/* VM entry and exit between four levels and five: each has the width of its own CR4. */
static void test_vmx_levels(uint64_t *root4)
{
	const uint64_t p = CELL_PAGE + WORD, far = p | BIT(50), upper = p + UPPER;
	uint64_t *root5 = root;
	static const char *const names[2][2] = {
		{ "a guest of 5 levels by a host of 5", "and of 4, left for a host of 4" },
		{ "a guest of 5 levels by a host of 4", "and of 4, left for a host of 5" },
	};
	int i;
	bool ok;

	build_ept();
	map_cells();
	map(far & ~(PAGE - 1), OTHER, U);
	name = "VMX with EPT and 5-level paging";
	ok = vmx_on() && vmcs_fill(0, ept[0]);
	point(ok);
	if (!ok)
		return;
	/* What the probes need is there after an exit. */
	vmwrite(HOST_TR_SELECTOR, TSS_SEL);
	vmwrite(HOST_TR_BASE, TOP + TSS);
	vmwrite(HOST_GDTR_BASE, TOP);
	vmwrite(HOST_IDTR_BASE, TOP + IDT);
	for (i = 0; i < 2; i++) {
		uint64_t *host = i ? root4 : root5, *next = i ? root5 : root4;

		cell()[0] = 0x5555;
		*(uint64_t *)(OTHER + WORD) = 0x6666;
		name = names[i][0];
		point(cross(root5, host, root4, far) == EXIT_VMCALL && todo.value == 0x6666 &&
		      cross(root5, host, root4, far ^ BIT(57)) == EXIT_EXCEPTION && guest_faults() &&
		      cross(root5, host, root4, upper ^ BIT(60)) == EXIT_VMCALL &&
		      todo.value == 0x5555 &&
		      cross(root5, host, root4, upper ^ BIT(50)) == EXIT_EXCEPTION &&
		      !guest_faults() && host_is(i ? 4 : 5));
		name = names[i][1];
		cell()[0] = 0x5555;
		point(cross(root4, host, root4, far) == EXIT_EXCEPTION && guest_faults() &&
		      cross(root4, host, root4, upper ^ BIT(50)) == EXIT_VMCALL &&
		      todo.value == 0x5555 && cross(root4, next, root4, p) == EXIT_VMCALL &&
		      host_is(i ? 5 : 4));
	}
	name = "a host of 4 levels gives a guest of 5 a base of 57 bits";
	ok = cross(root5, root4, root4, p) == EXIT_VMCALL && host_is(4);
	vmwrite(GUEST_GS_BASE, far);
	ok = ok && cross(root5, root4, root4, p) == EXIT_VMCALL && vmread(GUEST_GS_BASE) == far;
	vmwrite(GUEST_GS_BASE, far ^ BIT(57));
	point(ok && cross(root5, root4, root4, p) == (BIT(31) | EXIT_BAD_STATE));
	vmwrite(GUEST_GS_BASE, 0);
}

static bool has(uint32_t subleaf, bool in_ecx, int bit)
{
	uint32_t eax, ecx;

	cpuid(7, subleaf, &eax, &ecx);
	return (in_ecx ? ecx : eax) >> bit & 1;
}

/* A CPU that has no LAM, whatever else */
static void test_none(void)
{
	bool ok;

	name = "without LAM CR3 refuses its bits";
	ok = cr3_refused(CR3_U57) && cr3_refused(CR3_U48) && cr3_refused(CR3_U57 | CR3_U48);
	point(ok && cr3_taken(0));
	name = "and CR4 its bit";
	point(cr4_refused(read_cr4() | CR4_SUP) && !(rdmsr(0x489) & CR4_SUP));
	name = "and tagged pointers are not canonical";
	point(pointer_is('x', (CELL_PAGE + WORD) ^ BIT(62), OFF, &modes[CPL0]) &&
	      pointer_is('x', (CELL_PAGE + UPPER + WORD) ^ BIT(62), OFF, &modes[CPL0]) &&
	      pointer_is('.', CELL_PAGE + WORD, OFF, &modes[CPL0]));
}

void main(void)
{
	begin("lam");
	probe_init();
	prepare_code(page_code, page_code_end);
	write_cr4(read_cr4() | CR4_FSGSBASE);
	if (!has(1, false, 26)) {
		test_none();
	} else {
		name = "CR4.LAM_SUP can be set, and by VM entry and exit";
		point(!cr4_refused(read_cr4() | CR4_SUP) && rdmsr(0x489) & CR4_SUP);
		test_cr3();
		test_rows();
		test_kinds();
		test_raw();
		test_invlpg();
		test_addresses();
		test_lass();
		if (has(0, true, 16)) {
			uint64_t *root4 = root;

			test_registers();
			use_five_levels();
			test_rows();
			test_hidden();
			test_vmx_levels(root4);
		} else {
			test_vmx();
		}
	}
	end("lam");
}
