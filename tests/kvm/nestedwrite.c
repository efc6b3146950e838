// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a hypervisor in the guest has written for it by host address, past all page
 * tables: by KVM the VMCB and the host's save area, by the CPU the virtual-APIC page
 * and the posted-interrupt descriptor, for as long as its L2 runs.  A rule holds
 * for them too: at the next entry, and at once for an L2 that runs already.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "lib/nested.h"
#include "suites.h"

#define RULE	31
#define DATA	(GUEST_ARENA + 2 * PAGE_SIZE)
#define ALIAS	0x50000000UL

/* The first and the last sub-page of a VMCB that KVM writes, and of its save area. */
#define VMCB_FIRST	0
#define VMCB_SAVE	8
#define VMCB_LAST	13

#define VTPR		0x80
#define VIRR		0x200
#define ERROR_CONTROLS	7	/* VM entry with invalid control fields */
#define MSR_VMX_TRUE_PIN 0x48d
#define PIN_POSTED	(1UL << 7)
#define MSI_ADDRESS	0xfee00000
#define PENDING		0x55	/* the vector that is posted */
#define PI_CONTROL	32	/* in the descriptor, behind 256 bits */
#define PI_ON		1
#define SMM_BASE	0x30000
#define SMM_SIZE	0x10000
#define SMM_ENTRY	0x8000
#define INSN_HLT	0xf4

#define MONITOR		KVM_VMI_NR_VERDICTS

static void set_rule(struct nested *n, uint32_t action)
{
	if (action == MONITOR)
		vmi_rule(n->id, RULE, KVM_VMI_KILL, KVM_VMI_RULE_MONITOR);
	else
		vmi_rule(n->id, RULE, action, 0);
}

static bool goes_through(uint32_t action)
{
	return !action || action == KVM_VMI_ALLOW || action == MONITOR;
}

static bool is_dead(const struct run *r)
{
	return r->end == RUN_ERROR && r->err == EIO;
}

/* One violation, KVM's own write at @gpa, settled as @action says. */
static void expect_refused(struct nested *n, uint64_t gpa, uint32_t action)
{
	expect_violation(n->id, 0, .kind = KVM_VMI_KVM, .rule = RULE, .gpa = gpa,
			 .verdict = action == MONITOR ? KVM_VMI_ALLOW :
				    action == KVM_VMI_SKIP ? KVM_VMI_DENY : action,
			 .flags_clear = KVM_VMI_V_NESTED);
	expect_eq(vmi_log_violations(n->id), 1);
	expect_eq(vmi_counters(n->id, RULE).kvm_writes, 1);
}

/* Enter an L2 that goes on until it is told to stop, and come back from it. */
static void leave_l2_running(struct nested *n, enum guest_op op)
{
	unsigned int tries, timeout = n->v->timeout_ms;
	struct run r;

	n->v->timeout_ms = 20;
	r = l2_op(n, op, 1ULL << 50);
	/* On a slow host it has not begun by then. */
	for (tries = 0; r.end == RUN_TIMEOUT && !n->v->cpu->progress && tries < 500; tries++)
		r = vcpu_continue(n->v);
	n->v->timeout_ms = timeout;
	require(r.end == RUN_TIMEOUT && n->v->cpu->progress, "%s", l2_text(n, &r));
}

static struct run stop_l2(struct nested *n)
{
	n->v->cpu->stop = 1;
	return vcpu_continue(n->v);
}

/* ---- AMD: the VMCB, VMSAVE, the host's save area ---- */

/* The VMCB as an L2 has left it that is entered again only to leave. */
static bool vmcb_new(struct nested *n)
{
	nested_new(n, SHAPE_SMALL, 0);
	if (n->vendor == NESTED_INTEL) {
		/* There is none; the VMCS is hypervisor.c's. */
		l2_lands(n, DATA);
		vm_free(n->vm);
		return false;
	}
	l2_lands(n, DATA);
	n->mode |= L1_LEAVES_VMCB;
	return true;
}

/* Which sub-pages count: what KVM writes, and nothing else of the page. */
static void test_vmcb_subpages(uintptr_t arg)
{
	uint8_t before[PAGE_SIZE];
	struct nested n;
	uint64_t vmcb;
	int i;

	(void)arg;
	if (!vmcb_new(&n))
		return;
	vmcb = nested_page(&n, L1_VMCS);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	for (i = 0; i < 2; i++) {
		vmi_protect(n.id, RULE, vmcb, DENIED(1U << (i ? VMCB_LAST : VMCB_FIRST)));
		memcpy(before, vm_hva(n.vm, vmcb), PAGE_SIZE);
		expect_gp(l2_op(&n, OP_NOP));
		expect(!memcmp(before, vm_hva(n.vm, vmcb), PAGE_SIZE), "the page was written");
		expect_violation(n.id, i, .kind = KVM_VMI_KVM, .rule = RULE,
				 .gpa = vmcb + (i ? VMCB_LAST * SUBPAGE : 0),
				 .verdict = KVM_VMI_DENY);
		expect_eq(vmi_log_violations(n.id), i + 1);
	}
	vmi_log_clear();
	vmi_protect(n.id, RULE, vmcb, DENIED(~0U << (VMCB_LAST + 1)));
	vmi_protect(n.id, RULE, vmcb - PAGE_SIZE, 0);
	vmi_protect(n.id, RULE, vmcb + PAGE_SIZE, 0);
	expect_l2_exit(&n, l2_op(&n, OP_NOP), L2_DONE);
	expect_eq(vmi_log_violations(n.id), 0);
	expect_denied(n.v, vmcb + (VMCB_LAST + 1) * SUBPAGE);
	vm_free(n.vm);
}

/* A VMCB that KVM finds inconsistent: it writes the exit code at once. */
static void test_vmcb_invalid(uintptr_t action)
{
	uint64_t vmcb, *code, *efer;
	struct nested n;

	if (!vmcb_new(&n))
		return;
	vmcb = nested_page(&n, L1_VMCS);
	code = vm_hva(n.vm, vmcb + 0x70);
	efer = vm_hva(n.vm, vmcb + 0x4d0);
	*efer &= ~(1ULL << 12);		/* SVME */
	*code = 1234;
	if (action) {
		set_rule(&n, action);
		vmi_protect(n.id, RULE, vmcb, 0);
	}
	if (goes_through(action)) {
		expect_l2_exit(&n, l2_op(&n, OP_NOP), L2_NOT_ENTERED);
		expect_eq(*code, ~0ULL);
	} else {
		expect_gp(l2_op(&n, OP_NOP));
		expect_eq(*code, 1234);
	}
	if (action)
		expect_refused(&n, vmcb, action);
	vm_free(n.vm);
}

/* Protected under a running L2, its #VMEXIT has nowhere to go: the VM shuts down. */
static void test_vmcb_running(uintptr_t action)
{
	uint8_t before[PAGE_SIZE];
	struct nested n;
	uint64_t vmcb;
	struct run r;

	nested_new(&n, SHAPE_SMALL, 0);
	vmcb = nested_page(&n, L1_VMCS);
	leave_l2_running(&n, OP_RDTSC_SPIN);
	set_rule(&n, action);
	vmi_protect(n.id, RULE, vmcb, 0);
	memcpy(before, vm_hva(n.vm, vmcb), PAGE_SIZE);
	r = stop_l2(&n);
	if (n.vendor == NESTED_INTEL) {
		/* KVM's copy is written back later, if at all. */
		expect_l2_exit(&n, r, L2_DONE);
		expect_eq(vmi_log_violations(n.id), 0);
	} else if (goes_through(action)) {
		expect_l2_exit(&n, r, L2_DONE);
		expect(memcmp(before, vm_hva(n.vm, vmcb), PAGE_SIZE), "the page was not written");
		expect_refused(&n, vmcb, action);
	} else {
		if (action == KVM_VMI_KILL)
			expect(is_dead(&r), "%s", l2_text(&n, &r));
		else
			expect_end(r, RUN_SHUTDOWN);
		expect(!memcmp(before, vm_hva(n.vm, vmcb), PAGE_SIZE), "the page was written");
		expect_refused(&n, vmcb, action);
	}
	vm_free(n.vm);
}

/* VMSAVE writes the part of a VMCB that VMRUN does not load, wherever RAX points. */
static void test_vmsave(uintptr_t action)
{
	uint8_t before[PAGE_SIZE], *page;
	struct nested n;
	struct run r;

	nested_new(&n, SHAPE_FLAT, 0);
	page = vm_hva(n.vm, DATA);
	memset(page, 0xa5, PAGE_SIZE);
	memcpy(before, page, PAGE_SIZE);
	if (n.vendor == NESTED_INTEL) {
		expect_fault(vcpu_op(n.v, OP_VMSAVE, DATA), VECTOR_UD);
		vm_free(n.vm);
		return;
	}
	if (action) {
		set_rule(&n, action);
		vmi_protect(n.id, RULE, DATA, DENIED(1U << VMCB_LAST));
		/* No program is asked. */
		require_eq(vmi_attach(KVM_VMI_KILL), 0);
	}
	r = vcpu_op(n.v, OP_VMSAVE, DATA);
	if (goes_through(action))
		expect_done(r);
	else if (action == KVM_VMI_KILL)
		expect(is_dead(&r), "%s", run_text(&r));
	else
		expect_gp(r);
	expect_eq(!memcmp(before, page, PAGE_SIZE), !goes_through(action));
	if (action) {
		expect_refused(&n, DATA + VMCB_LAST * SUBPAGE, action);
		expect_eq(vmi_asked(), 0);
		vmi_detach();
	}

	if (action == KVM_VMI_DENY) {
		vmi_log_clear();
		vmi_protect(n.id, RULE, DATA, DENIED(~(0x3fU << VMCB_SAVE)));
		expect_done(vcpu_op(n.v, OP_VMSAVE, DATA));
		expect(memcmp(before, page, PAGE_SIZE), "the page was not written");
		expect_eq(vmi_log_violations(n.id), 0);
		expect_denied(n.v, DATA + (VMCB_SAVE - 1) * SUBPAGE);
		expect_denied(n.v, DATA + (VMCB_LAST + 1) * SUBPAGE);
		l2_lands(&n, GUEST_ARENA);
	}
	vm_free(n.vm);
}

/* An SMI in L2 has KVM keep L1's state in the save area that L1 has named. */
static void test_host_save(uintptr_t action)
{
	uint8_t before[PAGE_SIZE];
	struct nested n;
	uint64_t save;
	struct run r;

	nested_new(&n, SHAPE_FLAT, 0);
	if (n.vendor == NESTED_INTEL || vm_check_extension(n.vm, KVM_CAP_X86_SMM) <= 0) {
		l2_lands(&n, DATA);
		vm_free(n.vm);
		return;
	}
	save = nested_page(&n, L1_VMXON);
	leave_l2_running(&n, OP_RDTSC_SPIN);
	if (action) {
		set_rule(&n, action);
		vmi_protect(n.id, RULE, save, 0);
	}
	memcpy(before, vm_hva(n.vm, save), PAGE_SIZE);
	/* What SMM itself needs: memory in its own address space. */
	vm_add_alias(n.vm, 1, SMM_BASE, SMM_SIZE, vm_hva(n.vm, SMM_BASE), 0);
	*(uint8_t *)vm_hva(n.vm, SMM_BASE + SMM_ENTRY) = INSN_HLT;
	vcpu_ioctl(n.v, KVM_SMI, 0);
	r = vcpu_continue(n.v);
	expect_eq(!memcmp(before, vm_hva(n.vm, save), PAGE_SIZE), !goes_through(action));
	if (action)
		expect_refused(&n, save + VMCB_SAVE * SUBPAGE, action);
	/* As where there is no memory: what was running cannot be gone back to. */
	if (goes_through(action))
		expect_end(r, RUN_HALT);
	else
		expect(is_dead(&r), "%s", run_text(&r));
	vm_free(n.vm);
}

/* ---- Intel: the virtual-APIC page ---- */

static uint8_t vtpr(struct nested *n)
{
	return *((volatile uint8_t *)vm_hva(n->vm, nested_page(n, L1_VAPIC)) + VTPR);
}

/* The L2 writes its CR8, which the CPU keeps in that page. */
static void vapic_written(struct nested *n, uint8_t value)
{
	expect_l2_done(n, l2_op(n, OP_LOAD_CR8, value));
	if (n->vendor == NESTED_INTEL)
		expect_eq(vtpr(n), value << 4);
}

static void vapic_not_entered(struct nested *n)
{
	uint8_t before[PAGE_SIZE], *page = vm_hva(n->vm, nested_page(n, L1_VAPIC));

	memcpy(before, page, PAGE_SIZE);
	expect_l2_exit(n, l2_op(n, OP_LOAD_CR8, vtpr(n) == 0x70 ? 3 : 7), L2_NOT_ENTERED);
	expect_eq(n->v->cpu->l2_info, ERROR_CONTROLS);
	expect(!memcmp(before, page, PAGE_SIZE), "the page was written");
}

/* On AMD there is no such page: a rule for it is nobody's business. */
static bool vapic_new(struct nested *n, enum shape shape)
{
	nested_new(n, shape, L1_TPR_SHADOW);
	vapic_written(n, 3);
	vapic_written(n, 4);
	if (n->vendor == NESTED_INTEL)
		return true;
	vmi_rule(n->id, RULE, KVM_VMI_KILL, 0);
	vmi_protect(n->id, RULE, nested_page(n, L1_VAPIC), 0);
	vapic_written(n, 5);
	expect_eq(vmi_log_violations(n->id), 0);
	vm_free(n->vm);
	return false;
}

static void test_vapic(uintptr_t action)
{
	uint64_t vapic;
	struct nested n;
	struct run r;

	if (!vapic_new(&n, SHAPE_SMALL))
		return;
	vapic = nested_page(&n, L1_VAPIC);
	set_rule(&n, action);
	/* The CPU may write all of it. */
	vmi_protect(n.id, RULE, vapic, DENIED(1U << 31));
	require_eq(vmi_attach(KVM_VMI_KILL), 0);
	if (goes_through(action)) {
		vapic_written(&n, 9);
	} else if (action == KVM_VMI_KILL) {
		r = l2_op(&n, OP_LOAD_CR8, 9);
		expect(is_dead(&r), "%s", l2_text(&n, &r));
		expect_eq(vtpr(&n), 4 << 4);
	} else {
		vapic_not_entered(&n);
	}
	expect_refused(&n, vapic + 31 * SUBPAGE, action);
	expect_eq(vmi_asked(), 0);
	vmi_detach();
	if (action == KVM_VMI_DENY) {
		vapic_not_entered(&n);
		expect_eq(vmi_log_violations(n.id), 2);
		expect_denied(n.v, vapic + 31 * SUBPAGE);
		expect_lands(n.v, vapic + 30 * SUBPAGE);
		vmi_log_clear();
		vmi_unprotect(n.id, RULE, vapic);
		vmi_protect(n.id, RULE, vapic - PAGE_SIZE, 0);
		vmi_protect(n.id, RULE, vapic + PAGE_SIZE, 0);
		vapic_written(&n, 11);
		expect_eq(vmi_log_violations(n.id), 0);
	}
	vm_free(n.vm);
}

/* How a page comes to be forbidden while the CPU has it. */
enum tightening {
	BY_RANGE,
	BY_ACTION,		/* the rule has allowed it so far */
	BY_ARMING,		/* it was disarmed */
	BY_ALIAS,		/* what is protected is another address of the page */
	BY_SLOT,		/* and that address comes only now */
};

static void prepare_tightening(struct nested *n, enum tightening how)
{
	uint64_t vapic = nested_page(n, L1_VAPIC);

	switch (how) {
	case BY_RANGE:
		vmi_rule(n->id, RULE, KVM_VMI_DENY, 0);
		break;
	case BY_ACTION:
		vmi_rule(n->id, RULE, KVM_VMI_ALLOW, 0);
		vmi_protect(n->id, RULE, vapic, 0);
		break;
	case BY_ARMING:
		vmi_rule(n->id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
		vmi_protect(n->id, RULE, vapic, 0);
		break;
	case BY_ALIAS:
		vm_add_alias(n->vm, 0, ALIAS, PAGE_SIZE, vm_hva(n->vm, vapic), 0);
		vmi_rule(n->id, RULE, KVM_VMI_DENY, 0);
		break;
	case BY_SLOT:
		vmi_rule(n->id, RULE, KVM_VMI_DENY, 0);
		vmi_protect(n->id, RULE, ALIAS, 0);
		break;
	}
}

static void tighten(struct nested *n, enum tightening how)
{
	uint64_t vapic = nested_page(n, L1_VAPIC);

	switch (how) {
	case BY_RANGE:
		vmi_protect(n->id, RULE, vapic, 0);
		break;
	case BY_ACTION:
	case BY_ARMING:
		vmi_rule(n->id, RULE, KVM_VMI_DENY, 0);
		break;
	case BY_ALIAS:
		vmi_protect(n->id, RULE, ALIAS, 0);
		break;
	case BY_SLOT:
		vm_add_alias(n->vm, 0, ALIAS, PAGE_SIZE, vm_hva(n->vm, vapic), 0);
		break;
	}
}

/* L2 is shut down, L1 is not: it may not enter again until the page is free. */
static void test_vapic_running(uintptr_t how)
{
	uint8_t before[PAGE_SIZE], *page;
	struct nested n;
	uint64_t vapic;
	struct run r;

	if (!vapic_new(&n, SHAPE_FLAT))
		return;
	vapic = nested_page(&n, L1_VAPIC);
	page = vm_hva(n.vm, vapic);
	prepare_tightening(&n, how);
	leave_l2_running(&n, OP_CR8_SPIN);
	vmi_log_clear();
	tighten(&n, how);
	memcpy(before, page, PAGE_SIZE);
	/* It would go on for long enough to be seen. */
	r = vcpu_continue(n.v);
	expect_l2_exit(&n, r, L2_SHUTDOWN);
	expect(!memcmp(before, page, PAGE_SIZE), "the page was written");
	expect_violation(n.id, 0, .kind = KVM_VMI_KVM, .rule = RULE, .gpa = vapic,
			 .verdict = KVM_VMI_DENY);
	expect_eq(vmi_log_violations(n.id), 1);
	vapic_not_entered(&n);
	expect_eq(vmi_log_violations(n.id), 2);
	expect_lands(n.v, DATA);
	require_eq(vmi_clear_rule(n.id, RULE), 0);
	vapic_written(&n, 6);
	vm_free(n.vm);
}

/* Other pages, and rules that only watch, are no reason to end an L2. */
static void test_vapic_goes_on(uintptr_t action)
{
	struct nested n;
	uint64_t vapic;

	if (!vapic_new(&n, SHAPE_FLAT))
		return;
	vapic = nested_page(&n, L1_VAPIC);
	leave_l2_running(&n, OP_CR8_SPIN);
	set_rule(&n, action);
	vmi_protect(n.id, RULE, goes_through(action) ? vapic : vapic - PAGE_SIZE, 0);
	vmi_protect(n.id, RULE, vapic + PAGE_SIZE, 0);
	expect_l2_done(&n, stop_l2(&n));
	expect_eq(vmi_log_violations(n.id), 0);
	vm_free(n.vm);
}

/* The same while it runs at this very moment, where the host has the CPUs for it. */
static void test_vapic_race(uintptr_t arg)
{
	unsigned int i, rounds = test_options.long_run ? 1000 : 20;
	uint8_t before[PAGE_SIZE], *page;
	struct nested n;
	uint64_t vapic;
	struct run r;

	(void)arg;
	if (!vapic_new(&n, SHAPE_FLAT))
		return;
	vapic = nested_page(&n, L1_VAPIC);
	page = vm_hva(n.vm, vapic);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	n.v->timeout_ms = 600000;
	for (i = 0; i < rounds; i++) {
		uint64_t progress;

		n.v->cpu->l2_op = OP_CR8_SPIN;
		n.v->cpu->l2_exit = L2_OTHER;
		vcpu_spawn(n.v, OP_NESTED_RUN, 0);
		require(vcpu_wait_progress(n.v, 5), "the L2 does not run");
		vmi_protect(n.id, RULE, vapic, 0);
		memcpy(before, page, PAGE_SIZE);
		progress = n.v->cpu->progress;
		r = vcpu_join(n.v);
		expect_l2_exit(&n, r, L2_SHUTDOWN);
		require(!memcmp(before, page, PAGE_SIZE), "round %u: the page was written", i);
		/* It got no further than the loop's other half. */
		require(n.v->cpu->progress <= progress + 1, "round %u: the L2 went on", i);
		vmi_unprotect(n.id, RULE, vapic);
	}
	vapic_written(&n, 6);
	vm_free(n.vm);
}

/* ---- Intel: posted interrupts ---- */

/* False where KVM does not offer them to L1 (kvm_intel.enable_apicv=0, AMD). */
static bool posted_new(struct nested *n)
{
	nested_new(n, SHAPE_FLAT, L1_TPR_SHADOW);
	if (n->vendor == NESTED_INTEL &&
	    vcpu_op(n->v, OP_RDMSR, MSR_VMX_TRUE_PIN).ret[0] >> 32 & PIN_POSTED) {
		n->mode |= L1_POSTED;
		return true;
	}
	vmi_rule(n->id, RULE, KVM_VMI_KILL, 0);
	vmi_protect(n->id, RULE, nested_page(n, L1_PI_DESC), 0);
	vapic_written(n, 5);
	expect_eq(vmi_log_violations(n->id), 0);
	vm_free(n->vm);
	return false;
}

static void test_posted(uintptr_t action)
{
	uint64_t desc, vapic;
	struct nested n;
	struct run r;

	if (!posted_new(&n))
		return;
	desc = nested_page(&n, L1_PI_DESC);
	vapic = nested_page(&n, L1_VAPIC);
	vapic_written(&n, 3);
	set_rule(&n, action);
	/* The descriptor has 64 bytes; the page's other sub-pages are not its business. */
	vmi_protect(n.id, RULE, desc, DENIED(~(1U << (desc % PAGE_SIZE / SUBPAGE))));
	vapic_written(&n, 4);
	expect_eq(vmi_log_violations(n.id), 0);
	vmi_protect(n.id, RULE, desc, DENIED(1U << (desc % PAGE_SIZE / SUBPAGE)));
	if (goes_through(action)) {
		vapic_written(&n, 5);
	} else if (action == KVM_VMI_KILL) {
		r = l2_op(&n, OP_LOAD_CR8, 9);
		expect(is_dead(&r), "%s", l2_text(&n, &r));
	} else {
		vapic_not_entered(&n);
	}
	expect_refused(&n, desc, action);
	expect_eq(vm_read64(n.vm, vapic + VIRR), 0);
	if (action == KVM_VMI_DENY) {
		vmi_unprotect(n.id, RULE, desc);
		vapic_written(&n, 7);
	}
	vm_free(n.vm);
}

/* Protected under a running L2. */
static void test_posted_running(uintptr_t arg)
{
	struct nested n;
	uint64_t desc;

	(void)arg;
	if (!posted_new(&n))
		return;
	desc = nested_page(&n, L1_PI_DESC);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	leave_l2_running(&n, OP_CR8_SPIN);
	vmi_protect(n.id, RULE, desc - SUBPAGE, DENIED(1U << (desc % PAGE_SIZE / SUBPAGE - 1)));
	expect_l2_done(&n, stop_l2(&n));
	expect_eq(vmi_log_violations(n.id), 0);

	leave_l2_running(&n, OP_CR8_SPIN);
	vmi_protect(n.id, RULE, desc, DENIED(1U << (desc % PAGE_SIZE / SUBPAGE)));
	expect_l2_exit(&n, vcpu_continue(n.v), L2_SHUTDOWN);
	expect_refused(&n, desc, KVM_VMI_DENY);
	vmi_unprotect(n.id, RULE, desc);
	vapic_written(&n, 7);
	vm_free(n.vm);
}

/*
 * An interrupt that L1 has posted to its L2 while that does not run is taken over
 * by KVM: from the descriptor to the virtual-APIC page.
 */
static void test_posted_by_kvm(uintptr_t protect)
{
	struct kvm_msi msi = { .address_lo = MSI_ADDRESS, .data = L1_POSTED_VECTOR };
	volatile uint32_t *pir, *virr;
	uint64_t desc, vapic;
	struct nested n;
	struct run r;

	if (!posted_new(&n))
		return;
	desc = nested_page(&n, L1_PI_DESC);
	vapic = nested_page(&n, L1_VAPIC);
	pir = (uint32_t *)vm_hva(n.vm, desc) + PENDING / 32;
	virr = (uint32_t *)((uint8_t *)vm_hva(n.vm, vapic + VIRR) + PENDING / 32 * 16);
	vmi_rule(n.id, RULE, KVM_VMI_DENY, 0);
	leave_l2_running(&n, OP_RDTSC_SPIN);
	*pir = 1U << PENDING % 32;
	*(volatile uint8_t *)vm_hva(n.vm, desc + PI_CONTROL) = PI_ON;
	expect_eq(vm_ioctl(n.vm, KVM_SIGNAL_MSI, &msi), 1);
	if (protect)
		vmi_protect(n.id, RULE, protect == L1_VAPIC ? vapic : desc, 0);
	r = stop_l2(&n);
	if (protect) {
		expect_l2_exit(&n, r, L2_SHUTDOWN);
		expect_eq(*pir, 1U << PENDING % 32);
		expect_eq(*virr, 0);
		expect_violation(n.id, 0, .kind = KVM_VMI_KVM, .rule = RULE,
				 .verdict = KVM_VMI_DENY);
		expect_eq(vmi_log_violations(n.id), 1);
	} else {
		expect_l2_done(&n, r);
		expect_eq(*pir, 0);
		expect_eq(*virr, 1U << PENDING % 32);
		expect_eq(vmi_log_violations(n.id), 0);
	}
	vm_free(n.vm);
}

#define EACH_ACTION(name, fn)						\
	{ name "-deny", fn, KVM_VMI_DENY },				\
	{ name "-skip", fn, KVM_VMI_SKIP },				\
	{ name "-allow", fn, KVM_VMI_ALLOW },				\
	{ name "-monitor", fn, MONITOR },				\
	{ name "-kill", fn, KVM_VMI_KILL }

static const struct test_case cases[] = {
	{ "vmcb-subpages", test_vmcb_subpages },
	{ "vmcb-invalid-plain", test_vmcb_invalid, 0 },
	{ "vmcb-invalid-deny", test_vmcb_invalid, KVM_VMI_DENY },
	{ "vmcb-invalid-allow", test_vmcb_invalid, KVM_VMI_ALLOW },
	EACH_ACTION("vmcb-running", test_vmcb_running),
	{ "vmsave-plain", test_vmsave, 0 },
	EACH_ACTION("vmsave", test_vmsave),
	{ "host-save-plain", test_host_save, 0 },
	EACH_ACTION("host-save", test_host_save),
	EACH_ACTION("vapic", test_vapic),
	{ "vapic-running", test_vapic_running, BY_RANGE },
	{ "vapic-running-action", test_vapic_running, BY_ACTION },
	{ "vapic-running-arming", test_vapic_running, BY_ARMING },
	{ "vapic-running-alias", test_vapic_running, BY_ALIAS },
	{ "vapic-running-slot", test_vapic_running, BY_SLOT },
	{ "vapic-goes-on", test_vapic_goes_on, KVM_VMI_DENY },
	{ "vapic-goes-on-allow", test_vapic_goes_on, KVM_VMI_ALLOW },
	{ "vapic-goes-on-monitor", test_vapic_goes_on, MONITOR },
	{ "vapic-race", test_vapic_race },
	EACH_ACTION("posted", test_posted),
	{ "posted-running", test_posted_running },
	{ "posted-by-kvm-plain", test_posted_by_kvm, 0 },
	{ "posted-by-kvm-vapic", test_posted_by_kvm, L1_VAPIC },
	{ "posted-by-kvm-descriptor", test_posted_by_kvm, L1_PI_DESC },
	{ }
};

const struct test_suite suite_nestedwrite = {
	.name = "nestedwrite", .cases = cases, .setup = vmi_setup
};
