// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A fault tells one address.  An instruction may access others at the same offset of a
 * page, and may be another one by the time that KVM emulates it: neither may reach what
 * the fault was about.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "lib/attempt.h"
#include "lib/exec.h"
#include "lib/host.h"
#include "suites.h"

#define OFFSET		0x108UL
#define ELSEWHERE	9	/* a sub-page that nothing of this touches */
#define STACK		(GUEST_ARENA + 5 * PAGE_SIZE)
#define SECRET		(GUEST_ARENA + 6 * PAGE_SIZE)

/* False, and the test is over, where the CPU cannot keep a page from being read. */
static bool hide(struct exec *s, uint64_t gpa)
{
	const uint32_t rights = KVM_VMI_RIGHT_EXEC_KERNEL | KVM_VMI_RIGHT_EXEC_USER;

	if (s->caps.features & KVM_VMI_CAP_READ) {
		exec_set_rights(s, gpa, 1, rights);
		return true;
	}
	expect_eq(-exec_try_rights(s, gpa, 1, rights), EOPNOTSUPP);
	vm_free(s->vm);
	return false;
}

/* CALL of what stands at CODE + OFFSET, which pushes to STACK + OFFSET. */
static struct run call(struct exec *s)
{
	struct run r = vcpu_op(s->v, OP_CALL_MEM, 0, 0);

	require_done(r);
	*(volatile uint64_t *)vm_hva(s->vm, CODE + OFFSET) = r.ret[1];
	*(volatile uint64_t *)vm_hva(s->vm, STACK + OFFSET) = 0;
	vmi_log_clear();
	return vcpu_op(s->v, OP_CALL_MEM, STACK + OFFSET + 8, CODE + OFFSET);
}

static void expect_called(struct exec *s, struct run r)
{
	if (!expect_done(r))
		return;
	expect_eq(r.ret[0], STACK + OFFSET);
	/* The instruction behind it is where it calls. */
	expect_eq(vm_read64(s->vm, STACK + OFFSET), r.ret[1]);
	expect_eq(vm_read64(s->vm, CODE + OFFSET), r.ret[1]);
}

/* The stack lies beside denied bytes: the CPU faults for it, not for the operand. */
static void test_stack(uintptr_t arg)
{
	struct exec s;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(s.id, EXEC_RULE + 1, STACK, DENIED(1U << ELSEWHERE));
	expect_called(&s, call(&s));
	expect_eq(vmi_log_violations(s.id), 0);
	expect_denied(s.v, STACK + ELSEWHERE * 128);
	vm_free(s.vm);
}

/* The operand may not be read, and is: the CPU faults for it, not for the stack. */
static void test_operand(uintptr_t arg)
{
	const struct kvm_vmi_rule rule = {
		.id = EXEC_RULE,
		.action[KVM_VMI_ACTION_READ] = KVM_VMI_ALLOW,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_ALLOW,
	};
	struct exec s;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	require_eq(vmi_set_rules(s.id, &rule, 1), 0);
	if (!hide(&s, CODE))
		return;
	expect_called(&s, call(&s));
	expect_eq(vmi_log_violations(s.id), 1);
	vm_free(s.vm);
}

#define barrier()	asm volatile("" : : : "memory")

/* Another thread changes the instruction, all the time. */
struct swap {
	volatile uint16_t *at;
	uint16_t insn[2];
	volatile bool stop;
};

static void *swap_thread(void *arg)
{
	struct swap *swap = arg;
	unsigned int i, j;

	/* Not in step with the vCPU. */
	for (i = 0; !swap->stop; i++) {
		*swap->at = swap->insn[i & 1];
		for (j = i * 7919 % 61; j; j--)
			barrier();
	}
	return NULL;
}

/* What user mode executes: MOV %ax and %rdi, the instruction, RET. */
static void write_code(struct exec *s, struct swap *swap, uint16_t ax, uint64_t rdi)
{
	uint8_t *code = vm_hva(s->vm, CODE);

	code[0] = 0x66;
	code[1] = 0xb8;
	memcpy(code + 2, &ax, 2);
	code[4] = 0x48;
	code[5] = 0xbf;
	memcpy(code + 6, &rdi, 8);
	memcpy(code + 14, &swap->insn[0], 2);
	code[16] = EXEC_RET;
	swap->at = (uint16_t *)(code + 14);
}

/*
 * User mode executes it @n times, while it is now this instruction, which KVM emulates, and
 * now that, which the guest's page tables forbid.
 */
static void execute_swapped(struct exec *s, struct swap *swap, unsigned int n,
			    bool (*after)(struct exec *s))
{
	unsigned int i, done = 0, refused = 0;
	pthread_t thread;
	long emulated;
	struct run r;

	s->v->cpu->flags |= GUEST_F_USER;
	emulated = host_stat(s->vm, "insn_emulation");
	require(emulated >= 0, "no statistics");
	require_done(vcpu_op(s->v, OP_EXECUTE, CODE));
	expect(host_stat(s->vm, "insn_emulation") > emulated, "it was not emulated");
	require(after(s), "by itself");
	*swap->at = swap->insn[1];
	r = vcpu_op(s->v, OP_EXECUTE, CODE);
	require(r.end == RUN_DONE && r.vector == VECTOR_PF, "%s", run_text(&r));
	*swap->at = swap->insn[0];
	require(!pthread_create(&thread, NULL, swap_thread, swap), "pthread_create");
	for (i = 0; i < n; i++) {
		r = vcpu_op(s->v, OP_EXECUTE, CODE);
		if (r.end == RUN_DONE && r.vector == GUEST_NO_FAULT)
			done++;
		else if (r.end == RUN_DONE && r.vector == VECTOR_PF)
			refused++;
		else if (!expect(false, "%s", run_text(&r)))
			break;
		if (!after(s))
			break;
	}
	swap->stop = true;
	pthread_join(thread, NULL);
	s->v->cpu->flags &= ~GUEST_F_USER;
	tap_note("  %u times let through, %u times refused", done, refused);
}

static unsigned int rounds(void)
{
	return test_options.long_run ? 20000 : host_cpus() > 1 ? 400 : 50;
}

static bool still_secret(struct exec *s)
{
	return expect_eq(vm_read64(s->vm, SECRET + OFFSET), 0);
}

/* A page that user mode may read, not write: a read that is let through is never a write. */
static void test_swapped_read(uintptr_t arg)
{
	const struct kvm_vmi_rule rule = {
		.id = EXEC_RULE,
		.action[KVM_VMI_ACTION_READ] = KVM_VMI_ALLOW,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_ALLOW,
	};
	struct swap swap = { .insn = { 0x078a, 0x0788 } };	/* MOV (%rdi), %al; and back */
	struct exec s;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	require_eq(vmi_set_rules(s.id, &rule, 1), 0);
	vm_map(s.vm, SECRET, SECRET, 1, PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_DIRTY);
	if (!hide(&s, SECRET))
		return;
	write_code(&s, &swap, 0x5555, SECRET + OFFSET);
	execute_swapped(&s, &swap, rounds(), still_secret);
	vm_free(s.vm);
}

static uint64_t descriptor;

static bool still_descriptor(struct exec *s)
{
	volatile uint64_t *entry = vm_hva(s->vm, descriptor);
	bool same = expect_eq(*entry | 1UL << 40, 0x00cff3000000ffff);

	/* That it has been used is what is written, by the CPU, each time anew. */
	*entry = 0x00cff2000000ffff;
	return same;
}

/* The CPU marks a descriptor for user mode, which may not write there by itself. */
static void test_swapped_write(uintptr_t offset)
{
	struct swap swap = { .insn = { 0xd88e, 0x0788 } };	/* MOV %eax, %ds; MOV %al, (%rdi) */
	struct exec s;
	uint64_t gdt;

	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	/* Where the CPU can check sub-pages it would write by itself. */
	require_eq(vmi_set_engine(s.id, KVM_VMI_ENGINE_SOFTWARE), 0);
	gdt = s.v->block + GUEST_GDT;
	descriptor = gdt + GUEST_SPARE_DS;
	*(uint64_t *)vm_hva(s.vm, descriptor) = 0x00cff2000000ffff;
	vm_map(s.vm, gdt, gdt, 1, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	/* Allowed, beside denied bytes. */
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(s.id, EXEC_RULE + 1, gdt, DENIED(1U << ELSEWHERE));
	write_code(&s, &swap, GUEST_SPARE_DS | 3, descriptor + offset);
	execute_swapped(&s, &swap, rounds(), still_descriptor);
	vm_free(s.vm);
}

static const struct test_case cases[] = {
	{ "call-stack", test_stack },
	{ "call-operand", test_operand },
	{ "swapped-read", test_swapped_read },
	/* Where the access that marks it begins is up to the CPU. */
	{ "swapped-write-qword", test_swapped_write, 0 },
	{ "swapped-write-dword", test_swapped_write, 4 },
	{ "swapped-write-byte", test_swapped_write, 5 },
	{ }
};

const struct test_suite suite_address = {
	.name = "address", .cases = cases, .setup = vmi_setup,
};
