// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Write protection of pages and of 128-byte sub-pages, by plain stores: what is
 * denied is #GP(0) and changes nothing, what is beside it works.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	7
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)

/* Every sub-page alone, with its neighbours, and what the violation says. */
static void test_each_subpage(uintptr_t touched)
{
	unsigned int i;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	if (touched)
		expect_lands(v, DATA);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	for (i = 0; i < 32; i++) {
		uint64_t p = DATA + i * SUBPAGE;

		vmi_protect(id, RULE, DATA, DENIED(1U << i));
		vmi_log_clear();
		expect_denied(v, p);
		expect_denied(v, p + SUBPAGE - 8);
		expect_lands(v, i ? p - 8 : DATA + PAGE_SIZE - 8);
		expect_lands(v, i < 31 ? p + SUBPAGE : DATA);
		expect_eq(vmi_log_violations(id), 2);
		expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY,
				 .rule = RULE, .gpa = p,
				 .flags_clear = KVM_VMI_V_USER | KVM_VMI_V_NESTED |
						KVM_VMI_V_VECTORING | KVM_VMI_V_MONITOR);
		expect_violation(id, 1, .gpa = p + SUBPAGE - 8);
	}
	vmi_unprotect(id, RULE, DATA);
	vmi_log_clear();
	expect_lands(v, DATA + 31 * SUBPAGE);
	expect_eq(vmi_log_violations(id), 0);
	vm_free(vm);
}

/* A violation tells where, from where, and with which page tables. */
static void test_record(uintptr_t user)
{
	const struct vmi_record *r;
	struct kvm_vmi_vm_info info;
	struct kvm_vmi_caps caps;
	uint64_t id, gva = GUEST_ARENA + 0x123000;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run run;

	if (user)
		v->cpu->flags |= GUEST_F_USER;
	vm_map(vm, gva, DATA, 1, PTE_DEFAULT);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, 0);
	run = vcpu_op(v, OP_STORE, gva + 0x88, 1, 4);
	expect_gp(run);
	expect_eq(vmi_log_violations(id), 1);
	r = vmi_log_violation(id, 0);
	require(r, "no record");
	expect_eq(r->v.gpa, DATA + 0x88);
	/* AMD's exit does not tell the linear address. */
	expect_eq(vmi_caps(&caps), 0);
	if (caps.vendor == KVM_VMI_VENDOR_INTEL)
		expect(r->v.flags & KVM_VMI_V_GVA, "no linear address");
	expect_eq(r->v.gva, r->v.flags & KVM_VMI_V_GVA ? gva + 0x88 : 0);
	expect_eq(r->v.rip, run.insn);
	expect_eq(r->v.cr3, vm->cr3);
	expect_eq(r->v.tag, 0);
	expect_eq(r->v.cookie, 0xc00c1e00 + RULE);
	expect_eq(r->v.seq, 1);
	expect_eq(r->v.vcpu_id, 0);
	expect_eq(!!(r->v.flags & KVM_VMI_V_USER), user);
	expect_eq(r->v.action, KVM_VMI_DENY);
	expect(r->v.legal & 1U << KVM_VMI_DENY && r->v.legal & 1U << KVM_VMI_ALLOW &&
	       r->v.legal & 1U << KVM_VMI_KILL && r->v.legal & 1U << KVM_VMI_SKIP &&
	       !(r->v.legal & 1U << KVM_VMI_EXIT), "legal %#x", r->v.legal);
	if (r->v.flags & KVM_VMI_V_EMULATED)
		expect_eq(r->v.length, 4);
	expect_eq(vmi_info(id, &info), 0);
	expect_eq(info.violations, 1);

	expect_gp(vcpu_op(v, OP_STORE, gva + 0x90, 1, 4));
	r = vmi_log_violation(id, 1);
	expect_eq(r ? r->v.seq : 0, 2);
	vm_free(vm);
}

static void test_whole_page(uintptr_t backing)
{
	uint64_t id, p;
	struct vm *vm = vmi_new(&(struct vm_options){ .arena_pages = 1024, .arena = backing }, &id);
	struct vcpu *v = vm->vcpu[0];

	/* Built as a huge page where the backing allows it. */
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 1, PAGE_SIZE, 1024));
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, 0);
	for (p = DATA; p < DATA + PAGE_SIZE; p += 504)
		expect_denied(v, p);
	expect_lands(v, DATA - 8);
	expect_lands(v, DATA + PAGE_SIZE);
	expect_lands(v, GUEST_ARENA + HUGE_SIZE);

	vmi_protect_frames(id, RULE, GUEST_ARENA + HUGE_SIZE, 512, 0);
	expect_denied(v, GUEST_ARENA + HUGE_SIZE);
	expect_denied(v, GUEST_ARENA + 2 * HUGE_SIZE - 8);
	expect_lands(v, GUEST_ARENA + HUGE_SIZE - 8);
	expect_denied(v, DATA);

	require_eq(vmi_clear_rule(id, RULE), 0);
	expect_lands(v, DATA);
	expect_done(vcpu_op(v, OP_FILL, GUEST_ARENA, 5, PAGE_SIZE, 1024));
	expect_eq(vm_read64(vm, GUEST_ARENA + 2 * HUGE_SIZE - PAGE_SIZE), 5);
	vm_free(vm);
}

/* Rules may come before the memory they are about. */
static void test_before_memory(uintptr_t arg)
{
	uint64_t id, gpa = GUEST_ARENA + 0x100000;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, gpa, DENIED(1));
	vm_map(vm, gpa, gpa, 1, PTE_DEFAULT);
	vm_add_slot(vm, gpa, PAGE_SIZE, BACKING_ANONYMOUS, 0);
	expect_denied(v, gpa);
	expect_lands(v, gpa + SUBPAGE);
	vm_free(vm);
}

/* Reading and executing a write-protected page is nobody's business. */
static void test_reads(uintptr_t arg)
{
	uint64_t id, i;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	*(uint64_t *)vm_hva(vm, DATA + 0x40) = 99;
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, 0);
	r = vcpu_op(v, OP_LOAD, DATA + 0x40, 0, 8);
	expect_done(r);
	expect_eq(r.ret[0], 99);
	for (i = 0; i < 4; i++)
		vmi_protect(id, RULE, GUEST_IMAGE_BASE + i * PAGE_SIZE, 0);
	expect_done(vcpu_op(v, OP_NOP));
	expect_lands(v, GUEST_ARENA);
	expect_eq(vmi_log_violations(id), 0);
	expect_denied(v, GUEST_IMAGE_BASE);
	expect_eq(vmi_log_violations(id), 1);
	vm_free(vm);
}

/* All sizes at all distances from the edge of a denied sub-page. */
static void test_edges(uintptr_t arg)
{
	uint64_t id, start = DATA + 9 * SUBPAGE, end = start + SUBPAGE;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	int size, off;

	(void)arg;
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1U << 9));
	for (size = 1; size <= 8; size *= 2) {
		for (off = -size; off <= 1; off++) {
			expect_attempt(v, start + off, size,
				       off == -size ? ATTEMPT_LANDS : ATTEMPT_DENIED);
			expect_attempt(v, end + off, size,
				       off >= 0 ? ATTEMPT_LANDS : ATTEMPT_DENIED);
		}
	}
	/* Across an edge with both sides allowed. */
	expect_lands(v, DATA + 3 * SUBPAGE - 3);
	expect_lands(v, DATA + 12 * SUBPAGE - 1);
	vm_free(vm);
}

/* Across two frames: a store happens whole or not at all. */
static void test_page_crossing(uintptr_t arg)
{
	/* which sub-page of the first and of the second frame is denied */
	static const struct {
		uint32_t first, second;
		enum attempt outcome;
	} rows[] = {
		{ 1U << 31, 0, ATTEMPT_DENIED },
		{ 0, 1U << 0, ATTEMPT_DENIED },
		{ 1U << 31, 1U << 0, ATTEMPT_DENIED },
		{ 1U << 30, 1U << 1, ATTEMPT_LANDS },
		{ 1U << 0, 0, ATTEMPT_LANDS },
		{ 0, 1U << 31, ATTEMPT_LANDS },
	};
	uint64_t id, edge = DATA + PAGE_SIZE;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i, off;

	(void)arg;
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		vmi_protect(id, RULE, DATA, DENIED(rows[i].first));
		vmi_protect(id, RULE, edge, DENIED(rows[i].second));
		for (off = 1; off < 8; off++)
			expect_attempt(v, edge - off, 8, rows[i].outcome);
		expect_attempt(v, edge - 1, 2, rows[i].outcome);
		expect_attempt(v, edge - 2, 4, rows[i].outcome);
		vmi_log_clear();
		expect_attempt(v, edge - 4, 8, rows[i].outcome);
		if (rows[i].outcome == ATTEMPT_DENIED)
			expect_violation(id, 0, .kind = KVM_VMI_WRITE, .rule = RULE,
					 .gpa = rows[i].first ? edge - 4 : edge);
	}
	/* Also where the two frames are not neighbours, and the first is not protected. */
	vmi_unprotect(id, RULE, DATA);
	vmi_unprotect(id, RULE, edge);
	vm_map(vm, edge, GUEST_ARENA + 9 * PAGE_SIZE, 1, PTE_DEFAULT);
	vmi_protect(id, RULE, GUEST_ARENA + 9 * PAGE_SIZE, 0);
	*(uint32_t *)vm_hva(vm, edge - 4) = 0x11111111;
	vmi_log_clear();
	expect_done(vcpu_op(v, OP_INVLPG, edge));
	expect_gp(vcpu_op(v, OP_STORE, edge - 4, 0x2222222222222222, 8));
	expect_eq(*(uint32_t *)vm_hva(vm, edge - 4), 0x11111111);
	expect_eq(vm_read64(vm, GUEST_ARENA + 9 * PAGE_SIZE), 0);
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .gpa = GUEST_ARENA + 9 * PAGE_SIZE);
	vm_free(vm);
}

/* A second address for the same frame, in the guest's own page tables. */
static void test_guest_alias(uintptr_t arg)
{
	uint64_t id, gva = GUEST_ARENA + 0x150000;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	vm_map(vm, gva, DATA, 1, PTE_DEFAULT);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(2));
	expect_gp(vcpu_op(v, OP_STORE, gva + SUBPAGE, 1, 8));
	expect_eq(vm_read64(vm, DATA + SUBPAGE), 0);
	expect_done(vcpu_op(v, OP_STORE, gva, 1, 8));
	expect_eq(vm_read64(vm, DATA), 1);
	/* The guest's own protection comes first. */
	vm_map(vm, gva, DATA, 1, PTE_PRESENT | PTE_USER | PTE_ACCESSED);
	expect_done(vcpu_op(v, OP_INVLPG, gva));
	vmi_log_clear();
	expect_eq(vcpu_op(v, OP_STORE, gva + SUBPAGE, 1, 8).vector, VECTOR_PF);
	expect_eq(vmi_log_violations(id), 0);
	vm_free(vm);
}

/* Protecting, opening and protecting again takes effect at once, each time. */
static void test_changes(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	(void)arg;
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	for (i = 0; i < 20; i++) {
		uint32_t denied = test_random();
		unsigned int sub = test_random() % 32;

		vmi_protect(id, RULE, DATA, DENIED(denied));
		expect_attempt(v, DATA + sub * SUBPAGE, 8,
			       denied >> sub & 1 ? ATTEMPT_DENIED : ATTEMPT_LANDS);
		if (i & 1) {
			vmi_unprotect(id, RULE, DATA);
			expect_lands(v, DATA + sub * SUBPAGE);
		}
	}
	vm_free(vm);
}

/* A second VM has a map of its own. */
static void test_two_vms(uintptr_t arg)
{
	uint64_t id, other_id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vm *other = vmi_new(NULL, &other_id);

	(void)arg;
	expect(id != other_id, "two VMs with one id");
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, 0);
	expect_denied(vm->vcpu[0], DATA);
	expect_lands(other->vcpu[0], DATA);
	vmi_rule(other_id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(other_id, RULE, DATA, DENIED(1));
	expect_denied(other->vcpu[0], DATA);
	expect_lands(other->vcpu[0], DATA + SUBPAGE);
	expect_denied(vm->vcpu[0], DATA + SUBPAGE);
	vm_free(other);
	expect_denied(vm->vcpu[0], DATA);
	vm_free(vm);
}

/* Every vCPU obeys, whichever mapped the page. */
static void test_second_vcpu(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .vcpus = 2 }, &id);

	(void)arg;
	expect_lands(vm->vcpu[0], DATA);
	expect_lands(vm->vcpu[1], DATA);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_denied(vm->vcpu[1], DATA);
	expect_denied(vm->vcpu[0], DATA);
	expect_lands(vm->vcpu[1], DATA + SUBPAGE);
	expect_violation(id, 0, .rule = RULE);
	expect_eq(vmi_log_violation(id, 0) ? vmi_log_violation(id, 0)->v.vcpu_id : 99, 1);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "each-subpage-untouched", test_each_subpage, 0 },
	{ "each-subpage-touched", test_each_subpage, 1 },
	{ "record", test_record, 0 },
	{ "record-user", test_record, 1 },
	{ "whole-page", test_whole_page, BACKING_ANONYMOUS },
	{ "whole-page-thp", test_whole_page, BACKING_THP },
	{ "whole-page-shared", test_whole_page, BACKING_SHARED },
	{ "before-memory", test_before_memory },
	{ "reads", test_reads },
	{ "edges", test_edges },
	{ "page-crossing", test_page_crossing },
	{ "guest-alias", test_guest_alias },
	{ "changes", test_changes },
	{ "two-vms", test_two_vms },
	{ "second-vcpu", test_second_vcpu },
	{ }
};

const struct test_suite suite_write = { .name = "write", .cases = cases, .setup = vmi_setup };
