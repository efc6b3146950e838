// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What introspection costs exits that are none of its business: CPUID, and the
 * first touch of a page.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define REGION		0x80000000UL
#define RULE		1	/* bench_vm() has made it */

static void figure(const char *stem, enum bench_state state, double value,
		   double most_intel, double most_amd)
{
	char name[64], floor[64];
	struct bench_aim aim = { .intel = most_intel, .amd = most_amd, .floor = floor };
	bool in_figure = strcmp(bench_state_name(state), "out");

	snprintf(name, sizeof(name), "%s.%s", stem, bench_state_name(state));
	snprintf(floor, sizeof(floor), "%s.out", stem);
	bench_figure(name, value, "instructions", in_figure ? &aim : NULL);
}

static void cpuid(uintptr_t state)
{
	struct vm *vm = bench_vm(state, NULL);
	const struct bench_loop loop = {
		.what = BENCH_CPUID,
		.floor = BENCH_NOTHING,
		.iterations = 50,
	};
	double cost = bench_cost(vm->vcpu[0], &loop);
	long before = host_stat(vm, "exits");

	bench_batch(vm->vcpu[0], &loop);
	expect(host_stat(vm, "exits") - before >= 50, "%ld exits for 50 CPUID",
	       host_stat(vm, "exits") - before);
	figure("a.cpuid", state, cost, 0, 0);
	vm_free(vm);
}

/* How a page comes to be mapped. */
struct touch {
	const char *name;
	uint64_t offset;	/* of the guest's addresses to the host's, modulo 2 MiB */
	enum backing backing;
	uint64_t stride;
	unsigned int iterations, batches;
	unsigned int most;	/* more than with the feature compiled out */
	const char *stat;	/* counts such mappings */
	bool between;		/* where the VM has a map, it has the frame after each */
};

static const struct touch touches[] = {
	/* No huge page can map this slot. */
	{ "b.fault-4k", PAGE_SIZE, BACKING_ANONYMOUS, PAGE_SIZE, 32, 16, 150, "pages_4k" },
	/* One could; the host has small ones. */
	{ "b.fault-4k-huge-tried", 0, BACKING_ANONYMOUS, PAGE_SIZE, 32, 16, 250, "pages_4k" },
	{ "b.fault-2m", 0, BACKING_THP, HUGE_SIZE, 4, 8, 250, "pages_2m" },
	/* What a vCPU knows of unprotected memory never helps: each page is a gap of its own. */
	{ "b.fault-4k-between", PAGE_SIZE, BACKING_ANONYMOUS, 2 * PAGE_SIZE, 32, 16, 150,
	  "pages_4k", true },
};

/* Take from the guest what is mapped, without the host's losing it. */
static void unmap_all(struct slot *slot, uint64_t step)
{
	uint64_t i;

	require(!mprotect(slot->hva, slot->size, PROT_READ) &&
		!mprotect(slot->hva, slot->size, PROT_READ | PROT_WRITE),
		"mprotect: %s", strerror(errno));
	for (i = 0; i < slot->size; i += step)
		slot->hva[i] = 1;
}

static double touch_once(struct vm *vm, const struct touch *t, struct slot *slot)
{
	uint64_t ticks[64], floor[64], bytes = t->stride * t->iterations;
	unsigned int i, round, n = 0;
	struct bench_loop loop = {
		.what = BENCH_STORE,
		.stride = t->stride,
		.iterations = t->iterations,
	};

	for (round = 0; round < 64 / t->batches; round++) {
		unmap_all(slot, t->stride);
		/* The operation itself, that the batch has not to wait for it */
		loop.stride = 0;
		loop.gpa = GUEST_ARENA;
		bench_batch(vm->vcpu[0], &loop);
		loop.stride = t->stride;
		for (i = 0; i < t->batches; i++, n++) {
			loop.gpa = slot->gpa + i * bytes;
			ticks[n] = bench_batch(vm->vcpu[0], &loop);
			floor[n] = bench_batch(vm->vcpu[0], &loop);
		}
	}
	return ((double)bench_median(ticks, n) - bench_median(floor, n)) / t->iterations;
}

static void touch(enum bench_state state, const struct touch *t)
{
	struct vm *vm = bench_vm(state, NULL);
	uint64_t bytes = t->stride * t->iterations * t->batches, i;
	struct slot *slot = vm_add_slot(vm, REGION + t->offset, bytes, t->backing, 0);
	long mapped, taken;
	double first, second;
	uint64_t id = t->between && state == STATE_MAP ? vmi_vm(vm) : 0;

	for (i = 0; i < bytes; i += t->stride) {
		vm_map(vm, slot->gpa + i, slot->gpa + i, 1, PTE_DEFAULT);
		if (id)
			vmi_protect(id, RULE, slot->gpa + i + PAGE_SIZE, 0);
	}
	memset(slot->hva, 1, bytes);

	touch_once(vm, t, slot);
	first = touch_once(vm, t, slot);
	taken = host_stat(vm, "pf_fixed");
	second = touch_once(vm, t, slot);
	taken = host_stat(vm, "pf_fixed") - taken;
	mapped = host_stat(vm, t->stat);

	tap_note("  measured twice: %.1f, %.1f (%.2f %%)", first, second,
		 bench_spread(first, second));
	expect(taken >= 64 * t->iterations, "%ld faults for %u pages", taken,
	       64 * t->iterations);
	expect(mapped >= (long)(t->iterations * t->batches), "%ld %s of %u pages", mapped,
	       t->stat, t->iterations * t->batches);
	figure(t->name, state, first < second ? first : second, t->most, t->most);
	vm_free(vm);
}

static void fault_4k(uintptr_t state)
{
	touch(state, &touches[0]);
}

static void fault_huge_tried(uintptr_t state)
{
	touch(state, &touches[1]);
}

static void fault_2m(uintptr_t state)
{
	touch(state, &touches[2]);
}

static void fault_between(uintptr_t state)
{
	touch(state, &touches[3]);
}

#define CASES(state)								\
	(const struct test_case[]){						\
		{ "cpuid", cpuid, state },					\
		{ "fault-4k", fault_4k, state },				\
		{ "fault-4k-huge-tried", fault_huge_tried, state },		\
		{ "fault-2m", fault_2m, state },				\
		{ "fault-4k-between", fault_between, state },			\
		{ },								\
	}

/* Before anything of introspection is used on this host. */
const struct test_suite suite_unused = {
	.name = "unused",
	.cases = CASES(STATE_NONE),
};

const struct test_suite suite_attached = {
	.name = "attached",
	.cases = CASES(STATE_ATTACHED),
	.setup = vmi_load,
};

const struct test_suite suite_other = {
	.name = "other",
	.cases = CASES(STATE_OTHER),
	.setup = vmi_load,
};

const struct test_suite suite_map = {
	.name = "map",
	.cases = CASES(STATE_MAP),
	.setup = vmi_load,
};

/* Where rights of whole pages, over all of a guest, cost no more than a map elsewhere */
const struct test_suite suite_covered = {
	.name = "covered",
	.setup = vmi_load,
	.cases = (const struct test_case[]){
		{ "fault-4k", fault_4k, STATE_COVERED },
		{ "fault-4k-huge-tried", fault_huge_tried, STATE_COVERED },
		{ "fault-2m", fault_2m, STATE_COVERED },
		{ },
	},
};
