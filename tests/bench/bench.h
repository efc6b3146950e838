/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Measuring with the lab's clock, which counts instructions, and printing what
 * tests/bench/run makes its table of.
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "lib/vcpu.h"
#include "lib/vm.h"

/* What introspection is to a VM that is measured. */
enum bench_state {
	STATE_NONE,		/* nothing attached, no VM has a map */
	STATE_ATTACHED,		/* programs attached, no VM has a map */
	STATE_OTHER,		/* attached, another VM has a map */
	STATE_MAP,		/* attached, this VM has a map, of frames not looked at here */
	STATE_COVERED,		/* attached, a rule of this VM says who may execute what is touched */
};

/** struct bench_aim - what a figure should be, at most; see tests/bench/run */
struct bench_aim {
	double intel;
	double amd;
	const char *floor;	/* a figure of the unpatched kernel the aim moves with, or NULL */
	double floor_intel;	/* what that was when the aim was set */
	double floor_amd;
};

/** bench_figure - print a figure; @aim may be NULL */
void bench_figure(const char *name, double value, const char *unit, const struct bench_aim *aim);

/** bench_is_amd - the CPU's vendor */
bool bench_is_amd(void);

/** bench_median - of @n values, which are sorted */
uint64_t bench_median(uint64_t *values, unsigned int n);

/** bench_spread - how far apart two figures are, in percent */
double bench_spread(double a, double b);

/** bench_ticks - the host's own view of the clock */
static inline uint64_t bench_ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/** bench_pin - this thread stays on CPU 0 */
void bench_pin(void);

/**
 * bench_keep_workers_out - from now on this thread has the CPU for itself
 *
 * Workers of the kernel that wait for a reader, such as the program that makes a
 * call, would take turns with it, and count as instructions what they wait.
 */
void bench_keep_workers_out(void);

/** bench_vm - a VM in @state; the case ends if it cannot be had */
struct vm *bench_vm(enum bench_state state, const struct vm_options *options);

/** bench_state_name - as in figures' names */
const char *bench_state_name(enum bench_state state);

/**
 * struct bench_loop - what the guest repeats, and beside what
 * @what: this
 * @floor: less this
 * @gpa: address for @what
 * @floor_gpa: address for @floor
 * @stride: of both
 * @iterations: in one batch
 * @faults: exceptions in each iteration, of both
 * @exits: exits to us in each iteration of @what
 * @decide: our part in such an exit, or NULL; false ends the case
 * @arg: handed to @decide
 */
struct bench_loop {
	enum guest_bench what, floor;
	uint64_t gpa, floor_gpa;
	uint64_t stride;
	unsigned int iterations;
	unsigned int faults;
	unsigned int exits;
	bool (*decide)(struct vcpu *vcpu, void *arg);
	void *arg;
};

/** bench_batch - one batch of @what; its ticks */
uint64_t bench_batch(struct vcpu *vcpu, const struct bench_loop *loop);

/** bench_floor - one batch of @floor, which has no exits to us */
uint64_t bench_floor(struct vcpu *vcpu, const struct bench_loop *loop);

/** bench_cost - instructions that one @what takes beyond one @floor */
double bench_cost(struct vcpu *vcpu, const struct bench_loop *loop);

/* Batches of bench_cost(): it measures twice and says how well that repeats. */
#define BENCH_BATCHES	31
#define BENCH_TIMES	2

#endif /* BENCH_BENCH_H */
