// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages that may be executed and not be read, or neither: what an instruction reads of them
 * is a #GP or is emulated, each time; what the CPU and KVM read by themselves is not asked
 * about.  Where the CPU cannot, it is refused.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/attempt.h"
#include "lib/exec.h"
#include "lib/host.h"
#include "lib/nested.h"
#include "suites.h"

/* As the rights of lib/exec.h, without that of reading. */
#define HIDDEN_NONE	0U
#define HIDDEN_BOTH	(KVM_VMI_RIGHT_EXEC_KERNEL | KVM_VMI_RIGHT_EXEC_USER)

/* What stands in the pages. */
#define BYTES		0xc3c3c3c3c3c3c3c3UL

/*
 * A guest whose rule answers reads with @action.  False, and the test has passed, where the
 * CPU cannot keep it from reading, and KVM says so.
 */
static bool set_up(struct exec *s, const struct vm_options *options, uint32_t action,
		   uint32_t flags)
{
	const struct kvm_vmi_rule rule = {
		.id = EXEC_RULE,
		.flags = flags,
		.action[KVM_VMI_ACTION_READ] = action,
	};

	exec_set_up(s, options, KVM_VMI_DENY, 0);
	require_eq(vmi_set_rules(s->id, &rule, 1), 0);
	if (s->caps.features & KVM_VMI_CAP_READ) {
		expect(s->caps.kinds & 1U << KVM_VMI_READ, "kinds 0x%x", s->caps.kinds);
		return true;
	}
	expect(!(s->caps.kinds & 1U << KVM_VMI_READ), "kinds 0x%x", s->caps.kinds);
	expect_eq(-exec_try_rights(s, CODE, 1, HIDDEN_BOTH), EOPNOTSUPP);
	expect_eq(-exec_try_rights(s, CODE, 1, HIDDEN_NONE), EOPNOTSUPP);
	expect_eq(vcpu_op(s->v, OP_LOAD, CODE, 0, 8).ret[0], BYTES);
	vm_free(s->vm);
	return false;
}

static void expect_reads(struct vcpu *v, uint64_t gpa, uint64_t value)
{
	struct run r = vcpu_op(v, OP_LOAD, gpa, 0, 8);

	if (expect_done(r))
		expect_eq(r.ret[0], value);
}

static void expect_unread(struct vcpu *v, uint64_t gpa)
{
	struct run r = vcpu_op(v, OP_LOAD, gpa, 0, 8);

	if (expect_gp(r))
		expect_eq(r.ret[0], 0);
}

/* With each right of executing: that is as ever, reads and writes are denied. */
static void test_rights(uintptr_t execute)
{
	uint64_t byte;
	struct exec s;
	long spurious;
	int how, i;

	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	if (!exec_expressible(&s, READ | execute)) {
		expect_eq(-exec_try_rights(&s, CODE, 1, execute), EOPNOTSUPP);
		vm_free(s.vm);
		return;
	}
	exec_set_rights(&s, CODE, 1, execute);
	/* A read first, and after something else. */
	for (i = 0; i < 2; i++) {
		vmi_log_clear();
		expect_unread(s.v, CODE + 64);
		expect_violation(s.id, 0, .kind = KVM_VMI_READ, .verdict = KVM_VMI_DENY,
				 .rule = EXEC_RULE, .gpa = CODE + 64,
				 .flags_clear = KVM_VMI_V_EMULATED);
		expect_denied(s.v, CODE + 128);
		expect_violation(s.id, 1, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY);
		for (how = 0; how < NO_PAGING; how++) {
			struct run r = exec_fetch(&s, how, CODE);

			if (exec_may(&s, execute, how))
				expect_done(r);
			else
				expect_gp(r);
		}
		expect_reads(s.v, NEXT, BYTES);
		expect_lands(s.v, NEXT + 64);
	}
	spurious = host_stat(s.vm, "pf_spurious");
	require(spurious >= 0, "no statistics");
	for (i = 0; i < 100; i++)
		expect_unread(s.v, CODE + 64);
	expect_eq(host_stat(s.vm, "pf_spurious"), spurious);
	/* Nothing keeps the host from it. */
	require_eq(vmi_read(s.id, CODE, &byte, sizeof(byte)), 0);
	expect_eq(byte, BYTES);
	exec_set_rights(&s, CODE, 1, BOTH);
	expect_reads(s.v, CODE + 64, BYTES);
	expect_lands(s.v, CODE + 64);
	vm_free(s.vm);
}

/* What could be read without being readable: no page table says so. */
static void test_writable(uintptr_t arg)
{
	struct kvm_vmi_range range = {
		.gfn = GFN(CODE), .nr = 1, .rule = EXEC_RULE, .rights = HIDDEN_BOTH,
	};
	struct exec s;
	int i;

	(void)arg;
	exec_set_up(&s, NULL, KVM_VMI_DENY, 0);
	for (i = 0; i < 32; i += 31) {
		range.write = 1U << i;
		expect_eq(-vmi_set(s.id, &range, 1), EINVAL);
	}
	range.write = KVM_VMI_WRITE_ALL;
	expect_eq(-vmi_set(s.id, &range, 1), EINVAL);
	expect_reads(s.v, CODE, BYTES);
	expect_lands(s.v, CODE);
	vm_free(s.vm);
}

/* Each read is asked about, answered, and emulated; the page stays as it is. */
static void test_allow(uintptr_t flags)
{
	struct exec s;
	int i;

	if (!set_up(&s, NULL, flags ? KVM_VMI_DENY : KVM_VMI_ALLOW, flags))
		return;
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	for (i = 0; i < 4; i++)
		expect_reads(s.v, CODE + 8 * i, BYTES);
	expect_eq(vmi_log_violations(s.id), 4);
	expect_violation(s.id, 3, .kind = KVM_VMI_READ, .verdict = KVM_VMI_ALLOW,
			 .gpa = CODE + 24, .flags_set = flags ? KVM_VMI_V_MONITOR : 0);
	expect_eq(vmi_counters(s.id, EXEC_RULE).allowed, 4);
	expect_eq(vmi_counters(s.id, EXEC_RULE).opened, 0);
	/* Both pages are asked about. */
	exec_set_rights(&s, NEXT, 1, HIDDEN_NONE);
	vmi_log_clear();
	expect_reads(s.v, NEXT - 4, BYTES);
	expect_eq(vmi_log_violations(s.id), 2);
	expect_violation(s.id, 0, .kind = KVM_VMI_READ, .gpa = NEXT - 4);
	expect_violation(s.id, 1, .kind = KVM_VMI_READ, .gpa = NEXT,
			 .flags_set = KVM_VMI_V_EMULATED | KVM_VMI_V_GVA);
	/* What reaches beyond what the fault has told is asked about as well. */
	exec_set_rights(&s, NEXT, 1, BOTH);
	vmi_log_clear();
	expect_reads(s.v, CODE + 124, BYTES);
	expect_eq(vmi_log_violations(s.id), 2);
	expect_violation(s.id, 0, .kind = KVM_VMI_READ, .gpa = CODE + 124,
			 .flags_clear = KVM_VMI_V_EMULATED);
	expect_violation(s.id, 1, .kind = KVM_VMI_READ, .gpa = CODE + 124,
			 .flags_set = KVM_VMI_V_EMULATED);
	vmi_rule(s.id, EXEC_RULE, KVM_VMI_DENY, 0);
	expect_unread(s.v, CODE);
	vm_free(s.vm);
}

static void test_program(uintptr_t answer)
{
	bool legal = answer == KVM_VMI_ALLOW || answer == KVM_VMI_DENY;
	struct exec s;

	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	require_eq(vmi_attach(answer), 0);
	if (answer == KVM_VMI_ALLOW)
		expect_reads(s.v, CODE, BYTES);
	else
		expect_unread(s.v, CODE);
	expect_eq(vmi_asked(), 1);
	vmi_detach();
	expect_unread(s.v, CODE);
	expect_violation(s.id, 0, .kind = KVM_VMI_READ,
			 .flags_set = legal ? 0 : KVM_VMI_V_BAD_VERDICT,
			 .flags_clear = legal ? KVM_VMI_V_BAD_VERDICT : 0);
	vm_free(s.vm);
}

static void test_kill(uintptr_t arg)
{
	struct exec s;
	struct run r;

	(void)arg;
	if (!set_up(&s, NULL, KVM_VMI_KILL, 0))
		return;
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	expect_reads(s.v, NEXT, BYTES);
	r = vcpu_op(s.v, OP_LOAD, CODE, 0, 8);
	expect(r.end == RUN_ERROR && r.err == EIO, "%s", run_text(&r));
	vm_free(s.vm);
}

/* Reads and writes of one instruction, and of many. */
static void test_both(uintptr_t arg)
{
	const uint64_t other = NEXT + PAGE_SIZE;
	struct exec s;
	struct run r;

	(void)arg;
	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	/* It is a write, before anything else. */
	expect_gp(vcpu_op(s.v, OP_ADD, CODE, 1, 8));
	expect_violation(s.id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_DENY);
	expect_gp(vcpu_op(s.v, OP_XCHG, CODE, 1, 8));
	expect_gp(vcpu_op(s.v, OP_CMPXCHG, CODE, 1, 8, 2));
	r = vcpu_op(s.v, OP_REP_MOVS, other, CODE, 8, 4);
	expect_gp(r);
	expect_eq(r.ret[0], 4);
	expect_eq(vm_read64(s.vm, other), 0);
	/* Up to where it may not be. */
	expect_gp(vcpu_op(s.v, OP_REP_MOVS, other, CODE - 16, 8, 4));
	expect_eq(vm_read64(s.vm, other + 16), 0);

	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	vmi_log_clear();
	*(uint64_t *)vm_hva(s.vm, CODE + 8) = 41;
	expect_done(vcpu_op(s.v, OP_ADD, CODE + 8, 1, 8));
	expect_eq(vm_read64(s.vm, CODE + 8), 42);
	expect_violation(s.id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_ALLOW);
	expect_violation(s.id, 1, .kind = KVM_VMI_READ, .verdict = KVM_VMI_ALLOW,
			 .flags_set = KVM_VMI_V_EMULATED, .gpa = CODE + 8);
	vmi_log_clear();
	expect_done(vcpu_op(s.v, OP_REP_MOVS, other, CODE + 64, 8, 4));
	expect_eq(vm_read64(s.vm, other), BYTES);
	expect_eq(vm_read64(s.vm, other + 24), BYTES);
	expect(vmi_log_violations(s.id) >= 1, "none");
	vmi_detach();
	vm_free(s.vm);
}

/*
 * The CPU cannot walk page tables that are protected from writes, so KVM emulates the
 * instruction; what that reads the CPU has not.
 */
static void test_emulated(uintptr_t op)
{
	struct kvm_sregs sregs;
	struct exec s;
	uint64_t pte;
	int i;

	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	vcpu_ioctl(s.v, KVM_GET_SREGS, &sregs);
	for (i = 0; i < 2; i++) {
		uint8_t *p = vm_hva(s.vm, CODE + i * PAGE_SIZE + 1024);

		memcpy(p, &sregs.idt.limit, 2);
		memcpy(p + 2, &sregs.idt.base, 8);
	}
	pte = vm_pte(s.vm, CODE);
	vmi_rule(s.id, EXEC_RULE + 1, KVM_VMI_DENY, KVM_VMI_RULE_PAGE_TABLE);
	vmi_protect(s.id, EXEC_RULE + 1, pte & ~(PAGE_SIZE - 1), 0);
	exec_set_rights(&s, CODE, 1, HIDDEN_NONE);
	/* Without accessed and dirty bits in EPT there is then something to write. */
	*(uint64_t *)vm_hva(s.vm, pte) &= ~PTE_ACCESSED;
	vmi_log_clear();
	expect_gp(vcpu_op(s.v, op, CODE + 1024, 0, 8));
	expect_violation(s.id, 0, .kind = KVM_VMI_READ, .verdict = KVM_VMI_DENY,
			 .rule = EXEC_RULE, .gpa = op == OP_LOAD ? CODE + 1024 : 0);
	expect_eq(vmi_log_violations(s.id), 1);
	*(uint64_t *)vm_hva(s.vm, pte + 8) &= ~PTE_ACCESSED;
	expect_done(vcpu_op(s.v, op, NEXT + 1024, 0, 8));
	expect_eq(vmi_log_violations(s.id), 1);
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	*(uint64_t *)vm_hva(s.vm, pte) &= ~PTE_ACCESSED;
	expect_done(vcpu_op(s.v, op, CODE + 1024, 0, 8));
	/* A CPU that reads the base first tells another address. */
	expect(vmi_asked() == 1 || op == OP_LIDT, "asked %llu times",
	       (unsigned long long)vmi_asked());
	vmi_detach();
	vm_free(s.vm);
}

/*
 * What KVM's emulator does not know is refused, whatever a program says; where the rule
 * itself lets it be read the page opens for a second.
 */
static void test_unemulatable(uintptr_t arg)
{
	struct exec s;
	struct run r;

	(void)arg;
	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	vcpu_features(s.v);
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	expect_gp(vcpu_op(s.v, OP_FLD, CODE));
	expect_eq(vmi_log_violations(s.id), 1);
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	vmi_log_clear();
	expect_gp(vcpu_op(s.v, OP_FLD, CODE));
	vmi_detach();
	expect_violation(s.id, 0, .kind = KVM_VMI_READ, .verdict = KVM_VMI_ALLOW);
	expect_violation(s.id, 1, .kind = KVM_VMI_UNEMULATABLE, .verdict = KVM_VMI_DENY,
			 .flags_set = KVM_VMI_V_BAD_VERDICT);
	/* Nor is the page written by the CPU alone, as it could be read then. */
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	vmi_log_clear();
	expect_gp(vcpu_op(s.v, OP_FSTP, CODE));
	vmi_detach();
	expect_violation(s.id, 0, .kind = KVM_VMI_WRITE, .verdict = KVM_VMI_ALLOW);
	expect_violation(s.id, 1, .kind = KVM_VMI_UNEMULATABLE, .verdict = KVM_VMI_DENY);
	expect_eq(vmi_counters(s.id, EXEC_RULE).stepped, 0);

	vmi_rule(s.id, EXEC_RULE, KVM_VMI_DENY, KVM_VMI_RULE_MONITOR);
	vmi_log_clear();
	r = vcpu_op(s.v, OP_FLD, CODE);
	expect_done(r);
	expect_eq(r.ret[0], BYTES);
	expect_eq(vmi_log_violations(s.id), 2);
	expect_eq(vmi_counters(s.id, EXEC_RULE).opened, 1);
	/* To be read: it still may not be written unseen. */
	expect_reads(s.v, CODE + 512, BYTES);
	expect_eq(vmi_log_violations(s.id), 2);
	expect_lands(s.v, CODE + 512);
	expect_violation(s.id, 2, .kind = KVM_VMI_WRITE);
	exec_wait_closed();
	vmi_log_clear();
	expect_reads(s.v, CODE, BYTES);
	expect_eq(vmi_log_violations(s.id), 1);
	/* For writes it opens for both: no CPU has it otherwise. */
	expect_done(vcpu_op(s.v, OP_FSTP, CODE + 64));
	expect_eq(vmi_counters(s.id, EXEC_RULE).opened, 2);
	vmi_log_clear();
	expect_reads(s.v, CODE, BYTES);
	expect_lands(s.v, CODE);
	expect_eq(vmi_log_violations(s.id), 0);
	vm_free(s.vm);
}

/* Allowing a write of a page is not to let it be read. */
static void test_opens_neither(uintptr_t arg)
{
	const struct kvm_vmi_rule rule = {
		.id = EXEC_RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_ALLOW,
	};
	struct exec s;

	(void)arg;
	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	vcpu_features(s.v);
	require_eq(vmi_set_rules(s.id, &rule, 1), 0);
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	expect_lands(s.v, CODE);
	expect_gp(vcpu_op(s.v, OP_FSTP, CODE));
	expect_unread(s.v, CODE);
	expect_eq(vmi_counters(s.id, EXEC_RULE).opened, 0);
	vm_free(s.vm);
}

/* Firmware, say: a slot that the guest cannot write anyway. */
static void test_read_only(uintptr_t arg)
{
	const uint64_t rom = 0x90000000;
	struct slot *slot;
	struct exec s;

	(void)arg;
	if (!set_up(&s, NULL, KVM_VMI_DENY, 0))
		return;
	slot = vm_add_slot(s.vm, rom, 2 * PAGE_SIZE, BACKING_ANONYMOUS, KVM_MEM_READONLY);
	memset(slot->hva, EXEC_RET, 2 * PAGE_SIZE);
	vm_map(s.vm, rom, rom, 2, PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY);
	exec_set_rights(&s, rom, 1, HIDDEN_BOTH);
	expect_reads(s.v, rom + PAGE_SIZE, BYTES);
	expect_unread(s.v, rom);
	expect_done(vcpu_op(s.v, OP_EXECUTE, rom));
	expect_unread(s.v, rom);
	vm_free(s.vm);
}

/* Page tables that the guest may not look at serve it as ever. */
static void test_walk(uintptr_t arg)
{
	struct exec s;
	uint64_t table;

	(void)arg;
	if (!set_up(&s, NULL, KVM_VMI_DENY, KVM_VMI_RULE_PAGE_TABLE))
		return;
	table = vm_pte(s.vm, KERNEL_VIEW) & ~(PAGE_SIZE - 1);
	vm_map(s.vm, table, table, 1, PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY);
	exec_set_rights(&s, table, 1, HIDDEN_NONE);
	vmi_log_clear();
	expect_reads(s.v, KERNEL_VIEW, BYTES);
	expect_done(vcpu_op(s.v, OP_EXECUTE, KERNEL_VIEW));
	expect_lands(s.v, NEXT + 64);
	expect_eq(vmi_log_violations(s.id), 0);
	expect_unread(s.v, table);
	expect_violation(s.id, 0, .kind = KVM_VMI_READ, .gpa = table);
	vm_free(s.vm);
}

/* The CPU delivers events from there only if the page may be opened. */
static void test_delivers(uintptr_t flags)
{
	const uint64_t table = NEXT + PAGE_SIZE;
	struct kvm_sregs sregs;
	struct exec s;
	struct run r;

	if (!set_up(&s, NULL, KVM_VMI_DENY, flags))
		return;
	vcpu_ioctl(s.v, KVM_GET_SREGS, &sregs);
	memcpy(vm_hva(s.vm, table), vm_hva(s.vm, sregs.idt.base), sregs.idt.limit + 1U);
	sregs.idt.base = table;
	vcpu_ioctl(s.v, KVM_SET_SREGS, &sregs);
	expect_fault(vcpu_op(s.v, OP_UD2), VECTOR_UD);
	exec_set_rights(&s, table, 1, HIDDEN_NONE);
	vmi_log_clear();
	r = vcpu_op(s.v, OP_UD2);
	if (flags) {
		expect_fault(r, VECTOR_UD);
		expect_eq(vmi_counters(s.id, EXEC_RULE).opened, 1);
	} else {
		/* Nor the double fault. */
		expect_end(r, RUN_SHUTDOWN);
	}
	expect_violation(s.id, 0, .kind = KVM_VMI_READ, .flags_set = KVM_VMI_V_VECTORING);
	vm_free(s.vm);
}

/* The host takes the page away, fetches it early, or logs its writes. */
static void test_survives(uintptr_t backing)
{
	const struct vm_options options = { .arena = backing, .arena_pages = 1024 };
	struct kvm_pre_fault_memory range = { .gpa = GUEST_ARENA, .size = 16 * PAGE_SIZE };
	struct slot *slot;
	struct exec s;
	int i;

	if (!set_up(&s, &options, KVM_VMI_DENY, 0))
		return;
	exec_set_rights(&s, CODE, 1, HIDDEN_BOTH);
	slot = vm_slot(s.vm, CODE);
	for (i = 0; i < 4; i++) {
		expect_reads(s.v, NEXT, BYTES);
		expect_unread(s.v, CODE);
		expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
		expect_unread(s.v, CODE);
		switch (i) {
		case 0:
			require(!madvise(vm_hva(s.vm, GUEST_ARENA), 1024 * PAGE_SIZE,
					 MADV_DONTNEED), "madvise");
			memset(vm_hva(s.vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
			break;
		case 1:
			if (!vm_check_extension(s.vm, KVM_CAP_PRE_FAULT_MEMORY))
				break;
			require(!madvise(vm_hva(s.vm, GUEST_ARENA), 1024 * PAGE_SIZE,
					 MADV_DONTNEED), "madvise");
			memset(vm_hva(s.vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
			vmi_log_clear();
			vcpu_ioctl(s.v, KVM_PRE_FAULT_MEMORY, &range);
			expect_eq(range.size, 0);
			expect_eq(vmi_log_violations(s.id), 0);
			break;
		case 2:
			slot_set_flags(s.vm, slot, KVM_MEM_LOG_DIRTY_PAGES);
			break;
		}
	}
	slot_set_flags(s.vm, slot, 0);
	expect_unread(s.v, CODE);
	expect_done(exec_fetch(&s, KERNEL_OF_KERNEL_PAGE, CODE));
	vm_free(s.vm);
}

/* A uniform range keeps its huge pages. */
static void test_huge(uintptr_t arg)
{
	const struct vm_options options = { .arena = BACKING_THP, .arena_pages = 2048 };
	const uint64_t huge = GUEST_ARENA + 512 * PAGE_SIZE;
	struct exec s;
	long before;
	int i;

	(void)arg;
	require(host_nx_huge_pages("off"), "nx_huge_pages");
	if (!set_up(&s, &options, KVM_VMI_DENY, 0))
		goto out;
	memset(vm_hva(s.vm, huge), EXEC_RET, 1024 * PAGE_SIZE);
	for (i = 0; i < 2; i++)
		expect_done(vcpu_op(s.v, OP_EXECUTE, huge + i * 512 * PAGE_SIZE));
	before = host_stat(s.vm, "pages_2m");
	if (before < 2)
		tap_skip("no huge pages");
	exec_set_rights(&s, huge, 1024, HIDDEN_BOTH);
	for (i = 0; i < 2; i++) {
		expect_done(vcpu_op(s.v, OP_EXECUTE, huge + i * 512 * PAGE_SIZE));
		expect_unread(s.v, huge + i * 512 * PAGE_SIZE + 64);
	}
	expect_eq(host_stat(s.vm, "pages_2m"), before);
	exec_set_rights(&s, huge + 7 * PAGE_SIZE, 1, BOTH);
	expect_reads(s.v, huge + 7 * PAGE_SIZE, BYTES);
	expect_unread(s.v, huge + 6 * PAGE_SIZE);
	expect_unread(s.v, huge + 8 * PAGE_SIZE);
	expect_done(vcpu_op(s.v, OP_EXECUTE, huge + 8 * PAGE_SIZE));
	expect_eq(host_stat(s.vm, "pages_2m"), before - 1);
	vm_free(s.vm);
out:
	host_nx_huge_pages("auto");
}

/* An L2 reads no more than its hypervisor, whatever that has in its own tables. */
static void test_nested(uintptr_t shape)
{
	const struct kvm_vmi_rule rule = { .id = EXEC_RULE };
	struct kvm_vmi_range range = {
		.gfn = GFN(CODE), .nr = 1, .rule = EXEC_RULE, .rights = HIDDEN_BOTH,
	};
	struct kvm_vmi_caps caps;
	struct nested n;
	struct run r;

	nested_new(&n, shape, 0);
	require_eq(vmi_caps(&caps), 0);
	memset(vm_hva(n.vm, CODE), EXEC_RET, 2 * PAGE_SIZE);
	require_eq(vmi_set_rules(n.id, &rule, 1), 0);
	if (!(caps.features & KVM_VMI_CAP_READ)) {
		expect_eq(-vmi_set(n.id, &range, 1), EOPNOTSUPP);
		vm_free(n.vm);
		return;
	}
	require_eq(vmi_set(n.id, &range, 1), 0);
	vmi_log_clear();
	expect_l2_gp(&n, l2_op(&n, OP_LOAD, CODE, 0, 8));
	expect_violation(n.id, 0, .kind = KVM_VMI_READ, .verdict = KVM_VMI_DENY, .gpa = CODE,
			 .flags_set = KVM_VMI_V_NESTED);
	expect_l2_done(&n, l2_op(&n, OP_EXECUTE, CODE));
	expect_l2_gp(&n, l2_op(&n, OP_LOAD, CODE, 0, 8));
	expect_l2_done(&n, l2_op(&n, OP_LOAD, NEXT, 0, 8));
	/* Emulated for it, too. */
	require_eq(vmi_attach(KVM_VMI_ALLOW), 0);
	r = l2_op(&n, OP_LOAD, CODE, 0, 8);
	vmi_detach();
	expect_l2_done(&n, r);
	expect_eq(r.ret[0], BYTES);
	range.rights = BOTH;
	range.write = KVM_VMI_WRITE_ALL;
	require_eq(vmi_set(n.id, &range, 1), 0);
	expect_l2_done(&n, l2_op(&n, OP_LOAD, CODE, 0, 8));
	vm_free(n.vm);
}

static const struct test_case cases[] = {
	{ "none", test_rights, HIDDEN_NONE },
	{ "user", test_rights, KVM_VMI_RIGHT_EXEC_USER },
	{ "kernel", test_rights, KVM_VMI_RIGHT_EXEC_KERNEL },
	{ "both", test_rights, HIDDEN_BOTH },
	{ "writable", test_writable },
	{ "allow", test_allow, 0 },
	{ "monitor", test_allow, KVM_VMI_RULE_MONITOR },
	{ "kill", test_kill },
	{ "program-allow", test_program, KVM_VMI_ALLOW },
	{ "program-deny", test_program, KVM_VMI_DENY },
	{ "program-skip", test_program, KVM_VMI_SKIP },
	{ "program-exit", test_program, KVM_VMI_EXIT },
	{ "and-written", test_both },
	{ "emulated", test_emulated, OP_LOAD },
	{ "emulated-lidt", test_emulated, OP_LIDT },
	{ "unemulatable", test_unemulatable },
	{ "opens-neither", test_opens_neither },
	{ "read-only", test_read_only },
	{ "walk", test_walk },
	{ "delivers", test_delivers, 0 },
	{ "delivers-monitor", test_delivers, KVM_VMI_RULE_MONITOR },
	{ "survives", test_survives, BACKING_ANONYMOUS },
	{ "survives-thp", test_survives, BACKING_THP },
	{ "huge", test_huge },
	{ "nested-flat", test_nested, SHAPE_FLAT },
	{ "nested-small", test_nested, SHAPE_SMALL },
	{ }
};

const struct test_suite suite_read = { .name = "read", .cases = cases, .setup = vmi_setup };
