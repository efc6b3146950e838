// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stores that KVM's emulator does not know: to what is denied they are denied, to
 * what is allowed beside it they are carried out, by the CPU itself if need be;
 * never #UD, never an internal error.
 */
#include <errno.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	13
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define CLOSED	(DATA + 0x400)
#define OPEN	(DATA + 0x800)
#define VALUE	0x0807060504030201

/* What the store leaves in memory, found out where nothing is protected. */
struct reference {
	uint8_t bytes[1024];
};

static struct vm *new_vm(uint32_t action, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(NULL, ret_id);

	vcpu_features(vm->vcpu[0]);
	vmi_rule(*ret_id, RULE, action, 0);
	return vm;
}

static void need(struct vcpu *v, enum guest_op op)
{
	uint32_t have = vcpu_features(v);

	if ((op == OP_VMOVDQU || op == OP_VMASKMOV) && !(have & 2))
		tap_skip("no AVX");
	if (op == OP_XSAVE && !(have & 4))
		tap_skip("no XSAVE");
}

/* CMPXCHG16B compares with what is there: zero, and stores the pattern. */
static struct run store(struct vcpu *v, enum guest_op op, uint64_t gpa)
{
	return vcpu_op(v, op, gpa, VALUE, 16, 0, VALUE, 0);
}

static void test_op(uintptr_t op)
{
	struct reference want;
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_DENY, &id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *page = vm_hva(vm, DATA);
	struct run r;

	need(v, op);
	memset(page, 0, PAGE_SIZE);
	expect_done(store(v, op, OPEN));
	memcpy(want.bytes, page + 0x800, sizeof(want.bytes));
	memset(page, 0, PAGE_SIZE);

	/* To the denied sub-pages. */
	vmi_protect(id, RULE, DATA, DENIED(0xff00));
	expect_gp(store(v, op, CLOSED));
	expect_eq(page[0x400] | page[0x407] | page[0x40f] | page[0x41f], 0);

	/* To allowed ones on the same page. */
	vmi_log_clear();
	expect_done(store(v, op, OPEN));
	expect(!memcmp(want.bytes, page + 0x800, sizeof(want.bytes)),
	       "not as the CPU does it unprotected");
	expect_eq(vmi_log_violations(id), 0);
	tap_note("  %s", vmi_counters(id, RULE).stepped ? "stepped" : "not stepped");

	/* Off that page it is the CPU's. */
	expect_done(store(v, op, DATA + PAGE_SIZE));
	v->cpu->flags |= GUEST_F_USER;
	r = store(v, op, OPEN + 0x100);
	expect(r.end == RUN_DONE && r.vector != VECTOR_UD, "in user mode: %s", run_text(&r));
	vm_free(vm);
}

/* A rule that lets the guest run lets this access through, and no other. */
static void test_lets(uintptr_t flags)
{
	struct kvm_vmi_rule_info c;
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_ALLOW, &id);
	struct vcpu *v = vm->vcpu[0];

	need(v, OP_XSAVE);
	if (flags)
		vmi_rule(id, RULE, KVM_VMI_DENY, flags);
	*(uint64_t *)vm_hva(vm, CLOSED) = 0;
	vmi_protect(id, RULE, DATA, DENIED(0xff00));
	vmi_log_clear();
	expect_done(store(v, OP_XSAVE, CLOSED));
	c = vmi_counters(id, RULE);
	expect_eq(c.stepped, 1);
	expect_eq(c.allowed, 1);
	expect_eq(c.opened, 0);
	expect(vm_read64(vm, CLOSED), "nothing was stored");
	/* The next is reported like the first. */
	expect_lands(v, CLOSED);
	expect_done(store(v, OP_XSAVE, CLOSED));
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

/* What is let through on one page is not on another. */
static void test_lets_one_page(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_ALLOW, &id);
	struct vcpu *v = vm->vcpu[0];

	need(v, OP_XSAVE);
	(void)arg;
	vmi_rule(id, RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, 0);
	vmi_protect(id, RULE + 1, DATA + PAGE_SIZE, 0);
	expect_done(store(v, OP_XSAVE, CLOSED));
	expect_eq(vmi_counters(id, RULE).stepped, 1);
	expect_denied(v, DATA + PAGE_SIZE);
	expect_gp(store(v, OP_XSAVE, DATA + PAGE_SIZE - 0x200));
	vm_free(vm);
}

/* Two rules: what one lets through, the other still denies. */
static void test_strictest(uintptr_t arg)
{
	uint64_t id, *beside;
	struct vm *vm = new_vm(KVM_VMI_ALLOW, &id);
	struct vcpu *v = vm->vcpu[0];

	need(v, OP_XSAVE);
	(void)arg;
	beside = vm_hva(vm, CLOSED + SUBPAGE);
	*beside = VALUE;
	vmi_rule(id, RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(0xff00));
	vmi_protect(id, RULE + 1, DATA, DENIED(0x1));
	expect_done(store(v, OP_XSAVE, CLOSED));
	expect_eq(vmi_counters(id, RULE).opened, 0);
	expect_denied(v, DATA);
	/* What XSAVE reaches from there is denied. */
	vmi_protect(id, RULE + 1, DATA, DENIED(0x200));
	*beside = VALUE;
	vmi_log_clear();
	expect_gp(store(v, OP_XSAVE, CLOSED));
	expect_eq(*beside, VALUE);
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_ALLOW, .rule = RULE);
	expect_violation(id, 1, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY, .rule = RULE + 1,
			 .gpa = CLOSED + SUBPAGE);
	expect_lands(v, CLOSED);
	vm_free(vm);
}

/*
 * An exception's frame on a monitored sub-page cannot be emulated either.  Where the
 * CPU cannot do it alone, the page opens, but only if all its rules let it.
 */
static void test_vectoring_strictest(uintptr_t other)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_ALLOW, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	vmi_rule(id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_MONITOR);
	vmi_rule(id, RULE + 1, other, 0);
	vmi_protect(id, RULE, DATA, DENIED(0x1));
	vmi_protect(id, RULE + 1, DATA, DENIED(0x20));
	r = vcpu_op(v, OP_INT, DATA + SUBPAGE);
	if (vmi_steps_events()) {
		/* It touches that sub-page alone. */
		expect_done(r);
		expect_eq(r.events, 1);
		expect_eq(vmi_counters(id, RULE).stepped + vmi_counters(id, RULE + 1).stepped, 1);
		expect_eq(vmi_counters(id, RULE).opened, 0);
	} else if (other == KVM_VMI_ALLOW) {
		expect_done(r);
		expect_eq(r.events, 1);
		expect_eq(vmi_counters(id, RULE).opened, 1);
	} else {
		expect(r.end == RUN_DONE && r.vector == VECTOR_DF, "%s", run_text(&r));
		expect_eq(vmi_counters(id, RULE).opened, 0);
	}
	if (other == KVM_VMI_DENY)
		expect_denied(v, DATA + 5 * SUBPAGE);
	expect_lands(v, DATA);
	vm_free(vm);
}

/* A program lets it through, or ends the VM; what is allowed it is not asked about. */
static void test_program(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_DENY, &id);
	struct vcpu *v = vm->vcpu[0];

	need(v, OP_XSAVE);
	(void)arg;
	*(uint64_t *)vm_hva(vm, CLOSED) = 0;
	vmi_protect(id, RULE, DATA, DENIED(0xff00));
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	vmi_log_clear();
	expect_done(store(v, OP_XSAVE, CLOSED));
	expect(vm_read64(vm, CLOSED), "nothing was stored");
	expect_eq(vmi_log_violations(id), 1);
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_ALLOW);
	expect_eq(vmi_counters(id, RULE).opened, 0);
	expect_eq(vmi_asked(), 1);
	vmi_set_answer(KVM_VMI_KILL);
	expect_done(store(v, OP_XSAVE, OPEN + 0x400));
	expect_eq(vmi_asked(), 1);
	expect_end(store(v, OP_XSAVE, CLOSED), RUN_ERROR);
	vmi_detach();
	vm_free(vm);
}

/* A locked store over two frames, which KVM has no compare-and-exchange for. */
static void test_split_lock(uintptr_t arg)
{
	uint64_t id, *p;
	struct vm *vm = new_vm(KVM_VMI_DENY, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	vmi_protect(id, RULE, DATA, DENIED(1));
	p = vm_hva(vm, DATA + PAGE_SIZE - 4);
	*p = 5;
	expect_done(vcpu_op(v, OP_LOCK_ADD, DATA + PAGE_SIZE - 4, 3, 8));
	expect_eq(*p, 8);
	expect_eq(vmi_log_violations(id), 0);
	/* With its second half denied none of it happens. */
	vmi_protect(id, RULE, DATA + PAGE_SIZE, DENIED(1));
	*p = 0x5ffffffff;
	expect_gp(vcpu_op(v, OP_LOCK_ADD, DATA + PAGE_SIZE - 4, 3, 8));
	expect_eq(*p >> 32, 5);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "movups", test_op, OP_MOVUPS },
	{ "movdqu", test_op, OP_MOVDQU },
	{ "movntdq", test_op, OP_MOVNTDQ },
	{ "movss", test_op, OP_MOVSS },
	{ "vmovdqu", test_op, OP_VMOVDQU },
	{ "vmaskmov", test_op, OP_VMASKMOV },
	{ "cmpxchg16b", test_op, OP_CMPXCHG16B },
	{ "fxsave", test_op, OP_FXSAVE },
	{ "xsave", test_op, OP_XSAVE },
	{ "fnstenv", test_op, OP_FNSTENV },
	{ "fstp", test_op, OP_FSTP },
	{ "sgdt", test_op, OP_SGDT },
	{ "lets-allow", test_lets, 0 },
	{ "lets-monitor", test_lets, KVM_VMI_RULE_MONITOR },
	{ "lets-one-page", test_lets_one_page },
	{ "strictest", test_strictest },
	{ "vectoring-deny-beside", test_vectoring_strictest, KVM_VMI_DENY },
	{ "vectoring-allow-beside", test_vectoring_strictest, KVM_VMI_ALLOW },
	{ "program", test_program },
	{ "split-lock", test_split_lock },
	{ }
};

const struct test_suite suite_unemulatable = {
	.name = "unemulatable",
	.cases = cases,
	.setup = vmi_setup,
};
