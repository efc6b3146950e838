// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Address-space isolation, on a host with kvm.isolation=1: what is mapped in a window and
 * what is not, that nothing is missing in the usual course, and that what is missing costs a
 * counted leave and no more.  By the files that a test kernel has in debugfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/kvm_isolation.h>

#include "isolation_calls.h"
#include "isolation_test.skel.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "lib/window.h"
#include "suites.h"

#define ROUNDS		200
#define FOREVER		(1UL << 40)

static void test_windows(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	uint64_t before;

	(void)arg;
	expect_eq(window_count(vm, "windows"), 0);
	window_work(vm->vcpu[0], 1);
	before = window_count(vm, "windows");
	expect(before >= 5, "%llu windows", (unsigned long long)before);
	window_work(vm->vcpu[0], 1);
	expect(window_count(vm, "windows") >= before + 5, "no new windows");
	expect_eq(window_count(vm, "refused"), 0);
	vm_free(vm);
}

/* What is mapped is a little of the host's memory, and goes when its user goes. */
static void test_size(uintptr_t arg)
{
	struct vm *vm = window_vm(2);
	uint64_t one, two;

	(void)arg;
	window_work(vm->vcpu[0], 1);
	one = window_count(vm, "mapped-bytes");
	window_work(vm->vcpu[0], 1);
	expect_eq(window_count(vm, "mapped-bytes"), one);
	window_work(vm->vcpu[1], 1);
	two = window_count(vm, "mapped-bytes");
	tap_note("mapped %llu bytes for one vCPU, %llu for two, by %llu bytes of tables",
		 (unsigned long long)one, (unsigned long long)two,
		 (unsigned long long)window_count(vm, "table-bytes"));
	expect(one && one < 16 << 20, "%llu bytes", (unsigned long long)one);
	expect(two > one, "the second vCPU needs nothing");
	vm_free(vm);
}

/* Nothing is forgotten. */
static void test_no_faults(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	uint64_t before;

	(void)arg;
	window_work(vm->vcpu[0], 20);
	before = window_count(vm, "faults");
	window_work(vm->vcpu[0], ROUNDS);
	if (!expect(window_count(vm, "faults") == before, "%llu faults of %llu windows",
		    (unsigned long long)(window_count(vm, "faults") - before),
		    (unsigned long long)window_count(vm, "windows")))
		window_note_places(vm);
	expect_eq(window_count(vm, "left-end"), window_count(vm, "windows"));
	vm_free(vm);
}

#define MSR_TSC_ADJUST	0x3b
#define MSR_APIC_BASE	0x1b
#define MSR_X2APIC_TPR	0x808
#define MSR_X2APIC_EOI	0x80b
#define MSR_NOWHERE	0x4b564dff

/** struct served - an instruction that exits, and which counter it moves */
struct served {
	const char *counter;
	const char *counter_not;
	enum guest_op op;
	uint64_t args[2];
	bool fails;
	bool amd;		/* on Intel the CPU does it by itself */
};

static const struct served serveds[] = {
	{ "inside-cpuid", "outside-cpuid", OP_CPUID, { 1 } },
	{ "inside-cpuid", "outside-cpuid", OP_CPUID, { 0x40000000 } },
	{ "inside-rdmsr", "outside-rdmsr", OP_RDMSR, { MSR_APIC_BASE } },
	{ "outside-rdmsr", "inside-rdmsr", OP_RDMSR, { MSR_NOWHERE }, .fails = true },
	{ "inside-wrmsr", "outside-wrmsr", OP_WRMSR, { MSR_X2APIC_EOI } },
	{ "inside-wrmsr", "outside-wrmsr", OP_WRMSR, { MSR_X2APIC_TPR, 0x20 }, .amd = true },
	{ "outside-wrmsr", "inside-wrmsr", OP_WRMSR, { MSR_TSC_ADJUST } },
	{ "outside-wrmsr", "inside-wrmsr", OP_WRMSR, { MSR_NOWHERE }, .fails = true },
	{ "outside-wrmsr", "inside-wrmsr", OP_WRMSR, { MSR_X2APIC_TPR, 1UL << 40 }, .fails = true,
	  .amd = true },
};

/* What stands in the kernel's table is settled within, with the same result; the rest is not. */
static void test_served(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	struct vcpu *v = vm->vcpu[0];
	struct run r;
	unsigned int i, j;

	(void)arg;
	window_work(v, 1);
	for (i = 0; i < ARRAY_SIZE(serveds); i++) {
		const struct served *s = &serveds[i];
		uint64_t hits = window_count(vm, s->counter), misses = window_count(vm, s->counter_not);
		uint64_t io = window_count(vm, "outside-io");

		if (s->amd && host_has_flag("vmx"))
			continue;
		for (j = 0; j < 10; j++) {
			r = vcpu_op(v, s->op, s->args[0], s->args[1]);
			expect(r.end == RUN_DONE && r.vector == (s->fails ? VECTOR_GP : GUEST_NO_FAULT),
			       "row %u: %s", i, run_text(&r));
		}
		expect(window_count(vm, s->counter) == hits + 10, "row %u: %s %llu, was %llu", i, s->counter,
		       (unsigned long long)window_count(vm, s->counter), (unsigned long long)hits);
		expect(window_count(vm, s->counter_not) == misses, "row %u: %s %llu, was %llu", i,
		       s->counter_not, (unsigned long long)window_count(vm, s->counter_not),
		       (unsigned long long)misses);
		expect_eq(window_count(vm, "outside-io"), io + 10);
	}
	r = vcpu_op(v, OP_CPUID, 1);
	expect_eq((uint32_t)r.ret[0], vcpu_cpuid(v, 1, 0, CPUID_EAX));
	r = vcpu_op(v, OP_RDMSR, MSR_APIC_BASE);
	/* Enabled, x2APIC, of the boot CPU, where it always is. */
	expect_eq(r.ret[0], 0xfee00d00);
	if (!expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
	vm_free(vm);
}

/* An interrupt that a vCPU sends itself, halting and not; timers of the host. */
static void test_apic(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		struct run r = vcpu_op(v, OP_IPI_SELF, GUEST_VECTOR_EVENT);

		require(r.end == RUN_DONE, "%s", run_text(&r));
		/* Reaches it in HLT, which then does not block. */
		r = vcpu_op(v, OP_STI_NOP);
		require(r.end == RUN_DONE, "%s", run_text(&r));
		require_done(vcpu_op(v, OP_WRMSR, MSR_X2APIC_EOI));
	}
	if (!expect_eq(window_count(vm, "faults"), 0))
		window_note_places(vm);
	vm_free(vm);
}

/** struct probe - a row of what is mapped and what is not */
struct probe {
	const char *what;
	const char *answer;
};

static const struct probe probes[] = {
	{ "own", "inside" },
	{ "secret", "outside" },
	{ "other", "outside" },
	{ "file", "outside" },
	/* Used on the full table just before, so it is in the TLB, where kernel pages are global. */
	{ "own prime", "inside" },
	{ "secret prime", "outside" },
	{ "other prime", "outside" },
	{ "file prime", "outside" },
};

static void test_probe(uintptr_t arg)
{
	struct vm *vm = window_vm(1), *other = window_vm(1);
	uint64_t faults;
	unsigned int i, j;

	(void)arg;
	window_work(other->vcpu[0], 1);
	window_work(vm->vcpu[0], 2);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		for (j = 0; j < 10; j++) {
			faults = window_count(vm, "left-fault");
			require_eq(window_ask(vm, probes[i].what), 0);
			expect(!strcmp(window_answer(vm), "none"), "%s: %s", probes[i].what, window_answer(vm));
			window_work(vm->vcpu[0], 1);
			expect(!strcmp(window_answer(vm), probes[i].answer), "%s: %s", probes[i].what,
			       window_answer(vm));
			expect_eq(window_count(vm, "left-fault") - faults,
				  !strcmp(probes[i].answer, "outside"));
		}
	}
	vm_free(other);
	vm_free(vm);
}

/*
 * Without the flush of global entries a primed secret can be read: the probe would see if it
 * were missing.  With PTI the kernel's pages are not global.
 */
static void test_global(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	bool pti = host_has_flag("pti");

	(void)arg;
	window_work(vm->vcpu[0], 1);
	require_eq(window_ask(vm, "secret prime no-flush"), 0);
	window_work(vm->vcpu[0], 1);
	expect(!strcmp(window_answer(vm), pti ? "outside" : "inside"), "%s, and PTI is %s",
	       window_answer(vm),
	       pti ? "on" : "off");
	require_eq(window_ask(vm, "secret no-flush"), 0);
	window_work(vm->vcpu[0], 1);
	require_eq(window_ask(vm, "secret prime"), 0);
	window_work(vm->vcpu[0], 1);
	expect(!strcmp(window_answer(vm), "outside"), "%s", window_answer(vm));
	vm_free(vm);
}

static void test_bad_input(uintptr_t arg)
{
	struct vm *vm = window_vm(1);

	(void)arg;
	expect_eq(window_ask(vm, "nothing"), EINVAL);
	expect_eq(window_ask(vm, "secret twice"), EINVAL);
	expect_eq(window_ask(vm, "drop"), EINVAL);
	expect_eq(window_ask(vm, "drop everything"), EINVAL);
	expect_eq(window_ask(vm, "other"), ENOENT);
	window_work(vm->vcpu[0], 1);
	expect_eq(window_count(vm, "faults"), 0);
	vm_free(vm);
}

/* A mapping that is missing costs a leave, which is counted with its place. */
static void test_missing(uintptr_t arg)
{
	const char *object = (const char *)arg;
	struct vm *vm = window_vm(1);
	char line[32];
	uint64_t windows, left;

	window_work(vm->vcpu[0], 1);
	expect_eq(window_count(vm, "faults"), 0);
	snprintf(line, sizeof(line), "drop %s", object);
	require_eq(window_ask(vm, line), 0);
	windows = window_count(vm, "windows");
	window_work(vm->vcpu[0], ROUNDS);
	windows = window_count(vm, "windows") - windows;
	left = window_count(vm, "left-fault");
	expect(windows >= ROUNDS * 5, "%llu windows", (unsigned long long)windows);
	expect(left >= ROUNDS, "%llu leaves", (unsigned long long)left);
	expect(left <= windows, "%llu leaves of %llu windows", (unsigned long long)left,
	       (unsigned long long)windows);
	expect(window_count(vm, "faults") >= left, "fewer faults than leaves");
	expect(strstr(window_report(vm), "\nplace "), "no place");
	expect_eq(window_count(vm, "no-place"), 0);
	window_note_places(vm);
	vm_free(vm);
}

/* Without what a fault itself needs nothing is isolated. */
static void test_vital(uintptr_t arg)
{
	const char *object = (const char *)arg;
	struct vm *vm = window_vm(1);
	char line[32];
	uint64_t windows;

	window_work(vm->vcpu[0], 1);
	snprintf(line, sizeof(line), "drop %s", object);
	require_eq(window_ask(vm, line), 0);
	windows = window_count(vm, "windows");
	window_work(vm->vcpu[0], 10);
	expect_eq(window_count(vm, "windows"), windows);
	expect(window_count(vm, "refused") >= 40, "%llu refused",
	       (unsigned long long)window_count(vm, "refused"));
	expect_eq(window_count(vm, "faults"), 0);
	vm_free(vm);
}

/* Is the host's second CPU another thread of the first one's core? */
static bool has_sibling(void)
{
	char text[32] = "";
	FILE *f = fopen("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list", "re");

	if (!f)
		return false;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return strchr(text, '1');
}

static void set_kick(bool on)
{
	window_set_file("/sys/module/kvm/parameters/isolation_kick", on ? "on" : "off");
}

/* A guest that only computes is left when another on the core's other thread leaves its window. */
static void test_kick(uintptr_t on)
{
	struct vm *load, *vm;
	struct vcpu *spinner;
	struct run r;
	uint64_t kicks;

	set_kick(false);
	load = window_vm(1);
	set_kick(on);
	vm = window_vm(1);
	spinner = load->vcpu[0];
	spinner->timeout_ms = 600000;
	window_work(spinner, 1);
	vcpu_spawn(spinner, OP_HAMMER, GUEST_ARENA, 4, 1, FOREVER, GUEST_SCRATCH_BASE, 0);
	require(vcpu_wait_progress(spinner, 10), "the load does not run");
	window_work(vm->vcpu[0], ROUNDS);
	spinner->cpu->stop = 1;
	r = vcpu_join(spinner);
	expect(r.end == RUN_DONE, "%s", run_text(&r));
	kicks = window_count(vm, "kicks");
	tap_note("%llu kicks, %llu and %llu waits", (unsigned long long)kicks,
		 (unsigned long long)window_count(vm, "waits"), (unsigned long long)window_count(load, "waits"));
	if (on && has_sibling() && host_cpus() > 1)
		expect(kicks > 0, "no kicks of %llu windows", (unsigned long long)window_count(vm, "windows"));
	else
		expect_eq(kicks, 0);
	expect_eq(window_count(load, "kicks"), 0);
	expect_eq(window_count(vm, "faults") + window_count(load, "faults"), 0);
	vm_free(vm);
	vm_free(load);
}

static void *work_long(void *v)
{
	window_work(v, ROUNDS / 10);
	return NULL;
}

/* All kick all, and one leaves by faults: nobody waits for ever. */
static void test_kick_each_other(uintptr_t faulty)
{
	pthread_t thread[4];
	struct vm *vm, *other;
	unsigned int i;

	set_kick(true);
	vm = window_vm(2);
	other = window_vm(2);
	if (faulty) {
		window_work(vm->vcpu[0], 1);
		require_eq(window_ask(vm, "drop vm"), 0);
		require_eq(window_ask(vm, "drop task"), 0);
	}
	for (i = 0; i < 4; i++)
		require(!pthread_create(&thread[i], NULL, work_long,
					(i & 1 ? vm : other)->vcpu[i / 2]), "no thread");
	for (i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	tap_note("%llu kicks, %llu waits", (unsigned long long)window_count(vm, "kicks"),
		 (unsigned long long)window_count(vm, "waits"));
	expect_eq(window_count(other, "faults"), 0);
	vm_free(vm);
	vm_free(other);
}

/* ---- exceptions in the window ---- */

/** struct exception - what to do in a window, and what it must have come to */
struct exception {
	const char *what;
	const char *answer;
	const char *counter;
};

static const struct exception exceptions[] = {
	{ "nmi", "inside", "pauses" },
	{ "gp", "outside", "left-protection" },
	{ "ud", "outside", "left-bug" },
	{ "db", "outside", "left-debug" },
	{ "stack", "outside", "left-double-fault" },
};

static void test_exceptions(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	unsigned int i, j;

	(void)arg;
	window_work(vm->vcpu[0], 1);
	for (i = 0; i < ARRAY_SIZE(exceptions); i++) {
		const struct exception *e = &exceptions[i];

		for (j = 0; j < 10; j++) {
			uint64_t before = window_count(vm, e->counter);

			require_eq(window_ask(vm, e->what), 0);
			window_work(vm->vcpu[0], 1);
			expect(!strcmp(window_answer(vm), e->answer), "%s: %s", e->what, window_answer(vm));
			expect(window_count(vm, e->counter) == before + 1, "%s: %s %llu, was %llu",
			       e->what, e->counter, (unsigned long long)window_count(vm, e->counter),
			       (unsigned long long)before);
		}
	}
	/* Of these only what went without a stack is a fault. */
	expect_eq(window_count(vm, "faults"), 10);
	/* And then it goes on as ever. */
	window_work(vm->vcpu[0], 10);
	expect_eq(window_count(vm, "faults"), 10);
	vm_free(vm);
}

/* ---- BPF ---- */

static struct isolation_test_bpf *object;

static int call(const struct bpf_program *prog, void *context, size_t size)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = context, .ctx_size_in = size);
	int r = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);

	return r < 0 ? r : (int)opts.retval;
}

static void load_bpf(void)
{
	const char *failure = vmi_load();

	require(!failure, "%s", failure);
	object = isolation_test_bpf__open_and_load();
	require(object, "the BPF object cannot be loaded: %m");
}

static void test_calls(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	struct isolation_host_call host = { };
	struct isolation_stats_call stats = { .vm = vmi_vm(vm) };
	struct isolation_place_call place = { .vm = stats.vm };
	struct isolation_kick_call kick = { .vm = stats.vm };

	(void)arg;
	require_eq(call(object->progs.isolation_host, &host, sizeof(host)), 0);
	expect_eq(host.host.on, 1);
	expect(!host.host.refused[0], "refused: %s", host.host.refused);
	expect_eq(host.host.kick, KVM_ISOLATION_KICK_NEVER);

	window_work(vm->vcpu[0], 5);
	require_eq(call(object->progs.isolation_stats, &stats, sizeof(stats)), 0);
	expect_eq(stats.stats.windows, window_count(vm, "windows"));
	expect_eq(stats.stats.left[KVM_ISOLATION_END], window_count(vm, "left-end"));
	expect_eq(stats.stats.inside[KVM_ISOLATION_EXIT_CPUID], 5);
	expect_eq(stats.stats.outside[KVM_ISOLATION_EXIT_IO], window_count(vm, "outside-io"));
	expect_eq(stats.stats.mapped_bytes, window_count(vm, "mapped-bytes"));
	expect_eq(stats.stats.faults, 0);
	expect_eq(stats.stats.kick, 0);

	expect_eq(call(object->progs.isolation_place, &place, sizeof(place)), -ENOENT);
	require_eq(window_ask(vm, "secret"), 0);
	window_work(vm->vcpu[0], 1);
	require_eq(call(object->progs.isolation_place, &place, sizeof(place)), 0);
	expect_eq(place.place.count, 1);
	expect(place.place.ip && place.place.address, "no place");
	place.index = 1;
	expect_eq(call(object->progs.isolation_place, &place, sizeof(place)), -ENOENT);

	kick.reasons = 1U << KVM_ISOLATION_NR_REASONS;
	expect_eq(call(object->progs.isolation_kick, &kick, sizeof(kick)), -EINVAL);
	kick.reasons = 1U << KVM_ISOLATION_TIMER;
	expect_eq(call(object->progs.isolation_kick, &kick, sizeof(kick)), 0);
	require_eq(call(object->progs.isolation_stats, &stats, sizeof(stats)), 0);
	expect_eq(stats.stats.kick, 1U << KVM_ISOLATION_TIMER | 1U << KVM_ISOLATION_FAULT |
				    1U << KVM_ISOLATION_DOUBLE_FAULT);
	kick.reasons = 0;
	expect_eq(call(object->progs.isolation_kick, &kick, sizeof(kick)), 0);
	require_eq(call(object->progs.isolation_stats, &stats, sizeof(stats)), 0);
	expect_eq(stats.stats.kick, 0);

	stats.vm = kick.vm = ~0ULL;
	expect_eq(call(object->progs.isolation_stats, &stats, sizeof(stats)), -ESRCH);
	expect_eq(call(object->progs.isolation_kick, &kick, sizeof(kick)), -ESRCH);
	vm_free(vm);
}

static void test_told(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	struct bpf_link *link;
	uint64_t windows, told;

	(void)arg;
	window_work(vm->vcpu[0], 1);
	link = bpf_map__attach_struct_ops(object->maps.isolation_owner);
	require(link, "cannot attach: %m");
	windows = window_count(vm, "windows");
	window_work(vm->vcpu[0], 10);
	expect_eq(object->bss->told, window_count(vm, "windows") - windows);
	expect_eq(object->bss->told_faults, 0);
	require_eq(window_ask(vm, "secret"), 0);
	window_work(vm->vcpu[0], 1);
	expect_eq(object->bss->told_faults, 1);
	expect(object->bss->told_ip && object->bss->told_address, "no place was told");
	bpf_link__destroy(link);
	told = object->bss->told;
	window_work(vm->vcpu[0], 1);
	expect_eq(object->bss->told, told);
	vm_free(vm);
}

static void with_bpf(uintptr_t test)
{
	load_bpf();
	((void (*)(uintptr_t))test)(0);
	isolation_test_bpf__destroy(object);
	object = NULL;
}

/* ---- where it is refused ---- */

/* Asked for, and not granted: it says why, and guests run without. */
static void test_refused(uintptr_t arg)
{
	struct isolation_host_call host = { };
	struct isolation_stats_call stats = { };
	struct vm *vm;
	char path[128];

	(void)arg;
	if (window_parameter() == 'Y')
		return;
	expect_eq(window_parameter(), 'N');
	load_bpf();
	require_eq(call(object->progs.isolation_host, &host, sizeof(host)), 0);
	expect_eq(host.host.on, 0);
	expect(host.host.refused[0], "no reason");
	tap_note("refused: %s", host.host.refused);
	vm = window_vm(1);
	window_work(vm->vcpu[0], 1);
	window_file(vm, "isolation", path, sizeof(path));
	expect(access(path, F_OK) && errno == ENOENT, "%s is there", path);
	stats.vm = vmi_vm(vm);
	expect_eq(call(object->progs.isolation_stats, &stats, sizeof(stats)), -EOPNOTSUPP);
	vm_free(vm);
	isolation_test_bpf__destroy(object);
}

/* ---- others that look ---- */

/* What is looked at by tracepoints and kprobes leaves the window and goes on. */
static void test_traced(uintptr_t arg)
{
	struct vm *vm = window_vm(1);
	char text[65536];
	ssize_t n;
	int fd;

	(void)arg;
	window_work(vm->vcpu[0], 1);
	window_set_file(WINDOW_TRACING "/events/kvm/kvm_isolation_enter/enable", "1");
	window_set_file(WINDOW_TRACING "/events/kvm/kvm_isolation_exit/enable", "1");
	window_set_file(WINDOW_TRACING "/events/kvm/kvm_isolation_fault/enable", "1");
	window_set_file("/sys/module/kvm/parameters/isolation_fault_stack", "1");
	require_eq(window_ask(vm, "secret"), 0);
	window_work(vm->vcpu[0], 1);
	fd = open(WINDOW_TRACING "/trace", O_RDONLY | O_CLOEXEC);
	require(fd >= 0, "no trace: %m");
	for (n = 0; n < (ssize_t)sizeof(text) - 1;) {
		ssize_t more = read(fd, text + n, sizeof(text) - 1 - n);

		if (more <= 0)
			break;
		n += more;
	}
	text[n] = 0;
	close(fd);
	expect(strstr(text, "kvm_isolation_enter: vcpu 0"), "no entry traced");
	expect(strstr(text, "kvm_isolation_exit: vcpu 0 reason end"), "no end traced");
	expect(strstr(text, "kvm_isolation_exit: vcpu 0 reason fault"), "no fault traced");
	expect(strstr(text, "kvm_isolation_fault: vcpu 0 ip isolation_probe"), "no place traced");
	expect(!strstr(text, "stack 0x0\n"), "no stack traced");
	vm_free(vm);
}

static const char *setup(void)
{
	return window_parameter() ? NULL : "this kernel has no isolation";
}

static const struct test_case cases[] = {
	{ "windows", test_windows },
	{ "size", test_size },
	{ "no_faults", test_no_faults },
	{ "served", test_served },
	{ "apic", test_apic },
	{ "probe", test_probe },
	{ "global", test_global },
	{ "bad_input", test_bad_input },
	{ "missing_vm", test_missing, (uintptr_t)"vm" },
	{ "missing_task", test_missing, (uintptr_t)"task" },
	{ "missing_vendor", test_missing, (uintptr_t)"vendor" },
	{ "vital_stack", test_vital, (uintptr_t)"stack" },
	{ "vital_vcpu", test_vital, (uintptr_t)"vcpu" },
	{ "kick_never", test_kick, false },
	{ "kick_always", test_kick, true },
	{ "kick_each_other", test_kick_each_other, false },
	{ "kick_faulty", test_kick_each_other, true },
	{ "exceptions", test_exceptions },
	{ "calls", with_bpf, (uintptr_t)test_calls },
	{ "told", with_bpf, (uintptr_t)test_told },
	{ "refused", test_refused },
	{ "traced", test_traced },
	{ },
};

const struct test_suite suite_isolation = {
	.name = "isolation",
	.cases = cases,
	.setup = setup,
	.after = window_reset,
};
