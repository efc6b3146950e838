// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sub-pages that the CPU checks, beside the same host's software engine: a write to
 * an allowed neighbour, a forbidden write, a change of a mask, the table's memory.
 * On a host that is told to use that hardware.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define RULE		1
#define PAGE		(GUEST_ARENA + 2 * PAGE_SIZE)	/* its first sub-page is denied */
#define PLAIN		(GUEST_ARENA + 3 * PAGE_SIZE)
#define NO_ADDRESS	0x8000000000000000UL		/* not canonical */

#define REGION		0x80000000UL
#define REGIONS		16U				/* of 2 MiB */
#define PER_REGION	(HUGE_SIZE / PAGE_SIZE)
#define ROUNDS		15

/* Nothing on top of a plain store. */
static const struct bench_aim nothing = { 0.5, 0.5 };

static struct vm *new_vm(uint32_t engine, uint64_t *ret_id)
{
	struct vm *vm;

	bench_pin();
	vm = vm_new(NULL);
	*ret_id = vmi_vm(vm);
	require_eq(vmi_set_engine(*ret_id, engine), 0);
	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	return vm;
}

static const char *engine_name(uint32_t engine)
{
	return engine == KVM_VMI_ENGINE_HARDWARE ? "hardware" : "software";
}

static void figure(const char *what, uint32_t engine, double value, const char *unit,
		   const struct bench_aim *aim)
{
	char name[64];

	snprintf(name, sizeof(name), "s.%s.%s", what, engine_name(engine));
	bench_figure(name, value, unit, aim);
}

static void neighbour(uintptr_t engine)
{
	struct bench_loop loop = {
		.what = BENCH_STORE,
		.floor = BENCH_STORE,
		.gpa = PAGE + SUBPAGE,
		.floor_gpa = PLAIN,
		.iterations = 20,
	};
	uint64_t id;
	struct vm *vm = new_vm(engine, &id);
	double cost;

	vmi_protect(id, RULE, PAGE, DENIED(1));
	cost = bench_cost(vm->vcpu[0], &loop);
	figure("neighbour", engine, cost, "instructions",
	       engine == KVM_VMI_ENGINE_HARDWARE ? &nothing : NULL);
	expect_eq(vmi_counters(id, RULE).violations, 0);
	vm_free(vm);
}

static void denied(uintptr_t engine)
{
	struct bench_loop loop = {
		.what = BENCH_STORE,
		.floor = BENCH_STORE_RBP,
		.gpa = PAGE,
		.floor_gpa = NO_ADDRESS,
		.iterations = 20,
		.faults = true,
	};
	struct kvm_vmi_rule_info before;
	uint64_t id;
	struct vm *vm = new_vm(engine, &id);

	vmi_protect(id, RULE, PAGE, DENIED(1));
	before = vmi_counters(id, RULE);
	bench_batch(vm->vcpu[0], &loop);
	expect_eq(vmi_counters(id, RULE).denied - before.denied, loop.iterations);
	figure("deny", engine, bench_cost(vm->vcpu[0], &loop), "instructions", NULL);
	vm_free(vm);
}

/* @n frames, @stride apart, other masks in odd @turns. */
static void protect(uint64_t id, uint64_t stride, unsigned int n, unsigned int turn)
{
	static struct vmi_ranges_call c;
	unsigned int i;

	c.vm = id;
	c.bytes = n * sizeof(c.ranges[0]);
	for (i = 0; i < n; i++)
		c.ranges[i] = (struct kvm_vmi_range){
			.gfn = GFN(REGION + i * stride),
			.nr = 1,
			.rule = RULE,
			.write = DENIED((i + 1) << (turn % 2 ? 10 : 0)),
			.rights = KVM_VMI_RIGHT_ALL,
		};
	require_eq(vmi_run_set(&c), 0);
}

/* Have the guest read each frame, and write to a sub-page that may be written. */
static void touch(struct vm *vm, uint64_t stride, unsigned int n)
{
	struct bench_loop loop = {
		.what = BENCH_LOAD,
		.gpa = REGION + 31 * SUBPAGE,
		.stride = stride,
		.iterations = n,
	};

	bench_batch(vm->vcpu[0], &loop);
	loop.what = BENCH_STORE;
	bench_batch(vm->vcpu[0], &loop);
}

/* One more page of a batch of 512 whose masks change, all in use by the guest. */
static void change(uintptr_t engine)
{
	uint64_t all[ROUNDS], one[ROUNDS], id, start;
	struct vm *vm = new_vm(engine, &id);
	unsigned int i;

	vm_add_slot(vm, REGION, HUGE_SIZE, BACKING_ANONYMOUS, 0);
	vm_map(vm, REGION, REGION, PER_REGION, PTE_DEFAULT);
	bench_keep_workers_out();
	for (i = 0; i < ROUNDS; i++) {
		protect(id, PAGE_SIZE, PER_REGION, 2 * i);
		touch(vm, PAGE_SIZE, PER_REGION);
		start = bench_ticks();
		protect(id, PAGE_SIZE, PER_REGION, 2 * i + 1);
		all[i] = bench_ticks() - start;
		touch(vm, PAGE_SIZE, PER_REGION);
		start = bench_ticks();
		protect(id, PAGE_SIZE, 1, 2 * i);
		one[i] = bench_ticks() - start;
	}
	figure("change", engine, ((double)bench_median(all, ROUNDS) -
				  bench_median(one, ROUNDS)) / (PER_REGION - 1),
	       "instructions", NULL);
	vm_free(vm);
}

/* Memory of the table, with all protected pages written to. */
static void table(uintptr_t scattered)
{
	unsigned int i, pages = scattered ? REGIONS : REGIONS * PER_REGION;
	uint64_t id, stride = scattered ? HUGE_SIZE : PAGE_SIZE;
	struct vm *vm = new_vm(KVM_VMI_ENGINE_HARDWARE, &id);
	struct kvm_vmi_range range = {
		.gfn = GFN(REGION),
		.nr = REGIONS * PER_REGION,
		.rule = RULE,
		.write = DENIED(1),
		.rights = KVM_VMI_RIGHT_ALL,
	};
	struct kvm_vmi_vm_info info;

	vm_add_slot(vm, REGION, REGIONS * HUGE_SIZE, BACKING_ANONYMOUS, 0);
	for (i = 0; i < pages; i++)
		vm_map(vm, REGION + i * stride, REGION + i * stride, 1, PTE_DEFAULT);
	if (scattered)
		protect(id, stride, pages, 0);
	else
		require_eq(vmi_set_one(id, &range), 0);
	touch(vm, stride, pages);
	require_eq(vmi_info(id, &info), 0);
	expect(info.table_bytes >= REGIONS * PAGE_SIZE, "the table was not used");
	bench_figure(scattered ? "s.table.scattered" : "s.table.dense",
		     (double)info.table_bytes / pages, "bytes", NULL);
	vm_free(vm);
}

static const char *setup(void)
{
	const char *why = vmi_load();
	struct kvm_vmi_caps caps;

	if (why)
		return why;
	if (vmi_caps(&caps) || !(caps.features & KVM_VMI_CAP_SUBPAGE_HW))
		return "this host is not told to have the CPU check sub-pages";
	return NULL;
}

const struct test_suite suite_hardware = {
	.name = "hardware",
	.setup = setup,
	.cases = (const struct test_case[]){
		{ "neighbour", neighbour, KVM_VMI_ENGINE_HARDWARE },
		{ "neighbour-software", neighbour, KVM_VMI_ENGINE_SOFTWARE },
		{ "deny", denied, KVM_VMI_ENGINE_HARDWARE },
		{ "deny-software", denied, KVM_VMI_ENGINE_SOFTWARE },
		{ "change", change, KVM_VMI_ENGINE_HARDWARE },
		{ "change-software", change, KVM_VMI_ENGINE_SOFTWARE },
		{ "table-dense", table, 0 },
		{ "table-scattered", table, 1 },
		{ },
	},
};
