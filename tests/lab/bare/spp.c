// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Does the lab's CPU have sub-page write permissions (SPP) as the architecture
 * describes them (SDM vol. 3, "Sub-Page Write Permissions")? A hypervisor without
 * anything around it: one guest, which shares its page tables, stores to pages of
 * which some sub-pages may be written. Not a test of Merlon: of what it stands on.
 */
#include "vmx.h"

#define SUBPAGE 128UL
/* The pages under test: 2 MiB with a page table of their own */
#define TEST	0x1000000UL
#define ARMED	(TEST + 1 * PAGE) /* two neighbours, not writable but by SPP */
#define ARMED2	(TEST + 2 * PAGE)
#define PLAIN	(TEST + 3 * PAGE)
#define WRITE_SPP (TEST + 4 * PAGE) /* writable, and with the SPP bit */
#define LARGE	0x1200000UL	  /* 2 MiB, not writable, with that bit */
#define BY_TABLE 0x40000000UL	  /* a linear address whose page table is ARMED */

#define EPT_SPP	  (1ull << 61)
#define SPP_VALID 1ull
#define SPPT_POINTER 0x2030 /* a field of the VMCS */
#define CTL2_SPP (1u << 23)

#define EXIT_SPP	   66
#define SPP_MISS	   (1ull << 11)

static PAGE_ALIGNED uint64_t ept[4][512]; /* PML4, PDPT, PD, the PT of TEST */
static PAGE_ALIGNED uint64_t sppt[4][512]; /* L4 to L1 of TEST */
static PAGE_ALIGNED uint64_t idt[512];
static PAGE_ALIGNED uint64_t directory[512]; /* of the guest's page tables, for BY_TABLE */
static PAGE_ALIGNED uint8_t guest_stack[2 * PAGE];

/* What the guest does until it stops */
enum action {
	STORE,	   /* size bytes */
	ADD,	   /* lock, 8 bytes */
	PUSH_TWO,  /* 16 bytes below the address */
	STOS,	   /* size bytes, one by one */
	MOVUPS,	   /* 16 bytes */
	CMPXCHG16, /* 16 bytes */
	FXSAVE,	   /* 512 bytes */
	LOAD,	   /* 8 bytes */
	STALE,	   /* store, take all rights away, store again */
	TWICE,	   /* store, then store size bytes further */
	INTERRUPT, /* with the stack below the address */
};

static volatile struct {
	enum action action;
	uint64_t address;
	uint64_t size;
} todo;

static struct {
	uint64_t reason, qualification, gpa, gla, vectoring;
} out;

static bool launched;
static const char *name;

/* One line of TAP for each name, with what the exit said if it is wrong */
static void point(bool ok)
{
	if (report(ok, name))
		return;
	put_pair("# reason ", out.reason);
	put_pair(" qualification ", out.qualification);
	put_pair(" gpa ", out.gpa);
	put_pair(" linear ", out.gla);
	put_pair(" vectoring ", out.vectoring);
	put(REPORT, "\n");
}

static void store(uint64_t p, uint64_t size)
{
	switch (size) {
	case 1: asm volatile("movb $0x11, (%0)" : : "r"(p) : "memory"); break;
	case 4: asm volatile("movl $0x11111111, (%0)" : : "r"(p) : "memory"); break;
	default:
		asm volatile("movq %1, (%0)" : : "r"(p), "r"(0x1111111111111111) : "memory");
	}
}

/* The guest: it stops at VMCALL if nothing stops it before. */
static void __attribute__((noreturn)) guest(void)
{
	uint64_t p = todo.address, n = todo.size, rdx = 0, rax = 0;

	switch (todo.action) {
	case STORE:
		store(p, n);
		break;
	case ADD:
		asm volatile("lock addq $1, (%0)" : : "r"(p) : "memory");
		break;
	case PUSH_TWO:
		asm volatile("movq %%rsp, %%rbx\n\t"
			     "movq %0, %%rsp\n\t"
			     "pushq $0x11\n\t"
			     "pushq $0x22\n\t"
			     "movq %%rbx, %%rsp" : : "r"(p) : "rbx", "memory");
		break;
	case STOS:
		asm volatile("rep stosb" : "+D"(p), "+c"(n) : "a"(0x11) : "memory");
		break;
	case MOVUPS:
		asm volatile("pcmpeqd %%xmm0, %%xmm0\n\tmovups %%xmm0, (%0)"
			     : : "r"(p) : "memory");
		break;
	case CMPXCHG16:
		asm volatile("lock cmpxchg16b (%2)" : "+a"(rax), "+d"(rdx)
			     : "r"(p), "b"(0x11UL), "c"(0x22UL) : "memory", "cc");
		break;
	case FXSAVE:
		asm volatile("fxsave64 (%0)" : : "r"(p) : "memory");
		break;
	case LOAD:
		asm volatile("movq (%0), %0" : "+r"(p) : : "memory");
		break;
	case STALE:
		store(p, 8);
		*(volatile uint64_t *)&sppt[3][(p - TEST) / PAGE] = 0;
		store(p + 8, 8);
		break;
	case TWICE:
		store(p, 8);
		store(p + n, 8);
		break;
	case INTERRUPT:
		asm volatile("movq %0, %%rsp\n\tint $0x80" : : "r"(p) : "memory");
		break;
	}
	for (;;)
		asm volatile("vmcall");
}

/* Have the guest do it; false if it was not even entered. */
static bool run(enum action action, uint64_t address, uint64_t size)
{
	todo.action = action;
	todo.address = address;
	todo.size = size;
	vmwrite(GUEST_RIP, (uint64_t)guest);
	/* As behind a CALL */
	vmwrite(GUEST_RSP, (uint64_t)guest_stack + sizeof(guest_stack) - 8);
	vmwrite(GUEST_RFLAGS, 2);
	out.reason = ~0ull;
	if (guest_run(launched)) {
		out.qualification = vmread(INSTRUCTION_ERROR);
		return false;
	}
	launched = true;
	out.reason = vmread(EXIT_REASON);
	out.qualification = vmread(EXIT_QUALIFICATION);
	out.gpa = vmread(GUEST_PHYSICAL_ADDRESS);
	out.gla = vmread(GUEST_LINEAR_ADDRESS);
	out.vectoring = vmread(VECTORING_INFO);
	return true;
}

/* Which sub-pages of an armed page may be written */
static void allow(uint64_t page, uint32_t mask)
{
	uint64_t vector = 0;
	int i;

	for (i = 0; i < 32; i++)
		vector |= (uint64_t)(mask >> i & 1) << (2 * i);
	sppt[3][(page - TEST) / PAGE] = vector;
}

static void clear(void)
{
	uint64_t *p;

	for (p = (uint64_t *)TEST; p < (uint64_t *)(TEST + 8 * PAGE); p++)
		*p = 0;
}

/* How many of these bytes are not zero */
static unsigned int written(uint64_t p, uint64_t size)
{
	unsigned int n = 0;
	uint64_t i;

	for (i = 0; i < size; i++)
		n += ((const volatile uint8_t *)p)[i] != 0;
	return n;
}

static bool passes(enum action action, uint64_t p, uint64_t size)
{
	return run(action, p, size) && out.reason == EXIT_VMCALL;
}

/* An EPT violation there by a write, as for any page that may not be written */
static bool violates(enum action action, uint64_t p, uint64_t size, uint64_t gpa)
{
	uint64_t ignored = QUAL_PAGE_RIGHTS;

	if (action == ADD || action == CMPXCHG16)
		ignored |= QUAL_READ;
	return run(action, p, size) && out.reason == EXIT_EPT_VIOLATION &&
	       (out.qualification & ~ignored) ==
	       (QUAL_WRITE | QUAL_R_AND_X | QUAL_LINEAR | QUAL_DATA) &&
	       out.gpa == gpa && out.gla == gpa;
}

static bool spp_event(uint64_t p, uint64_t qualification)
{
	return run(STORE, p, 8) && out.reason == EXIT_SPP && out.qualification == qualification &&
	       out.gpa == p && out.gla == p;
}

static void test_stores(void)
{
	uint64_t edge = ARMED + 5 * SUBPAGE;

	name = "an allowed sub-page is written without an exit";
	clear();
	allow(ARMED, 1u << 5);
	point(passes(STORE, edge, 8) && written(ARMED, PAGE) == 8 &&
	      passes(STORE, edge + SUBPAGE - 8, 8) && written(ARMED, PAGE) == 16);

	name = "a denied one is not, whatever was written beside it";
	clear();
	point(violates(STORE, edge - 8, 8, edge - 8) &&
	      violates(STORE, edge + SUBPAGE, 8, edge + SUBPAGE) && !written(ARMED, PAGE) &&
	      violates(TWICE, edge, SUBPAGE, edge + SUBPAGE) && written(ARMED, PAGE) == 8);

	name = "a store over two sub-pages needs both";
	clear();
	point(violates(STORE, edge - 4, 8, edge - 4) &&
	      violates(STORE, edge + SUBPAGE - 4, 8, edge + SUBPAGE - 4) &&
	      !written(ARMED, PAGE) && passes(STORE, edge + SUBPAGE - 4, 4) &&
	      written(ARMED, PAGE) == 4);
	name = "and passes with both";
	allow(ARMED, 3u << 5);
	point(passes(STORE, edge + SUBPAGE - 4, 8) && written(ARMED, PAGE) == 8);
}

static void test_pages(void)
{
	uint64_t edge = ARMED2 - 4;
	bool ok;

	name = "a store over two pages from an even address needs both sub-pages";
	clear();
	allow(ARMED, 1u << 31);
	allow(ARMED2, ~1u);
	ok = violates(STORE, edge, 8, ARMED2) && !written(ARMED, 2 * PAGE);
	allow(ARMED, ~(1u << 31));
	allow(ARMED2, 1);
	ok = ok && violates(STORE, edge, 8, edge) && !written(ARMED, 2 * PAGE);
	allow(ARMED, 1u << 31);
	point(ok && passes(STORE, edge, 8) && written(ARMED, 2 * PAGE) == 8);

	name = "and one from an odd address is not eligible";
	clear();
	point(violates(STORE, edge + 1, 8, edge + 1) && !written(ARMED, 2 * PAGE));

	name = "a store from an armed page to a plain one, and the other way round";
	clear();
	allow(ARMED2, 1u << 31);
	ok = passes(STORE, PLAIN - 4, 8) && written(PLAIN - 4, 8) == 8;
	clear();
	allow(ARMED2, ~(1u << 31));
	ok = ok && violates(STORE, PLAIN - 4, 8, PLAIN - 4) && !written(PLAIN - 4, 8);
	allow(ARMED, 0);
	point(ok && violates(STORE, ARMED - 4, 8, ARMED) && !written(ARMED - 4, 8));
}

static void test_instructions(void)
{
	uint64_t edge = ARMED + 9 * SUBPAGE, open = edge - SUBPAGE;
	bool ok;

	allow(ARMED, 1u << 8);
	name = "a locked read-modify-write";
	clear();
	point(passes(ADD, open, 8) && passes(ADD, open, 8) && *(uint64_t *)open == 2 &&
	      violates(ADD, edge, 8, edge) && violates(ADD, edge - 4, 8, edge - 4) &&
	      written(ARMED, PAGE) == 1);

	name = "CMPXCHG16B";
	clear();
	point(passes(CMPXCHG16, open, 16) && written(open, 16) == 2 &&
	      violates(CMPXCHG16, edge, 16, edge) && !written(edge, 16));

	name = "a 16-byte vector";
	clear();
	point(passes(MOVUPS, edge - 16, 16) && written(ARMED, PAGE) == 16 &&
	      violates(MOVUPS, edge - 15, 16, edge - 15) && written(ARMED, PAGE) == 16);

	name = "pushes, the first of which is allowed";
	clear();
	point(violates(PUSH_TWO, open + 8, 16, open - 8) && written(ARMED, PAGE) == 1 &&
	      passes(PUSH_TWO, edge, 16) && written(ARMED, PAGE) == 3);

	name = "a repeated string stops at the first denied byte";
	clear();
	point(violates(STOS, edge - 100, 200, edge) && exit_rcx == 100 && exit_rdi == edge &&
	      written(ARMED, PAGE) == 100 && passes(STOS, open, SUBPAGE) &&
	      written(ARMED, PAGE) == SUBPAGE);

	name = "a string from a plain page into an armed one";
	clear();
	point(violates(STOS, ARMED - 50, 100, ARMED) && exit_rcx == 50 &&
	      written(ARMED - 50, 100) == 50);

	name = "FXSAVE";
	clear();
	allow(ARMED, 7u << 8);
	ok = run(FXSAVE, open, 512) && out.reason == EXIT_EPT_VIOLATION &&
	     out.gpa == open + 3 * SUBPAGE && !written(open + 3 * SUBPAGE, SUBPAGE);
	allow(ARMED, 15u << 8);
	point(ok && passes(FXSAVE, open, 512));
}

static void test_events(void)
{
	uint64_t edge = ARMED + 9 * SUBPAGE;
	uint64_t handler = (uint64_t)guest_interrupt;

	idt[0x80 * 2] = (handler & 0xffff) | 0x18 << 16 | 0x8eull << 40 | (handler >> 16) << 48;
	idt[0x80 * 2 + 1] = 0;
	name = "an interrupt's frame on an allowed sub-page";
	clear();
	allow(ARMED, 1u << 8);
	point(passes(INTERRUPT, edge, 0) && written(edge - 40, 40) && !(out.vectoring >> 31));
	name = "an interrupt's frame on a denied one";
	clear();
	point(violates(INTERRUPT, edge + SUBPAGE, 0, edge + SUBPAGE - 8) &&
	      out.vectoring == (1u << 31 | 4 << 8 | 0x80) && !written(ARMED, PAGE));
	name = "an interrupt's frame where there is no table";
	sppt[2][TEST >> 21 & 511] = 0;
	point(run(INTERRUPT, edge, 0) && out.reason == EXIT_SPP && out.qualification == SPP_MISS &&
	      out.vectoring == (1u << 31 | 4 << 8 | 0x80));
	sppt[2][TEST >> 21 & 511] = (uint64_t)sppt[3] | SPP_VALID;
}

static void test_tables(void)
{
	static uint64_t *const entries[] = { &sppt[0][0], &sppt[1][0], &sppt[2][TEST >> 21] };
	static const char *const misses[] = {
		"an L4 entry that is not valid is a miss",
		"an L3 entry that is not valid is a miss",
		"an L2 entry that is not valid is a miss",
	};
	static const char *const bad[] = {
		"a reserved bit in an L4 entry is a misconfiguration",
		"a reserved bit in an L3 entry is a misconfiguration",
		"a reserved bit in an L2 entry is a misconfiguration",
	};
	uint64_t *l1 = &sppt[3][(ARMED - TEST) / PAGE], good;
	unsigned int i;
	bool ok;

	clear();
	allow(ARMED, ~0u);
	for (i = 0; i < 3; i++) {
		good = *entries[i];
		name = misses[i];
		*entries[i] = good & ~SPP_VALID;
		point(spp_event(ARMED, SPP_MISS) && !written(ARMED, PAGE));
		name = bad[i];
		*entries[i] = good | 1ull << 1;
		ok = spp_event(ARMED, 0);
		*entries[i] = good | 1ull << 52;
		point(ok && spp_event(ARMED, 0) && !written(ARMED, PAGE));
		*entries[i] = good;
	}
	name = "an odd bit in a vector is a misconfiguration";
	good = *l1;
	*l1 = good | 1ull << 63;
	point(spp_event(ARMED, 0) && !written(ARMED, PAGE));
	*l1 = good;
	name = "with all in order it passes";
	point(passes(STORE, ARMED, 8) && written(ARMED, PAGE) == 8);

	name = "a page that EPT lets be written does not ask";
	allow(WRITE_SPP, 0);
	point(passes(STORE, WRITE_SPP, 8) && written(WRITE_SPP, 8) == 8);
	name = "a large page does not either, and cannot be written";
	point(violates(STORE, LARGE, 8, LARGE));
}

/* A page table of the guest on an armed page: with accessed and dirty bits walks are writes. */
static void test_walk(void)
{
	clear();
	allow(ARMED, ~0u);
	*(uint64_t *)ARMED = PLAIN | 0x63;
	name = "a page walk is not eligible";
	point(run(LOAD, BY_TABLE, 8) && out.reason == EXIT_EPT_VIOLATION &&
	      (out.qualification & (QUAL_LINEAR | QUAL_DATA | QUAL_WRITE)) ==
	      (QUAL_LINEAR | QUAL_WRITE) && out.gpa == ARMED);
	name = "and needs none without those bits";
	vmwrite(EPT_POINTER, vmread(EPT_POINTER) & ~EPTP_AD);
	point(passes(LOAD, BY_TABLE, 8));
	vmwrite(EPT_POINTER, vmread(EPT_POINTER) | EPTP_AD);
}

static void test_dirty(void)
{
	uint64_t *entry = &ept[3][(ARMED - TEST) / PAGE];

	name = "what SPP lets through sets the dirty bit, what it does not leaves it";
	clear();
	allow(ARMED, 1);
	*entry &= ~(3ull << 8);
	point(violates(STORE, ARMED + SUBPAGE, 8, ARMED + SUBPAGE) && !(*entry & 1ull << 9) &&
	      passes(STORE, ARMED, 8) && *entry & 1ull << 9);
}

static void test_stale(void)
{
	name = "a granted right lasts until the TLB forgets it, and no longer";
	clear();
	allow(ARMED, 1);
	point(passes(STALE, ARMED, 8) && written(ARMED, PAGE) == 16 &&
	      violates(STORE, ARMED, 8, ARMED));
}

static void test_entry(void)
{
	uint64_t pointer = vmread(SPPT_POINTER), controls = vmread(PROC_CONTROLS2);

	name = "an SPPT pointer that is not aligned is refused";
	vmwrite(SPPT_POINTER, pointer | 1);
	point(!run(STORE, PLAIN, 8) && out.qualification == 7);
	vmwrite(SPPT_POINTER, pointer);
	name = "and SPP without EPT";
	vmwrite(PROC_CONTROLS2, controls & ~CTL2_EPT);
	point(!run(STORE, PLAIN, 8) && out.qualification == 7);
	vmwrite(PROC_CONTROLS2, controls & ~CTL2_SPP);
	name = "without SPP the bit means nothing";
	allow(ARMED, ~0u);
	point(violates(STORE, ARMED, 8, ARMED));
	vmwrite(PROC_CONTROLS2, controls);
	name = "with it all is as before";
	point(passes(STORE, ARMED, 8));
}

static void build_tables(void)
{
	uint64_t i;

	ept[0][0] = (uint64_t)ept[1] | EPT_R | EPT_W | EPT_X;
	ept[1][0] = (uint64_t)ept[2] | EPT_R | EPT_W | EPT_X;
	for (i = 0; i < 512; i++)
		ept[2][i] = i << 21 | EPT_R | EPT_W | EPT_X | EPT_WB | EPT_LARGE;
	ept[2][LARGE >> 21] = LARGE | EPT_R | EPT_X | EPT_WB | EPT_LARGE | EPT_SPP;
	ept[2][TEST >> 21] = (uint64_t)ept[3] | EPT_R | EPT_W | EPT_X;
	for (i = 0; i < 512; i++)
		ept[3][i] = (TEST + i * PAGE) | EPT_R | EPT_W | EPT_X | EPT_WB;
	for (i = ARMED; i <= ARMED2; i += PAGE)
		ept[3][(i - TEST) / PAGE] = i | EPT_R | EPT_X | EPT_WB | EPT_SPP;
	ept[3][(WRITE_SPP - TEST) / PAGE] |= EPT_SPP;
	sppt[0][0] = (uint64_t)sppt[1] | SPP_VALID;
	sppt[1][0] = (uint64_t)sppt[2] | SPP_VALID;
	sppt[2][TEST >> 21] = (uint64_t)sppt[3] | SPP_VALID;
	/* The guest's, behind the GiB that is mapped one to one */
	page_tables[1][BY_TABLE >> 30] = (uint64_t)directory | 3;
	directory[0] = ARMED | 3;
}

void main(void)
{
	begin("spp");
	name = "VMX with EPT and SPP";
	build_tables();
	point(vmx_on() && vmcs_fill(CTL2_SPP, ept[0]));
	if (!failures) {
		vmwrite(SPPT_POINTER, (uint64_t)sppt[0]);
		vmwrite(GUEST_IDTR_BASE, (uint64_t)idt);
		vmwrite(GUEST_IDTR_LIMIT, sizeof(idt) - 1);
		test_stores();
		test_pages();
		test_instructions();
		test_events();
		test_tables();
		test_walk();
		test_dirty();
		test_stale();
		test_entry();
	}
	end("spp");
}
