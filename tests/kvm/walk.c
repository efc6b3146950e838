// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A protected page that is one of the guest's page tables.  With EPT A/D bits,
 * and always on AMD, each walk of the CPU counts as a write.
 */
#include <errno.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	9
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)

struct setup {
	struct vm *vm;
	struct vcpu *v;
	uint64_t id;
	uint64_t pte;		/* the entry that maps DATA */
	uint64_t table;		/* its page: nothing but the arena depends on it */
};

static void set_up(struct setup *s, uint32_t action, uint32_t flags)
{
	s->vm = vmi_new(NULL, &s->id);
	s->v = s->vm->vcpu[0];
	s->pte = vm_pte(s->vm, DATA);
	s->table = s->pte & ~(PAGE_SIZE - 1);
	vmi_rule(s->id, RULE, action, flags);
	vmi_protect(s->id, RULE, s->table, 0);
}

static uint64_t *pte_of(struct setup *s)
{
	return vm_hva(s->vm, s->pte);
}

/* Does this CPU's walk count as a write even where no bit changes? */
static bool walks_write(struct setup *s)
{
	expect_done(vcpu_op(s->v, OP_INVLPG, DATA));
	vcpu_op(s->v, OP_LOAD, DATA, 0, 8);
	return vmi_log_violations(s->id);
}

/*
 * With shadow paging the CPU never walks the guest's tables: KVM does, before it
 * fills its own, and treats a table that may not be written like one in ROM.
 */
static bool cpu_walks(void)
{
	struct kvm_vmi_caps caps;

	require_eq(vmi_caps(&caps), 0);
	return caps.features & KVM_VMI_CAP_TDP;
}

/* A walk is a violation like any other. */
static void test_verdict(uintptr_t action)
{
	struct setup s;
	struct run r;

	set_up(&s, action, 0);
	/* Without A/D bits in the tables there is something to write in any case. */
	*pte_of(&s) &= ~(PTE_ACCESSED | PTE_DIRTY);
	*(uint64_t *)vm_hva(s.vm, DATA) = 1234;
	r = vcpu_op(s.v, OP_LOAD, DATA, 0, 8);
	switch (action) {
	case KVM_VMI_ALLOW:
		expect_done(r);
		expect_eq(r.ret[0], 1234);
		expect(*pte_of(&s) & PTE_ACCESSED, "no accessed bit");
		break;
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		break;
	default:
		if (cpu_walks()) {
			expect_gp(r);
		} else {
			expect_done(r);
			expect_eq(r.ret[0], 1234);
		}
		expect(!(*pte_of(&s) & (PTE_ACCESSED | PTE_DIRTY)), "entry %#llx",
		       (unsigned long long)*pte_of(&s));
	}
	expect_violation(s.id, 0, .kind = KVM_VMI_WALK, .rule = RULE,
			 .verdict = action == KVM_VMI_SKIP ? KVM_VMI_DENY : action);
	if (action == KVM_VMI_DENY) {
		/* What does not depend on that table goes on. */
		expect_lands(s.v, GUEST_SCRATCH_BASE);
		vmi_unprotect(s.id, RULE, s.table);
		expect_lands(s.v, DATA);
	}
	vm_free(s.vm);
}

static void test_program_allows(uintptr_t arg)
{
	struct setup s;

	(void)arg;
	set_up(&s, KVM_VMI_DENY, 0);
	*pte_of(&s) &= ~(PTE_ACCESSED | PTE_DIRTY);
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	expect_lands(s.v, DATA);
	if (cpu_walks()) {
		expect(vmi_asked() >= 1, "not asked");
		expect(*pte_of(&s) & PTE_DIRTY, "no dirty bit");
	} else {
		expect(!(*pte_of(&s) & PTE_DIRTY), "KVM's own walk set the dirty bit");
	}
	/* Letting the walk through lets no store of the instruction through. */
	vmi_rule(s.id, RULE + 1, KVM_VMI_DENY, 0);
	vmi_set_answer(KVM_VMI_DEFAULT);
	vmi_detach();
	vm_free(s.vm);
}

/* page-table: true: walks are served and silent, stores are not. */
static void test_page_table(uintptr_t arg)
{
	struct setup s;
	uint64_t entry;
	struct run r;

	(void)arg;
	set_up(&s, KVM_VMI_DENY, KVM_VMI_RULE_PAGE_TABLE);
	*pte_of(&s) &= ~(PTE_ACCESSED | PTE_DIRTY);
	*(uint64_t *)vm_hva(s.vm, DATA) = 1234;
	r = vcpu_op(s.v, OP_LOAD, DATA, 0, 8);
	expect_done(r);
	expect_eq(r.ret[0], 1234);
	expect_eq(*pte_of(&s) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED);
	expect_lands(s.v, DATA);
	expect_eq(*pte_of(&s) & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY);
	expect_done(vcpu_op(s.v, OP_LOCK_ADD, DATA, 1, 8));
	expect_done(vcpu_op(s.v, OP_REP_STOS, DATA, 1, 8, 16));
	expect_done(vcpu_op(s.v, OP_INVLPG, DATA));
	expect_lands(s.v, DATA + PAGE_SIZE);
	expect_eq(vmi_log_violations(s.id), 0);

	/* The entry itself, by its own address. */
	entry = *pte_of(&s);
	expect_denied(s.v, s.pte);
	expect_eq(*pte_of(&s), entry);
	expect_eq(vmi_log_violations(s.id), 1);
	expect_violation(s.id, 0, .kind = KVM_VMI_WRITE, .gpa = s.pte);
	/* And by an address that it maps itself. */
	vmi_unprotect(s.id, RULE, s.table);
	expect_done(vcpu_op(s.v, OP_STORE, s.pte, s.table | PTE_DEFAULT, 8));
	vmi_protect(s.id, RULE, s.table, 0);
	expect_done(vcpu_op(s.v, OP_INVLPG, DATA));
	entry = *pte_of(&s);
	expect_gp(vcpu_op(s.v, OP_STORE, DATA + (s.pte & (PAGE_SIZE - 1)), 0, 8));
	expect_eq(*pte_of(&s), entry);
	vm_free(s.vm);
}

/*
 * What the emulator cannot do behind such a table the CPU does alone: accessed and dirty
 * bits may change, nothing else.  Where it cannot either, that is told.
 */
static void test_page_table_unemulatable(uintptr_t action)
{
	uint64_t entry;
	struct setup s;
	struct run r;

	set_up(&s, KVM_VMI_DENY, 0);
	if (!walks_write(&s))
		tap_skip("walks of this CPU write only when a bit changes");
	vm_free(s.vm);

	set_up(&s, action, KVM_VMI_RULE_PAGE_TABLE);
	if (!(vcpu_features(s.v) & 4))
		tap_skip("no XSAVE");
	entry = *pte_of(&s) | PTE_ACCESSED | PTE_DIRTY;
	expect_done(vcpu_op(s.v, OP_XSAVE, DATA));
	expect_eq(*pte_of(&s) | PTE_ACCESSED | PTE_DIRTY, entry);
	expect_eq(vmi_log_violations(s.id), 0);
	expect_eq(vmi_counters(s.id, RULE).stepped, 1);

	vmi_protect(s.id, RULE, s.table, 0);
	vmi_log_clear();
	r = vcpu_op(s.v, OP_INT, DATA + 0x800);
	if (action == KVM_VMI_ALLOW || vmi_steps_events()) {
		expect_done(r);
		expect_eq(r.events, 1);
	} else {
		expect(r.end == RUN_DONE && r.vector == VECTOR_DF, "%s", run_text(&r));
		expect_violation(s.id, 0, .flags_set = KVM_VMI_V_VECTORING);
	}
	expect_eq(*pte_of(&s) | PTE_ACCESSED | PTE_DIRTY, entry);
	vm_free(s.vm);
}

/* CR3 aimed at a page that is no page table: no bit of it may be set by walks. */
static void test_cr3_as_weapon(uintptr_t flags)
{
	uint64_t id, *page, before[512];
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;
	struct run r;

	page = vm_hva(vm, DATA);
	for (i = 0; i < 512; i++)
		page[i] = (i % 3 ? PTE_PRESENT | PTE_WRITE | PTE_USER : 0) | DATA | (uint64_t)i << 52;
	/* So that the next instruction is found: the real entry of low memory. */
	page[0] = vm_read64(vm, vm->cr3) & ~PTE_ACCESSED;
	memcpy(before, page, sizeof(before));
	vmi_rule(id, RULE, KVM_VMI_DENY, flags);
	vmi_protect(id, RULE, DATA, 0);
	r = vcpu_op(v, OP_LOAD_CR3, DATA);
	expect(r.end != RUN_INTERNAL_ERROR && r.end != RUN_TIMEOUT, "%s", run_text(&r));
	if (!flags) {
		expect(!memcmp(before, page, sizeof(before)), "the page was written");
		expect_violation(id, 0, .kind = KVM_VMI_WALK);
	} else {
		/* Accessed bits, and nothing else. */
		for (i = 0; i < 512; i++)
			expect_eq(page[i] & ~(PTE_ACCESSED | PTE_DIRTY), before[i]);
	}
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "deny", test_verdict, KVM_VMI_DENY },
	{ "skip", test_verdict, KVM_VMI_SKIP },
	{ "allow", test_verdict, KVM_VMI_ALLOW },
	{ "kill", test_verdict, KVM_VMI_KILL },
	{ "program-allows", test_program_allows },
	{ "page-table", test_page_table },
	{ "page-table-unemulatable-deny", test_page_table_unemulatable, KVM_VMI_DENY },
	{ "page-table-unemulatable-allow", test_page_table_unemulatable, KVM_VMI_ALLOW },
	{ "cr3-as-weapon", test_cr3_as_weapon, 0 },
	{ "cr3-as-weapon-page-table", test_cr3_as_weapon, KVM_VMI_RULE_PAGE_TABLE },
	{ }
};

const struct test_suite suite_walk = { .name = "walk", .cases = cases, .setup = vmi_setup };
