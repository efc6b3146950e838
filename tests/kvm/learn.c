// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A program grants what it is asked about: one page, one right, one rule, for good, and
 * nothing else.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/exec.h"
#include "lib/host.h"
#include "lib/nested.h"
#include "suites.h"

/* What the rule says of the frame now, as its owner reads it back. */
static uint32_t rights_of(struct exec *s, uint64_t gpa)
{
	struct kvm_vmi_range ranges[KVM_VMI_MAX_OWNERS];
	int i, n = vmi_get(s->id, GFN(gpa), ranges, KVM_VMI_MAX_OWNERS);

	require(n >= 0, "%d", n);
	for (i = 0; i < n; i++)
		if (ranges[i].rule == EXEC_RULE && ranges[i].gfn <= GFN(gpa) &&
		    GFN(gpa) - ranges[i].gfn < ranges[i].nr)
			return ranges[i].rights;
	return BOTH;
}

/* What it takes for this fetch beside @rights. */
static uint32_t with(struct exec *s, uint32_t rights, enum exec_how how)
{
	if (!(s->caps.features & KVM_VMI_CAP_EXEC_USER))
		return BOTH;
	if (exec_is_user(s, how))
		return rights | KVM_VMI_RIGHT_EXEC_USER;
	return s->caps.features & KVM_VMI_CAP_EXEC_KERNEL ? rights | KVM_VMI_RIGHT_EXEC_KERNEL :
							    BOTH;
}

static void learn(void)
{
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	vmi_set_grant(true);
	vmi_log_clear();
}

static void test_page(uintptr_t how)
{
	struct exec s;
	int last, i;

	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 2, NONE);
	learn();
	for (i = 0; i < 20; i++)
		expect_done(exec_fetch(&s, how, CODE));
	/* It was asked once, and it is no matter of a second. */
	expect_eq(vmi_asked(), 1);
	expect_eq(vmi_granted(&last), 1);
	expect_eq(last, 0);
	expect_eq(vmi_log_violations(s.id), 1);
	expect_eq(vmi_counters(s.id, EXEC_RULE).granted, 1);
	expect_eq(vmi_counters(s.id, EXEC_RULE).allowed, 1);
	expect_eq(rights_of(&s, CODE), with(&s, NONE, how));
	/* Neither the page beside it, nor fetches of the other kind. */
	vmi_set_grant(false);
	vmi_set_answer(KVM_VMI_DENY);
	expect_eq(rights_of(&s, NEXT), NONE);
	expect_gp(exec_fetch(&s, how, NEXT));
	if (with(&s, NONE, how) != BOTH)
		expect_gp(exec_fetch(&s, how == USER_OF_USER_PAGE ? KERNEL_OF_KERNEL_PAGE :
								    USER_OF_USER_PAGE, CODE));
	vmi_detach();
	expect_done(exec_fetch(&s, how, CODE));
	/* Until the rule says so again. */
	exec_set_rights(&s, CODE, 1, NONE);
	expect_gp(exec_fetch(&s, how, CODE));
	vm_free(s.vm);
}

/* What the program answers counts: it has granted the next time only. */
static void test_denied_once(uintptr_t arg)
{
	struct exec s;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	learn();
	vmi_set_answer(KVM_VMI_DENY);
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	vmi_detach();
	vm_free(s.vm);
}

/* A write is none of its business, and what was denied stays denied. */
static void test_write(uintptr_t arg)
{
	struct exec s;
	int last;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(s.id, EXEC_RULE + 1, CODE, DENIED(4));
	learn();
	vmi_set_answer(KVM_VMI_DENY);
	expect_denied(s.v, CODE + 2 * SUBPAGE + 8);
	expect_eq(vmi_granted(&last), 0);
	expect_eq(last, -EOPNOTSUPP);
	expect_eq(rights_of(&s, CODE), NONE);
	/* And a fetch that is granted opens no sub-page. */
	vmi_set_answer(KVM_VMI_ALLOW);
	*(uint8_t *)vm_hva(s.vm, CODE) = EXEC_RET;
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_eq(vmi_granted(&last), 1);
	vmi_detach();
	expect_denied(s.v, CODE + 2 * SUBPAGE + 8);
	vm_free(s.vm);
}

/* Each rule that denies it is asked about, and each widens its own claim. */
static void test_two_rules(uintptr_t arg)
{
	const struct kvm_vmi_range other = {
		.gfn = GFN(CODE), .nr = 1, .rule = EXEC_RULE + 1, .rights = NONE,
		.write = KVM_VMI_WRITE_ALL,
	};
	struct exec s;
	int last;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, 0);
	require_eq(vmi_set(s.id, &other, 1), 0);
	learn();
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_eq(vmi_granted(&last), 2);
	expect_eq(vmi_counters(s.id, EXEC_RULE).granted, 1);
	expect_eq(vmi_counters(s.id, EXEC_RULE + 1).granted, 1);
	vmi_detach();
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	vm_free(s.vm);
}

/* The rule that denies it is that of another address of the same memory. */
static void test_alias(uintptr_t arg)
{
	struct slot *slot;
	struct exec s;
	int last;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	slot = vm_add_alias(s.vm, 0, 0x90000000, 2 * PAGE_SIZE, vm_hva(s.vm, CODE), 0);
	vm_map(s.vm, slot->gpa, slot->gpa, 2,
	       PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	exec_set_rights(&s, CODE, 2, NONE);
	learn();
	expect_done(vcpu_op(s.v, OP_EXECUTE, slot->gpa));
	expect_eq(vmi_granted(&last), 1);
	vmi_detach();
	expect_done(vcpu_op(s.v, OP_EXECUTE, slot->gpa));
	expect_gp(vcpu_op(s.v, OP_EXECUTE, slot->gpa + PAGE_SIZE));
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
	vm_free(s.vm);
}

/* One page of a huge one: it is split, and only that page is executable. */
static void test_huge(uintptr_t arg)
{
	const struct vm_options options = { .arena = BACKING_THP, .arena_pages = 1536 };
	const uint64_t huge = GUEST_ARENA + 512 * PAGE_SIZE;
	struct exec s;
	int last;

	(void)arg;
	exec_set_up(&s, &options, KVM_VMI_DENY, 0);
	memset(vm_hva(s.vm, huge), EXEC_RET, 512 * PAGE_SIZE);
	exec_set_rights(&s, huge, 512, NONE);
	expect_done(vcpu_op(s.v, OP_STORE, huge + 64, 0, 8));
	learn();
	expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 9 * PAGE_SIZE));
	expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 11 * PAGE_SIZE));
	expect_eq(vmi_granted(&last), 2);
	vmi_detach();
	expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 9 * PAGE_SIZE));
	expect_gp(vcpu_op(s.v, OP_EXECUTE, huge + 10 * PAGE_SIZE));
	expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 11 * PAGE_SIZE));
	vm_free(s.vm);
}

/* The map has as many runs as may be learned: the page opens for a second, as without. */
static void test_full(uintptr_t arg)
{
	static struct vmi_ranges_call c;
	unsigned int i, j;
	struct exec s;
	int last;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 3, NONE);
	c.vm = s.id;
	c.bytes = KVM_VMI_MAX_BATCH * sizeof(c.ranges[0]);
	for (i = 0; i < 8192; i += KVM_VMI_MAX_BATCH) {
		for (j = 0; j < KVM_VMI_MAX_BATCH; j++)
			c.ranges[j] = (struct kvm_vmi_range){
				.gfn = GFN(0x100000000) + 2 * (i + j), .nr = 1, .rule = EXEC_RULE,
				.write = KVM_VMI_WRITE_ALL, .rights = NONE,
			};
		require_eq(vmi_run_set(&c), 0);
	}
	learn();
	for (i = 0; i < 20; i++)
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
	expect_eq(vmi_granted(&last), 0);
	expect_eq(last, -ENOSPC);
	/* Asked once, for the second that it is open. */
	expect_eq(vmi_asked(), 1);
	expect_eq(rights_of(&s, NEXT), NONE);
	/* A frame that is a run by itself makes no more of them. */
	exec_set_rights(&s, NEXT, 2, BOTH);
	exec_set_rights(&s, CODE, 1, NONE);
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_eq(vmi_granted(&last), 1);
	expect_eq(rights_of(&s, CODE), with(&s, NONE, KERNEL_OF_KERNEL_PAGE));
	vmi_detach();
	vm_free(s.vm);
}

/* Two vCPUs learn at once while the rule is set again and again: nothing is lost. */
static void test_race(uintptr_t arg)
{
	const struct vm_options options = { .vcpus = 2, .arena_pages = 1024 };
	struct vcpu *other;
	struct exec s;
	int last, i;

	(void)arg;
	exec_set_up(&s, &options, KVM_VMI_DENY, 0);
	other = s.vm->vcpu[1];
	learn();
	for (i = 0; i < 100; i++) {
		struct run r;

		vcpu_spawn(other, OP_EXECUTE_SPIN, KERNEL_VIEW, 200);
		exec_set_rights(&s, CODE, 2, NONE);
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
		exec_set_rights(&s, NEXT, 1, NONE);
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
		r = vcpu_join(other);
		if (!expect(r.end == RUN_DONE && !r.faults, "%s", run_text(&r)))
			break;
	}
	expect(vmi_granted(&last) >= 200, "granted %llu", (unsigned long long)vmi_granted(&last));
	vmi_detach();
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
	vm_free(s.vm);
}

/* An L2's fetch may miss the rights of both modes at once: it is not granted, only allowed. */
static void test_nested(uintptr_t shape)
{
	const struct kvm_vmi_rule rule = { .id = EXEC_RULE };
	const struct kvm_vmi_range range = {
		.gfn = GFN(CODE), .nr = 1, .rule = EXEC_RULE, .write = KVM_VMI_WRITE_ALL,
		.rights = NONE,
	};
	struct kvm_vmi_caps caps;
	struct nested n;
	int last;

	nested_new(&n, shape, 0);
	require_eq(vmi_caps(&caps), 0);
	if (!(caps.features & KVM_VMI_CAP_EXEC))
		tap_skip("this KVM cannot");
	memset(vm_hva(n.vm, CODE), EXEC_RET, PAGE_SIZE);
	require_eq(vmi_set_rules(n.id, &rule, 1), 0);
	require_eq(vmi_set(n.id, &range, 1), 0);
	learn();
	expect_l2_done(&n, l2_op(&n, OP_EXECUTE, CODE));
	expect_eq(vmi_granted(&last), 0);
	expect_eq(last, -EOPNOTSUPP);
	expect_eq(vmi_counters(n.id, EXEC_RULE).granted, 0);
	expect_eq(vmi_counters(n.id, EXEC_RULE).allowed, 1);
	vmi_detach();
	vm_free(n.vm);
}

static const struct test_case cases[] = {
	{ "kernel", test_page, KERNEL_OF_KERNEL_PAGE },
	{ "user", test_page, USER_OF_USER_PAGE },
	{ "denied-once", test_denied_once },
	{ "write", test_write },
	{ "two-rules", test_two_rules },
	{ "alias", test_alias },
	{ "huge", test_huge },
	{ "full", test_full },
	{ "race", test_race },
	{ "nested-flat", test_nested, SHAPE_FLAT },
	{ "nested", test_nested, SHAPE_SMALL },
	{ }
};

const struct test_suite suite_learn = { .name = "learn", .cases = cases, .setup = vmi_setup };
