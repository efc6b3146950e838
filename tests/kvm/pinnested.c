// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pinned bits where L1's registers are not the ones in use: what its L2 does with its own, and
 * what L1 comes back with from there, and from SMM in between.
 */
#include <errno.h>
#include <string.h>

#include "lib/attempt.h"
#include "lib/host.h"
#include "lib/pin.h"
#include "suites.h"

#define REASON_CR	28
#define REASON_WRMSR	32
#define EXIT_MSR	0x7c

static struct run l2_load(struct nested *n, uint32_t reg, uint64_t value)
{
	if (reg == KVM_VMI_REG_EFER)
		return l2_op(n, OP_WRMSR, reg, value);
	return l2_op(n, reg == KVM_VMI_REG_CR0 ? OP_LOAD_CR0 : OP_LOAD_CR4, value);
}

static void nested_pinned(struct nested *n, enum shape shape, uint32_t mode, const struct bit *b,
			  uint32_t action)
{
	nested_new(n, shape, mode);
	pin_make_supervisor(n->vm);
	pin_set(n->v, b);
	if (action)
		pin_by(n->id, PIN_RULE, b, action);
}

/* The L2's registers are its own, and L1's. */
static void test_l2(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	struct nested n;
	uint64_t with;
	struct run r;

	/* Else EFER would be L1's too: see test_l1_efer(). */
	nested_pinned(&n, arg % 16, L1_OWN_EFER, b, KVM_VMI_KILL);
	with = pin_value(n.v, b->reg);
	r = l2_load(&n, b->reg, with & ~b->mask);
	expect_l2_done(&n, r);
	if (b->reg != KVM_VMI_REG_EFER)
		expect_eq(r.ret[1], with & ~b->mask);
	expect_eq(vmi_log_violations(n.id), 0);
	expect_eq(pin_value(n.v, b->reg), with);
	vmi_rule(n.id, PIN_RULE, KVM_VMI_DENY, 0);
	expect_refused(n.v, b);
	expect_l2_done(&n, l2_load(&n, b->reg, with));
	expect_eq(vmi_log_violations(n.id), 1);
	vm_free(n.vm);
}

/* An L1 that only looks on between the L2's instructions; what it enters again is as it was left. */
static void test_l2_stepped(uintptr_t bit)
{
	const struct bit *b = &bits[bit];
	struct nested n;
	uint64_t with;
	struct run r;

	nested_new(&n, SHAPE_FLAT, L1_STEPS);
	pin_make_supervisor(n.vm);
	if (!pin_has(n.v, bit)) {
		tap_note("this guest's CPU does not have the bit");
		b = &bits[SMEP];
	}
	pin_set(n.v, b);
	pin_by(n.id, PIN_RULE, b, KVM_VMI_DENY);
	expect_refused(n.v, b);
	with = pin_value(n.v, b->reg);
	r = l2_load(&n, b->reg, with & ~b->mask);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], with);
	expect_eq(r.ret[1], with & ~b->mask);
	if (n.vendor == NESTED_INTEL)
		expect(n.v->cpu->l2_steps > 10, "%llu steps",
		       (unsigned long long)n.v->cpu->l2_steps);
	expect_eq(pin_value(n.v, b->reg), with);
	expect_refused(n.v, b);
	expect_eq(vmi_log_violations(n.id), 2);
	vm_free(n.vm);
}

/* The L2 of an L1 that wants to know. */
static void test_l2_intercepted(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	struct nested n;
	uint64_t with, info;

	nested_pinned(&n, arg % 16, L1_TAKES_CRS, b, KVM_VMI_KILL);
	with = pin_value(n.v, b->reg);
	expect_l2_exit(&n, l2_load(&n, b->reg, with & ~b->mask), L2_OTHER);
	if (n.vendor == NESTED_INTEL)
		info = b->reg == KVM_VMI_REG_EFER ? REASON_WRMSR : REASON_CR;
	else
		info = b->reg == KVM_VMI_REG_EFER ? EXIT_MSR : 0x10 + b->reg;
	expect_eq(n.v->cpu->l2_info, info);
	expect_eq(vmi_log_violations(n.id), 0);
	vmi_rule(n.id, PIN_RULE, KVM_VMI_DENY, 0);
	expect_refused(n.v, b);
	vm_free(n.vm);
}

/* How much the L2 exits for its own bits is L1's affair. */
static void test_l2_exits(uintptr_t shape)
{
	const struct bit *b = &bits[WP];
	struct nested n;
	struct run r;
	long before, none;

	nested_pinned(&n, shape, 0, b, 0);
	before = host_stat(n.vm, "exits");
	expect_l2_done(&n, l2_op(&n, OP_TOGGLE_CR0, CR0_WP, TOGGLES));
	none = host_stat(n.vm, "exits") - before;
	pin_by(n.id, PIN_RULE, b, KVM_VMI_DENY);
	expect_refused(n.v, b);
	before = host_stat(n.vm, "exits");
	r = l2_op(&n, OP_TOGGLE_CR0, CR0_WP, TOGGLES);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], TOGGLES);
	expect(host_stat(n.vm, "exits") - before < none + NOISE, "%ld exits, without the pin %ld",
	       host_stat(n.vm, "exits") - before, none);
	expect_eq(vmi_log_violations(n.id), 1);
	expect_refused(n.v, b);
	vm_free(n.vm);
}

/* While an L2 runs a bit is pinned: what L1 comes back with counts, and it exits for it. */
static void test_pinned_in_l2(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	struct nested n;
	struct run r;

	nested_pinned(&n, SHAPE_FLAT, 0, b, 0);
	vmi_rule(n.id, PIN_RULE, KVM_VMI_DENY, 0);
	n.v->cpu->l2_op = OP_RDTSC_SPIN;
	n.v->cpu->l2_mode = n.mode;
	n.v->timeout_ms = 60000;
	vcpu_spawn(n.v, OP_NESTED_RUN, ~0UL);
	require(vcpu_wait_progress(n.v, 20), "the L2 does not run");
	pin_only(n.id, PIN_RULE, b);
	require(vcpu_wait_progress(n.v, n.v->cpu->progress + 20), "the L2 stands still");
	n.v->cpu->stop = 1;
	r = vcpu_join(n.v);
	expect(r.end == RUN_DONE && l2_is_done(&n), "%s", l2_text(&n, &r));
	expect_eq(vmi_log_violations(n.id), 0);
	expect_refused(n.v, b);
	pin_only(n.id, PIN_RULE, NULL);
	expect_clears(n.v, b);
	expect_eq(vmi_log_violations(n.id), 1);
	vm_free(n.vm);
}

/* L1 says what it comes back with. */
static void test_l1_loses(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	uint32_t action = arg % 16;
	const struct vmi_record *v;
	struct nested n;
	uint64_t old;
	struct run r;

	nested_pinned(&n, SHAPE_SMALL, L1_LOSES_BITS, b, action);
	old = pin_value(n.v, b->reg);
	r = l2_op(&n, OP_NOP, 0, 0, 0, 0, 0, b->reg == KVM_VMI_REG_EFER ? b->mask : 0,
		  b->reg == KVM_VMI_REG_CR0 ? b->mask : 0, b->reg == KVM_VMI_REG_CR4 ? b->mask : 0);
	if (n.vendor == NESTED_AMD) {
		/* KVM keeps L1's registers where the guest has no say. */
		expect_l2_done(&n, r);
		expect_eq(vmi_log_violations(n.id), 0);
		expect_eq(pin_value(n.v, b->reg), old);
		vm_free(n.vm);
		return;
	}
	if (action == KVM_VMI_KILL) {
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	} else {
		expect_l2_done(&n, r);
		expect_eq(pin_value(n.v, b->reg),
			  action == KVM_VMI_ALLOW || !action ? old & ~b->mask : old);
	}
	expect_eq(vmi_log_violations(n.id), !!action);
	v = vmi_log_violation(n.id, 0);
	if (action && v) {
		expect_eq(v->v.old, old);
		expect_eq(v->v.new, old & ~b->mask);
		expect_eq(v->v.reg, b->reg);
		expect_eq(v->verdict, action);
		expect_eq(v->v.cr3, n.vm->cr3);
		expect(!(v->v.flags & KVM_VMI_V_NESTED), "it is L1's, not its L2's");
	}
	if (action == KVM_VMI_DENY || action == KVM_VMI_SKIP) {
		/* It goes on as ever, and so does its L2. */
		n.mode &= ~L1_LOSES_BITS;
		l2_lands(&n, GUEST_ARENA);
		expect_eq(vmi_log_violations(n.id), 1);
		vmi_rule(n.id, PIN_RULE, KVM_VMI_DENY, 0);
		expect_refused(n.v, b);
	}
	vm_free(n.vm);
}

/* Intel: an L1 that asks for no EFER of its own gets what its L2 has made of it. */
static void test_l1_efer(uintptr_t action)
{
	const struct bit *b = &bits[NX];
	struct nested n;
	uint64_t old;

	nested_pinned(&n, SHAPE_FLAT, 0, b, action);
	old = pin_value(n.v, b->reg);
	expect_l2_done(&n, l2_load(&n, b->reg, old & ~b->mask));
	if (n.vendor == NESTED_AMD) {
		expect_eq(vmi_log_violations(n.id), 0);
		expect_eq(pin_value(n.v, b->reg), old);
	} else {
		expect_eq(vmi_log_violations(n.id), !!action);
		expect_eq(pin_value(n.v, b->reg),
			  action == KVM_VMI_DENY ? old : old & ~b->mask);
	}
	vm_free(n.vm);
}

/* Leave an L2 running that goes on until it is told to stop. */
static void leave_l2_running(struct nested *n, const struct bit *loses)
{
	unsigned int tries;
	struct run r;

	n->v->timeout_ms = 20;
	r = l2_op(n, OP_RDTSC_SPIN, 1ULL << 50, 0, 0, 0, 0,
		  loses && loses->reg == KVM_VMI_REG_EFER ? loses->mask : 0,
		  loses && loses->reg == KVM_VMI_REG_CR0 ? loses->mask : 0,
		  loses && loses->reg == KVM_VMI_REG_CR4 ? loses->mask : 0);
	for (tries = 0; r.end == RUN_TIMEOUT && !n->v->cpu->progress && tries < 500; tries++)
		r = vcpu_continue(n->v);
	n->v->timeout_ms = 4000;
	require(r.end == RUN_TIMEOUT && n->v->cpu->progress, "%s", l2_text(n, &r));
}

/* What the VMM loads, L1 may come back with; without that it may not. */
static void test_nested_state(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	bool loaded = arg % 16;
	struct {
		struct kvm_nested_state state;
		uint8_t room[0x3000];
	} nested = { .state.size = sizeof(nested) };
	struct nested n;
	uint64_t old;

	nested_pinned(&n, SHAPE_FLAT, L1_LOSES_BITS, b, KVM_VMI_DENY);
	old = pin_value(n.v, b->reg);
	leave_l2_running(&n, b);
	if (loaded) {
		vcpu_ioctl(n.v, KVM_GET_NESTED_STATE, &nested);
		vcpu_ioctl(n.v, KVM_SET_NESTED_STATE, &nested);
	}
	n.v->cpu->stop = 1;
	expect_l2_done(&n, vcpu_continue(n.v));
	if (n.vendor == NESTED_AMD || loaded)
		expect_eq(vmi_log_violations(n.id), 0);
	else
		expect_violation(n.id, 0, .rule = PIN_RULE, .verdict = KVM_VMI_DENY);
	expect_eq(pin_value(n.v, b->reg) & b->mask,
		  n.vendor == NESTED_INTEL && loaded ? 0 : old & b->mask);
	vm_free(n.vm);
}

/* The VM's first rule comes while an L2 runs, whose L1 comes back without the bit. */
static void test_pinned_before_exit(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	struct nested n;
	uint64_t old;

	nested_pinned(&n, SHAPE_FLAT, L1_LOSES_BITS, b, 0);
	old = pin_value(n.v, b->reg);
	leave_l2_running(&n, b);
	pin_by(n.id, PIN_RULE, b, KVM_VMI_DENY);
	n.v->cpu->stop = 1;
	expect_l2_done(&n, vcpu_continue(n.v));
	expect_eq(vmi_log_violations(n.id), n.vendor == NESTED_INTEL);
	expect_eq(pin_value(n.v, b->reg) & b->mask, old & b->mask);
	vm_free(n.vm);
}

/* Offsets in a VMCB, of what KVM has put into the save area of L1. */
static uint64_t *host_saved(struct nested *n, uint32_t reg)
{
	uint64_t offset = reg == KVM_VMI_REG_CR0 ? 0x558 : reg == KVM_VMI_REG_CR4 ? 0x548 : 0x4d0;

	return vm_hva(n->vm, nested_page(n, L1_VMXON) + offset);
}

/*
 * AMD: an SMI in L2 has KVM keep L1's registers in guest memory; what comes back from there
 * is looked at once L1 runs again.  The L2's own come from SMRAM, and are not.
 */
static void test_smi_in_l2(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	uint32_t action = arg % 16;
	struct nested n;
	uint64_t old;
	struct run r;

	nested_pinned(&n, SHAPE_FLAT, L1_OWN_EFER, b, action);
	require(vm_check_extension(n.vm, KVM_CAP_X86_SMM) > 0, "this KVM has no SMM");
	old = pin_value(n.v, b->reg);
	leave_l2_running(&n, NULL);
	smm_enter(n.v);
	*smm_saved(n.vm, b->reg) &= ~b->mask;
	if (n.vendor == NESTED_AMD) {
		expect_eq(*host_saved(&n, b->reg) & b->mask, b->mask);
		*host_saved(&n, b->reg) &= ~b->mask;
	}
	expect_eq(vmi_log_violations(n.id), 0);
	n.v->cpu->stop = 1;
	r = vcpu_continue(n.v);
	if (n.vendor == NESTED_INTEL) {
		expect_l2_done(&n, r);
		expect_eq(vmi_log_violations(n.id), 0);
		expect_eq(pin_value(n.v, b->reg), old);
		vm_free(n.vm);
		return;
	}
	expect_eq(vmi_log_violations(n.id), !!action);
	expect_violation(n.id, 0, .rule = PIN_RULE, .verdict = action, .flags_clear = KVM_VMI_V_NESTED);
	if (action == KVM_VMI_KILL) {
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	} else {
		expect_l2_done(&n, r);
		/* The rest is as KVM has found it there. */
		expect_eq(pin_value(n.v, b->reg) & b->mask, action == KVM_VMI_ALLOW ? 0 : b->mask);
	}
	vm_free(n.vm);
}

/*
 * AMD: SMRAM says that it was L1 which SMM was entered from, though it was an L2, so that RSM
 * has L1 go on with what is there.  On Intel KVM knows better.
 */
static void test_rsm_forged(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	struct nested n;
	struct run r;

	nested_pinned(&n, SHAPE_FLAT, L1_OWN_EFER, b, KVM_VMI_DENY);
	leave_l2_running(&n, NULL);
	smm_enter(n.v);
	*smm_saved(n.vm, b->reg) &= ~b->mask;
	*(uint64_t *)vm_hva(n.vm, SMM_BASE + SMM_FROM_L2) = 0;
	n.v->cpu->stop = 1;
	/* As L1, the L2's program does not end. */
	n.v->timeout_ms = 300;
	r = vcpu_continue(n.v);
	if (n.vendor == NESTED_INTEL) {
		expect_l2_done(&n, r);
		expect_eq(vmi_log_violations(n.id), 0);
	} else {
		expect(r.end != RUN_ERROR, "%s", run_text(&r));
		expect_violation(n.id, 0, .rule = PIN_RULE, .verdict = KVM_VMI_DENY,
				 .flags_clear = KVM_VMI_V_NESTED);
	}
	expect_eq(pin_value(n.v, b->reg) & b->mask, b->mask);
	vm_free(n.vm);
}

#define SHAPES(name, fn, i)							\
	{ name "-flat", fn, EACH(i, SHAPE_FLAT) },				\
	{ name "-small", fn, EACH(i, SHAPE_SMALL) }

static const struct test_case cases[] = {
	SHAPES("cr0-l2", test_l2, 0),
	SHAPES("cr4-l2", test_l2, 1),
	SHAPES("efer-l2", test_l2, 2),
	SHAPES("cr0-l2-intercepted", test_l2_intercepted, 0),
	SHAPES("cr4-l2-intercepted", test_l2_intercepted, 1),
	SHAPES("efer-l2-intercepted", test_l2_intercepted, 2),
	{ "wp-l2-stepped", test_l2_stepped, WP },
	{ "cet-l2-stepped", test_l2_stepped, CET },
	{ "l2-exits-flat", test_l2_exits, SHAPE_FLAT },
	{ "l2-exits-small", test_l2_exits, SHAPE_SMALL },
	{ "cr0-pinned-in-l2", test_pinned_in_l2, 0 },
	{ "cr4-pinned-in-l2", test_pinned_in_l2, 1 },
	ACTIONS("cr0-l1-loses", test_l1_loses, 0),
	ACTIONS("cr4-l1-loses", test_l1_loses, 1),
	ACTIONS("efer-l1-loses", test_l1_loses, 2),
	{ "cr4-l1-loses-unpinned", test_l1_loses, EACH(1, 0) },
	{ "l1-efer-deny", test_l1_efer, KVM_VMI_DENY },
	{ "l1-efer-allow", test_l1_efer, KVM_VMI_ALLOW },
	{ "l1-efer-unpinned", test_l1_efer, 0 },
	{ "cr0-pinned-before-exit", test_pinned_before_exit, 0 },
	{ "cr4-pinned-before-exit", test_pinned_before_exit, 1 },
	{ "efer-pinned-before-exit", test_pinned_before_exit, 2 },
	{ "cr0-rsm-forged", test_rsm_forged, 0 },
	{ "cr4-rsm-forged", test_rsm_forged, 1 },
	{ "efer-rsm-forged", test_rsm_forged, 2 },
	{ "cr0-nested-state", test_nested_state, EACH(0, true) },
	{ "cr4-nested-state", test_nested_state, EACH(1, true) },
	{ "cr4-nested-state-not", test_nested_state, EACH(1, false) },
	{ "cr0-smi-in-l2-deny", test_smi_in_l2, EACH(0, KVM_VMI_DENY) },
	{ "cr4-smi-in-l2-deny", test_smi_in_l2, EACH(1, KVM_VMI_DENY) },
	{ "efer-smi-in-l2-deny", test_smi_in_l2, EACH(2, KVM_VMI_DENY) },
	{ "cr4-smi-in-l2-allow", test_smi_in_l2, EACH(1, KVM_VMI_ALLOW) },
	{ "cr4-smi-in-l2-kill", test_smi_in_l2, EACH(1, KVM_VMI_KILL) },
	{ }
};

const struct test_suite suite_pinnested = {
	.name = "pinnested", .cases = cases, .setup = vmi_setup,
};
