// SPDX-License-Identifier: GPL-2.0-or-later
/* Setting up a guest that is a hypervisor, and storing from the guest it runs. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host.h"
#include "nested.h"

static const uint32_t shape_modes[NR_SHAPES] = {
	[SHAPE_SMALL] = L1_PAGING,
	[SHAPE_SMALL_AD] = L1_PAGING | L1_AD,
	[SHAPE_HUGE] = L1_PAGING | L1_AD | L1_HUGE,
};

void nested_new(struct nested *n, enum shape shape, uint32_t mode)
{
	const struct vm_options options = {
		/* Else the L2's CR8 is KVM's, to be kept by the VMM. */
		.flags = mode & L1_TPR_SHADOW ? VM_IRQCHIP : 0,
		.arena_pages = NESTED_FRAMES,
		.arena = BACKING_THP,
	};
	struct run r;

	memset(n, 0, sizeof(*n));
	n->shape = shape;
	n->mode = shape_modes[shape] | mode;
	n->vm = vmi_new(&options, &n->id);
	n->v = n->vm->vcpu[0];
	vm_map(n->vm, L2_ARENA, L2_ARENA, NESTED_FRAMES, PTE_DEFAULT);
	n->v->cpu->l2_mode = n->mode;
	r = vcpu_op(n->v, OP_NESTED_ON);
	require_done(r);
	n->vendor = r.ret[0];
	require(n->vendor, "no VMX or SVM in the guest, or it does not work");
}

void nested_high(struct nested *n)
{
	memset(n, 0, sizeof(*n));
	n->vendor = NESTED_INTEL;
	/* Without EPT there is none for L1. */
	if (host_has_tdp()) {
		n->mode = L1_PAGING | L1_AD;
		n->shape = SHAPE_SMALL_AD;
	}
	n->vm = vm_new(&(struct vm_options){ .flags = VM_HIGH, .arena_pages = NESTED_FRAMES });
	n->v = n->vm->vcpu[0];
	n->v->cpu->l2_mode = n->mode;
	require(host_force_emulation(true), "kvm.force_emulation_prefix: %s", strerror(errno));
}

uint64_t nested_page(const struct nested *n, uint64_t page)
{
	return L1_BASE(n->v->id) + page;
}

uint64_t *nested_entry(struct nested *n, uint64_t gpa)
{
	uint64_t page = L1_PT_ARENA, entry = (gpa - GUEST_ARENA) / PAGE_SIZE * 8;

	if (n->shape == SHAPE_HUGE) {
		page = L1_PD_ARENA;
		entry = 0;
	}
	return vm_hva(n->vm, nested_page(n, page) + entry);
}

struct run l2_op_args(struct nested *n, enum guest_op op, struct op_args args)
{
	n->v->cpu->l2_op = op;
	n->v->cpu->l2_mode = n->mode;
	n->v->cpu->l2_exit = L2_OTHER;
	n->v->cpu->l2_info = 0;
	n->v->cpu->l2_cr3 = 0;
	return vcpu_op_args(n->v, OP_NESTED_RUN, args);
}

bool l2_is_done(const struct nested *n)
{
	const struct guest_cpu *cpu = n->v->cpu;

	return cpu->l2_exit == L2_DONE && cpu->l2_cr3 == (n->vm->cr3 | L2_CR3_MARK);
}

const char *l2_text(const struct nested *n, const struct run *run)
{
	static const char *const exits[] = {
		[L2_DONE] = "its own end",
		[L2_EXCEPTION] = "an exception",
		[L2_NESTED_FAULT] = "a nested page fault",
		[L2_SHUTDOWN] = "shutdown",
		[L2_NOT_ENTERED] = "no entry",
		[L2_OTHER] = "something else",
	};
	static char text[512];
	const struct guest_cpu *cpu = n->v->cpu;

	snprintf(text, sizeof(text), "%s; L2 left by %s (info %#llx gpa %#llx rip %#llx cr3 %#llx)",
		 run_text(run), cpu->l2_exit <= L2_OTHER ? exits[cpu->l2_exit] : "?",
		 (unsigned long long)cpu->l2_info, (unsigned long long)cpu->l2_gpa,
		 (unsigned long long)cpu->l2_rip, (unsigned long long)cpu->l2_cr3);
	return text;
}

static bool run_is(const struct nested *n, const struct run *r, enum attempt outcome)
{
	switch (outcome) {
	case ATTEMPT_DENIED:
		return r->end == RUN_DONE && r->vector == VECTOR_GP && !r->error &&
		       r->faults == 1 && r->fault_rip == r->insn && l2_is_done(n);
	case ATTEMPT_KILLS:
		return r->end == RUN_ERROR && r->err == EIO;
	default:
		return r->end == RUN_DONE && r->vector == GUEST_NO_FAULT && l2_is_done(n);
	}
}

bool l2_attempt(struct nested *n, uint64_t address, unsigned int size, enum attempt outcome,
		const char *file, int line)
{
	uint64_t gpa = address < L2_ARENA ? address : address - L2_ARENA + GUEST_ARENA;
	uint64_t before = 0, after = 0, value = test_random();
	uint8_t *p = vm_hva(n->vm, gpa);
	bool same, stored;
	struct run r;

	memcpy(&before, p, size);
	while (!memcmp(&before, &value, size))
		value++;
	r = l2_op(n, OP_STORE, address, value, size);
	memcpy(&after, p, size);
	same = !memcmp(&before, &after, size);
	stored = !memcmp(&value, &after, size);
	if (run_is(n, &r, outcome) && (outcome == ATTEMPT_LANDS ? stored : same))
		return true;
	tap_fail(file, line, "L2's store of %u bytes at %#llx is not as expected (%d): memory %s; %s",
		 size, (unsigned long long)address, outcome,
		 same ? "unchanged" : stored ? "changed" : "garbled", l2_text(n, &r));
	return false;
}
