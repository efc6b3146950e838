// SPDX-License-Identifier: GPL-2.0-or-later
/* change.c: the difference between the rules that a VM has and those it is to have. */
#include "change.h"
#include "ruleset.h"
#include "unit.h"

/* None is opened here. */
const struct kernel_backend kernel_backend = { .name = "none" };

static struct vm *vm;

static struct rule rule(const char *name, uint64_t gpa)
{
	struct rule r = {
		.gpa = gpa, .length = 4096, .action = KVM_VMI_DENY, .dflt = KVM_VMI_DENY,
		.write_deny = true, .execute = RULE_EXECUTE_BOTH,
	};

	strcpy(r.name, name);
	return r;
}

static struct vm_rule *has(uint32_t id, const char *policy, struct rule r)
{
	struct vm_rule *v = vm_add_rule(vm, id);

	v->rule = r;
	strcpy(v->policy, policy);
	v->policy_mode = *policy ? MERLON_MODE_ENFORCE : NULL;
	return v;
}

static int setup(_unused_ void **state)
{
	vm = vm_new(1);
	vm->info.maxphyaddr = 46;
	has(1, "p", rule("p:a", 0x1000));
	has(2, "p", rule("p:b", 0x2000));
	has(3, "", rule("mine", 0x3000));
	has(4, "q", rule("q:a", 0x4000));
	return 0;
}

static int teardown(_unused_ void **state)
{
	vm_free(vm);
	return 0;
}

static struct change diff(const struct rule *rules, size_t n, const char *mode)
{
	struct change c;
	_cleanup_(change_groups_done) struct change_groups groups = {};

	assert_int_equal(change_groups(vm, &groups), 0);
	assert_int_equal(change_diff(vm, &groups, "p", rules, n, mode, &c), 0);
	return c;
}

static void expect(struct change c, size_t add, size_t update, size_t drop, size_t kept)
{
	assert_int_equal(c.n_add, add);
	assert_int_equal(c.n_update, update);
	assert_int_equal(c.n_drop, drop);
	assert_int_equal(c.kept, kept);
	assert_int_equal(change_is_empty(&c), !add && !update && !drop);
	change_done(&c);
}

static void nothing(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:b", 0x2000), rule("p:a", 0x1000) };

	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 0, 0, 0, 2);
}

static void come_and_go(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:b", 0x2000), rule("p:c", 0x1000) };
	struct change c = diff(wanted, 2, MERLON_MODE_ENFORCE);

	assert_string_equal(c.add[0].rule->name, "p:c");
	assert_int_equal(c.drop[0].id, 1);
	expect(c, 1, 0, 1, 1);
	/* Of this policy alone. */
	expect(diff(NULL, 0, MERLON_MODE_ENFORCE), 0, 0, 2, 0);
}

static void reach(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:a", 0x1000), rule("p:b", 0x2000) };
	struct rule_span except = { 0x1000, 0x1000 };
	struct change c;

	wanted[0].gpa = 0x5000;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_int_equal(c.drop[0].id, 1);
	assert_ptr_equal(c.add[0].rule, &wanted[0]);
	assert_false(c.add[0].disarmed);
	expect(c, 1, 0, 1, 1);
	wanted[0] = rule("p:a", 0x1000);
	wanted[0].execute = 0;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 1, 0, 1, 1);
	wanted[0] = rule("p:a", 0x1000);
	wanted[0].except = &except;
	wanted[0].n_except = 1;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 1, 0, 1, 1);
	/* "all" is as far as this guest's memory goes, and was when it was set. */
	vm->rules[0].rule.length = (1ULL << 46) - 0x1000;
	wanted[0] = rule("p:a", 0x1000);
	wanted[0].length = RULE_LENGTH_ALL;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 0, 0, 0, 2);
}

static void answers(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:a", 0x1000), rule("p:b", 0x2000) };
	struct change c;

	wanted[1].action = KVM_VMI_KILL;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_int_equal(c.update[0].id, 2);
	assert_false(c.update[0].arm);
	expect(c, 0, 1, 0, 1);
	wanted[1] = rule("p:b", 0x2000);
	wanted[1].on_reset = KVM_VMI_RESET_KEEP;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 0, 1, 0, 1);
}

static void modes(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:a", 0x1000), rule("p:b", 0x2000) };
	struct change c;

	/* Somebody's choice stays while the policy says what it said. */
	vm->rules[0].rule.monitor = true;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 0, 0, 0, 2);
	wanted[0].action = KVM_VMI_KILL;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_true(c.update[0].wanted.monitor);
	expect(c, 0, 1, 0, 1);
	wanted[0].gpa = 0x5000;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_string_equal(c.add[0].mode, MERLON_MODE_MONITOR);
	expect(c, 1, 0, 1, 1);
	/* A policy that changes its mode changes that of all its rules. */
	wanted[0] = rule("p:a", 0x1000);
	wanted[0].monitor = wanted[1].monitor = true;
	c = diff(wanted, 2, MERLON_MODE_MONITOR);
	assert_true(c.update[1].wanted.monitor);
	expect(c, 0, 2, 0, 0);
}

static void arming(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:a", 0x1000), rule("p:b", 0x2000), rule("p:c", 0x5000) };
	struct change c;

	wanted[2].boot = true;
	c = diff(wanted, 3, MERLON_MODE_ENFORCE);
	assert_true(c.add[0].disarmed);
	expect(c, 1, 0, 0, 2);
	/* What waits goes on waiting, wherever it reaches; and after a reset. */
	vm->rules[0].info.rule.flags = KVM_VMI_RULE_DISARMED;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 0, 0, 0, 2);
	wanted[0].gpa = 0x6000;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_true(c.add[0].disarmed);
	expect(c, 1, 0, 1, 1);
	/* From "boot" to "now" it is armed; from "now" to "boot" nothing is taken away. */
	vm->rules[0].rule.boot = true;
	wanted[0].gpa = 0x1000;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_true(c.update[0].arm);
	expect(c, 0, 1, 0, 1);
	wanted[1].boot = true;
	vm->rules[0].rule.boot = false;
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_int_equal(c.update[0].id, 2);
	assert_false(c.update[0].arm);
	expect(c, 0, 1, 0, 1);
}

static void leftovers(_unused_ void **state)
{
	struct rule wanted[] = { rule("p:a", 0x7000), rule("p:b", 0x2000) };
	struct change c;

	/* One that was to take the other's place: whether it covers that nobody knows. */
	has(9, "p", rule("p:a", 0x7000));
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_int_equal(c.drop[0].id, 1);
	assert_int_equal(c.drop[1].id, 9);
	assert_ptr_equal(c.add[0].rule, &wanted[0]);
	expect(c, 1, 0, 2, 1);
	/* What is to be as it was is kept. */
	wanted[0] = rule("p:a", 0x1000);
	c = diff(wanted, 2, MERLON_MODE_ENFORCE);
	assert_int_equal(c.drop[0].id, 9);
	expect(c, 0, 0, 1, 2);
	/* An orphan is nobody's. */
	vm_find_rule(vm, 2)->orphan = true;
	expect(diff(wanted, 2, MERLON_MODE_ENFORCE), 1, 0, 1, 1);
}

/* From p to q, which has a rule already. */
static void two(struct change c[static 2], const struct rule *p, size_t n_p,
		const struct rule *q, size_t n_q)
{
	_cleanup_(change_groups_done) struct change_groups groups = {};

	assert_int_equal(change_groups(vm, &groups), 0);
	assert_int_equal(change_diff(vm, &groups, "p", p, n_p, MERLON_MODE_ENFORCE, &c[0]), 0);
	assert_int_equal(change_diff(vm, &groups, "q", q, n_q, MERLON_MODE_ENFORCE, &c[1]), 0);
}

static void moves(_unused_ void **state)
{
	struct rule p[] = { rule("p:b", 0x2000) };
	struct rule q[] = { rule("q:a", 0x4000), rule("q:x", 0x1000), rule("q:y", 0x8000) };
	struct change c[2];

	q[1].boot = q[2].boot = true;
	vm->rules[0].rule.boot = true;
	vm->rules[0].rule.monitor = true;
	two(c, p, 1, q, 3);
	assert_true(c[1].add[0].disarmed);
	assert_int_equal(change_inherit(c, 2), 0);
	assert_int_equal(c[1].n_add, 2);
	assert_false(c[1].add[0].disarmed);
	assert_int_equal(c[1].add[0].heir_of, 1);
	assert_string_equal(c[1].add[0].mode, MERLON_MODE_MONITOR);
	/* What is new in both waits. */
	assert_true(c[1].add[1].disarmed);
	assert_int_equal(c[1].add[1].heir_of, 0);
	assert_null(c[1].add[1].mode);
	change_done(&c[0]);
	change_done(&c[1]);

	/* One that waits goes on waiting, unless it need not any longer. */
	vm->rules[0].info.rule.flags = KVM_VMI_RULE_DISARMED;
	two(c, p, 1, q, 3);
	assert_int_equal(change_inherit(c, 2), 0);
	assert_true(c[1].add[0].disarmed);
	change_done(&c[0]);
	change_done(&c[1]);
	q[1].boot = false;
	two(c, p, 1, q, 3);
	assert_int_equal(change_inherit(c, 2), 0);
	assert_false(c[1].add[0].disarmed);
	change_done(&c[0]);
	change_done(&c[1]);
	/* After a reset it waits as the old one does. */
	vm->rules[0].rule.boot = false;
	two(c, p, 1, q, 3);
	assert_int_equal(change_inherit(c, 2), 0);
	assert_true(c[1].add[0].disarmed);
	change_done(&c[0]);
	change_done(&c[1]);
}

static void holds(_unused_ void **state)
{
	struct rule q[] = { rule("q:a", 0x4000), rule("q:x", 0x1800) };
	struct change c[2];

	two(c, NULL, 0, q, 2);
	change_hold(c, 2);
	assert_false(c[0].drop[0].held);
	c[1].failed = true;
	change_hold(c, 2);
	assert_true(c[0].drop[0].held);
	assert_true(c[0].drop[1].held);
	change_done(&c[1]);
	q[1] = rule("q:x", 0x1000);
	change_done(&c[0]);
	two(c, NULL, 0, q, 2);
	c[1].failed = true;
	change_hold(c, 2);
	assert_true(c[0].drop[0].held);
	assert_false(c[0].drop[1].held);
	/* What failed keeps all of its own. */
	c[0].failed = true;
	change_hold(c, 2);
	change_done(&c[0]);
	change_done(&c[1]);
}

static void overlaps(_unused_ void **state)
{
	struct rule a = rule("a", 0x1000), b = rule("b", 0x2000), pin = { .pin = { 1 } };

	assert_false(rule_overlaps(&a, &b));
	b.gpa = 0x1f80;
	assert_true(rule_overlaps(&a, &b) && rule_overlaps(&b, &a));
	assert_false(rule_overlaps(&a, &pin));
	assert_true(rule_overlaps(&pin, &pin));
	b = (struct rule) { .pin = { 2 } };
	assert_false(rule_overlaps(&pin, &b));
}

/* Any order of the VM's rules gives the same. */
static void orders(_unused_ void **state)
{
	struct rule wanted[50];

	for (uint32_t i = 0; i < 50; i++) {
		char name[8];

		snprintf(name, sizeof(name), "p:%u", i * 37 % 50);
		wanted[i] = rule(name, 0x100000 + 0x1000 * (i * 37 % 50));
		snprintf(name, sizeof(name), "p:%u", i);
		has(10 + i, "p", rule(name, 0x100000 + 0x1000 * i));
	}
	expect(diff(wanted, 50, MERLON_MODE_ENFORCE), 0, 0, 2, 50);
	expect(diff(wanted, 49, MERLON_MODE_ENFORCE), 0, 0, 3, 49);
}

/* Rules of one user's VMs leave room for those of others. */
static void quotas(_unused_ void **state)
{
	struct rule wanted[] = { rule("a", 0x10000), rule("b", 0x20000) };
	struct vm other = { .info.id = 2, .info.uid = 1000, .n_rules = RULESET_MAX_OF_USER - 5 };
	struct vm *vms[] = { vm, &other };
	struct manager m = {
		.vms = { vms, 2 }, .caps.features = KVM_VMI_CAP_WRITE, .caps.verdicts = ~0U,
	};
	struct {
		uint32_t uid;
		bool trusted;
		size_t n;
		int expected;
	} cases[] = {
		/* This VM has four. */
		{ 1000, false, 1, 0 }, { 1000, false, 2, -1 }, { 1000, true, 2, 0 }, { 1001, false, 2, 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		struct change c;
		int r;

		vm->info.uid = cases[i].uid;
		vm->trusted = cases[i].trusted;
		assert_int_equal(change_add_all(vm, wanted, cases[i].n, &c), 0);
		r = change_plan(&m, &c, &error);
		if (cases[i].expected < 0) {
			assert_true(r < 0);
			assert_non_null(strstr(error.message, "uid 1000"));
		} else {
			assert_int_equal(r, 0);
		}
		change_done(&c);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(nothing), TEST(come_and_go), TEST(reach), TEST(answers), TEST(modes),
		TEST(arming), TEST(leftovers), TEST(moves), TEST(holds), TEST(overlaps), TEST(orders),
		TEST(quotas),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
