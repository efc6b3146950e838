// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How often a guest exits that toggles a bit of a control register: without a pin, with one
 * of another bit, with one of that bit, whose loads are then let through.
 */
#include "bench.h"
#include "lib/host.h"
#include "lib/vmi.h"
#include "suites.h"

#define RULE		1
#define WRITES		1000
#define CR0_WP		(1UL << 16)
#define CR4_PGE		(1UL << 7)
#define CR4_SMEP	(1UL << 20)

/* The guest's program is not user mode's, which SMEP has the kernel not execute. */
static struct vm *new_vm(uint64_t *ret_id)
{
	struct vm *vm;
	uint64_t *root;
	unsigned int i;

	bench_pin();
	vm = vm_new(NULL);
	root = vm_hva(vm, vm->cr3);
	for (i = 0; i < 512; i++)
		root[i] &= ~PTE_USER;
	*ret_id = vmi_vm(vm);
	vmi_rule(*ret_id, RULE, KVM_VMI_ALLOW, 0);
	return vm;
}

static void pin(uint64_t id, uint64_t cr0, uint64_t cr4)
{
	const struct kvm_vmi_pin pin = { .cr0 = cr0, .cr4 = cr4, .rule = RULE };

	require_eq(vmi_set_pin(id, &pin), 0);
}

/* Each round is two writes.  The second time nothing is new. */
static void toggle(struct vm *vm, const char *name, enum guest_op op, uint64_t bit)
{
	unsigned int i;
	long before = 0;

	for (i = 0; i < 2; i++) {
		before = host_stat(vm, "exits");
		require_done(vcpu_op(vm->vcpu[0], op, bit, WRITES / 2));
	}
	bench_figure(name, host_stat(vm, "exits") - before, "exits", NULL);
}

/* CR0.WP, which VMX lets a guest change by itself. */
static void wp(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);

	(void)arg;
	toggle(vm, "p.cr0-wp.none", OP_TOGGLE_CR0, CR0_WP);
	pin(id, 0, CR4_SMEP);
	toggle(vm, "p.cr0-wp.unrelated", OP_TOGGLE_CR0, CR0_WP);
	pin(id, CR0_WP, 0);
	toggle(vm, "p.cr0-wp.pinned", OP_TOGGLE_CR0, CR0_WP);
	expect(vmi_counters(id, RULE).allowed == WRITES, "%llu loads were asked about",
	       (unsigned long long)vmi_counters(id, RULE).allowed);
	vm_free(vm);
}

/* CR4.SMEP, loads of which exit anyway. */
static void smep(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);

	(void)arg;
	toggle(vm, "p.cr4-smep.none", OP_TOGGLE_CR4, CR4_SMEP);
	pin(id, CR0_WP, 0);
	toggle(vm, "p.cr4-smep.unrelated", OP_TOGGLE_CR4, CR4_SMEP);
	pin(id, 0, CR4_SMEP);
	toggle(vm, "p.cr4-smep.pinned", OP_TOGGLE_CR4, CR4_SMEP);
	vm_free(vm);
}

/* CR4.PGE, as Linux does to flush its TLB; with every pin there is. */
static void pge(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(&id);

	(void)arg;
	toggle(vm, "p.cr4-pge.none", OP_TOGGLE_CR4, CR4_PGE);
	pin(id, KVM_VMI_PIN_CR0, KVM_VMI_PIN_CR4);
	toggle(vm, "p.cr4-pge.unrelated", OP_TOGGLE_CR4, CR4_PGE);
	vm_free(vm);
}

const struct test_suite suite_pin = {
	.name = "pin",
	.setup = vmi_load,
	.cases = (const struct test_case[]){
		{ "wp", wp },
		{ "smep", smep },
		{ "pge", pge },
		{ },
	},
};
