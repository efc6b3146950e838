// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The same decision taken elsewhere: by a VMM in user space, which write-protects
 * by a read-only memslot and is told of each write as of a device's, and by a VMM
 * that asks another process over a socket, as introspection without a kernel of
 * its own does.  Needs nothing of kvm_vmi.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "lib/host.h"
#include "suites.h"

#define READONLY	0x50000000UL
#define PLAIN		(GUEST_ARENA + 3 * PAGE_SIZE)

/* What such an agent is told, and what it answers: about the size others use. */
struct question {
	uint64_t vcpu, gpa, gva, rip, value, length, pad[2];
};

struct answer {
	uint64_t verdict;
};

struct socket_vmm {
	int fd;
	uint64_t asked;
};

static bool drop(struct vcpu *vcpu, void *arg)
{
	(void)vcpu;
	(void)arg;
	return true;
}

static bool ask(struct vcpu *vcpu, void *arg)
{
	struct socket_vmm *vmm = arg;
	struct question q = { .vcpu = vcpu->id, .gpa = vcpu->run->mmio.phys_addr };
	struct answer a;

	vmm->asked++;
	return write(vmm->fd, &q, sizeof(q)) == sizeof(q) &&
	       read(vmm->fd, &a, sizeof(a)) == sizeof(a) && a.verdict == 1;
}

static void __attribute__((noreturn)) answer_all(int fd)
{
	struct answer a = { .verdict = 1 };
	struct question q;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (read(fd, &q, sizeof(q)) == sizeof(q))
		if (write(fd, &a, sizeof(a)) != sizeof(a))
			break;
	_exit(0);
}

static void start_agent(struct socket_vmm *vmm)
{
	int fd[2];
	pid_t pid;

	require(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), "socketpair: %s",
		strerror(errno));
	pid = fork();
	require(pid >= 0, "fork: %s", strerror(errno));
	if (!pid)
		answer_all(fd[1]);
	close(fd[1]);
	vmm->fd = fd[0];
}

/* @what once an exit to the VMM, which asks another process if @socket. */
static void decide(const char *name, enum guest_bench what, bool socket)
{
	struct socket_vmm vmm = { .fd = -1 };
	struct bench_loop loop = {
		.what = what,
		.floor = what == BENCH_OUT ? BENCH_NOTHING : BENCH_STORE,
		.gpa = READONLY,
		.floor_gpa = PLAIN,
		.iterations = socket ? 32 : 20,
		.exits = 1,
		.decide = socket ? ask : drop,
		.arg = &vmm,
	};
	struct vm *vm;
	uint64_t asked;
	double cost;

	bench_pin();
	if (socket)
		start_agent(&vmm);
	vm = vm_new(NULL);
	vm_add_slot(vm, READONLY, PAGE_SIZE, BACKING_ANONYMOUS, KVM_MEM_READONLY);
	vm_map(vm, READONLY, READONLY, 1, PTE_DEFAULT);
	*(uint64_t *)vm_hva(vm, READONLY) = 0x5a5a;

	cost = bench_cost(vm->vcpu[0], &loop);
	expect_eq(vm_read64(vm, READONLY), 0x5a5a);
	if (socket) {
		asked = vmm.asked;
		bench_batch(vm->vcpu[0], &loop);
		expect_eq(vmm.asked - asked, loop.iterations);
	}
	bench_figure(name, cost, "instructions", NULL);
	vm_free(vm);
}

static void vmm_exit(uintptr_t unused)
{
	(void)unused;
	decide("c.vmm.exit", BENCH_OUT, false);
}

static void vmm_readonly(uintptr_t unused)
{
	(void)unused;
	decide("c.vmm.readonly", BENCH_STORE, false);
}

static void vmm_exit_socket(uintptr_t unused)
{
	(void)unused;
	decide("c.vmm.exit-socket", BENCH_OUT, true);
}

static void vmm_readonly_socket(uintptr_t unused)
{
	(void)unused;
	decide("c.vmm.readonly-socket", BENCH_STORE, true);
}

const struct test_suite suite_vmm = {
	.name = "vmm",
	.cases = (const struct test_case[]){
		{ "exit", vmm_exit },
		{ "readonly", vmm_readonly },
		{ "exit-socket", vmm_exit_socket },
		{ "readonly-socket", vmm_readonly_socket },
		{ },
	},
};
