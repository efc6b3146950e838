// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What KVM cannot emulate, and the CPU carries out alone: it lands where it may, what
 * it writes beside is put back and denied, and nothing of the step shows: not to the
 * guest, its debugger, its hypervisor or its other CPUs.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/attempt.h"
#include "lib/nested.h"
#include "lib/subpage.h"
#include "suites.h"

#define RULE	61
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define NEXT	(DATA + PAGE_SIZE)
#define DENY	16			/* this sub-page is denied */
#define TARGET	(DATA + DENY * SUBPAGE)
#define OPEN	(DATA + 24 * SUBPAGE)	/* with room for XSAVE behind it */
#define VALUE	0x0807060504030201
#define FILL	0xcc
#define RFLAGS_TF	(1UL << 8)
#define RFLAGS_IF	(1UL << 9)
#define DR6_BS	(1UL << 14)

/* What a store of each operation leaves, found out where nothing is protected. */
struct setup {
	struct vm *vm;
	struct vcpu *v;
	uint64_t id;
	uint8_t *page;		/* DATA and NEXT */
	uint8_t want[1024];
};

static struct run store(struct vcpu *v, enum guest_op op, uint64_t gpa)
{
	/* CMPXCHG16B is to find what fill() has left. */
	uint64_t old = 0x0101010101010101UL * FILL;

	return vcpu_op(v, op, gpa, VALUE, 16, old, VALUE, old);
}

static void fill(struct setup *s)
{
	memset(s->page, FILL, 2 * PAGE_SIZE);
}

static bool filled(struct setup *s, unsigned long from, unsigned long to)
{
	for (; from < to; from++)
		if (s->page[from] != FILL)
			return false;
	return true;
}

static void set_up(struct setup *s, enum guest_op op, const struct vm_options *options)
{
	uint32_t have;

	s->vm = vmi_new(options, &s->id);
	s->v = s->vm->vcpu[0];
	have = vcpu_features(s->v);
	if (op == OP_VMOVDQU && !(have & 2))
		tap_skip("no AVX");
	if (op == OP_XSAVE && !(have & 4))
		tap_skip("no XSAVE");
	require(op != OP_VMOVDQU64 || have & 16, "no AVX-512");
	s->page = vm_hva(s->vm, DATA);
	fill(s);
	expect_done(store(s->v, op, OPEN));
	memcpy(s->want, s->page + (OPEN - DATA), sizeof(s->want));
	fill(s);
	vmi_rule(s->id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(s->id, RULE, DATA, DENIED(1U << DENY));
	vmi_log_clear();
}

/*
 * KVM's software engine has no other way for XSAVE, or AVX-512.  Where a test has it deny, XSAVE's
 * legacy area is what changes: its header may stay as it is.
 */
static void expect_stepped(struct setup *s, enum guest_op op, unsigned int n)
{
	if ((op == OP_XSAVE || op == OP_VMOVDQU64) && !vmi_by_hardware(s->id))
		expect_eq(vmi_counters(s->id, RULE).stepped, n);
}

/* To allowed sub-pages: it lands, silently, and nothing else changes. */
static void test_lands(uintptr_t op)
{
	struct setup s;

	set_up(&s, op, NULL);
	expect_done(store(s.v, op, OPEN));
	expect(!memcmp(s.want, s.page + (OPEN - DATA), sizeof(s.want)), "it did not land");
	expect(filled(&s, 0, OPEN - DATA) && filled(&s, PAGE_SIZE, 2 * PAGE_SIZE),
	       "something else has changed");
	expect_eq(vmi_log_violations(s.id), 0);
	expect_stepped(&s, op, 1);
	/* The right is gone again. */
	expect_denied(s.v, TARGET);
	expect_lands(s.v, TARGET - 8);
	vm_free(s.vm);
}

/* Reaching into the denied sub-page: nothing of that changes, and it is denied. */
static void test_reaches(uintptr_t op)
{
	uint64_t at = op == OP_XSAVE ? TARGET - 0x40 : TARGET - 8;
	struct setup s;
	struct run r;

	set_up(&s, op, NULL);
	r = store(s.v, op, at);
	expect_gp(r);
	expect(filled(&s, TARGET - DATA, TARGET - DATA + SUBPAGE), "a denied byte has changed");
	expect_eq(vmi_log_violations(s.id), 1);
	expect_violation(s.id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY, .rule = RULE,
			 .gpa = TARGET);
	expect_eq(vmi_counters(s.id, RULE).denied, 1);
	/* The other way round it is denied at once. */
	fill(&s);
	expect_gp(store(s.v, op, TARGET));
	expect(filled(&s, 0, 2 * PAGE_SIZE), "something has changed");
	/* And the guest goes on. */
	expect_done(store(s.v, op, OPEN));
	expect(!memcmp(s.want, s.page + (OPEN - DATA), sizeof(s.want)), "it did not land");
	vm_free(s.vm);
}

/* Across two protected frames. */
static void test_crosses(uintptr_t op)
{
	uint64_t at = op == OP_XSAVE ? NEXT - 0x100 : NEXT - 8;
	struct setup s;

	set_up(&s, op, NULL);
	vmi_protect(s.id, RULE, NEXT, DENIED(1U << DENY));
	expect_done(store(s.v, op, at));
	expect(!memcmp(s.want, s.page + (at - DATA), sizeof(s.want)), "it did not land");
	expect_eq(vmi_log_violations(s.id), 0);
	expect_stepped(&s, op, 1);
	/* With the second frame's beginning denied. */
	vmi_protect(s.id, RULE, NEXT, DENIED(1));
	fill(&s);
	expect_gp(store(s.v, op, at));
	expect(filled(&s, PAGE_SIZE, 2 * PAGE_SIZE), "the second frame has changed");
	expect_denied(s.v, NEXT);
	expect_denied(s.v, TARGET);
	vm_free(s.vm);
}

/* What is denied lets or kills. */
static void test_verdict(uintptr_t action)
{
	struct setup s;
	struct run r;

	set_up(&s, OP_XSAVE, NULL);
	if (action == KVM_VMI_DEFAULT)
		vmi_rule(s.id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_MONITOR);
	else
		vmi_rule(s.id, RULE, action, 0);
	r = store(s.v, OP_XSAVE, TARGET - 0x40);
	if (action == KVM_VMI_KILL) {
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		expect(filled(&s, TARGET - DATA, TARGET - DATA + SUBPAGE),
		       "a denied byte has changed");
		expect_violation(s.id, 0, .verdict = KVM_VMI_KILL, .gpa = TARGET);
	} else {
		expect_done(r);
		expect(!memcmp(s.want, s.page + (TARGET - DATA) - 0x40, sizeof(s.want)),
		       "it did not land");
		expect_violation(s.id, 0, .verdict = KVM_VMI_ALLOW, .gpa = TARGET);
		expect_eq(vmi_counters(s.id, RULE).allowed, 1);
	}
	expect_eq(vmi_log_violations(s.id), 1);
	vm_free(s.vm);
}

/* A program is asked about each rule of a frame that the instruction has reached. */
static void test_program(uintptr_t answer)
{
	unsigned int denied = answer == KVM_VMI_ALLOW ? 0 : 1;
	struct setup s;
	struct run r;

	set_up(&s, OP_XSAVE, NULL);
	vmi_rule(s.id, RULE + 1, KVM_VMI_DENY, 0);
	/* The legacy area is in three sub-pages: allowed, RULE's, the other's. */
	vmi_protect(s.id, RULE + 1, DATA, DENIED(2U << DENY));
	require_eq(vmi_attach(answer), 0);
	r = store(s.v, OP_XSAVE, TARGET - 0x40);
	vmi_detach();
	if (answer == KVM_VMI_KILL) {
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	} else if (denied) {
		expect_gp(r);
	} else {
		expect_done(r);
		expect(!memcmp(s.want, s.page + (TARGET - DATA) - 0x40, sizeof(s.want)),
		       "it did not land");
	}
	if (denied)
		expect(filled(&s, TARGET - DATA, TARGET - DATA + 2 * SUBPAGE),
		       "a denied byte has changed");
	/* Where the CPU checks sub-pages it faults at each, and each is asked at once. */
	if (!vmi_by_hardware(s.id)) {
		expect_eq(vmi_log_violations(s.id), denied ? 1 : 2);
		expect_violation(s.id, 0, .kind = KVM_VMI_WRITE, .verdict = answer, .gpa = TARGET);
	}
	vm_free(s.vm);
}

/*
 * A table of the guest in a protected frame, through which the frame itself is written:
 * that the CPU may set accessed and dirty bits there lets nothing else through.
 */
static void test_own_table(uintptr_t program)
{
	uint64_t pte, table, target;
	struct kvm_vmi_caps caps;
	struct setup s;
	struct run r;
	uint8_t *p;

	set_up(&s, OP_VMOVDQU, NULL);
	require_eq(vmi_caps(&caps), 0);
	if (!(caps.features & KVM_VMI_CAP_TDP))
		tap_skip("with shadow paging KVM alone writes page tables");
	pte = vm_pte(s.vm, NEXT);
	table = pte & ~(PAGE_SIZE - 1);
	/* Far from all entries that are in use. */
	target = NEXT + 0xf80;
	p = vm_hva(s.vm, table + 0xf80);
	memset(p, 0, 128);
	vmi_rule(s.id, RULE + 1, KVM_VMI_DENY, program ? 0 : KVM_VMI_RULE_PAGE_TABLE);
	vmi_protect(s.id, RULE + 1, table, 0);
	vmi_protect(s.id, RULE, table, DENIED(1U << 31));
	vm_map(s.vm, NEXT, table, 1, PTE_PRESENT | PTE_WRITE | PTE_USER);
	expect_done(vcpu_op(s.v, OP_INVLPG, NEXT));
	vmi_log_clear();
	if (program) {
		vmi_set_walk_answer(KVM_VMI_ALLOW);
		require_eq(vmi_attach(KVM_VMI_DENY), 0);
	}
	r = vcpu_op(s.v, OP_VMOVDQU, target, VALUE);
	if (program) {
		vmi_detach();
		vmi_set_walk_answer(-1);
	}
	expect_gp(r);
	for (unsigned int i = 0; i < 128; i++)
		if (!expect_eq(p[i], 0))
			break;
	expect(*(uint64_t *)vm_hva(s.vm, pte) & PTE_ACCESSED, "no accessed bit");
	vm_free(s.vm);
}

/* The stricter of two layers, the host's and the VMM's, whoever lets it through. */
static void test_layers(uintptr_t daemon)
{
	struct setup s;
	struct run r;

	set_up(&s, OP_XSAVE, NULL);
	require_eq(subpage_enable(s.vm), 0);
	subpage_protect(s.vm, DATA, DENIED(daemon == KVM_VMI_ALLOW ? 1U << DENY : 0));
	vmi_rule(s.id, RULE, daemon, 0);
	r = store(s.v, OP_XSAVE, TARGET - 0x40);
	/* Where the CPU checks sub-pages it faults there, and the VMM is asked. */
	if (is_subpage_exit(r))
		r = subpage_answer(s.v, KVM_VMI_DENY);
	expect_gp(r);
	expect(filled(&s, TARGET - DATA, TARGET - DATA + SUBPAGE), "a denied byte has changed");
	/* With neither against it. */
	fill(&s);
	vmi_rule(s.id, RULE, KVM_VMI_ALLOW, 0);
	subpage_protect(s.vm, DATA, ~0U);
	expect_done(store(s.v, OP_XSAVE, TARGET - 0x40));
	expect(!memcmp(s.want, s.page + (TARGET - DATA) - 0x40, sizeof(s.want)),
	       "it did not land");
	vm_free(s.vm);
}

/* With RFLAGS.TF of the guest's own its trap comes after the instruction; else none. */
static void test_trap_flag(uintptr_t tf)
{
	struct setup s;
	struct run r;

	set_up(&s, OP_XSAVE, NULL);
	r = vcpu_op(s.v, OP_XSAVE_FLAGS, OPEN, VALUE, tf ? RFLAGS_TF : 0);
	expect(r.end == RUN_DONE && r.faults == !!tf && r.vector == (tf ? 1 : GUEST_NO_FAULT),
	       "%s", run_text(&r));
	expect(!memcmp(s.want, s.page + (OPEN - DATA), 512), "it did not land");
	expect_eq(r.ret[0] & DR6_BS, tf ? DR6_BS : 0);
	expect_eq(r.ret[1] & RFLAGS_TF, 0);
	if (tf) {
		expect(r.fault_rip > r.insn && r.fault_rip < r.insn + 8, "%s", run_text(&r));
		expect(s.v->cpu->fault_rflags & RFLAGS_TF, "TF is not in the frame");
	}
	/* Denied: a fault before the trap. */
	expect_gp(vcpu_op(s.v, OP_XSAVE_FLAGS, TARGET - 0x40, VALUE, tf ? RFLAGS_TF : 0));
	expect(filled(&s, TARGET - DATA, TARGET - DATA + SUBPAGE), "a denied byte has changed");
	expect_eq(s.v->cpu->fault_rflags & RFLAGS_TF, tf ? RFLAGS_TF : 0);
	vm_free(s.vm);
}

/* A VMM that steps its guest sees each instruction once. */
static void test_guest_debug(uintptr_t arg)
{
	struct kvm_guest_debug debug = { .control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP };
	unsigned int at = 0, behind = 0, steps = 0;
	struct setup s;
	uint64_t insn;
	struct run r;

	(void)arg;
	set_up(&s, OP_XSAVE, NULL);
	insn = vcpu_op(s.v, OP_XSAVE, NEXT).insn;
	vcpu_ioctl(s.v, KVM_SET_GUEST_DEBUG, &debug);
	for (r = store(s.v, OP_XSAVE, OPEN); r.end == RUN_OTHER_EXIT && steps < 10000; steps++) {
		uint64_t pc = s.v->run->debug.arch.pc;

		if (!expect(r.exit_reason == KVM_EXIT_DEBUG, "%s", run_text(&r)))
			break;
		at += pc == insn;
		behind += pc > insn && pc < insn + 8;
		r = vcpu_continue(s.v);
	}
	expect_done(r);
	expect_eq(at, 1);
	expect_eq(behind, 1);
	expect(!memcmp(s.want, s.page + (OPEN - DATA), sizeof(s.want)), "it did not land");
	expect_eq(vmi_log_violations(s.id), 0);
	vm_free(s.vm);
}

#define CASE(shape, steps)	((shape) * 2 + (steps))

/* An L2's, also while its L1 steps it. */
static void test_nested(uintptr_t arg)
{
	struct nested n;
	struct run r;
	uint64_t seen;
	bool steps;
	uint8_t *p;

	nested_new(&n, arg / 2, arg % 2 ? L1_STEPS : 0);
	/* An L1 on AMD has nothing to do it with. */
	steps = arg % 2 && n.vendor == NESTED_INTEL;
	if (!(vcpu_features(n.v) & 4))
		tap_skip("no XSAVE");
	p = vm_hva(n.vm, DATA);
	memset(p, FILL, PAGE_SIZE);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(n.id, RULE, DATA, DENIED(1U << DENY));
	vmi_log_clear();
	n.v->cpu->l2_steps = 0;
	r = l2_op(&n, OP_XSAVE, NEXT, VALUE);
	expect_l2_done(&n, r);
	expect(steps ? n.v->cpu->l2_steps > 10 : !n.v->cpu->l2_steps, "%llu steps",
	       (unsigned long long)n.v->cpu->l2_steps);
	/* L1 sees as many, also when KVM steps one of them. */
	seen = n.v->cpu->l2_steps;
	n.v->cpu->l2_steps = 0;
	expect_l2_done(&n, l2_op(&n, OP_XSAVE, OPEN, VALUE));
	expect_eq(n.v->cpu->l2_steps, seen);
	expect_eq(vmi_counters(n.id, RULE).stepped, 1);
	expect_eq(vmi_log_violations(n.id), 0);
	expect(p[OPEN - DATA] != FILL, "it did not land");
	expect_l2_gp(&n, l2_op(&n, OP_XSAVE, TARGET - 0x40, VALUE));
	expect_eq(p[TARGET - DATA], FILL);
	expect_violation(n.id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY,
			 .gpa = TARGET, .flags_set = KVM_VMI_V_NESTED);
	/* L1's own are as ever. */
	n.v->cpu->l2_steps = 0;
	expect_done(vcpu_op(n.v, OP_XSAVE, OPEN, VALUE));
	expect_eq(n.v->cpu->l2_steps, 0);
	vm_free(n.vm);
}

#define MSI_INIT	0x500
#define REASON_INIT	3

/* An INIT that waits while an event is delivered to L2: the step delivers it, then L1 has it. */
static void test_nested_init(uintptr_t arg)
{
	struct kvm_msi init = { .address_lo = 0xfee00000, .data = MSI_INIT };
	struct nested n;
	struct run r;
	uint8_t *p;

	(void)arg;
	/* The kernel's APICs. */
	nested_new(&n, SHAPE_SMALL, L1_TPR_SHADOW | L1_INJECTS);
	/* On AMD no delivery is stepped, and L1, with GIF set, is reset. */
	if (n.vendor == NESTED_AMD) {
		vm_free(n.vm);
		return;
	}
	p = vm_hva(n.vm, DATA);
	memset(p, FILL, PAGE_SIZE);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	vmi_protect(n.id, RULE, DATA, DENIED(1U << DENY));
	vmi_log_clear();
	/* In VMX operation it waits for L2. */
	expect_eq(vm_ioctl(n.vm, KVM_SIGNAL_MSI, &init), 1);
	r = l2_op(&n, OP_NOP, OPEN);
	expect(r.end == RUN_DONE && !r.faults && !r.events &&
	       n.v->cpu->l2_exit == L2_OTHER && n.v->cpu->l2_info == REASON_INIT,
	       "%s", l2_text(&n, &r));
	expect(p[OPEN - DATA - 8] != FILL, "it was not delivered");
	expect_eq(vmi_counters(n.id, RULE).stepped, 1);
	expect_eq(vmi_log_violations(n.id), 0);
	n.mode &= ~L1_INJECTS;
	l2_lands(&n, NEXT);
	vm_free(n.vm);
}

/* ---- while something else goes on ---- */

#define LOG(cpu)	(GUEST_SCRATCH_BASE + (cpu) * 0x8000UL)
#define FRAMES		2
#define ROUNDS		100

struct disturbance {
	struct setup *s;
	pthread_t victim;
	volatile bool stop;
};

static void on_signal(int signal)
{
	(void)signal;
}

/* Now and then long enough for a step, also where a kernel that checks itself takes long. */
static void pause_for_a_while(unsigned int *i)
{
	usleep(500U << (*i)++ % 8);
}

static void *send_signals(void *arg)
{
	struct disturbance *d = arg;
	unsigned int i = 0;

	while (!d->stop) {
		pthread_kill(d->victim, SIGUSR2);
		pause_for_a_while(&i);
	}
	return NULL;
}

/* A slot comes and goes: KVM waits for all vCPUs that are not held at the gate. */
static void *toggle_slot(void *arg)
{
	struct disturbance *d = arg;
	struct slot *slot = vm_add_slot(d->s->vm, 0x90000000, 16 * PAGE_SIZE, BACKING_ANONYMOUS, 0);

	while (!d->stop) {
		slot_delete(d->s->vm, slot);
		slot_insert(d->s->vm, slot);
		usleep(2000);
	}
	return NULL;
}

/* A child that shares the VMM's memory for a moment: all of it becomes copy-on-write. */
static void *fork_often(void *arg)
{
	struct disturbance *d = arg;

	while (!d->stop) {
		pid_t child = fork();

		if (!child) {
			usleep(1000);
			_exit(0);
		}
		if (!expect(child > 0, "fork"))
			break;
		waitpid(child, NULL, 0);
	}
	return NULL;
}

#define MSI_NMI		0x400

static void *send_nmis(void *arg)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = MSI_NMI };
	struct disturbance *d = arg;
	unsigned int i = 0;

	while (!d->stop) {
		ioctl(d->s->vm->fd, KVM_SIGNAL_MSI, &msi);
		pause_for_a_while(&i);
	}
	return NULL;
}

/*
 * Have the second vCPU hammer on sub-pages that the steps leave alone.  It is in the guest
 * for as long as in the host, or hardly a step would come upon it there.
 */
static void hammer(struct setup *s)
{
	memset(s->page, 0, FRAMES * PAGE_SIZE);
	s->vm->vcpu[1]->timeout_ms = 600000;
	vcpu_spawn(s->vm->vcpu[1], OP_HAMMER, DATA, FRAMES, test_random(), 1UL << 40, LOG(1), 1,
		   4096);
	require(vcpu_wait_progress(s->vm->vcpu[1], 20), "the other vCPU does not run");
}

static void end_hammer(struct setup *s)
{
	struct run r;

	s->vm->vcpu[1]->cpu->stop = 1;
	r = vcpu_join(s->vm->vcpu[1]);
	expect(r.end == RUN_DONE, "the other vCPU: %s", run_text(&r));
	/* It knows what must be in its own quadwords: no write is lost, none lands late. */
	expect(!r.ret[2], "%llu contradictions, the first at %#llx", (unsigned long long)r.ret[2],
	       (unsigned long long)r.ret[3]);
	expect(r.ret[0] > 0, "nothing was refused");
	expect(r.ret[1] > 0, "nothing was taken");
	tap_note("  %llu stores taken, %llu refused", (unsigned long long)r.ret[1],
		 (unsigned long long)r.ret[0]);
}

/*
 * One vCPU saves its state into allowed sub-pages, and into denied ones, of frames that
 * another stores to: its own stores must be there, and those of the other too.
 */
static void steps_and(void *(*disturb)(void *), bool other)
{
	struct vm_options options = {
		.vcpus = other ? 2 : 1,
		.flags = disturb == send_nmis ? VM_IRQCHIP : 0,
	};
	struct sigaction action = { .sa_handler = on_signal };
	struct disturbance d = { .victim = pthread_self() };
	uint64_t line = (NEXT + PAGE_SIZE);
	unsigned int i, denied = 0;
	pthread_t thread;
	struct setup s;

	sigaction(SIGUSR2, &action, NULL);
	set_up(&s, OP_XSAVE, &options);
	/* A frame of its own for what lands; in those of the other all is put back. */
	vmi_protect(s.id, RULE, line, DENIED(1U << DENY));
	vmi_protect_frames(s.id, RULE, DATA, FRAMES, DENIED(0x1f << DENY));
	d.s = &s;
	if (other)
		hammer(&s);
	if (disturb)
		require(!pthread_create(&thread, NULL, disturb, &d), "no thread");
	/* What is zero already would not show. */
	expect_done(vcpu_op(s.v, OP_MOVUPS, line, VALUE));
	memset(vm_hva(s.vm, line), FILL, PAGE_SIZE);
	expect_done(vcpu_op(s.v, OP_XSAVE, line + 0x100));
	memcpy(s.want, vm_hva(s.vm, line + 0x100), sizeof(s.want));
	for (i = 0; i < ROUNDS; i++) {
		uint8_t *p = vm_hva(s.vm, line + 0x100);
		struct run r;

		memset(p, FILL, sizeof(s.want));
		r = vcpu_op(s.v, OP_XSAVE, line + 0x100);
		if (!expect_done(r) || !expect(!memcmp(p, s.want, 576), "round %u did not land", i))
			break;
		/* Nobody's bytes first, then denied ones of the other vCPU. */
		r = vcpu_op(s.v, OP_XSAVE, TARGET - 0x40);
		denied += r.vector == VECTOR_GP;
	}
	expect_eq(denied, i);
	d.stop = true;
	if (disturb)
		pthread_join(thread, NULL);
	if (other)
		end_hammer(&s);
	expect_stepped(&s, OP_XSAVE, 2 * i + 1);
	vm_free(s.vm);
}

static void test_signals(uintptr_t other)
{
	steps_and(send_signals, other);
}

static void test_slots(uintptr_t other)
{
	steps_and(toggle_slot, other);
}

static void test_forks(uintptr_t other)
{
	steps_and(fork_often, other);
}

static void test_nmis(uintptr_t other)
{
	steps_and(send_nmis, other);
}

/*
 * Interrupts that wait until just before the instruction: they come before it or after it,
 * and never within.
 */
static void test_interrupts(uintptr_t arg)
{
	struct kvm_msi msi = { .address_lo = 0xfee00000, .data = 0x40 };
	struct vm_options options = { .flags = VM_IRQCHIP };
	struct setup s;
	unsigned int i;

	(void)arg;
	set_up(&s, OP_XSAVE, &options);
	for (i = 0; i < ROUNDS; i++) {
		uint64_t events = s.v->cpu->events;
		bool reach = i % 2;
		struct run r;

		fill(&s);
		expect_eq(vm_ioctl(s.vm, KVM_SIGNAL_MSI, &msi), 1);
		r = vcpu_op(s.v, OP_XSAVE_FLAGS, reach ? TARGET - 0x40 : OPEN, VALUE, RFLAGS_IF);
		if (!(reach ? expect_gp(r) : expect_done(r)) ||
		    !expect_eq(s.v->cpu->events, events + 1)) {
			tap_note("  round %u; %s", i,
				 vmi_violation_text(vmi_log_violation(s.id, (i + 1) / 2)));
			break;
		}
		if (reach)
			expect(filled(&s, TARGET - DATA, TARGET - DATA + SUBPAGE),
			       "a denied byte has changed");
		else
			expect(!memcmp(s.want, s.page + (OPEN - DATA), 512), "it did not land");
	}
	vm_free(s.vm);
}

static void test_other(uintptr_t arg)
{
	(void)arg;
	steps_and(NULL, true);
}

/* What KVM emulates for another vCPU waits, and then is done once and whole. */
static void test_emulated(uintptr_t arg)
{
	struct vm_options options = { .vcpus = 2 };
	struct vcpu *other;
	struct setup s;
	unsigned int i;
	uint64_t *sum;
	struct run r;

	(void)arg;
	set_up(&s, OP_XSAVE, &options);
	other = s.vm->vcpu[1];
	sum = vm_hva(s.vm, DATA + 8);
	*sum = 0;
	other->timeout_ms = 600000;
	vcpu_spawn(other, OP_ADC_SPIN, DATA + 8);
	require(vcpu_wait_progress(other, 20), "the other vCPU does not run");
	for (i = 0; i < ROUNDS * 2; i++)
		if (!expect_done(vcpu_op(s.v, OP_XSAVE, OPEN, VALUE)))
			break;
	other->cpu->stop = 1;
	r = vcpu_join(other);
	expect_done(r);
	expect_eq(*sum, 2 * r.ret[0]);
	tap_note("  %llu additions during %u steps", (unsigned long long)r.ret[0], i);
	expect_eq(vmi_log_violations(s.id), 0);
	vm_free(s.vm);
}

/* Two that step take turns: all of both land. */
static void test_turns(uintptr_t arg)
{
	struct vm_options options = { .vcpus = 2 };
	struct setup s;
	unsigned int i;

	(void)arg;
	set_up(&s, OP_XSAVE, &options);
	vcpu_features(s.vm->vcpu[1]);
	vmi_protect(s.id, RULE, NEXT, DENIED(1U << DENY));
	for (i = 0; i < ROUNDS; i++) {
		struct run a, b;

		fill(&s);
		vcpu_spawn(s.vm->vcpu[1], OP_XSAVE, i % 2 ? DATA + 0x100 : NEXT + 0x100, VALUE);
		a = vcpu_op(s.v, OP_XSAVE, OPEN, VALUE);
		b = vcpu_join(s.vm->vcpu[1]);
		if (!expect_done(a) || !expect_done(b) ||
		    !expect(!memcmp(s.page + (OPEN - DATA), s.want, 576), "round %u: first", i) ||
		    !expect(!memcmp(s.page + (i % 2 ? 0x100 : PAGE_SIZE + 0x100), s.want, 576),
			    "round %u: second", i))
			break;
	}
	expect_stepped(&s, OP_XSAVE, 2 * i);
	expect_eq(vmi_log_violations(s.id), 0);
	vm_free(s.vm);
}

/* The VM ends while one steps and another hammers. */
static void test_kill(uintptr_t arg)
{
	struct vm_options options = { .vcpus = 2 };
	struct setup s;
	struct run r;

	(void)arg;
	set_up(&s, OP_XSAVE, &options);
	hammer(&s);
	vmi_rule(s.id, RULE + 1, KVM_VMI_KILL, 0);
	vmi_protect(s.id, RULE + 1, NEXT + PAGE_SIZE, DENIED(1U << DENY));
	memset(vm_hva(s.vm, NEXT + PAGE_SIZE), FILL, PAGE_SIZE);
	r = store(s.v, OP_XSAVE, NEXT + PAGE_SIZE + DENY * SUBPAGE - 0x40);
	expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	s.vm->vcpu[1]->cpu->stop = r.end != RUN_ERROR;
	r = vcpu_join(s.vm->vcpu[1]);
	expect(r.end == RUN_ERROR && r.err == EIO, "the other vCPU: %s", run_text(&r));
	vm_free(s.vm);
}

#define EACH_OP(name, fn)			\
	{ name "-movss", fn, OP_MOVSS },	\
	{ name "-movups", fn, OP_MOVUPS },	\
	{ name "-vmovdqu", fn, OP_VMOVDQU },	\
	{ name "-fxsave", fn, OP_FXSAVE },	\
	{ name "-xsave", fn, OP_XSAVE },	\
	{ name "-fnstenv", fn, OP_FNSTENV },	\
	{ name "-cmpxchg16b", fn, OP_CMPXCHG16B }

static const struct test_case cases[] = {
	EACH_OP("lands", test_lands),
	{ "reaches-vmovdqu", test_reaches, OP_VMOVDQU },
	{ "reaches-xsave", test_reaches, OP_XSAVE },
	{ "reaches-fnstenv", test_reaches, OP_FNSTENV },
	{ "crosses-vmovdqu", test_crosses, OP_VMOVDQU },
	{ "crosses-xsave", test_crosses, OP_XSAVE },
	{ "crosses-fnstenv", test_crosses, OP_FNSTENV },
	{ "verdict-allow", test_verdict, KVM_VMI_ALLOW },
	{ "verdict-monitor", test_verdict, KVM_VMI_DEFAULT },
	{ "verdict-kill", test_verdict, KVM_VMI_KILL },
	{ "program-allow", test_program, KVM_VMI_ALLOW },
	{ "program-deny", test_program, KVM_VMI_DENY },
	{ "program-kill", test_program, KVM_VMI_KILL },
	{ "own-table", test_own_table, 0 },
	{ "own-table-program", test_own_table, 1 },
	{ "layers-vmm-denies", test_layers, KVM_VMI_ALLOW },
	{ "layers-host-denies", test_layers, KVM_VMI_DENY },
	{ "trap-flag-clear", test_trap_flag, 0 },
	{ "trap-flag-set", test_trap_flag, 1 },
	{ "guest-debug", test_guest_debug },
	{ "nested-flat", test_nested, CASE(SHAPE_FLAT, 0) },
	{ "nested-small", test_nested, CASE(SHAPE_SMALL, 0) },
	{ "nested-huge", test_nested, CASE(SHAPE_HUGE, 0) },
	{ "nested-flat-stepped", test_nested, CASE(SHAPE_FLAT, 1) },
	{ "nested-small-stepped", test_nested, CASE(SHAPE_SMALL, 1) },
	{ "nested-init", test_nested_init },
	{ "signals", test_signals, 0 },
	{ "slots", test_slots, 0 },
	{ "forks", test_forks, 0 },
	{ "nmis", test_nmis, 0 },
	{ "interrupts", test_interrupts },
	{ "other", test_other },
	{ "other-forks", test_forks, 1 },
	{ "other-nmis", test_nmis, 1 },
	{ "other-signals", test_signals, 1 },
	{ "other-slots", test_slots, 1 },
	{ "emulated", test_emulated },
	{ "turns", test_turns },
	{ "kill", test_kill },
	{ }
};

const struct test_suite suite_step = { .name = "step", .cases = cases, .setup = vmi_setup };

/* The same by a CPU that has AVX-512, of which KVM's emulator knows nothing. */
static const struct test_case avx512_cases[] = {
	{ "lands", test_lands, OP_VMOVDQU64 },
	{ "reaches", test_reaches, OP_VMOVDQU64 },
	{ }
};

const struct test_suite suite_avx512 = {
	.name = "avx512", .cases = avx512_cases, .setup = vmi_setup,
};
