// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Event delivery that meets a protected page: the stack of an interrupt, an
 * exception or an NMI, the GDT, the TSS, the IDT.  KVM cannot emulate delivery,
 * so what is not let through is #DF, and a triple fault if that was one; never an
 * internal error.
 */
#include <errno.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	5
#define STACK	(GUEST_ARENA + 2 * PAGE_SIZE)	/* the protected page */
#define SP	(STACK + 0x800)

enum event {
	EVENT_SOFT_INT,
	EVENT_EXCEPTION,	/* #UD */
	EVENT_PAGE_FAULT,	/* with an error code */
	EVENT_INTERRUPT,
	EVENT_NMI,
	EVENT_GP,		/* raised by our own denial */
	EVENT_USER_INT,		/* from user mode, to the stack of the TSS */
	EVENT_NR
};

static const char *const event_names[EVENT_NR] = {
	"soft-int", "exception", "page-fault", "interrupt", "nmi", "gp", "user-int",
};

/* Where the event's frame goes: the page that the test protects. */
static uint64_t frame_page(struct vcpu *v, enum event event)
{
	switch (event) {
	case EVENT_NMI: return v->block + GUEST_IST2_TOP - PAGE_SIZE;
	case EVENT_USER_INT: return v->block + GUEST_RSP0_TOP - PAGE_SIZE;
	default: return STACK;
	}
}

/* Have the event happen, and wait for what comes of it. */
static struct run cause(struct vcpu *v, enum event event)
{
	struct kvm_interrupt irq = { .irq = GUEST_VECTOR_EVENT };
	struct run r;

	v->cpu->flags &= ~GUEST_F_USER;
	switch (event) {
	case EVENT_SOFT_INT:
		return vcpu_op(v, OP_INT, SP);
	case EVENT_EXCEPTION:
		return vcpu_op(v, OP_UD2, SP);
	case EVENT_PAGE_FAULT:
		return vcpu_op(v, OP_PUSH_FAULT, SP, GUEST_ARENA + 0x1f0000);
	case EVENT_INTERRUPT:
		v->run->request_interrupt_window = 1;
		r = vcpu_op(v, OP_STI_NOP, SP);
		v->run->request_interrupt_window = 0;
		if (r.end != RUN_IRQ_WINDOW)
			return r;
		vcpu_ioctl(v, KVM_INTERRUPT, &irq);
		return vcpu_continue(v);
	case EVENT_NMI:
		vcpu_set_ist(v, 2, 2);
		vcpu_ioctl(v, KVM_NMI, 0);
		return vcpu_op(v, OP_NOP);
	case EVENT_GP:
		return vcpu_op(v, OP_PUSH, SP, 1);
	case EVENT_USER_INT:
		v->cpu->flags |= GUEST_F_USER;
		return vcpu_op(v, OP_INT);
	default:
		require(false, "event %d", event);
		return (struct run){ };
	}
}

/* The event arrived, as if nothing was protected. */
static bool arrived(enum event event, const struct run *r)
{
	if (r->end != RUN_DONE)
		return false;
	switch (event) {
	case EVENT_EXCEPTION: return r->vector == VECTOR_UD;
	case EVENT_PAGE_FAULT: return r->vector == VECTOR_PF && r->error == 2;
	case EVENT_GP: return r->vector == GUEST_NO_FAULT;
	default: return r->events == 1 && r->vector == GUEST_NO_FAULT;
	}
}

/*
 * The #DF of an NMI comes before the operation begins, and that of an interrupt in
 * user mode comes once more on the way back: the agent stops at it.
 */
static bool stops(enum event event)
{
	return event == EVENT_NMI || event == EVENT_USER_INT;
}

static bool became_df(enum event event, const struct run *r)
{
	if (r->vector != VECTOR_DF || r->error || r->events)
		return false;
	return stops(event) ? r->end == RUN_TRAP : r->end == RUN_DONE && r->faults == 1;
}

struct setup {
	struct vm *vm;
	struct vcpu *v;
	uint64_t id;
	uint64_t page;
	uint8_t before[PAGE_SIZE];
};

static void set_up(struct setup *s, enum event event, uint32_t action, uint32_t flags)
{
	s->vm = vmi_new(NULL, &s->id);
	s->v = s->vm->vcpu[0];
	s->page = frame_page(s->v, event);
	/* First as it must go unprotected. */
	if (event != EVENT_GP) {
		struct run r = cause(s->v, event);

		expect(arrived(event, &r), "unprotected: %s", run_text(&r));
	}
	vmi_rule(s->id, RULE, action, flags);
	vmi_protect(s->id, RULE, s->page, 0);
	memcpy(s->before, vm_hva(s->vm, s->page), PAGE_SIZE);
	vmi_log_clear();
}

static bool untouched(struct setup *s)
{
	return !memcmp(s->before, vm_hva(s->vm, s->page), PAGE_SIZE);
}

static void expect_vectoring(struct setup *s, enum event event, uint32_t verdict)
{
	/* The #GP of a denied PUSH comes second; its cause is no delivery. */
	unsigned int n = event == EVENT_GP;
	const struct vmi_record *r = vmi_log_violation(s->id, n);

	expect_violation(s->id, n, .kind = KVM_VMI_WRITE, .verdict = verdict, .rule = RULE,
			 .flags_set = KVM_VMI_V_VECTORING);
	if (r)
		expect_eq(r->v.legal, 1U << KVM_VMI_DENY | 1U << KVM_VMI_KILL |
				      (vmi_steps_events() ? 1U << KVM_VMI_ALLOW : 0));
}

static void test_deny(uintptr_t event)
{
	struct setup s;
	struct run r;

	set_up(&s, event, KVM_VMI_DENY, 0);
	r = cause(s.v, event);
	expect(became_df(event, &r), "%s: %s", event_names[event], run_text(&r));
	expect(untouched(&s), "the stack was written");
	expect_vectoring(&s, event, KVM_VMI_DENY);
	/* The guest lives, and the event is gone for good. */
	vmi_unprotect(s.id, RULE, s.page);
	if (stops(event))
		vcpu_reset_state(s.v);
	s.v->cpu->flags = 0;
	r = vcpu_op(s.v, OP_STI_NOP);
	expect_done(r);
	expect_eq(r.events, 0);
	r = cause(s.v, event);
	expect(arrived(event, &r), "afterwards: %s", run_text(&r));
	vm_free(s.vm);
}

static void test_kill(uintptr_t event)
{
	struct setup s;
	struct run r;

	set_up(&s, event, KVM_VMI_KILL, 0);
	r = cause(s.v, event);
	expect(r.end == RUN_ERROR && r.err == EIO, "%s: %s", event_names[event], run_text(&r));
	expect(untouched(&s), "the stack was written");
	vm_free(s.vm);
}

/*
 * The rule lets it through: the CPU does it alone, or else the page opens for a second,
 * and closes again.
 */
static void test_allow(uintptr_t event)
{
	struct timespec wait = { .tv_sec = 1, .tv_nsec = 300000000 };
	struct setup s;
	struct run r;

	set_up(&s, event, KVM_VMI_ALLOW, 0);
	r = cause(s.v, event);
	expect(arrived(event, &r), "%s: %s", event_names[event], run_text(&r));
	if (event != EVENT_GP) {
		bool steps = vmi_steps_events();

		expect_vectoring(&s, event, steps ? KVM_VMI_ALLOW : KVM_VMI_NR_VERDICTS);
		expect_eq(vmi_counters(s.id, RULE).opened, !steps);
		/* From user mode a second interrupt leads back, by the same stack. */
		expect_eq(vmi_counters(s.id, RULE).stepped,
			  steps ? event == EVENT_USER_INT ? 2 : 1 : 0);
		if (!steps)
			nanosleep(&wait, NULL);
		vmi_rule(s.id, RULE, KVM_VMI_DENY, 0);
		r = cause(s.v, event);
		expect(became_df(event, &r), "afterwards: %s", run_text(&r));
	}
	vm_free(s.vm);
}

static void test_monitor(uintptr_t event)
{
	struct setup s;
	struct run r;

	set_up(&s, event, KVM_VMI_DENY, KVM_VMI_RULE_MONITOR);
	r = cause(s.v, event);
	expect(arrived(event, &r), "%s: %s", event_names[event], run_text(&r));
	expect(vmi_log_violations(s.id) >= 1, "not reported");
	vm_free(s.vm);
}

/* A program may deny or kill here, or allow where the CPU can do it alone. */
static void test_program(uintptr_t event)
{
	static const int answers[] = { KVM_VMI_ALLOW, KVM_VMI_SKIP, KVM_VMI_DENY, KVM_VMI_KILL };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(answers); i++) {
		bool allows = answers[i] == KVM_VMI_ALLOW && vmi_steps_events();
		bool legal = answers[i] == KVM_VMI_DENY || answers[i] == KVM_VMI_KILL || allows;
		struct setup s;
		struct run r;

		set_up(&s, event, KVM_VMI_DENY, 0);
		require_eq(vmi_attach(answers[i]), 0);
		r = cause(s.v, event);
		vmi_detach();
		if (answers[i] == KVM_VMI_KILL)
			expect(r.end == RUN_ERROR && r.err == EIO, "killed: %s", run_text(&r));
		else if (allows)
			expect(arrived(event, &r), "allowed: %s", run_text(&r));
		else
			expect(became_df(event, &r), "answer %d: %s", answers[i], run_text(&r));
		expect_violation(s.id, 0, .flags_set = legal ? 0 : KVM_VMI_V_BAD_VERDICT,
				 .flags_clear = legal ? KVM_VMI_V_BAD_VERDICT : 0);
		vm_free(s.vm);
	}
}

/* Where #DF has no stack either: shutdown, as on a CPU. */
static void test_triple_fault(uintptr_t event)
{
	struct setup s;
	struct run r;

	set_up(&s, event, KVM_VMI_DENY, 0);
	vmi_protect(s.id, RULE, s.v->block + GUEST_IST1_TOP - PAGE_SIZE, 0);
	r = cause(s.v, event);
	expect_end(r, RUN_SHUTDOWN);
	expect(untouched(&s), "the stack was written");
	vm_free(s.vm);
}

/*
 * Delivery to sub-pages that may be written: the CPU itself does it, where it checks
 * them or can be made to do it alone; KVM cannot emulate it, and says so.
 */
static void test_allowed_subpage(uintptr_t action)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	vmi_rule(id, RULE, action, 0);
	vmi_protect(id, RULE, STACK, DENIED(1));
	r = vcpu_op(v, OP_INT, SP);
	if (vmi_by_hardware(id) || vmi_steps_events()) {
		expect_done(r);
		expect_eq(r.events, 1);
		expect_eq(vmi_log_violations(id), 0);
		expect_eq(vmi_counters(id, RULE).stepped, !vmi_by_hardware(id));
		vm_free(vm);
		return;
	}
	if (action == KVM_VMI_ALLOW) {
		expect_done(r);
		expect_eq(r.events, 1);
		expect_eq(vmi_counters(id, RULE).opened, 1);
	} else {
		expect(became_df(EVENT_SOFT_INT, &r), "%s", run_text(&r));
	}
	expect_violation(id, 0, .kind = KVM_VMI_UNEMULATABLE, .rule = RULE,
			 .flags_set = KVM_VMI_V_VECTORING);
	expect_eq(vmi_counters(id, RULE).unemulatable, 1);
	vm_free(vm);
}

/* Delivery only reads the IDT and the TSS: protecting them costs nothing. */
static void test_read_tables(uintptr_t offset)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	vmi_rule(id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(id, RULE, v->block + offset, 0);
	r = cause(v, EVENT_SOFT_INT);
	expect(arrived(EVENT_SOFT_INT, &r), "%s", run_text(&r));
	r = cause(v, EVENT_EXCEPTION);
	expect(arrived(EVENT_EXCEPTION, &r), "%s", run_text(&r));
	r = cause(v, EVENT_NMI);
	expect(arrived(EVENT_NMI, &r), "%s", run_text(&r));
	r = cause(v, EVENT_USER_INT);
	expect(arrived(EVENT_USER_INT, &r), "%s", run_text(&r));
	expect_eq(vmi_log_violations(id), 0);
	v->cpu->flags = 0;
	expect_denied(v, v->block + offset + 0x10);
	vm_free(vm);
}

static void set_accessed(struct vcpu *v, unsigned int selector, bool accessed)
{
	uint8_t *type = (uint8_t *)vm_hva(v->vm, v->block + GUEST_GDT) + selector + 5;

	*type = accessed ? *type | 1 : *type & ~1;
}

static bool is_accessed(struct vcpu *v, unsigned int selector)
{
	return ((uint8_t *)vm_hva(v->vm, v->block + GUEST_GDT))[selector + 5] & 1;
}

/* Loading a segment sets its accessed bit: a write to the GDT. */
static void test_gdt(uintptr_t action)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	expect_done(vcpu_op(v, OP_LOAD_DS, GUEST_SPARE_DS));
	expect(is_accessed(v, GUEST_SPARE_DS), "the CPU does not set the accessed bit");
	expect_done(vcpu_op(v, OP_LOAD_DS, GUEST_DS));
	set_accessed(v, GUEST_SPARE_DS, false);
	vmi_rule(id, RULE, action, 0);
	vmi_protect(id, RULE, v->block + GUEST_GDT, 0);

	r = vcpu_op(v, OP_LOAD_DS, GUEST_SPARE_DS);
	switch (action) {
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		vm_free(vm);
		return;
	case KVM_VMI_ALLOW:
	case KVM_VMI_SKIP:
		expect_done(r);
		break;
	default:
		expect_gp(r);
	}
	expect_eq(is_accessed(v, GUEST_SPARE_DS), action == KVM_VMI_ALLOW);
	expect_violation(id, 0, .kind = KVM_VMI_WRITE, .flags_clear = KVM_VMI_V_VECTORING);
	expect_done(vcpu_op(v, OP_LOAD_DS, GUEST_DS));

	/* LTR makes its descriptor busy. */
	vmi_log_clear();
	r = vcpu_op(v, OP_LTR, GUEST_TR);
	if (action == KVM_VMI_ALLOW || action == KVM_VMI_SKIP)
		expect_done(r);
	else
		expect_gp(r);
	expect(vmi_log_violations(id) >= 1, "no violation");
	vm_free(vm);
}

/* During delivery the code segment is loaded: a write to the GDT where that is new. */
static void test_gdt_vectoring(uintptr_t action)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct run r;

	set_accessed(v, GUEST_CS, false);
	r = cause(v, EVENT_SOFT_INT);
	expect(arrived(EVENT_SOFT_INT, &r), "%s", run_text(&r));
	if (!is_accessed(v, GUEST_CS))
		tap_skip("this CPU sets no accessed bit when it delivers an event");
	set_accessed(v, GUEST_CS, false);
	vmi_rule(id, RULE, action, 0);
	vmi_protect(id, RULE, v->block + GUEST_GDT, 0);
	r = cause(v, EVENT_SOFT_INT);
	switch (action) {
	case KVM_VMI_ALLOW:
		expect(arrived(EVENT_SOFT_INT, &r), "%s", run_text(&r));
		expect_eq(vmi_counters(id, RULE).opened, !vmi_steps_events());
		break;
	case KVM_VMI_KILL:
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		break;
	default:
		/* #DF loads the same segment. */
		expect_end(r, RUN_SHUTDOWN);
		expect(!is_accessed(v, GUEST_CS), "the accessed bit is set");
	}
	vm_free(vm);
}

#define EACH_EVENT(name, fn)					\
	{ name "-soft-int", fn, EVENT_SOFT_INT },		\
	{ name "-exception", fn, EVENT_EXCEPTION },		\
	{ name "-page-fault", fn, EVENT_PAGE_FAULT },		\
	{ name "-interrupt", fn, EVENT_INTERRUPT },		\
	{ name "-nmi", fn, EVENT_NMI },				\
	{ name "-user-int", fn, EVENT_USER_INT }

static const struct test_case cases[] = {
	EACH_EVENT("deny", test_deny),
	EACH_EVENT("kill", test_kill),
	EACH_EVENT("allow", test_allow),
	EACH_EVENT("monitor", test_monitor),
	EACH_EVENT("program", test_program),
	EACH_EVENT("triple-fault", test_triple_fault),
	{ "triple-fault-gp", test_triple_fault, EVENT_GP },
	{ "allow-gp", test_allow, EVENT_GP },
	{ "monitor-gp", test_monitor, EVENT_GP },
	{ "allowed-subpage-deny", test_allowed_subpage, KVM_VMI_DENY },
	{ "allowed-subpage-skip", test_allowed_subpage, KVM_VMI_SKIP },
	{ "allowed-subpage-allow", test_allowed_subpage, KVM_VMI_ALLOW },
	{ "idt", test_read_tables, GUEST_IDT },
	{ "tss", test_read_tables, GUEST_TSS },
	{ "gdt-deny", test_gdt, KVM_VMI_DENY },
	{ "gdt-allow", test_gdt, KVM_VMI_ALLOW },
	{ "gdt-skip", test_gdt, KVM_VMI_SKIP },
	{ "gdt-kill", test_gdt, KVM_VMI_KILL },
	{ "gdt-vectoring-deny", test_gdt_vectoring, KVM_VMI_DENY },
	{ "gdt-vectoring-allow", test_gdt_vectoring, KVM_VMI_ALLOW },
	{ "gdt-vectoring-kill", test_gdt_vectoring, KVM_VMI_KILL },
	{ }
};

const struct test_suite suite_event = { .name = "event", .cases = cases, .setup = vmi_setup };
