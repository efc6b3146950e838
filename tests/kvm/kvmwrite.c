// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes that KVM makes by itself, aimed by the guest at a protected page: clocks,
 * steal time, PV EOI, async page faults, Hyper-V and Xen pages.  The rule alone
 * decides; what is not let through fails as if the page were not writable, and is
 * reported as kind kvm.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "lib/attempt.h"
#include "lib/host.h"
#include "suites.h"

#define RULE	17
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define TARGET	(DATA + 0x800)		/* where in the page the guest aims */

#define MSR_WALL_CLOCK_OLD	0x11
#define MSR_SYSTEM_TIME_OLD	0x12
#define MSR_WALL_CLOCK		0x4b564d00
#define MSR_SYSTEM_TIME		0x4b564d01
#define MSR_ASYNC_PF		0x4b564d02
#define MSR_STEAL_TIME		0x4b564d03
#define MSR_PV_EOI		0x4b564d04
#define MSR_ASYNC_PF_INT	0x4b564d06
#define MSR_HV_GUEST_OS_ID	0x40000000
#define MSR_HV_HYPERCALL	0x40000001
#define MSR_HV_REFERENCE_TSC	0x40000021
#define MSR_HV_VP_ASSIST	0x40000073
#define MSR_XEN_HYPERCALL	0x40000400

#define KVM_HC_CLOCK_PAIRING	9
#define KVM_EOPNOTSUPP		95

enum source {
	WALL_CLOCK,
	WALL_CLOCK_OLD,
	SYSTEM_TIME,
	SYSTEM_TIME_OLD,
	STEAL_TIME,
	PV_EOI,
	HV_REFERENCE_TSC,
	HV_VP_ASSIST,
	HV_HYPERCALL,
	XEN_HYPERCALL,
	CLOCK_PAIRING,
	NR_SOURCES
};

enum mode {
	PLAIN,			/* nothing protected: the write happens */
	DENY,
	SKIP,			/* not for KVM's writes: denied */
	ALLOW,
	MONITOR,
	KILL,
	BESIDE,			/* the sub-pages aimed at may be written, others not */
	AFTERWARDS,		/* protected once KVM already writes there */
	NR_MODES
};

#define CASE(source, mode)	((source) * NR_MODES + (mode))

struct setup {
	struct vm *vm;
	struct vcpu *v;
	uint64_t id;
	enum source source;
	uint64_t at;		/* where KVM writes */
	uint8_t before[PAGE_SIZE];
	bool mortal;		/* the rule kills */
	bool refused;		/* the guest was told, by #GP or by a result */
};

/*
 * An operation that may be refused, or be the VM's end where that is the rule's
 * word, but must not disturb the guest or the VMM otherwise.
 */
static void step(struct setup *s, struct run r)
{
	if (r.end == RUN_DONE && r.vector == VECTOR_GP)
		s->refused = true;
	else if (s->mortal && r.end == RUN_ERROR && r.err == EIO)
		s->refused = true;
	else
		expect(r.end == RUN_DONE && r.vector == GUEST_NO_FAULT, "%s", run_text(&r));
}

static void wrmsr(struct setup *s, uint32_t msr, uint64_t value)
{
	step(s, vcpu_op(s->v, OP_WRMSR, msr, value));
}

static void configure_xen(struct setup *s)
{
	struct kvm_xen_hvm_config config = {
		.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL,
		.msr = MSR_XEN_HYPERCALL,
	};

	if (vm_check_extension(s->vm, KVM_CAP_XEN_HVM) <= 0)
		tap_skip("no Xen in this KVM");
	vm_ioctl(s->vm, KVM_XEN_HVM_CONFIG, &config);
}

/* Have the guest aim KVM's pen; whole-page sources take the page. */
static void aim(struct setup *s)
{
	uint64_t gpa = s->at;
	struct run r;

	switch (s->source) {
	case WALL_CLOCK:
		wrmsr(s, MSR_WALL_CLOCK, gpa);
		break;
	case WALL_CLOCK_OLD:
		wrmsr(s, MSR_WALL_CLOCK_OLD, gpa);
		break;
	case SYSTEM_TIME:
		wrmsr(s, MSR_SYSTEM_TIME, gpa | 1);
		break;
	case SYSTEM_TIME_OLD:
		wrmsr(s, MSR_SYSTEM_TIME_OLD, gpa | 1);
		break;
	case STEAL_TIME:
		wrmsr(s, MSR_STEAL_TIME, gpa | 1);
		break;
	case PV_EOI:
		wrmsr(s, MSR_PV_EOI, gpa | 1);
		break;
	case HV_REFERENCE_TSC:
		wrmsr(s, MSR_HV_REFERENCE_TSC, gpa | 1);
		break;
	case HV_VP_ASSIST:
		wrmsr(s, MSR_HV_VP_ASSIST, gpa | 1);
		break;
	case HV_HYPERCALL:
		wrmsr(s, MSR_HV_GUEST_OS_ID, 1);
		wrmsr(s, MSR_HV_HYPERCALL, gpa | 1);
		break;
	case XEN_HYPERCALL:
		wrmsr(s, MSR_XEN_HYPERCALL, gpa);
		break;
	case CLOCK_PAIRING:
		r = vcpu_op(s->v, OP_HYPERCALL, KVM_HC_CLOCK_PAIRING, gpa, 0);
		if (r.end == RUN_DONE && (int64_t)r.ret[0] == -KVM_EOPNOTSUPP)
			tap_skip("no clock to pair with");
		if (r.end == RUN_DONE && r.ret[0])
			s->refused = true;
		step(s, r);
		break;
	default:
		require(false, "source %d", s->source);
	}
}

/* Have KVM write again to where it was told to. */
static void again(struct setup *s)
{
	struct kvm_clock_data clock = { };

	switch (s->source) {
	case SYSTEM_TIME:
	case SYSTEM_TIME_OLD:
	case HV_REFERENCE_TSC:
		/* Fails in a VM that is dead. */
		ioctl(s->vm->fd, KVM_SET_CLOCK, &clock);
		break;
	case PV_EOI:
		step(s, vcpu_op(s->v, OP_IPI_SELF, GUEST_VECTOR_EVENT));
		break;
	case WALL_CLOCK:
	case WALL_CLOCK_OLD:
	case HV_HYPERCALL:
	case XEN_HYPERCALL:
	case HV_VP_ASSIST:
	case CLOCK_PAIRING:
		aim(s);
		break;
	default:
		break;
	}
	step(s, vcpu_op(s->v, OP_NOP));
	step(s, vcpu_op(s->v, OP_NOP));
}

static void set_up(struct setup *s, enum source source)
{
	bool page = source == HV_REFERENCE_TSC || source == HV_VP_ASSIST ||
		    source == HV_HYPERCALL || source == XEN_HYPERCALL;
	struct vm_options options = { .flags = VM_IRQCHIP };
	uint8_t *data;

	memset(s, 0, sizeof(*s));
	s->source = source;
	if (source == HV_REFERENCE_TSC || source == HV_VP_ASSIST || source == HV_HYPERCALL)
		options.flags |= VM_HYPERV;
	s->vm = vmi_new(&options, &s->id);
	s->v = s->vm->vcpu[0];
	s->at = page ? DATA : TARGET;
	if (source == XEN_HYPERCALL)
		configure_xen(s);
	/* Nothing KVM writes looks like this. */
	data = vm_hva(s->vm, DATA);
	memset(data, 0xa5, PAGE_SIZE);
	memcpy(s->before, data, PAGE_SIZE);
}

static bool changed(struct setup *s)
{
	return memcmp(s->before, vm_hva(s->vm, DATA), PAGE_SIZE);
}

static void expect_kvm_writes(struct setup *s, uint32_t verdict)
{
	struct kvm_vmi_rule_info c = vmi_counters(s->id, RULE);
	const struct vmi_record *r = vmi_log_violation(s->id, 0);

	expect(c.kvm_writes >= 1, "not counted");
	expect(r && r->v.kind == KVM_VMI_KVM && r->v.rule == RULE && r->verdict == verdict &&
	       r->v.gpa >= DATA && r->v.gpa < DATA + PAGE_SIZE, "%s", vmi_violation_text(r));
	expect_eq(vmi_asked(), 0);
}

static void test_source(uintptr_t arg)
{
	enum source source = arg / NR_MODES;
	enum mode mode = arg % NR_MODES;
	static const uint32_t actions[NR_MODES] = {
		[DENY] = KVM_VMI_DENY, [SKIP] = KVM_VMI_SKIP, [ALLOW] = KVM_VMI_ALLOW,
		[MONITOR] = KVM_VMI_DENY, [KILL] = KVM_VMI_KILL, [BESIDE] = KVM_VMI_DENY,
		[AFTERWARDS] = KVM_VMI_DENY,
	};
	const struct timespec soon = { .tv_nsec = 1000000 };
	struct setup s;
	struct run r;
	int i;

	set_up(&s, source);
	if (mode == PLAIN) {
		aim(&s);
		again(&s);
		expect(!s.refused, "refused though nothing is protected");
		expect(changed(&s), "KVM writes nothing there");
		vm_free(s.vm);
		return;
	}

	vmi_rule(s.id, RULE, actions[mode], mode == MONITOR ? KVM_VMI_RULE_MONITOR : 0);
	/* No program is asked about these. */
	require_eq(vmi_attach(KVM_VMI_KILL), 0);
	if (mode == AFTERWARDS) {
		aim(&s);
		again(&s);
		vmi_protect(s.id, RULE, DATA, 0);
		memcpy(s.before, vm_hva(s.vm, DATA), PAGE_SIZE);
		vmi_log_clear();
		again(&s);
		again(&s);
		expect(!changed(&s), "KVM goes on writing");
		expect_kvm_writes(&s, KVM_VMI_DENY);
	} else if (mode == KILL) {
		vmi_protect(s.id, RULE, DATA, 0);
		s.mortal = true;
		aim(&s);
		again(&s);
		/* Where KVM writes with interrupts off, a worker kills: soon, not at once. */
		for (i = 0; i < 100; i++) {
			r = vcpu_op(s.v, OP_NOP);
			if (r.end != RUN_DONE)
				break;
			nanosleep(&soon, NULL);
		}
		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
		expect(!changed(&s), "the page was written");
		expect_kvm_writes(&s, KVM_VMI_KILL);
	} else if (mode == BESIDE) {
		uint64_t sub = (s.at - DATA) / SUBPAGE;
		bool page = s.at == DATA && source != HV_VP_ASSIST;

		/* Whole-page writers need the whole page; the neighbour stays theirs. */
		vmi_protect(s.id, RULE, page ? DATA + PAGE_SIZE : DATA, page ? 0 :
			    source == HV_VP_ASSIST ? DENIED(2) : DENIED(1U << (sub - 1) | 4U << sub));
		aim(&s);
		again(&s);
		expect(!s.refused, "refused though it may be written");
		expect(changed(&s), "KVM writes nothing there");
		expect_eq(vmi_counters(s.id, RULE).kvm_writes, 0);
	} else {
		bool through = mode == ALLOW || mode == MONITOR;

		vmi_protect(s.id, RULE, DATA, 0);
		aim(&s);
		again(&s);
		if (through) {
			expect(!s.refused, "refused");
			expect(changed(&s), "KVM writes nothing there");
		} else {
			expect(!changed(&s), "the page was written");
		}
		expect_kvm_writes(&s, through ? KVM_VMI_ALLOW : KVM_VMI_DENY);
		/* The guest is none the worse for it. */
		vmi_detach();
		expect_lands(s.v, GUEST_ARENA);
	}
	vmi_detach();
	vm_free(s.vm);
}

/* Async page faults: the page is swapped out under the guest's feet. */
static void test_async_pf(uintptr_t protect)
{
	struct setup s;
	uint64_t gpa = GUEST_ARENA + 8 * PAGE_SIZE;
	struct run r;
	int i;

	host_swap_on();
	set_up(&s, PV_EOI);
	vmi_rule(s.id, RULE, KVM_VMI_DENY, 0);
	if (protect)
		vmi_protect(s.id, RULE, DATA, 0);
	*(uint64_t *)vm_hva(s.vm, gpa) = 1;
	wrmsr(&s, MSR_ASYNC_PF_INT, GUEST_VECTOR_EVENT);
	wrmsr(&s, MSR_ASYNC_PF, TARGET | 1 | 2 | 8);
	for (i = 0; i < 8; i++) {
		require(host_swap_out(vm_hva(s.vm, gpa), PAGE_SIZE), "not swapped out");
		r = vcpu_op(s.v, OP_STORE, gpa, i, 8);
		/* With the page out, a #PF with CR2 = token may come first. */
		expect(r.end == RUN_DONE && (r.vector == GUEST_NO_FAULT || r.vector == VECTOR_PF),
		       "%s", run_text(&r));
	}
	if (protect)
		expect(!changed(&s), "the page was written");
	vm_free(s.vm);
}

#define EACH_MODE(name, source)						\
	{ name "-plain", test_source, CASE(source, PLAIN) },		\
	{ name "-deny", test_source, CASE(source, DENY) },		\
	{ name "-skip", test_source, CASE(source, SKIP) },		\
	{ name "-allow", test_source, CASE(source, ALLOW) },		\
	{ name "-monitor", test_source, CASE(source, MONITOR) },	\
	{ name "-kill", test_source, CASE(source, KILL) },		\
	{ name "-beside", test_source, CASE(source, BESIDE) },		\
	{ name "-afterwards", test_source, CASE(source, AFTERWARDS) }

static const struct test_case cases[] = {
	EACH_MODE("wall-clock", WALL_CLOCK),
	EACH_MODE("wall-clock-old", WALL_CLOCK_OLD),
	EACH_MODE("system-time", SYSTEM_TIME),
	EACH_MODE("system-time-old", SYSTEM_TIME_OLD),
	EACH_MODE("steal-time", STEAL_TIME),
	EACH_MODE("pv-eoi", PV_EOI),
	EACH_MODE("hv-reference-tsc", HV_REFERENCE_TSC),
	EACH_MODE("hv-vp-assist", HV_VP_ASSIST),
	EACH_MODE("hv-hypercall", HV_HYPERCALL),
	EACH_MODE("xen-hypercall", XEN_HYPERCALL),
	EACH_MODE("clock-pairing", CLOCK_PAIRING),
	{ "async-pf-plain", test_async_pf, 0 },
	{ "async-pf", test_async_pf, 1 },
	{ }
};

const struct test_suite suite_kvmwrite = { .name = "kvmwrite", .cases = cases, .setup = vmi_setup };
