// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sub-pages that the CPU checks (Intel's SPP): for a host that is told to use it.
 * What is denied and allowed is every other suite's to show, on such a host too;
 * here is what differs: exits that do not happen, the table, the dirty log.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/attempt.h"
#include "lib/host.h"
#include "lib/nested.h"
#include "suites.h"

#define RULE	47
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define FRAMES	1024		/* of the arena: two times 2 MiB */

/* Pages of the table: its root, and one of each level below for the first region. */
#define ROOT_ONLY	PAGE_SIZE
#define ONE_REGION	(4 * PAGE_SIZE)

#define MSR_IA32_VMX_PROCBASED_CTLS2	0x48b
#define SECONDARY_EXEC_EPT_SPP		(1UL << 23)

static struct kvm_vmi_vm_info info_of(uint64_t id)
{
	struct kvm_vmi_vm_info info;

	require_eq(vmi_info(id, &info), 0);
	return info;
}

/* DATA: sub-page 0 denied, the others allowed; checked by the CPU. */
static struct vm *new_vm(const struct vm_options *options, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(options, ret_id);

	vmi_rule(*ret_id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(*ret_id, RULE, DATA, DENIED(1));
	require_eq(info_of(*ret_id).engine, KVM_VMI_ENGINE_HARDWARE);
	return vm;
}

/* Faults on the guest's memory so far, and instructions emulated. */
static long faults(struct vm *vm)
{
	long taken = host_stat(vm, "pf_taken"), emulated = host_stat(vm, "insn_emulation");

	require(taken >= 0 && emulated >= 0, "no statistics");
	return taken + emulated;
}

/* 120 stores to one sub-page, none of which KVM sees. */
#define expect_no_exits(vm, gpa)	check_exits(vm, gpa, false, __FILE__, __LINE__)
#define expect_exits(vm, gpa)		check_exits(vm, gpa, true, __FILE__, __LINE__)
static void check_exits(struct vm *vm, uint64_t gpa, bool expected, const char *file, int line)
{
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;
	long before;

	attempt_store(v, gpa, 8, ATTEMPT_LANDS, file, line);
	before = faults(vm);
	for (i = 0; i < 120; i++)
		attempt_store(v, gpa + i, 1, ATTEMPT_LANDS, file, line);
	if (expected ? faults(vm) - before < 120 : faults(vm) != before)
		tap_fail(file, line, "%ld faults and emulated instructions",
			 faults(vm) - before);
}

/* A store to an allowed sub-page costs nothing once the CPU knows. */
static void test_no_exits(uintptr_t touched)
{
	uint64_t id;
	struct vm *vm;

	vm = vmi_new(NULL, &id);
	if (touched)
		expect_lands(vm->vcpu[0], DATA + SUBPAGE);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_no_exits(vm, DATA + SUBPAGE);
	expect_no_exits(vm, DATA + 31 * SUBPAGE);
	expect_denied(vm->vcpu[0], DATA);
	expect_no_exits(vm, DATA + SUBPAGE);
	/* Other rights for other sub-pages. */
	vmi_protect(id, RULE, DATA, DENIED(2));
	expect_denied(vm->vcpu[0], DATA + SUBPAGE);
	expect_no_exits(vm, DATA);
	vm_free(vm);
}

/* The software engine on the same host: every store is seen. */
static void test_software(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);

	(void)arg;
	expect_eq(info_of(id).engine, KVM_VMI_ENGINE_HARDWARE);
	expect_eq(vmi_set_engine(id, KVM_VMI_ENGINE_SOFTWARE), 0);
	expect_eq(info_of(id).engine, KVM_VMI_ENGINE_SOFTWARE);
	expect_eq(info_of(id).engine_wanted, KVM_VMI_ENGINE_SOFTWARE);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_exits(vm, DATA + SUBPAGE);
	expect_denied(vm->vcpu[0], DATA);
	expect_eq(info_of(id).table_bytes, 0);
	expect_eq(vmi_log_lives(id, VMI_SPP_MISS), 0);
	vm_free(vm);
}

/* The table is filled where a CPU misses an entry, 2 MiB at a time. */
static void test_lazy(uintptr_t arg)
{
	uint64_t id, far = GUEST_ARENA + HUGE_SIZE;
	struct vm *vm = new_vm(&(struct vm_options){ .arena_pages = FRAMES }, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	vmi_protect(id, RULE, DATA + PAGE_SIZE, DENIED(2));
	vmi_protect(id, RULE, far, DENIED(4));
	expect_eq(info_of(id).table_bytes, ROOT_ONLY);
	/* Nothing is to be asked about what is denied or read. */
	expect_denied(v, DATA);
	expect_done(vcpu_op(v, OP_LOAD, DATA, 0, 8));
	expect_eq(vmi_log_lives(id, VMI_SPP_MISS), 0);
	expect_eq(info_of(id).table_bytes, ROOT_ONLY);

	expect_lands(v, DATA + SUBPAGE);
	expect_eq(vmi_log_lives(id, VMI_SPP_MISS), 1);
	expect_eq(vmi_log_life(id, VMI_SPP_MISS)->generation & ~(PAGE_SIZE - 1), DATA);
	expect_eq(info_of(id).table_bytes, ONE_REGION);
	expect_lands(v, DATA + PAGE_SIZE);
	expect_denied(v, DATA + PAGE_SIZE + SUBPAGE);
	expect_eq(vmi_log_lives(id, VMI_SPP_MISS), 1);

	expect_lands(v, far);
	expect_denied(v, far + 2 * SUBPAGE);
	expect_eq(vmi_log_lives(id, VMI_SPP_MISS), 2);
	expect_eq(info_of(id).table_bytes, ONE_REGION + PAGE_SIZE);

	/* Given back with the last frame that needs it. */
	vmi_unprotect(id, RULE, DATA);
	expect_eq(info_of(id).table_bytes, ONE_REGION + PAGE_SIZE);
	expect_lands(v, DATA);
	vmi_protect(id, RULE, DATA + PAGE_SIZE, 0);
	expect_eq(info_of(id).table_bytes, ONE_REGION);
	expect_denied(v, DATA + PAGE_SIZE);
	expect_lands(v, far);
	require_eq(vmi_clear_rule(id, RULE), 0);
	expect_eq(info_of(id).table_bytes, ONE_REGION - PAGE_SIZE);
	expect_eq(vmi_log_lives(id, VMI_SPP_MISCONFIG), 0);
	vm_free(vm);
}

/* A page that only was read so far is asked about all the same. */
static void test_read_first(uintptr_t backing)
{
	uint64_t id;
	struct vm *vm = new_vm(&(struct vm_options){ .arena = backing, .arena_pages = 512 }, &id);

	expect_done(vcpu_op(vm->vcpu[0], OP_LOAD, DATA, 0, 8));
	expect_no_exits(vm, DATA + SUBPAGE);
	/* A fresh page, of which the guest has the host's zero page until it writes. */
	require(!madvise(vm_hva(vm, DATA), PAGE_SIZE, MADV_DONTNEED), "madvise");
	expect_done(vcpu_op(vm->vcpu[0], OP_LOAD, DATA, 0, 8));
	expect_no_exits(vm, DATA + SUBPAGE);
	expect_denied(vm->vcpu[0], DATA);
	vm_free(vm);
}

/* Nothing that stores to an allowed sub-page need be emulated, or be known to KVM. */
static void test_stores(uintptr_t arg)
{
	uint64_t id, allowed = DATA + 4 * SUBPAGE;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint32_t features = vcpu_features(v);
	unsigned int i;
	long before = 0;

	(void)arg;
	/* The first time is for what else an operation touches. */
	for (i = 0; i < 2; i++) {
		before = faults(vm);
		expect_done(vcpu_op(v, OP_LOCK_ADD, allowed, 1, 8));
		expect_done(vcpu_op(v, OP_XADD, allowed, 1, 4));
		expect_done(vcpu_op(v, OP_CMPXCHG16B, allowed, 1));
		expect_done(vcpu_op(v, OP_PUSH, allowed + 8, 1));
		if (features & 1)
			expect_done(vcpu_op(v, OP_MOVUPS, allowed, 5));
		if (features & 1)
			expect_done(vcpu_op(v, OP_FXSAVE, allowed));
		if (features & 2)
			expect_done(vcpu_op(v, OP_VMOVDQU, allowed, 5));
		if (features & 4)
			expect_done(vcpu_op(v, OP_XSAVE, allowed));
		expect_done(vcpu_op(v, OP_REP_STOS, allowed, 7, 8, 100));
	}
	expect_eq(faults(vm), before);
	expect_eq(vmi_log_violations(id), 0);
	vm_free(vm);
}

#define DIRTY(gpa)	(1UL << ((gpa) - GUEST_ARENA) / PAGE_SIZE)

/* What the CPU lets through is in the dirty log, every time. */
static void test_dirty_log(uintptr_t manual)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { manual },
	};
	uint64_t id, *dirty;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct slot *arena = vm_slot(vm, GUEST_ARENA);
	unsigned int i;

	if (manual)
		vm_ioctl(vm, KVM_ENABLE_CAP, &cap);
	/* Dirty before the log is switched on. */
	expect_no_exits(vm, DATA + SUBPAGE);
	slot_set_flags(vm, arena, KVM_MEM_LOG_DIRTY_PAGES);
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], manual & KVM_DIRTY_LOG_INITIALLY_SET ? 0xffffUL : 0);
	free(dirty);
	if (manual)
		slot_clear_dirty(vm, arena);
	for (i = 0; i < 4; i++) {
		expect_denied(v, DATA);
		dirty = slot_dirty(vm, arena);
		expect_eq(dirty[0], 0);
		free(dirty);
		expect_lands(v, DATA + (1 + i) * SUBPAGE);
		dirty = slot_dirty(vm, arena);
		expect_eq(dirty[0], DIRTY(DATA));
		free(dirty);
		if (manual)
			slot_clear_dirty(vm, arena);
		/* By the CPU itself, not by KVM. */
		if (i == 2)
			expect_no_exits(vm, DATA + 8 * SUBPAGE);
		dirty = slot_dirty(vm, arena);
		expect_eq(dirty[0], i == 2 ? DIRTY(DATA) : 0);
		free(dirty);
		if (manual)
			slot_clear_dirty(vm, arena);
	}
	/* Protected while the log is on. */
	vmi_protect(id, RULE, DATA + PAGE_SIZE, DENIED(1));
	expect_lands(v, DATA + PAGE_SIZE + SUBPAGE);
	dirty = slot_dirty(vm, arena);
	expect_eq(dirty[0], DIRTY(DATA + PAGE_SIZE));
	free(dirty);
	slot_set_flags(vm, arena, 0);
	expect_no_exits(vm, DATA + SUBPAGE);
	expect_denied(v, DATA);
	vm_free(vm);
}

/* The entries of a ring since the last time, which are given back: how often is @gpa told? */
static unsigned int ring_tells(struct vm *vm, struct kvm_dirty_gfn *ring, unsigned int *next,
			       uint64_t gpa)
{
	struct slot *slot = vm_slot(vm, gpa);
	unsigned int told = 0, all = 0;

	for (;; all++) {
		struct kvm_dirty_gfn *e = &ring[*next % VM_RING_ENTRIES];

		if (!(__atomic_load_n(&e->flags, __ATOMIC_ACQUIRE) & KVM_DIRTY_GFN_F_DIRTY))
			break;
		told += e->slot == slot->id && e->offset == (gpa - slot->gpa) / PAGE_SIZE;
		__atomic_store_n(&e->flags, KVM_DIRTY_GFN_F_RESET, __ATOMIC_RELEASE);
		++*next;
	}
	expect_eq(vm_ioctl(vm, KVM_RESET_DIRTY_RINGS, 0), all);
	return told;
}

static void test_dirty_ring(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&(struct vm_options){ .flags = VM_DIRTY_RING }, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_dirty_gfn *ring;
	unsigned int i, next = 0;

	(void)arg;
	ring = mmap(NULL, VM_RING_ENTRIES * sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED,
		    v->fd, KVM_DIRTY_LOG_PAGE_OFFSET * PAGE_SIZE);
	require(ring != MAP_FAILED, "mmap of a ring");
	expect_no_exits(vm, DATA + SUBPAGE);
	slot_set_flags(vm, vm_slot(vm, GUEST_ARENA), KVM_MEM_LOG_DIRTY_PAGES);
	ring_tells(vm, ring, &next, DATA);
	for (i = 0; i < 4; i++) {
		expect_denied(v, DATA);
		expect_eq(ring_tells(vm, ring, &next, DATA), 0);
		expect_lands(v, DATA + (1 + i) * SUBPAGE);
		expect(ring_tells(vm, ring, &next, DATA) > 0, "round %u: not told", i);
	}
	munmap(ring, VM_RING_ENTRIES * sizeof(*ring));
	vm_free(vm);
}

/* KVM has no part in it, so neither has a request for prefaulting. */
static void test_prefault(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct kvm_pre_fault_memory range = { .gpa = GUEST_ARENA, .size = 16 * PAGE_SIZE };

	(void)arg;
	if (!vm_check_extension(vm, KVM_CAP_PRE_FAULT_MEMORY))
		tap_skip("no KVM_PRE_FAULT_MEMORY");
	vcpu_ioctl(vm->vcpu[0], KVM_PRE_FAULT_MEMORY, &range);
	expect_eq(range.size, 0);
	expect_eq(vmi_log_violations(id), 0);
	expect_no_exits(vm, DATA + SUBPAGE);
	expect_denied(vm->vcpu[0], DATA);
	vm_free(vm);
}

/* Each vCPU is told, also one that comes later. */
static void test_vcpus(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&(struct vm_options){ .vcpus = 2 }, &id);
	struct vcpu *v = vm->vcpu[1];
	long before;

	(void)arg;
	expect_no_exits(vm, DATA + SUBPAGE);
	expect_lands(v, DATA + SUBPAGE);
	expect_lands(v, DATA + SUBPAGE);
	before = faults(vm);
	expect_lands(v, DATA + SUBPAGE);
	expect_lands(vm->vcpu[0], DATA + SUBPAGE);
	expect_eq(faults(vm), before);
	expect_denied(v, DATA);
	expect_denied(vm->vcpu[0], DATA);
	vm_free(vm);
}

/* An L1 is not offered it, and bit 61 of its EPT means nothing. */
static void test_l1(uintptr_t shape)
{
	struct nested n;
	uint64_t *entry;
	struct run r;

	nested_new(&n, shape, 0);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(n.id, RULE, DATA, DENIED(1));
	require_eq(info_of(n.id).engine, KVM_VMI_ENGINE_HARDWARE);
	r = vcpu_op(n.v, OP_RDMSR, MSR_IA32_VMX_PROCBASED_CTLS2);
	expect_done(r);
	expect_eq(r.ret[0] >> 32 & SECONDARY_EXEC_EPT_SPP, 0);

	/* L1's stores are checked by the CPU, L2's by KVM. */
	expect_lands(n.v, DATA + SUBPAGE);
	expect_denied(n.v, DATA);
	l2_lands(&n, DATA + SUBPAGE);
	l2_denied(&n, DATA);
	expect_lands(n.v, DATA + SUBPAGE);
	expect_denied(n.v, DATA);
	if (shape == SHAPE_FLAT) {
		vm_free(n.vm);
		return;
	}

	/* Read-only for its L2: bit 61 makes it no more than that. */
	entry = nested_entry(&n, DATA);
	*entry |= 1UL << 61;
	expect_done(vcpu_op(n.v, OP_INVEPT));
	l2_lands(&n, DATA + SUBPAGE);
	l2_denied(&n, DATA);
	vm_free(n.vm);
}

static const struct test_case cases[] = {
	{ "no-exits", test_no_exits, 0 },
	{ "no-exits-touched", test_no_exits, 1 },
	{ "software", test_software },
	{ "lazy", test_lazy },
	{ "read-first", test_read_first, BACKING_ANONYMOUS },
	{ "read-first-thp", test_read_first, BACKING_THP },
	{ "read-first-shared", test_read_first, BACKING_SHARED },
	{ "stores", test_stores },
	{ "dirty-log", test_dirty_log, 0 },
	{ "dirty-log-manual", test_dirty_log, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE },
	{ "dirty-log-initially-set", test_dirty_log,
	  KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE | KVM_DIRTY_LOG_INITIALLY_SET },
	{ "dirty-ring", test_dirty_ring },
	{ "prefault", test_prefault },
	{ "vcpus", test_vcpus },
	{ "l1-flat", test_l1, SHAPE_FLAT },
	{ "l1-small", test_l1, SHAPE_SMALL },
	{ "l1-huge", test_l1, SHAPE_HUGE },
	{ }
};

const struct test_suite suite_spp = { .name = "spp", .cases = cases, .setup = vmi_setup };
