// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What address-space isolation costs an exit: one that is settled within the window, one that
 * leaves it, each without isolation, with it, and with the kick of siblings.  And what a VM
 * has mapped of the host's memory.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/window.h"
#include "suites.h"

#define KICK	"/sys/module/kvm/parameters/isolation_kick"

/* Which new VMs have.  It is asked for where there is isolation only. */
static void set_kick(const char *value)
{
	int fd = open(KICK, O_WRONLY | O_CLOEXEC);

	require(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value), KICK ": %m");
	close(fd);
}

static void after(void)
{
	if (window_is_on())
		set_kick("off");
}

static struct vm *new_vm(bool kick)
{
	bench_pin();
	if (window_is_on())
		set_kick(kick ? "on" : "off");
	return vm_new(&(struct vm_options){ .flags = VM_IRQCHIP });
}

/** struct exit_kind - what the guest is left for */
struct exit_kind {
	const char *name;
	enum guest_bench what;
	const char *counter;
};

static const struct exit_kind kinds[] = {
	{ "i.within", BENCH_CPUID, "inside-cpuid" },
	/* What KVM does for it itself is next to nothing. */
	{ "i.outside", BENCH_WBINVD, "outside-other" },
};

static void cost(bool kick)
{
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		struct vm *vm = new_vm(kick);
		const struct bench_loop loop = {
			.what = kinds[i].what,
			.floor = BENCH_NOTHING,
			.iterations = 50,
		};
		double value = bench_cost(vm->vcpu[0], &loop);
		long exits = host_stat(vm, "exits");
		uint64_t counted = window_is_on() ? window_count(vm, kinds[i].counter) : 0;
		char name[64];

		bench_batch(vm->vcpu[0], &loop);
		exits = host_stat(vm, "exits") - exits;
		expect(exits >= 50, "%ld exits for 50 instructions", exits);
		if (window_is_on()) {
			counted = window_count(vm, kinds[i].counter) - counted;
			expect(counted >= 50, "%llu times %s", (unsigned long long)counted, kinds[i].counter);
			expect_eq(window_count(vm, "faults"), 0);
		}
		snprintf(name, sizeof(name), "%s.%s", kinds[i].name,
			 !window_is_on() ? "off" : kick ? "kick" : "on");
		bench_figure(name, value, "instructions", NULL);
		vm_free(vm);
	}
}

static void exits(uintptr_t kick)
{
	if (kick && !window_is_on())
		tap_note("no isolation, nothing to kick");
	else
		cost(kick);
}

static void mapped(uintptr_t arg)
{
	struct vm *vm;
	struct sysinfo host;

	(void)arg;
	if (!window_is_on()) {
		tap_note("no isolation, no table");
		return;
	}
	vm = new_vm(false);
	require_done(vcpu_op(vm->vcpu[0], OP_CPUID, 0));
	require(!sysinfo(&host), "sysinfo: %m");
	bench_figure("i.memory.mapped", window_count(vm, "mapped-bytes"), "bytes", NULL);
	bench_figure("i.memory.tables", window_count(vm, "table-bytes"), "bytes", NULL);
	bench_figure("i.memory.host", (double)host.totalram * host.mem_unit, "bytes", NULL);
	vm_free(vm);
}

const struct test_suite suite_isolation = {
	.name = "isolation",
	.cases = (const struct test_case[]){
		{ "exits", exits, false },
		{ "kick", exits, true },
		{ "memory", mapped },
		{ },
	},
	.after = after,
};
