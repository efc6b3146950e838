// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Task switches of a 32-bit guest, which KVM carries out: what they write and read obeys
 * the map, and one that is denied, which is half done then, is the end of the guest.
 */
#include <errno.h>
#include <string.h>

#include "lib/attempt.h"
#include "suites.h"

#define RULE	71

/* Without paging: addresses are physical. */
#define GDT	(GUEST_ARENA + 0 * PAGE_SIZE)
#define LDT	(GUEST_ARENA + 1 * PAGE_SIZE)
#define OLD_TSS	(GUEST_ARENA + 2 * PAGE_SIZE)
#define NEW_TSS	(GUEST_ARENA + 3 * PAGE_SIZE)
#define CODE	(GUEST_ARENA + 4 * PAGE_SIZE)
#define IDT	(GUEST_ARENA + 5 * PAGE_SIZE)
#define STACK	(GUEST_ARENA + 7 * PAGE_SIZE)
#define NEW_EIP	(CODE + 0x40)
#define ON_GP	(CODE + 0x80)
#define FAULT	(CODE + 7)

/* Selectors. */
#define FLAT_CODE	0x08
#define FLAT_DATA	0x10
#define OLD_TASK	0x18
#define NEW_TASK	0x20
#define NEW_LDT		0x28
#define LDT_DATA	0x04
#define BAD_SELECTOR	0xfff8	/* beyond the GDT */

#define CR0_PE	(1UL << 0)
#define CR0_ET	(1UL << 4)
#define CR0_NE	(1UL << 5)

/* A task's state, as the CPU has it (SDM vol. 3, 10.2.1). */
struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
	uint32_t eax, ecx, edx, ebx, esp, ebp, esi, edi;
	uint32_t es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_map;
};

_Static_assert(sizeof(struct tss) == 104, "TSS");

struct task {
	struct vm *vm;
	struct vcpu *v;
	uint64_t id;
	struct kvm_vmi_caps caps;
};

static uint64_t system_descriptor(uint64_t base, unsigned int type, unsigned int limit)
{
	return limit | (base & 0xffffff) << 16 | (uint64_t)(0x80 | type) << 40 |
	       (base & 0xff000000) << 32;
}

static struct kvm_segment flat(uint16_t selector, unsigned int type)
{
	return (struct kvm_segment){
		.limit = 0xffffffff, .selector = selector, .type = type, .present = 1, .db = 1,
		.s = 1, .g = 1,
	};
}

static void write_tables(struct task *t)
{
	uint64_t *gdt = vm_hva(t->vm, GDT), *ldt = vm_hva(t->vm, LDT);
	struct tss *tss = vm_hva(t->vm, NEW_TSS);

	((uint64_t *)vm_hva(t->vm, IDT))[VECTOR_GP] =
		(ON_GP & 0xffff) | FLAT_CODE << 16 | 0x8eUL << 40 | (ON_GP & 0xffff0000) << 32;
	gdt[FLAT_CODE / 8] = 0x00cf9b000000ffff;
	gdt[FLAT_DATA / 8] = 0x00cf93000000ffff;
	gdt[OLD_TASK / 8] = system_descriptor(OLD_TSS, 11, sizeof(*tss) - 1);
	gdt[NEW_TASK / 8] = system_descriptor(NEW_TSS, 9, sizeof(*tss) - 1);
	gdt[NEW_LDT / 8] = system_descriptor(LDT, 2, 7);
	ldt[0] = gdt[FLAT_DATA / 8];
	*tss = (struct tss){
		.eip = NEW_EIP, .eflags = 2, .esp = STACK, .cs = FLAT_CODE, .ss = FLAT_DATA,
		.ds = FLAT_DATA, .es = LDT_DATA, .ldt = NEW_LDT, .edx = GUEST_PORT_DONE,
		.eax = 42, .io_map = sizeof(*tss),
	};
}

static void write_code(struct task *t)
{
	/* LJMP NEW_TASK:0, and MOV %eax, %ds, which faults */
	static const uint8_t old_task[] = { 0xea, 0, 0, 0, 0, NEW_TASK, 0, 0x8e, 0xd8 };
	/* OUT %eax, (%dx) */
	static const uint8_t new_task[] = { 0xef };
	/* MOV $GUEST_PORT_TRAP, %edx, and the same */
	static const uint8_t on_gp[] = { 0xba, 0xa4, 0x05, 0, 0, 0xef };

	memcpy(vm_hva(t->vm, CODE), old_task, sizeof(old_task));
	memcpy(vm_hva(t->vm, NEW_EIP), new_task, sizeof(new_task));
	memcpy(vm_hva(t->vm, ON_GP), on_gp, sizeof(on_gp));
}

static void enter_old_task(struct task *t)
{
	struct kvm_regs regs = { .rip = CODE, .rsp = STACK, .rflags = 2, .rax = BAD_SELECTOR };
	struct kvm_sregs s;

	vcpu_ioctl(t->v, KVM_GET_SREGS, &s);
	s.cr0 = CR0_PE | CR0_ET | CR0_NE;
	s.cr3 = s.cr4 = s.efer = 0;
	s.cs = flat(FLAT_CODE, 11);
	s.ds = s.es = s.ss = s.fs = s.gs = flat(FLAT_DATA, 3);
	s.tr = (struct kvm_segment){
		.base = OLD_TSS, .limit = sizeof(struct tss) - 1, .selector = OLD_TASK, .type = 11,
		.present = 1,
	};
	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.gdt.base = GDT;
	s.gdt.limit = NEW_LDT + 7;
	s.idt.base = IDT;
	s.idt.limit = PAGE_SIZE - 1;
	vcpu_ioctl(t->v, KVM_SET_SREGS, &s);
	vcpu_ioctl(t->v, KVM_SET_REGS, &regs);
}

static void set_up(struct task *t, uint32_t action)
{
	const struct kvm_vmi_rule rule = {
		.id = RULE,
		.action[KVM_VMI_ACTION_WRITE] = action,
		.action[KVM_VMI_ACTION_READ] = action == KVM_VMI_SKIP ? KVM_VMI_DENY : action,
	};

	t->vm = vmi_new(NULL, &t->id);
	t->v = t->vm->vcpu[0];
	require_eq(vmi_caps(&t->caps), 0);
	write_tables(t);
	write_code(t);
	enter_old_task(t);
	require_eq(vmi_set_rules(t->id, &rule, 1), 0);
	vmi_log_clear();
}

static void expect_switched(struct task *t)
{
	struct run r = vcpu_continue(t->v);
	struct kvm_regs regs;
	struct kvm_sregs s;

	if (!expect(r.end == RUN_DONE, "%s", run_text(&r)))
		return;
	vcpu_ioctl(t->v, KVM_GET_REGS, &regs);
	vcpu_ioctl(t->v, KVM_GET_SREGS, &s);
	expect_eq(regs.rax, 42);
	expect_eq(s.tr.selector, NEW_TASK);
	expect_eq(s.es.selector, LDT_DATA);
	/* The old one can go on behind the jump. */
	expect_eq(((struct tss *)vm_hva(t->vm, OLD_TSS))->eip, CODE + 7);
}

static void test_plain(uintptr_t beside)
{
	struct task t;

	set_up(&t, KVM_VMI_DENY);
	if (beside) {
		vmi_protect(t.id, RULE, OLD_TSS, DENIED(1U << 9));
		vmi_protect(t.id, RULE, NEW_TSS, DENIED(1U << 9));
	}
	expect_switched(&t);
	expect_eq(vmi_log_violations(t.id), 0);
	vm_free(t.vm);
}

/* The old task's state is written. */
static void test_write(uintptr_t action)
{
	struct task t;

	set_up(&t, action);
	vmi_protect(t.id, RULE, OLD_TSS, DENIED(1));
	if (action == KVM_VMI_ALLOW) {
		expect_switched(&t);
	} else if (action == KVM_VMI_KILL) {
		struct run r = vcpu_continue(t.v);

		expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	} else {
		expect_end(vcpu_continue(t.v), RUN_SHUTDOWN);
		expect_eq(((struct tss *)vm_hva(t.vm, OLD_TSS))->eip, 0);
	}
	expect_violation(t.id, 0, .kind = KVM_VMI_WRITE, .rule = RULE,
			 .verdict = action == KVM_VMI_SKIP ? KVM_VMI_DENY : action,
			 .gpa = OLD_TSS + offsetof(struct tss, eip));
	vm_free(t.vm);
}

/* The new task's state, and the segments that it names, are read. */
static void test_read(uintptr_t gpa)
{
	struct kvm_vmi_range range = { .gfn = GFN(gpa), .nr = 1, .rule = RULE };
	struct task t;

	set_up(&t, KVM_VMI_DENY);
	if (!(t.caps.features & KVM_VMI_CAP_READ)) {
		expect_eq(-vmi_set(t.id, &range, 1), EOPNOTSUPP);
		expect_switched(&t);
	} else {
		require_eq(vmi_set(t.id, &range, 1), 0);
		expect_end(vcpu_continue(t.v), RUN_SHUTDOWN);
		expect_violation(t.id, 0, .kind = KVM_VMI_READ, .verdict = KVM_VMI_DENY,
				 .gpa = gpa);
	}
	vm_free(t.vm);
}

/* An exception switches to the new task, and its error code is pushed there. */
static void test_push(uintptr_t action)
{
	const uint64_t at = STACK - 4;
	struct kvm_regs regs;
	struct task t;

	set_up(&t, action);
	/* A task gate. */
	((uint64_t *)vm_hva(t.vm, IDT))[VECTOR_GP] = NEW_TASK << 16 | 0x85UL << 40;
	vcpu_ioctl(t.v, KVM_GET_REGS, &regs);
	regs.rip = FAULT;
	vcpu_ioctl(t.v, KVM_SET_REGS, &regs);
	vmi_protect(t.id, RULE, at, DENIED(1U << 31));
	if (action == KVM_VMI_ALLOW) {
		struct run r = vcpu_continue(t.v);

		expect(r.end == RUN_DONE, "%s", run_text(&r));
		expect_eq(*(uint32_t *)vm_hva(t.vm, at), BAD_SELECTOR);
		expect_eq(((struct tss *)vm_hva(t.vm, OLD_TSS))->eip, FAULT);
	} else {
		expect_end(vcpu_continue(t.v), RUN_SHUTDOWN);
		expect_eq(*(uint32_t *)vm_hva(t.vm, at), 0);
	}
	expect_violation(t.id, 0, .kind = KVM_VMI_WRITE, .rule = RULE, .gpa = at,
			 .verdict = action == KVM_VMI_SKIP ? KVM_VMI_DENY : action);
	vm_free(t.vm);
}

static const struct test_case cases[] = {
	{ "plain", test_plain, false },
	{ "beside", test_plain, true },
	{ "write-deny", test_write, KVM_VMI_DENY },
	{ "write-skip", test_write, KVM_VMI_SKIP },
	{ "write-allow", test_write, KVM_VMI_ALLOW },
	{ "write-kill", test_write, KVM_VMI_KILL },
	{ "push-deny", test_push, KVM_VMI_DENY },
	/* There is no instruction to skip. */
	{ "push-skip", test_push, KVM_VMI_SKIP },
	{ "push-allow", test_push, KVM_VMI_ALLOW },
	{ "read-task", test_read, NEW_TSS },
	{ "read-segment", test_read, LDT },
	{ }
};

const struct test_suite suite_taskswitch = {
	.name = "taskswitch", .cases = cases, .setup = vmi_setup,
};
