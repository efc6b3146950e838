// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a VMM that protects sub-pages of its guest is told of a forbidden access, and its
 * answers.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/attempt.h"
#include "lib/subpage.h"
#include "suites.h"

#define RULE	7
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define VALUE	0x1122334455667788UL
#define MMIO	0x90000000UL

#define CASE(a, b)	((a) * 16 + (b))

/* ---- the exit ---- */

static void test_fields(uintptr_t user)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint32_t cpl = user ? KVM_SUBPAGE_EXIT_USER : 0;

	if (user)
		v->cpu->flags |= GUEST_F_USER;
	subpage_protect(vm, DATA, DENIED(0x10));
	*(uint64_t *)vm_hva(vm, DATA + 0x208) = 5;
	require_exit(vcpu_op(v, OP_STORE, DATA + 0x208, VALUE, 8));
	expect_told(v, .gpa = DATA + 0x208, .flags = KVM_SUBPAGE_EXIT_OWN | cpl,
		    .not_flags = KVM_SUBPAGE_EXIT_NESTED | KVM_SUBPAGE_EXIT_VECTORING |
				 (user ? 0 : KVM_SUBPAGE_EXIT_USER));
	/* movq %reg, (%reg) without a displacement */
	expect_eq(subpage_exit(v)->insn_len, 3);
	if (subpage_exit(v)->flags & KVM_SUBPAGE_EXIT_GVA)
		expect_eq(subpage_exit(v)->gva, DATA + 0x208);
	/* Nothing has been done, and the tracepoint has told of it once. */
	expect_eq(vm_read64(vm, DATA + 0x208), 5);
	expect_eq(vmi_log_violations(id), 1);
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_EXIT,
			 .gpa = DATA + 0x208, .flags_set = KVM_VMI_V_VMM);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA + 0x208), VALUE);
	expect_eq(vmi_log_violations(id), 1);
	expect_lands(v, DATA + 0x200 - 8);
	expect_lands(v, DATA + 0x280);
	/* The protection stays. */
	expect_exit(vcpu_op(v, OP_STORE, DATA + 0x208, 1, 8));
	vm_free(vm);
}

/* From an allowed sub-page, and from another page, into a denied one. */
static void test_crossing(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t at = DATA + SUBPAGE - 3;

	(void)arg;
	subpage_protect(vm, DATA, DENIED(2));
	memset(vm_hva(vm, DATA), 0, 2 * SUBPAGE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_told(v, .gpa = DATA + SUBPAGE, .length = 8,
		    .flags = KVM_SUBPAGE_EXIT_EMULATED | KVM_SUBPAGE_EXIT_GVA);
	expect_eq(subpage_exit(v)->gva, DATA + SUBPAGE);
	expect_eq(subpage_exit(v)->insn_len, 3);
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(!memcmp(vm_hva(vm, at), &(uint64_t){ VALUE }, 8), "not stored");
	require_exit(vcpu_op(v, OP_STORE, at, 0, 8));
	expect_done(subpage_answer(v, KVM_VMI_SKIP));
	expect(!memcmp(vm_hva(vm, at), &(uint64_t){ VALUE }, 8), "stored");

	/* The edge of the page. */
	subpage_protect(vm, DATA, DENIED(1U << 31));
	subpage_protect(vm, DATA + PAGE_SIZE, DENIED(1));
	at = DATA + PAGE_SIZE - 3;
	memset(vm_hva(vm, DATA), 0, 2 * PAGE_SIZE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_told(v, .gpa = at);
	/* What was answered of the first page is not about the second. */
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_told(v, .gpa = DATA + PAGE_SIZE, .length = 8);
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(!memcmp(vm_hva(vm, at), &(uint64_t){ VALUE }, 8), "not stored");
	subpage_protect(vm, DATA, ~0U);
	memset(vm_hva(vm, DATA), 0, 2 * PAGE_SIZE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_eq(subpage_exit(v)->gpa, DATA + PAGE_SIZE);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(*(uint8_t *)vm_hva(vm, at), 0);
	vm_free(vm);
}

/* Two pages that are neighbours for the guest only: it is told of both frames. */
static void test_crossing_apart(uintptr_t arg)
{
	uint64_t id, gva = GUEST_ARENA + 0x100000, other = DATA + 2 * PAGE_SIZE;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t at = gva + PAGE_SIZE - 3;

	(void)arg;
	vm_map(vm, gva, DATA, 1, PTE_DEFAULT);
	vm_map(vm, gva + PAGE_SIZE, other, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(1U << 31));
	subpage_protect(vm, other, DENIED(1));
	memset(vm_hva(vm, DATA), 0, PAGE_SIZE);
	memset(vm_hva(vm, other), 0, PAGE_SIZE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_eq(subpage_exit(v)->gpa, DATA + PAGE_SIZE - 3);
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(subpage_exit(v)->gpa, other);
	expect_eq(subpage_exit(v)->gva, gva + PAGE_SIZE);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(*(uint8_t *)vm_hva(vm, DATA + PAGE_SIZE - 3), 0);
	expect_eq(*(uint8_t *)vm_hva(vm, other), 0);
	vm_free(vm);
}

/* Two sub-pages: the CPU's fault tells the first, and an answer is about that. */
static void test_two_subpages(uintptr_t arg)
{
	uint64_t id, at = DATA + SUBPAGE - 4;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(3));
	memset(vm_hva(vm, DATA), 0, 2 * SUBPAGE);
	require_exit(vcpu_op(v, OP_STORE, at, VALUE, 8));
	expect_eq(subpage_exit(v)->length, 0);
	require_exit(subpage_answer(v, KVM_VMI_ALLOW));
	expect_told(v, .gpa = at, .length = 8, .flags = KVM_SUBPAGE_EXIT_EMULATED);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(vm_read64(vm, DATA + SUBPAGE), 0);
	expect_eq(*(uint32_t *)vm_hva(vm, at), 0);
	vm_free(vm);
}

/* What is carried out is the instruction that was asked about. */
static void test_other_instruction(uintptr_t arg)
{
	static const uint8_t ud2[3] = { 0x0f, 0x0b, 0x90 };
	uint8_t before[3], *code;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	memset(vm_hva(vm, DATA), 0, SUBPAGE);
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	require_eq(subpage_exit(v)->insn_len, sizeof(ud2));
	code = vm_hva(vm, v->cpu->insn);
	memcpy(before, code, sizeof(before));
	memcpy(code, ud2, sizeof(ud2));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(vm_read64(vm, DATA), VALUE);
	memcpy(code, before, sizeof(before));
	vm_free(vm);
}

/* A repeated instruction comes to the same bytes twice: it is asked about twice. */
static void test_repeated(uintptr_t arg)
{
	uint64_t id, gva = GUEST_ARENA + 0x100000;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int answers = 0;

	(void)arg;
	vm_map(vm, gva, DATA, 1, PTE_DEFAULT);
	vm_map(vm, gva + PAGE_SIZE, DATA, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(1));
	expect_done(subpage_answer_all(v, vcpu_op(v, OP_REP_STOS, gva, VALUE, 8, 528),
				       KVM_VMI_ALLOW, &answers));
	expect_eq(answers, 32);
	expect_eq(vm_read64(vm, DATA), VALUE);
	vm_free(vm);
}

/* A frame opens only if all its rules come to that: one that denies is not outranked. */
static void test_opens_by_default(uintptr_t arg)
{
	const struct kvm_vmi_rule asks = {
		.id = RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT,
		.dflt = KVM_VMI_ALLOW,
	};
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	unsigned int exits;
	struct run r;

	(void)arg;
	require_eq(vmi_set_rules(id, &asks, 1), 0);
	vmi_rule(id, RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	vmi_protect(id, RULE + 1, DATA, DENIED(1U << 5));
	/*
	 * The stack is in the first sub-page: no exit while an event is being delivered, but
	 * for what its handler does there.
	 */
	r = vcpu_op(v, OP_INT, DATA + SUBPAGE - 8);
	if (vmi_steps_events())
		expect_done(subpage_answer_all(v, r, KVM_VMI_ALLOW, &exits));
	else
		expect(r.end != RUN_DONE || r.vector != GUEST_NO_FAULT, "%s", run_text(&r));
	expect_eq(vmi_counters(id, RULE).opened, 0);
	vm_free(vm);

	/* Alone it opens, unless the CPU can be made to do it alone. */
	vm = subpage_vm(NULL, &id);
	require_eq(vmi_set_rules(id, &asks, 1), 0);
	vmi_protect(id, RULE, DATA, DENIED(1));
	r = vcpu_op(vm->vcpu[0], OP_INT, DATA + SUBPAGE - 8);
	expect_done(subpage_answer_all(vm->vcpu[0], r, KVM_VMI_ALLOW, &exits));
	expect_eq(exits != 0, vmi_steps_events());
	expect_eq(vmi_counters(id, RULE).opened, !vmi_steps_events());
	vm_free(vm);
}

/* Instructions other than MOV, each answered with each. */
static void test_instruction(uintptr_t arg)
{
	static const struct {
		enum guest_op op;
		struct op_args args;
		uint64_t at;		/* the first denied byte */
		unsigned int exits;	/* if all are allowed */
	} rows[] = {
		{ OP_ADD, { { DATA, 1, 8 } }, DATA, 1 },
		{ OP_LOCK_ADD, { { DATA, 1, 8 } }, DATA, 1 },
		{ OP_XADD, { { DATA, 1, 4 } }, DATA, 1 },
		{ OP_XCHG, { { DATA, 1, 8 } }, DATA, 1 },
		{ OP_CMPXCHG, { { DATA, 1, 8, 3 } }, DATA, 1 },
		{ OP_BTS, { { DATA, 7 } }, DATA, 1 },
		{ OP_MOVBE, { { DATA, 7 } }, DATA, 1 },
		{ OP_PUSH, { { DATA + 8, 77 } }, DATA, 1 },
		{ OP_CALL, { { DATA + 8 } }, DATA, 1 },
		{ OP_PUSHF, { { DATA + 8 } }, DATA, 1 },
		{ OP_ENTER, { { DATA + 8 } }, DATA, 1 },
		{ OP_REP_STOS, { { DATA, 9, 8, 3 } }, DATA, 3 },
		{ OP_REP_STOS, { { DATA - 16, 9, 8, 4 } }, DATA, 2 },
		{ OP_REP_STOS, { { DATA + SUBPAGE - 8, 9, 8, 4 } }, DATA + SUBPAGE - 8, 1 },
		{ OP_REP_MOVS, { { DATA, DATA + 0x800, 4, 5 } }, DATA, 5 },
	};
	unsigned int row = arg / 16, exits;
	uint32_t verdict = arg % 16;
	uint8_t before[SUBPAGE], plain[SUBPAGE];
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint8_t *page = vm_hva(vm, DATA);
	struct run r, want;

	memset(page - 16, 3, 16);
	memset(page, 0, PAGE_SIZE);
	page[0] = 3;
	memset(page + 0x800, 0x5a, 64);
	memcpy(before, page, sizeof(before));

	/* What it does where nothing is protected. */
	want = vcpu_op_args(v, rows[row].op, rows[row].args);
	require_done(want);
	memcpy(plain, page, sizeof(plain));
	memcpy(page, before, sizeof(before));

	subpage_protect(vm, DATA, DENIED(1));
	r = vcpu_op_args(v, rows[row].op, rows[row].args);
	require_exit(r);
	expect_told(v, .gpa = rows[row].at, .flags = KVM_SUBPAGE_EXIT_OWN);
	r = subpage_answer_all(v, r, verdict, &exits);
	switch (verdict) {
	case KVM_VMI_ALLOW:
		expect_done(r);
		expect_eq(exits, rows[row].exits);
		expect(!memcmp(page, plain, sizeof(plain)), "not what the CPU does");
		expect(!memcmp(r.ret, want.ret, sizeof(r.ret)), "other results");
		break;
	case KVM_VMI_SKIP:
		expect_done(r);
		expect_eq(exits, 1);
		expect(!memcmp(page, before, sizeof(before)), "memory has changed");
		break;
	default:
		expect_gp(r);
		expect_eq(exits, 1);
		expect(!memcmp(page, before, sizeof(before)), "memory has changed");
	}
	vm_free(vm);
}

/* ---- the answers ---- */

static void test_answers(uintptr_t arg)
{
	static const struct {
		uint32_t answer;
		enum attempt outcome;
	} rows[] = {
		{ KVM_VMI_DEFAULT, ATTEMPT_DENIED },
		{ KVM_VMI_DENY, ATTEMPT_DENIED },
		{ KVM_VMI_ALLOW, ATTEMPT_LANDS },
		{ KVM_VMI_SKIP, ATTEMPT_VANISHES },
		{ KVM_VMI_KILL, ATTEMPT_DENIED },
		{ KVM_VMI_EXIT, ATTEMPT_DENIED },
		{ KVM_VMI_HOLD, ATTEMPT_DENIED },
		{ KVM_VMI_NR_VERDICTS, ATTEMPT_DENIED },
		{ 31, ATTEMPT_DENIED },
		{ 32, ATTEMPT_DENIED },
		{ 34, ATTEMPT_DENIED },
		{ 0x80000002, ATTEMPT_DENIED },
		{ ~0U, ATTEMPT_DENIED },
	};
	/* The fault's byte is denied, or a later one that the emulator finds. */
	const uint64_t at = arg ? DATA + SUBPAGE - 4 : DATA + SUBPAGE;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_vmi_vm_info info;
	unsigned int i;

	subpage_protect(vm, DATA, DENIED(2));
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t value = test_random() | 1, stored;
		struct run r;

		memset(vm_hva(vm, DATA), 0, 3 * SUBPAGE);
		require_exit(vcpu_op(v, OP_STORE, at, value, 8));
		expect_eq(subpage_exit(v)->gpa, DATA + SUBPAGE);
		r = subpage_answer(v, rows[i].answer);
		memcpy(&stored, vm_hva(vm, at), 8);
		if (rows[i].outcome == ATTEMPT_DENIED)
			expect_gp(r);
		else
			expect_done(r);
		expect(stored == (rows[i].outcome == ATTEMPT_LANDS ? value : 0), "row %u: %#llx",
		       i, (unsigned long long)stored);
		/* What a VMM says of its own map is none of the host's count. */
		expect_eq(vmi_info(id, &info), 0);
		expect_eq(info.bad_verdicts, 0);
		expect_lands(v, DATA);
	}
	/* The guest goes on where it stood, once for each. */
	expect_eq(vmi_log_violations(id), ARRAY_SIZE(rows));
	expect_eq(info.violations, 0);
	vm_free(vm);
}

enum change {
	NOTHING, RAX, RIP, FLAGS, SEGMENT, EXCEPTION, INTERRUPT, MAP, SAME_MAP, HOST_MAP,
};

/* What the VMM, or the host, does before it answers. */
static void change(struct vcpu *v, uint64_t id, enum change what)
{
	struct kvm_vcpu_events events;
	struct kvm_interrupt irq = { .irq = GUEST_VECTOR_EVENT };
	struct kvm_sregs sregs;
	struct kvm_regs regs;

	vcpu_ioctl(v, KVM_GET_REGS, &regs);
	vcpu_ioctl(v, KVM_GET_SREGS, &sregs);
	vcpu_ioctl(v, KVM_GET_VCPU_EVENTS, &events);
	switch (what) {
	case NOTHING:
		break;
	case RAX:
		/* None that the instruction uses, as far as the VMM cares. */
		regs.r15 ^= 1;
		break;
	case RIP:
		/* Behind the instruction: the VMM has done it, or does not want it. */
		regs.rip += subpage_exit(v)->insn_len;
		break;
	case FLAGS:
		regs.rflags ^= 1;
		break;
	case SEGMENT:
		sregs.cr3 ^= 1UL << 3;
		break;
	case EXCEPTION:
		events.exception.injected = 1;
		events.exception.nr = VECTOR_UD;
		events.exception.has_error_code = 0;
		break;
	case INTERRUPT:
		vcpu_ioctl(v, KVM_INTERRUPT, &irq);
		return;
	case MAP:
		subpage_protect(v->vm, DATA, ~0U);
		return;
	case SAME_MAP:
		subpage_protect(v->vm, DATA + PAGE_SIZE, 0);
		return;
	case HOST_MAP:
		vmi_rule(id, RULE, KVM_VMI_DENY, 0);
		vmi_protect(id, RULE, DATA, DENIED(1));
		return;
	}
	/* All of it is written, as VMMs do. */
	vcpu_ioctl(v, KVM_SET_REGS, &regs);
	vcpu_ioctl(v, KVM_SET_SREGS, &sregs);
	vcpu_ioctl(v, KVM_SET_VCPU_EVENTS, &events);
}

static void test_lapse(uintptr_t what)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_regs regs;
	struct run r;

	subpage_protect(vm, DATA, DENIED(1));
	*(uint64_t *)vm_hva(vm, DATA) = 5;
	if (what == INTERRUPT) {
		/* From its first instruction on the guest takes interrupts. */
		vcpu_ioctl(v, KVM_GET_REGS, &regs);
		regs.rflags |= 1UL << 9;
		vcpu_ioctl(v, KVM_SET_REGS, &regs);
	}
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	change(v, id, what);
	r = subpage_answer(v, what == MAP || what == RIP ? KVM_VMI_DENY : KVM_VMI_ALLOW);
	switch (what) {
	case NOTHING:
		expect_done(r);
		expect_eq(vm_read64(vm, DATA), VALUE);
		break;
	case RIP:
		/* Neither stored nor denied. */
		expect_done(r);
		expect_eq(vm_read64(vm, DATA), 5);
		expect_eq(vmi_log_violations(id), 1);
		break;
	case EXCEPTION:
		expect_fault(r, VECTOR_UD);
		expect_eq(vm_read64(vm, DATA), 5);
		break;
	case INTERRUPT:
		/* It comes first, and is not lost. */
		expect_exit(r);
		expect_eq(v->cpu->events, 1);
		r = subpage_answer(v, KVM_VMI_ALLOW);
		expect_done(r);
		expect_eq(v->cpu->events, 1);
		expect_eq(vm_read64(vm, DATA), VALUE);
		break;
	case MAP:
		expect_done(r);
		expect_eq(vm_read64(vm, DATA), VALUE);
		break;
	case HOST_MAP:
		expect_gp(r);
		expect_eq(vm_read64(vm, DATA), 5);
		break;
	default:
		/* Tried again: asked again. */
		expect_exit(r);
		expect_eq(vm_read64(vm, DATA), 5);
		expect_eq(vmi_log_violations(id), 2);
		expect_done(subpage_answer(v, KVM_VMI_ALLOW));
		expect_eq(vm_read64(vm, DATA), VALUE);
	}
	vm_free(vm);
}

/* KVM_RUN that is to return at once takes the answer all the same. */
static void test_immediate_exit(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	subpage_exit(v)->verdict = KVM_VMI_ALLOW;
	v->run->immediate_exit = 1;
	expect(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR, "KVM_RUN: %d", errno);
	expect_eq(vm_read64(vm, DATA), VALUE);
	v->run->immediate_exit = 0;
	subpage_exit(v)->verdict = KVM_VMI_DENY;
	expect_done(vcpu_continue(v));
	/* #GP too is raised once. */
	require_exit(vcpu_op(v, OP_STORE, DATA, 1, 8));
	subpage_exit(v)->verdict = KVM_VMI_DENY;
	v->run->immediate_exit = 1;
	expect(ioctl(v->fd, KVM_RUN, 0) < 0 && errno == EINTR, "KVM_RUN: %d", errno);
	v->run->immediate_exit = 0;
	expect_gp(vcpu_continue(v));
	expect_eq(vm_read64(vm, DATA), VALUE);
	vm_free(vm);
}

/* ---- where an exit is no answer ---- */

/* While an event is delivered the default holds: #DF, and the event is gone. */
static void test_vectoring(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	subpage_protect(vm, DATA, 0);
	r = vcpu_op(v, OP_INT, DATA + 0x100);
	expect(r.end == RUN_DONE && r.vector == VECTOR_DF && !r.events, "%s", run_text(&r));
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY,
			 .flags_set = KVM_VMI_V_VECTORING | KVM_VMI_V_VMM);
	subpage_protect(vm, DATA, ~0U);
	r = vcpu_op(v, OP_INT, DATA + 0x100);
	expect_done(r);
	expect_eq(r.events, 1);
	vm_free(vm);
}

/* An instruction that has read a device is not executed again. */
static void test_device(uintptr_t arg)
{
	uint64_t id, value = VALUE;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	vm_map(vm, MMIO, MMIO, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(1));
	*(uint64_t *)vm_hva(vm, DATA) = 5;
	r = vcpu_op(v, OP_REP_MOVS, DATA - 8, MMIO, 8, 2);
	expect_end(r, RUN_MMIO);
	memcpy(v->run->mmio.data, &value, 8);
	r = vcpu_continue(v);
	expect_eq(vm_read64(vm, DATA - 8), VALUE);
	/* The second, which goes to the denied sub-page. */
	expect_end(r, RUN_MMIO);
	expect_eq(r.mmio, MMIO + 8);
	memcpy(v->run->mmio.data, &value, 8);
	expect_gp(vcpu_continue(v));
	expect_eq(vm_read64(vm, DATA), 5);
	expect_eq(vmi_log_violations(id), 1);
	expect_violation(id, 0, .verdict = KVM_VMI_DENY, .gpa = DATA);
	expect(!(vmi_log_violation(id, 0)->v.legal & 1U << KVM_VMI_EXIT), "exit is legal");
	/* The same where the map's own fault began the emulation: from memory on to a device. */
	vm_map(vm, MMIO - PAGE_SIZE, DATA + PAGE_SIZE, 1, PTE_DEFAULT);
	subpage_protect(vm, DATA, DENIED(2));
	*(uint64_t *)vm_hva(vm, DATA + SUBPAGE) = 5;
	r = vcpu_op(v, OP_REP_MOVS, DATA + SUBPAGE - 8, MMIO - 8, 8, 2);
	expect_end(r, RUN_MMIO);
	memcpy(v->run->mmio.data, &value, 8);
	expect_gp(vcpu_continue(v));
	expect_eq(vm_read64(vm, DATA + SUBPAGE), 5);
	expect_eq(vmi_log_violations(id), 2);
	subpage_protect(vm, DATA, DENIED(1));

	/* From memory it may be left. */
	expect_exit(vcpu_op(v, OP_REP_MOVS, DATA, DATA + PAGE_SIZE, 8, 1));
	expect_eq(vmi_log_violations(id), 3);
	vm_free(vm);
}

/* KVM's own writes: the layer denies, whatever the host's rule lets through. */
static void test_kvm_write(uintptr_t host)
{
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	uint64_t *p = vm_hva(vm, DATA + 0x100);

	if (host) {
		vmi_rule(id, RULE, host, 0);
		vmi_protect(id, RULE, DATA, 0);
	}
	p[0] = p[1] = 0;
	subpage_protect(vm, DATA, DENIED(4));
	vcpu_op(v, OP_WRMSR, 0x4b564d00, DATA + 0x100);	/* MSR_KVM_WALL_CLOCK_NEW */
	expect(!p[0] && !p[1], "the wall clock was written");
	expect_violation(id, vmi_log_violations(id) - 1, .kind = KVM_VMI_KVM,
			 .verdict = KVM_VMI_DENY);
	expect_eq(vmi_log_violations(id), host == KVM_VMI_ALLOW ? 2 : 1);
	vmi_log_clear();
	subpage_protect(vm, DATA, DENIED(8));
	vcpu_op(v, OP_WRMSR, 0x4b564d00, DATA + 0x100);
	if (host == KVM_VMI_DENY)
		expect(!p[0] && !p[1], "the wall clock was written");
	else
		expect(p[0] || p[1], "the wall clock was not written");
	vm_free(vm);
}

/* What KVM cannot emulate, and the CPU can: to where it begins the VMM is asked. */
static void test_unemulatable(uintptr_t arg)
{
	const uint32_t legal = 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW;
	uint8_t want[576], *page;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	if (!(vcpu_features(v) & 4))
		tap_skip("no XSAVE");
	page = vm_hva(vm, DATA);
	memset(page, 0xcc, PAGE_SIZE);
	expect_done(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	memcpy(want, page + 0x800, sizeof(want));
	memset(page, 0xcc, PAGE_SIZE);
	subpage_protect(vm, DATA, DENIED(1U << 16));

	/* Beside what is denied. */
	expect_done(vcpu_op(v, OP_XSAVE, DATA + 0x900, VALUE, 16));
	expect(!memcmp(want, page + 0x900, sizeof(want)), "not stored");
	memset(page, 0xcc, PAGE_SIZE);

	/* Reaching into it: with no exit, unless the CPU checks sub-pages and faults there. */
	r = vcpu_op(v, OP_XSAVE, DATA + 0x7c0, VALUE, 16);
	if (vmi_by_hardware(id)) {
		require_exit(r);
		expect_told(v, .gpa = DATA + 0x800, .flags = KVM_SUBPAGE_EXIT_OWN,
			    .legal = legal);
		r = subpage_answer(v, KVM_VMI_DENY);
	}
	expect_gp(r);
	expect_eq(page[0x800], 0xcc);
	memset(page, 0xcc, PAGE_SIZE);

	/* Beginning there. */
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	expect_told(v, .gpa = DATA + 0x800, .flags = KVM_SUBPAGE_EXIT_OWN, .legal = legal);
	expect_gp(subpage_answer(v, KVM_VMI_DENY));
	expect_eq(page[0x800], 0xcc);
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(!memcmp(want, page + 0x800, sizeof(want)), "not stored");
	/* Once. */
	memset(page, 0xcc, PAGE_SIZE);
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	/* A map that lets it through does, too. */
	subpage_protect(vm, DATA, ~0U);
	expect_done(subpage_answer(v, KVM_VMI_DENY));
	expect(!memcmp(want, page + 0x800, sizeof(want)), "not stored");

	/* A rule of the host that lets it through does not speak for the VMM. */
	memset(page, 0xcc, PAGE_SIZE);
	vmi_rule(id, RULE, KVM_VMI_ALLOW, 0);
	vmi_protect(id, RULE, DATA, DENIED(1U << 16));
	subpage_protect(vm, DATA, DENIED(1U << 16));
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	expect_told(v, .gpa = DATA + 0x800, .flags = KVM_SUBPAGE_EXIT_OWN, .legal = legal);
	expect_gp(subpage_answer(v, KVM_VMI_DEFAULT));
	expect_eq(page[0x800], 0xcc);
	/* Nor the VMM for the host. */
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_gp(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	vmi_rule(id, RULE, KVM_VMI_ALLOW, 0);
	require_exit(vcpu_op(v, OP_XSAVE, DATA + 0x800, VALUE, 16));
	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	expect_gp(subpage_answer(v, KVM_VMI_ALLOW));
	expect_eq(page[0x800], 0xcc);
	vm_free(vm);
}

/* The CPU's walk of a page table that the VMM protects. */
static void test_walk(uintptr_t verdict)
{
	struct kvm_vmi_caps caps;
	unsigned int exits;
	uint64_t id, *pte;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	require_eq(vmi_caps(&caps), 0);
	pte = vm_hva(vm, vm_pte(vm, DATA));
	*pte &= ~(PTE_ACCESSED | PTE_DIRTY);
	*(uint64_t *)vm_hva(vm, DATA) = 1234;
	subpage_protect(vm, vm_pte(vm, DATA) & ~(PAGE_SIZE - 1), 0);
	r = vcpu_op(v, OP_LOAD, DATA, 0, 8);
	if (!(caps.features & KVM_VMI_CAP_TDP)) {
		/* KVM walks, and leaves the bit alone. */
		expect_done(r);
		expect(!(*pte & PTE_ACCESSED), "an accessed bit");
		vm_free(vm);
		return;
	}
	require_exit(r);
	expect_eq(subpage_exit(v)->kind, KVM_VMI_WALK);
	expect_eq(subpage_exit(v)->legal, 1U << KVM_VMI_DENY | 1U << KVM_VMI_ALLOW);
	r = subpage_answer_all(v, r, verdict, &exits);
	if (verdict == KVM_VMI_ALLOW) {
		expect_done(r);
		expect_eq(r.ret[0], 1234);
		expect(*pte & PTE_ACCESSED, "no accessed bit");
	} else {
		expect_gp(r);
		expect_eq(exits, 1);
		expect(!(*pte & PTE_ACCESSED), "an accessed bit");
	}
	vm_free(vm);
}

/* What the VMM lets be walked the CPU has not fetched yet: the host's word about that stands. */
static void test_walk_fetch(uintptr_t arg)
{
	const uint64_t walked = PTE_ACCESSED | PTE_DIRTY;
	struct kvm_vmi_range range = {
		.gfn = GFN(DATA), .nr = 1, .rule = RULE, .write = KVM_VMI_WRITE_ALL,
		.rights = KVM_VMI_RIGHT_READ,
	};
	struct kvm_vmi_caps caps;
	unsigned int exits;
	uint64_t id, *pte;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	(void)arg;
	require_eq(vmi_caps(&caps), 0);
	if (!(caps.features & KVM_VMI_CAP_EXEC))
		tap_skip("this KVM cannot");
	memset(vm_hva(vm, DATA), 0xc3, PAGE_SIZE);
	pte = vm_hva(vm, vm_pte(vm, DATA));
	subpage_protect(vm, vm_pte(vm, DATA) & ~(PAGE_SIZE - 1), 0);
	*pte &= ~walked;
	r = vcpu_op(v, OP_EXECUTE, DATA);
	require_exit(r);
	expect_eq(subpage_exit(v)->kind, KVM_VMI_WALK);
	expect_done(subpage_answer_all(v, r, KVM_VMI_ALLOW, &exits));

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	require_eq(vmi_set(id, &range, 1), 0);
	*pte &= ~walked;
	r = vcpu_op(v, OP_EXECUTE, DATA);
	require_exit(r);
	expect_eq(subpage_exit(v)->kind, KVM_VMI_WALK);
	/* Nor is it told what stands there. */
	expect_eq(subpage_exit(v)->insn_len, 0);
	expect_gp(subpage_answer_all(v, r, KVM_VMI_ALLOW, &exits));
	vm_free(vm);
}

/* A reset is the VMM's doing: what it has set stays. */
static void test_reset(uintptr_t arg)
{
	struct kvm_vmi_vm_info info;
	uint64_t id;
	struct vm *vm = subpage_vm(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_sregs s;
	uint32_t mask = 1;

	(void)arg;
	subpage_protect(vm, DATA, DENIED(1));
	require_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr0 = 0x60000010;
	s.cr4 = s.efer = 0;
	s.cs.l = 0;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	vmi_info(id, &info);
	expect_eq(info.generation, 1);
	vcpu_reset_state(v);
	expect_eq(subpage_get(vm, GFN(DATA), 1, &mask), 1);
	expect_eq(mask, DENIED(1));
	/* The answer was about another life. */
	vcpu_prepare(v, OP_NOP, (struct op_args){ });
	expect_done(subpage_answer(v, KVM_VMI_ALLOW));
	expect(vm_read64(vm, DATA) != VALUE, "stored after the reset");
	expect_exit(vcpu_op(v, OP_STORE, DATA, VALUE, 8));
	vm_free(vm);
}

#define INSTRUCTION(row, name)						\
	{ name "-allow", test_instruction, CASE(row, KVM_VMI_ALLOW) },	\
	{ name "-deny", test_instruction, CASE(row, KVM_VMI_DENY) },	\
	{ name "-skip", test_instruction, CASE(row, KVM_VMI_SKIP) }

static const struct test_case cases[] = {
	{ "fields", test_fields, 0 },
	{ "fields-user", test_fields, 1 },
	{ "crossing", test_crossing },
	{ "crossing-apart", test_crossing_apart },
	{ "two-subpages", test_two_subpages },
	{ "other-instruction", test_other_instruction },
	{ "repeated", test_repeated },
	{ "opens-by-default", test_opens_by_default },
	INSTRUCTION(0, "add"),
	INSTRUCTION(1, "lock-add"),
	INSTRUCTION(2, "xadd"),
	INSTRUCTION(3, "xchg"),
	INSTRUCTION(4, "cmpxchg"),
	INSTRUCTION(5, "bts"),
	INSTRUCTION(6, "movbe"),
	INSTRUCTION(7, "push"),
	INSTRUCTION(8, "call"),
	INSTRUCTION(9, "pushf"),
	INSTRUCTION(10, "enter"),
	INSTRUCTION(11, "rep-stos"),
	INSTRUCTION(12, "rep-stos-into"),
	INSTRUCTION(13, "rep-stos-out"),
	INSTRUCTION(14, "rep-movs"),
	{ "answers", test_answers, 0 },
	{ "answers-emulated", test_answers, 1 },
	{ "written-back", test_lapse, NOTHING },
	{ "lapse-register", test_lapse, RAX },
	{ "lapse-rip", test_lapse, RIP },
	{ "lapse-flags", test_lapse, FLAGS },
	{ "lapse-cr3", test_lapse, SEGMENT },
	{ "lapse-exception", test_lapse, EXCEPTION },
	{ "lapse-interrupt", test_lapse, INTERRUPT },
	{ "lapse-map", test_lapse, MAP },
	{ "lapse-other-map", test_lapse, SAME_MAP },
	{ "lapse-host-map", test_lapse, HOST_MAP },
	{ "immediate-exit", test_immediate_exit },
	{ "vectoring", test_vectoring },
	{ "device", test_device },
	{ "kvm-write", test_kvm_write, 0 },
	{ "kvm-write-allow", test_kvm_write, KVM_VMI_ALLOW },
	{ "kvm-write-deny", test_kvm_write, KVM_VMI_DENY },
	{ "unemulatable", test_unemulatable },
	{ "walk-allow", test_walk, KVM_VMI_ALLOW },
	{ "walk-deny", test_walk, KVM_VMI_DENY },
	{ "walk-fetch", test_walk_fetch },
	{ "reset", test_reset },
	{ }
};

const struct test_suite suite_vmm = { .name = "vmm", .cases = cases, .setup = vmi_setup };
