// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What disturbs windows of isolation: NMIs, tracing and probes, programs that look at memory,
 * threads that come, go and move, and CPUs that do.  VM and host live, and each window that
 * was not left at its end is counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include <bpf/libbpf.h>

#include "isolation_test.skel.h"
#include "lib/host.h"
#include "lib/window.h"
#include "suites.h"

#define ROUNDS		200
#define FOREVER		(1UL << 40)

static void *work_in_thread(void *v)
{
	window_work(v, 3);
	return NULL;
}

/* Threads come and go; their stacks may be where others had been. */
static void test_threads(uintptr_t arg)
{
	struct vm *vm = window_vm(2);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 60; i++) {
		pthread_t thread[2];
		unsigned int j;

		for (j = 0; j < 2; j++)
			require(!pthread_create(&thread[j], NULL, work_in_thread, vm->vcpu[j]),
				"no thread");
		for (j = 0; j < 2; j++)
			pthread_join(thread[j], NULL);
	}
	if (!expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
	expect_eq(window_count(vm, "refused"), 0);
	vm_free(vm);
}

static void test_lifecycle(uintptr_t arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < 30; i++) {
		struct vm *vm = window_vm(1 + i % 2), *other = window_vm(1);

		window_work(vm->vcpu[i % 2], 1);
		if (i % 3)
			window_work(other->vcpu[0], 1);
		expect_eq(window_count(vm, "faults"), 0);
		vm_free(vm);
		window_work(other->vcpu[0], 1);
		expect_eq(window_count(other, "faults"), 0);
		vm_free(other);
	}
}

/* vCPUs at work while others start and end. */
static void test_together(uintptr_t arg)
{
	struct vm *vm = window_vm(2);
	struct run r;
	unsigned int i;

	(void)arg;
	vm->vcpu[0]->timeout_ms = 600000;
	vcpu_spawn(vm->vcpu[0], OP_CR8_SPIN);
	require(vcpu_wait_progress(vm->vcpu[0], 10), "the vCPU does not run");
	for (i = 0; i < 20; i++) {
		struct vm *other = window_vm(1);

		window_work(other->vcpu[0], 1);
		window_work(vm->vcpu[1], 1);
		vm_free(other);
	}
	vm->vcpu[0]->cpu->stop = 1;
	r = vcpu_join(vm->vcpu[0]);
	expect(r.end == RUN_DONE, "%s", run_text(&r));
	if (!expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
	vm_free(vm);
}

/* This thread, and those that it starts. */
static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	require(!sched_setaffinity(0, sizeof(set), &set), "CPU %d: %m", cpu);
}

/* NMIs at any instruction of the window, of the switch and of the guest. */
static void test_storm(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	struct run r;

	(void)arg;
	if (host_cpus() < 2) {
		/* From another CPU, and there is none. */
		require_eq(window_ask(vm, "storm"), 0);
		vm_free(vm);
		return;
	}
	vm->vcpu[0]->timeout_ms = 600000;
	run_on(1);
	vcpu_spawn(vm->vcpu[0], OP_TOGGLE_CR0, 1UL << 3, FOREVER);
	run_on(0);
	require(vcpu_wait_progress(vm->vcpu[0], 10), "the vCPU does not run");
	require_eq(window_ask(vm, "storm"), 0);
	vm->vcpu[0]->cpu->stop = 1;
	r = vcpu_join(vm->vcpu[0]);
	expect(r.end == RUN_DONE, "%s", run_text(&r));
	tap_note("%llu windows, %llu interrupted by NMIs", (unsigned long long)window_count(vm, "windows"),
		 (unsigned long long)window_count(vm, "pauses"));
	/* How many depends on how long one takes: those that wait are one. */
	expect(window_count(vm, "pauses") >= 10, "%llu", (unsigned long long)window_count(vm, "pauses"));
	if (!expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
	vm_free(vm);
}

static void test_kprobe(uintptr_t arg)
{
	struct vm *vm = window_vm(1);

	(void)arg;
	window_work(vm->vcpu[0], 1);
	window_set_file(WINDOW_TRACING "/kprobe_events",
		 (const char *[]){ "p:isolation_test vmx_vcpu_run\n",
				   "p:isolation_test svm_vcpu_run\n" }[!host_has_flag("vmx")]);
	window_set_file(WINDOW_TRACING "/events/kprobes/isolation_test/enable", "1");
	window_work(vm->vcpu[0], ROUNDS);
	window_set_file(WINDOW_TRACING "/events/kprobes/isolation_test/enable", "0");
	expect(window_count(vm, "left-breakpoint") + window_count(vm, "left-fault") >= ROUNDS, "%s",
	       window_report(vm));
	vm_free(vm);
}

/* Entry and exit of the guest themselves, in the middle of the window. */
static void test_tracepoints(uintptr_t arg)
{
	struct vm *vm = window_vm(1);

	(void)arg;
	window_work(vm->vcpu[0], 1);
	window_set_file(WINDOW_TRACING "/events/kvm/enable", "1");
	window_work(vm->vcpu[0], ROUNDS);
	window_set_file(WINDOW_TRACING "/events/kvm/enable", "0");
	expect_eq(window_count(vm, "windows"),
		  window_count(vm, "left-fault") + window_count(vm, "left-end"));
	vm_free(vm);
}

/* vCPUs that do nothing but leave the guest and enter it again, until stopped. */
static void spin(struct vm *vm, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		vm->vcpu[i]->timeout_ms = 600000;
		vcpu_spawn(vm->vcpu[i], OP_TOGGLE_CR0, 1UL << 3, FOREVER);
	}
	for (i = 0; i < n; i++)
		require(vcpu_wait_progress(vm->vcpu[i], 10), "vCPU %u does not run", i);
}

static void end_spin(struct vm *vm, unsigned int n)
{
	struct run r;
	unsigned int i;

	for (i = 0; i < n; i++) {
		expect(vcpu_wait_progress(vm->vcpu[i], 10), "vCPU %u stands still", i);
		vm->vcpu[i]->cpu->stop = 1;
		r = vcpu_join(vm->vcpu[i]);
		expect(r.end == RUN_DONE, "%s", run_text(&r));
	}
}

/* A window for each end that is counted, and no fault. */
static void expect_quiet(struct vm *vm)
{
	expect_eq(window_count(vm, "windows"), window_count(vm, "left-end"));
	if (!expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
	expect_eq(window_count(vm, "refused"), 0);
}

/* Threads that the scheduler moves, between one window and the next. */
static void test_migration(uintptr_t arg)
{
	struct vm *vm = window_vm(2);
	cpu_set_t cpus;
	unsigned int i, j;

	(void)arg;
	spin(vm, 2);
	for (i = 0; i < ROUNDS; i++) {
		for (j = 0; j < 2; j++) {
			CPU_ZERO(&cpus);
			CPU_SET((i + j) % host_cpus(), &cpus);
			require(!pthread_setaffinity_np(vm->vcpu[j]->thread, sizeof(cpus), &cpus),
				"cannot move");
		}
		sched_yield();
	}
	end_spin(vm, 2);
	expect_quiet(vm);
	vm_free(vm);
}

/* The second CPU of the host goes, with what runs there, and comes back. */
static void test_hotplug(uintptr_t kick)
{
	static const char *const online = "/sys/devices/system/cpu/cpu1/online";
	struct vm *vm;
	unsigned int i;

	if (kick)
		window_set_file("/sys/module/kvm/parameters/isolation_kick", "on");
	vm = window_vm(2);
	window_work(vm->vcpu[0], 1);
	if (host_cpus() > 1) {
		spin(vm, 2);
		for (i = 0; i < 5; i++) {
			window_set_file(online, "0");
			expect(vcpu_wait_progress(vm->vcpu[i % 2], 10), "it stands still");
			window_set_file(online, "1");
			expect(vcpu_wait_progress(vm->vcpu[i % 2], 10), "it stands still");
		}
		end_spin(vm, 2);
	} else {
		expect(access(online, F_OK) && errno == ENOENT, "%s is there", online);
	}
	expect_quiet(vm);
	vm_free(vm);
}

/* A program in the middle of the window that reads memory of all kinds: it gets what it asks for. */
static void test_reader(uintptr_t arg)
{
	struct isolation_test_bpf *object = isolation_test_bpf__open_and_load();
	struct vm *vm = window_vm(1), *other = window_vm(1);
	struct bpf_link *link;
	uint64_t faults;

	(void)arg;
	require(object, "the BPF object cannot be loaded: %m");
	window_work(vm->vcpu[0], 1);
	expect_quiet(vm);
	link = bpf_program__attach(object->progs.isolation_reader);
	require(link, "cannot attach: %m");
	window_work(vm->vcpu[0], ROUNDS);
	window_work(other->vcpu[0], 1);
	bpf_link__destroy(link);
	tap_note("%llu runs read %llu times, and could not %llu times",
		 (unsigned long long)object->bss->reader_runs, (unsigned long long)object->bss->reader_reads,
		 (unsigned long long)object->bss->reader_misses);
	expect(object->bss->reader_runs >= 5 * ROUNDS, "it did not run");
	expect(object->bss->reader_reads >= object->bss->reader_runs, "it could read nothing");
	expect(object->bss->reader_misses >= object->bss->reader_runs, "it could read everything");
	/* Each of its windows was left for it, none twice. */
	expect(window_count(vm, "left-fault") >= 5 * ROUNDS, "%s", window_report(vm));
	expect_eq(window_count(vm, "windows"),
		  window_count(vm, "left-fault") + window_count(vm, "left-end"));

	/* And then it is as ever. */
	window_work(vm->vcpu[0], 1);
	faults = window_count(vm, "faults");
	window_work(vm->vcpu[0], 10);
	expect_eq(window_count(vm, "faults"), faults);
	isolation_test_bpf__destroy(object);
	vm_free(vm);
	vm_free(other);
}

static const char *setup(void)
{
	return window_is_on() ? NULL : "this host does not isolate";
}

static const struct test_case cases[] = {
	{ "threads", test_threads },
	{ "lifecycle", test_lifecycle },
	{ "together", test_together },
	{ "migration", test_migration },
	{ "hotplug", test_hotplug, false },
	{ "hotplug_kick", test_hotplug, true },
	{ "storm", test_storm },
	{ "kprobe", test_kprobe },
	{ "tracepoints", test_tracepoints },
	{ "reader", test_reader },
	{ },
};

const struct test_suite suite_disturb = {
	.name = "disturb",
	.cases = cases,
	.setup = setup,
	.after = window_reset,
};
