// SPDX-License-Identifier: GPL-2.0-or-later
/* Batches, medians, and VMs in the states that are compared. */
#include "bench.h"

#include <cpuid.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/vmi.h"

/* What the map has in STATE_COVERED, and of how many bytes */
#define COVERED		0x80000000UL

/* Frames of the map in STATE_MAP: one in each 2 MiB, far from all memory slots. */
#define ELSEWHERE	0x100000000UL
#define ELSEWHERE_RUNS	64

void bench_figure(const char *name, double value, const char *unit, const struct bench_aim *aim)
{
	bool amd = bench_is_amd();

	printf("# bench %s %.1f %s", name, value, unit);
	if (aim)
		printf(" %.0f", amd ? aim->amd : aim->intel);
	if (aim && aim->floor)
		printf(" %s %.0f", aim->floor, amd ? aim->floor_amd : aim->floor_intel);
	putchar('\n');
	fflush(stdout);
}

bool bench_is_amd(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx;
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

uint64_t bench_median(uint64_t *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

double bench_spread(double a, double b)
{
	double most = a > b ? a : b, least = a > b ? b : a;

	return most > 0 ? 100 * (most - least) / most : 0;
}

void bench_pin(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	require(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity: %s",
		strerror(errno));
}

void bench_keep_workers_out(void)
{
	const struct sched_param param = { .sched_priority = 1 };

	require(!sched_setscheduler(0, SCHED_FIFO, &param), "SCHED_FIFO: %s", strerror(errno));
}

/* A map that has to be searched, but says nothing of what is measured. */
static void protect_elsewhere(uint64_t id)
{
	struct kvm_vmi_range ranges[ELSEWHERE_RUNS];
	unsigned int i;

	vmi_rule(id, 1, KVM_VMI_DENY, 0);
	for (i = 0; i < ELSEWHERE_RUNS; i++)
		ranges[i] = (struct kvm_vmi_range){
			.gfn = GFN(ELSEWHERE + i * HUGE_SIZE),
			.nr = 1,
			.rule = 1,
			.write = DENIED(1U << (i % 32)),
			.rights = KVM_VMI_RIGHT_ALL,
		};
	require_eq(vmi_set(id, ranges, ELSEWHERE_RUNS), 0);
}

/* One rule about the upper gigabytes, where the guest's program is not: nobody executes them. */
static void cover_all(uint64_t id)
{
	const struct kvm_vmi_range range = {
		.gfn = GFN(COVERED), .nr = GFN(COVERED), .rule = 1, .write = KVM_VMI_WRITE_ALL,
		.rights = KVM_VMI_RIGHT_READ,
	};

	vmi_rule(id, 1, KVM_VMI_DENY, 0);
	require_eq(vmi_set(id, &range, 1), 0);
}

struct vm *bench_vm(enum bench_state state, const struct vm_options *options)
{
	struct vm *vm;

	bench_pin();
	if (state != STATE_NONE)
		require_eq(vmi_attach(KVM_VMI_DEFAULT), 0);
	if (state == STATE_OTHER)
		protect_elsewhere(vmi_vm(vm_new(NULL)));
	vm = vm_new(options);
	if (state == STATE_MAP)
		protect_elsewhere(vmi_vm(vm));
	if (state == STATE_COVERED)
		cover_all(vmi_vm(vm));
	return vm;
}

const char *bench_state_name(enum bench_state state)
{
	switch (state) {
	case STATE_NONE: return vmi_in_kernel() ? "in" : "out";
	case STATE_ATTACHED: return "attached";
	case STATE_OTHER: return "other";
	case STATE_MAP: return "map";
	case STATE_COVERED: return "covered";
	}
	return "?";
}

/*
 * KVM_RUN until the operation ends.  Less than vcpu_continue() does, for the
 * exits in between are what is measured.
 */
static unsigned int run_to_end(struct vcpu *vcpu, const struct bench_loop *loop)
{
	struct kvm_run *run = vcpu->run;
	unsigned int exits = 0;

	for (;; exits++) {
		while (ioctl(vcpu->fd, KVM_RUN, 0UL) < 0)
			require_eq(errno, EINTR);
		if (run->exit_reason == KVM_EXIT_IO) {
			if (run->io.port == GUEST_PORT_DONE)
				return exits;
			require_eq(run->io.port, GUEST_PORT_BENCH);
		} else {
			require_eq(run->exit_reason, KVM_EXIT_MMIO);
		}
		if (loop->decide)
			require(loop->decide(vcpu, loop->arg), "no decision");
	}
}

static uint64_t batch(struct vcpu *vcpu, const struct bench_loop *loop, enum guest_bench what,
		      uint64_t gpa, unsigned int exits)
{
	struct op_args args = { { what, gpa, loop->iterations, loop->stride } };

	vcpu_prepare(vcpu, OP_BENCH, args);
	require_eq(run_to_end(vcpu, loop), loop->iterations * exits);
	require_eq(vcpu->cpu->ret[1], (uint64_t)loop->iterations * loop->faults);
	return vcpu->cpu->ret[0];
}

uint64_t bench_batch(struct vcpu *vcpu, const struct bench_loop *loop)
{
	return batch(vcpu, loop, loop->what, loop->gpa, loop->exits);
}

uint64_t bench_floor(struct vcpu *vcpu, const struct bench_loop *loop)
{
	return batch(vcpu, loop, loop->floor, loop->floor_gpa, 0);
}

static double cost_once(struct vcpu *vcpu, const struct bench_loop *loop)
{
	uint64_t ticks[BENCH_BATCHES], floor[BENCH_BATCHES];
	unsigned int i;

	for (i = 0; i < BENCH_BATCHES; i++) {
		floor[i] = bench_floor(vcpu, loop);
		ticks[i] = bench_batch(vcpu, loop);
	}
	return ((double)bench_median(ticks, BENCH_BATCHES) -
		bench_median(floor, BENCH_BATCHES)) / loop->iterations;
}

double bench_cost(struct vcpu *vcpu, const struct bench_loop *loop)
{
	double first, second;

	/* Map what is touched, fill caches of the kernel's. */
	bench_floor(vcpu, loop);
	bench_batch(vcpu, loop);
	first = cost_once(vcpu, loop);
	second = cost_once(vcpu, loop);
	tap_note("  measured twice: %.1f, %.1f (%.2f %%)", first, second,
		 bench_spread(first, second));
	return first < second ? first : second;
}
