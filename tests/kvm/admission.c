// SPDX-License-Identifier: GPL-2.0-or-later
/* A new VM waits at its first KVM_RUN until it is admitted, or its deadline ends. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "suites.h"

#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void sleep_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

static uint32_t flags_of(uint64_t id)
{
	struct kvm_vmi_vm_info info;

	require_eq(vmi_info(id, &info), 0);
	return info.flags;
}

static void off(void)
{
	/* Nothing to be done about a failure; the next case would show it. */
	(void)vmi_set_admission(KVM_VMI_ADMIT_OFF, 0);
}

static void test_off(uintptr_t arg)
{
	uint64_t id, start = now_ms();
	struct vm *vm = vmi_new(NULL, &id);

	(void)arg;
	expect_eq(flags_of(id), 0);
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect(now_ms() - start < 1000, "it waited");
	vm_free(vm);
}

static void test_open(uintptr_t arg)
{
	struct kvm_vmi_caps caps;
	uint64_t id, start;
	struct vm *vm;

	(void)arg;
	require_eq(vmi_set_admission(KVM_VMI_ADMIT_OPEN, 300), 0);
	expect_eq(vmi_caps(&caps), 0);
	expect_eq(caps.admission, KVM_VMI_ADMIT_OPEN);
	expect_eq(caps.admission_ms, 300);
	vm = vmi_new(NULL, &id);
	expect_eq(flags_of(id), KVM_VMI_VM_PENDING);
	/* The deadline begins with the first KVM_RUN. */
	sleep_ms(200);
	start = now_ms();
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect(now_ms() - start >= 280 && now_ms() - start < 2000, "ran after %llu ms",
	       (unsigned long long)(now_ms() - start));
	expect_eq(flags_of(id), KVM_VMI_VM_EXPIRED);
	expect_eq(vmi_log_lives(id, VMI_EXPIRED), 1);
	start = now_ms();
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect(now_ms() - start < 200, "it waited again");
	vm_free(vm);
}

static void test_closed(uintptr_t arg)
{
	uint64_t id, start;
	struct vm *vm;
	struct run r;

	(void)arg;
	require_eq(vmi_set_admission(KVM_VMI_ADMIT_CLOSED, 300), 0);
	vm = vmi_new(&(struct vm_options){ .vcpus = 2 }, &id);
	start = now_ms();
	r = vcpu_op(vm->vcpu[0], OP_NOP);
	expect(r.end == RUN_ERROR && r.err == EPERM, "%s", run_text(&r));
	expect(now_ms() - start >= 280, "refused too soon");
	expect_eq(vm->vcpu[0]->cpu->done, 0);
	r = vcpu_op(vm->vcpu[1], OP_NOP);
	expect(r.end == RUN_ERROR && r.err == EPERM, "the other vCPU: %s", run_text(&r));
	expect(flags_of(id) & KVM_VMI_VM_EXPIRED, "flags %#x", flags_of(id));
	/* Late, but admitted. */
	expect_eq(vmi_admit(id), 0);
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect_eq(flags_of(id) & KVM_VMI_VM_PENDING, 0);
	vm_free(vm);
}

/* Rules can be set while it waits: it never runs without them. */
static void test_admit(uintptr_t before)
{
	uint64_t id, start;
	struct vm *vm;
	struct run r;

	require_eq(vmi_set_admission(KVM_VMI_ADMIT_CLOSED, 20000), 0);
	vm = vmi_new(NULL, &id);
	start = now_ms();
	if (before) {
		expect_eq(vmi_admit(id), 0);
		expect_eq(flags_of(id), 0);
		expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	} else {
		vcpu_spawn(vm->vcpu[0], OP_STORE, DATA, 1, 8);
		sleep_ms(100);
		expect_eq(flags_of(id), KVM_VMI_VM_PENDING);
		vmi_rule(id, 1, KVM_VMI_DENY, 0);
		vmi_protect(id, 1, DATA, 0);
		expect_eq(vm->vcpu[0]->cpu->done, 0);
		expect_eq(vmi_admit(id), 0);
		r = vcpu_join(vm->vcpu[0]);
		expect_gp(r);
		expect_eq(vm_read64(vm, DATA), 0);
	}
	expect(now_ms() - start < 3000, "admitted, it waited on");
	expect_eq(vmi_log_lives(id, VMI_ADMITTED), 1);
	expect_eq(vmi_log_lives(id, VMI_EXPIRED), 0);
	vm_free(vm);
}

/* A signal ends KVM_RUN, not the waiting; the deadline stays. */
static void test_signal(uintptr_t arg)
{
	uint64_t id, start;
	struct vm *vm;
	struct run r;
	int i;

	(void)arg;
	require_eq(vmi_set_admission(KVM_VMI_ADMIT_OPEN, 800), 0);
	vm = vmi_new(NULL, &id);
	start = now_ms();
	vm->vcpu[0]->timeout_ms = 100;
	for (i = 0; i < 3; i++) {
		r = vcpu_op(vm->vcpu[0], OP_NOP);
		expect_end(r, RUN_TIMEOUT);
		expect_eq(vm->vcpu[0]->cpu->done, 0);
	}
	/* The VMM may ask for no waiting at all. */
	vm->vcpu[0]->run->immediate_exit = 1;
	vm->vcpu[0]->timeout_ms = 50;
	expect_end(vcpu_continue(vm->vcpu[0]), RUN_TIMEOUT);
	vm->vcpu[0]->timeout_ms = 4000;
	expect_done(vcpu_continue(vm->vcpu[0]));
	expect(now_ms() - start >= 780 && now_ms() - start < 2500, "ran after %llu ms",
	       (unsigned long long)(now_ms() - start));
	vm_free(vm);
}

/* Off again: who waits may run. */
static void test_switched_off(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm;

	(void)arg;
	require_eq(vmi_set_admission(KVM_VMI_ADMIT_CLOSED, 20000), 0);
	vm = vmi_new(NULL, &id);
	vcpu_spawn(vm->vcpu[0], OP_NOP);
	sleep_ms(100);
	expect_eq(vm->vcpu[0]->cpu->done, 0);
	expect_eq(vmi_set_admission(KVM_VMI_ADMIT_OFF, 0), 0);
	expect_done(vcpu_join(vm->vcpu[0]));
	expect_eq(flags_of(id), 0);
	vm_free(vm);
}

/* A VM from before the word was set runs as ever. */
static void test_existing(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);

	(void)arg;
	require_eq(vmi_set_admission(KVM_VMI_ADMIT_CLOSED, 20000), 0);
	expect_done(vcpu_op(vm->vcpu[0], OP_NOP));
	expect_eq(flags_of(id), 0);
	vm_free(vm);
}

/* The owner's death does not lift the word, and a waiting VMM can be killed. */
static void test_killed(uintptr_t arg)
{
	int status;
	pid_t pid;

	(void)arg;
	require_eq(vmi_set_admission(KVM_VMI_ADMIT_CLOSED, 20000), 0);
	pid = fork();
	if (!pid) {
		struct vm *vm = vm_new(NULL);

		vm->vcpu[0]->timeout_ms = 30000;
		vcpu_op(vm->vcpu[0], OP_NOP);
		_exit(0);
	}
	require(pid > 0, "fork");
	sleep_ms(200);
	expect_eq(waitpid(pid, &status, WNOHANG), 0);
	kill(pid, SIGKILL);
	expect_eq(waitpid(pid, &status, 0), pid);
	expect(WIFSIGNALED(status), "it ran to its end");
}

static const struct test_case cases[] = {
	{ "off", test_off },
	{ "open", test_open },
	{ "closed", test_closed },
	{ "admit-before", test_admit, 1 },
	{ "admit-waiting", test_admit, 0 },
	{ "signal", test_signal },
	{ "switched-off", test_switched_off },
	{ "existing", test_existing },
	{ "killed", test_killed },
	{ }
};

const struct test_suite suite_admission = {
	.name = "admission",
	.cases = cases,
	.setup = vmi_setup,
	.after = off,
};
