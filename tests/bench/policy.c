// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A policy over all of a guest's memory: for how long the guest stands still while it is
 * set, how much memory it takes, and how many huge pages are left.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <linux/membarrier.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define RULE		1
#define MEMORY		0x100000000UL		/* the guest's, a gigabyte */
#define BYTES		(1UL << 30)
#define STOP		(GUEST_ARENA + 4 * PAGE_SIZE)
#define RET		0xc3

static struct vm *new_vm(uint64_t *ret_id, struct slot **ret_slot)
{
	struct vm *vm = vm_new(NULL);

	*ret_id = vmi_vm(vm);
	*ret_slot = vm_add_slot(vm, MEMORY, BYTES, BACKING_THP, 0);
	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	return vm;
}

/* All of it is mapped, as if the guest had been everywhere. */
static void touch(struct vm *vm)
{
	struct kvm_pre_fault_memory range = { .gpa = MEMORY, .size = BYTES };

	while (range.size)
		require(!ioctl(vm->vcpu[0]->fd, KVM_PRE_FAULT_MEMORY, &range), "%s",
			strerror(errno));
}

/* All of it for user mode, where the CPU tells, but @n single pages far from each other. */
static void set_policy(uint64_t id, unsigned int n, uint64_t stride)
{
	static struct kvm_vmi_range ranges[KVM_VMI_MAX_BATCH];
	struct kvm_vmi_caps caps;
	unsigned int i, nr = 0;
	uint64_t gfn = GFN(MEMORY), end = GFN(MEMORY + BYTES);

	require_eq(vmi_caps(&caps), 0);
	for (i = 0; i <= n; i++) {
		uint64_t next = i < n ? GFN(MEMORY) + i * stride + 1 : end;

		ranges[nr++] = (struct kvm_vmi_range){
			.gfn = gfn, .nr = next - gfn, .rule = RULE, .write = KVM_VMI_WRITE_ALL,
			.rights = KVM_VMI_RIGHT_READ |
				  (caps.features & KVM_VMI_CAP_EXEC_USER ?
				   KVM_VMI_RIGHT_EXEC_USER : 0),
		};
		gfn = next + 1;
		if (nr == KVM_VMI_MAX_BATCH || i == n) {
			require_eq(vmi_set(id, ranges, nr), 0);
			nr = 0;
		}
	}
}

/* The guest looks at the clock as often as it can. */
static void gap(uintptr_t arg)
{
	static const struct bench_aim aim = { 50000000, 50000000 };
	const struct timespec while_it_runs = { .tv_nsec = 200000000 };
	struct vcpu *v;
	struct slot *slot;
	uint64_t id, quiet, set;
	struct vm *vm;

	(void)arg;
	vm = new_vm(&id, &slot);
	v = vm->vcpu[0];
	touch(vm);
	expect(host_stat(vm, "pages_2m") >= (long)(BYTES / HUGE_SIZE), "%ld huge pages",
	       host_stat(vm, "pages_2m"));

	*(volatile uint64_t *)vm_hva(vm, STOP) = 0;
	vcpu_spawn(v, OP_BENCH, BENCH_GAP, STOP);
	require(vcpu_wait_progress(v, 100), "the guest does not run");
	nanosleep(&while_it_runs, NULL);
	*(volatile uint64_t *)vm_hva(vm, STOP) = 1;
	quiet = vcpu_join(v).ret[0];

	*(volatile uint64_t *)vm_hva(vm, STOP) = 0;
	vcpu_spawn(v, OP_BENCH, BENCH_GAP, STOP);
	require(vcpu_wait_progress(v, 100), "the guest does not run");
	set_policy(id, 15, 0x4000);
	nanosleep(&while_it_runs, NULL);
	*(volatile uint64_t *)vm_hva(vm, STOP) = 1;
	set = vcpu_join(v).ret[0];
	tap_note("  longest gap: %llu without a change", (unsigned long long)quiet);
	bench_figure("g.gap", set, "instructions", &aim);

	/* What has an exception in it is small pages now, and nothing else. */
	touch(vm);
	tap_note("  huge pages of %lu: %ld", BYTES / HUGE_SIZE, host_stat(vm, "pages_2m"));
	bench_figure("g.huge-lost", (double)(BYTES / HUGE_SIZE) - host_stat(vm, "pages_2m"),
		     "pages", &(struct bench_aim){ 15.5, 15.5 });
	vm_free(vm);
}

/*
 * Slabs of the host, bytes; some time after, for the kernel gathers what it frees after a
 * grace period for five seconds (KFREE_DRAIN_JIFFIES).
 */
static uint64_t slab(void)
{
	const struct timespec settle = { .tv_sec = 6 };
	unsigned long long kib = 0;
	char line[128];
	FILE *f;
	int fd;

	nanosleep(&settle, NULL);
	fd = open("/proc/sys/vm/stat_refresh", O_WRONLY | O_CLOEXEC);
	require(fd >= 0 && write(fd, "1", 1) == 1, "stat_refresh: %s", strerror(errno));
	close(fd);
	f = fopen("/proc/meminfo", "re");
	require(f, "/proc/meminfo");
	while (fgets(line, sizeof(line), f) && sscanf(line, "SUnreclaim: %llu", &kib) != 1)
		;
	fclose(f);
	require(kib, "no SUnreclaim in /proc/meminfo");
	return kib << 10;
}

/* A page after the other, as they are learned; what was replaced is free before the next. */
static void learn(uint64_t id, unsigned int n, uint64_t stride)
{
	struct kvm_vmi_range range = {
		.nr = 1, .rule = RULE, .write = KVM_VMI_WRITE_ALL, .rights = KVM_VMI_RIGHT_ALL,
	};
	unsigned int i;

	set_policy(id, 0, 0);
	for (i = 0; i < n; i++) {
		range.gfn = GFN(MEMORY) + i * stride + 1;
		require_eq(vmi_set(id, &range, 1), 0);
		if (i % 64 == 63)
			require(!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0),
				"membarrier: %s", strerror(errno));
	}
}

/* So many of them that what one takes can be told from what else changes. */
#define VMS	8

static void bytes(uintptr_t exceptions)
{
	static const struct bench_aim few = { 8192, 8192 }, many = { 65536, 65536 };
	struct vm *vms[VMS];
	uint64_t ids[VMS], before, after;
	unsigned int i;

	bench_pin();
	for (i = 0; i < VMS; i++) {
		vms[i] = vm_new(NULL);
		ids[i] = vmi_vm(vms[i]);
		/* What comes with the first rule of a VM is no matter of its size. */
		vmi_rule(ids[i], RULE, KVM_VMI_DENY, 0);
		set_policy(ids[i], 0, 0);
		require_eq(vmi_clear_rule(ids[i], RULE), 0);
		vmi_rule(ids[i], RULE, KVM_VMI_DENY, 0);
	}
	before = slab();
	for (i = 0; i < VMS; i++)
		(exceptions < 100 ? set_policy : learn)(ids[i], exceptions, BYTES / PAGE_SIZE / 512);
	after = slab();
	for (i = 0; i < VMS; i++) {
		struct kvm_vmi_vm_info info;

		require_eq(vmi_info(ids[i], &info), 0);
		expect_eq(info.map_entries, exceptions + 1);
	}
	bench_figure(exceptions < 100 ? "g.map-16-ranges" : "g.map-500-learned",
		     ((double)after - before) / VMS, "bytes", exceptions < 100 ? &few : &many);
	for (i = 0; i < VMS; i++)
		vm_free(vms[i]);
}

const struct test_suite suite_policy = {
	.name = "policy",
	.setup = vmi_load,
	.cases = (const struct test_case[]){
		{ "gap", gap },
		{ "map-16-ranges", bytes, 15 },
		{ "map-500-learned", bytes, 500 },
		{ },
	},
};
