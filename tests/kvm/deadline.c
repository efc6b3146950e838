// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest's timer, by its TSC deadline: it comes, once, and not early, whatever the guest does
 * meanwhile; and the host's own timers do not suffer.  With isolation, setting one does not
 * leave the window.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lib/tap.h"
#include "lib/vcpu.h"
#include "lib/window.h"
#include "suites.h"

/* Ticks of the guest's TSC. */
#define NEAR		100000UL
#define FAR		(40 * NEAR)
#define NOT_IN_THIS_TEST (1UL << 40)
/* For what does come. */
#define PATIENCE	(1UL << 28)
#define ROUNDS		20

#define CPUID_1_ECX_TSC_DEADLINE	(1U << 24)

static struct vm *new_vm(void)
{
	struct vm *vm = vm_new(&(struct vm_options){ .flags = VM_IRQCHIP });

	require(vcpu_cpuid(vm->vcpu[0], 1, 0, CPUID_ECX) & CPUID_1_ECX_TSC_DEADLINE,
		"the guest has no TSC deadline");
	return vm;
}

static uint64_t left_for_timer(struct vm *vm)
{
	return window_is_on() ? window_count(vm, "left-timer") : 0;
}

static void expect_no_faults(struct vm *vm)
{
	if (window_is_on() && !expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
}

static void expect_once_at(struct run r, uint64_t ticks)
{
	expect(r.end == RUN_DONE && r.events == 1 && r.ret[0] >= ticks,
	       "%s, %llu interrupts, after %llu ticks, not before %llu", run_text(&r),
	       (unsigned long long)r.events, (unsigned long long)r.ret[0], (unsigned long long)ticks);
}

static void test_comes(uintptr_t wait)
{
	struct vm *vm = new_vm();
	uint64_t before, inside;
	unsigned int i;

	/* The guest's first is among what it does first. */
	expect_once_at(vcpu_op(vm->vcpu[0], OP_DEADLINE, NEAR, 0, PATIENCE, wait), NEAR);
	before = left_for_timer(vm);
	inside = window_is_on() ? window_count(vm, "inside-wrmsr") : 0;
	for (i = 1; i <= ROUNDS; i++)
		expect_once_at(vcpu_op(vm->vcpu[0], OP_DEADLINE, i * NEAR, 0, PATIENCE, wait), i * NEAR);
	expect_eq(left_for_timer(vm), before);
	if (window_is_on())
		expect(window_count(vm, "inside-wrmsr") >= inside + ROUNDS, "%llu, before %llu",
		       (unsigned long long)window_count(vm, "inside-wrmsr"),
		       (unsigned long long)inside);
	expect_no_faults(vm);
	vm_free(vm);
}

/* Another deadline at once: only that one counts. */
static void test_replaced(uintptr_t wait)
{
	struct vm *vm = new_vm();
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		expect_once_at(vcpu_op(v, OP_DEADLINE, NOT_IN_THIS_TEST, NEAR, PATIENCE, wait), NEAR);
		expect_once_at(vcpu_op(v, OP_DEADLINE, FAR, 2 * FAR, PATIENCE, wait), 2 * FAR);
	}
	expect_no_faults(vm);
	vm_free(vm);
}

static void test_cancelled(uintptr_t arg)
{
	struct vm *vm = new_vm();
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		struct run r = vcpu_op(v, OP_DEADLINE, FAR, DEADLINE_NEVER, 2 * FAR, i % 2);

		expect(r.end == RUN_DONE && !r.events && !r.ret[0], "%s, %llu interrupts", run_text(&r),
		       (unsigned long long)r.events);
		expect_once_at(vcpu_op(v, OP_DEADLINE, NEAR, 0, PATIENCE, i % 2), NEAR);
	}
	expect_no_faults(vm);
	vm_free(vm);
}

/* A timer of the host comes while the guest's are set, and set again, in front of it. */
static void test_host(uintptr_t arg)
{
	struct itimerspec in_5_ms = { .it_value.tv_nsec = 5000000 };
	struct vm *vm = new_vm();
	struct pollfd fd = { .events = POLLIN };
	unsigned int i, rounds;

	(void)arg;
	fd.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	require(fd.fd >= 0, "timerfd_create: %m");
	for (i = 0; i < ROUNDS; i++) {
		require(!timerfd_settime(fd.fd, 0, &in_5_ms, NULL), "timerfd_settime: %m");
		for (rounds = 0; !poll(&fd, 1, 0); rounds++) {
			uint64_t first = rounds % 2 ? NEAR : NOT_IN_THIS_TEST;

			expect_once_at(vcpu_op(vm->vcpu[0], OP_DEADLINE, first, NEAR, PATIENCE,
					       DEADLINE_SPIN), NEAR);
			/* The case's own time limit ends this if the timer is lost. */
		}
	}
	close(fd.fd);
	expect_no_faults(vm);
	vm_free(vm);
}

/** struct mover - sends a thread from one CPU to the next */
struct mover {
	pthread_t thread;
	atomic_bool stop;
};

static void *move(void *arg)
{
	struct mover *m = arg;
	cpu_set_t cpus;
	unsigned int i;

	for (i = 0; !m->stop; i++) {
		CPU_ZERO(&cpus);
		CPU_SET(i % host_cpus(), &cpus);
		pthread_setaffinity_np(m->thread, sizeof(cpus), &cpus);
		usleep(200);
	}
	return NULL;
}

/* What one CPU has been told, another has to know when the guest goes on there. */
static void test_moved(uintptr_t wait)
{
	struct mover m = { .thread = pthread_self() };
	struct vm *vm = new_vm();
	pthread_t thread;
	cpu_set_t cpus;
	unsigned int i;

	require(!pthread_getaffinity_np(m.thread, sizeof(cpus), &cpus), "pthread_getaffinity_np");
	require(!pthread_create(&thread, NULL, move, &m), "pthread_create");
	for (i = 1; i <= ROUNDS; i++)
		expect_once_at(vcpu_op(vm->vcpu[0], OP_DEADLINE, i * NEAR, 0, PATIENCE, wait), i * NEAR);
	m.stop = true;
	pthread_join(thread, NULL);
	pthread_setaffinity_np(m.thread, sizeof(cpus), &cpus);
	expect_no_faults(vm);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "spin", test_comes, DEADLINE_SPIN },
	{ "exits", test_comes, DEADLINE_CPUID },
	{ "halt", test_comes, DEADLINE_HALT },
	{ "replaced", test_replaced, DEADLINE_SPIN },
	{ "replaced-exits", test_replaced, DEADLINE_CPUID },
	{ "replaced-halt", test_replaced, DEADLINE_HALT },
	{ "cancelled", test_cancelled },
	{ "host", test_host },
	{ "moved", test_moved, DEADLINE_CPUID },
	{ "moved-halt", test_moved, DEADLINE_HALT },
	{ }
};

const struct test_suite suite_deadline = { "deadline", cases };
