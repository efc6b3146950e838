// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VMM's map over the rules of its host: none loosens the other, and who is asked.
 */
#include <errno.h>
#include <string.h>

#include "lib/attempt.h"
#include "lib/nested.h"
#include "lib/subpage.h"
#include "suites.h"

#define RULE	7
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define VALUE	0x1122334455667788UL

#define CASE(a, b)	((a) * 16 + (b))

#define NO_RULE		15
#define MONITOR		14

static enum attempt outcome_of(uint32_t verdict)
{
	switch (verdict) {
	case KVM_VMI_ALLOW: return ATTEMPT_LANDS;
	case KVM_VMI_SKIP: return ATTEMPT_VANISHES;
	default: return ATTEMPT_DENIED;
	}
}

static void expect_outcome(struct vcpu *v, uint64_t at, uint64_t value, struct run r,
			   enum attempt outcome, unsigned int shape)
{
	uint64_t now;

	memcpy(&now, vm_hva(v->vm, at), 8);
	expect(r.end == RUN_DONE &&
	       r.vector == (outcome == ATTEMPT_DENIED ? VECTOR_GP : GUEST_NO_FAULT) &&
	       now == (outcome == ATTEMPT_LANDS ? value : 0), "shape %u: memory %#llx, %s", shape,
	       (unsigned long long)now, run_text(&r));
}

/*
 * A rule of the host with each action, or none, over a VMM that answers each, or has
 * protected nothing: what the host denies or skips is not asked of the VMM, and what it
 * lets through is.
 */
static void test_layers(uintptr_t arg)
{
	uint32_t host = arg / 16, vmm = arg % 16;
	/* Denied where the fault is; where the emulator gets to; by the two apart. */
	static const struct {
		uint64_t at;
		uint32_t host, vmm;
	} shapes[] = {
		{ DATA + SUBPAGE, 2, 2 },
		{ DATA + SUBPAGE - 4, 2, 2 },
		{ DATA + SUBPAGE - 4, 1, 2 },
		{ DATA + SUBPAGE - 4, 2, 1 },
		{ DATA + PAGE_SIZE - 4, 1U << 31, 1U << 31 },
	};
	bool through = host == NO_RULE || host == MONITOR || host == KVM_VMI_ALLOW;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i, exits;

	if (host != NO_RULE)
		vmi_rule(id, RULE, host == MONITOR ? KVM_VMI_DENY : host,
			 host == MONITOR ? KVM_VMI_RULE_MONITOR : 0);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		uint64_t value = test_random() | 1;
		enum attempt want = !through ? outcome_of(host) :
				    vmm == NO_RULE ? ATTEMPT_LANDS : outcome_of(vmm);
		struct run r;

		if (host != NO_RULE)
			vmi_protect(id, RULE, DATA, DENIED(shapes[i].host));
		subpage_protect(vm, DATA, vmm == NO_RULE ? ~0U : DENIED(shapes[i].vmm));
		memset(vm_hva(vm, DATA), 0, PAGE_SIZE + 8);
		vmi_log_clear();
		r = vcpu_op(v, OP_STORE, shapes[i].at, value, 8);
		r = subpage_answer_all(v, r, vmm, &exits);
		expect_outcome(v, shapes[i].at, value, r, want, i);
		expect(exits == (through && vmm != NO_RULE), "shape %u: %u exits", i, exits);
		/* Each layer is told once, the host's first. */
		expect(vmi_log_violations(id) == (host != NO_RULE) + exits,
		       "shape %u: %u violations", i, vmi_log_violations(id));
		if (host != NO_RULE)
			expect_violation(id, 0, .flags_clear = KVM_VMI_V_VMM, .rule = RULE);
	}
	vm_free(vm);
}

/* Programs are asked about the host's rules alone, and once, however long the VMM thinks. */
static void test_programs(uintptr_t arg)
{
	struct kvm_vmi_rule_info info;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(3));
	require_eq(vmi_attach(KVM_VMI_KILL), 0);
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(vmi_asked(), 0);

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(3));
	vmi_set_answer(KVM_VMI_ALLOW);
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_eq(vmi_asked(), 1);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vmi_asked(), 1);
	expect_eq(vm_read64(vm, DATA), VALUE);
	/* Found by the emulator. */
	vmi_protect(id, RULE, DATA, DENIED(2));
	subpage_protect(vm, DATA, DENIED(2));
	require_exit(vcpu_op(v, OP_STORE, DATA + SUBPAGE - 4, VALUE, 8));
	expect_eq(vmi_asked(), 2);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vmi_asked(), 2);

	/* A program may leave it to the VMM: whose answer is then for this rule. */
	subpage_protect(vm, DATA, ~0U);
	vmi_set_answer(KVM_VMI_EXIT);
	require_exit(vcpu_op(v, OP_STORE, DATA + SUBPAGE, 1, 8));
	expect_told(v, .gpa = DATA + SUBPAGE, .not_flags = KVM_SUBPAGE_EXIT_OWN);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vmi_asked(), 3);
	info = vmi_counters(id, RULE);
	expect_eq(info.violations, 3);
	expect_eq(info.allowed, 3);
	vmi_detach();
	vm_free(vm);
}

/* A rule of the host with action exit: its default until the VMM takes exits. */
static void test_host_exit(uintptr_t dflt)
{
	struct kvm_vmi_rule rule = {
		.id = RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT,
		.dflt = dflt,
	};
	enum attempt by_default = dflt == KVM_VMI_KILL ? ATTEMPT_KILLS : outcome_of(dflt);
	struct kvm_vmi_rule_info info;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	require_eq(vmi_set_rules(id, &rule, 1), 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	if (dflt != KVM_VMI_KILL)
		expect_attempt(v, DATA, 8, by_default);
	require_eq(-subpage_enable(vm), 0);
	vmi_log_clear();
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	expect_told(v, .gpa = DATA, .not_flags = KVM_SUBPAGE_EXIT_OWN);
	expect_violation(id, 0, .verdict = KVM_VMI_EXIT, .rule = RULE,
			 .flags_clear = KVM_VMI_V_VMM);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), VALUE);

	/* Allowed by the VMM for the host's rule: its own map is asked then. */
	subpage_protect(vm, DATA, DENIED(1));
	require_exit(vcpu_op(v, OP_STORE, DATA, 1, 8));
	expect_told(v, .gpa = DATA, .not_flags = KVM_SUBPAGE_EXIT_OWN);
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_told(v, .gpa = DATA, .flags = KVM_SUBPAGE_EXIT_OWN);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(vm_read64(vm, DATA), VALUE);
	require_exit(vcpu_op(v, OP_STORE, DATA, 1, 8));
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), 1);
	subpage_protect(vm, DATA, ~0U);

	/* No answer, or none that is legal, is the rule's default. */
	info = vmi_counters(id, RULE);
	require_exit(vcpu_op(v, OP_STORE, DATA, 2, 8));
	if (dflt == KVM_VMI_KILL) {
		expect_end(subpage_answer(v, KVM_VMI_KILL), RUN_ERROR);
	} else {
		struct run r = subpage_answer(v, KVM_VMI_KILL);

		if (dflt == KVM_VMI_ALLOW)
			expect_done(r);
		else
			expect_gp(r);
		expect_eq(vm_read64(vm, DATA), dflt == KVM_VMI_ALLOW ? 2 : 1);
	}
	expect_eq(vmi_counters(id, RULE).bad_verdicts, info.bad_verdicts + 1);
	vm_free(vm);
}

static void test_nested(uintptr_t shape)
{
	uint32_t mask = DENIED(2);
	struct nested n;
	struct run r;

	nested_new(&n, shape, 0);
	require_eq(-subpage_enable(n.vm), 0);
	require_eq(subpage_set(n.vm, GFN(DATA), 1, &mask), 1);
	*(uint64_t *)vm_hva(n.vm, DATA + SUBPAGE) = 5;
	l2_lands(&n, DATA);
	r = l2_op(&n, OP_STORE, DATA + SUBPAGE, VALUE, 8);
	require_exit(r);
	expect_told(n.v, .gpa = DATA + SUBPAGE,
		    .flags = KVM_SUBPAGE_EXIT_OWN | KVM_SUBPAGE_EXIT_NESTED,
		    .legal = 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW);
	expect_l2_gp(&n, subpage_answer(n.v, KVM_VMI_DENY));
	expect_eq(vm_read64(n.vm, DATA + SUBPAGE), 5);
	require_exit(l2_op(&n, OP_STORE, DATA + SUBPAGE, VALUE, 8));
	expect_l2_done(&n, subpage_answer(n.v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(n.vm, DATA + SUBPAGE), VALUE);
	/* Into it, from the sub-page before. */
	require_exit(l2_op(&n, OP_STORE, DATA + SUBPAGE - 4, 1, 8));
	expect_l2_done(&n, subpage_answer(n.v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(n.vm, DATA + SUBPAGE - 4), 1);
	vm_free(n.vm);
}

/* Two vCPUs at one sub-page: each has an exit and an answer of its own. */
static void test_two_vcpus(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(&(struct vm_options){ .vcpus = 2 }, &id);
	struct vcpu *a = vm->vcpu[0], *b = vm->vcpu[1];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	memset(vm_hva(vm, DATA), 0, SUBPAGE);
	vcpu_spawn(b, OP_STORE, DATA + 8, 2, 8);
	require_exit(vcpu_op(a, OP_STORE, DATA, 1, 8));
	require_exit(vcpu_join(b));
	expect_eq(subpage_exit(a)->gpa, DATA);
	expect_eq(subpage_exit(b)->gpa, DATA + 8);
	expect_done(subpage_answer(b, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA + 8), 2);
	expect_eq(vm_read64(vm, DATA), 0);
	/* One goes on while the other waits, and changes nothing of what that is answered. */
	expect_lands(b, DATA + SUBPAGE);
	expect_exit(vcpu_op(b, OP_STORE, DATA, 3, 8));
	expect_gp(subpage_answer(a, KVM_VMI_DENY));
	expect_eq(vm_read64(vm, DATA), 0);
	expect_done(subpage_answer(b, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), 3);

	/* A VMM that does not answer holds nobody up. */
	expect_exit(vcpu_op(b, OP_STORE, DATA, 4, 8));
	subpage_protect(vm, DATA, ~0U);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_denied(a, DATA);
	vm_free(vm);
}

#define LAYERS(host, name)						\
	{ name "-allow", test_layers, CASE(host, KVM_VMI_ALLOW) },	\
	{ name "-deny", test_layers, CASE(host, KVM_VMI_DENY) },	\
	{ name "-skip", test_layers, CASE(host, KVM_VMI_SKIP) },	\
	{ name "-none", test_layers, CASE(host, NO_RULE) }

static const struct test_case cases[] = {
	LAYERS(NO_RULE, "none"),
	LAYERS(MONITOR, "monitor"),
	LAYERS(KVM_VMI_ALLOW, "allow"),
	LAYERS(KVM_VMI_DENY, "deny"),
	LAYERS(KVM_VMI_SKIP, "skip"),
	{ "programs", test_programs },
	{ "host-exit-unsaid", test_host_exit, KVM_VMI_DEFAULT },
	{ "host-exit-allow", test_host_exit, KVM_VMI_ALLOW },
	{ "host-exit-kill", test_host_exit, KVM_VMI_KILL },
	{ "nested-flat", test_nested, SHAPE_FLAT },
	{ "nested-small", test_nested, SHAPE_SMALL },
	{ "two-vcpus", test_two_vcpus },
	{ }
};

const struct test_suite suite_layers = { .name = "layers", .cases = cases, .setup = vmi_setup };
