// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a change of the map costs its caller, from user space and back: a page of
 * a batch of 512, that is what 511 more cost than one alone; and a call, which
 * waits for emulated stores to end.  What it waits is time, not instructions.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define RULE		1
#define BATCH		512U
#define ROUNDS		15

#define REGION		0x80000000UL		/* memory, one huge page's worth */
#define NOWHERE		0x100000000UL		/* no memory */

static const struct bench_aim aim = { .intel = 1000, .amd = 900 };

/* @n frames from @gpa on, each with a mask of its own; other masks in odd @turns. */
static void fill(struct vmi_ranges_call *c, uint64_t id, uint64_t gpa, uint64_t stride,
		 unsigned int turn, unsigned int n)
{
	unsigned int i;

	c->vm = id;
	c->bytes = n * sizeof(c->ranges[0]);
	for (i = 0; i < n; i++)
		c->ranges[i] = (struct kvm_vmi_range){
			.gfn = GFN(gpa + i * stride),
			.nr = 1,
			.rule = RULE,
			.write = DENIED((i + 1) << (turn % 2 ? 10 : 0)),
			.rights = KVM_VMI_RIGHT_ALL,
		};
}

/* Where, and in what way, the map changes. */
struct change {
	const char *set, *clear, *one;	/* figures' names, or NULL */
	uint64_t gpa, stride;
	bool mapped;			/* the guest has these frames mapped */
	bool again;			/* they are in the map, with other masks */
};

static const struct change changes[] = {
	{ "d.set.dense", "d.clear.dense", "d.call-of-one", NOWHERE, PAGE_SIZE, false, false },
	{ "d.set.scattered", "d.clear.scattered", NULL, NOWHERE, HUGE_SIZE, false, false },
	{ "d.set.dense-mapped", NULL, NULL, REGION, PAGE_SIZE, true, false },
	{ "d.set.dense-again", NULL, NULL, NOWHERE, PAGE_SIZE, false, true },
};

static uint64_t ticks_of(int (*run)(struct vmi_ranges_call *c), struct vmi_ranges_call *c)
{
	uint64_t start = bench_ticks();
	int r = run(c);
	uint64_t end = bench_ticks();

	require_eq(r, 0);
	return end - start;
}

static void map_all(struct vm *vm)
{
	struct bench_loop loop = {
		.what = BENCH_LOAD,
		.gpa = REGION,
		.stride = PAGE_SIZE,
		.iterations = BATCH,
	};

	bench_batch(vm->vcpu[0], &loop);
	expect(host_stat(vm, "pages_4k") >= (long)BATCH, "%ld small pages mapped",
	       host_stat(vm, "pages_4k"));
}

/* A frame is in the map with its mask. */
static void check_set(uint64_t id, const struct kvm_vmi_range *range)
{
	static struct kvm_vmi_range got[VMI_BATCH];

	expect(vmi_get(id, range->gfn, got, VMI_BATCH) > 0 && got[0].gfn == range->gfn &&
	       got[0].write == range->write,
	       "frame %#llx has mask %#x, not %#x", got[0].gfn, got[0].write, range->write);
}

/* One VM whose map changes. */
struct subject {
	struct vm *vm;
	uint64_t id;
	const struct change *change;
	struct vmi_ranges_call call, other;
};

/* The ticks of setting and of clearing @n frames, medians of some rounds. */
static void measure(struct subject *s, unsigned int n, uint64_t *ret_set, uint64_t *ret_clear)
{
	const struct change *ch = s->change;
	uint64_t set[ROUNDS], clear[ROUNDS], ticks;
	struct kvm_vmi_vm_info info;
	unsigned int i;

	/* The first round fills caches. */
	for (i = 0; i < ROUNDS + 1; i++) {
		fill(&s->call, s->id, ch->gpa, ch->stride, i, n);
		fill(&s->other, s->id, ch->gpa, ch->stride, i + 1, n);
		if (ch->again)
			require_eq(vmi_run_set(&s->other), 0);
		if (ch->mapped)
			map_all(s->vm);
		ticks = ticks_of(vmi_run_set, &s->call);
		if (i)
			set[i - 1] = ticks;
		check_set(s->id, &s->call.ranges[i % n]);
		require_eq(vmi_info(s->id, &info), 0);
		expect_eq(info.map_entries, n);
		ticks = ticks_of(vmi_run_clear, &s->call);
		if (i)
			clear[i - 1] = ticks;
		require_eq(vmi_info(s->id, &info), 0);
		expect_eq(info.map_entries, 0);
	}
	*ret_set = bench_median(set, ROUNDS);
	*ret_clear = bench_median(clear, ROUNDS);
}

static double per_page(uint64_t all, uint64_t one)
{
	return ((double)all - (double)one) / (BATCH - 1);
}

static void change(uintptr_t index)
{
	static struct subject s;
	uint64_t set, clear, set_one, clear_one, set_again, clear_again;
	struct slot *slot;

	bench_pin();
	bench_keep_workers_out();
	s.change = &changes[index];
	s.vm = vm_new(NULL);
	s.id = vmi_vm(s.vm);
	slot = vm_add_slot(s.vm, REGION, BATCH * PAGE_SIZE, BACKING_ANONYMOUS, 0);
	vm_map(s.vm, REGION, REGION, BATCH, PTE_DEFAULT);
	memset(slot->hva, 1, slot->size);
	vmi_rule(s.id, RULE, KVM_VMI_DENY, 0);

	measure(&s, 1, &set_one, &clear_one);
	measure(&s, BATCH, &set, &clear);
	measure(&s, BATCH, &set_again, &clear_again);
	tap_note("  ticks: 1 set %llu, cleared %llu; 512 set %llu and %llu (%.2f %%), cleared %llu",
		 (unsigned long long)set_one, (unsigned long long)clear_one,
		 (unsigned long long)set, (unsigned long long)set_again,
		 bench_spread(set, set_again), (unsigned long long)clear);

	bench_figure(s.change->set, per_page(set < set_again ? set : set_again, set_one),
		     "instructions", &aim);
	if (s.change->clear)
		bench_figure(s.change->clear, per_page(clear, clear_one), "instructions", NULL);
	if (s.change->one)
		bench_figure(s.change->one, set_one, "ticks", NULL);
	vm_free(s.vm);
}

const struct test_suite suite_change = {
	.name = "change",
	.setup = vmi_load,
	.cases = (const struct test_case[]){
		{ "dense", change, 0 },
		{ "scattered", change, 1 },
		{ "dense-mapped", change, 2 },
		{ "dense-again", change, 3 },
		{ },
	},
};
