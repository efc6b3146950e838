// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Guests with 5-level paging: what of LAM, LASS and violations the matrix of lam.c has not, for
 * that goes through 5-level paging by itself where the CPU has it.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/host.h"
#include "lib/nested.h"
#include "suites.h"

#define CR3_LAM_U57	(1UL << 61)
#define CR4_LA57	(1UL << 12)
#define CR4_LASS	(1UL << 27)
#define CR4_LAM_SUP	(1UL << 28)
#define CPUID_7_0_LA57	(1U << 16)	/* ECX */

/* Pages that need 57 bits, one in each half */
#define LOWER_PAGE	0x00f0000070000000UL
#define UPPER_PAGE	0xff0f900000000000UL
#define OFFSET		0x100UL
#define LOWER_FRAME	(GUEST_ARENA + 2 * PAGE_SIZE)
#define UPPER_FRAME	(GUEST_ARENA + 3 * PAGE_SIZE)
#define LOWER_VALUE	0x1010101010101010UL
#define UPPER_VALUE	0x2020202020202020UL
#define SUPERVISOR	(PTE_DEFAULT & ~PTE_USER)

#define RULE		83
#define DENIED_PAGE	(GUEST_ARENA + 5 * PAGE_SIZE)

static bool has_la57(struct vcpu *v)
{
	return vcpu_cpuid(v, 7, 0, CPUID_ECX) & CPUID_7_0_LA57;
}

/* The VMM switches all of the paging at once; by 5 levels from now on, and these bits. */
static void use_five_levels(struct vcpu *v, uint64_t cr3, uint64_t cr4)
{
	struct kvm_sregs s;

	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	v->vm->cr3 = v->vm->root5 | cr3;
	s.cr3 = v->vm->cr3;
	s.cr4 |= CR4_LA57 | cr4;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	vcpu_set_ist(v, VECTOR_SS, 2);
	vcpu_set_ist(v, VECTOR_GP, 2);
}

static void make_pages(struct vm *vm)
{
	vm_five_levels(vm);
	vm_map(vm, LOWER_PAGE, LOWER_FRAME, 1, SUPERVISOR);
	vm_map(vm, UPPER_PAGE, UPPER_FRAME, 1, SUPERVISOR);
	*(uint64_t *)vm_hva(vm, LOWER_FRAME + OFFSET) = LOWER_VALUE;
	*(uint64_t *)vm_hva(vm, UPPER_FRAME + OFFSET) = UPPER_VALUE;
}

static struct vcpu *set_up(uint64_t cr3, uint64_t cr4)
{
	struct vm *vm = vm_new(&(struct vm_options){ .flags = VM_HIGH });

	require(host_force_emulation(true), "kvm.force_emulation_prefix: %s", strerror(errno));
	make_pages(vm);
	use_five_levels(vm->vcpu[0], cr3, cr4);
	return vm->vcpu[0];
}

static struct run load(struct vcpu *v, uint64_t p, bool forced)
{
	return vcpu_op(v, OP_PROBE, PROBE_LOAD, p, forced ? PROBE_FORCED : 0);
}

static void expect_value(struct run r, uint64_t value)
{
	expect_done(r);
	expect_eq(r.ret[0], value);
}

/* What needs 57 bits is there with five levels, and not canonical with four. */
static void test_levels(uintptr_t forced)
{
	struct vcpu *v = set_up(0, 0);
	struct kvm_sregs s;

	expect_value(load(v, LOWER_PAGE + OFFSET, forced), LOWER_VALUE);
	expect_value(load(v, UPPER_PAGE + OFFSET, forced), UPPER_VALUE);
	expect_gp(load(v, (LOWER_PAGE + OFFSET) ^ 1UL << 57, forced));
	/* The same root as one of four levels: the far pages are out of reach. */
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr4 &= ~CR4_LA57;
	s.cr3 = vm_read64(v->vm, v->vm->root5) & PTE_FRAME;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	expect_gp(load(v, LOWER_PAGE + OFFSET, forced));
	expect_gp(load(v, UPPER_PAGE + OFFSET, forced));
	expect_done(load(v, v->base, forced));
	vm_free(v->vm);
}

/* In long mode the guest cannot switch, the VMM can if CPUID has it. */
static void test_bit(uintptr_t offered)
{
	struct vm *vm = vm_new(&(struct vm_options){ .flags = VM_HIGH });
	struct vcpu *v = vm->vcpu[0];
	struct kvm_sregs s;
	struct run r;

	if (!offered)
		vcpu_hide_cpuid(v, 7, 0, CPUID_ECX, CPUID_7_0_LA57);
	make_pages(vm);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | CR4_LA57);
	expect_gp(r);
	expect_eq(r.ret[0], s.cr4);
	s.cr4 |= CR4_LA57;
	s.cr3 = vm->root5;
	expect_eq(ioctl(v->fd, KVM_SET_SREGS, &s) ? errno : 0, offered ? 0 : EINVAL);
	expect_done(vcpu_op(v, OP_NOP));
	vm_free(vm);
}

/* LASS goes by bit 63, whatever the width and the metadata. */
static void test_lass(uintptr_t forced)
{
	struct vcpu *v = set_up(CR3_LAM_U57, CR4_LASS | CR4_LAM_SUP);
	static const uint64_t tag = 1UL << 60;
	unsigned int tagged;

	for (tagged = 0; tagged < 2; tagged++) {
		uint64_t lower = (LOWER_PAGE + OFFSET) ^ (tagged ? tag : 0);
		uint64_t upper = (UPPER_PAGE + OFFSET) ^ (tagged ? tag : 0);

		/* Supervisor mode has both, as SMAP is off; user mode its own, were it mapped. */
		vm_map(v->vm, LOWER_PAGE, LOWER_FRAME, 1, SUPERVISOR);
		vm_map(v->vm, UPPER_PAGE, UPPER_FRAME, 1, SUPERVISOR);
		expect_done(vcpu_op(v, OP_LOAD_CR3, v->vm->cr3));
		expect_value(load(v, lower, forced), LOWER_VALUE);
		expect_value(load(v, upper, forced), UPPER_VALUE);
		vcpu_map(v, LOWER_PAGE, LOWER_FRAME, PTE_DEFAULT);
		vcpu_map(v, UPPER_PAGE, UPPER_FRAME, PTE_DEFAULT & ~PTE_ACCESSED);
		expect_done(vcpu_op(v, OP_LOAD_CR3, v->vm->cr3));
		v->cpu->flags |= GUEST_F_USER;
		expect_value(load(v, lower, forced), LOWER_VALUE);
		expect_gp(load(v, upper, forced));
		v->cpu->flags &= ~GUEST_F_USER;
		expect(!(vm_read64(v->vm, vm_pte(v->vm, UPPER_PAGE)) & PTE_ACCESSED),
		       "page tables are walked");
	}
	/* The supervisor's fetch from below is forbidden, above it is not. */
	memset(vm_hva(v->vm, LOWER_FRAME), 0xc3, PAGE_SIZE);
	memset(vm_hva(v->vm, UPPER_FRAME), 0xc3, PAGE_SIZE);
	vcpu_map(v, LOWER_PAGE, LOWER_FRAME, SUPERVISOR);
	vcpu_map(v, UPPER_PAGE, UPPER_FRAME, SUPERVISOR);
	expect_done(vcpu_op(v, OP_LOAD_CR3, v->vm->cr3));
	expect_done(vcpu_op(v, OP_PROBE, PROBE_CALL, UPPER_PAGE, forced ? PROBE_FORCED : 0));
	{
		struct run r = vcpu_op(v, OP_PROBE, PROBE_CALL, LOWER_PAGE,
				       forced ? PROBE_FORCED : 0);

		expect(r.end == RUN_DONE && r.vector == VECTOR_GP && r.fault_rip == LOWER_PAGE,
		       "%s", run_text(&r));
	}
	vm_free(v->vm);
}

/* A denied sub-page by tagged pointers of 57 bits. */
static void test_violation(uintptr_t arg)
{
	static const struct kvm_vmi_rule rule = { .id = RULE };
	static const struct kvm_vmi_range range = {
		.gfn = GFN(DENIED_PAGE), .nr = 1, .rule = RULE, .rights = KVM_VMI_RIGHT_ALL,
		.write = DENIED(1U << 4),
	};
	const uint64_t denied = DENIED_PAGE + 4 * SUBPAGE, bits = 0x3fUL << 57, tag = 0x2bUL << 57;
	static const uint64_t at[] = { LOWER_PAGE + 4 * SUBPAGE, UPPER_PAGE + 4 * SUBPAGE };
	struct vcpu *v;
	struct vm *vm;
	unsigned int i;
	uint64_t id;

	(void)arg;
	vm = vmi_new(&(struct vm_options){ .flags = VM_HIGH }, &id);
	v = vm->vcpu[0];
	make_pages(vm);
	vm_map(vm, LOWER_PAGE, DENIED_PAGE, 1, PTE_DEFAULT);
	vm_map(vm, UPPER_PAGE, DENIED_PAGE, 1, PTE_DEFAULT);
	use_five_levels(v, CR3_LAM_U57, CR4_LAM_SUP);
	require_eq(vmi_set_rules(id, &rule, 1), 0);
	require_eq(vmi_set(id, &range, 1), 0);
	vmi_log_clear();
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		uint64_t p = (at[i] & ~bits) | tag;
		const struct vmi_record *r;

		expect_gp(vcpu_op(v, OP_STORE, p, 1, 8));
		r = vmi_log_violation(id, 0);
		/* The tag is bits 62:48 of the pointer. */
		expect(r && r->v.gpa == denied && r->v.flags & KVM_VMI_V_GVA &&
		       r->v.gva == at[i] && r->v.flags & KVM_VMI_V_TAG &&
		       r->v.tag == (p >> 48 & 0x7fff), "%s tag %#llx", vmi_violation_text(r),
		       r ? (unsigned long long)r->v.tag : 0);
		vmi_log_clear();
		expect_done(vcpu_op(v, OP_STORE, p - 8, 0x77, 8));
		expect_eq(vm_read64(vm, denied - 8), 0x77);
		expect(!vmi_log_violation(id, 0), "a violation");
	}
	vm_free(vm);
}

/* An L2 with 5-level paging, and the bits of LAM that its L1 gave it. */
static void test_nested(uintptr_t forced)
{
	const uint64_t tag = 1UL << 60;
	unsigned int flags = forced ? PROBE_FORCED : 0;
	struct nested n;
	struct run r;

	nested_high(&n);
	make_pages(n.vm);
	use_five_levels(n.v, 0, 0);
	require_done(vcpu_op(n.v, OP_NESTED_ON));

	r = l2_op(&n, OP_PROBE, PROBE_LOAD, LOWER_PAGE + OFFSET, flags);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], LOWER_VALUE);
	expect_l2_gp(&n, l2_op(&n, OP_PROBE, PROBE_LOAD, (LOWER_PAGE + OFFSET) ^ tag, flags));
	expect_l2_gp(&n, l2_op(&n, OP_PROBE, PROBE_LOAD, (UPPER_PAGE + OFFSET) ^ tag, flags));
	use_five_levels(n.v, CR3_LAM_U57, CR4_LAM_SUP);
	r = l2_op(&n, OP_PROBE, PROBE_LOAD, (LOWER_PAGE + OFFSET) ^ tag, flags);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], LOWER_VALUE);
	r = l2_op(&n, OP_PROBE, PROBE_LOAD, (UPPER_PAGE + OFFSET) ^ tag, flags);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], UPPER_VALUE);
	expect_l2_gp(&n, l2_op(&n, OP_PROBE, PROBE_LOAD, (LOWER_PAGE + OFFSET) ^ 1UL << 56, flags));
	vm_free(n.vm);
}

static const char *la57_setup(void)
{
	struct vm *vm = vm_new(NULL);
	bool has = has_la57(vm->vcpu[0]);

	vm_free(vm);
	return has ? vmi_setup() : "this CPU has no 5-level paging";
}

static void la57_after(void)
{
	host_force_emulation(false);
}

const struct test_suite suite_la57 = {
	.name = "la57",
	.cases = (const struct test_case[]){
		{ "levels", test_levels, 0 },
		{ "levels-emulated", test_levels, 1 },
		{ "bit", test_bit, 1 },
		{ "hidden", test_bit, 0 },
		{ "lass", test_lass, 0 },
		{ "lass-emulated", test_lass, 1 },
		{ "violation", test_violation },
		{ "nested", test_nested, 0 },
		{ "nested-emulated", test_nested, 1 },
		{ },
	},
	.setup = la57_setup,
	.after = la57_after,
};
