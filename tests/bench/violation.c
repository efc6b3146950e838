// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A forbidden write, decided by a program that returns a constant or by the rule
 * alone, and a write to an allowed neighbour on the same page.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "lib/vmi.h"
#include "suites.h"
#include "verdict.skel.h"

#define RULE		1
#define PAGE		(GUEST_ARENA + 2 * PAGE_SIZE)	/* its first sub-page is denied */
#define PLAIN		(GUEST_ARENA + 3 * PAGE_SIZE)
#define NO_ADDRESS	0x8000000000000000UL		/* not canonical */
#define BEFORE		0x1122334455667788UL

static struct verdict_bpf *programs;

static const char *setup(void)
{
	const char *why = vmi_load();

	if (why)
		return why;
	programs = verdict_bpf__open_and_load();
	return programs ? NULL : "the programs with constant verdicts cannot be loaded";
}

/* One way to settle a write. */
struct way {
	const char *name;
	uint32_t verdict;	/* of the program, or of the rule; DEFAULT = not forbidden */
	bool program;
	bool allowed;		/* a write to the neighbour */
	struct bench_aim aim;
};

/* An aim moves with the exit, or with the emulated store, of the unpatched kernel. */
#define EXIT_AIM(n)	{ n, (n) * 0.9, "a.cpuid.out", 930, 900 }
#define EMULATED_AIM(n)	{ n, (n) * 0.9, "c.vmm.readonly", 5430, 4775 }

static const struct way ways[] = {
	{ "c.program.deny", KVM_VMI_DENY, true, false, EXIT_AIM(1800) },
	{ "c.program.skip", KVM_VMI_SKIP, true, false, EXIT_AIM(2800) },
	{ "c.program.allow", KVM_VMI_ALLOW, true, false, EMULATED_AIM(4300) },
	{ "c.rule.deny", KVM_VMI_DENY, false, false, { } },
	{ "c.rule.skip", KVM_VMI_SKIP, false, false, { } },
	{ "c.rule.allow", KVM_VMI_ALLOW, false, false, { } },
	{ "c.neighbour", KVM_VMI_DENY, true, true, EMULATED_AIM(3700) },
};

static struct bpf_link *attach(uint32_t verdict)
{
	struct bpf_map *map = verdict == KVM_VMI_DENY ? programs->maps.deny :
			      verdict == KVM_VMI_SKIP ? programs->maps.skip :
							programs->maps.allow;
	struct bpf_link *link = bpf_map__attach_struct_ops(map);

	require(link, "attaching a program: %s", strerror(errno));
	return link;
}

/* What the rule has counted is what the guest did, and memory shows it. */
static void check(const struct way *way, const struct kvm_vmi_rule_info *before,
		  const struct kvm_vmi_rule_info *after, uint64_t value, unsigned int n)
{
	uint32_t verdict = way->allowed ? KVM_VMI_DEFAULT : way->verdict;

	expect_eq(after->violations - before->violations, way->allowed ? 0 : n);
	expect_eq(after->denied - before->denied, verdict == KVM_VMI_DENY ? n : 0);
	expect_eq(after->skipped - before->skipped, verdict == KVM_VMI_SKIP ? n : 0);
	expect_eq(after->allowed - before->allowed, verdict == KVM_VMI_ALLOW ? n : 0);
	if (verdict == KVM_VMI_DENY || verdict == KVM_VMI_SKIP)
		expect_eq(value, BEFORE);
	else
		expect_eq(value, n - 1);
}

static void settle(uintptr_t index)
{
	const struct way *way = &ways[index];
	bool faults = way->verdict == KVM_VMI_DENY && !way->allowed;
	/* The rule's own word is another, so that the program's is seen to count. */
	uint32_t action = !way->program ? way->verdict :
			  way->verdict == KVM_VMI_DENY ? KVM_VMI_ALLOW : KVM_VMI_DENY;
	struct bench_loop loop = {
		.what = BENCH_STORE,
		.floor = faults ? BENCH_STORE_RBP : BENCH_STORE,
		.gpa = PAGE + (way->allowed ? SUBPAGE : 0),
		.floor_gpa = faults ? NO_ADDRESS : PLAIN,
		.iterations = 20,
		.faults = faults,
	};
	struct kvm_vmi_rule_info before, after;
	struct bpf_link *link = NULL;
	double cost;
	struct vm *vm;
	uint64_t id;

	bench_pin();
	if (way->program)
		link = attach(way->verdict);
	vm = vm_new(NULL);
	id = vmi_vm(vm);
	vmi_rule(id, RULE, action, 0);
	vmi_protect(id, RULE, PAGE, DENIED(1));

	*(uint64_t *)vm_hva(vm, loop.gpa) = BEFORE;
	before = vmi_counters(id, RULE);
	bench_batch(vm->vcpu[0], &loop);
	after = vmi_counters(id, RULE);
	check(way, &before, &after, vm_read64(vm, loop.gpa), loop.iterations);

	cost = bench_cost(vm->vcpu[0], &loop);
	bench_figure(way->name, cost, "instructions", way->aim.intel > 0 ? &way->aim : NULL);
	bpf_link__destroy(link);
	vm_free(vm);
}

const struct test_suite suite_violation = {
	.name = "violation",
	.setup = setup,
	.cases = (const struct test_case[]){
		{ "program-denies", settle, 0 },
		{ "program-skips", settle, 1 },
		{ "program-allows", settle, 2 },
		{ "rule-denies", settle, 3 },
		{ "rule-skips", settle, 4 },
		{ "rule-allows", settle, 5 },
		{ "neighbour", settle, 6 },
		{ },
	},
};
