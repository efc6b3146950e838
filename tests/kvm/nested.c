// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a guest's guest may write.  The map is L1's: an L2 reaches the same frames
 * by its own addresses, through roots of KVM's that no other guest uses, and must
 * meet the same verdicts.  Each case has stores that land beside those that do not.
 */
#include <errno.h>
#include <string.h>

#include "lib/nested.h"
#include "suites.h"

#define RULE	23
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define SUB	5
#define TARGET	(DATA + SUB * SUBPAGE)
#define BEFORE	(TARGET - 8)
#define BEHIND	(TARGET + SUBPAGE)
/* The same memory at the L2's other address. */
#define L2(gpa)	((gpa) - GUEST_ARENA + L2_ARENA)

#define CASE(shape, n)	((shape) * 8 + (n))

static void deny_target(struct nested *n, uint32_t action, uint32_t flags)
{
	vmi_rule(n->id, RULE, action, flags);
	vmi_protect(n->id, RULE, DATA, DENIED(1U << SUB));
}

/* The neighbours in the frame, and other frames, are none of the rule's business. */
static void expect_neighbours(struct nested *n)
{
	unsigned int before = vmi_log_violations(n->id);

	l2_lands(n, BEFORE);
	l2_lands(n, BEHIND);
	l2_lands(n, DATA - PAGE_SIZE);
	l2_lands(n, DATA + PAGE_SIZE);
	l2_lands(n, GUEST_ARENA + (NESTED_FRAMES - 1) * PAGE_SIZE);
	expect_eq(vmi_log_violations(n->id), before);
}

/* The last violation is a store of the L2's to TARGET, by @gva. */
static void expect_l2_violation(struct nested *n, uint64_t gva, uint32_t verdict)
{
	unsigned int last = vmi_log_violations(n->id) - 1;
	const struct vmi_record *r = vmi_log_violation(n->id, last);

	expect_violation(n->id, last, .kind = KVM_VMI_WRITE, .rule = RULE, .gpa = TARGET,
			 .verdict = verdict, .flags_set = KVM_VMI_V_NESTED,
			 .flags_clear = KVM_VMI_V_VECTORING | KVM_VMI_V_USER);
	if (!r)
		return;
	expect_eq(r->v.rip, n->v->cpu->insn);
	expect_eq(r->v.cr3, n->vm->cr3 | L2_CR3_MARK);
	if (r->v.flags & KVM_VMI_V_GVA)
		expect_eq(r->v.gva, gva);
	/* Stepping over is not for an L2: KVM would have to do L1's part. */
	expect(!(r->v.legal & 1U << KVM_VMI_SKIP), "skip is legal");
}

/* What L1 itself stores there is judged as ever. */
static void expect_l1_denied(struct nested *n)
{
	vmi_log_clear();
	expect_denied(n->v, TARGET);
	expect_violation(n->id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY, .gpa = TARGET,
			 .flags_clear = KVM_VMI_V_NESTED);
	expect_lands(n->v, BEHIND);
}

static void test_verdict(uintptr_t arg)
{
	enum shape shape = arg / 8;
	uint32_t action = arg % 8;
	struct nested n;

	nested_new(&n, shape, 0);
	deny_target(&n, action, 0);
	expect_neighbours(&n);
	expect_eq(vmi_log_violations(n.id), 0);
	switch (action) {
	case KVM_VMI_ALLOW:
		l2_lands(&n, TARGET);
		expect_l2_violation(&n, TARGET, KVM_VMI_ALLOW);
		break;
	case KVM_VMI_KILL:
		l2_kills(&n, TARGET);
		expect_l2_violation(&n, TARGET, KVM_VMI_KILL);
		vm_free(n.vm);
		return;
	default:
		/* Skip cannot be done: the rule's default, deny. */
		l2_denied(&n, TARGET);
		expect_l2_violation(&n, TARGET, KVM_VMI_DENY);
	}
	expect_eq(vmi_log_violations(n.id), 1);
	expect_neighbours(&n);
	if (action == KVM_VMI_DENY)
		expect_l1_denied(&n);
	vmi_unprotect(n.id, RULE, DATA);
	l2_lands(&n, TARGET);
	vm_free(n.vm);
}

static void test_monitor(uintptr_t shape)
{
	struct nested n;

	nested_new(&n, shape, 0);
	deny_target(&n, KVM_VMI_KILL, KVM_VMI_RULE_MONITOR);
	l2_lands(&n, TARGET);
	expect_l2_violation(&n, TARGET, KVM_VMI_ALLOW);
	l2_lands(&n, TARGET);
	expect_eq(vmi_log_violations(n.id), 2);
	expect_neighbours(&n);
	vm_free(n.vm);
}

static void test_program(uintptr_t arg)
{
	enum shape shape = arg / 8;
	uint32_t answer = arg % 8;
	struct nested n;

	nested_new(&n, shape, 0);
	deny_target(&n, answer == KVM_VMI_DENY ? KVM_VMI_ALLOW : KVM_VMI_DENY, 0);
	require_eq(vmi_attach(answer), 0);
	expect_neighbours(&n);
	expect_eq(vmi_asked(), 0);
	if (answer == KVM_VMI_ALLOW)
		l2_lands(&n, TARGET);
	else if (answer == KVM_VMI_KILL)
		l2_kills(&n, TARGET);
	else
		l2_denied(&n, TARGET);
	expect_eq(vmi_asked(), 1);
	expect_l2_violation(&n, TARGET, answer == KVM_VMI_SKIP ? KVM_VMI_DENY : answer);
	/* An answer that is not legal for an L2 counts as none. */
	expect_violation(n.id, 0,
			 .flags_set = answer == KVM_VMI_SKIP ? KVM_VMI_V_BAD_VERDICT : 0,
			 .flags_clear = answer == KVM_VMI_SKIP ? 0 : KVM_VMI_V_BAD_VERDICT);
	expect_eq(vmi_counters(n.id, RULE).bad_verdicts, answer == KVM_VMI_SKIP);
	vmi_detach();
	if (answer != KVM_VMI_KILL)
		expect_neighbours(&n);
	vm_free(n.vm);
}

static void test_whole_page(uintptr_t shape)
{
	unsigned int i;
	struct nested n;

	nested_new(&n, shape, 0);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	vmi_protect_frames(n.id, RULE, DATA, 2, 0);
	for (i = 0; i < 32; i += 31) {
		l2_denied(&n, DATA + i * SUBPAGE);
		l2_denied(&n, DATA + PAGE_SIZE + i * SUBPAGE);
	}
	expect_eq(vmi_log_violations(n.id), 4);
	l2_lands(&n, DATA - 8);
	l2_lands(&n, DATA + 2 * PAGE_SIZE);
	/* A whole huge page, and beyond it. */
	vmi_protect_frames(n.id, RULE, GUEST_ARENA, NESTED_FRAMES, 0);
	l2_denied(&n, GUEST_ARENA);
	l2_denied(&n, GUEST_ARENA + NESTED_FRAMES * PAGE_SIZE - 8);
	l2_lands(&n, nested_page(&n, L1_FREE));
	vm_free(n.vm);
}

/* L1 may map its frames elsewhere for its L2: what counts is the frame. */
static void test_other_address(uintptr_t shape)
{
	struct nested n;

	nested_new(&n, shape, 0);
	deny_target(&n, KVM_VMI_DENY, 0);
	l2_lands(&n, L2(BEHIND));
	l2_denied(&n, L2(TARGET));
	expect_l2_violation(&n, L2(TARGET), KVM_VMI_DENY);
	l2_denied(&n, TARGET);
	expect_l2_violation(&n, TARGET, KVM_VMI_DENY);
	expect_eq(vmi_log_violations(n.id), 2);
	l2_lands(&n, L2(BEFORE));
	l2_lands(&n, L2(DATA + PAGE_SIZE));
	/* Allowed, the store goes to the right frame too. */
	vmi_rule(n.id, RULE, KVM_VMI_ALLOW, 0);
	l2_lands(&n, L2(TARGET));
	expect_l2_violation(&n, L2(TARGET), KVM_VMI_ALLOW);
	vm_free(n.vm);
}

/* Instructions that store more, in parts, or under a lock. */
static void test_instructions(uintptr_t shape)
{
	struct nested n;
	uint8_t *page;
	struct run r;

	nested_new(&n, shape, 0);
	deny_target(&n, KVM_VMI_DENY, 0);
	page = vm_hva(n.vm, DATA);
	memset(page, 0, 2 * PAGE_SIZE);

	/* Over the edge, from an allowed sub-page into the denied one and out of it. */
	expect_l2_gp(&n, l2_op(&n, OP_STORE, TARGET - 4, ~0ULL, 8));
	expect_l2_gp(&n, l2_op(&n, OP_STORE, BEHIND - 4, ~0ULL, 8));
	expect_l2_gp(&n, l2_op(&n, OP_LOCK_ADD, TARGET, 1, 8));
	expect_l2_gp(&n, l2_op(&n, OP_XCHG, TARGET, 1, 4));
	expect_l2_gp(&n, l2_op(&n, OP_XADD, TARGET + 64, 1, 8));
	expect_l2_gp(&n, l2_op(&n, OP_CMPXCHG, TARGET, 1, 8, 0));
	expect_l2_gp(&n, l2_op(&n, OP_BTS, TARGET, 3));
	expect(!page[SUB * SUBPAGE] && !memcmp(page, page + 1, PAGE_SIZE - 1),
	       "something was written");
	/* The frame of its #GP goes to that stack too, below what is denied. */
	r = l2_op(&n, OP_PUSH, TARGET + 8, 1);
	if (vmi_steps_events())
		expect_l2_gp(&n, r);
	else
		expect(r.end == RUN_DONE && r.vector == VECTOR_DF, "%s", l2_text(&n, &r));
	expect(!vm_read64(n.vm, TARGET) && !vm_read64(n.vm, BEHIND), "something was written");

	expect_l2_done(&n, l2_op(&n, OP_LOCK_ADD, BEHIND, 3, 8));
	r = l2_op(&n, OP_XADD, BEHIND, 4, 8);
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], 3);
	r = l2_op(&n, OP_CMPXCHG, BEHIND, 70, 8, 7);
	expect_l2_done(&n, r);
	expect_eq(r.ret[1], 1);
	expect_eq(vm_read64(n.vm, BEHIND), 70);
	expect_l2_done(&n, l2_op(&n, OP_PUSH, TARGET, 1234));
	expect_eq(vm_read64(n.vm, BEFORE), 1234);

	/* Strings, up to the first byte that is denied. */
	memset(page, 0, PAGE_SIZE);
	r = l2_op(&n, OP_REP_STOS, TARGET - 64, 0x5555555555555555, 8, 24);
	expect_l2_gp(&n, r);
	expect_eq(r.ret[0], 16);
	expect(page[SUB * SUBPAGE - 64] == 0x55 && page[SUB * SUBPAGE - 1] == 0x55,
	       "not stored before the denied sub-page");
	expect(!page[SUB * SUBPAGE], "stored in the denied sub-page");
	r = l2_op(&n, OP_REP_MOVS, BEHIND, GUEST_IMAGE_BASE, 8, 16);
	expect_l2_done(&n, r);
	expect(!memcmp(vm_hva(n.vm, BEHIND), vm_hva(n.vm, GUEST_IMAGE_BASE), 128), "not copied");
	vm_free(n.vm);
}

/* A store over the edge of two frames is carried out whole or not at all. */
static void test_crossing(uintptr_t shape)
{
	uint64_t edge = DATA + PAGE_SIZE;
	struct nested n;

	nested_new(&n, shape, 0);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(n.id, RULE, edge, DENIED(1));
	l2_expect(&n, edge - 4, 8, ATTEMPT_DENIED);
	l2_expect(&n, edge - 4, 4, ATTEMPT_LANDS);
	l2_denied(&n, edge);
	vmi_protect(n.id, RULE, edge, DENIED(2));
	l2_expect(&n, edge - 4, 8, ATTEMPT_LANDS);
	vmi_protect(n.id, RULE, DATA, DENIED(1U << 31));
	l2_expect(&n, edge - 4, 8, ATTEMPT_DENIED);
	l2_expect(&n, edge, 8, ATTEMPT_LANDS);
	if (shape != SHAPE_FLAT)
		l2_expect(&n, L2(edge) - 4, 8, ATTEMPT_DENIED);
	vm_free(n.vm);
}

/* What KVM's emulator does not know, beside what is denied, and reaching into it. */
static void test_unemulatable(uintptr_t arg)
{
	uint32_t action = arg % 8;
	struct nested n;
	uint64_t *p;
	struct run r;

	nested_new(&n, arg / 8, 0);
	if (!(vcpu_features(n.v) & 4))
		tap_skip("no XSAVE");
	p = vm_hva(n.vm, TARGET);
	*p = ~0ULL;
	deny_target(&n, action, 0);
	expect_l2_done(&n, l2_op(&n, OP_XSAVE, DATA + 0x800));
	expect_eq(vmi_log_violations(n.id), 0);
	r = l2_op(&n, OP_XSAVE, TARGET - 0x40);
	if (action == KVM_VMI_ALLOW)
		expect_l2_done(&n, r);
	else if (action == KVM_VMI_KILL)
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", l2_text(&n, &r));
	else
		expect_l2_gp(&n, r);
	expect(action == KVM_VMI_ALLOW ? *p != ~0ULL : *p == ~0ULL, "%#llx",
	       (unsigned long long)*p);
	expect_violation(n.id, 0, .kind = KVM_VMI_WRITE, .rule = RULE, .gpa = TARGET,
			 .flags_set = KVM_VMI_V_NESTED);
	if (action == KVM_VMI_DENY)
		l2_lands(&n, BEHIND);
	vm_free(n.vm);
}

/* L1 may have the exception: then the L2 never sees it. */
static void test_l1_takes_fault(uintptr_t shape)
{
	uint64_t before;
	struct nested n;

	nested_new(&n, shape, L1_TAKES_FAULTS);
	deny_target(&n, KVM_VMI_DENY, 0);
	before = vm_read64(n.vm, TARGET);
	expect_l2_exit(&n, l2_op(&n, OP_STORE, TARGET, ~before, 8), L2_EXCEPTION);
	expect_eq(n.v->cpu->l2_info, VECTOR_GP);
	expect_eq(n.v->cpu->l2_rip, n.v->cpu->insn);
	expect_eq(vm_read64(n.vm, TARGET), before);
	expect_l2_violation(&n, TARGET, KVM_VMI_DENY);

	/* While an event is delivered: #DF, L1's as well. */
	vmi_log_clear();
	expect_l2_exit(&n, l2_op(&n, OP_INT, TARGET + SUBPAGE), L2_EXCEPTION);
	expect_eq(n.v->cpu->l2_info, VECTOR_DF);
	expect_violation(n.id, 0, .kind = KVM_VMI_WRITE,
			 .flags_set = KVM_VMI_V_NESTED | KVM_VMI_V_VECTORING);
	expect_neighbours(&n);
	expect_l1_denied(&n);
	vm_free(n.vm);
}

/* An event whose frame goes to a protected stack: the L2's own INT, or L1's injection. */
static void event(struct nested *n, bool injected, uint64_t stack, uint32_t action)
{
	struct run r;

	if (injected)
		n->mode |= L1_INJECTS;
	vmi_log_clear();
	r = injected ? l2_op(n, OP_NOP, stack) : l2_op(n, OP_INT, stack);
	n->mode &= ~L1_INJECTS;
	switch (action) {
	case KVM_VMI_DENY:
		expect(r.end == RUN_DONE && r.vector == VECTOR_DF && !r.events && l2_is_done(n),
		       "%s", l2_text(n, &r));
		break;
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", l2_text(n, &r));
		break;
	default:
		expect_l2_done(n, r);
		expect_eq(r.events, 1);
	}
	if (action)
		expect_violation(n->id, 0, .rule = RULE,
				 .flags_set = KVM_VMI_V_NESTED | KVM_VMI_V_VECTORING);
	else
		expect_eq(vmi_log_violations(n->id), 0);
}

static void test_event(uintptr_t arg)
{
	uint32_t action = arg % 8;
	struct nested n;
	int injected;

	for (injected = 0; injected < 2; injected++) {
		nested_new(&n, arg / 8, 0);
		vmi_rule(n.id, RULE, action, 0);
		vmi_protect(n.id, RULE, DATA, DENIED(0xffff));
		event(&n, injected, DATA + PAGE_SIZE * 2, 0);
		event(&n, injected, DATA + 0x700, action);
		if (action == KVM_VMI_DENY) {
			event(&n, injected, DATA + PAGE_SIZE * 2, 0);
			l2_lands(&n, DATA + 0x800);
		}
		vm_free(n.vm);
	}
}

/* The roots that an L2 runs on are filled: a rule holds at once, and ends at once. */
static void test_populated(uintptr_t shape)
{
	struct nested n;
	int i;

	nested_new(&n, shape, 0);
	for (i = 0; i < 3; i++) {
		l2_lands(&n, TARGET);
		l2_lands(&n, DATA + PAGE_SIZE);
		vmi_log_clear();
		deny_target(&n, KVM_VMI_DENY, 0);
		l2_denied(&n, TARGET);
		expect_l2_violation(&n, TARGET, KVM_VMI_DENY);
		expect_neighbours(&n);
		vmi_protect(n.id, RULE, DATA, 0);
		l2_denied(&n, BEHIND);
		l2_lands(&n, DATA + PAGE_SIZE);
		vmi_unprotect(n.id, RULE, DATA);
		l2_lands(&n, BEHIND);
		/* Disarmed and armed, with the claim in place. */
		deny_target(&n, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
		l2_lands(&n, TARGET);
		vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
		l2_denied(&n, TARGET);
		require_eq(vmi_clear_rule(n.id, RULE), 0);
	}
	vm_free(n.vm);
}

#define HAMMER_LOG	(nested_page(&n, L1_FREE))
#define ALWAYS_ALLOWED	1U	/* sub-pages */

/* The L2 stores all the time while the map changes under it. */
static void test_hammer(uintptr_t shape)
{
	unsigned int i, sub, rounds = test_options.long_run ? 10000 : 200;
	uint64_t snapshot[32];
	uint32_t denied = 0, refused;
	struct nested n;
	struct run r;

	nested_new(&n, shape, 0);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	n.v->timeout_ms = 600000;
	n.v->cpu->l2_op = OP_HAMMER;
	vcpu_spawn(n.v, OP_NESTED_RUN, DATA, 1, test_random(), 1UL << 40, HAMMER_LOG, 0);
	require(vcpu_wait_progress(n.v, 20), "the L2 does not run");
	vcpu_yield_to_all(n.v);
	for (i = 0; i < rounds; i++) {
		uint64_t *page = vm_hva(n.vm, DATA);

		require(vcpu_wait_progress(n.v, n.v->cpu->progress + 2), "the L2 stands still");
		for (sub = 0; sub < 32; sub++)
			require(!(denied >> sub & 1) || page[sub * 16] == snapshot[sub],
				"round %u: sub-page %u was written after it was denied", i, sub);
		denied = test_random() & ~ALWAYS_ALLOWED;
		if (i % 8 == 7) {
			vmi_unprotect(n.id, RULE, DATA);
			denied = 0;
		} else {
			vmi_protect(n.id, RULE, DATA, DENIED(denied));
		}
		for (sub = 0; sub < 32; sub++)
			snapshot[sub] = ((volatile uint64_t *)page)[sub * 16];
	}
	n.v->cpu->stop = 1;
	r = vcpu_join(n.v);
	expect(r.end == RUN_DONE && l2_is_done(&n), "%s", l2_text(&n, &r));
	expect(!r.ret[2], "%llu contradictions, the first at %#llx", (unsigned long long)r.ret[2],
	       (unsigned long long)r.ret[3]);
	/* Behind the values: a word of sub-pages that took a store, one of those that refused. */
	refused = ((uint32_t *)vm_hva(n.vm, HAMMER_LOG + 32 * 8))[1];
	expect(!(refused & ALWAYS_ALLOWED), "an allowed store was refused");
	expect(r.ret[0] && r.ret[1], "%llu refused, %llu taken", (unsigned long long)r.ret[0],
	       (unsigned long long)r.ret[1]);
	vm_free(n.vm);
}

/* What L1 itself forbids its L2 is L1's to see, and no violation. */
static void test_l1_forbids(uintptr_t shape)
{
	uint64_t entry;
	struct nested n;

	nested_new(&n, shape, 0);
	deny_target(&n, KVM_VMI_DENY, 0);
	entry = *nested_entry(&n, DATA);
	*nested_entry(&n, DATA) &= ~2UL;	/* W, in both formats */
	expect_l2_exit(&n, l2_op(&n, OP_STORE, TARGET, 1, 8), L2_NESTED_FAULT);
	expect_eq(n.v->cpu->l2_gpa & ~(PAGE_SIZE - 1), DATA);
	expect_eq(vmi_log_violations(n.id), 0);

	/* L1 changes its mind, by a store of its own. */
	expect_done(vcpu_op(n.v, OP_STORE,
			    nested_page(&n, shape == SHAPE_HUGE ? L1_PD_ARENA : L1_PT_ARENA) +
			    (shape == SHAPE_HUGE ? 0 : GFN(DATA - GUEST_ARENA) * 8), entry, 8));
	l2_denied(&n, TARGET);
	expect_l2_violation(&n, TARGET, KVM_VMI_DENY);
	l2_lands(&n, BEHIND);
	vm_free(n.vm);
}

/* A snapshot of the registers says whose they are. */
static void test_registers(uintptr_t shape)
{
	struct kvm_vmi_regs regs;
	struct nested n;
	int nested;

	nested_new(&n, shape, 0);
	for (nested = 0; nested < 2; nested++) {
		n.v->timeout_ms = 60000;
		n.v->cpu->l2_op = OP_RDTSC_SPIN;
		if (nested)
			vcpu_spawn(n.v, OP_NESTED_RUN, 1ULL << 50);
		else
			vcpu_spawn(n.v, OP_RDTSC_SPIN, 1ULL << 50);
		require(vcpu_wait_progress(n.v, 10), "it does not run");
		require_eq(vmi_regs(n.id, 0, &regs), 0);
		expect_eq(regs.nested, nested);
		expect_eq(regs.cr3, n.vm->cr3 | (nested ? L2_CR3_MARK : 0));
		n.v->cpu->stop = 1;
		expect_done(vcpu_join(n.v));
	}
	vm_free(n.vm);
}

#define EACH_VERDICT(name, fn, shape)					\
	{ name "-deny", fn, CASE(shape, KVM_VMI_DENY) },		\
	{ name "-allow", fn, CASE(shape, KVM_VMI_ALLOW) },		\
	{ name "-skip", fn, CASE(shape, KVM_VMI_SKIP) },		\
	{ name "-kill", fn, CASE(shape, KVM_VMI_KILL) }

#define EACH_SHAPE(name, fn)						\
	{ name "-flat", fn, SHAPE_FLAT },				\
	{ name "-small", fn, SHAPE_SMALL },				\
	{ name "-small-ad", fn, SHAPE_SMALL_AD },			\
	{ name "-huge", fn, SHAPE_HUGE }

static const struct test_case cases[] = {
	EACH_VERDICT("flat", test_verdict, SHAPE_FLAT),
	EACH_VERDICT("small", test_verdict, SHAPE_SMALL),
	EACH_VERDICT("small-ad", test_verdict, SHAPE_SMALL_AD),
	EACH_VERDICT("huge", test_verdict, SHAPE_HUGE),
	EACH_SHAPE("monitor", test_monitor),
	EACH_VERDICT("program-flat", test_program, SHAPE_FLAT),
	EACH_VERDICT("program-huge", test_program, SHAPE_HUGE),
	EACH_SHAPE("whole-page", test_whole_page),
	{ "other-address-small", test_other_address, SHAPE_SMALL },
	{ "other-address-huge", test_other_address, SHAPE_HUGE },
	EACH_SHAPE("instructions", test_instructions),
	EACH_SHAPE("crossing", test_crossing),
	{ "unemulatable-flat-deny", test_unemulatable, CASE(SHAPE_FLAT, KVM_VMI_DENY) },
	{ "unemulatable-huge-deny", test_unemulatable, CASE(SHAPE_HUGE, KVM_VMI_DENY) },
	{ "unemulatable-huge-allow", test_unemulatable, CASE(SHAPE_HUGE, KVM_VMI_ALLOW) },
	{ "unemulatable-small-kill", test_unemulatable, CASE(SHAPE_SMALL, KVM_VMI_KILL) },
	EACH_SHAPE("l1-takes-fault", test_l1_takes_fault),
	{ "event-flat-deny", test_event, CASE(SHAPE_FLAT, KVM_VMI_DENY) },
	{ "event-flat-allow", test_event, CASE(SHAPE_FLAT, KVM_VMI_ALLOW) },
	{ "event-small-deny", test_event, CASE(SHAPE_SMALL, KVM_VMI_DENY) },
	{ "event-small-kill", test_event, CASE(SHAPE_SMALL, KVM_VMI_KILL) },
	{ "event-huge-deny", test_event, CASE(SHAPE_HUGE, KVM_VMI_DENY) },
	{ "event-huge-allow", test_event, CASE(SHAPE_HUGE, KVM_VMI_ALLOW) },
	EACH_SHAPE("populated", test_populated),
	EACH_SHAPE("hammer", test_hammer),
	{ "l1-forbids-small", test_l1_forbids, SHAPE_SMALL },
	{ "l1-forbids-huge", test_l1_forbids, SHAPE_HUGE },
	{ "registers-flat", test_registers, SHAPE_FLAT },
	{ "registers-huge", test_registers, SHAPE_HUGE },
	{ }
};

const struct test_suite suite_nested = { .name = "nested", .cases = cases, .setup = vmi_setup };
