// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Protected pages that a hypervisor in the guest hands to the CPU, which is KVM:
 * its tables of nested paging, its VMCS or VMCB, bitmaps, lists of MSRs, and the
 * memory operands of its instructions.  Reading them is nobody's business;
 * writing them is a violation of kind walk or kvm, which the rule alone decides.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lib/nested.h"
#include "suites.h"

#define RULE	29
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define SUB	5
#define TARGET	(DATA + SUB * SUBPAGE)
#define BEHIND	(TARGET + SUBPAGE)
#define PATTERN	0xa5a5a5a5a5a5a5a5ULL

/* Fields of a VMCS: one that KVM may keep in a shadow VMCS, and one that it does not. */
#define FIELD_SHADOWED	0x6802UL	/* GUEST_CR3 */
#define FIELD_PLAIN	0x6c02UL	/* HOST_CR3 */

/* A VMCB's exit code. */
#define VMCB_EXIT_CODE	0x70
#define VMCB_EXIT_VMMCALL 0x81

/* What becomes of a write of KVM's: MONITOR stands for a rule that only watches. */
#define MONITOR		KVM_VMI_NR_VERDICTS
#define CASE(a, action)	((a) * 16 + (action))

static void set_rule(struct nested *n, uint32_t action)
{
	if (action == MONITOR)
		vmi_rule(n->id, RULE, KVM_VMI_KILL, KVM_VMI_RULE_MONITOR);
	else
		vmi_rule(n->id, RULE, action, 0);
}

static bool goes_through(uint32_t action)
{
	return action == KVM_VMI_ALLOW || action == MONITOR;
}

static bool is_dead(const struct run *r)
{
	return r->end == RUN_ERROR && r->err == EIO;
}

/* The first violation seen is KVM's own write to @gpa's frame. */
static void expect_kvm_write(struct nested *n, uint64_t gpa, uint32_t action)
{
	const struct vmi_record *r = vmi_log_violation(n->id, 0);
	uint32_t verdict = goes_through(action) ? KVM_VMI_ALLOW :
			   action == KVM_VMI_KILL ? KVM_VMI_KILL : KVM_VMI_DENY;

	expect_violation(n->id, 0, .kind = KVM_VMI_KVM, .rule = RULE, .verdict = verdict);
	expect(r && GFN(r->v.gpa) == GFN(gpa), "%s", vmi_violation_text(r));
	expect(vmi_counters(n->id, RULE).kvm_writes >= 1, "not counted");
}

/* ---- tables of nested paging ---- */

/* Does KVM set accessed and dirty bits in L1's tables, and which? */
static uint64_t ad_bits(const struct nested *n)
{
	if (n->vendor == NESTED_AMD)
		return PTE_ACCESSED | PTE_DIRTY;
	return n->mode & L1_AD ? 3UL << 8 : 0;
}

static void protect_tables(struct nested *n)
{
	static const uint64_t pages[] = {
		L1_ROOT, L1_PDPT, L1_PD_LOW, L1_PD_ARENA, L1_PT_ARENA
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pages); i++)
		vmi_protect(n->id, RULE, nested_page(n, pages[i]), 0);
}

/* page-table: true.  KVM reads them and sets its bits; the guests do not write them. */
static void test_tables(uintptr_t shape)
{
	uint64_t entry, at;
	struct nested n;

	nested_new(&n, shape, 0);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_PAGE_TABLE);
	protect_tables(&n);
	entry = *nested_entry(&n, DATA);
	l2_lands(&n, DATA);
	l2_lands(&n, GUEST_ARENA + 100 * PAGE_SIZE);
	expect_eq(*nested_entry(&n, DATA), entry | ad_bits(&n));
	expect_eq(vmi_log_violations(n.id), 0);

	/* Neither L1 nor, where L1 lets it reach them, the L2. */
	at = nested_page(&n, shape == SHAPE_HUGE ? L1_PD_ARENA : L1_PT_ARENA) +
	     (shape == SHAPE_HUGE ? 0 : GFN(DATA - GUEST_ARENA) * 8);
	expect_denied(n.v, at);
	expect_violation(n.id, 0, .kind = KVM_VMI_WRITE, .gpa = at,
			 .flags_clear = KVM_VMI_V_NESTED);
	l2_denied(&n, at);
	expect_violation(n.id, 1, .kind = KVM_VMI_WRITE, .gpa = at,
			 .flags_set = KVM_VMI_V_NESTED);
	l2_denied(&n, nested_page(&n, L1_ROOT));
	l2_lands(&n, nested_page(&n, L1_FREE));
	l2_lands(&n, DATA + 8);
	vm_free(n.vm);
}

/*
 * A rule that says nothing of page tables: the bits are a violation, and if they
 * are denied the tables are as good as ROM: the walk is served without them.
 */
static void test_tables_plain(uintptr_t arg)
{
	uint32_t action = arg % 16;
	struct nested n;
	uint64_t entry;
	struct run r;

	nested_new(&n, arg / 16, 0);
	set_rule(&n, action);
	protect_tables(&n);
	entry = *nested_entry(&n, DATA);
	if (!ad_bits(&n)) {
		/* KVM only reads them. */
		l2_lands(&n, DATA);
		expect_eq(*nested_entry(&n, DATA), entry);
		expect_eq(vmi_log_violations(n.id), 0);
		vm_free(n.vm);
		return;
	}
	n.v->timeout_ms = 50;
	r = l2_op(&n, OP_STORE, DATA, 1234, 8);
	if (action == KVM_VMI_KILL) {
		expect(is_dead(&r), "%s", l2_text(&n, &r));
	} else {
		expect_l2_done(&n, r);
		expect_eq(vm_read64(n.vm, DATA), 1234);
	}
	expect_eq(*nested_entry(&n, DATA), goes_through(action) ? entry | ad_bits(&n) : entry);
	expect_violation(n.id, 0, .kind = KVM_VMI_WALK, .rule = RULE,
			 .verdict = goes_through(action) ? KVM_VMI_ALLOW :
				    action == KVM_VMI_KILL ? KVM_VMI_KILL : KVM_VMI_DENY);
	vm_free(n.vm);
}

/* Such a violation says who was running, as all others do. */
static void test_walk_says_nested(uintptr_t shape)
{
	const struct vmi_record *r;
	struct nested n;

	nested_new(&n, shape, 0);
	set_rule(&n, MONITOR);
	vmi_protect(n.id, RULE, nested_page(&n, L1_PT_ARENA), 0);
	l2_lands(&n, DATA);
	expect_violation(n.id, 0, .kind = KVM_VMI_WALK, .rule = RULE,
			 .flags_set = KVM_VMI_V_NESTED | KVM_VMI_V_MONITOR,
			 .flags_clear = KVM_VMI_V_USER | KVM_VMI_V_VECTORING);
	r = vmi_log_violation(n.id, 0);
	if (r) {
		expect_eq(r->v.rip, n.v->cpu->insn);
		expect_eq(r->v.cr3, n.vm->cr3 | L2_CR3_MARK);
	}
	vm_free(n.vm);
}

/*
 * A table of which a part is protected.  What L1 changes in the other part KVM
 * follows at once, although its stores are carried out by emulation.
 */
static void test_tables_live(uintptr_t shape)
{
	uint64_t other = GUEST_ARENA + 20 * PAGE_SIZE, table, entry;
	struct nested n;

	nested_new(&n, shape, 0);
	table = nested_page(&n, L1_PT_ARENA);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_PAGE_TABLE);
	/* Entries 0 to 15; DATA's is number 2. */
	vmi_protect(n.id, RULE, table, DENIED(1));
	l2_lands(&n, DATA);
	l2_lands(&n, other);
	entry = *nested_entry(&n, other);

	expect_done(vcpu_op(n.v, OP_STORE, table + 20 * 8, 0, 8));
	if (n.vendor == NESTED_INTEL)
		expect_done(vcpu_op(n.v, OP_INVEPT, nested_page(&n, L1_FREE)));
	expect_l2_exit(&n, l2_op(&n, OP_STORE, other, 1, 8), L2_NESTED_FAULT);
	expect_eq(n.v->cpu->l2_gpa, other);
	expect_done(vcpu_op(n.v, OP_STORE, table + 20 * 8, entry, 8));
	l2_lands(&n, other);

	/* The protected entry cannot be turned against the frame it maps. */
	expect_gp(vcpu_op(n.v, OP_STORE, table + 2 * 8, 0, 8));
	l2_lands(&n, DATA);
	expect_gp(vcpu_op(n.v, OP_XCHG, table + 15 * 8, entry, 8));
	expect_done(vcpu_op(n.v, OP_XCHG, table + 16 * 8, entry, 8));
	/* Entry 16 maps what 20 maps, now. */
	expect_l2_done(&n, l2_op(&n, OP_STORE, GUEST_ARENA + 16 * PAGE_SIZE, 77, 8));
	expect_eq(vm_read64(n.vm, other), 77);
	vm_free(n.vm);
}

/*
 * The L2's own page tables, walked by the CPU through L1's.  Without EPT A/D bits
 * only a change of a bit is a write, and Bochs makes it unasked: not tested.
 */
static void test_l2_tables(uintptr_t arg)
{
	uint32_t action = arg % 16;
	uint64_t pte, *entry;
	struct nested n;
	struct run r;

	nested_new(&n, arg / 16, 0);
	pte = vm_pte(n.vm, DATA);
	entry = vm_hva(n.vm, pte);
	*entry &= ~(PTE_ACCESSED | PTE_DIRTY);
	/* SKIP stands for a rule that serves walks. */
	vmi_rule(n.id, RULE, action == KVM_VMI_SKIP ? KVM_VMI_DENY : action,
		 action == KVM_VMI_SKIP ? KVM_VMI_RULE_PAGE_TABLE : 0);
	vmi_protect(n.id, RULE, pte, 0);
	r = l2_op(&n, OP_STORE, DATA, 1234, 8);
	switch (action) {
	case KVM_VMI_SKIP:
	case KVM_VMI_ALLOW:
		expect_l2_done(&n, r);
		expect_eq(vm_read64(n.vm, DATA), 1234);
		expect_eq(*entry & (PTE_ACCESSED | PTE_DIRTY), PTE_ACCESSED | PTE_DIRTY);
		break;
	case KVM_VMI_KILL:
		expect(is_dead(&r), "%s", l2_text(&n, &r));
		break;
	default:
		expect_l2_gp(&n, r);
		expect_eq(*entry & (PTE_ACCESSED | PTE_DIRTY), 0);
		/* What does not need that table goes on. */
		l2_lands(&n, nested_page(&n, L1_FREE));
	}
	if (action == KVM_VMI_SKIP) {
		expect_eq(vmi_log_violations(n.id), 0);
		/* The entry itself is protected from the L2 all the same. */
		l2_denied(&n, pte);
		expect_violation(n.id, 0, .kind = KVM_VMI_WRITE, .gpa = pte,
				 .flags_set = KVM_VMI_V_NESTED);
	} else {
		expect_violation(n.id, 0, .kind = KVM_VMI_WALK, .rule = RULE, .verdict = action,
				 .flags_set = KVM_VMI_V_NESTED);
	}
	vm_free(n.vm);
}

/* ---- VMCS, VMCB, bitmaps, lists ---- */

/* Have L1 carry out an instruction whose operand in memory is a VMCS's address. */
static struct run vmcs_op(struct nested *n, enum guest_op op, uint64_t vmcs)
{
	*(uint64_t *)vm_hva(n->vm, nested_page(n, L1_FREE)) = vmcs;
	return vcpu_op(n->v, op, nested_page(n, L1_FREE));
}

static uint64_t vmread_to(struct nested *n, uint64_t gpa, uint64_t field)
{
	expect_done(vcpu_op(n->v, OP_VMREAD_MEM, gpa, field));
	return vm_read64(n->vm, gpa);
}

/*
 * KVM keeps L1's current VMCS to itself and writes it back when L1 turns away
 * from it.  If that is denied the instruction succeeds, as with a VMCS at an
 * address without memory, and what L1 had written is lost.
 */
static void vmcs_written_back(struct nested *n, uint32_t action, enum guest_op away)
{
	uint64_t vmcs = nested_page(n, L1_VMCS), other = nested_page(n, L1_FREE) + PAGE_SIZE;
	uint8_t before[PAGE_SIZE], *page = vm_hva(n->vm, vmcs);
	struct run r;

	*(uint32_t *)vm_hva(n->vm, other) = *(uint32_t *)page;
	expect_eq(vmread_to(n, DATA, FIELD_PLAIN), n->vm->cr3);
	memcpy(before, page, PAGE_SIZE);
	r = vmcs_op(n, away, away == OP_VMCLEAR ? vmcs : other);
	if (action == KVM_VMI_KILL) {
		/* The instruction is through; the next entry fails. */
		if (r.end == RUN_DONE)
			r = vcpu_op(n->v, OP_NOP);
		expect(is_dead(&r), "%s", run_text(&r));
		expect(!memcmp(before, page, PAGE_SIZE), "the page was written");
		return;
	}
	expect_done(r);
	expect_eq(r.ret[1], 0);
	expect_eq(!memcmp(before, page, PAGE_SIZE), action && !goes_through(action));

	r = vmcs_op(n, OP_VMPTRLD, vmcs);
	expect_done(r);
	expect_eq(r.ret[1], 0);
	expect_eq(vmread_to(n, DATA, FIELD_PLAIN),
		  action && !goes_through(action) ? 0 : n->vm->cr3);
	/* L1 writes all of it again; that is no store to memory. */
	l2_lands(n, DATA);
}

static void vmcs_written_back_case(uint32_t action, enum guest_op away, uint32_t write)
{
	struct nested n;

	nested_new(&n, SHAPE_SMALL, 0);
	l2_lands(&n, DATA);
	if (action) {
		set_rule(&n, action);
		vmi_protect(n.id, RULE, nested_page(&n, L1_VMCS), write);
	}
	vmcs_written_back(&n, action, away);
	if (action)
		expect_kvm_write(&n, nested_page(&n, L1_VMCS), action);
	if (action == KVM_VMI_DENY) {
		expect_denied(n.v, nested_page(&n, L1_VMCS) + 30 * SUBPAGE);
		l2_denied(&n, nested_page(&n, L1_VMCS) + 30 * SUBPAGE);
	}
	vm_free(n.vm);
}

/*
 * At #VMEXIT KVM writes the VMCB through a mapping of its own.  Where it may not,
 * VMRUN raises #GP.
 */
static void vmcb_written_back(uint32_t action)
{
	uint64_t vmcb, *code;
	struct nested n;
	struct run r;

	nested_new(&n, SHAPE_SMALL, 0);
	l2_lands(&n, DATA);
	vmcb = nested_page(&n, L1_VMCS);
	code = vm_hva(n.vm, vmcb + VMCB_EXIT_CODE);
	if (action) {
		set_rule(&n, action);
		vmi_protect(n.id, RULE, vmcb, 0);
	}
	n.mode |= L1_LEAVES_VMCB;
	*code = PATTERN;
	r = l2_op(&n, OP_NOP);
	if (action == KVM_VMI_KILL) {
		expect(is_dead(&r), "%s", l2_text(&n, &r));
	} else if (action && !goes_through(action)) {
		expect_gp(r);
		expect_eq(n.v->cpu->l2_exit, L2_NOT_ENTERED);
	} else {
		/* It is entered where it left, and leaves there again. */
		expect_l2_exit(&n, r, L2_DONE);
	}
	expect_eq(*code, !action || goes_through(action) ? VMCB_EXIT_VMMCALL : PATTERN);
	if (action)
		expect_kvm_write(&n, vmcb, action);
	/* One attempt, one violation. */
	expect_eq(vmi_log_violations(n.id), !!action);
	if (action == KVM_VMI_DENY) {
		expect_denied(n.v, vmcb + 0x800);
		expect_violation(n.id, 1, .kind = KVM_VMI_WRITE, .gpa = vmcb + 0x800);
	}
	if (action != KVM_VMI_KILL)
		expect_lands(n.v, DATA);
	vm_free(n.vm);
}

static bool on_amd(void)
{
	struct nested n;
	bool amd;

	nested_new(&n, SHAPE_FLAT, 0);
	amd = n.vendor == NESTED_AMD;
	vm_free(n.vm);
	return amd;
}

static void test_written_back(uintptr_t action)
{
	if (on_amd()) {
		vmcb_written_back(action);
		return;
	}
	vmcs_written_back_case(action, OP_VMCLEAR, 0);
	vmcs_written_back_case(action, OP_VMPTRLD, 0);
	/* It is one write of the whole frame. */
	vmcs_written_back_case(action, OP_VMCLEAR, DENIED(1U << 30));
}

/* Pages that are only read: the rule kills, and nothing happens. */
static void test_bitmaps(uintptr_t shape)
{
	struct nested n;

	nested_new(&n, shape, 0);
	vmi_rule(n.id, RULE, KVM_VMI_KILL, 0);
	vmi_protect(n.id, RULE, nested_page(&n, L1_VMXON), 0);
	vmi_protect_frames(n.id, RULE, nested_page(&n, L1_MSR_BITMAP), 2, 0);
	vmi_protect_frames(n.id, RULE, nested_page(&n, L1_IO_BITMAP), 3, 0);
	l2_lands(&n, DATA);
	expect_l2_done(&n, l2_op(&n, OP_RDMSR, 0xc0000082));
	/* They are read: with all bits set the MSR is L1's. */
	memset(vm_hva(n.vm, nested_page(&n, L1_MSR_BITMAP)), 0xff, 2 * PAGE_SIZE);
	expect_l2_exit(&n, l2_op(&n, OP_RDMSR, 0xc0000082), L2_OTHER);
	expect_eq(vmi_log_violations(n.id), 0);
	l2_kills(&n, nested_page(&n, L1_IO_BITMAP));
	expect_violation(n.id, 0, .kind = KVM_VMI_WRITE, .flags_set = KVM_VMI_V_NESTED);
	vm_free(n.vm);
}

/*
 * MSRs stored at VM-exit.  Denied, they end in a VMX abort as if there were no
 * memory: the guest is shut down.
 */
static void test_msr_store(uintptr_t action)
{
	uint64_t list, *value;
	struct nested n;
	struct run r;

	nested_new(&n, SHAPE_FLAT, L1_STORES_MSRS);
	list = nested_page(&n, L1_MSR_STORE);
	value = vm_hva(n.vm, list + 8);
	l2_lands(&n, DATA);
	set_rule(&n, action);
	vmi_protect(n.id, RULE, list, DENIED(2));
	if (n.vendor == NESTED_AMD) {
		/* There is no such list. */
		vmi_protect(n.id, RULE, list, 0);
		l2_lands(&n, DATA);
		expect_eq(vmi_log_violations(n.id), 0);
		vm_free(n.vm);
		return;
	}
	*value = PATTERN;
	l2_lands(&n, DATA);
	expect_eq(*value, 0);
	expect_eq(vmi_log_violations(n.id), 0);

	*value = PATTERN;
	vmi_protect(n.id, RULE, list, DENIED(1));
	r = l2_op(&n, OP_NOP);
	if (goes_through(action)) {
		expect_l2_done(&n, r);
		expect_eq(*value, 0);
	} else {
		if (action == KVM_VMI_KILL)
			expect(is_dead(&r), "%s", l2_text(&n, &r));
		else
			expect_end(r, RUN_SHUTDOWN);
		expect_eq(*value, PATTERN);
	}
	expect_kvm_write(&n, list, action);
	vm_free(n.vm);
}

/* ---- memory operands ---- */

static bool has_shadow_vmcs(void)
{
	int fd = open("/sys/module/kvm_intel/parameters/enable_shadow_vmcs", O_RDONLY | O_CLOEXEC);
	char c = 'N';

	if (fd >= 0 && read(fd, &c, 1) != 1)
		c = 'N';
	close(fd);
	return c == 'Y';
}

/* An L1 with a VMCS, the target's memory known, and programs that must not be asked. */
static void operand_set_up(struct nested *n, uint32_t action)
{
	nested_new(n, SHAPE_FLAT, 0);
	l2_lands(n, DATA);
	memset(vm_hva(n->vm, DATA), 0xa5, PAGE_SIZE);
	set_rule(n, action);
	vmi_protect(n->id, RULE, DATA, DENIED(1U << SUB));
}

/* @r, a store of @value to the target, ended as @action says. */
static void expect_stored(struct nested *n, const struct run *r, uint32_t action, uint64_t value)
{
	if (goes_through(action))
		expect_done(*r);
	else if (action == KVM_VMI_KILL)
		expect(is_dead(r), "%s", run_text(r));
	else
		expect_gp(*r);
	expect_eq(vm_read64(n->vm, TARGET), goes_through(action) ? value : PATTERN);
}

/* A store of @value by KVM for an instruction of L1's. */
static void operand_stored(struct nested *n, uint32_t action, enum guest_op op, uint64_t field,
			   uint64_t value)
{
	struct run r;

	require_eq(vmi_attach(KVM_VMI_KILL), 0);
	expect_done(vcpu_op(n->v, op, BEHIND, field));
	expect_eq(vm_read64(n->vm, BEHIND), value);
	expect_done(vcpu_op(n->v, op, TARGET - 8, field));
	expect_eq(vmi_log_violations(n->id), 0);

	if (action == KVM_VMI_DENY) {
		/* Over the edge: nothing of it. */
		expect_gp(vcpu_op(n->v, op, TARGET + SUBPAGE - 4, field));
		expect_eq(vm_read64(n->vm, BEHIND), value);
		*(uint64_t *)vm_hva(n->vm, TARGET - 8) = PATTERN;
		expect_gp(vcpu_op(n->v, op, TARGET - 4, field));
		expect_eq(vm_read64(n->vm, TARGET - 8), PATTERN);
	}
	r = vcpu_op(n->v, op, TARGET, field);
	expect_stored(n, &r, action, value);
	expect_kvm_write(n, DATA, action);
	expect_eq(vmi_asked(), 0);
	vmi_detach();
}

/* With VMCS shadowing the CPU itself stores: a write, which KVM cannot emulate but step. */
static void shadowed_stored(struct nested *n, uint32_t action, uint64_t value)
{
	struct run r = vcpu_op(n->v, OP_VMREAD_MEM, TARGET, FIELD_SHADOWED);

	expect_stored(n, &r, action, value);
	expect_violation(n->id, 0, .kind = KVM_VMI_WRITE, .rule = RULE);
	if (action != KVM_VMI_DENY)
		return;
	vmi_log_clear();
	expect_done(vcpu_op(n->v, OP_VMREAD_MEM, BEHIND, FIELD_SHADOWED));
	expect_eq(vmi_log_violations(n->id), 0);
	expect_eq(vm_read64(n->vm, BEHIND), value);
}

static void test_vmread(uintptr_t arg)
{
	uint64_t field = arg / 16 ? FIELD_SHADOWED : FIELD_PLAIN;
	uint32_t action = arg % 16;
	struct nested n;

	operand_set_up(&n, action);
	if (n.vendor == NESTED_AMD)
		expect_fault(vcpu_op(n.v, OP_VMREAD_MEM, TARGET, field), VECTOR_UD);
	else if (field == FIELD_SHADOWED && has_shadow_vmcs())
		shadowed_stored(&n, action, n.vm->cr3 | L2_CR3_MARK);
	else
		operand_stored(&n, action, OP_VMREAD_MEM, field,
			       n.vm->cr3 | (field == FIELD_SHADOWED ? L2_CR3_MARK : 0));
	if (action == KVM_VMI_DENY)
		expect_lands(n.v, DATA + PAGE_SIZE);
	vm_free(n.vm);
}

static void test_vmptrst(uintptr_t action)
{
	struct nested n;

	operand_set_up(&n, action);
	if (n.vendor == NESTED_AMD)
		expect_fault(vcpu_op(n.v, OP_VMPTRST, TARGET), VECTOR_UD);
	else
		operand_stored(&n, action, OP_VMPTRST, 0, nested_page(&n, L1_VMCS));
	vm_free(n.vm);
}

/* Operands that are read, and an address that is only looked at. */
static void test_operands_read(uintptr_t arg)
{
	static const enum guest_op ops[] = { OP_VMPTRLD, OP_VMCLEAR, OP_VMPTRLD, OP_INVEPT };
	struct nested n;
	unsigned int i;
	struct run r;

	(void)arg;
	operand_set_up(&n, KVM_VMI_KILL);
	vmi_protect(n.id, RULE, DATA, 0);
	*(uint64_t *)vm_hva(n.vm, TARGET) = nested_page(&n, L1_VMCS);
	*(uint64_t *)vm_hva(n.vm, TARGET + 8) = 0;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		r = vcpu_op(n.v, ops[i], TARGET);
		if (n.vendor == NESTED_AMD) {
			expect_fault(r, VECTOR_UD);
			continue;
		}
		expect_done(r);
		expect_eq(r.ret[1], 0);
	}
	expect_eq(vmi_log_violations(n.id), 0);
	l2_lands(&n, GUEST_ARENA);
	l2_kills(&n, TARGET);
	vm_free(n.vm);
}

#define EACH_ACTION(name, fn, a)					\
	{ name "-deny", fn, CASE(a, KVM_VMI_DENY) },			\
	{ name "-skip", fn, CASE(a, KVM_VMI_SKIP) },			\
	{ name "-allow", fn, CASE(a, KVM_VMI_ALLOW) },			\
	{ name "-monitor", fn, CASE(a, MONITOR) },			\
	{ name "-kill", fn, CASE(a, KVM_VMI_KILL) }

static const struct test_case cases[] = {
	{ "tables-small", test_tables, SHAPE_SMALL },
	{ "tables-small-ad", test_tables, SHAPE_SMALL_AD },
	{ "tables-huge", test_tables, SHAPE_HUGE },
	EACH_ACTION("tables-plain-small", test_tables_plain, SHAPE_SMALL),
	EACH_ACTION("tables-plain-small-ad", test_tables_plain, SHAPE_SMALL_AD),
	{ "walk-says-nested", test_walk_says_nested, SHAPE_SMALL_AD },
	{ "tables-live-small", test_tables_live, SHAPE_SMALL },
	{ "tables-live-small-ad", test_tables_live, SHAPE_SMALL_AD },
	{ "l2-tables-flat-served", test_l2_tables, CASE(SHAPE_FLAT, KVM_VMI_SKIP) },
	{ "l2-tables-flat-deny", test_l2_tables, CASE(SHAPE_FLAT, KVM_VMI_DENY) },
	{ "l2-tables-flat-allow", test_l2_tables, CASE(SHAPE_FLAT, KVM_VMI_ALLOW) },
	{ "l2-tables-flat-kill", test_l2_tables, CASE(SHAPE_FLAT, KVM_VMI_KILL) },
	{ "l2-tables-small-served", test_l2_tables, CASE(SHAPE_SMALL, KVM_VMI_SKIP) },
	{ "l2-tables-small-ad-served", test_l2_tables, CASE(SHAPE_SMALL_AD, KVM_VMI_SKIP) },
	{ "l2-tables-small-ad-deny", test_l2_tables, CASE(SHAPE_SMALL_AD, KVM_VMI_DENY) },
	{ "l2-tables-small-ad-allow", test_l2_tables, CASE(SHAPE_SMALL_AD, KVM_VMI_ALLOW) },
	{ "l2-tables-huge-served", test_l2_tables, CASE(SHAPE_HUGE, KVM_VMI_SKIP) },
	{ "l2-tables-huge-deny", test_l2_tables, CASE(SHAPE_HUGE, KVM_VMI_DENY) },
	{ "l2-tables-huge-kill", test_l2_tables, CASE(SHAPE_HUGE, KVM_VMI_KILL) },
	{ "written-back-plain", test_written_back, 0 },
	{ "written-back-deny", test_written_back, KVM_VMI_DENY },
	{ "written-back-skip", test_written_back, KVM_VMI_SKIP },
	{ "written-back-allow", test_written_back, KVM_VMI_ALLOW },
	{ "written-back-monitor", test_written_back, MONITOR },
	{ "written-back-kill", test_written_back, KVM_VMI_KILL },
	{ "bitmaps-flat", test_bitmaps, SHAPE_FLAT },
	{ "bitmaps-huge", test_bitmaps, SHAPE_HUGE },
	EACH_ACTION("msr-store", test_msr_store, 0),
	EACH_ACTION("vmread", test_vmread, 0),
	EACH_ACTION("vmread-shadowed", test_vmread, 1),
	EACH_ACTION("vmptrst", test_vmptrst, 0),
	{ "operands-read", test_operands_read },
	{ }
};

const struct test_suite suite_hypervisor = {
	.name = "hypervisor", .cases = cases, .setup = vmi_setup
};
