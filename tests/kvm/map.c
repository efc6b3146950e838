// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What was set is what is read back: runs that split and join, rules that share
 * frames, and a random sequence of changes against a model.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define BASE	GFN(GUEST_ARENA)
#define FRAMES	24		/* of the random test */
#define RULES	6

static struct kvm_vmi_range got[VMI_BATCH];

static void set(uint64_t id, uint32_t rule, uint64_t first, uint64_t nr, uint32_t write)
{
	vmi_protect_frames(id, rule, (BASE + first) * PAGE_SIZE, nr, write);
}

static void clear(uint64_t id, uint32_t rule, uint64_t first, uint64_t nr)
{
	struct kvm_vmi_range range = { .gfn = BASE + first, .nr = nr, .rule = rule };

	require_eq(vmi_clear(id, &range, 1), 0);
}

/* What @rule lets be written of frame @gfn, by enumeration; all if it has no claim. */
static uint32_t claim(uint64_t id, uint32_t rule, uint64_t gfn, bool *ret_claimed)
{
	uint64_t at = 0;
	int i, n;

	*ret_claimed = false;
	while ((n = vmi_get(id, at, got, 64)) > 0) {
		for (i = 0; i < n; i++) {
			if (got[i].rule == rule && gfn >= got[i].gfn &&
			    gfn < got[i].gfn + got[i].nr) {
				*ret_claimed = true;
				return got[i].write;
			}
		}
		at = got[n - 1].gfn + got[n - 1].nr;
	}
	require_eq(n, 0);
	return KVM_VMI_WRITE_ALL;
}

static void test_runs(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct kvm_vmi_vm_info info;
	int i, n;

	(void)arg;
	vmi_rule(id, 1, KVM_VMI_DENY, 0);
	vmi_rule(id, 2, KVM_VMI_DENY, 0);
	expect_eq(vmi_get(id, 0, got, 64), 0);
	set(id, 1, 2, 8, 0xff);
	n = vmi_get(id, 0, got, 64);
	require_eq(n, 1);
	expect_eq(got[0].gfn, BASE + 2);
	expect_eq(got[0].nr, 8);
	expect_eq(got[0].write, 0xff);
	expect_eq(got[0].rights, KVM_VMI_RIGHT_ALL);
	expect_eq(got[0].reserved, 0);
	/* A hole in a long range leaves the rest protected. */
	clear(id, 1, 5, 1);
	n = vmi_get(id, 0, got, 64);
	require_eq(n, 2);
	expect_eq(got[0].nr, 3);
	expect_eq(got[1].gfn, BASE + 6);
	expect_eq(got[1].nr, 4);
	expect_lands(vm->vcpu[0], (BASE + 5) * PAGE_SIZE + 8 * SUBPAGE);
	expect_denied(vm->vcpu[0], (BASE + 4) * PAGE_SIZE + 8 * SUBPAGE);
	expect_denied(vm->vcpu[0], (BASE + 6) * PAGE_SIZE + 8 * SUBPAGE);
	set(id, 1, 5, 1, 0xff);
	expect_eq(vmi_info(id, &info), 0);
	expect(info.map_entries >= 1 && info.map_entries <= 3, "%llu entries", info.map_entries);

	/* A second rule in the middle: one item per run and rule, sorted. */
	set(id, 2, 4, 2, 0xff00);
	n = vmi_get(id, 0, got, 64);
	for (i = 1; i < n; i++)
		expect(got[i].gfn > got[i - 1].gfn ||
		       (got[i].gfn == got[i - 1].gfn && got[i].rule > got[i - 1].rule),
		       "item %d is out of order", i);
	expect_denied(vm->vcpu[0], (BASE + 4) * PAGE_SIZE);
	expect_denied(vm->vcpu[0], (BASE + 4) * PAGE_SIZE + 8 * SUBPAGE);
	expect_lands(vm->vcpu[0], (BASE + 3) * PAGE_SIZE);
	/* From the middle of a run on, the run is given whole. */
	n = vmi_get(id, BASE + 9, got, 64);
	require(n >= 1, "nothing at the last frame");
	expect(got[0].gfn <= BASE + 9 && got[0].gfn + got[0].nr == BASE + 10, "run %llx+%llx",
	       got[0].gfn, got[0].nr);
	expect_eq(vmi_get(id, BASE + 10, got, 64), 0);
	expect_eq(vmi_get(id, ~0ULL, got, 64), 0);

	expect_eq(vmi_clear_rule(id, 1), 0);
	/* One run or two, it is what the second rule claims. */
	n = vmi_get(id, 0, got, 64);
	require(n == 1 || n == 2, "%d items", n);
	expect_eq(got[0].gfn, BASE + 4);
	expect_eq(got[n - 1].gfn + got[n - 1].nr, BASE + 6);
	expect(got[0].rule == 2 && got[n - 1].rule == 2, "whose?");
	expect_lands(vm->vcpu[0], (BASE + 2) * PAGE_SIZE + 8 * SUBPAGE);
	vm_free(vm);
}

/* Each change is traced once, a removal as everything allowed. */
static void test_trace(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	const struct vmi_change *c;

	(void)arg;
	vmi_rule(id, 1, KVM_VMI_DENY, 0);
	vmi_log_clear();
	set(id, 1, 3, 2, 0xf0);
	clear(id, 1, 4, 1);
	c = vmi_log_change(id, 0);
	expect(c && c->gfn == BASE + 3 && c->nr == 2 && c->rule == 1 && c->write == 0xf0 &&
	       c->rights == KVM_VMI_RIGHT_ALL, "set");
	c = vmi_log_change(id, 1);
	expect(c && c->gfn == BASE + 4 && c->nr == 1 && c->rule == 1 &&
	       c->write == KVM_VMI_WRITE_ALL && c->rights == KVM_VMI_RIGHT_ALL, "clear");
	expect(!vmi_log_change(id, 2), "a third change");
	vm_free(vm);
}

/* Parameters of a rule as they were given, replaced as a whole. */
static void test_rules(uintptr_t arg)
{
	struct kvm_vmi_rule rules[3] = {
		{ .id = 5, .flags = KVM_VMI_RULE_PAGE_TABLE, .action = { KVM_VMI_SKIP },
		  .dflt = KVM_VMI_KILL, .on_reset = KVM_VMI_RESET_KEEP, .deadline_ms = 50,
		  .cookie = 0x1122334455667788 },
		{ .id = KVM_VMI_RULE_ID_MAX, .action = { KVM_VMI_ALLOW, KVM_VMI_DENY,
							 KVM_VMI_KILL } },
		{ .id = 1 },
	};
	struct kvm_vmi_rule_info info;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);

	(void)arg;
	require_eq(vmi_set_rules(id, rules, 3), 0);
	expect_eq(vmi_next_rule(id, 0, &info), 0);
	expect_eq(info.rule.id, 1);
	expect_eq(info.rule.action[0], KVM_VMI_DENY);
	expect_eq(info.rule.dflt, KVM_VMI_DENY);
	expect_eq(vmi_next_rule(id, 1, &info), 0);
	expect(!memcmp(&info.rule.action[0], (uint8_t[]){ KVM_VMI_SKIP }, 1) &&
	       info.rule.id == 5 && info.rule.flags == KVM_VMI_RULE_PAGE_TABLE &&
	       info.rule.dflt == KVM_VMI_KILL && info.rule.on_reset == KVM_VMI_RESET_KEEP &&
	       info.rule.deadline_ms == 50 && info.rule.cookie == 0x1122334455667788,
	       "rule 5 is another");
	expect_eq(vmi_next_rule(id, 5, &info), 0);
	expect_eq(info.rule.id, KVM_VMI_RULE_ID_MAX);
	expect(vmi_next_rule(id, KVM_VMI_RULE_ID_MAX, &info) < 0, "a rule behind the last");
	rules[0].cookie = 9;
	rules[0].action[0] = KVM_VMI_DENY;
	require_eq(vmi_set_rules(id, rules, 1), 0);
	expect_eq(vmi_next_rule(id, 4, &info), 0);
	expect_eq(info.rule.cookie, 9);
	expect_eq(info.rule.action[0], KVM_VMI_DENY);
	vm_free(vm);
}

/* Random changes; read back, and tried by the guest, after each of them. */
static void test_random_changes(uintptr_t arg)
{
	uint32_t write[RULES + 1][FRAMES];
	bool claimed[RULES + 1][FRAMES] = { };
	unsigned int i, f, rule, n = test_options.long_run ? 2000 : 120;
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .arena_pages = FRAMES }, &id);

	(void)arg;
	for (rule = 1; rule <= RULES; rule++) {
		vmi_rule(id, rule, KVM_VMI_DENY, 0);
		for (f = 0; f < FRAMES; f++)
			write[rule][f] = KVM_VMI_WRITE_ALL;
	}
	for (i = 0; i < n; i++) {
		unsigned int first = test_random() % FRAMES, sub = test_random() % 32;
		unsigned int nr = 1 + test_random() % (FRAMES - first);
		uint32_t mask = test_random() | test_random(), merged = KVM_VMI_WRITE_ALL;
		bool have;

		rule = 1 + test_random() % RULES;
		switch (test_random() % 8) {
		case 0:
			/* The rule with all its claims, and back without any. */
			require_eq(vmi_clear_rule(id, rule), 0);
			vmi_rule(id, rule, KVM_VMI_DENY, 0);
			for (f = 0; f < FRAMES; f++) {
				write[rule][f] = KVM_VMI_WRITE_ALL;
				claimed[rule][f] = false;
			}
			break;
		case 1:
		case 2:
			clear(id, rule, first, nr);
			for (f = first; f < first + nr; f++) {
				write[rule][f] = KVM_VMI_WRITE_ALL;
				claimed[rule][f] = false;
			}
			break;
		default:
			set(id, rule, first, nr, mask);
			for (f = first; f < first + nr; f++) {
				write[rule][f] = mask;
				claimed[rule][f] = true;
			}
		}
		f = test_random() % FRAMES;
		rule = 1 + test_random() % RULES;
		expect_eq(claim(id, rule, BASE + f, &have), write[rule][f]);
		expect(have == claimed[rule][f], "step %u: rule %u frame %u", i, rule, f);
		for (rule = 1; rule <= RULES; rule++)
			merged &= write[rule][f];
		if (!expect_attempt(vm->vcpu[0], (BASE + f) * PAGE_SIZE + sub * SUBPAGE, 8,
				    merged >> sub & 1 ? ATTEMPT_LANDS : ATTEMPT_DENIED)) {
			tap_note("  step %u", i);
			break;
		}
	}
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "runs", test_runs },
	{ "trace", test_trace },
	{ "rules", test_rules },
	{ "random-changes", test_random_changes },
	{ }
};

const struct test_suite suite_map = { .name = "map", .cases = cases, .setup = vmi_setup };
