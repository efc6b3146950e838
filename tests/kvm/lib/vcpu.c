// SPDX-License-Identifier: GPL-2.0-or-later
/* Setting a virtual CPU up, and running one operation on it. */
#include "vcpu.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUID	256

#define CR0_PE		(1UL << 0)
#define CR0_MP		(1UL << 1)
#define CR0_ET		(1UL << 4)
#define CR0_NE		(1UL << 5)
#define CR0_WP		(1UL << 16)
#define CR0_PG		(1UL << 31)
#define CR4_PAE		(1UL << 5)
#define EFER_SCE	(1UL << 0)
#define EFER_LME	(1UL << 8)
#define EFER_LMA	(1UL << 10)
#define EFER_NXE	(1UL << 11)
#define APIC_X2APIC	(1UL << 10)
#define APIC_ENABLE	(1UL << 11)
#define MSR_X2APIC_SVR	0x80f
#define MSR_KERNEL_GS_BASE 0xc0000102

#define GATE_KERNEL	0x8e
#define GATE_USER	0xee

/* The time an operation may take before it counts as hanging. */
#define TIMEOUT_MS	4000

#define TIMER_SIGNAL	SIGUSR1

static _Thread_local struct kvm_run *running;
static _Thread_local timer_t timer;
static _Thread_local bool have_timer, timed_out;

static void on_timer(int signal)
{
	(void)signal;
	timed_out = true;
	if (running)
		running->immediate_exit = 1;
}

/* Have TIMER_SIGNAL sent to this thread in @ms; 0 calls it off. */
static void arm_timer(unsigned int ms)
{
	const struct itimerspec when = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L },
		/* Again and again: the first may come just before KVM_RUN. */
		.it_interval = { .tv_nsec = ms ? 100000000 : 0 },
	};

	if (!have_timer) {
		struct sigaction action = { .sa_handler = on_timer };
		struct sigevent event = {
			.sigev_notify = SIGEV_THREAD_ID,
			.sigev_signo = TIMER_SIGNAL,
		};

		event._sigev_un._tid = gettid();
		sigaction(TIMER_SIGNAL, &action, NULL);
		require(!timer_create(CLOCK_MONOTONIC, &event, &timer), "timer_create: %s",
			strerror(errno));
		have_timer = true;
	}
	timer_settime(timer, 0, &when, NULL);
}

/* What is added to the address of the kernel's code and data. */
static uint64_t half(const struct vcpu *vcpu)
{
	return vcpu->base - vcpu->block;
}

static void set_descriptor(uint8_t *gdt, unsigned int selector, uint64_t value)
{
	memcpy(gdt + (selector & ~7U), &value, sizeof(value));
}

static void fill_gdt(struct vcpu *vcpu)
{
	uint64_t tss = vcpu->base + GUEST_TSS;
	uint8_t *gdt = vm_hva(vcpu->vm, vcpu->block + GUEST_GDT);

	memset(gdt, 0, PAGE_SIZE);
	set_descriptor(gdt, GUEST_CS, 0x00af9b000000ffff);
	set_descriptor(gdt, GUEST_DS, 0x00cf93000000ffff);
	set_descriptor(gdt, GUEST_USER_CS, 0x00affb000000ffff);
	set_descriptor(gdt, GUEST_USER_DS, 0x00cff3000000ffff);
	set_descriptor(gdt, GUEST_SPARE_DS, 0x00cf92000000ffff);
	/* A 64-bit TSS, available; LTR makes it busy. */
	set_descriptor(gdt, GUEST_TR, 0x0000890000000067 | (tss & 0xffffff) << 16 |
		       (tss & 0xff000000) << 32);
	set_descriptor(gdt, GUEST_TR + 8, tss >> 32);
	set_descriptor(gdt, GUEST_CS32, 0x00cf9b000000ffff);
	set_descriptor(gdt, GUEST_USER_CS32, 0x00cffb000000ffff);
}

static void fill_tss(struct vcpu *vcpu)
{
	uint8_t *tss = vm_hva(vcpu->vm, vcpu->block + GUEST_TSS);
	uint64_t rsp0 = vcpu->base + GUEST_RSP0_TOP;
	uint64_t ist1 = vcpu->base + GUEST_IST1_TOP, ist2 = vcpu->base + GUEST_IST2_TOP;
	uint16_t no_io_map = 104;

	memset(tss, 0, PAGE_SIZE);
	memcpy(tss + 4, &rsp0, 8);
	memcpy(tss + 36, &ist1, 8);
	memcpy(tss + 44, &ist2, 8);
	memcpy(tss + 102, &no_io_map, 2);
}

static void fill_idt(struct vcpu *vcpu)
{
	const struct guest_image *image = vm_hva(vcpu->vm, GUEST_IMAGE_BASE);
	uint64_t *idt = vm_hva(vcpu->vm, vcpu->block + GUEST_IDT);
	unsigned int i;

	for (i = 0; i < 256; i++) {
		uint64_t to = image->stubs + i * image->stub_size + half(vcpu);
		bool user = i == GUEST_VECTOR_RETURN || i == GUEST_VECTOR_EVENT;
		uint64_t type = user ? GATE_USER : GATE_KERNEL;

		idt[i * 2] = (to & 0xffff) | (uint64_t)GUEST_CS << 16 | type << 40 |
			     (to & 0xffff0000) << 32;
		idt[i * 2 + 1] = to >> 32;
	}
	vcpu_set_ist(vcpu, VECTOR_DF, 1);
}

void vcpu_set_ist(struct vcpu *vcpu, unsigned int vector, unsigned int ist)
{
	uint64_t *idt = vm_hva(vcpu->vm, vcpu->block + GUEST_IDT);

	idt[vector * 2] = (idt[vector * 2] & ~(7UL << 32)) | (uint64_t)ist << 32;
}

static struct kvm_segment segment(uint16_t selector, unsigned int type, bool code)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1,
		.db = !code, .s = 1, .l = code, .g = 1,
	};
}

static void set_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs s;

	vcpu_ioctl(vcpu, KVM_GET_SREGS, &s);
	s.cs = segment(GUEST_CS, 11, true);
	s.ds = segment(GUEST_DS, 3, false);
	s.es = s.ds;
	s.fs = s.ds;
	s.gs = s.ds;
	s.ss = s.ds;
	s.gs.base = vcpu->base + GUEST_MAILBOX;
	s.tr = (struct kvm_segment){
		.base = vcpu->base + GUEST_TSS, .limit = 0x67, .selector = GUEST_TR,
		.type = 11, .present = 1,
	};
	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.gdt.base = vcpu->base + GUEST_GDT;
	s.gdt.limit = PAGE_SIZE - 1;
	s.idt.base = vcpu->base + GUEST_IDT;
	s.idt.limit = PAGE_SIZE - 1;
	s.cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	s.cr3 = vcpu->vm->cr3;
	s.cr4 = CR4_PAE;
	s.efer = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	if (vcpu->vm->flags & VM_IRQCHIP)
		s.apic_base |= APIC_ENABLE | APIC_X2APIC;
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &s);
}

void vcpu_set_msr(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} msr = {
		.head.nmsrs = 1,
		.entry = { .index = index, .data = value },
	};

	require_eq(vcpu_ioctl(vcpu, KVM_SET_MSRS, &msr), 1);
}

void vcpu_set_cr4(struct vcpu *vcpu, uint64_t bits, bool on)
{
	struct kvm_sregs s;

	vcpu_ioctl(vcpu, KVM_GET_SREGS, &s);
	s.cr4 = on ? s.cr4 | bits : s.cr4 & ~bits;
	vcpu_ioctl(vcpu, KVM_SET_SREGS, &s);
}

int vcpu_set_cr3(struct vcpu *vcpu, uint64_t cr3)
{
	struct kvm_sregs s;

	vcpu_ioctl(vcpu, KVM_GET_SREGS, &s);
	s.cr3 = cr3;
	return ioctl(vcpu->fd, KVM_SET_SREGS, &s) ? errno : 0;
}

void vcpu_reset_state(struct vcpu *vcpu)
{
	const struct guest_image *image = vm_hva(vcpu->vm, GUEST_IMAGE_BASE);
	struct kvm_regs regs = {
		.rip = image->entry + half(vcpu),
		.rsp = vcpu->base + GUEST_STACK_TOP,
		.rflags = 2,
	};
	struct kvm_vcpu_events events;

	fill_gdt(vcpu);
	fill_tss(vcpu);
	fill_idt(vcpu);
	set_sregs(vcpu);
	vcpu_ioctl(vcpu, KVM_SET_REGS, &regs);
	vcpu_ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events);
	memset(&events.exception, 0, sizeof(events.exception));
	memset(&events.interrupt, 0, sizeof(events.interrupt));
	memset(&events.nmi, 0, sizeof(events.nmi));
	events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING;
	vcpu_ioctl(vcpu, KVM_SET_VCPU_EVENTS, &events);
	memset(vcpu->cpu, 0, sizeof(*vcpu->cpu));
	vcpu->cpu->self = vcpu->base + GUEST_MAILBOX;
	vcpu_set_msr(vcpu, MSR_KERNEL_GS_BASE, vcpu->block + GUEST_MAILBOX);
	vcpu->cpu->vector = GUEST_NO_FAULT;
}

static void add_cpuid(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t a, const char *name)
{
	struct kvm_cpuid_entry2 *e = &cpuid->entries[cpuid->nent++];

	*e = (struct kvm_cpuid_entry2){ .function = leaf, .eax = a };
	if (name) {
		memcpy(&e->ebx, name, 4);
		memcpy(&e->ecx, name + 4, 4);
		memcpy(&e->edx, name + 8, 4);
	}
}

/* What a VMM does that offers both: Hyper-V where KVM was, KVM behind it. */
static void add_hyperv(struct kvm_cpuid2 *cpuid)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == 0x40000000 ||
		    cpuid->entries[i].function == 0x40000001)
			cpuid->entries[i].function += 0x100;
	require(cpuid->nent + 2 <= MAX_CPUID, "too many CPUID leaves");
	add_cpuid(cpuid, 0x40000000, 0x40000005, "Microsoft Hv");
	add_cpuid(cpuid, 0x40000001, 0x31237648, NULL);
}

static void set_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	require(cpuid, "out of memory");
	cpuid->nent = MAX_CPUID;
	must_ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, "KVM_GET_SUPPORTED_CPUID",
		   (unsigned long)cpuid, __FILE__, __LINE__);
	if (vcpu->vm->flags & VM_HYPERV)
		add_hyperv(cpuid);
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

/* What KVM_SET_CPUID2 was given; the caller frees it. */
static struct kvm_cpuid2 *get_cpuid(struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + MAX_CPUID * sizeof(cpuid->entries[0]));
	require(cpuid, "out of memory");
	cpuid->nent = MAX_CPUID;
	vcpu_ioctl(vcpu, KVM_GET_CPUID2, cpuid);
	return cpuid;
}

static uint32_t *find_cpuid(struct kvm_cpuid2 *cpuid, uint32_t leaf, uint32_t index,
			    enum cpuid_register reg)
{
	unsigned int i;

	for (i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		if (e->function == leaf && e->index == index)
			return reg == CPUID_EAX ? &e->eax : reg == CPUID_EBX ? &e->ebx :
			       reg == CPUID_ECX ? &e->ecx : &e->edx;
	}
	return NULL;
}

uint32_t vcpu_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t index, enum cpuid_register reg)
{
	struct kvm_cpuid2 *cpuid = get_cpuid(vcpu);
	const uint32_t *p = find_cpuid(cpuid, leaf, index, reg);
	uint32_t value = p ? *p : 0;

	free(cpuid);
	return value;
}

void vcpu_hide_cpuid(struct vcpu *vcpu, uint32_t leaf, uint32_t index, enum cpuid_register reg,
		     uint32_t bits)
{
	struct kvm_cpuid2 *cpuid = get_cpuid(vcpu);
	uint32_t *p = find_cpuid(cpuid, leaf, index, reg);

	if (p)
		*p &= ~bits;
	vcpu_ioctl(vcpu, KVM_SET_CPUID2, cpuid);
	free(cpuid);
}

/* Switch the APIC on, so that the guest can take interrupts from it. */
static void set_apic(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };

	vcpu_set_msr(vcpu, MSR_X2APIC_SVR, 0x1ff);
	vcpu_ioctl(vcpu, KVM_SET_MP_STATE, &state);
	vcpu->cpu->flags |= GUEST_F_X2APIC;
}

struct vcpu *vcpu_new(struct vm *vm, unsigned int id)
{
	struct vcpu *vcpu = calloc(1, sizeof(*vcpu));

	require(vcpu && id < GUEST_MAX_CPUS, "vCPU %u", id);
	vcpu->vm = vm;
	vcpu->id = id;
	vcpu->timeout_ms = TIMEOUT_MS;
	vcpu->block = GUEST_CPU_BASE + id * GUEST_CPU_SIZE;
	vcpu->base = vcpu->block + (vm->flags & VM_HIGH ? GUEST_HIGH : 0);
	vcpu->cpu = vm_hva(vm, vcpu->block + GUEST_MAILBOX);
	vcpu->fd = vm_ioctl(vm, KVM_CREATE_VCPU, id);
	vcpu->run_size = must_ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE",
				    0, __FILE__, __LINE__);
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	require(vcpu->run != MAP_FAILED, "mmap of a vCPU: %s", strerror(errno));
	set_cpuid(vcpu);
	if (vm->flags & VM_RAW)
		return vcpu;
	vcpu_reset_state(vcpu);
	if (vm->flags & VM_IRQCHIP)
		set_apic(vcpu);
	return vcpu;
}

void vcpu_free(struct vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (vcpu->spawned) {
		vcpu->cpu->stop = 1;
		vcpu_join(vcpu);
	}
	munmap(vcpu->run, vcpu->run_size);
	close(vcpu->fd);
	free(vcpu);
}

void vcpu_prepare(struct vcpu *vcpu, enum guest_op op, struct op_args args)
{
	unsigned int i;

	for (i = 0; i < 8; i++)
		vcpu->cpu->arg[i] = args.v[i];
	for (i = 0; i < 4; i++)
		vcpu->cpu->ret[i] = 0;
	vcpu->cpu->progress = 0;
	vcpu->cpu->stop = 0;
	vcpu->cpu->op = op;
	vcpu->events_before = vcpu->cpu->events;
}

static void read_mailbox(struct vcpu *vcpu, struct run *r)
{
	const struct guest_cpu *cpu = vcpu->cpu;
	unsigned int i;

	r->vector = cpu->vector;
	r->error = cpu->error;
	r->fault_rip = cpu->fault_rip;
	r->fault_rsp = cpu->fault_rsp;
	r->insn = cpu->insn;
	r->cr2 = cpu->cr2;
	r->faults = cpu->faults;
	r->events = cpu->events - vcpu->events_before;
	for (i = 0; i < 4; i++)
		r->ret[i] = cpu->ret[i];
}

static void read_exit(struct vcpu *vcpu, struct run *r)
{
	const struct kvm_run *run = vcpu->run;

	r->exit_reason = run->exit_reason;
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		r->end = run->io.port == GUEST_PORT_DONE ? RUN_DONE :
			 run->io.port == GUEST_PORT_TRAP ? RUN_TRAP : RUN_OTHER_EXIT;
		break;
	case KVM_EXIT_HLT:
		r->end = RUN_HALT;
		break;
	case KVM_EXIT_SHUTDOWN:
		r->end = RUN_SHUTDOWN;
		break;
	case KVM_EXIT_MMIO:
		r->end = RUN_MMIO;
		r->mmio = run->mmio.phys_addr;
		break;
	case KVM_EXIT_IRQ_WINDOW_OPEN:
		r->end = RUN_IRQ_WINDOW;
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		r->end = RUN_INTERNAL_ERROR;
		r->suberror = run->internal.suberror;
		break;
	default:
		r->end = RUN_OTHER_EXIT;
	}
}

struct run vcpu_continue(struct vcpu *vcpu)
{
	struct run r = { .end = RUN_DONE };
	int status;

	timed_out = false;
	running = vcpu->run;
	arm_timer(vcpu->timeout_ms);
	do {
		status = ioctl(vcpu->fd, KVM_RUN, 0UL);
	} while (status < 0 && errno == EINTR && !timed_out);
	r.err = status < 0 ? errno : 0;
	arm_timer(0);
	running = NULL;
	vcpu->run->immediate_exit = 0;

	if (r.err == EINTR)
		r.end = RUN_TIMEOUT;
	else if (r.err)
		r.end = RUN_ERROR;
	else
		read_exit(vcpu, &r);
	read_mailbox(vcpu, &r);
	return r;
}

struct run vcpu_op_args(struct vcpu *vcpu, enum guest_op op, struct op_args args)
{
	vcpu_prepare(vcpu, op, args);
	return vcpu_continue(vcpu);
}

static void *run_thread(void *arg)
{
	struct vcpu *vcpu = arg;

	vcpu->result = vcpu_continue(vcpu);
	return NULL;
}

void vcpu_map(struct vcpu *vcpu, uint64_t gva, uint64_t gpa, uint64_t bits)
{
	struct run r = vcpu_op(vcpu, OP_STORE, GUEST_HIGH + vm_pte(vcpu->vm, gva), gpa | bits, 8);

	require(r.end == RUN_DONE && r.vector == GUEST_NO_FAULT, "%s", run_text(&r));
}

void vcpu_spawn_args(struct vcpu *vcpu, enum guest_op op, struct op_args args)
{
	int r;

	vcpu_prepare(vcpu, op, args);
	r = pthread_create(&vcpu->thread, NULL, run_thread, vcpu);
	require(!r, "pthread_create: %s", strerror(r));
	vcpu->spawned = true;
}

void vcpu_yield_to_all(struct vcpu *vcpu)
{
	const struct sched_param param = { };
	int r = pthread_setschedparam(vcpu->thread, SCHED_IDLE, &param);

	require(!r, "SCHED_IDLE: %s", strerror(r));
}

struct run vcpu_join(struct vcpu *vcpu)
{
	pthread_join(vcpu->thread, NULL);
	vcpu->spawned = false;
	return vcpu->result;
}

bool vcpu_wait_progress(struct vcpu *vcpu, uint64_t n)
{
	const struct timespec pause = { .tv_nsec = 100000 };
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	while (vcpu->cpu->progress < n) {
		nanosleep(&pause, NULL);
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (now.tv_sec - start.tv_sec > 10)
			return false;
	}
	return true;
}

uint32_t vcpu_features(struct vcpu *vcpu)
{
	struct run r = vcpu_op(vcpu, OP_FEATURES, 3);

	require_done(r);
	return r.ret[0];
}

const char *run_end_name(enum run_end end)
{
	switch (end) {
	case RUN_DONE: return "done";
	case RUN_TRAP: return "unexpected exception";
	case RUN_HALT: return "halt";
	case RUN_SHUTDOWN: return "shutdown";
	case RUN_INTERNAL_ERROR: return "internal error";
	case RUN_MMIO: return "MMIO";
	case RUN_IRQ_WINDOW: return "interrupt window";
	case RUN_OTHER_EXIT: return "other exit";
	case RUN_ERROR: return "error";
	case RUN_TIMEOUT: return "timeout";
	}
	return "?";
}

const char *run_text(const struct run *r)
{
	static _Thread_local char texts[4][320];
	static _Thread_local unsigned int next;
	char *text = texts[next++ % 4];
	int n;

	n = snprintf(text, sizeof(texts[0]), "run ended: %s", run_end_name(r->end));
	if (r->end == RUN_ERROR)
		n += snprintf(text + n, sizeof(texts[0]) - n, " (%s)", strerror(r->err));
	if (r->end == RUN_INTERNAL_ERROR)
		n += snprintf(text + n, sizeof(texts[0]) - n, " (suberror %u)", r->suberror);
	if (r->end == RUN_OTHER_EXIT)
		n += snprintf(text + n, sizeof(texts[0]) - n, " (reason %u)", r->exit_reason);
	if (r->end == RUN_MMIO)
		n += snprintf(text + n, sizeof(texts[0]) - n, " (at %#llx)",
			      (unsigned long long)r->mmio);
	if (r->vector == GUEST_NO_FAULT)
		snprintf(text + n, sizeof(texts[0]) - n, ", no exception");
	else
		snprintf(text + n, sizeof(texts[0]) - n,
			 ", exception %u error %#x rip %#llx (insn %#llx) rsp %#llx cr2 %#llx, %llu in all",
			 r->vector, r->error, (unsigned long long)r->fault_rip,
			 (unsigned long long)r->insn, (unsigned long long)r->fault_rsp,
			 (unsigned long long)r->cr2, (unsigned long long)r->faults);
	return text;
}
