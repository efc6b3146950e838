// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The host moves, merges, swaps, splits and copies the guest's memory, the VMM
 * moves and removes its slots: what is denied stays denied, what is allowed
 * works, and no data is lost.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "lib/host.h"
#include "suites.h"

#define RULE	41
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define MARK	0x6d61726b6d61726bULL

/* DATA: sub-page 0 denied, the others allowed. */
static struct vm *new_vm(const struct vm_options *options, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(options, ret_id);

	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(*ret_id, RULE, DATA, DENIED(1));
	return vm;
}

#define expect_holds(v)	check_holds(v, __FILE__, __LINE__)
static void check_holds(struct vcpu *v, const char *file, int line)
{
	attempt_store(v, DATA + 8, 8, ATTEMPT_DENIED, file, line);
	attempt_store(v, DATA + SUBPAGE, 8, ATTEMPT_LANDS, file, line);
	attempt_store(v, DATA + PAGE_SIZE, 8, ATTEMPT_LANDS, file, line);
	attempt_store(v, DATA - 8, 8, ATTEMPT_LANDS, file, line);
}

static void test_dontneed(uintptr_t backing)
{
	uint64_t id;
	struct vm *vm = new_vm(&(struct vm_options){ .arena = backing, .arena_pages = 512 }, &id);
	struct vcpu *v = vm->vcpu[0];
	int i;

	expect_holds(v);
	for (i = 0; i < 4; i++) {
		require(!madvise(vm_hva(vm, DATA), PAGE_SIZE, MADV_DONTNEED), "madvise");
		expect_holds(v);
		require(!madvise(vm_hva(vm, GUEST_ARENA), 512 * PAGE_SIZE, MADV_DONTNEED),
			"madvise");
		expect_holds(v);
	}
	vm_free(vm);
}

static void test_mprotect(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	expect_holds(v);
	require(!mprotect(vm_hva(vm, DATA), PAGE_SIZE, PROT_READ), "mprotect");
	expect_done(vcpu_op(v, OP_LOAD, DATA, 0, 8));
	expect_denied(v, DATA);
	/* The VMM has made its own memory read-only: a write is its affair. */
	r = vcpu_op(v, OP_STORE, DATA + SUBPAGE, 1, 8);
	expect(r.end != RUN_DONE || r.vector != GUEST_NO_FAULT, "%s", run_text(&r));
	expect(r.end != RUN_INTERNAL_ERROR, "%s", run_text(&r));
	require(!mprotect(vm_hva(vm, DATA), PAGE_SIZE, PROT_READ | PROT_WRITE), "mprotect");
	if (r.end != RUN_DONE)
		vcpu_continue(v);
	expect_holds(v);
	vm_free(vm);
}

/* Fresh pages under the same addresses. */
static void test_remap(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *p = vm_hva(vm, DATA), *other;

	(void)arg;
	expect_holds(v);
	other = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	require(other != MAP_FAILED, "mmap");
	*(uint64_t *)other = MARK;
	require(mremap(other, PAGE_SIZE, PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p,
		"mremap: %s", strerror(errno));
	expect_eq(vm_read64(vm, DATA), MARK);
	expect_holds(v);
	expect_eq(vm_read64(vm, DATA), MARK);
	vm_free(vm);
}

/* A fork makes every page copy-on-write; the child keeps what it saw. */
static void test_fork(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *p = vm_hva(vm, DATA);
	int status, to_child[2];
	char byte;
	pid_t pid;

	(void)arg;
	p[0] = MARK;
	p[16] = MARK;
	require(!pipe(to_child), "pipe");
	expect_done(vcpu_op(v, OP_LOAD, DATA, 0, 8));
	pid = fork();
	if (!pid) {
		if (read(to_child[0], &byte, 1) != 1)
			_exit(1);
		_exit(p[0] == MARK && p[16] == MARK ? 0 : 2);
	}
	require(pid > 0, "fork");
	expect_holds(v);
	expect_eq(p[0], MARK);
	expect(p[16] != MARK, "the store went elsewhere");
	require(write(to_child[1], "x", 1) == 1, "pipe");
	require(waitpid(pid, &status, 0) == pid, "waitpid");
	expect(WIFEXITED(status) && !WEXITSTATUS(status), "the child's memory has changed");
	expect_holds(v);
	vm_free(vm);
}

static void test_ksm(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *p = vm_hva(vm, DATA);

	(void)arg;
	memset(p, 0x42, 4 * PAGE_SIZE);
	expect_done(vcpu_op(v, OP_LOAD, DATA, 0, 8));
	expect_done(vcpu_op(v, OP_LOAD, DATA + PAGE_SIZE, 0, 8));
	if (!host_merge(p, 4))
		tap_skip("KSM merges nothing");
	expect_denied(v, DATA);
	/* The copies are parted by an allowed write, and only then. */
	expect_lands(v, DATA + SUBPAGE);
	expect_eq(vm_read64(vm, DATA + PAGE_SIZE + SUBPAGE), 0x4242424242424242);
	expect_eq(vm_read64(vm, DATA), 0x4242424242424242);
	expect_holds(v);
	vm_free(vm);
}

static void test_swap(uintptr_t arg)
{
	uint64_t id, *p;
	struct vm *vm;
	struct vcpu *v;
	int i;

	(void)arg;
	host_swap_on();
	vm = new_vm(NULL, &id);
	v = vm->vcpu[0];
	p = vm_hva(vm, DATA);
	for (i = 0; i < 4; i++) {
		p[0] = MARK + i;
		p[32] = MARK + i;
		expect_holds(v);
		require(host_swap_out(p, PAGE_SIZE), "the page is not swapped out");
		expect_denied(v, DATA + 16);
		require(host_swap_out(p, PAGE_SIZE), "the page is not swapped out");
		/* The emulator's store has to wait for the page, and starts over. */
		expect_lands(v, DATA + SUBPAGE + 8 * i);
		require(host_swap_out(p, PAGE_SIZE), "the page is not swapped out");
		expect_done(vcpu_op(v, OP_LOCK_ADD, DATA + 2 * SUBPAGE, 1, 8));
		expect_eq(p[0], MARK + i);
		expect_eq(p[32], MARK + i + 1);
	}
	vm_free(vm);
}

/* A store that crosses into a page that is not there: both halves or none. */
static void test_swap_crossing(uintptr_t arg)
{
	uint64_t id, value = 0x1122334455667788, got;
	struct vm *vm;
	struct vcpu *v;
	uint8_t *edge;

	(void)arg;
	host_swap_on();
	vm = new_vm(NULL, &id);
	v = vm->vcpu[0];
	edge = vm_hva(vm, DATA + PAGE_SIZE);
	vmi_protect(id, RULE, DATA + PAGE_SIZE, DENIED(2));
	memset(edge - 8, 0, 16);
	require(host_swap_out(edge, PAGE_SIZE), "the page is not swapped out");
	expect_done(vcpu_op(v, OP_STORE, DATA + PAGE_SIZE - 3, value, 8));
	memcpy(&got, edge - 3, 8);
	expect_eq(got, value);
	vmi_protect(id, RULE, DATA + PAGE_SIZE, DENIED(1));
	require(host_swap_out(edge - PAGE_SIZE, 2 * PAGE_SIZE), "the pages are not swapped out");
	expect_gp(vcpu_op(v, OP_STORE, DATA + PAGE_SIZE - 3, 0, 8));
	memcpy(&got, edge - 3, 8);
	expect_eq(got, value);
	vm_free(vm);
}

/* Huge pages are split for what is protected, and come back when it no longer is. */
static void test_huge(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .arena = BACKING_THP, .arena_pages = 1024 },
				&id);
	struct vcpu *v = vm->vcpu[0];
	long huge;

	(void)arg;
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 1, PAGE_SIZE, 1024));
	huge = host_stat(vm, "pages_2m");
	if (huge < 2)
		tap_skip("the arena is not mapped by huge pages (%ld)", huge);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_holds(v);
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA + HUGE_SIZE, 2, PAGE_SIZE, 512));
	expect_eq(host_stat(vm, "pages_2m"), huge - 1);
	vmi_unprotect(id, RULE, DATA);
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 3, PAGE_SIZE, 1024));
	expect_eq(host_stat(vm, "pages_2m"), huge);
	expect_lands(v, DATA);

	/* A uniform range keeps its huge page; its reads do not split it. */
	vmi_protect_frames(id, RULE, GUEST_ARENA, 512, 0);
	expect_done(vcpu_op(v, OP_LOAD, GUEST_ARENA + 0x12345, 0, 8));
	expect_denied(v, GUEST_ARENA + 0x54320);
	expect_lands(v, GUEST_ARENA + HUGE_SIZE);
	expect_eq(host_stat(vm, "pages_2m"), huge);
	vm_free(vm);
}

/* khugepaged's work by hand, and its undoing. */
static void test_collapse(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&(struct vm_options){ .arena_pages = 512 }, &id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *p = vm_hva(vm, GUEST_ARENA);
	int i;

	(void)arg;
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA + 8 * PAGE_SIZE, 1, PAGE_SIZE, 500));
	expect_holds(v);
	for (i = 0; i < 3; i++) {
		madvise(p, HUGE_SIZE, MADV_HUGEPAGE);
		if (!host_collapse(p))
			tap_skip("no collapse: %s", strerror(errno));
		expect_holds(v);
		expect_eq(vm_read64(vm, GUEST_ARENA + 100 * PAGE_SIZE), 1);
		/* Split again. */
		madvise(p + 300 * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
		expect_holds(v);
		*(uint64_t *)(p + 300 * PAGE_SIZE) = 1;
	}
	vm_free(vm);
}

/* Allowed writes are logged as dirty, denied ones are not. */
static void test_dirty_log(uintptr_t backing)
{
	uint64_t id, *dirty;
	struct vm *vm = new_vm(&(struct vm_options){ .arena = backing, .arena_pages = 512 }, &id);
	struct vcpu *v = vm->vcpu[0];
	struct slot *arena = vm_slot(vm, GUEST_ARENA);

	expect_holds(v);
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA + 8 * PAGE_SIZE, 1, PAGE_SIZE, 500));
	slot_set_flags(vm, arena, KVM_MEM_LOG_DIRTY_PAGES);
	free(slot_dirty(vm, arena));
	expect_denied(v, DATA);
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], 0);
	free(dirty);
	expect_lands(v, DATA + SUBPAGE);
	expect_lands(v, GUEST_ARENA + 9 * PAGE_SIZE);
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], 1U << 2 | 1U << 9);
	free(dirty);
	expect_done(vcpu_op(v, OP_LOCK_ADD, DATA + SUBPAGE, 1, 8));
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], 1U << 2);
	free(dirty);
	/* The map changes while the log is on. */
	vmi_protect(id, RULE, GUEST_ARENA + 9 * PAGE_SIZE, 0);
	expect_denied(v, GUEST_ARENA + 9 * PAGE_SIZE);
	vmi_unprotect(id, RULE, DATA);
	expect_lands(v, DATA);
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], 1U << 2);
	free(dirty);
	vmi_protect(id, RULE, DATA, DENIED(1));
	slot_set_flags(vm, arena, 0);
	expect_holds(v);
	expect_denied(v, GUEST_ARENA + 9 * PAGE_SIZE);
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA + 10 * PAGE_SIZE, 1, PAGE_SIZE, 500));
	vm_free(vm);
}

/* The map is about guest addresses: slots come and go under it. */
static void test_slots(uintptr_t arg)
{
	uint64_t id, elsewhere = GUEST_ARENA + 0x100000;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct slot *arena = vm_slot(vm, GUEST_ARENA);

	(void)arg;
	vm_map(vm, elsewhere, elsewhere, 16, PTE_DEFAULT);
	expect_holds(v);
	slot_delete(vm, arena);
	expect_end(vcpu_op(v, OP_STORE, DATA, 1, 8), RUN_MMIO);
	expect_done(vcpu_continue(v));
	slot_insert(vm, arena);
	expect_holds(v);

	slot_move(vm, arena, elsewhere);
	expect_lands(v, elsewhere + 2 * PAGE_SIZE);
	expect_end(vcpu_op(v, OP_STORE, DATA, 1, 8), RUN_MMIO);
	expect_done(vcpu_continue(v));
	slot_move(vm, arena, GUEST_ARENA);
	expect_holds(v);

	/* Fresh memory at a protected address. */
	slot_delete(vm, arena);
	vm_add_slot(vm, GUEST_ARENA, 16 * PAGE_SIZE, BACKING_SHARED, 0);
	expect_holds(v);
	expect_eq(vmi_counters(id, RULE).rule.id, RULE);
	vm_free(vm);
}

/* One page of memory at two guest addresses: what is denied at one is at the other. */
static void test_alias(uintptr_t rule_first)
{
	uint64_t id, alias = GUEST_ARENA + 0x180000;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct slot *slot = NULL;

	vm_map(vm, alias, alias, 2, PTE_DEFAULT);
	if (!rule_first) {
		slot = vm_add_alias(vm, 0, alias, 2 * PAGE_SIZE, vm_hva(vm, DATA), 0);
		expect_lands(v, alias);
		expect_eq(vm_read64(vm, alias), vm_read64(vm, DATA));
	}
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	if (rule_first)
		slot = vm_add_alias(vm, 0, alias, 2 * PAGE_SIZE, vm_hva(vm, DATA), 0);

	expect_denied(v, DATA);
	vmi_log_clear();
	expect_denied(v, alias + 8);
	expect_violation(id, 0, .rule = RULE, .verdict = KVM_VMI_DENY);
	expect_lands(v, alias + SUBPAGE);
	expect_lands(v, alias + PAGE_SIZE);
	expect_lands(v, DATA + SUBPAGE);
	/* Merged with what the alias's own address says. */
	vmi_rule(id, RULE + 1, KVM_VMI_SKIP, 0);
	vmi_protect(id, RULE + 1, alias, DENIED(2));
	expect_vanishes(v, DATA + SUBPAGE);
	expect_denied(v, alias);
	vmi_unprotect(id, RULE + 1, alias);
	expect_lands(v, DATA + SUBPAGE);
	vmi_unprotect(id, RULE, DATA);
	expect_lands(v, alias);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_denied(v, alias);

	/* The alias goes: what stays is the rule at its own address. */
	slot_delete(vm, slot);
	slot->hva = memory_new(2 * PAGE_SIZE, BACKING_ANONYMOUS, NULL);
	slot_insert(vm, slot);
	expect_lands(v, alias);
	expect_denied(v, DATA);
	vm_free(vm);
}

#define ALIAS_SLOT	500	/* numbers that the library does not use */

static int alias_slot(struct vm *vm, unsigned int n, bool there)
{
	const struct kvm_userspace_memory_region region = {
		.slot = ALIAS_SLOT + n,
		.guest_phys_addr = GUEST_ARENA + 0x4000000 + n * PAGE_SIZE,
		.memory_size = there ? PAGE_SIZE : 0,
		.userspace_addr = (uint64_t)vm_hva(vm, DATA),
	};

	return ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) ? -errno : 0;
}

/* A VMM may not make a change of one frame a change of thousands. */
static void test_alias_limit(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int n = 0;
	int r = 0;

	(void)arg;
	vmi_protect(id, RULE, DATA, DENIED(1));
	while (n < 200 && !r) {
		r = alias_slot(vm, n, true);
		n += !r;
	}
	expect_eq(r, -ENOSPC);
	expect(n >= 64 && n < 80, "%u aliases", n);
	expect_denied(v, DATA);
	expect_lands(v, DATA + SUBPAGE);
	/* Room again. */
	expect_eq(alias_slot(vm, 0, false), 0);
	expect_eq(alias_slot(vm, 0, true), 0);
	expect_denied(v, DATA);
	vm_free(vm);

	/* Found there by a first change, they keep the VM from having a map. */
	vm = vmi_new(NULL, &id);
	for (n = 0; n < 100; n++)
		require_eq(alias_slot(vm, n, true), 0);
	expect_eq(vmi_set_rules(id, &(struct kvm_vmi_rule){ .id = RULE }, 1), -EOPNOTSUPP);
	expect_lands(vm->vcpu[0], DATA);
	vm_free(vm);
}

/* KVM's own writes meet the alias, too. */
static void test_alias_kvm_write(uintptr_t arg)
{
	uint64_t id, alias = GUEST_ARENA + 0x180000;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t before[512];

	(void)arg;
	vmi_protect(id, RULE, DATA, 0);
	vm_add_alias(vm, 0, alias, PAGE_SIZE, vm_hva(vm, DATA), 0);
	memset(vm_hva(vm, DATA), 0xa5, PAGE_SIZE);
	memcpy(before, vm_hva(vm, DATA), PAGE_SIZE);
	/* The wall clock. */
	expect_done(vcpu_op(v, OP_WRMSR, 0x4b564d00, alias + 0x100));
	expect(!memcmp(before, vm_hva(vm, DATA), PAGE_SIZE), "the page was written");
	expect(vmi_counters(id, RULE).kvm_writes >= 1, "not counted");
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "dontneed", test_dontneed, BACKING_ANONYMOUS },
	{ "dontneed-thp", test_dontneed, BACKING_THP },
	{ "dontneed-shared", test_dontneed, BACKING_SHARED },
	{ "mprotect", test_mprotect },
	{ "remap", test_remap },
	{ "fork", test_fork },
	{ "ksm", test_ksm },
	{ "swap", test_swap },
	{ "swap-crossing", test_swap_crossing },
	{ "huge", test_huge },
	{ "collapse", test_collapse },
	{ "dirty-log", test_dirty_log, BACKING_ANONYMOUS },
	{ "dirty-log-thp", test_dirty_log, BACKING_THP },
	{ "slots", test_slots },
	{ "alias-rule-first", test_alias, 1 },
	{ "alias-slot-first", test_alias, 0 },
	{ "alias-limit", test_alias_limit },
	{ "alias-kvm-write", test_alias_kvm_write },
	{ }
};

const struct test_suite suite_survive = { .name = "survive", .cases = cases, .setup = vmi_setup };
