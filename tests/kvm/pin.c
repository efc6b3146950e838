// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Bits of control registers that a rule keeps set: what may not clear them, and what may
 * still be loaded.
 */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "lib/host.h"
#include "lib/pin.h"
#include "suites.h"

#define OTHER_RULE	31
#define LEGAL		(1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP | \
			 1U << KVM_VMI_KILL)

#define VCPU1		1
#define MSR_X2APIC_ICR	0x830
#define ICR_INIT	0x4500UL

static struct vm *new_vm(const struct vm_options *options, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(options, ret_id);

	pin_make_supervisor(vm);
	return vm;
}

/* The @n-th violation is this load of the guest's, whose register still had @old. */
static void check_load(uint64_t id, struct vcpu *v, unsigned int n, const struct bit *b,
		       uint64_t old, uint64_t new, uint32_t verdict, int line)
{
	const struct vmi_record *r = vmi_log_violation(id, n);

	if (!r) {
		tap_fail(__FILE__, line, "there is no violation %u", n);
		return;
	}
	if (r->v.kind != (b->reg == KVM_VMI_REG_EFER ? KVM_VMI_EFER : KVM_VMI_CR) ||
	    r->v.reg != b->reg || r->v.old != old || r->v.new != new || r->verdict != verdict ||
	    r->v.rule != PIN_RULE || r->v.cookie != 0xc00c1e00 + PIN_RULE || r->v.gpa || r->v.gva ||
	    r->v.length || r->v.insn_len || r->v.reserved || r->v.legal != LEGAL ||
	    r->v.rip != v->cpu->insn || r->v.cr3 != v->vm->cr3 || r->v.vcpu_id != v->id ||
	    r->v.flags & ~(KVM_VMI_V_MONITOR | KVM_VMI_V_BAD_VERDICT))
		tap_fail(__FILE__, line, "violation %u: reg %#x old %#llx new %#llx cr3 %#llx; %s",
			 n, r->v.reg, r->v.old, r->v.new, r->v.cr3, vmi_violation_text(r));
}
#define expect_load(id, v, n, b, old, new, verdict) \
	check_load(id, v, n, b, old, new, verdict, __LINE__)

static void test_bit(uintptr_t bit)
{
	const struct bit *b = &bits[bit];
	uint64_t id, with, value;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	if (!pin_has(v, bit)) {
		/* It may be pinned; the guest still cannot set it. */
		pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
		value = pin_value(v, b->reg);
		expect_gp(pin_load(v, b->reg, value | b->mask));
		pin_loads(v, b->reg, value | CR4_PGE);
		expect_eq(vmi_log_violations(id), 0);
		tap_note("this guest's CPU does not have the bit");
		vm_free(vm);
		return;
	}
	/* With this bit set the guest's program, in the lower half, does not go on. */
	if (bit == LASS) {
		pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
		pin_loads(v, b->reg, pin_value(v, b->reg) | CR4_PGE);
		expect_eq(vmi_log_violations(id), 0);
		vm_free(vm);
		return;
	}

	/* Clear: the pin rests.  Setting is no violation. */
	expect_clears(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
	value = pin_value(v, b->reg);
	pin_loads(v, b->reg, value ^ b->others);
	pin_loads(v, b->reg, value);
	pin_set(v, b);
	expect_eq(vmi_log_violations(id), 0);

	/* Set: it stays so, and whatever else is loaded with it does too. */
	with = pin_value(v, b->reg);
	expect_refused(v, b);
	expect_load(id, v, 0, b, with, with & ~b->mask, KVM_VMI_DENY);
	expect_gp(pin_load(v, b->reg, (with & ~b->mask) ^ b->others));
	expect_load(id, v, 1, b, with, (with & ~b->mask) ^ b->others, KVM_VMI_DENY);
	expect_eq(pin_value(v, b->reg), with);
	expect_eq(vmi_log_violations(id), 2);

	/* Its neighbours are as free as ever. */
	pin_loads(v, b->reg, with ^ b->others);
	pin_loads(v, b->reg, with);
	pin_loads(v, b->reg, with);
	expect_eq(vmi_log_violations(id), 2);
	expect_eq(vmi_counters(id, PIN_RULE).violations, 2);
	expect_eq(vmi_counters(id, PIN_RULE).denied, 2);

	/* Pinned no longer. */
	pin_only(id, PIN_RULE, NULL);
	expect_clears(v, b);
	pin_set(v, b);
	pin_only(id, PIN_RULE, b);
	expect_refused(v, b);
	require_eq(vmi_clear_rule(id, PIN_RULE), 0);
	expect_clears(v, b);
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

static void expect_verdict(struct vcpu *v, uint64_t id, const struct bit *b, uint32_t verdict)
{
	unsigned int n = vmi_log_violations(id);
	uint64_t old = pin_value(v, b->reg), new = old & ~b->mask;
	struct run r = pin_load(v, b->reg, new);

	switch (verdict) {
	case KVM_VMI_ALLOW:
		expect_done(r);
		expect_eq(pin_value(v, b->reg), new);
		break;
	case KVM_VMI_SKIP:
		expect_done(r);
		expect_eq(pin_value(v, b->reg), old);
		break;
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		break;
	default:
		expect_gp(r);
		expect_eq(pin_value(v, b->reg), old);
	}
	expect_eq(vmi_log_violations(id), n + 1);
	expect_load(id, v, n, b, old, new, verdict);
}

static void test_action(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	uint32_t action = arg % 16;
	struct kvm_vmi_rule_info info;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	pin_set(v, b);
	pin_by(id, PIN_RULE, b, action);
	expect_verdict(v, id, b, action);
	info = vmi_counters(id, PIN_RULE);
	expect_eq(info.allowed, action == KVM_VMI_ALLOW);
	expect_eq(info.skipped, action == KVM_VMI_SKIP);
	expect_eq(info.denied, action == KVM_VMI_DENY || action == KVM_VMI_KILL);
	if (action == KVM_VMI_KILL) {
		vm_free(vm);
		return;
	}
	/* Allowed once is not allowed for ever. */
	pin_set(v, b);
	expect_verdict(v, id, b, action);
	vm_free(vm);
}

static void test_monitor(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	pin_set(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_KILL);
	vmi_rule(id, PIN_RULE, KVM_VMI_KILL, KVM_VMI_RULE_MONITOR | KVM_VMI_RULE_UPDATE);
	require_eq(vmi_attach(KVM_VMI_DENY), 0);
	expect_verdict(v, id, b, KVM_VMI_ALLOW);
	expect_violation(id, 0, .flags_set = KVM_VMI_V_MONITOR);
	expect_eq(vmi_asked(), 1);
	vmi_detach();
	vm_free(vm);
}

/* What a program answers, and what that comes to; the rule says deny, its default is allow. */
static void test_program(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	uint32_t answer = arg % 16;
	bool legal = LEGAL >> answer & 1;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	pin_set(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
	require_eq(vmi_attach(answer), 0);
	vmi_set_grant(true);
	pin_loads(v, b->reg, pin_value(v, b->reg) ^ b->others);
	expect_eq(vmi_asked(), 0);
	expect_verdict(v, id, b, legal ? answer : KVM_VMI_DENY);
	expect_eq(vmi_asked(), 1);
	expect_violation(id, 0, .flags_set = legal || !answer ? 0 : KVM_VMI_V_BAD_VERDICT,
			 .flags_clear = legal || !answer ? KVM_VMI_V_BAD_VERDICT : 0);
	/* There is nothing to widen. */
	expect_eq(vmi_granted(&(int){ 0 }), 0);
	vmi_detach();
	vm_free(vm);
}

/* An action that cannot be done is the rule's default instead. */
static void test_default(uintptr_t dflt)
{
	const struct bit *b = &bits[SMEP];
	struct kvm_vmi_rule rule = {
		.id = PIN_RULE, .action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT, .dflt = dflt,
		.cookie = 0xc00c1e00 + PIN_RULE,
	};
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	pin_set(v, b);
	require_eq(vmi_set_rules(id, &rule, 1), 0);
	pin_only(id, PIN_RULE, b);
	expect_verdict(v, id, b, dflt ?: KVM_VMI_DENY);
	vm_free(vm);
}

/* The strictest of the rules that pin a bit which is cleared speaks. */
static void test_two_rules(uintptr_t arg)
{
	const struct bit wp = bits[WP], smep = bits[SMEP];
	const struct bit both = { KVM_VMI_REG_CR4, CR4_SMEP | CR4_SMAP, 0 };
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	pin_set(v, &both);
	pin_by(id, PIN_RULE, &smep, KVM_VMI_DENY);
	pin_by(id, OTHER_RULE, &both, KVM_VMI_ALLOW);
	expect_refused(v, &smep);
	expect_violation(id, 0, .rule = PIN_RULE, .verdict = KVM_VMI_DENY);
	/* A load clears both; none of them is. */
	expect_refused(v, &both);
	expect_violation(id, 1, .rule = PIN_RULE, .verdict = KVM_VMI_DENY);
	expect_clears(v, &bits[SMAP]);
	expect_violation(id, 2, .rule = OTHER_RULE, .verdict = KVM_VMI_ALLOW);
	/* Equally strict: the one with the lower id. */
	vmi_rule(id, OTHER_RULE, KVM_VMI_DENY, 0);
	expect_refused(v, &smep);
	expect_violation(id, 3, .rule = PIN_RULE, .verdict = KVM_VMI_DENY);
	vmi_rule(id, OTHER_RULE, KVM_VMI_SKIP, 0);
	/* With the first gone the other shows again; and another register is free. */
	require_eq(vmi_clear_rule(id, PIN_RULE), 0);
	expect_done(pin_clear(v, &smep));
	expect(pin_value(v, KVM_VMI_REG_CR4) & CR4_SMEP, "the bit is clear");
	expect_violation(id, 4, .rule = OTHER_RULE, .verdict = KVM_VMI_SKIP);
	expect_clears(v, &wp);
	require_eq(vmi_clear_rule(id, 0), 0);
	expect_clears(v, &smep);
	expect_eq(vmi_log_violations(id), 5);
	vm_free(vm);
}

/* A rule that is not in force pins nothing; one that is set again does. */
static void test_disarm(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	struct kvm_vmi_pin pin;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
	pin_only(id, PIN_RULE, b);
	pin_set(v, b);
	expect_clears(v, b);
	pin_set(v, b);
	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	expect_refused(v, b);
	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
	expect_clears(v, b);
	require_eq(vmi_get_pin(id, PIN_RULE, &pin), 0);
	expect_eq(pin.cr0 | pin.cr4 | pin.efer, b->mask);
	expect_eq(vmi_log_violations(id), 1);
	vm_free(vm);
}

/* The VMM's loads are none of the guest's; what they clear, the guest may leave clear. */
static void test_sregs(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	struct kvm_sregs s;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	pin_set(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_KILL);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr0 &= ~CR0_WP;
	s.cr4 &= ~CR4_SMEP;
	s.efer &= ~EFER_NX;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	pin_loads(v, b->reg, pin_value(v, b->reg) ^ b->others);
	expect_eq(vmi_log_violations(id), 0);
	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	pin_set(v, b);
	expect_refused(v, b);
	expect_eq(vmi_log_violations(id), 1);
	vm_free(vm);
}

/* The VMM resets the VM: the rule's on-reset says what becomes of its pins. */
static void test_reset(uintptr_t on_reset)
{
	const struct bit *b = &bits[WP];
	struct kvm_vmi_rule rule = {
		.id = PIN_RULE, .on_reset = on_reset, .cookie = 0xc00c1e00 + PIN_RULE,
	};
	struct kvm_sregs s;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	require_eq(vmi_set_rules(id, &rule, 1), 0);
	pin_only(id, PIN_RULE, b);
	expect_refused(v, b);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr0 = 0x60000010;
	s.cr4 = 0;
	s.efer = 0;
	s.cs.l = 0;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	vcpu_reset_state(v);
	if (on_reset == KVM_VMI_RESET_KEEP)
		expect_refused(v, b);
	else
		expect_clears(v, b);
	expect_eq(vmi_log_violations(id), on_reset == KVM_VMI_RESET_KEEP ? 2 : 1);
	vm_free(vm);
}

/* INIT is not the vCPU's load either. */
static void test_init(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	struct kvm_mp_state state = { };
	uint64_t id;
	struct vm *vm = new_vm(&(struct vm_options){ .vcpus = 2, .flags = VM_IRQCHIP }, &id);
	struct vcpu *v = vm->vcpu[VCPU1];

	pin_set(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
	expect_refused(v, b);
	expect_done(vcpu_op(vm->vcpu[0], OP_WRMSR, MSR_X2APIC_ICR, (uint64_t)VCPU1 << 32 | ICR_INIT));
	/* This is where KVM carries it out. */
	vcpu_ioctl(v, KVM_GET_MP_STATE, &state);
	expect_eq(state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	expect(!(pin_value(v, b->reg) & b->mask), "the bit is still set");
	expect_eq(vmi_log_violations(id), 1);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu_ioctl(v, KVM_SET_MP_STATE, &state);
	vcpu_reset_state(v);
	expect_eq(vmi_log_violations(id), 1);
	pin_set(v, b);
	expect_refused(v, b);
	vm_free(vm);
}

/* LMSW reaches no bit that may be pinned, and works. */
static void test_lmsw(uintptr_t arg)
{
	uint64_t id, cr0;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	pin_by(id, PIN_RULE, &bits[WP], KVM_VMI_KILL);
	cr0 = pin_value(v, KVM_VMI_REG_CR0);
	expect_done(vcpu_op(v, OP_LMSW, (cr0 & 0xffff) | CR0_TS));
	expect_eq(pin_value(v, KVM_VMI_REG_CR0), cr0 | CR0_TS);
	/* It never clears PE, whatever it is told. */
	expect_done(vcpu_op(v, OP_LMSW, 0));
	expect(pin_value(v, KVM_VMI_REG_CR0) & CR0_PE, "PE is clear");
	expect(pin_value(v, KVM_VMI_REG_CR0) & CR0_WP, "WP is clear");
	expect_eq(vmi_log_violations(id), 0);
	vm_free(vm);
}

static struct run load_forced(struct vcpu *v, uint64_t cr4)
{
	return vcpu_op(v, OP_PROBE, PROBE_CR4, 0, PROBE_FORCED, cr4);
}

/* The emulator's loads are the guest's. */
static void test_emulator(uintptr_t arg)
{
	const struct bit *b = &bits[SMEP];
	uint64_t id, cr4;
	struct vm *vm;
	struct vcpu *v;
	struct run r;

	(void)arg;
	require(host_force_emulation(true), "KVM cannot be told to emulate");
	vm = new_vm(NULL, &id);
	v = vm->vcpu[0];
	pin_set(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
	cr4 = pin_value(v, KVM_VMI_REG_CR4);
	expect_done(load_forced(v, cr4 | CR4_DE));
	expect_eq(pin_value(v, KVM_VMI_REG_CR4), cr4 | CR4_DE);
	r = load_forced(v, cr4 & ~CR4_SMEP);
	expect(r.end == RUN_DONE && r.vector == VECTOR_GP && r.faults == 1, "%s", run_text(&r));
	expect_eq(pin_value(v, KVM_VMI_REG_CR4), cr4 | CR4_DE);
	expect_violation(id, 0, .kind = KVM_VMI_CR, .verdict = KVM_VMI_DENY, .rule = PIN_RULE);
	vmi_rule(id, PIN_RULE, KVM_VMI_SKIP, 0);
	expect_done(load_forced(v, cr4 & ~CR4_SMEP));
	expect_eq(pin_value(v, KVM_VMI_REG_CR4), cr4 | CR4_DE);
	vmi_rule(id, PIN_RULE, KVM_VMI_ALLOW, 0);
	expect_done(load_forced(v, cr4 & ~CR4_SMEP));
	expect_eq(pin_value(v, KVM_VMI_REG_CR4), cr4 & ~CR4_SMEP);
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

/* ---- SMM ---- */

/* Whoever has SMRAM says what comes back; what was set when SMM was entered stays so. */
static void test_rsm(uintptr_t arg)
{
	const struct bit *b = &bits[each[arg / 16]];
	uint32_t action = arg % 16;
	const struct vmi_record *r;
	uint64_t id, old;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run run;

	require(vm_check_extension(vm, KVM_CAP_X86_SMM) > 0, "this KVM has no SMM");
	pin_set(v, b);
	if (action)
		pin_by(id, PIN_RULE, b, action);
	old = pin_value(v, b->reg);
	vcpu_prepare(v, OP_NOP, (struct op_args){ });
	smm_enter(v);
	/* Entering it clears CR4 and EFER, which is no violation. */
	expect_eq(vmi_log_violations(id), 0);
	expect_eq(*smm_saved(vm, b->reg), old);
	*smm_saved(vm, b->reg) &= ~b->mask;
	*smm_saved(vm, b->reg) ^= b->others;
	run = vcpu_continue(v);
	if (action == KVM_VMI_KILL) {
		expect(run.end == RUN_ERROR && run.err == EIO, "%s", run_text(&run));
	} else {
		expect_done(run);
		expect_eq(pin_value(v, b->reg),
			  action == KVM_VMI_ALLOW || !action ? (old & ~b->mask) ^ b->others :
							       old ^ b->others);
		expect_done(vcpu_op(v, OP_STORE, GUEST_ARENA, 1, 8));
	}
	expect_eq(vmi_log_violations(id), !!action);
	r = vmi_log_violation(id, 0);
	if (action && r) {
		expect_eq(r->v.old, old);
		expect_eq(r->v.new, (old & ~b->mask) ^ b->others);
		expect_eq(r->v.reg, b->reg);
		expect_eq(r->verdict, action);
	}
	vm_free(vm);
}

/* Left as it was the state comes back without a word. */
static void test_rsm_clean(uintptr_t arg)
{
	uint64_t id, cr4;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(each); i++) {
		pin_set(v, &bits[each[i]]);
		pin_by(id, PIN_RULE + i, &bits[each[i]], KVM_VMI_KILL);
	}
	cr4 = pin_value(v, KVM_VMI_REG_CR4);
	vcpu_prepare(v, OP_NOP, (struct op_args){ });
	smm_enter(v);
	expect_eq(pin_value(v, KVM_VMI_REG_CR4), 0);
	expect_done(vcpu_continue(v));
	expect_eq(pin_value(v, KVM_VMI_REG_CR4), cr4);
	expect_eq(vmi_log_violations(id), 0);
	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	expect_refused(v, &bits[WP]);
	vm_free(vm);
}

/* ---- exits ---- */

static long toggle_exits(struct vcpu *v, const struct bit *b)
{
	long before = host_stat(v->vm, "exits");
	struct run r;

	r = vcpu_op(v, b->reg == KVM_VMI_REG_CR0 ? OP_TOGGLE_CR0 : OP_TOGGLE_CR4, b->mask, TOGGLES);
	expect(r.end == RUN_DONE, "%s", run_text(&r));
	return host_stat(v->vm, "exits") - before;
}

/* Toggling a bit exits as it did, but for the bit that is pinned. */
static void test_exits(uintptr_t bit)
{
	static const struct bit pge = { KVM_VMI_REG_CR4, CR4_PGE, 0 };
	const struct bit *b, *unrelated;
	long none, pge_none, n;
	struct kvm_vmi_caps caps;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	require_eq(vmi_caps(&caps), 0);
	if (!pin_has(v, bit)) {
		tap_note("this guest's CPU does not have the bit");
		bit = SMEP;
	}
	b = &bits[bit];
	unrelated = bit == WP ? &bits[SMEP] : &bits[WP];
	pin_set(v, b);
	none = toggle_exits(v, b);
	pge_none = toggle_exits(v, &pge);
	tap_note("exits of %u loads: %ld; of CR4.PGE: %ld", 2 * TOGGLES, none, pge_none);
	if (caps.vendor == KVM_VMI_VENDOR_INTEL)
		expect(none < NOISE && pge_none < NOISE, "%ld, %ld", none, pge_none);

	/* A rule, without a pin; another bit's pin. */
	vmi_rule(id, PIN_RULE, KVM_VMI_ALLOW, 0);
	n = toggle_exits(v, b);
	expect(n < none + NOISE, "%ld with a rule", n);
	pin_only(id, PIN_RULE, unrelated);
	n = toggle_exits(v, b);
	expect(n < none + NOISE, "%ld with an unrelated pin", n);
	n = toggle_exits(v, &pge);
	expect(n < pge_none + NOISE, "%ld with an unrelated pin", n);
	expect_eq(vmi_log_violations(id), 0);

	pin_only(id, PIN_RULE, b);
	n = toggle_exits(v, b);
	expect(n >= 2 * TOGGLES, "%ld exits with the pin", n);
	expect_eq(vmi_counters(id, PIN_RULE).allowed, TOGGLES);
	n = toggle_exits(v, &pge);
	expect(n < pge_none + NOISE, "%ld with the pin", n);

	pin_only(id, PIN_RULE, NULL);
	n = toggle_exits(v, b);
	expect(n < none + NOISE, "%ld with the pin gone", n);
	expect_eq(vmi_counters(id, PIN_RULE).violations, TOGGLES);
	vm_free(vm);
}

/* What the guest has changed by itself is known when the CPU is told to exit for it. */
static void test_kept(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	uint64_t id, value;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	/* Without an exit between the guest's load and the pin. */
	for (value = 0; value < 2; value++) {
		pin_set(v, b);
		if (!value)
			expect_clears(v, b);
		pin_only(id, PIN_RULE, b);
		expect_eq(!!(pin_value(v, b->reg) & b->mask), value);
		r = pin_load(v, b->reg, pin_value(v, b->reg));
		expect_done(r);
		if (b->reg != KVM_VMI_REG_EFER)
			expect_eq(!!(r.ret[0] & b->mask), value);
		pin_only(id, PIN_RULE, NULL);
		expect_eq(!!(pin_value(v, b->reg) & b->mask), value);
		expect_done(vcpu_op(v, OP_STORE, GUEST_ARENA, 1, 8));
		r = pin_load(v, b->reg, pin_value(v, b->reg));
		if (b->reg != KVM_VMI_REG_EFER)
			expect_eq(!!(r.ret[0] & b->mask), value);
	}
	vm_free(vm);
}

/* A guest that does nothing but clear the bit: not once after the call has returned. */
static void test_spin(uintptr_t bit)
{
	const struct bit *b = &bits[bit];
	unsigned int i, rounds = test_options.long_run ? 1000 : host_cpus() > 1 ? 30 : 3;
	uint64_t id, clears;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	pin_set(v, b);
	v->timeout_ms = 60000;
	vcpu_spawn(v, b->reg == KVM_VMI_REG_CR0 ? OP_TOGGLE_CR0 : OP_TOGGLE_CR4, b->mask, ~0UL);
	for (i = 0; i < rounds; i++) {
		require(vcpu_wait_progress(v, v->cpu->progress + 5), "the guest stands still");
		pin_only(id, PIN_RULE, b);
		clears = v->cpu->ret[0];
		/* One it may just have made, and not yet counted. */
		require(vcpu_wait_progress(v, v->cpu->progress + 5), "the guest stands still");
		require(v->cpu->ret[0] <= clears + 1, "round %u: cleared %llu times since", i,
			(unsigned long long)(v->cpu->ret[0] - clears));
		clears = v->cpu->ret[0];
		require(vcpu_wait_progress(v, v->cpu->progress + 5), "the guest stands still");
		require_eq(v->cpu->ret[0], clears);
		pin_only(id, PIN_RULE, NULL);
		require(vcpu_wait_progress(v, v->cpu->progress + 3), "the guest stands still");
		require(v->cpu->ret[0] > clears, "round %u: not cleared although it may be", i);
	}
	v->cpu->stop = 1;
	r = vcpu_join(v);
	expect(r.end == RUN_DONE, "%s", run_text(&r));
	expect(vmi_counters(id, PIN_RULE).denied >= rounds, "%llu denied",
	       (unsigned long long)vmi_counters(id, PIN_RULE).denied);
	vm_free(vm);
}

/* A vCPU that is created when the pin is there. */
static void test_late_vcpu(uintptr_t bit)
{
	const struct bit *b = &bits[bit];
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *late;

	pin_by(id, PIN_RULE, b, KVM_VMI_DENY);
	vm->vcpu[1] = vcpu_new(vm, 1);
	vm->n_vcpus = 2;
	late = vm->vcpu[1];
	pin_set(late, b);
	expect_refused(late, b);
	pin_set(vm->vcpu[0], b);
	expect_refused(vm->vcpu[0], b);
	expect_eq(vmi_log_violations(id), 2);
	vm_free(vm);
}

/* A vCPU that goes on for a second without the bit is told of, once. */
static void test_unpinned(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	const struct vmi_life *told;
	unsigned int second;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	/* While two CPUs idle an emulated second is a long one. */
	if (host_cpus() > 1) {
		expect_done(vcpu_op(v, OP_NOP));
		vm_free(vm);
		return;
	}
	pin_set(v, b);
	pin_by(id, PIN_RULE, b, KVM_VMI_ALLOW);
	for (second = 0; second < 3; second++) {
		expect_done(vcpu_op(v, OP_NOP));
		usleep(1100000);
	}
	expect_eq(vmi_log_lives(id, VMI_UNPINNED), 0);
	expect_clears(v, b);
	expect_done(vcpu_op(v, OP_NOP));
	expect_eq(vmi_log_lives(id, VMI_UNPINNED), 0);
	for (second = 0; second < 4; second++) {
		usleep(1100000);
		expect_done(vcpu_op(v, OP_NOP));
	}
	expect_eq(vmi_log_lives(id, VMI_UNPINNED), 1);
	told = vmi_log_life(id, VMI_UNPINNED);
	if (told) {
		expect_eq(told->generation, b->mask);
		expect_eq(told->flags, b->reg == KVM_VMI_REG_CR0 ? b->mask : 0);
		expect_eq(told->pid, v->id);
	}
	/* Whoever pins the bit next is told too. */
	pin_only(id, PIN_RULE, NULL);
	pin_only(id, PIN_RULE, b);
	for (second = 0; second < 4; second++) {
		expect_done(vcpu_op(v, OP_NOP));
		usleep(1100000);
	}
	expect_done(vcpu_op(v, OP_NOP));
	expect_eq(vmi_log_lives(id, VMI_UNPINNED), 2);
	vm_free(vm);
}

/* ---- calls ---- */

static void test_bad_input(uintptr_t arg)
{
	static const struct {
		struct kvm_vmi_pin pin;
		int error;
	} rows[] = {
		{ { .cr0 = CR0_WP | CR0_PE, .rule = PIN_RULE }, EINVAL },
		{ { .cr0 = 1UL << 31, .rule = PIN_RULE }, EINVAL },
		{ { .cr0 = 1UL << 48, .rule = PIN_RULE }, EINVAL },
		{ { .cr4 = CR4_PGE, .rule = PIN_RULE }, EINVAL },
		{ { .cr4 = KVM_VMI_PIN_CR4 | 1UL << 22, .rule = PIN_RULE }, EINVAL },
		{ { .cr4 = 1UL << 32, .rule = PIN_RULE }, EINVAL },
		{ { .efer = EFER_SCE, .rule = PIN_RULE }, EINVAL },
		{ { .efer = EFER_NX | 1UL << 8, .rule = PIN_RULE }, EINVAL },
		{ { .cr0 = CR0_WP, .rule = PIN_RULE, .reserved = 1 }, EINVAL },
		{ { .cr0 = CR0_WP }, EINVAL },
		{ { .cr0 = CR0_WP, .rule = KVM_VMI_RULE_ID_MAX + 1 }, EINVAL },
		{ { .cr0 = CR0_WP, .rule = OTHER_RULE }, ENOENT },
		{ { .rule = OTHER_RULE }, ENOENT },
	};
	const struct kvm_vmi_pin all = {
		.cr0 = KVM_VMI_PIN_CR0, .cr4 = KVM_VMI_PIN_CR4, .efer = KVM_VMI_PIN_EFER,
		.rule = PIN_RULE,
	};
	struct kvm_vmi_pin pin;
	struct kvm_vmi_caps caps;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	unsigned int i;

	(void)arg;
	require_eq(vmi_caps(&caps), 0);
	expect(caps.features & KVM_VMI_CAP_PIN, "the capability is not there");
	expect(caps.kinds & 1U << KVM_VMI_CR && caps.kinds & 1U << KVM_VMI_EFER, "kinds %#x",
	       caps.kinds);
	/* A VM that was never protected has no rule. */
	expect_eq(-vmi_set_pin(id, &all), ENOENT);
	expect_eq(-vmi_get_pin(id, PIN_RULE, &pin), ENOENT);

	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	require_eq(vmi_get_pin(id, PIN_RULE, &pin), 0);
	expect_eq(pin.cr0 | pin.cr4 | pin.efer, 0);
	require_eq(vmi_set_pin(id, &all), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = vmi_set_pin(id, &rows[i].pin);

		expect(r == -rows[i].error, "row %u: %d, not %d", i, -r, rows[i].error);
		require_eq(vmi_get_pin(id, PIN_RULE, &pin), 0);
		expect(!memcmp(&pin, &all, sizeof(pin)), "row %u has changed the pins", i);
	}
	expect_eq(-vmi_get_pin(id, 0, &pin), EINVAL);
	expect_eq(-vmi_get_pin(id, KVM_VMI_RULE_ID_MAX + 1, &pin), EINVAL);
	expect_eq(-vmi_get_pin(id, OTHER_RULE, &pin), ENOENT);
	expect_eq(-vmi_set_pin(id + 1000, &all), ESRCH);

	/* It replaces, and goes with its rule. */
	pin = (struct kvm_vmi_pin){ .cr4 = CR4_SMEP, .rule = PIN_RULE };
	require_eq(vmi_set_pin(id, &pin), 0);
	expect_clears(vm->vcpu[0], &bits[WP]);
	require_eq(vmi_clear_rule(id, PIN_RULE), 0);
	vmi_rule(id, PIN_RULE, KVM_VMI_DENY, 0);
	require_eq(vmi_get_pin(id, PIN_RULE, &pin), 0);
	expect_eq(pin.cr0 | pin.cr4 | pin.efer, 0);

	/* A dead VM is past changing. */
	pin_by(id, PIN_RULE, &bits[SMEP], KVM_VMI_KILL);
	pin_set(vm->vcpu[0], &bits[SMEP]);
	pin_clear(vm->vcpu[0], &bits[SMEP]);
	expect_eq(-vmi_set_pin(id, &all), EIO);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "wp", test_bit, WP },
	{ "umip", test_bit, UMIP },
	{ "smep", test_bit, SMEP },
	{ "smap", test_bit, SMAP },
	{ "cet", test_bit, CET },
	{ "lass", test_bit, LASS },
	{ "nx", test_bit, NX },
	ACTIONS("cr0", test_action, 0),
	ACTIONS("cr4", test_action, 1),
	ACTIONS("efer", test_action, 2),
	{ "cr0-monitor", test_monitor, 0 },
	{ "cr4-monitor", test_monitor, 1 },
	{ "efer-monitor", test_monitor, 2 },
	ACTIONS("cr0-program", test_program, 0),
	ACTIONS("cr4-program", test_program, 1),
	ACTIONS("efer-program", test_program, 2),
	{ "program-default", test_program, EACH(1, KVM_VMI_DEFAULT) },
	{ "program-exit", test_program, EACH(1, KVM_VMI_EXIT) },
	{ "program-hold", test_program, EACH(2, KVM_VMI_HOLD) },
	{ "program-unknown", test_program, EACH(0, 9) },
	{ "exit", test_default, KVM_VMI_DEFAULT },
	{ "exit-allow", test_default, KVM_VMI_ALLOW },
	{ "two-rules", test_two_rules },
	{ "cr0-disarm", test_disarm, 0 },
	{ "cr4-disarm", test_disarm, 1 },
	{ "efer-disarm", test_disarm, 2 },
	{ "cr0-sregs", test_sregs, 0 },
	{ "cr4-sregs", test_sregs, 1 },
	{ "efer-sregs", test_sregs, 2 },
	{ "reset-disarm", test_reset, KVM_VMI_RESET_DISARM },
	{ "reset-keep", test_reset, KVM_VMI_RESET_KEEP },
	{ "cr0-init", test_init, 0 },
	{ "cr4-init", test_init, 1 },
	{ "efer-init", test_init, 2 },
	{ "lmsw", test_lmsw },
	{ "emulator", test_emulator },
	ACTIONS("cr0-rsm", test_rsm, 0),
	ACTIONS("cr4-rsm", test_rsm, 1),
	ACTIONS("efer-rsm", test_rsm, 2),
	{ "cr4-rsm-unpinned", test_rsm, EACH(1, 0) },
	{ "rsm-clean", test_rsm_clean },
	{ "wp-exits", test_exits, WP },
	{ "cet-exits", test_exits, CET },
	{ "cr0-kept", test_kept, 0 },
	{ "cr4-kept", test_kept, 1 },
	{ "efer-kept", test_kept, 2 },
	{ "wp-spin", test_spin, WP },
	{ "smep-spin", test_spin, SMEP },
	{ "wp-late-vcpu", test_late_vcpu, WP },
	{ "cr0-unpinned", test_unpinned, 0 },
	{ "cr4-unpinned", test_unpinned, 1 },
	{ "efer-unpinned", test_unpinned, 2 },
	{ "bad-input", test_bad_input },
	{ }
};

static void after(void)
{
	host_force_emulation(false);
}

const struct test_suite suite_pin = {
	.name = "pin", .cases = cases, .setup = vmi_setup, .after = after,
};
