// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may execute: what a forbidden fetch costs, and a guest that goes between user mode
 * and its kernel under a policy that has nothing against it.  And a write that the CPU is
 * made to do alone.
 */
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define RULE		1
#define CODE		(GUEST_ARENA + 2 * PAGE_SIZE)
#define PLAIN		(GUEST_ARENA + 4 * PAGE_SIZE)
#define NO_ADDRESS	0x8000000000000000UL	/* not canonical */
#define RET		0xc3

static struct vm *new_vm(uint64_t *ret_id)
{
	struct vm *vm;

	bench_pin();
	vm = vm_new(NULL);
	*ret_id = vmi_vm(vm);
	memset(vm_hva(vm, CODE), RET, 3 * PAGE_SIZE);
	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	return vm;
}

static void set_rights(uint64_t id, uint64_t gpa, uint64_t nr, uint32_t rights)
{
	const struct kvm_vmi_range range = {
		.gfn = GFN(gpa), .nr = nr, .rule = RULE, .write = KVM_VMI_WRITE_ALL,
		.rights = KVM_VMI_RIGHT_READ | rights,
	};

	require_eq(vmi_set(id, &range, 1), 0);
}

/* Beside a call that the guest's CPU refuses by itself. */
static void denied(uintptr_t arg)
{
	const struct bench_loop loop = {
		.what = BENCH_CALL, .gpa = CODE, .floor = BENCH_CALL, .floor_gpa = NO_ADDRESS,
		.iterations = 20, .faults = 1,
	};
	struct vm *vm;
	uint64_t id;

	(void)arg;
	vm = new_vm(&id);
	set_rights(id, CODE, 1, 0);
	bench_figure("f.rule.deny", bench_cost(vm->vcpu[0], &loop), "instructions", NULL);
	expect(vmi_counters(id, RULE).denied >= loop.iterations, "nothing was denied");
	vm_free(vm);
}

/* Each page is allowed once, and then for good: a page of as many. */
static void learned(uintptr_t arg)
{
	struct bench_loop loop = {
		.what = BENCH_CALL, .iterations = 64, .stride = PAGE_SIZE,
	};
	const struct vm_options options = { .arena_pages = 1024 };
	const uint64_t code = GUEST_ARENA + 512 * PAGE_SIZE;
	uint64_t ticks[15], floor[15], id;
	unsigned int i;
	struct vm *vm;
	int last;

	(void)arg;
	bench_pin();
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	vm = vm_new(&options);
	id = vmi_vm(vm);
	memset(vm_hva(vm, code), RET, 64 * PAGE_SIZE);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_set_grant(true);
	loop.gpa = code;
	for (i = 0; i < 15; i++) {
		set_rights(id, code, 64, 0);
		ticks[i] = bench_batch(vm->vcpu[0], &loop);
		floor[i] = bench_batch(vm->vcpu[0], &loop);
	}
	expect_eq(vmi_granted(&last), 15 * 64);
	bench_figure("f.learn", ((double)bench_median(ticks, 15) - bench_median(floor, 15)) / 64,
		     "instructions", NULL);
	vmi_detach();
	vm_free(vm);
}

/* All that the guest has may be executed by user mode alone, but for its program. */
static void idle(uintptr_t arg)
{
	const struct bench_loop loop = {
		.what = BENCH_USER, .floor = BENCH_NOTHING, .iterations = 1000,
	};
	double cost[2];
	long exits[2];
	struct kvm_vmi_caps caps;
	struct vm *vm;
	unsigned int i;
	uint64_t id;

	(void)arg;
	vm = new_vm(&id);
	require_eq(vmi_caps(&caps), 0);
	if (!(caps.features & KVM_VMI_CAP_EXEC_USER))
		tap_skip("this CPU does not tell user mode from the kernel");
	for (i = 0; i < 2; i++) {
		long before;

		if (i)
			set_rights(id, GUEST_ARENA, 512, KVM_VMI_RIGHT_EXEC_USER);
		cost[i] = bench_cost(vm->vcpu[0], &loop);
		before = host_stat(vm, "exits");
		bench_batch(vm->vcpu[0], &loop);
		exits[i] = host_stat(vm, "exits") - before;
	}
	tap_note("  %ld exits without, %ld with the policy, for %u times to user mode and back",
		 exits[0], exits[1], loop.iterations);
	bench_figure("f.idle-exits", (double)exits[1] - exits[0], "exits",
		     &(struct bench_aim){ 0.5, 0.5 });
	bench_figure("f.idle", cost[1] - cost[0], "instructions", &(struct bench_aim){ 0.5, 0.5 });
	expect_eq(vmi_counters(id, RULE).violations, 0);
	vm_free(vm);
}

/* To an allowed neighbour, by an instruction that KVM's emulator does not know. */
static void stepped(uintptr_t arg)
{
	const struct bench_loop loop = {
		.what = BENCH_VMASKMOV, .gpa = PLAIN + SUBPAGE, .floor = BENCH_VMASKMOV,
		.floor_gpa = PLAIN + PAGE_SIZE, .iterations = 20,
	};
	struct kvm_vmi_rule_info before, after;
	struct vm *vm;
	uint64_t id;

	(void)arg;
	vm = new_vm(&id);
	if (!(vcpu_op(vm->vcpu[0], OP_FEATURES).ret[0] & 2))
		tap_skip("this CPU has no AVX");
	vmi_protect(id, RULE, PLAIN, DENIED(1));
	before = vmi_counters(id, RULE);
	bench_batch(vm->vcpu[0], &loop);
	after = vmi_counters(id, RULE);
	expect_eq(after.violations - before.violations, 0);
	expect(after.stepped - before.stepped >= loop.iterations, "%llu steps",
	       (unsigned long long)(after.stepped - before.stepped));
	bench_figure("f.step", bench_cost(vm->vcpu[0], &loop), "instructions", NULL);
	vm_free(vm);
}

const struct test_suite suite_fetch = {
	.name = "fetch",
	.setup = vmi_load,
	.cases = (const struct test_case[]){
		{ "denied", denied },
		{ "learned", learned },
		{ "idle", idle },
		{ "stepped", stepped },
		{ },
	},
};
