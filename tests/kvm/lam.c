// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linear Address Masking: which pointers with metadata in them KVM's emulator takes is which
 * the CPU takes, and both as the architecture says (SDM vol. 1, "Linear-address masking").
 * Linux has had it for guests since 6.8; nothing of Merlon's is in it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/host.h"
#include "lib/nested.h"
#include "suites.h"

#define CR3_LAM_U57	(1UL << 61)
#define CR3_LAM_U48	(1UL << 62)
#define CR4_LA57	(1UL << 12)
#define CR4_PCIDE	(1UL << 17)
#define CR4_LAM_SUP	(1UL << 28)
#define CPUID_7_0_LA57	(1U << 16)	/* ECX */
#define CPUID_7_1_LAM	(1U << 26)	/* EAX */

/* A page in each half; canonical with 48 bits, so with 57 too. */
#define LOWER_PAGE	0x70000000UL
#define UPPER_PAGE	0xffff900000000000UL
/* With 57 bits only; LAM_U48 makes the other page of what points to the lower one. */
#define FAR		(0xf0UL << 48)
#define OFFSET		0x100UL
#define LOWER_FRAME	(GUEST_ARENA + 2 * PAGE_SIZE)
#define UPPER_FRAME	(GUEST_ARENA + 3 * PAGE_SIZE)

#define SIGN		(1UL << 63)
#define PFERR_WRITE	(1U << 1)
#define PFERR_USER	(1U << 2)
#define PFERR_FETCH	(1U << 4)
#define RET		0xc3
#define VALUE		0xc3c3c3c3c3c3c3c3UL

/** struct mode - what is switched on */
struct mode {
	uint64_t cr3;
	uint64_t cr4;
};

static const struct mode modes[] = {
	{ },
	{ .cr3 = CR3_LAM_U48 },
	{ .cr3 = CR3_LAM_U57 },
	{ .cr3 = CR3_LAM_U48 | CR3_LAM_U57 },
	{ .cr4 = CR4_LAM_SUP },
	{ .cr3 = CR3_LAM_U57, .cr4 = CR4_LAM_SUP },
	{ .cr4 = CR4_LA57 },
	{ .cr3 = CR3_LAM_U48, .cr4 = CR4_LA57 },
	{ .cr3 = CR3_LAM_U57, .cr4 = CR4_LA57 },
	{ .cr4 = CR4_LAM_SUP | CR4_LA57 },
};

static const struct page {
	uint64_t gva, frame;
} pages[] = {
	{ LOWER_PAGE, LOWER_FRAME },
	{ UPPER_PAGE, UPPER_FRAME },
	{ LOWER_PAGE | FAR, GUEST_ARENA + 4 * PAGE_SIZE },
	{ UPPER_PAGE & ~FAR, GUEST_ARENA + 5 * PAGE_SIZE },
};

/** struct row - one kind of access */
struct row {
	enum guest_probe probe;
	bool stack;		/* #SS, not #GP */
	bool write;
	bool raw;		/* not data: metadata is none */
	bool never;		/* does not fault at all */
	bool untouched;		/* nothing is read or written there */
	bool kernel_only;
	bool native_only;	/* KVM's emulator cannot */
};

static const struct row rows[] = {
	{ PROBE_LOAD },
	{ PROBE_STORE, .write = true },
	{ PROBE_MOVS },
	{ PROBE_SGDT, .write = true },
	{ PROBE_INVPCID_AT, .kernel_only = true, .native_only = true },
	{ PROBE_PUSH, .stack = true, .write = true },
	{ PROBE_POP, .stack = true },
	{ PROBE_LOAD_SS, .stack = true },
	{ PROBE_CALL_ON, .stack = true, .write = true },
	{ PROBE_CALL, .raw = true },
	{ PROBE_INVLPG, .never = true, .untouched = true, .kernel_only = true },
	{ PROBE_INVPCID, .raw = true, .untouched = true, .kernel_only = true, .native_only = true },
	{ PROBE_LEA, .never = true, .untouched = true },
	{ PROBE_LEAVE, .stack = true },
};

/* What is put into a pointer, by exclusive or; besides random bits. */
static const uint64_t tags[] = {
	0, 1UL << 62, 1UL << 57, 1UL << 56, 1UL << 48, 1UL << 47, 0x3fUL << 57, 0x7fffUL << 48,
	0x7fffUL << 48 | 1UL << 47, FAR,
};
#define RANDOM_TAGS	6

struct lam {
	struct vm *vm;
	struct vcpu *v;
	unsigned int bits;	/* of the CPU's widest addresses */
	unsigned int nr_pages;	/* that it can have */
};

static bool is_canonical(uint64_t p, unsigned int bits)
{
	int64_t top = (int64_t)p >> (bits - 1);

	return !top || top == -1;
}

/* The architecture's rules: is there no #GP or #SS? What is at *@p then is asked for. */
static bool is_legal(const struct lam *l, const struct mode *m, const struct row *row, uint64_t *p)
{
	unsigned int bits = m->cr4 & CR4_LA57 ? 57 : 48, width = 0;

	/* What INVPCID names need only be an address of the CPU's. */
	if (row->raw && row->untouched)
		bits = l->bits;
	if (!row->raw) {
		if (*p & SIGN)
			width = m->cr4 & CR4_LAM_SUP ? bits : 0;
		else if (m->cr3 & CR3_LAM_U57)
			width = 57;
		else if (m->cr3 & CR3_LAM_U48)
			width = 48;
	}
	if (width) {
		uint64_t metadata = ~SIGN & ~((1UL << width) - 1);

		if (!(*p & SIGN) != !(*p & 1UL << (width - 1)))
			return false;
		*p = *p & SIGN ? *p | metadata : *p & ~metadata;
	}
	return is_canonical(*p, bits);
}

/* The page that has the address, NULL if none. */
static const struct page *page_of(const struct lam *l, const struct mode *m, uint64_t p)
{
	unsigned int i;

	for (i = 0; i < (m->cr4 & CR4_LA57 ? l->nr_pages : 2); i++)
		if (p - pages[i].gva < PAGE_SIZE)
			return &pages[i];
	return NULL;
}

static bool has(struct vcpu *v, uint32_t index, enum cpuid_register reg, uint32_t bit)
{
	return vcpu_cpuid(v, 7, index, reg) & bit;
}

static uint64_t root_of(const struct lam *l, const struct mode *m)
{
	return m->cr4 & CR4_LA57 ? l->vm->root5 : l->vm->cr3;
}

static void begin(struct lam *l, const struct mode *m)
{
	struct kvm_sregs s;

	vcpu_reset_state(l->v);
	vcpu_set_ist(l->v, VECTOR_SS, 2);
	vcpu_set_ist(l->v, VECTOR_GP, 2);
	vcpu_set_ist(l->v, VECTOR_PF, 2);
	vcpu_ioctl(l->v, KVM_GET_SREGS, &s);
	s.cr3 = root_of(l, m) | m->cr3;
	s.cr4 |= m->cr4;
	vcpu_ioctl(l->v, KVM_SET_SREGS, &s);
}

static void lam_set_up(struct lam *l)
{
	const struct vm_options options = { .flags = VM_HIGH };
	unsigned int i;

	l->vm = vm_new(&options);
	l->v = l->vm->vcpu[0];
	require(host_force_emulation(true), "kvm.force_emulation_prefix: %s", strerror(errno));
	l->bits = 48;
	l->nr_pages = 2;
	if (has(l->v, 0, CPUID_ECX, CPUID_7_0_LA57)) {
		vm_five_levels(l->vm);
		l->bits = 57;
		l->nr_pages = ARRAY_SIZE(pages);
	}
	for (i = 0; i < l->nr_pages; i++)
		vm_map(l->vm, pages[i].gva, pages[i].frame, 1, PTE_PRESENT);
}

static struct run probe(struct lam *l, const struct mode *m, const struct row *row, uint64_t p,
			bool user, bool forced)
{
	uint64_t bits = PTE_PRESENT | PTE_WRITE | (user ? PTE_USER : 0);
	unsigned int i;
	struct run r;

	for (i = 0; i < (m->cr4 & CR4_LA57 ? l->nr_pages : 2); i++) {
		memset(vm_hva(l->vm, pages[i].frame), row->probe == PROBE_INVPCID_AT ? 0 : RET,
		       PAGE_SIZE);
		vcpu_map(l->v, pages[i].gva, pages[i].frame, bits);
	}
	require_done(vcpu_op(l->v, OP_LOAD_CR3, root_of(l, m) | m->cr3));
	if (user)
		l->v->cpu->flags |= GUEST_F_USER;
	r = vcpu_op(l->v, OP_PROBE, row->probe, p, forced ? PROBE_FORCED : 0, 42);
	l->v->cpu->flags &= ~GUEST_F_USER;
	return r;
}

static bool is_accessed(struct lam *l, uint64_t gva)
{
	return vm_read64(l->vm, vm_pte(l->vm, gva)) & PTE_ACCESSED;
}

/* The error code of a page fault where nothing is mapped. */
static uint32_t absent_error(const struct row *row, bool user)
{
	return (row->write ? PFERR_WRITE : 0) | (user ? PFERR_USER : 0) |
	       (row->probe == PROBE_CALL ? PFERR_FETCH : 0);
}

static bool check(struct lam *l, const struct mode *m, const struct row *row, uint64_t p,
		  bool user, bool forced)
{
	uint64_t at = p;
	bool legal = row->never || is_legal(l, m, row, &at);
	const struct page *page = page_of(l, m, at);
	bool absent = legal && !row->untouched && !page;
	uint32_t vector = absent ? VECTOR_PF : legal ? GUEST_NO_FAULT : row->stack ? VECTOR_SS :
			  VECTOR_GP;
	struct run r = probe(l, m, row, p, user, forced);
	unsigned int i;
	bool ok;

	ok = expect(r.end == RUN_DONE && r.vector == vector &&
		    r.error == (absent ? absent_error(row, user) : 0) &&
		    (!absent || r.cr2 == at) &&
		    (vector == GUEST_NO_FAULT ||
		     (r.fault_rip == (absent && row->raw ? at : r.insn) && r.faults == 1)),
		    "cr3 %#lx cr4 %#lx pointer %#lx of %s mode, %s: %s, expected exception %d",
		    m->cr3, m->cr4, p, user ? "user" : "kernel", forced ? "emulated" : "native",
		    run_text(&r), (int)vector);
	if (row->probe == PROBE_LOAD && vector == GUEST_NO_FAULT)
		ok &= expect_eq(r.ret[0], VALUE);
	if (row->probe == PROBE_LEA)
		ok &= expect_eq(r.ret[0], p);
	for (i = 0; !row->untouched && i < (m->cr4 & CR4_LA57 ? l->nr_pages : 2); i++) {
		bool reached = legal && page == &pages[i];

		ok &= expect(is_accessed(l, pages[i].gva) == reached,
			     "cr3 %#lx cr4 %#lx pointer %#lx: page tables of %#lx are %swalked",
			     m->cr3, m->cr4, p, pages[i].gva, reached ? "not " : "");
	}
	return ok;
}

/*
 * One row: in each mode, each pointer of a page in each half, and of another that needs 57 bits,
 * by both sides, both ways.
 */
static void test_row(uintptr_t arg)
{
	const struct row *row = &rows[arg];
	unsigned int i, t, ways, nr = 0, legal = 0, absent = 0;
	struct lam l;

	lam_set_up(&l);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		const struct mode *m = &modes[i];

		if (m->cr4 & CR4_LA57 && !has(l.v, 0, CPUID_ECX, CPUID_7_0_LA57))
			continue;
		begin(&l, m);
		for (t = 0; t < ARRAY_SIZE(tags) + RANDOM_TAGS; t++) {
			uint64_t tag = t < ARRAY_SIZE(tags) ? tags[t] : test_random() & ~SIGN &
				       ~((1UL << 47) - 1);

			for (ways = 0; ways < 4 * (m->cr4 & CR4_LA57 ? l.nr_pages : 2); ways++) {
				bool user = ways & 1, forced = ways & 2;
				uint64_t p = (pages[ways >> 2].gva + OFFSET) ^ tag, at = p;

				if ((user && (row->kernel_only || p & SIGN)) ||
				    (forced && row->native_only))
					continue;
				nr++;
				if (row->never || is_legal(&l, m, row, &at)) {
					legal++;
					absent += !row->untouched && !page_of(&l, m, at);
				}
				if (!check(&l, m, row, p, user, forced))
					begin(&l, m);
			}
		}
	}
	tap_note("%u pointers, %u of them legal, of these %u to no page", nr, legal, absent);
	vm_free(l.vm);
}

/* The operand of LGDT is data, the base in it is not. */
static void test_table(uintptr_t forced)
{
	static const struct mode sup = { .cr4 = CR4_LAM_SUP };
	static const uint64_t tag = 1UL << 60;
	struct kvm_sregs s;
	struct lam l;
	unsigned int i;
	struct run r;

	lam_set_up(&l);
	begin(&l, &sup);
	vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
	vm_map(l.vm, UPPER_PAGE, UPPER_FRAME, 1, PTE_DEFAULT & ~PTE_USER);
	for (i = 0; i < 2; i++) {
		uint64_t base = s.gdt.base ^ (i ? tag : 0);
		uint8_t *p = vm_hva(l.vm, UPPER_FRAME + OFFSET);

		memcpy(p, &s.gdt.limit, 2);
		memcpy(p + 2, &base, 8);
		r = vcpu_op(l.v, OP_PROBE, PROBE_LGDT, (UPPER_PAGE + OFFSET) ^ tag,
			    forced ? PROBE_FORCED : 0);
		if (i)
			expect_gp(r);
		else
			expect_done(r);
	}
	vm_free(l.vm);
}

/*
 * The bits of CR3 and CR4: loaded and read back by the guest and by the VMM, if CPUID has LAM.
 * With EPT no load of CR3 exits: there the CPU has LAM for the guest whatever its CPUID says,
 * as Linux knows.
 */
static void test_bits(uintptr_t offered)
{
	static const uint64_t cr3_bits[] = { CR3_LAM_U48, CR3_LAM_U57, CR3_LAM_U48 | CR3_LAM_U57 };
	struct kvm_sregs s;
	struct lam l;
	bool loads = offered || host_has_tdp();
	unsigned int i;
	struct run r;

	lam_set_up(&l);
	if (!offered)
		vcpu_hide_cpuid(l.v, 7, 1, CPUID_EAX, CPUID_7_1_LAM);
	expect_eq(has(l.v, 1, CPUID_EAX, CPUID_7_1_LAM), offered);
	for (i = 0; i < ARRAY_SIZE(cr3_bits); i++) {
		uint64_t cr3 = l.vm->cr3 | cr3_bits[i];

		r = vcpu_op(l.v, OP_LOAD_CR3, cr3);
		if (loads)
			expect_done(r);
		else
			expect_gp(r);
		vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
		expect_eq(s.cr3, loads ? cr3 : l.vm->cr3);
		expect_done(vcpu_op(l.v, OP_LOAD_CR3, l.vm->cr3));
		expect_eq(vcpu_set_cr3(l.v, cr3), offered ? 0 : EINVAL);
		expect_done(vcpu_op(l.v, OP_LOAD_CR3, l.vm->cr3));
	}
	/* Above and below them nothing is. */
	expect_gp(vcpu_op(l.v, OP_LOAD_CR3, l.vm->cr3 | 1UL << 60));
	expect_gp(vcpu_op(l.v, OP_LOAD_CR3, l.vm->cr3 | 1UL << 63));
	vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
	r = vcpu_op(l.v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | CR4_LAM_SUP);
	if (offered)
		expect_done(r);
	else
		expect_gp(r);
	expect_eq(r.ret[0], offered ? s.cr4 | CR4_LAM_SUP : s.cr4);
	vm_free(l.vm);
}

/* A tagged pointer that is in no page: CR2 is without the tag. */
static void test_cr2(uintptr_t forced)
{
	static const struct mode m = { .cr3 = CR3_LAM_U48, .cr4 = CR4_LAM_SUP };
	const struct { uint64_t page, tag; } at[] = {
		{ LOWER_PAGE, 0x1234UL << 48 }, { UPPER_PAGE, 0x2345UL << 48 },
	};
	struct lam l;
	unsigned int i;
	struct run r;

	lam_set_up(&l);
	begin(&l, &m);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		vm_map(l.vm, at[i].page, 0, 1, 0);
		r = vcpu_op(l.v, OP_PROBE, PROBE_LOAD, (at[i].page + OFFSET) ^ at[i].tag,
			    forced ? PROBE_FORCED : 0);
		expect(r.end == RUN_DONE && r.vector == VECTOR_PF &&
		       r.cr2 == at[i].page + OFFSET, "%s", run_text(&r));
	}
	vm_free(l.vm);
}

/* ---- violations ---- */

#define RULE		81
#define DENIED_PAGE	(GUEST_ARENA + 5 * PAGE_SIZE)
#define TAG		0x2b3cUL
#define OTHER_TAG	0x1111UL
#define TAGGED(p, tag)	((p) | (tag) << 48)

/* A VM with a sub-page that may not be written, and its neighbour that may. */
static struct vcpu *protect(uint64_t *ret_id, uint32_t rights)
{
	const struct kvm_vmi_rule rule = { .id = RULE };
	const struct kvm_vmi_range range = {
		.gfn = GFN(DENIED_PAGE), .nr = 1, .rule = RULE, .rights = rights,
		.write = rights & KVM_VMI_RIGHT_READ ? DENIED(1U << 4) : 0,
	};
	struct vm *vm = vmi_new(&(struct vm_options){ .flags = VM_HIGH }, ret_id);

	require_eq(vmi_set_rules(*ret_id, &rule, 1), 0);
	require_eq(vmi_set(*ret_id, &range, 1), 0);
	require_eq(vcpu_set_cr3(vm->vcpu[0], vm->cr3 | CR3_LAM_U48), 0);
	vmi_log_clear();
	return vm->vcpu[0];
}

/* One violation, at @gva without metadata; @tag below 0: none is told. */
static void expect_tag(uint64_t id, uint64_t gva, long tag)
{
	const struct vmi_record *r = vmi_log_violation(id, 0);

	/* Without EPT the address is that of the first denied byte, if the emulator saw it. */
	expect(r && r->v.gpa == gva && r->v.flags & KVM_VMI_V_GVA && r->v.gva == gva, "%s",
	       vmi_violation_text(r));
	expect(r && !!(r->v.flags & KVM_VMI_V_TAG) == (tag >= 0) &&
	       r->v.tag == (tag >= 0 ? (uint64_t)tag : 0), "tag %#llx flags %#x, not %#lx",
	       r ? (unsigned long long)r->v.tag : 0, r ? r->v.flags : 0, tag);
	vmi_log_clear();
}

/* How a tagged pointer gets to the denied sub-page. */
static void test_violation(uintptr_t arg)
{
	uint64_t denied = DENIED_PAGE + 4 * SUBPAGE, id;
	struct vcpu *v = protect(&id, KVM_VMI_RIGHT_ALL);
	struct run r;

	(void)arg;
	/* Known from the fault, and by the emulator alone: it begins on the neighbour. */
	expect_gp(vcpu_op(v, OP_STORE, TAGGED(denied, TAG), 1, 8));
	expect_tag(id, denied, TAG);
	expect_gp(vcpu_op(v, OP_STORE, TAGGED(denied - 4, TAG), 1, 8));
	expect_tag(id, denied, TAG);
	/* A pointer without metadata is told as such. */
	expect_gp(vcpu_op(v, OP_STORE, denied, 1, 8));
	expect_tag(id, denied, 0);
	/* Of two pointers the one that is written by. */
	expect_gp(vcpu_op(v, OP_REP_MOVS, TAGGED(denied, TAG),
			  TAGGED(DENIED_PAGE + 8 * SUBPAGE, OTHER_TAG), 8, 1));
	expect_tag(id, denied, TAG);
	/* Not the nearest one, if the other's operand is there. */
	expect_gp(vcpu_op(v, OP_REP_MOVS, TAGGED(denied - 4, TAG), TAGGED(denied + 2, OTHER_TAG),
			  8, 1));
	expect_tag(id, denied, TAG);
	/* The stack's. */
	vcpu_set_ist(v, VECTOR_GP, 2);
	expect_gp(vcpu_op(v, OP_PUSH, TAGGED(denied + 8, TAG), 1));
	expect_tag(id, denied, TAG);
	/* What KVM cannot emulate. */
	vcpu_features(v);
	expect_gp(vcpu_op(v, OP_FXSAVE, TAGGED(denied, TAG), 0x55));
	expect_tag(id, denied, TAG);
	/* The neighbour is written, tag or not. */
	expect_done(vcpu_op(v, OP_STORE, TAGGED(denied - 8, TAG), 0x77, 8));
	expect_eq(vm_read64(v->vm, denied - 8), 0x77);
	expect(!vmi_log_violation(id, 0), "a violation");
	/* Where nothing is masked, nothing is told. */
	r = vcpu_op(v, OP_LOAD_CR3, v->vm->cr3);
	expect_done(r);
	expect_gp(vcpu_op(v, OP_STORE, denied, 1, 8));
	expect_tag(id, denied, -1);
	vm_free(v->vm);
}

/* The kernel's half. */
static void test_violation_sup(uintptr_t arg)
{
	uint64_t denied = DENIED_PAGE + 4 * SUBPAGE, id, high = GUEST_HIGH + denied;
	struct vcpu *v = protect(&id, KVM_VMI_RIGHT_ALL);
	const struct vmi_record *r;

	(void)arg;
	vcpu_set_cr4(v, CR4_LAM_SUP, true);
	expect_gp(vcpu_op(v, OP_STORE, (high & ~(0x7fffUL << 48)) | TAG << 48, 1, 8));
	r = vmi_log_violation(id, 0);
	expect(r && r->v.gpa == denied && r->v.gva == high && r->v.flags & KVM_VMI_V_TAG &&
	       r->v.tag == TAG, "%s tag %#llx", vmi_violation_text(r),
	       r ? (unsigned long long)r->v.tag : 0);
	vm_free(v->vm);
}

/* A page that may not be read. */
static void test_violation_read(uintptr_t arg)
{
	struct kvm_vmi_caps caps;
	struct vcpu *v;
	uint64_t id;

	(void)arg;
	require_eq(vmi_caps(&caps), 0);
	if (!(caps.features & KVM_VMI_CAP_READ)) {
		/* Without EPT no page can be executed and not read. */
		expect(!host_has_tdp(), "this CPU should have it");
		return;
	}
	v = protect(&id, KVM_VMI_RIGHT_ALL & ~KVM_VMI_RIGHT_READ);
	expect_gp(vcpu_op(v, OP_LOAD, TAGGED(DENIED_PAGE + 16, TAG), 0, 8));
	expect_tag(id, DENIED_PAGE + 16, TAG);
	expect_done(vcpu_op(v, OP_LOAD, TAGGED(DENIED_PAGE + PAGE_SIZE, TAG), 0, 8));
	/* Of two pointers to the same place the one that is read by. */
	expect_gp(vcpu_op(v, OP_REP_MOVS, TAGGED(DENIED_PAGE + 16, OTHER_TAG),
			  TAGGED(DENIED_PAGE + 16, TAG), 8, 1));
	expect_tag(id, DENIED_PAGE + 16, TAG);
	/* Without an operand. */
	expect_gp(vcpu_op(v, OP_PROBE, PROBE_LEAVE, TAGGED(DENIED_PAGE + 16, TAG)));
	expect_tag(id, DENIED_PAGE + 16, TAG);
	vm_free(v->vm);
}

/* An L2 whose CR3 has the bits that its L1 gave it. */
static void test_nested(uintptr_t forced)
{
	uint64_t tagged = (LOWER_PAGE + OFFSET) | 0x4321UL << 48;
	unsigned int flags = forced ? PROBE_FORCED : 0;
	struct nested n;
	struct run r;

	nested_high(&n);
	vm_map(n.vm, LOWER_PAGE, LOWER_FRAME, 1, PTE_DEFAULT);
	*(uint64_t *)vm_hva(n.vm, LOWER_FRAME + OFFSET) = VALUE;
	require_done(vcpu_op(n.v, OP_NESTED_ON));

	r = l2_op(&n, OP_PROBE, PROBE_LOAD, tagged, flags);
	expect_l2_gp(&n, r);
	/* What L1 has, L2 gets; l2_is_done() looks at the L2's own CR3. */
	n.vm->cr3 |= CR3_LAM_U48;
	require_eq(vcpu_set_cr3(n.v, n.vm->cr3), 0);
	r = l2_op(&n, OP_PROBE, PROBE_LOAD, tagged, flags);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], VALUE);
	vm_free(n.vm);
}

static const char *lam_setup(void)
{
	struct vm *vm = vm_new(NULL);
	bool has_lam = has(vm->vcpu[0], 1, CPUID_EAX, CPUID_7_1_LAM);

	vm_free(vm);
	return has_lam ? vmi_setup() : "this CPU has no LAM";
}

static void lam_after(void)
{
	host_force_emulation(false);
}

const struct test_suite suite_lam = {
	.name = "lam",
	.cases = (const struct test_case[]){
		{ "load", test_row, 0 },
		{ "store", test_row, 1 },
		{ "string", test_row, 2 },
		{ "sgdt", test_row, 3 },
		{ "invpcid-descriptor", test_row, 4 },
		{ "push", test_row, 5 },
		{ "pop", test_row, 6 },
		{ "stack-segment", test_row, 7 },
		{ "call-stack", test_row, 8 },
		{ "fetch", test_row, 9 },
		{ "invlpg", test_row, 10 },
		{ "invpcid", test_row, 11 },
		{ "lea", test_row, 12 },
		{ "leave", test_row, 13 },
		{ "table", test_table, 0 },
		{ "table-emulated", test_table, 1 },
		{ "bits", test_bits, 1 },
		{ "hidden", test_bits, 0 },
		{ "cr2", test_cr2, 0 },
		{ "cr2-emulated", test_cr2, 1 },
		{ "violation", test_violation },
		{ "violation-supervisor", test_violation_sup },
		{ "violation-read", test_violation_read },
		{ "nested", test_nested, 0 },
		{ "nested-emulated", test_nested, 1 },
		{ },
	},
	.setup = lam_setup,
	.after = lam_after,
};
