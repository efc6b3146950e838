// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What becomes of a forbidden write: every verdict, by the rule alone and by a
 * program; answers that are not legal; counters; owners that come and go.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	11
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)

static struct vm *new_vm(uint32_t action, uint32_t flags, uint64_t *ret_id)
{
	struct vm *vm = vmi_new(NULL, ret_id);

	vmi_rule(*ret_id, RULE, action, flags);
	vmi_protect(*ret_id, RULE, DATA, DENIED(1));
	return vm;
}

static enum attempt outcome_of(uint32_t verdict)
{
	switch (verdict) {
	case KVM_VMI_ALLOW: return ATTEMPT_LANDS;
	case KVM_VMI_SKIP: return ATTEMPT_VANISHES;
	case KVM_VMI_KILL: return ATTEMPT_KILLS;
	default: return ATTEMPT_DENIED;
	}
}

/* The rule's action with nothing attached. */
static void test_by_rule(uintptr_t action)
{
	uint32_t verdict = action ?: KVM_VMI_DENY;
	struct kvm_vmi_rule_info c;
	uint64_t id;
	struct vm *vm = new_vm(action, 0, &id);
	struct vcpu *v = vm->vcpu[0];

	expect_attempt(v, DATA + 8, 8, outcome_of(verdict));
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = verdict, .rule = RULE);
	expect_eq(vmi_log_violations(id), 1);
	c = vmi_counters(id, RULE);
	expect_eq(c.rule.action[KVM_VMI_ACTION_WRITE], verdict);
	expect_eq(c.violations, 1);
	expect_eq(c.denied, verdict == KVM_VMI_DENY || verdict == KVM_VMI_KILL);
	expect_eq(c.allowed, verdict == KVM_VMI_ALLOW);
	expect_eq(c.skipped, verdict == KVM_VMI_SKIP);
	expect_eq(c.bad_verdicts, 0);
	if (verdict != KVM_VMI_KILL) {
		expect_lands(v, DATA + SUBPAGE);
		/* The protection stays, whatever was decided. */
		expect_attempt(v, DATA + 16, 8, outcome_of(verdict));
		expect_eq(vmi_counters(id, RULE).violations, 2);
	}
	vm_free(vm);
}

/* A program's answer, over a rule whose own action is another one. */
static void test_by_program(uintptr_t verdict)
{
	uint32_t action = verdict == KVM_VMI_DENY ? KVM_VMI_ALLOW : KVM_VMI_DENY;
	uint64_t id;
	struct vm *vm = new_vm(action, 0, &id);
	struct vcpu *v = vm->vcpu[0];

	require_eq(vmi_attach(verdict), 0);
	expect_attempt(v, DATA + 8, 8, outcome_of(verdict));
	expect_violation(id, 0, .verdict = verdict, .flags_clear = KVM_VMI_V_BAD_VERDICT);
	expect_eq(vmi_asked(), 1);
	if (verdict != KVM_VMI_KILL) {
		expect_lands(v, DATA + SUBPAGE);
		expect_eq(vmi_asked(), 1);
		/* Detached, the rule's own action is back. */
		vmi_detach();
		expect_attempt(v, DATA + 8, 8, outcome_of(action));
		expect_eq(vmi_asked(), 1);
	}
	vmi_detach();
	vm_free(vm);
}

/* Answers that are no verdict, or none that is built: the rule decides, and it counts. */
static void test_bad_answers(uintptr_t arg)
{
	static const int answers[] = {
		KVM_VMI_EXIT, KVM_VMI_HOLD, KVM_VMI_NR_VERDICTS, 31, 32, 33, 64, 255, 256, 0x7fffffff,
		-1, -22, (int)0x80000000, (int)0xffffff02,
	};
	struct kvm_vmi_vm_info info;
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_SKIP, 0, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	(void)arg;
	require_eq(vmi_attach(KVM_VMI_DEFAULT), 0);
	expect_vanishes(v, DATA);
	expect_eq(vmi_counters(id, RULE).bad_verdicts, 0);
	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		vmi_set_answer(answers[i]);
		vmi_log_clear();
		expect_vanishes(v, DATA);
		expect_violation(id, 0, .verdict = KVM_VMI_SKIP,
				 .flags_set = KVM_VMI_V_BAD_VERDICT);
		expect_eq(vmi_counters(id, RULE).bad_verdicts, i + 1);
	}
	expect_eq(vmi_info(id, &info), 0);
	expect_eq(info.bad_verdicts, ARRAY_SIZE(answers));
	vmi_detach();
	vm_free(vm);
}

/* Monitored: told, counted, and always let through, whatever is answered. */
static void test_monitor(uintptr_t answer)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_KILL, KVM_VMI_RULE_MONITOR, &id);
	struct vcpu *v = vm->vcpu[0];

	expect_lands(v, DATA);
	require_eq(vmi_attach(answer), 0);
	expect_lands(v, DATA + 8);
	expect_eq(vmi_asked(), 1);
	expect_violation(id, 1, .verdict = KVM_VMI_ALLOW, .flags_set = KVM_VMI_V_MONITOR);
	expect_eq(vmi_counters(id, RULE).allowed, 2);
	/* Live: the same rule enforces from now on. */
	vmi_detach();
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_denied(v, DATA);
	vmi_rule(id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_MONITOR);
	expect_lands(v, DATA);
	vm_free(vm);
}

static void test_disarmed(uintptr_t arg)
{
	struct kvm_vmi_range got[VMI_BATCH];
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_DENY, KVM_VMI_RULE_DISARMED, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	expect_lands(v, DATA);
	expect_eq(vmi_log_violations(id), 0);
	expect_eq(vmi_counters(id, RULE).rule.flags, KVM_VMI_RULE_DISARMED);
	expect_eq(vmi_get(id, 0, got, 64), 1);
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_eq(vmi_counters(id, RULE).rule.flags, 0);
	expect_denied(v, DATA);
	vmi_rule(id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
	expect_lands(v, DATA);
	vm_free(vm);
}

/* Skipped: nothing written, no register but RIP changed, and the next one runs. */
static void test_skip(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_SKIP, 0, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *p = vm_hva(vm, DATA + 0x20);
	struct run r;

	(void)arg;
	*p = 1000;
	r = vcpu_op(v, OP_XADD, DATA + 0x20, 7, 8);
	expect_done(r);
	expect_eq(r.ret[0], 7);
	r = vcpu_op(v, OP_XCHG, DATA + 0x20, 8, 8);
	expect_done(r);
	expect_eq(r.ret[0], 8);
	r = vcpu_op(v, OP_CMPXCHG, DATA + 0x20, 9, 8, 5);
	expect_done(r);
	expect_eq(r.ret[0], 5);
	expect_done(vcpu_op(v, OP_LOCK_ADD, DATA + 0x20, 1, 4));
	expect_done(vcpu_op(v, OP_BTS, DATA + 0x20, 1));
	expect_done(vcpu_op(v, OP_MOVBE, DATA + 0x20, 1));
	r = vcpu_op(v, OP_REP_STOS, DATA + 0x20, 0, 8, 3);
	expect_done(r);
	r = vcpu_op(v, OP_PUSH, DATA + 0x28, 77);
	expect_done(r);
	expect_eq(r.ret[0], DATA + 0x28);
	expect_eq(*p, 1000);
	expect_eq(vmi_counters(id, RULE).skipped, 8);
	expect_lands(v, DATA + SUBPAGE);

	/* A string that begins where it may write is skipped where it may not. */
	memset(vm_hva(vm, DATA + PAGE_SIZE - 16), 0, 16);
	vmi_protect(id, RULE, DATA + PAGE_SIZE, DENIED(1));
	*(uint64_t *)vm_hva(vm, DATA + PAGE_SIZE) = 0x99;
	r = vcpu_op(v, OP_REP_STOS, DATA + PAGE_SIZE - 16, 0x11, 8, 4);
	expect_done(r);
	expect_eq(vm_read64(vm, DATA + PAGE_SIZE - 8), 0x11);
	expect_eq(vm_read64(vm, DATA + PAGE_SIZE), 0x99);
	vm_free(vm);
}

/* Allowed: exactly this access, byte by byte, and nothing beside it. */
static void test_allow(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_ALLOW, 0, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *p = vm_hva(vm, DATA);
	struct run r;

	(void)arg;
	p[0] = p[1] = p[2] = 0x1111111111111111;
	expect_done(vcpu_op(v, OP_STORE, DATA + 8, 0x22, 1));
	expect_eq(p[0], 0x1111111111111111);
	expect_eq(p[1], 0x1111111111111122);
	expect_eq(p[2], 0x1111111111111111);
	r = vcpu_op(v, OP_XADD, DATA, 1, 8);
	expect_done(r);
	expect_eq(r.ret[0], 0x1111111111111111);
	expect_eq(p[0], 0x1111111111111112);
	r = vcpu_op(v, OP_REP_STOS, DATA, 3, 8, 3);
	expect_done(r);
	expect_eq(r.ret[0], 0);
	expect(p[0] == 3 && p[1] == 3 && p[2] == 3, "rep stos: %llu %llu %llu",
	       (unsigned long long)p[0], (unsigned long long)p[1], (unsigned long long)p[2]);
	/* Over the edge of the denied sub-page, into it and out of it. */
	vmi_protect(id, RULE, DATA, DENIED(2));
	expect_lands(v, DATA + SUBPAGE - 4);
	expect_lands(v, DATA + 2 * SUBPAGE - 4);
	expect_eq(vmi_log_violation(id, 0) ? vmi_log_violation(id, 0)->verdict : 0, KVM_VMI_ALLOW);
	vm_free(vm);
}

/* Allowed once: a store is asked about once, not once for the fault and once again. */
static void test_asked_once(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_DENY, 0, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	expect_lands(v, DATA + 24);
	expect_eq(vmi_asked(), 1);
	expect_done(vcpu_op(v, OP_LOCK_ADD, DATA, 1, 8));
	expect_eq(vmi_asked(), 2);
	expect_done(vcpu_op(v, OP_XCHG, DATA, 1, 4));
	expect_eq(vmi_asked(), 3);
	/* Beginning in an allowed sub-page: found by the emulator, once. */
	vmi_protect(id, RULE, DATA, DENIED(2));
	expect_lands(v, DATA + SUBPAGE - 4);
	expect_eq(vmi_asked(), 4);
	expect_violation(id, 3, .kind = KVM_VMI_WRITE, .gpa = DATA + SUBPAGE,
			 .flags_set = KVM_VMI_V_EMULATED);
	vmi_detach();
	vm_free(vm);
}

static void test_kill(uintptr_t arg)
{
	struct kvm_vmi_vm_info info;
	uint64_t id, other_id, value = 0;
	struct vm *other = vmi_new(NULL, &other_id);
	struct vm *vm = new_vm(KVM_VMI_KILL, 0, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_vmi_rule rule = { .id = 1 };
	struct kvm_regs regs;

	(void)arg;
	*(uint64_t *)vm_hva(vm, DATA) = 0xfeed;
	expect_kills(v, DATA);
	expect_end(vcpu_continue(v), RUN_ERROR);
	expect(ioctl(v->fd, KVM_GET_REGS, &regs) < 0 && errno == EIO, "KVM_GET_REGS");
	expect_eq(vmi_info(id, &info), 0);
	expect(info.flags & KVM_VMI_VM_DEAD, "flags %#x", info.flags);
	expect_eq(vmi_log_lives(id, VMI_KILLED), 1);
	/* Its memory can be looked at, its map cannot be changed. */
	expect_eq(vmi_read(id, DATA, &value, 8), 0);
	expect_eq(value, 0xfeed);
	expect_eq(-vmi_set_rules(id, &rule, 1), EIO);
	/* The host and other VMs go on. */
	expect_lands(other->vcpu[0], DATA);
	vm_free(other);
	vm_free(vm);
}

/* Rules on one frame: the strictest that owns a touched, denied byte speaks. */
static void test_sharing(uintptr_t arg)
{
	/* in order of strictness */
	static const uint32_t actions[] = { KVM_VMI_DENY, KVM_VMI_SKIP, KVM_VMI_ALLOW };
	unsigned int i, j;
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	for (i = 0; i < 3; i++) {
		for (j = 0; j < 3; j++) {
			uint32_t speaks = i <= j ? 1 : 2;
			uint32_t action = actions[i < j ? i : j];

			vmi_rule(id, 1, actions[i], 0);
			vmi_rule(id, 2, actions[j], 0);
			vmi_protect(id, 1, DATA, DENIED(0x3));
			vmi_protect(id, 2, DATA, DENIED(0x6));
			vmi_log_clear();
			expect_attempt(v, DATA, 8, outcome_of(actions[i]));
			expect_attempt(v, DATA + SUBPAGE, 8, outcome_of(action));
			expect_attempt(v, DATA + 2 * SUBPAGE, 8, outcome_of(actions[j]));
			expect_lands(v, DATA + 3 * SUBPAGE);
			expect_violation(id, 0, .rule = 1, .verdict = actions[i]);
			expect_violation(id, 1, .rule = speaks, .verdict = action);
			expect_violation(id, 2, .rule = 2, .verdict = actions[j]);
			expect_eq(vmi_log_violations(id), 3);

			/* What lies below shows again. */
			expect_eq(vmi_clear_rule(id, speaks), 0);
			expect_attempt(v, DATA + SUBPAGE, 8,
				       outcome_of(speaks == 1 ? actions[j] : actions[i]));
			expect_attempt(v, DATA, 8,
				       speaks == 1 ? ATTEMPT_LANDS : outcome_of(actions[i]));
		}
	}
	vm_free(vm);
}

/* One store over two sub-pages of different rules: the stricter of the two. */
static void test_crossing_rules(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	vmi_rule(id, 1, KVM_VMI_ALLOW, 0);
	vmi_rule(id, 2, KVM_VMI_DENY, 0);
	vmi_protect(id, 1, DATA, DENIED(1));
	vmi_protect(id, 2, DATA, DENIED(2));
	expect_lands(v, DATA);
	vmi_log_clear();
	expect_attempt(v, DATA + SUBPAGE - 4, 8, ATTEMPT_DENIED);
	expect(vmi_log_violations(id) >= 1, "no violation");
	expect_violation(id, vmi_log_violations(id) - 1, .rule = 2, .verdict = KVM_VMI_DENY);
	/* The same over the edge of two frames. */
	vmi_protect(id, 1, DATA, DENIED(1U << 31));
	vmi_protect(id, 2, DATA + PAGE_SIZE, DENIED(1));
	expect_attempt(v, DATA + PAGE_SIZE - 4, 8, ATTEMPT_DENIED);
	expect_lands(v, DATA + PAGE_SIZE - 8);
	vm_free(vm);
}

/* Default of a rule whose action cannot be done, legal bits, and `default`. */
/* Have an interrupt return at once: a handler's own pushes would be skipped. */
static void return_at_once(struct vcpu *v)
{
	static const uint8_t iretq[] = { 0x48, 0xcf };
	uint16_t *gate = vm_hva(v->vm, v->block + GUEST_IDT + GUEST_VECTOR_EVENT * 16);

	memcpy(vm_hva(v->vm, GUEST_SCRATCH_BASE), iretq, sizeof(iretq));
	gate[0] = GUEST_SCRATCH_BASE & 0xffff;
	gate[3] = GUEST_SCRATCH_BASE >> 16;
}

static void test_default(uintptr_t dflt)
{
	struct kvm_vmi_rule rule = {
		.id = RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_SKIP,
		.dflt = dflt,
	};
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	/* Skipping is illegal while an event is being delivered. */
	require_eq(vmi_set_rules(id, &rule, 1), 0);
	vmi_protect(id, RULE, DATA, 0);
	if (dflt == KVM_VMI_ALLOW)
		return_at_once(v);
	r = vcpu_op(v, OP_INT, DATA + 0x100);
	switch (dflt) {
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		break;
	case KVM_VMI_ALLOW:
		expect_done(r);
		expect_violation(id, 0, .verdict = vmi_steps_events() ? KVM_VMI_ALLOW :
							KVM_VMI_NR_VERDICTS);
		break;
	default:
		expect(r.end == RUN_DONE && r.vector == VECTOR_DF && !r.events, "%s", run_text(&r));
	}
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .flags_set = KVM_VMI_V_VECTORING);
	vm_free(vm);
}

/* One owner, swapped without a gap, gone without a trace. */
static void test_owners(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = new_vm(KVM_VMI_DENY, 0, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
		expect_eq(-vmi_try_second(), EBUSY);
		expect_lands(v, DATA);
		expect_eq(vmi_swap(KVM_VMI_SKIP), 0);
		expect_vanishes(v, DATA);
		expect_eq(vmi_asked(), 1);
		expect_eq(vmi_asked_second(), 1);
		vmi_detach();
		expect_denied(v, DATA);
		expect_eq(vmi_asked_second(), 1);
	}
	expect_eq(vmi_try_second(), 0);
	vm_free(vm);
}

/* Existing VMs are announced to each owner exactly once, new ones too, dead ones end. */
static void test_announcements(uintptr_t arg)
{
	uint64_t id, second_id;
	struct vm *vm = vmi_new(NULL, &id), *second;
	const struct vmi_life *life;

	(void)arg;
	require_eq(vmi_attach(KVM_VMI_DEFAULT), 0);
	expect_eq(vmi_log_lives(id, VMI_OPS_CREATED), 1);
	life = vmi_log_life(id, VMI_OPS_CREATED);
	expect(life && life->pid == (uint32_t)getpid() && life->uid == 0, "who created it");
	second = vm_new(NULL);
	second_id = vmi_vm(second);
	expect(second_id > id, "ids do not grow");
	expect_eq(vmi_log_lives(second_id, VMI_OPS_CREATED), 1);
	expect_eq(vmi_log_lives(second_id, VMI_CREATED), 1);
	expect_eq(vmi_log_lives(id, VMI_OPS_CREATED), 1);
	expect_eq(vmi_swap(KVM_VMI_DEFAULT), 0);
	vm_free(second);
	expect_eq(vmi_log_lives(second_id, VMI_DESTROYED), 1);
	vmi_detach();

	/* A new owner is told anew. */
	vmi_log_clear();
	require_eq(vmi_attach(KVM_VMI_DEFAULT), 0);
	expect_eq(vmi_log_lives(id, VMI_OPS_CREATED), 1);
	expect_eq(vmi_log_lives(second_id, VMI_OPS_CREATED), 0);
	vm_free(vm);
	expect_eq(vmi_log_lives(id, VMI_OPS_DESTROYED), 1);
	vmi_detach();
}

static const struct test_case cases[] = {
	{ "rule-default", test_by_rule, KVM_VMI_DEFAULT },
	{ "rule-deny", test_by_rule, KVM_VMI_DENY },
	{ "rule-allow", test_by_rule, KVM_VMI_ALLOW },
	{ "rule-skip", test_by_rule, KVM_VMI_SKIP },
	{ "rule-kill", test_by_rule, KVM_VMI_KILL },
	{ "program-deny", test_by_program, KVM_VMI_DENY },
	{ "program-allow", test_by_program, KVM_VMI_ALLOW },
	{ "program-skip", test_by_program, KVM_VMI_SKIP },
	{ "program-kill", test_by_program, KVM_VMI_KILL },
	{ "bad-answers", test_bad_answers },
	{ "monitor-default", test_monitor, KVM_VMI_DEFAULT },
	{ "monitor-deny", test_monitor, KVM_VMI_DENY },
	{ "monitor-kill", test_monitor, KVM_VMI_KILL },
	{ "disarmed", test_disarmed },
	{ "skip", test_skip },
	{ "allow", test_allow },
	{ "asked-once", test_asked_once },
	{ "kill", test_kill },
	{ "sharing", test_sharing },
	{ "crossing-rules", test_crossing_rules },
	{ "default-unsaid", test_default, KVM_VMI_DEFAULT },
	{ "default-deny", test_default, KVM_VMI_DENY },
	{ "default-allow", test_default, KVM_VMI_ALLOW },
	{ "default-kill", test_default, KVM_VMI_KILL },
	{ "owners", test_owners },
	{ "announcements", test_announcements },
	{ }
};

const struct test_suite suite_verdict = { .name = "verdict", .cases = cases, .setup = vmi_setup };
