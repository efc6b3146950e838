// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that a protected page costs: of the map itself, by all the host has in
 * slabs and by what is charged to the VM's cgroup; and of the page tables that
 * must map what is around it in small pages.
 */
#include <errno.h>
#include <linux/membarrier.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define ROOT		"/sys/fs/cgroup"
#define GROUP		ROOT "/kvm_bench"

#define RULE		1
#define BATCH		512U
#define BATCHES		48U
#define NOWHERE		0x100000000UL		/* no memory */

#define REGION		0x80000000UL		/* backed by huge pages */
#define HUGE_PAGES	16U

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s",
		path, strerror(errno));
	close(fd);
}

/* What this process and its VMs allocate is charged to a cgroup of their own. */
static void enter_group(void)
{
	write_file(ROOT "/cgroup.subtree_control", "+memory");
	require(!mkdir(GROUP, 0755) || errno == EEXIST, "mkdir: %s", strerror(errno));
	write_file(GROUP "/cgroup.procs", "0");
}

/* The number behind @key in the file @path. */
static uint64_t read_key(const char *path, const char *key)
{
	unsigned long long value = 0;
	char line[128], name[64] = "";
	FILE *f = fopen(path, "re");

	require(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %llu", name, &value) == 2 && !strcmp(name, key))
			break;
	fclose(f);
	require(!strcmp(name, key), "no %s in %s", key, path);
	return value;
}

/* Memory in use, in bytes. */
struct usage {
	uint64_t slab;		/* the host's, in whole pages */
	uint64_t charged;	/* of it the VM's cgroup's */
	uint64_t tables;	/* page tables of KVM */
};

static struct usage usage_now(void)
{
	/* What is freed after a grace period, by a worker */
	const struct timespec settle = { .tv_nsec = 300000000 };

	nanosleep(&settle, NULL);
	write_file("/proc/sys/vm/stat_refresh", "1");
	return (struct usage){
		.slab = read_key("/proc/meminfo", "SUnreclaim:") << 10,
		.charged = read_key(GROUP "/memory.stat", "slab"),
		.tables = read_key("/proc/meminfo", "SecPageTables:") << 10,
	};
}

static void protect(uint64_t id, uint64_t gpa, uint64_t stride, unsigned int n)
{
	static struct vmi_ranges_call c;
	unsigned int i;

	c.vm = id;
	c.bytes = n * sizeof(c.ranges[0]);
	for (i = 0; i < n; i++)
		c.ranges[i] = (struct kvm_vmi_range){
			.gfn = GFN(gpa + i * stride),
			.nr = 1,
			.rule = RULE,
			.write = DENIED(i + 1),
			.rights = KVM_VMI_RIGHT_ALL,
		};
	require_eq(vmi_run_set(&c), 0);
}

/* Where the protected pages lie. */
struct layout {
	const char *name;
	uint64_t stride;
	unsigned int in_huge_page;
	struct bench_aim aim;
};

static const struct layout layouts[] = {
	{ "dense", PAGE_SIZE, 512, { 32, 32 } },
	{ "scattered", HUGE_SIZE, 1, { 80, 80 } },
};

/* With all batches one right after the other, no grace period ends in between. */
#define AT_ONCE		0x10

static void figure(const char *what, const struct layout *l, const char *how, double bytes,
		   bool aim)
{
	char name[64];

	snprintf(name, sizeof(name), "e.%s.%s%s", what, l->name, how);
	bench_figure(name, bytes, "bytes", aim ? &l->aim : NULL);
}

/* Until nobody reads what was replaced, and that is free again. */
static void wait_for_grace_period(void)
{
	require(!syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0), "membarrier: %s",
		strerror(errno));
}

static void map_bytes(uintptr_t which)
{
	const struct layout *l = &layouts[which & ~AT_ONCE];
	const char *how = which & AT_ONCE ? "-at-once" : "";
	uint64_t id, pages = BATCH * BATCHES;
	struct usage before, during, after;
	struct kvm_vmi_vm_info info;
	unsigned int i;
	struct vm *vm;

	enter_group();
	vm = vm_new(NULL);
	id = vmi_vm(vm);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	/* Caches of the allocator's */
	protect(id, NOWHERE, l->stride, BATCH);
	require_eq(vmi_clear_rule(id, RULE), 0);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);

	before = usage_now();
	for (i = 0; i < BATCHES; i++) {
		protect(id, NOWHERE + i * BATCH * l->stride, l->stride, BATCH);
		if (!(which & AT_ONCE))
			wait_for_grace_period();
	}
	during = usage_now();
	require_eq(vmi_info(id, &info), 0);
	expect_eq(info.map_entries, pages);
	require_eq(vmi_clear_rule(id, RULE), 0);
	after = usage_now();

	tap_note("  slab bytes: %llu before, %llu with the map, %llu after",
		 (unsigned long long)before.slab, (unsigned long long)during.slab,
		 (unsigned long long)after.slab);
	/* There is a value of eight bytes for each page in any case. */
	expect(during.slab > before.slab + 8 * pages, "no memory for the map");
	/* The rest is in slabs that are used in part, for whoever needs it next. */
	expect(after.slab < during.slab, "the map's memory does not come back");
	figure("map", l, how, ((double)during.slab - before.slab) / pages, true);
	figure("map-charged", l, how, ((double)during.charged - before.charged) / pages, false);
	vm_free(vm);
}

/* Have the guest read one word in each @stride bytes. */
static void touch(struct vm *vm, uint64_t stride, unsigned int n)
{
	struct bench_loop loop = {
		.what = BENCH_LOAD,
		.gpa = REGION,
		.stride = stride,
		.iterations = n,
	};

	bench_batch(vm->vcpu[0], &loop);
}

static void table_bytes(uintptr_t index)
{
	const struct layout *l = &layouts[index];
	unsigned int i, pages = HUGE_PAGES * l->in_huge_page;
	struct usage before, during;
	uint64_t id;
	struct slot *slot;
	struct vm *vm;

	enter_group();
	vm = vm_new(NULL);
	id = vmi_vm(vm);
	slot = vm_add_slot(vm, REGION, HUGE_PAGES * HUGE_SIZE, BACKING_THP, 0);
	for (i = 0; i < pages; i++)
		vm_map(vm, REGION + i * l->stride, REGION + i * l->stride, 1, PTE_DEFAULT);
	memset(slot->hva, 1, slot->size);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);

	touch(vm, l->stride, pages);
	expect(host_stat(vm, "pages_2m") >= HUGE_PAGES, "%ld huge pages",
	       host_stat(vm, "pages_2m"));
	before = usage_now();
	for (i = 0; i < pages; i += BATCH)
		protect(id, REGION + i * l->stride, l->stride,
			pages - i < BATCH ? pages - i : BATCH);
	touch(vm, l->stride, pages);
	expect_eq(host_stat(vm, "pages_2m"), 0);
	during = usage_now();

	tap_note("  page tables of the VM: %llu bytes before, %llu with the map",
		 (unsigned long long)before.tables, (unsigned long long)during.tables);
	expect_eq(during.tables - before.tables, HUGE_PAGES * PAGE_SIZE);
	figure("page-tables", l, "", ((double)during.tables - before.tables) / pages, false);
	require_eq(vmi_clear_rule(id, RULE), 0);
	vm_free(vm);
}

const struct test_suite suite_size = {
	.name = "size",
	.setup = vmi_load,
	.cases = (const struct test_case[]){
		{ "map-dense", map_bytes, 0 },
		{ "map-scattered", map_bytes, 1 },
		{ "map-dense-at-once", map_bytes, 0 | AT_ONCE },
		{ "map-scattered-at-once", map_bytes, 1 | AT_ONCE },
		{ "page-tables-dense", table_bytes, 0 },
		{ "page-tables-scattered", table_bytes, 1 },
		{ },
	},
};
