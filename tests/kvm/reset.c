// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A VMM that loads CR0.PE=0 into a boot CPU which has been in protected mode
 * begins a reset: rules are disarmed, kept, or kill.  Nothing else is a reset.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	31
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define CR0_REAL	0x60000010UL

static uint64_t generation(uint64_t id)
{
	struct kvm_vmi_vm_info info;

	require_eq(vmi_info(id, &info), 0);
	return info.generation;
}

static struct kvm_segment real_segment(uint64_t base)
{
	return (struct kvm_segment){
		.base = base, .limit = 0xffff, .selector = base >> 4, .type = 3, .present = 1,
		.s = 1,
	};
}

/* The registers of a CPU in real mode, at @ip. */
static void fill_real_mode(struct kvm_sregs *s, struct kvm_regs *regs, uint64_t ip)
{
	s->cs = real_segment(0);
	s->cs.type = 11;
	s->ds = real_segment(0);
	s->es = s->ds;
	s->fs = s->ds;
	s->gs = s->ds;
	s->ss = s->ds;
	s->cr0 = CR0_REAL;
	s->cr3 = 0;
	s->cr4 = 0;
	s->efer = 0;
	*regs = (struct kvm_regs){ .rip = ip, .rflags = 2, .rsp = 0x8000 };
}

/* As a VMM resets a CPU. */
static int try_load_real_mode(struct vcpu *v)
{
	struct kvm_sregs s;
	struct kvm_regs regs;

	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	fill_real_mode(&s, &regs, 0x7c00);
	vcpu_ioctl(v, KVM_SET_REGS, &regs);
	return ioctl(v->fd, KVM_SET_SREGS, &s) ? -errno : 0;
}

static void load_real_mode(struct vcpu *v)
{
	require_eq(try_load_real_mode(v), 0);
}

static void set_rule(uint64_t id, uint32_t rule, uint8_t on_reset)
{
	struct kvm_vmi_rule r = {
		.id = rule,
		.on_reset = on_reset,
	};

	require_eq(vmi_set_rules(id, &r, 1), 0);
}

static void test_on_reset(uintptr_t on_reset)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_vmi_rule_info c;

	set_rule(id, RULE, on_reset);
	vmi_protect(id, RULE, DATA, DENIED(1));
	expect_denied(v, DATA);
	expect_eq(generation(id), 0);
	vmi_log_clear();
	if (on_reset == KVM_VMI_RESET_KILL) {
		int r = try_load_real_mode(v);

		expect(!r || r == -EIO, "KVM_SET_SREGS: %d", r);
		expect_end(vcpu_continue(v), RUN_ERROR);
		vm_free(vm);
		return;
	}
	load_real_mode(v);
	expect_eq(generation(id), 1);
	expect_eq(vmi_log_lives(id, VMI_RESET), 1);
	expect_eq(vmi_log_lives(id, VMI_DISARMED), on_reset == KVM_VMI_RESET_DISARM);
	c = vmi_counters(id, RULE);
	expect_eq(c.rule.flags, on_reset == KVM_VMI_RESET_DISARM ? KVM_VMI_RULE_DISARMED : 0);
	/* Real mode once more is the same reset; protected mode ends it. */
	load_real_mode(v);
	expect_eq(generation(id), 1);
	vcpu_reset_state(v);
	expect_eq(generation(id), 1);
	expect_attempt(v, DATA, 8, on_reset == KVM_VMI_RESET_KEEP ? ATTEMPT_DENIED : ATTEMPT_LANDS);

	/* Updated, it stays as it is; set again, it is armed again, and has its claims. */
	c.rule.flags = KVM_VMI_RULE_UPDATE;
	require_eq(vmi_set_rules(id, &c.rule, 1), 0);
	expect_eq(vmi_counters(id, RULE).rule.flags,
		  on_reset == KVM_VMI_RESET_DISARM ? KVM_VMI_RULE_DISARMED : 0);
	expect_attempt(v, DATA, 8, on_reset == KVM_VMI_RESET_KEEP ? ATTEMPT_DENIED : ATTEMPT_LANDS);
	set_rule(id, RULE, on_reset);
	expect_denied(v, DATA);
	expect_lands(v, DATA + SUBPAGE);
	load_real_mode(v);
	expect_eq(generation(id), 2);
	vm_free(vm);
}

/* Rules side by side, each after its own kind. */
static void test_mixed(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	set_rule(id, 1, KVM_VMI_RESET_DISARM);
	set_rule(id, 2, KVM_VMI_RESET_KEEP);
	vmi_protect(id, 1, DATA, DENIED(3));
	vmi_protect(id, 2, DATA, DENIED(6));
	require_eq(vmi_attach(KVM_VMI_DEFAULT), 0);
	vmi_log_clear();
	load_real_mode(v);
	expect_eq(vmi_log_lives(id, VMI_OPS_RESET), 1);
	expect(vmi_log_life(id, VMI_OPS_RESET) &&
	       vmi_log_life(id, VMI_OPS_RESET)->generation == 1, "told of another reset");
	vmi_detach();
	vcpu_reset_state(v);
	expect_lands(v, DATA);
	expect_denied(v, DATA + SUBPAGE);
	expect_denied(v, DATA + 2 * SUBPAGE);
	expect_violation(id, 0, .rule = 2);
	vm_free(vm);
}

static void test_sregs2(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_sregs2 s2;
	struct kvm_sregs s;
	struct kvm_regs regs;

	(void)arg;
	set_rule(id, RULE, KVM_VMI_RESET_DISARM);
	vmi_protect(id, RULE, DATA, 0);
	vcpu_ioctl(v, KVM_GET_SREGS2, &s2);
	vcpu_ioctl(v, KVM_SET_SREGS2, &s2);
	expect_eq(generation(id), 0);
	expect_denied(v, DATA);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	fill_real_mode(&s, &regs, 0x7c00);
	s2.cs = s.cs;
	s2.ds = s2.es = s2.fs = s2.gs = s2.ss = s.ds;
	s2.cr0 = s.cr0;
	s2.cr3 = s2.cr4 = s2.efer = 0;
	s2.flags = 0;
	vcpu_ioctl(v, KVM_SET_SREGS2, &s2);
	expect_eq(generation(id), 1);
	vm_free(vm);
}

/* The first load of registers is none, nor is what the guest does by itself. */
static void test_first_load(uintptr_t arg)
{
	/* mov eax, 1; mov cr0, eax; hlt; mov eax, 0; mov cr0, eax; hlt */
	static const uint8_t code[] = {
		0x66, 0xb8, 0x01, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xc0, 0xf4,
		0x66, 0xb8, 0x00, 0x00, 0x00, 0x00, 0x0f, 0x22, 0xc0, 0xf4,
	};
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .flags = VM_RAW }, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	memcpy(vm_hva(vm, 0x7c00), code, sizeof(code));
	set_rule(id, RULE, KVM_VMI_RESET_DISARM);
	vmi_protect(id, RULE, DATA, 0);
	load_real_mode(v);
	load_real_mode(v);
	expect_eq(generation(id), 0);
	expect_eq(vmi_counters(id, RULE).rule.flags, 0);
	/* The guest enters protected mode, and leaves it: no reset. */
	expect_end(vcpu_continue(v), RUN_HALT);
	expect_end(vcpu_continue(v), RUN_HALT);
	expect_eq(generation(id), 0);
	/* Now the VMM's load is one, though the CPU is in real mode. */
	load_real_mode(v);
	expect_eq(generation(id), 1);
	expect_eq(vmi_counters(id, RULE).rule.flags, KVM_VMI_RULE_DISARMED);
	vm_free(vm);
}

/* Another CPU's registers do not count, and another CPU's work does not hinder. */
static void test_other_cpu(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .vcpus = 2 }, &id);

	(void)arg;
	set_rule(id, RULE, KVM_VMI_RESET_DISARM);
	vmi_protect(id, RULE, DATA, 0);
	expect_denied(vm->vcpu[1], DATA);
	load_real_mode(vm->vcpu[1]);
	expect_eq(generation(id), 0);
	vcpu_reset_state(vm->vcpu[1]);
	expect_denied(vm->vcpu[1], DATA);

	vcpu_spawn(vm->vcpu[1], OP_RDTSC_SPIN, ~0UL);
	require(vcpu_wait_progress(vm->vcpu[1], 10), "the other CPU does not run");
	load_real_mode(vm->vcpu[0]);
	expect_eq(generation(id), 1);
	vm->vcpu[1]->cpu->stop = 1;
	expect_done(vcpu_join(vm->vcpu[1]));
	expect_lands(vm->vcpu[1], DATA);
	vm_free(vm);
}

#define MSR_X2APIC_ICR	0x830
#define ICR_INIT	0x4500	/* delivery mode INIT, level assert (SDM vol. 3, 11.6.1) */

/*
 * INIT from another CPU is no reset, and does not make one of what the VMM reads
 * and writes back: whoever is root on that CPU would disarm every rule.
 */
static void test_init_ipi(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(&(struct vm_options){ .vcpus = 2, .flags = VM_IRQCHIP }, &id);
	struct vcpu *v = vm->vcpu[0];
	struct kvm_mp_state state;
	struct kvm_sregs s;

	(void)arg;
	set_rule(id, RULE, KVM_VMI_RESET_DISARM);
	vmi_protect(id, RULE, DATA, 0);
	expect_denied(v, DATA);
	expect_done(vcpu_op(vm->vcpu[1], OP_WRMSR, MSR_X2APIC_ICR, ICR_INIT));
	/* Has what is pending done. */
	vcpu_ioctl(v, KVM_GET_MP_STATE, &state);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	require(!(s.cr0 & 1), "INIT has not arrived");
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	expect_eq(generation(id), 0);
	expect_denied(vm->vcpu[1], DATA);
	/* What the VMM loads for a reset still is one. */
	load_real_mode(v);
	expect_eq(generation(id), 1);
	expect_lands(vm->vcpu[1], DATA);
	vm_free(vm);
}

/* A triple fault, which KVM may turn into INIT by itself, and then the VMM's reset. */
static void test_triple_fault(uintptr_t arg)
{
	uint64_t id;
	struct vm *vm = vmi_new(NULL, &id);
	struct vcpu *v = vm->vcpu[0];

	(void)arg;
	set_rule(id, RULE, KVM_VMI_RESET_DISARM);
	vmi_protect(id, RULE, DATA, 0);
	vcpu_set_ist(v, VECTOR_DF, 0);
	expect_end(vcpu_op(v, OP_UD2, GUEST_ARENA + 0x1f0000), RUN_SHUTDOWN);
	expect_eq(vmi_counters(id, RULE).rule.flags, 0);
	load_real_mode(v);
	expect_eq(generation(id), 1);
	vcpu_reset_state(v);
	expect_lands(v, DATA);
	vm_free(vm);
}

static const struct test_case cases[] = {
	{ "disarm", test_on_reset, KVM_VMI_RESET_DISARM },
	{ "keep", test_on_reset, KVM_VMI_RESET_KEEP },
	{ "kill", test_on_reset, KVM_VMI_RESET_KILL },
	{ "mixed", test_mixed },
	{ "sregs2", test_sregs2 },
	{ "first-load", test_first_load },
	{ "other-cpu", test_other_cpu },
	{ "init-ipi", test_init_ipi },
	{ "triple-fault", test_triple_fault },
	{ }
};

const struct test_suite suite_reset = { .name = "reset", .cases = cases, .setup = vmi_setup };
