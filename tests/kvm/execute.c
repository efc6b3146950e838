// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may execute a page: nobody, user mode, the kernel, both; as far as the CPU tells
 * them apart.  What is denied is a #GP where it would have executed; what is allowed, and
 * data, are as ever.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "lib/attempt.h"
#include "lib/exec.h"
#include "lib/host.h"
#include "lib/nested.h"
#include "suites.h"

#define HLT	0xf4

static const char *const how_names[] = { "kernel of user page", "kernel", "user", "no paging" };

/* Flat 32-bit code with paging off, on a vCPU of its own. */
static struct run run_without_paging(struct vcpu *v, uint64_t gpa)
{
	struct kvm_segment flat = {
		.limit = 0xffffffff, .present = 1, .db = 1, .s = 1, .g = 1, .type = 3,
		.selector = 16,
	};
	struct kvm_regs regs = { .rip = gpa, .rflags = 2 };
	struct kvm_sregs s;

	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.cr0 = 0x11;
	s.cr4 = 0;
	s.efer = 0;
	s.ds = s.es = s.fs = s.gs = s.ss = s.cs = flat;
	s.cs.type = 11;
	s.cs.selector = 8;
	s.idt.limit = 0;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
	vcpu_ioctl(v, KVM_SET_REGS, &regs);
	return vcpu_continue(v);
}

static void test_no_paging(struct exec *s, uint32_t rights)
{
	struct run r;

	/* A reset disarms rules; what matters is what holds before. */
	memset(vm_hva(s->vm, CODE), HLT, 2 * PAGE_SIZE);
	r = run_without_paging(s->v, NEXT);
	expect(r.end == RUN_HALT, "beside: %s", run_text(&r));
	vmi_log_clear();
	r = run_without_paging(s->v, CODE);
	if (exec_may(s, rights, NO_PAGING)) {
		expect(r.end == RUN_HALT, "%s", run_text(&r));
		return;
	}
	/* There is no IDT. */
	expect(r.end == RUN_SHUTDOWN, "%s", run_text(&r));
	expect_violation(s->id, 0, .kind = KVM_VMI_FETCH, .verdict = KVM_VMI_DENY, .rule = EXEC_RULE,
			 .gpa = CODE, .flags_set = KVM_VMI_V_NO_PAGING);
}

#define CELL(rights, how)	((rights) * NR_HOWS + (how))

static void test_matrix(uintptr_t cell)
{
	uint32_t rights = cell / NR_HOWS;
	enum exec_how how = cell % NR_HOWS;
	unsigned int i, flag;
	struct exec s;
	long spurious;

	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	if (!exec_expressible(&s, rights)) {
		expect_eq(-exec_try_rights(&s, CODE, 1, rights), EOPNOTSUPP);
		expect_done(exec_fetch(&s, how == NO_PAGING ? KERNEL_OF_USER_PAGE : how, CODE));
		expect_eq(vmi_log_violations(s.id), 0);
		vm_free(s.vm);
		return;
	}
	exec_set_rights(&s, CODE, 1, rights);
	if (how == NO_PAGING) {
		test_no_paging(&s, rights);
		vm_free(s.vm);
		return;
	}
	expect_done(exec_fetch(&s, how, NEXT));
	/* Data first, and it first, are to be the same. */
	for (i = 0; i < 2; i++) {
		bool denied = !exec_may(&s, rights, how);
		struct run r;

		vmi_log_clear();
		r = exec_fetch(&s, how, CODE);
		if (denied) {
			expect(r.faults == 1 && r.vector == VECTOR_GP && !r.error &&
			       r.fault_rip == s.v->cpu->insn, "%s: %s", how_names[how],
			       run_text(&r));
			flag = s.caps.features & KVM_VMI_CAP_EXEC_USER ? KVM_VMI_V_USER : 0;
			expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .verdict = KVM_VMI_DENY,
					 .rule = EXEC_RULE, .gpa = CODE,
					 .flags_set = exec_is_user(&s, how) ? flag : 0,
					 .flags_clear = exec_is_user(&s, how) ? 0 : flag);
		} else {
			expect_done(r);
		}
		expect_eq(vmi_log_violations(s.id), denied);
		expect_lands(s.v, CODE + 64);
	}
	/* Nothing is tried in vain. */
	spurious = host_stat(s.vm, "pf_spurious");
	require(spurious >= 0, "no statistics");
	for (i = 0; i < 100; i++)
		exec_fetch(&s, how, CODE);
	expect_eq(host_stat(s.vm, "pf_spurious"), spurious);
	vm_free(s.vm);
}

/* The page opens, is told once, and closes: by itself or when the rule is set. */
static void test_opens(uintptr_t monitor)
{
	struct exec s;
	int i;

	exec_set_up(&s, NULL, monitor ? KVM_VMI_DENY : KVM_VMI_ALLOW, monitor ? KVM_VMI_RULE_MONITOR : 0);
	exec_set_rights(&s, CODE, 1, NONE);
	for (i = 0; i < 20; i++)
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_eq(vmi_log_violations(s.id), 1);
	expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .verdict = KVM_VMI_ALLOW,
			 .flags_set = monitor ? KVM_VMI_V_MONITOR : 0);
	expect_eq(vmi_counters(s.id, EXEC_RULE).allowed, 1);
	exec_wait_closed();
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_eq(vmi_log_violations(s.id), 2);
	/* Setting it closes the page at once. */
	exec_set_rights(&s, CODE, 1, NONE);
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_eq(vmi_log_violations(s.id), 3);
	vmi_rule(s.id, EXEC_RULE, KVM_VMI_DENY, 0);
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	vm_free(s.vm);
}

/* What is let through for user mode is not let through for the kernel. */
static void test_opens_for_one(uintptr_t arg)
{
	struct exec s;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	expect_done(exec_fetch(&s, USER_OF_USER_PAGE, CODE));
	vmi_set_answer(KVM_VMI_DENY);
	expect_done(exec_fetch(&s, USER_OF_USER_PAGE, CODE));
	/* Unless the CPU does not tell them apart. */
	if (s.caps.features & KVM_VMI_CAP_EXEC_USER)
		expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	else
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	vmi_detach();
	vm_free(s.vm);
}

static void test_kill(uintptr_t arg)
{
	struct exec s;
	struct run r;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_KILL, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
	r = exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE);
	expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .verdict = KVM_VMI_KILL);
	vm_free(s.vm);
}

static void test_program(uintptr_t answer)
{
	bool legal = answer == KVM_VMI_ALLOW || answer == KVM_VMI_DENY;
	struct exec s;
	struct run r;

	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	require_eq(vmi_attach(answer), 0);
	r = exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE);
	expect_eq(vmi_asked(), 1);
	vmi_detach();
	if (answer == KVM_VMI_ALLOW)
		expect_done(r);
	else
		expect_gp(r);
	expect_violation(s.id, 0, .flags_set = legal ? 0 : KVM_VMI_V_BAD_VERDICT,
			 .flags_clear = legal ? KVM_VMI_V_BAD_VERDICT : 0);
	vm_free(s.vm);
}

/* Firmware, say: a slot that the guest cannot write anyway. */
static void test_read_only(uintptr_t arg)
{
	const uint64_t rom = 0x90000000;
	struct slot *slot;
	struct exec s;
	long spurious;
	int i;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	slot = vm_add_slot(s.vm, rom, 2 * PAGE_SIZE, BACKING_ANONYMOUS, KVM_MEM_READONLY);
	memset(slot->hva, EXEC_RET, 2 * PAGE_SIZE);
	vm_map(s.vm, rom, rom, 2, PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY);
	exec_set_rights(&s, rom, 1, NONE);
	expect_done(vcpu_op(s.v, OP_EXECUTE, rom + PAGE_SIZE));
	spurious = host_stat(s.vm, "pf_spurious");
	for (i = 0; i < 3; i++)
		expect_gp(vcpu_op(s.v, OP_EXECUTE, rom));
	expect_eq(host_stat(s.vm, "pf_spurious"), spurious);
	expect_eq(vmi_log_violations(s.id), 3);
	expect_done(vcpu_op(s.v, OP_LOAD, rom, 0, 8));
	vm_free(s.vm);
}

/* An instruction that reaches from a page that may be executed into one that may not. */
static void test_crosses(uintptr_t arg)
{
	struct exec s;
	uint8_t *p;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	/* MOV EAX, imm32; EXEC_RET */
	p = vm_hva(s.vm, NEXT - 2);
	memcpy(p, (uint8_t[]){ 0xb8, 0x78, 0x56, 0x34, 0x12, EXEC_RET }, 6);
	exec_set_rights(&s, NEXT, 1, NONE);
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT - 2));
	expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .gpa = NEXT);
	exec_set_rights(&s, NEXT, 1, BOTH);
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT - 2));
	expect_eq(s.v->cpu->ret[0], 0x12345678);
	vm_free(s.vm);
}

/*
 * The CPU cannot walk page tables that are protected from writes, so KVM emulates the
 * instruction; and the CPU has not fetched that.
 */
static void test_emulated(uintptr_t how)
{
	static const uint32_t all[] = { NONE, USER, KERNEL, BOTH };
	struct exec s;
	unsigned int i;
	uint64_t pte;
	uint8_t *p;

	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	if (!(s.caps.features & KVM_VMI_CAP_TDP))
		tap_skip("the CPU walks no page tables of the guest");
	pte = vm_pte(s.vm, how == KERNEL_OF_KERNEL_PAGE ? KERNEL_VIEW : CODE);
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, KVM_VMI_RULE_PAGE_TABLE);
	vmi_protect(s.id, EXEC_RULE + 1, pte & ~(PAGE_SIZE - 1), 0);
	for (i = 0; i < ARRAY_SIZE(all); i++) {
		struct run r;

		if (!exec_expressible(&s, all[i]))
			continue;
		exec_set_rights(&s, CODE, 1, all[i]);
		/* Without accessed and dirty bits in EPT there is then something to write. */
		*(uint64_t *)vm_hva(s.vm, pte) &= ~PTE_ACCESSED;
		vmi_log_clear();
		r = exec_fetch(&s, how, CODE);
		if (exec_may(&s, all[i], how)) {
			expect_done(r);
			expect_eq(vmi_log_violations(s.id), 0);
			continue;
		}
		expect_gp(r);
		expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .verdict = KVM_VMI_DENY,
				 .rule = EXEC_RULE, .gpa = CODE);
	}
	/* Where it ends is looked at too. */
	p = vm_hva(s.vm, NEXT - 2);
	memcpy(p, (uint8_t[]){ 0xb8, 0x78, 0x56, 0x34, 0x12, EXEC_RET }, 6);
	exec_set_rights(&s, CODE, 1, BOTH);
	exec_set_rights(&s, NEXT, 1, NONE);
	vmi_log_clear();
	expect_gp(exec_fetch(&s, how, NEXT - 2));
	expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .gpa = NEXT);
	/* What is allowed is executed, and open for a second. */
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	for (i = 0; i < 5; i++)
		expect_done(exec_fetch(&s, how, NEXT - 2));
	expect_eq(vmi_asked(), 1);
	vmi_detach();
	vm_free(s.vm);
}

/* A page of which writes are denied, too, and one that only another rule denies. */
static void test_rules(uintptr_t arg)
{
	struct exec s;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, 0);
	vmi_protect(s.id, EXEC_RULE + 1, CODE, DENIED(2));
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_violation(s.id, 0, .kind = KVM_VMI_FETCH, .rule = EXEC_RULE);
	expect_denied(s.v, CODE + SUBPAGE);
	expect_violation(s.id, 1, .kind = KVM_VMI_WRITE, .rule = EXEC_RULE + 1);
	expect_lands(s.v, CODE + 2 * SUBPAGE);
	vmi_unprotect(s.id, EXEC_RULE, CODE);
	*(uint8_t *)vm_hva(s.vm, CODE) = EXEC_RET;
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_denied(s.v, CODE + SUBPAGE);
	exec_set_rights(&s, CODE, 1, NONE);
	require_eq(vmi_clear_rule(s.id, EXEC_RULE + 1), 0);
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_lands(s.v, CODE + SUBPAGE);
	vm_free(s.vm);
}

/* The host takes the page away, moves it, or logs its writes: the right stays as it is. */
static void test_survives(uintptr_t backing)
{
	const struct vm_options options = { .arena = backing, .arena_pages = 1024 };
	struct slot *slot;
	struct exec s;
	int i;

	exec_set_up(&s, &options, KVM_VMI_DENY, 0);
	exec_set_rights(&s, CODE, 1, NONE);
	slot = vm_slot(s.vm, CODE);
	for (i = 0; i < 3; i++) {
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
		expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
		switch (i) {
		case 0:
			require(!madvise(vm_hva(s.vm, GUEST_ARENA), 1024 * PAGE_SIZE,
					 MADV_DONTNEED), "madvise");
			memset(vm_hva(s.vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
			break;
		case 1:
			slot_set_flags(s.vm, slot, KVM_MEM_LOG_DIRTY_PAGES);
			expect_lands(s.v, CODE + 64);
			expect_lands(s.v, NEXT + 64);
			break;
		}
	}
	slot_set_flags(s.vm, slot, 0);
	expect_gp(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, NEXT));
	vm_free(s.vm);
}

/* A uniform range keeps its huge pages; an exception splits one, and gives it back. */
static void test_huge(uintptr_t arg)
{
	const struct vm_options options = { .arena = BACKING_THP, .arena_pages = 2048 };
	const uint64_t huge = GUEST_ARENA + 512 * PAGE_SIZE;
	struct exec s;
	long before;
	int i;

	(void)arg;
	require(host_nx_huge_pages("off"), "nx_huge_pages");
	exec_set_up(&s, &options, KVM_VMI_DENY, 0);
	memset(vm_hva(s.vm, huge), EXEC_RET, 1024 * PAGE_SIZE);
	for (i = 0; i < 2; i++)
		expect_done(vcpu_op(s.v, OP_STORE, huge + i * 512 * PAGE_SIZE + 64, 0, 8));
	before = host_stat(s.vm, "pages_2m");
	if (before < 2)
		tap_skip("no huge pages");
	exec_set_rights(&s, huge, 1024, NONE);
	for (i = 0; i < 2; i++) {
		expect_gp(vcpu_op(s.v, OP_EXECUTE, huge + i * 512 * PAGE_SIZE));
		expect_done(vcpu_op(s.v, OP_STORE, huge + i * 512 * PAGE_SIZE + 64, 0, 8));
	}
	expect_eq(host_stat(s.vm, "pages_2m"), before);
	/* One page of the first is approved. */
	exec_set_rights(&s, huge + 7 * PAGE_SIZE, 1, BOTH);
	expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 7 * PAGE_SIZE));
	expect_gp(vcpu_op(s.v, OP_EXECUTE, huge + 6 * PAGE_SIZE));
	expect_gp(vcpu_op(s.v, OP_EXECUTE, huge + 8 * PAGE_SIZE));
	expect_eq(host_stat(s.vm, "pages_2m"), before - 1);
	if (exec_expressible(&s, USER)) {
		/* Or is for user mode alone, and the others still for nobody. */
		exec_set_rights(&s, huge + 7 * PAGE_SIZE, 1, USER);
		s.v->cpu->flags |= GUEST_F_USER;
		expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 7 * PAGE_SIZE));
		expect_gp(vcpu_op(s.v, OP_EXECUTE, huge + 6 * PAGE_SIZE));
		s.v->cpu->flags &= ~GUEST_F_USER;
		expect_eq(host_stat(s.vm, "pages_2m"), before - 1);
	}
	exec_set_rights(&s, huge + 7 * PAGE_SIZE, 1, NONE);
	expect_gp(vcpu_op(s.v, OP_EXECUTE, huge + 7 * PAGE_SIZE));
	expect_done(vcpu_op(s.v, OP_STORE, huge + 64, 0, 8));
	expect_eq(host_stat(s.vm, "pages_2m"), before);
	host_nx_huge_pages("auto");
	vm_free(s.vm);
}

/*
 * With the NX huge page mitigation huge pages are never executable, and what they are split
 * into by dirty logging is again: as far as the rules let it, and no further.
 */
static void test_nx_huge(uintptr_t rights)
{
	const struct vm_options options = { .arena = BACKING_THP, .arena_pages = 1536 };
	const uint64_t huge = GUEST_ARENA + 512 * PAGE_SIZE;
	struct slot *slot;
	struct exec s;
	unsigned int i;
	enum exec_how how;

	require(host_nx_huge_pages("force"), "nx_huge_pages");
	exec_set_up(&s, &options, KVM_VMI_DENY, 0);
	if (!exec_expressible(&s, rights)) {
		expect_eq(-exec_try_rights(&s, huge, 512, rights), EOPNOTSUPP);
		host_nx_huge_pages("auto");
		vm_free(s.vm);
		return;
	}
	memset(vm_hva(s.vm, huge), EXEC_RET, 512 * PAGE_SIZE);
	vm_map(s.vm, KERNEL_VIEW, CODE, 1024, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	slot = vm_slot(s.vm, huge);
	exec_set_rights(&s, huge, 512, rights);
	for (i = 0; i < 3; i++) {
		/* Data first, so that it is mapped as a huge page. */
		expect_lands(s.v, huge + 64);
		if (i == 1)
			slot_set_flags(s.vm, slot, KVM_MEM_LOG_DIRTY_PAGES);
		else if (i == 2)
			slot_set_flags(s.vm, slot, 0);
		for (how = 0; how < NO_PAGING; how++) {
			uint64_t gpa = huge + (8 + how + 8 * i) * PAGE_SIZE;
			struct run r = exec_fetch(&s, how, gpa);

			if (exec_may(&s, rights, how))
				expect_done(r);
			else
				expect_gp(r);
		}
	}
	host_nx_huge_pages("auto");
	vm_free(s.vm);
}

/* Once the call has returned no other CPU executes there any more. */
static void test_race(uintptr_t arg)
{
	const struct vm_options options = { .vcpus = 2 };
	struct exec s;
	int i;

	(void)arg;
	exec_set_up(&s, &options, KVM_VMI_DENY, 0);
	for (i = 0; i < 50; i++) {
		struct vcpu *other = s.vm->vcpu[1];
		uint64_t progress;
		struct run r;

		exec_set_rights(&s, CODE, 1, BOTH);
		vcpu_spawn(other, OP_EXECUTE_SPIN, KERNEL_VIEW, 1UL << 40);
		require(vcpu_wait_progress(other, 10), "the other vCPU does not run");
		exec_set_rights(&s, CODE, 1, NONE);
		progress = other->cpu->progress;
		r = vcpu_join(other);
		/* One call may have been under way, the next has failed. */
		if (!expect(r.faults == 1 && r.vector == VECTOR_GP, "%s", run_text(&r)) ||
		    !expect(r.ret[0] <= progress + 1, "%llu calls, %llu when the right was gone",
			    (unsigned long long)r.ret[0], (unsigned long long)progress))
			break;
	}
	vm_free(s.vm);
}

/* L1 does without NX in its page tables, and so in those that AMD's CPUs have it make for L2. */
#define NO_NX	0x100
#define EFER_NX	(1U << 11)

static void switch_off_nx(struct vcpu *v)
{
	struct kvm_sregs s;

	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	s.efer &= ~EFER_NX;
	vcpu_ioctl(v, KVM_SET_SREGS, &s);
}

/* An L2 is kept to it as its hypervisor is. */
static void test_nested(uintptr_t arg)
{
	const struct kvm_vmi_rule rule = { .id = EXEC_RULE };
	struct kvm_vmi_range range = {
		.gfn = GFN(CODE), .nr = 1, .rule = EXEC_RULE, .write = KVM_VMI_WRITE_ALL,
		.rights = NONE,
	};
	uintptr_t shape = arg & ~NO_NX;
	struct kvm_vmi_caps caps;
	struct nested n;

	nested_new(&n, shape, 0);
	if (arg & NO_NX)
		switch_off_nx(n.vm->vcpu[0]);
	require_eq(vmi_caps(&caps), 0);
	if (!(caps.features & KVM_VMI_CAP_EXEC))
		tap_skip("this KVM cannot");
	memset(vm_hva(n.vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
	require_eq(vmi_set_rules(n.id, &rule, 1), 0);
	require_eq(vmi_set(n.id, &range, 1), 0);
	expect_l2_done(&n, l2_op(&n, OP_EXECUTE, NEXT));
	vmi_log_clear();
	expect_l2_gp(&n, l2_op(&n, OP_EXECUTE, CODE));
	expect_violation(n.id, 0, .kind = KVM_VMI_FETCH, .verdict = KVM_VMI_DENY, .gpa = CODE,
			 .flags_set = KVM_VMI_V_NESTED);
	/* Mapped, for data, it is kept from being executed. */
	expect_l2_done(&n, l2_op(&n, OP_LOAD, CODE, 0, 8));
	expect_l2_gp(&n, l2_op(&n, OP_EXECUTE, CODE));
	/*
	 * L1's nested paging does not tell user from kernel, so what not both may, none may.
	 * Without, L2 runs as L1: by the page tables on Intel, by privilege on AMD.
	 */
	range.rights = USER;
	if (caps.features & KVM_VMI_CAP_EXEC_USER) {
		require_eq(vmi_set(n.id, &range, 1), 0);
		if (shape == SHAPE_FLAT && caps.vendor == KVM_VMI_VENDOR_INTEL)
			expect_l2_done(&n, l2_op(&n, OP_EXECUTE, CODE));
		else
			expect_l2_gp(&n, l2_op(&n, OP_EXECUTE, CODE));
	}
	range.rights = KERNEL;
	if (caps.features & KVM_VMI_CAP_EXEC_KERNEL) {
		require_eq(vmi_set(n.id, &range, 1), 0);
		expect_l2_gp(&n, l2_op(&n, OP_EXECUTE, CODE));
	}
	range.rights = BOTH;
	require_eq(vmi_set(n.id, &range, 1), 0);
	expect_l2_done(&n, l2_op(&n, OP_EXECUTE, CODE));
	vm_free(n.vm);
}

/*
 * An L1 that itself tells user mode from the kernel, and may keep its L2 from something: the
 * CPU asks it first.  @restricts: it lets its kernel alone execute (Intel), or user mode (AMD).
 */
static void test_nested_splits(uintptr_t restricts)
{
	static const uint32_t all[] = { BOTH, NONE, USER, KERNEL };
	const struct kvm_vmi_rule rule = { .id = EXEC_RULE };
	struct exec s = {};
	struct nested n;
	unsigned int i;
	bool splits;
	int how;

	nested_new(&n, SHAPE_SMALL, L1_SPLITS);
	s.vm = n.vm;
	s.v = n.v;
	s.id = n.id;
	require_eq(vmi_caps(&s.caps), 0);
	if (!(s.caps.features & KVM_VMI_CAP_EXEC))
		tap_skip("this KVM cannot");
	splits = s.caps.features & KVM_VMI_CAP_EXEC_USER;
	memset(vm_hva(s.vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
	vm_map(s.vm, KERNEL_VIEW, CODE, 2, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	require_eq(vmi_set_rules(s.id, &rule, 1), 0);
	/* Before the L2 has been there. */
	if (restricts && splits)
		*nested_entry(&n, CODE) ^= n.vendor == NESTED_INTEL ? 1UL << 10 : 1UL << 2;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		if (!exec_expressible(&s, all[i]))
			continue;
		exec_set_rights(&s, CODE, 1, all[i]);
		for (how = 0; how < NO_PAGING; how++) {
			bool kernel = !exec_is_user(&s, how), l1_lets = true, l0_lets;
			uint64_t gva = how == KERNEL_OF_KERNEL_PAGE ? KERNEL_VIEW : CODE;
			struct run r;

			if (restricts && splits)
				l1_lets = n.vendor == NESTED_INTEL ? kernel : !kernel;
			l0_lets = all[i] == BOTH || (splits && exec_may(&s, all[i], how));
			if (how == USER_OF_USER_PAGE)
				n.mode |= L1_USER;
			vmi_log_clear();
			r = l2_op(&n, OP_EXECUTE, gva);
			n.mode &= ~L1_USER;
			if (!l1_lets)
				expect_l2_exit(&n, r, L2_NESTED_FAULT);
			else if (l0_lets)
				expect_l2_done(&n, r);
			else
				expect_l2_gp(&n, r);
			expect(vmi_log_violations(s.id) == (l1_lets && !l0_lets),
			       "rights %#x, %s: %u violations", all[i], how_names[how],
			       vmi_log_violations(s.id));
		}
		expect_l2_done(&n, l2_op(&n, OP_EXECUTE, NEXT));
	}
	vm_free(n.vm);
}

#define ROW(name, rights)							\
	{ name "-kernel-of-user-page", test_matrix, CELL(rights, KERNEL_OF_USER_PAGE) },	\
	{ name "-kernel", test_matrix, CELL(rights, KERNEL_OF_KERNEL_PAGE) },	\
	{ name "-user", test_matrix, CELL(rights, USER_OF_USER_PAGE) },		\
	{ name "-no-paging", test_matrix, CELL(rights, NO_PAGING) }

static const struct test_case cases[] = {
	ROW("none", NONE),
	ROW("user", USER),
	ROW("kernel", KERNEL),
	ROW("both", BOTH),
	{ "allow-opens", test_opens, 0 },
	{ "monitor-opens", test_opens, 1 },
	{ "opens-for-one", test_opens_for_one },
	{ "kill", test_kill },
	{ "program-allow", test_program, KVM_VMI_ALLOW },
	{ "program-deny", test_program, KVM_VMI_DENY },
	{ "program-skip", test_program, KVM_VMI_SKIP },
	{ "read-only", test_read_only },
	{ "crosses", test_crosses },
	{ "emulated-kernel-of-user-page", test_emulated, KERNEL_OF_USER_PAGE },
	{ "emulated-kernel", test_emulated, KERNEL_OF_KERNEL_PAGE },
	{ "emulated-user", test_emulated, USER_OF_USER_PAGE },
	{ "rules", test_rules },
	{ "survives", test_survives, BACKING_ANONYMOUS },
	{ "survives-thp", test_survives, BACKING_THP },
	{ "huge", test_huge },
	{ "nx-huge-none", test_nx_huge, NONE },
	{ "nx-huge-user", test_nx_huge, USER },
	{ "nx-huge-kernel", test_nx_huge, KERNEL },
	{ "nx-huge-both", test_nx_huge, BOTH },
	{ "race", test_race },
	{ "nested-flat", test_nested, SHAPE_FLAT },
	{ "nested-small", test_nested, SHAPE_SMALL },
	{ "nested-huge", test_nested, SHAPE_HUGE },
	{ "nested-no-nx", test_nested, SHAPE_SMALL | NO_NX },
	{ "nested-splits", test_nested_splits, 0 },
	{ "nested-splits-and-restricts", test_nested_splits, 1 },
	{ }
};

const struct test_suite suite_execute = { .name = "execute", .cases = cases, .setup = vmi_setup };
