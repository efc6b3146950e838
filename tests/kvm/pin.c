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
#include "lib/nested.h"
#include "suites.h"

#define RULE		29
#define OTHER_RULE	31
#define LEGAL		(1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW | 1U << KVM_VMI_SKIP | \
			 1U << KVM_VMI_KILL)

#define CR0_PE		(1UL << 0)
#define CR0_TS		(1UL << 3)
#define CR0_WP		(1UL << 16)
#define CR0_AM		(1UL << 18)
#define CR4_DE		(1UL << 3)
#define CR4_PGE		(1UL << 7)
#define CR4_UMIP	(1UL << 11)
#define CR4_SMEP	(1UL << 20)
#define CR4_SMAP	(1UL << 21)
#define CR4_CET		(1UL << 23)
#define CR4_LASS	(1UL << 27)
#define EFER_SCE	(1UL << 0)
#define EFER_NX		(1UL << 11)

#define VCPU1		1
#define MSR_X2APIC_ICR	0x830
#define ICR_INIT	0x4500UL

/* One that every register has. */
enum { WP, UMIP, SMEP, SMAP, CET, LASS, NX, NR_BITS };

/** struct bit - a bit that may be pinned */
struct bit {
	uint32_t reg;
	uint64_t mask;
	uint64_t others;	/* of the same register, that are nobody's business */
};

static const struct bit bits[NR_BITS] = {
	[WP] = { KVM_VMI_REG_CR0, CR0_WP, CR0_TS | CR0_AM },
	[UMIP] = { KVM_VMI_REG_CR4, CR4_UMIP, CR4_DE | CR4_PGE },
	[SMEP] = { KVM_VMI_REG_CR4, CR4_SMEP, CR4_DE | CR4_PGE },
	[SMAP] = { KVM_VMI_REG_CR4, CR4_SMAP, CR4_DE | CR4_PGE },
	[CET] = { KVM_VMI_REG_CR4, CR4_CET, CR4_DE | CR4_PGE },
	[LASS] = { KVM_VMI_REG_CR4, CR4_LASS, CR4_DE | CR4_PGE },
	[NX] = { KVM_VMI_REG_EFER, EFER_NX, EFER_SCE },
};

static uint64_t value_of(struct vcpu *v, uint32_t reg)
{
	struct kvm_sregs s;

	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	return reg == KVM_VMI_REG_CR0 ? s.cr0 : reg == KVM_VMI_REG_CR4 ? s.cr4 : s.efer;
}

static struct run load(struct vcpu *v, uint32_t reg, uint64_t value)
{
	if (reg == KVM_VMI_REG_EFER)
		return vcpu_op(v, OP_WRMSR, reg, value);
	return vcpu_op(v, reg == KVM_VMI_REG_CR0 ? OP_LOAD_CR0 : OP_LOAD_CR4, value);
}

/* The load works, and the register has the value. */
static void loads(struct vcpu *v, uint32_t reg, uint64_t value)
{
	expect_done(load(v, reg, value));
	expect_eq(value_of(v, reg), value);
}

static void set_bits(struct vcpu *v, const struct bit *b)
{
	loads(v, b->reg, value_of(v, b->reg) | b->mask);
}

static struct run clear_bits(struct vcpu *v, const struct bit *b)
{
	return load(v, b->reg, value_of(v, b->reg) & ~b->mask);
}

static void expect_clears(struct vcpu *v, const struct bit *b)
{
	loads(v, b->reg, value_of(v, b->reg) & ~b->mask);
}

/* #GP(0), and the register as before. */
static void expect_refused(struct vcpu *v, const struct bit *b)
{
	uint64_t before = value_of(v, b->reg);

	expect(before & b->mask, "the bit is not set");
	expect_gp(clear_bits(v, b));
	expect_eq(value_of(v, b->reg), before);
}

static void pin_bits(uint64_t id, uint32_t rule, const struct bit *b)
{
	const struct kvm_vmi_pin pin = {
		.cr0 = b && b->reg == KVM_VMI_REG_CR0 ? b->mask : 0,
		.cr4 = b && b->reg == KVM_VMI_REG_CR4 ? b->mask : 0,
		.efer = b && b->reg == KVM_VMI_REG_EFER ? b->mask : 0,
		.rule = rule,
	};

	require_eq(vmi_set_pin(id, &pin), 0);
}

static void pin_by(uint64_t id, uint32_t rule, const struct bit *b, uint32_t action)
{
	vmi_rule(id, rule, action, 0);
	pin_bits(id, rule, b);
}

/* What the guest's kernel executes and touches is not user mode's, or SMEP and SMAP stop it. */
static void make_supervisor(struct vm *vm)
{
	uint64_t *root = vm_hva(vm, vm->cr3);
	unsigned int i;

	for (i = 0; i < 512; i++)
		root[i] &= ~PTE_USER;
}

static struct vm *new_vm(const struct vm_options *options, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(options, ret_id);

	make_supervisor(vm);
	return vm;
}

/* Does the guest's CPU have the bit? */
static bool has_bit(struct vcpu *v, unsigned int bit)
{
	struct run r = vcpu_op(v, OP_CPUID, 7, 0);
	uint64_t b = r.ret[1], c = r.ret[2], d = r.ret[3];

	require_done(r);
	switch (bit) {
	case UMIP:
		return c & 1U << 2;
	case SMEP:
		return b & 1U << 7;
	case SMAP:
		return b & 1U << 20;
	case CET:
		return c & 1U << 7 || d & 1U << 20;
	case LASS:
		return vcpu_op(v, OP_CPUID, 7, 1).ret[0] & 1U << 6;
	default:
		return true;
	}
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
	    r->v.rule != RULE || r->v.cookie != 0xc00c1e00 + RULE || r->v.gpa || r->v.gva ||
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

	if (!has_bit(v, bit)) {
		/* It may be pinned; the guest still cannot set it. */
		pin_by(id, RULE, b, KVM_VMI_DENY);
		value = value_of(v, b->reg);
		expect_gp(load(v, b->reg, value | b->mask));
		loads(v, b->reg, value | CR4_PGE);
		expect_eq(vmi_log_violations(id), 0);
		tap_note("this guest's CPU does not have the bit");
		vm_free(vm);
		return;
	}
	/* With this bit set the guest's program, in the lower half, does not go on. */
	if (bit == LASS) {
		pin_by(id, RULE, b, KVM_VMI_DENY);
		loads(v, b->reg, value_of(v, b->reg) | CR4_PGE);
		expect_eq(vmi_log_violations(id), 0);
		vm_free(vm);
		return;
	}

	/* Clear: the pin rests.  Setting is no violation. */
	expect_clears(v, b);
	pin_by(id, RULE, b, KVM_VMI_DENY);
	value = value_of(v, b->reg);
	loads(v, b->reg, value ^ b->others);
	loads(v, b->reg, value);
	set_bits(v, b);
	expect_eq(vmi_log_violations(id), 0);

	/* Set: it stays so, and whatever else is loaded with it does too. */
	with = value_of(v, b->reg);
	expect_refused(v, b);
	expect_load(id, v, 0, b, with, with & ~b->mask, KVM_VMI_DENY);
	expect_gp(load(v, b->reg, (with & ~b->mask) ^ b->others));
	expect_load(id, v, 1, b, with, (with & ~b->mask) ^ b->others, KVM_VMI_DENY);
	expect_eq(value_of(v, b->reg), with);
	expect_eq(vmi_log_violations(id), 2);

	/* Its neighbours are as free as ever. */
	loads(v, b->reg, with ^ b->others);
	loads(v, b->reg, with);
	loads(v, b->reg, with);
	expect_eq(vmi_log_violations(id), 2);
	expect_eq(vmi_counters(id, RULE).violations, 2);
	expect_eq(vmi_counters(id, RULE).denied, 2);

	/* Pinned no longer. */
	pin_bits(id, RULE, NULL);
	expect_clears(v, b);
	set_bits(v, b);
	pin_bits(id, RULE, b);
	expect_refused(v, b);
	require_eq(vmi_clear_rule(id, RULE), 0);
	expect_clears(v, b);
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

/* One of each register, that all of the lab's CPUs have. */
static const unsigned int each[] = { WP, SMEP, NX };

#define EACH(i, n)	((i) * 16 + (n))

static void expect_verdict(struct vcpu *v, uint64_t id, const struct bit *b, uint32_t verdict)
{
	unsigned int n = vmi_log_violations(id);
	uint64_t old = value_of(v, b->reg), new = old & ~b->mask;
	struct run r = load(v, b->reg, new);

	switch (verdict) {
	case KVM_VMI_ALLOW:
		expect_done(r);
		expect_eq(value_of(v, b->reg), new);
		break;
	case KVM_VMI_SKIP:
		expect_done(r);
		expect_eq(value_of(v, b->reg), old);
		break;
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		break;
	default:
		expect_gp(r);
		expect_eq(value_of(v, b->reg), old);
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

	set_bits(v, b);
	pin_by(id, RULE, b, action);
	expect_verdict(v, id, b, action);
	info = vmi_counters(id, RULE);
	expect_eq(info.allowed, action == KVM_VMI_ALLOW);
	expect_eq(info.skipped, action == KVM_VMI_SKIP);
	expect_eq(info.denied, action == KVM_VMI_DENY || action == KVM_VMI_KILL);
	if (action == KVM_VMI_KILL) {
		vm_free(vm);
		return;
	}
	/* Allowed once is not allowed for ever. */
	set_bits(v, b);
	expect_verdict(v, id, b, action);
	vm_free(vm);
}

static void test_monitor(uintptr_t i)
{
	const struct bit *b = &bits[each[i]];
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	set_bits(v, b);
	pin_by(id, RULE, b, KVM_VMI_KILL);
	vmi_rule(id, RULE, KVM_VMI_KILL, KVM_VMI_RULE_MONITOR | KVM_VMI_RULE_UPDATE);
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

	set_bits(v, b);
	pin_by(id, RULE, b, KVM_VMI_DENY);
	require_eq(vmi_attach(answer), 0);
	vmi_set_grant(true);
	loads(v, b->reg, value_of(v, b->reg) ^ b->others);
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
		.id = RULE, .action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT, .dflt = dflt,
		.cookie = 0xc00c1e00 + RULE,
	};
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	set_bits(v, b);
	require_eq(vmi_set_rules(id, &rule, 1), 0);
	pin_bits(id, RULE, b);
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
	set_bits(v, &both);
	pin_by(id, RULE, &smep, KVM_VMI_DENY);
	pin_by(id, OTHER_RULE, &both, KVM_VMI_ALLOW);
	expect_refused(v, &smep);
	expect_violation(id, 0, .rule = RULE, .verdict = KVM_VMI_DENY);
	/* A load clears both; none of them is. */
	expect_refused(v, &both);
	expect_violation(id, 1, .rule = RULE, .verdict = KVM_VMI_DENY);
	expect_clears(v, &bits[SMAP]);
	expect_violation(id, 2, .rule = OTHER_RULE, .verdict = KVM_VMI_ALLOW);
	/* Equally strict: the one with the lower id. */
	vmi_rule(id, OTHER_RULE, KVM_VMI_DENY, 0);
	expect_refused(v, &smep);
	expect_violation(id, 3, .rule = RULE, .verdict = KVM_VMI_DENY);
	vmi_rule(id, OTHER_RULE, KVM_VMI_SKIP, 0);
	/* With the first gone the other shows again; and another register is free. */
	require_eq(vmi_clear_rule(id, RULE), 0);
	expect_done(clear_bits(v, &smep));
	expect(value_of(v, KVM_VMI_REG_CR4) & CR4_SMEP, "the bit is clear");
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

	vmi_rule(id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
	pin_bits(id, RULE, b);
	set_bits(v, b);
	expect_clears(v, b);
	set_bits(v, b);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_refused(v, b);
	vmi_rule(id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
	expect_clears(v, b);
	require_eq(vmi_get_pin(id, RULE, &pin), 0);
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

	set_bits(v, b);
	pin_by(id, RULE, b, KVM_VMI_KILL);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr0 &= ~CR0_WP;
	s.cr4 &= ~CR4_SMEP;
	s.efer &= ~EFER_NX;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	loads(v, b->reg, value_of(v, b->reg) ^ b->others);
	expect_eq(vmi_log_violations(id), 0);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	set_bits(v, b);
	expect_refused(v, b);
	expect_eq(vmi_log_violations(id), 1);
	vm_free(vm);
}

/* The VMM resets the VM: the rule's on-reset says what becomes of its pins. */
static void test_reset(uintptr_t on_reset)
{
	const struct bit *b = &bits[WP];
	struct kvm_vmi_rule rule = {
		.id = RULE, .on_reset = on_reset, .cookie = 0xc00c1e00 + RULE,
	};
	struct kvm_sregs s;
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	require_eq(vmi_set_rules(id, &rule, 1), 0);
	pin_bits(id, RULE, b);
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

	set_bits(v, b);
	pin_by(id, RULE, b, KVM_VMI_DENY);
	expect_refused(v, b);
	expect_done(vcpu_op(vm->vcpu[0], OP_WRMSR, MSR_X2APIC_ICR, (uint64_t)VCPU1 << 32 | ICR_INIT));
	/* This is where KVM carries it out. */
	vcpu_ioctl(v, KVM_GET_MP_STATE, &state);
	expect_eq(state.mp_state, KVM_MP_STATE_INIT_RECEIVED);
	expect(!(value_of(v, b->reg) & b->mask), "the bit is still set");
	expect_eq(vmi_log_violations(id), 1);
	state.mp_state = KVM_MP_STATE_RUNNABLE;
	vcpu_ioctl(v, KVM_SET_MP_STATE, &state);
	vcpu_reset_state(v);
	expect_eq(vmi_log_violations(id), 1);
	set_bits(v, b);
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
	pin_by(id, RULE, &bits[WP], KVM_VMI_KILL);
	cr0 = value_of(v, KVM_VMI_REG_CR0);
	expect_done(vcpu_op(v, OP_LMSW, (cr0 & 0xffff) | CR0_TS));
	expect_eq(value_of(v, KVM_VMI_REG_CR0), cr0 | CR0_TS);
	/* It never clears PE, whatever it is told. */
	expect_done(vcpu_op(v, OP_LMSW, 0));
	expect(value_of(v, KVM_VMI_REG_CR0) & CR0_PE, "PE is clear");
	expect(value_of(v, KVM_VMI_REG_CR0) & CR0_WP, "WP is clear");
	expect_eq(vmi_log_violations(id), 0);
	vm_free(vm);
}

static bool force_emulation(const char *value)
{
	FILE *f = fopen("/sys/module/kvm/parameters/force_emulation_prefix", "we");
	bool done;

	if (!f)
		return false;
	done = fputs(value, f) >= 0;
	return !fclose(f) && done;
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
	require(force_emulation("1"), "KVM cannot be told to emulate");
	vm = new_vm(NULL, &id);
	v = vm->vcpu[0];
	set_bits(v, b);
	pin_by(id, RULE, b, KVM_VMI_DENY);
	cr4 = value_of(v, KVM_VMI_REG_CR4);
	expect_done(vcpu_op(v, OP_LOAD_CR4_FORCED, cr4 | CR4_DE));
	expect_eq(value_of(v, KVM_VMI_REG_CR4), cr4 | CR4_DE);
	r = vcpu_op(v, OP_LOAD_CR4_FORCED, cr4 & ~CR4_SMEP);
	expect(r.end == RUN_DONE && r.vector == VECTOR_GP && r.faults == 1, "%s", run_text(&r));
	expect_eq(value_of(v, KVM_VMI_REG_CR4), cr4 | CR4_DE);
	expect_violation(id, 0, .kind = KVM_VMI_CR, .verdict = KVM_VMI_DENY, .rule = RULE);
	vmi_rule(id, RULE, KVM_VMI_SKIP, 0);
	expect_done(vcpu_op(v, OP_LOAD_CR4_FORCED, cr4 & ~CR4_SMEP));
	expect_eq(value_of(v, KVM_VMI_REG_CR4), cr4 | CR4_DE);
	vmi_rule(id, RULE, KVM_VMI_ALLOW, 0);
	expect_done(vcpu_op(v, OP_LOAD_CR4_FORCED, cr4 & ~CR4_SMEP));
	expect_eq(value_of(v, KVM_VMI_REG_CR4), cr4 & ~CR4_SMEP);
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

/* ---- SMM ---- */

#define SMM_BASE	0x30000UL
#define SMM_SIZE	0x10000UL
#define SMM_ENTRY	0x8000UL
/* Of the state that RSM loads, as KVM lays it out for a CPU with long mode. */
#define SMM_EFER	0xfed0UL
#define SMM_FROM_L2	0xfed8UL	/* AMD */
#define SMM_CR4		0xff48UL
#define SMM_CR0		0xff58UL

static uint64_t *smm_saved(struct vm *vm, uint32_t reg)
{
	return vm_hva(vm, SMM_BASE + (reg == KVM_VMI_REG_CR0 ? SMM_CR0 :
				      reg == KVM_VMI_REG_CR4 ? SMM_CR4 : SMM_EFER));
}

/* Stop in SMM, the next instruction is RSM. */
static void enter_smm(struct vcpu *v)
{
	uint8_t *code = vm_hva(v->vm, SMM_BASE + SMM_ENTRY);

	vm_add_alias(v->vm, 1, SMM_BASE, SMM_SIZE, vm_hva(v->vm, SMM_BASE), 0);
	memcpy(code, "\xf4\x0f\xaa", 3);
	vcpu_ioctl(v, KVM_SMI, 0);
	expect_end(vcpu_continue(v), RUN_HALT);
}

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
	set_bits(v, b);
	if (action)
		pin_by(id, RULE, b, action);
	old = value_of(v, b->reg);
	vcpu_prepare(v, OP_NOP, (struct op_args){ });
	enter_smm(v);
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
		expect_eq(value_of(v, b->reg),
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
		set_bits(v, &bits[each[i]]);
		pin_by(id, RULE + i, &bits[each[i]], KVM_VMI_KILL);
	}
	cr4 = value_of(v, KVM_VMI_REG_CR4);
	vcpu_prepare(v, OP_NOP, (struct op_args){ });
	enter_smm(v);
	expect_eq(value_of(v, KVM_VMI_REG_CR4), 0);
	expect_done(vcpu_continue(v));
	expect_eq(value_of(v, KVM_VMI_REG_CR4), cr4);
	expect_eq(vmi_log_violations(id), 0);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_refused(v, &bits[WP]);
	vm_free(vm);
}

/* ---- exits ---- */

#define TOGGLES	200
/* Of the host's own: its timer. */
#define NOISE	40

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
	if (!has_bit(v, bit)) {
		tap_note("this guest's CPU does not have the bit");
		bit = SMEP;
	}
	b = &bits[bit];
	unrelated = bit == WP ? &bits[SMEP] : &bits[WP];
	set_bits(v, b);
	none = toggle_exits(v, b);
	pge_none = toggle_exits(v, &pge);
	tap_note("exits of %u loads: %ld; of CR4.PGE: %ld", 2 * TOGGLES, none, pge_none);
	if (caps.vendor == KVM_VMI_VENDOR_INTEL)
		expect(none < NOISE && pge_none < NOISE, "%ld, %ld", none, pge_none);

	/* A rule, without a pin; another bit's pin. */
	vmi_rule(id, RULE, KVM_VMI_ALLOW, 0);
	n = toggle_exits(v, b);
	expect(n < none + NOISE, "%ld with a rule", n);
	pin_bits(id, RULE, unrelated);
	n = toggle_exits(v, b);
	expect(n < none + NOISE, "%ld with an unrelated pin", n);
	n = toggle_exits(v, &pge);
	expect(n < pge_none + NOISE, "%ld with an unrelated pin", n);
	expect_eq(vmi_log_violations(id), 0);

	pin_bits(id, RULE, b);
	n = toggle_exits(v, b);
	expect(n >= 2 * TOGGLES, "%ld exits with the pin", n);
	expect_eq(vmi_counters(id, RULE).allowed, TOGGLES);
	n = toggle_exits(v, &pge);
	expect(n < pge_none + NOISE, "%ld with the pin", n);

	pin_bits(id, RULE, NULL);
	n = toggle_exits(v, b);
	expect(n < none + NOISE, "%ld with the pin gone", n);
	expect_eq(vmi_counters(id, RULE).violations, TOGGLES);
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

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	/* Without an exit between the guest's load and the pin. */
	for (value = 0; value < 2; value++) {
		set_bits(v, b);
		if (!value)
			expect_clears(v, b);
		pin_bits(id, RULE, b);
		expect_eq(!!(value_of(v, b->reg) & b->mask), value);
		r = load(v, b->reg, value_of(v, b->reg));
		expect_done(r);
		if (b->reg != KVM_VMI_REG_EFER)
			expect_eq(!!(r.ret[0] & b->mask), value);
		pin_bits(id, RULE, NULL);
		expect_eq(!!(value_of(v, b->reg) & b->mask), value);
		expect_done(vcpu_op(v, OP_STORE, GUEST_ARENA, 1, 8));
		r = load(v, b->reg, value_of(v, b->reg));
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

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	set_bits(v, b);
	v->timeout_ms = 60000;
	vcpu_spawn(v, b->reg == KVM_VMI_REG_CR0 ? OP_TOGGLE_CR0 : OP_TOGGLE_CR4, b->mask, ~0UL);
	for (i = 0; i < rounds; i++) {
		require(vcpu_wait_progress(v, v->cpu->progress + 5), "the guest stands still");
		pin_bits(id, RULE, b);
		clears = v->cpu->ret[0];
		/* One it may just have made, and not yet counted. */
		require(vcpu_wait_progress(v, v->cpu->progress + 5), "the guest stands still");
		require(v->cpu->ret[0] <= clears + 1, "round %u: cleared %llu times since", i,
			(unsigned long long)(v->cpu->ret[0] - clears));
		clears = v->cpu->ret[0];
		require(vcpu_wait_progress(v, v->cpu->progress + 5), "the guest stands still");
		require_eq(v->cpu->ret[0], clears);
		pin_bits(id, RULE, NULL);
		require(vcpu_wait_progress(v, v->cpu->progress + 3), "the guest stands still");
		require(v->cpu->ret[0] > clears, "round %u: not cleared although it may be", i);
	}
	v->cpu->stop = 1;
	r = vcpu_join(v);
	expect(r.end == RUN_DONE, "%s", run_text(&r));
	expect(vmi_counters(id, RULE).denied >= rounds, "%llu denied",
	       (unsigned long long)vmi_counters(id, RULE).denied);
	vm_free(vm);
}

/* A vCPU that is created when the pin is there. */
static void test_late_vcpu(uintptr_t bit)
{
	const struct bit *b = &bits[bit];
	uint64_t id;
	struct vm *vm = new_vm(NULL, &id);
	struct vcpu *late;

	pin_by(id, RULE, b, KVM_VMI_DENY);
	vm->vcpu[1] = vcpu_new(vm, 1);
	vm->n_vcpus = 2;
	late = vm->vcpu[1];
	set_bits(late, b);
	expect_refused(late, b);
	set_bits(vm->vcpu[0], b);
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
	set_bits(v, b);
	pin_by(id, RULE, b, KVM_VMI_ALLOW);
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
	vm_free(vm);
}

/* ---- nested ---- */

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
	make_supervisor(n->vm);
	set_bits(n->v, b);
	if (action)
		pin_by(n->id, RULE, b, action);
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
	with = value_of(n.v, b->reg);
	r = l2_load(&n, b->reg, with & ~b->mask);
	expect_l2_done(&n, r);
	if (b->reg != KVM_VMI_REG_EFER)
		expect_eq(r.ret[1], with & ~b->mask);
	expect_eq(vmi_log_violations(n.id), 0);
	expect_eq(value_of(n.v, b->reg), with);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
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
	make_supervisor(n.vm);
	if (!has_bit(n.v, bit)) {
		tap_note("this guest's CPU does not have the bit");
		b = &bits[SMEP];
	}
	set_bits(n.v, b);
	pin_by(n.id, RULE, b, KVM_VMI_DENY);
	expect_refused(n.v, b);
	with = value_of(n.v, b->reg);
	r = l2_load(&n, b->reg, with & ~b->mask);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], with);
	expect_eq(r.ret[1], with & ~b->mask);
	if (n.vendor == NESTED_INTEL)
		expect(n.v->cpu->l2_steps > 10, "%llu steps",
		       (unsigned long long)n.v->cpu->l2_steps);
	expect_eq(value_of(n.v, b->reg), with);
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
	with = value_of(n.v, b->reg);
	expect_l2_exit(&n, l2_load(&n, b->reg, with & ~b->mask), L2_OTHER);
	if (n.vendor == NESTED_INTEL)
		info = b->reg == KVM_VMI_REG_EFER ? REASON_WRMSR : REASON_CR;
	else
		info = b->reg == KVM_VMI_REG_EFER ? EXIT_MSR : 0x10 + b->reg;
	expect_eq(n.v->cpu->l2_info, info);
	expect_eq(vmi_log_violations(n.id), 0);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
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
	pin_by(n.id, RULE, b, KVM_VMI_DENY);
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
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	n.v->cpu->l2_op = OP_RDTSC_SPIN;
	n.v->cpu->l2_mode = n.mode;
	n.v->timeout_ms = 60000;
	vcpu_spawn(n.v, OP_NESTED_RUN, ~0UL);
	require(vcpu_wait_progress(n.v, 20), "the L2 does not run");
	pin_bits(n.id, RULE, b);
	require(vcpu_wait_progress(n.v, n.v->cpu->progress + 20), "the L2 stands still");
	n.v->cpu->stop = 1;
	r = vcpu_join(n.v);
	expect(r.end == RUN_DONE && l2_is_done(&n), "%s", l2_text(&n, &r));
	expect_eq(vmi_log_violations(n.id), 0);
	expect_refused(n.v, b);
	pin_bits(n.id, RULE, NULL);
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
	old = value_of(n.v, b->reg);
	r = l2_op(&n, OP_NOP, 0, 0, 0, 0, 0, b->reg == KVM_VMI_REG_EFER ? b->mask : 0,
		  b->reg == KVM_VMI_REG_CR0 ? b->mask : 0, b->reg == KVM_VMI_REG_CR4 ? b->mask : 0);
	if (n.vendor == NESTED_AMD) {
		/* KVM keeps L1's registers where the guest has no say. */
		expect_l2_done(&n, r);
		expect_eq(vmi_log_violations(n.id), 0);
		expect_eq(value_of(n.v, b->reg), old);
		vm_free(n.vm);
		return;
	}
	if (action == KVM_VMI_KILL) {
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	} else {
		expect_l2_done(&n, r);
		expect_eq(value_of(n.v, b->reg),
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
		vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
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
	old = value_of(n.v, b->reg);
	expect_l2_done(&n, l2_load(&n, b->reg, old & ~b->mask));
	if (n.vendor == NESTED_AMD) {
		expect_eq(vmi_log_violations(n.id), 0);
		expect_eq(value_of(n.v, b->reg), old);
	} else {
		expect_eq(vmi_log_violations(n.id), !!action);
		expect_eq(value_of(n.v, b->reg),
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
	old = value_of(n.v, b->reg);
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
		expect_violation(n.id, 0, .rule = RULE, .verdict = KVM_VMI_DENY);
	expect_eq(value_of(n.v, b->reg) & b->mask,
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
	old = value_of(n.v, b->reg);
	leave_l2_running(&n, b);
	pin_by(n.id, RULE, b, KVM_VMI_DENY);
	n.v->cpu->stop = 1;
	expect_l2_done(&n, vcpu_continue(n.v));
	expect_eq(vmi_log_violations(n.id), n.vendor == NESTED_INTEL);
	expect_eq(value_of(n.v, b->reg) & b->mask, old & b->mask);
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
	old = value_of(n.v, b->reg);
	leave_l2_running(&n, NULL);
	enter_smm(n.v);
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
		expect_eq(value_of(n.v, b->reg), old);
		vm_free(n.vm);
		return;
	}
	expect_eq(vmi_log_violations(n.id), !!action);
	expect_violation(n.id, 0, .rule = RULE, .verdict = action, .flags_clear = KVM_VMI_V_NESTED);
	if (action == KVM_VMI_KILL) {
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	} else {
		expect_l2_done(&n, r);
		/* The rest is as KVM has found it there. */
		expect_eq(value_of(n.v, b->reg) & b->mask, action == KVM_VMI_ALLOW ? 0 : b->mask);
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
	enter_smm(n.v);
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
		expect_violation(n.id, 0, .rule = RULE, .verdict = KVM_VMI_DENY,
				 .flags_clear = KVM_VMI_V_NESTED);
	}
	expect_eq(value_of(n.v, b->reg) & b->mask, b->mask);
	vm_free(n.vm);
}

/* ---- calls ---- */

static void test_bad_input(uintptr_t arg)
{
	static const struct {
		struct kvm_vmi_pin pin;
		int error;
	} rows[] = {
		{ { .cr0 = CR0_WP | CR0_PE, .rule = RULE }, EINVAL },
		{ { .cr0 = 1UL << 31, .rule = RULE }, EINVAL },
		{ { .cr0 = 1UL << 48, .rule = RULE }, EINVAL },
		{ { .cr4 = CR4_PGE, .rule = RULE }, EINVAL },
		{ { .cr4 = KVM_VMI_PIN_CR4 | 1UL << 22, .rule = RULE }, EINVAL },
		{ { .cr4 = 1UL << 32, .rule = RULE }, EINVAL },
		{ { .efer = EFER_SCE, .rule = RULE }, EINVAL },
		{ { .efer = EFER_NX | 1UL << 8, .rule = RULE }, EINVAL },
		{ { .cr0 = CR0_WP, .rule = RULE, .reserved = 1 }, EINVAL },
		{ { .cr0 = CR0_WP }, EINVAL },
		{ { .cr0 = CR0_WP, .rule = KVM_VMI_RULE_ID_MAX + 1 }, EINVAL },
		{ { .cr0 = CR0_WP, .rule = OTHER_RULE }, ENOENT },
		{ { .rule = OTHER_RULE }, ENOENT },
	};
	const struct kvm_vmi_pin all = {
		.cr0 = KVM_VMI_PIN_CR0, .cr4 = KVM_VMI_PIN_CR4, .efer = KVM_VMI_PIN_EFER,
		.rule = RULE,
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
	expect_eq(-vmi_get_pin(id, RULE, &pin), ENOENT);

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	require_eq(vmi_get_pin(id, RULE, &pin), 0);
	expect_eq(pin.cr0 | pin.cr4 | pin.efer, 0);
	require_eq(vmi_set_pin(id, &all), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int r = vmi_set_pin(id, &rows[i].pin);

		expect(r == -rows[i].error, "row %u: %d, not %d", i, -r, rows[i].error);
		require_eq(vmi_get_pin(id, RULE, &pin), 0);
		expect(!memcmp(&pin, &all, sizeof(pin)), "row %u has changed the pins", i);
	}
	expect_eq(-vmi_get_pin(id, 0, &pin), EINVAL);
	expect_eq(-vmi_get_pin(id, KVM_VMI_RULE_ID_MAX + 1, &pin), EINVAL);
	expect_eq(-vmi_get_pin(id, OTHER_RULE, &pin), ENOENT);
	expect_eq(-vmi_set_pin(id + 1000, &all), ESRCH);

	/* It replaces, and goes with its rule. */
	pin = (struct kvm_vmi_pin){ .cr4 = CR4_SMEP, .rule = RULE };
	require_eq(vmi_set_pin(id, &pin), 0);
	expect_clears(vm->vcpu[0], &bits[WP]);
	require_eq(vmi_clear_rule(id, RULE), 0);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	require_eq(vmi_get_pin(id, RULE, &pin), 0);
	expect_eq(pin.cr0 | pin.cr4 | pin.efer, 0);

	/* A dead VM is past changing. */
	pin_by(id, RULE, &bits[SMEP], KVM_VMI_KILL);
	set_bits(vm->vcpu[0], &bits[SMEP]);
	clear_bits(vm->vcpu[0], &bits[SMEP]);
	expect_eq(-vmi_set_pin(id, &all), EIO);
	vm_free(vm);
}

#define ACTIONS(name, fn, i)							\
	{ name "-deny", fn, EACH(i, KVM_VMI_DENY) },				\
	{ name "-allow", fn, EACH(i, KVM_VMI_ALLOW) },				\
	{ name "-skip", fn, EACH(i, KVM_VMI_SKIP) },				\
	{ name "-kill", fn, EACH(i, KVM_VMI_KILL) }
#define SHAPES(name, fn, i)							\
	{ name "-flat", fn, EACH(i, SHAPE_FLAT) },				\
	{ name "-small", fn, EACH(i, SHAPE_SMALL) }

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
	{ "bad-input", test_bad_input },
	{ }
};

static void after(void)
{
	force_emulation("0");
}

const struct test_suite suite_pin = {
	.name = "pin", .cases = cases, .setup = vmi_setup, .after = after,
};
