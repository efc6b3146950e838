// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Linear Address Space Separation: what KVM's emulator forbids is what the CPU forbids, and
 * both what the architecture says (Intel's Instruction Set Extensions reference, "Linear
 * Address Space Separation").  The kernel of these guests is in the upper half.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "lib/host.h"
#include "lib/lass.h"
#include "lib/nested.h"
#include "suites.h"

#define RULE		82

#define CR4_PGE		(1UL << 7)
#define MSR_VMX_CR4_FIXED1 0x489
#define VMCS_GUEST_CR4	0x6804
#define TRACING		"/sys/kernel/tracing"

/* SDM vol. 3, "SMRAM": where it is after a reset. */
#define SMM_BASE	0x30000UL
#define SMM_ENTRY	0x8000UL
#define SMM_SIZE	0x10000UL

static const struct lass_row rows[] = {
	{ PROBE_LOAD, 8 },
	{ PROBE_STORE, 8 },
	{ PROBE_MOVS, 8 },
	{ PROBE_SGDT, 10, .in_pieces = true },
	{ PROBE_INVPCID_AT, 16, .kernel_only = true, .native_only = true },
	{ PROBE_PUSH, 8, .stack = true },
	{ PROBE_POP, 8, .stack = true },
	{ PROBE_LOAD_SS, 8, .stack = true },
	{ PROBE_CALL_ON, 8, .stack = true },
	{ PROBE_CALL, .fetch = true },
	{ PROBE_INVLPG, .exempt = true, .kernel_only = true },
	{ PROBE_INVPCID, .exempt = true, .kernel_only = true, .native_only = true },
	{ PROBE_LOAD_DS, 8, .implicit = true },
	{ PROBE_CMPXCHG, 8 },
	{ PROBE_CMPXCHG8B, 8 },
	{ PROBE_CMPXCHG16B, .aligned = true, .unknown = true },
	{ PROBE_OUTS, 4 },
	{ PROBE_INS, 4 },
	{ PROBE_JMP_FAR_TO, .far = true, .fetch = true },
	{ PROBE_CALL_FAR_TO, .far = true, .fetch = true },
	{ PROBE_RET_FAR_TO, .far = true, .fetch = true },
	{ PROBE_IRET_TO, .far = true, .fetch = true, .native_only = true },
	{ PROBE_JMP_FAR_AT, 10, .far = true, .in_pieces = true },
	{ PROBE_CALL_FAR_AT, 10, .far = true, .in_pieces = true },
	{ PROBE_CALL_FAR_ON, 16, .far = true, .stack = true, .in_pieces = true },
	{ PROBE_RET_FAR_ON, 16, .far = true, .stack = true, .in_pieces = true },
	{ PROBE_IRET_ON, 40, .far = true, .stack = true, .in_pieces = true, .native_only = true },
	{ PROBE_JMP_FAR_TO, 8, .far = true, .implicit = true },
	{ PROBE_CALL_FAR_TO, 8, .far = true, .implicit = true },
	{ PROBE_RET_FAR_TO, 8, .far = true, .implicit = true },
	{ PROBE_IRET_TO, 8, .far = true, .implicit = true, .native_only = true },
};

static void test_row(uintptr_t arg)
{
	const struct lass_row *row = &rows[arg];
	unsigned int i, forbidden = 0, nr = 0;
	struct lass l;

	lass_set_up(&l);
	for (i = 0; i < 16 * NR_PLACES; i++) {
		const struct lass_cell c = {
			.user = i & 1, .smap = i & 2, .ac = i & 4, .forced = i & 8, .place = i / 16,
		};

		if (!lass_makes_sense(row, &c, lass_is_forbidden(row, &c)))
			continue;
		nr++;
		forbidden += lass_is_forbidden(row, &c);
		if (!lass_check(&l, row, &c))
			lass_begin(&l);
	}
	tap_note("%u cells, %u of them forbidden", nr, forbidden);
	vm_free(l.vm);
}

/* The same accesses, the bit clear: nothing is in the wrong half. */
static void test_off(uintptr_t arg)
{
	struct lass l;
	unsigned int i, j;
	struct run r;

	(void)arg;
	lass_set_up(&l);
	vcpu_set_cr4(l.v, CR4_LASS, false);
	for (j = 0; j < ARRAY_SIZE(rows); j++)
		for (i = 0; i < 4 * NR_PLACES; i++) {
			const struct lass_cell c = { .user = i & 1, .smap = true, .forced = i & 2,
						     .place = i / 4 };

			if (!lass_makes_sense(&rows[j], &c, false))
				continue;
			r = lass_probe(&l, &rows[j], &c);
			expect(r.end == RUN_DONE && r.vector == GUEST_NO_FAULT, "%s: probe %d, %s",
			       lass_cell_text(&c), (int)rows[j].probe, run_text(&r));
		}
	vm_free(l.vm);
}

/*
 * The emulator fetches: behind the prefix, in the last bytes of the upper half, RIP is 0.
 * The CPU itself has fetched nothing there.  What KVM cannot decode behind its prefix is #UD,
 * whatever kept it from that.
 */
static void test_fetch(uintptr_t lass)
{
	static const uint8_t prefix[] = { 0x0f, 0x0b, 0x6b, 0x76, 0x6d };
	static const uint8_t nop_ret[] = { 0x90, RET };
	struct lass l;
	struct run r;

	lass_set_up(&l);
	vcpu_set_cr4(l.v, CR4_LASS, lass);
	lass_map_pages(&l, false);
	memcpy(vm_hva(l.vm, TOP_FRAME + PAGE_SIZE - sizeof(prefix)), prefix, sizeof(prefix));
	memcpy(vm_hva(l.vm, BOTTOM_FRAME), nop_ret, sizeof(nop_ret));
	r = vcpu_op(l.v, OP_PROBE, PROBE_CALL, -sizeof(prefix));
	if (lass)
		expect(r.end == RUN_DONE && r.vector == VECTOR_UD && !r.fault_rip &&
		       !lass_is_accessed(&l, 0), "%s", run_text(&r));
	else
		expect(r.end == RUN_DONE && r.vector == GUEST_NO_FAULT && lass_is_accessed(&l, 0), "%s",
		       run_text(&r));
	vm_free(l.vm);
}

/* An instruction of two bytes, one in each half. */
static void test_fetch_wraps(uintptr_t lass)
{
	/* REP RET */
	static const uint8_t code[] = { 0xf3, RET };
	struct lass l;
	struct run r;

	lass_set_up(&l);
	vcpu_set_cr4(l.v, CR4_LASS, lass);
	lass_map_pages(&l, false);
	memcpy(vm_hva(l.vm, TOP_FRAME + PAGE_SIZE - 1), code, 1);
	memcpy(vm_hva(l.vm, BOTTOM_FRAME), code + 1, 1);
	r = vcpu_op(l.v, OP_PROBE, PROBE_CALL, ~0UL);
	if (lass)
		expect(r.end == RUN_DONE && r.vector == VECTOR_GP && !r.error &&
		       r.fault_rip == ~0UL && !lass_is_accessed(&l, 0), "%s", run_text(&r));
	else
		expect(r.end == RUN_DONE && r.vector == GUEST_NO_FAULT && lass_is_accessed(&l, 0), "%s",
		       run_text(&r));
	vm_free(l.vm);
}

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);

	require(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s: %s", path,
		strerror(errno));
	close(fd);
}

/* Does a line of the trace have both? */
static bool is_traced(const char *event, const char *text)
{
	FILE *f = fopen(TRACING "/trace", "re");
	char line[512];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		found = found || (strstr(line, event) && strstr(line, text));
	if (f)
		fclose(f);
	return found;
}

/* What KVM forbids is traced; what it lets through, and what the CPU forbids, is not. */
static void test_traced(uintptr_t arg)
{
	static const struct lass_row store = { PROBE_STORE };
	static const struct lass_cell cells[] = {
		{ .place = LOWER, .smap = true, .forced = true },
		{ .place = UPPER, .smap = true, .forced = true },
		{ .place = LOWER, .smap = true },
	};
	struct lass l;
	unsigned int i;

	(void)arg;
	lass_set_up(&l);
	for (i = 0; i < ARRAY_SIZE(cells); i++) {
		write_text(TRACING "/trace", "");
		write_text(TRACING "/events/kvm/kvm_lass_violation/enable", "1");
		lass_check(&l, &store, &cells[i]);
		write_text(TRACING "/events/kvm/kvm_lass_violation/enable", "0");
		expect_eq(is_traced("kvm_lass_violation:", "gva 0x70000100 size 8 cpl 0 flags 0x1 write"),
			  i == 0);
	}
	vm_free(l.vm);
}

/* Code of 32 bits is in the lower half: a kernel may not, user mode may. */
static void test_compat(uintptr_t forced)
{
	static const uint8_t ud2[] = { 0x0f, 0x0b };
	struct lass l;
	struct run r;
	int user;

	lass_set_up(&l);
	memcpy(vm_hva(l.vm, LOWER_FRAME + OFFSET), ud2, sizeof(ud2));
	for (user = 0; user < 2; user++) {
		uint32_t vector = user ? VECTOR_UD : VECTOR_GP;

		lass_map_pages(&l, user);
		if (user)
			l.v->cpu->flags |= GUEST_F_USER;
		r = vcpu_op(l.v, OP_PROBE, PROBE_JUMP_32, LOWER_PAGE + OFFSET,
			    forced ? PROBE_FORCED : 0);
		expect(r.end == RUN_DONE && r.vector == vector && !r.error &&
		       r.fault_rip == LOWER_PAGE + OFFSET && r.faults == 1,
		       "%s, expected exception %u", run_text(&r), vector);
		expect_eq(lass_is_accessed(&l, LOWER_PAGE), user);
	}
	vm_free(l.vm);
}

/* What delivers an exception must not be in the lower half where SMAP is on: the end. */
enum table { TABLE_GDT, TABLE_IDT, TABLE_TSS };

static struct run use_table(enum table table, bool low, bool smap, bool user)
{
	struct kvm_sregs s;
	struct lass l;
	struct run r;

	lass_set_up(&l);
	vcpu_set_cr4(l.v, CR4_SMAP, smap);
	/* Not user pages, so that SMAP has nothing to say. */
	vm_map(l.vm, l.v->block, l.v->block, GUEST_CPU_SIZE / PAGE_SIZE,
	       user ? PTE_DEFAULT : PTE_DEFAULT & ~PTE_USER);
	vm_map(l.vm, l.v->block, l.v->block, 3, PTE_DEFAULT & ~PTE_USER);
	vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
	if (low && table == TABLE_GDT)
		s.gdt.base -= GUEST_HIGH;
	if (low && table == TABLE_IDT)
		s.idt.base -= GUEST_HIGH;
	if (low && table == TABLE_TSS)
		s.tr.base -= GUEST_HIGH;
	vcpu_ioctl(l.v, KVM_SET_SREGS, &s);
	if (user)
		l.v->cpu->flags |= GUEST_F_USER;
	r = vcpu_op(l.v, OP_UD2);
	vm_free(l.vm);
	return r;
}

static void test_table(uintptr_t table)
{
	/* The TSS has the stack for what interrupts user mode. */
	bool user = table == TABLE_TSS;
	struct run r;

	r = use_table(table, false, true, user);
	expect(r.end == RUN_DONE && r.vector == VECTOR_UD, "upper: %s", run_text(&r));
	r = use_table(table, true, false, user);
	expect(r.end == RUN_DONE && r.vector == VECTOR_UD, "lower, no SMAP: %s", run_text(&r));
	r = use_table(table, true, true, user);
	expect(r.end == RUN_SHUTDOWN, "lower: %s", run_text(&r));
}

/* Segment loads by the emulator from such a GDT: what delivers the exception fails then. */
static void test_gdt_load(uintptr_t forced)
{
	struct kvm_sregs s;
	struct lass l;
	struct run r;
	int smap;

	for (smap = 0; smap < 2; smap++) {
		lass_set_up(&l);
		vcpu_set_cr4(l.v, CR4_SMAP, smap);
		vm_map(l.vm, l.v->block, l.v->block, 3, PTE_DEFAULT & ~PTE_USER);
		vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
		s.gdt.base -= GUEST_HIGH;
		vcpu_ioctl(l.v, KVM_SET_SREGS, &s);
		r = vcpu_op(l.v, OP_PROBE, PROBE_LOAD_DS, 0,
			    (forced ? PROBE_FORCED : 0) | PROBE_AC, GUEST_DS);
		expect(smap ? r.end == RUN_SHUTDOWN : r.end == RUN_DONE &&
		       r.vector == GUEST_NO_FAULT, "SMAP %d: %s", smap, run_text(&r));
		vm_free(l.vm);
	}
}

/* A port that user mode may use by the map in the TSS, if the CPU may read that. */
static void test_io_map(uintptr_t forced)
{
	struct kvm_sregs s;
	struct lass l;
	struct run r;
	int smap;

	for (smap = 0; smap < 2; smap++) {
		lass_set_up(&l);
		vcpu_set_cr4(l.v, CR4_SMAP, smap);
		vcpu_map(l.v, l.v->block + GUEST_TSS, l.v->block + GUEST_TSS, LEAF);
		vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
		s.tr.base -= GUEST_HIGH;
		s.tr.limit = PAGE_SIZE - 1;
		vcpu_ioctl(l.v, KVM_SET_SREGS, &s);
		l.v->cpu->flags |= GUEST_F_USER;
		r = vcpu_op(l.v, OP_PROBE, PROBE_IN, 0, forced ? PROBE_FORCED : 0, GUEST_PORT_BENCH);
		/* The exception needs the TSS too, which is the end. */
		expect(smap ? r.end == RUN_SHUTDOWN :
		       r.end == RUN_OTHER_EXIT && r.exit_reason == KVM_EXIT_IO, "SMAP %d: %s", smap,
		       run_text(&r));
		expect_eq(lass_is_accessed(&l, l.v->block + GUEST_TSS), !smap);
		vm_free(l.vm);
	}
}

/* The guest sets the bit itself if its CPUID has it, and only then. */
static void test_enable(uintptr_t offered)
{
	struct kvm_sregs s;
	struct lass l;
	struct run r;

	l.vm = vm_new(&(struct vm_options){ .flags = VM_HIGH });
	l.v = l.vm->vcpu[0];
	require(lass_has(l.v), "KVM does not offer LASS");
	if (!offered)
		vcpu_hide_cpuid(l.v, 7, 1, CPUID_EAX, CPUID_7_1_LASS);
	expect_eq(lass_has(l.v), offered);
	vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
	r = vcpu_op(l.v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | CR4_LASS);
	if (offered)
		expect_done(r);
	else
		expect_gp(r);
	expect_eq(r.ret[0], offered ? s.cr4 | CR4_LASS : s.cr4);
	vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
	expect_eq(!!(s.cr4 & CR4_LASS), offered);
	/* And the VMM, likewise. */
	s.cr4 ^= offered ? CR4_LASS : 0;
	vcpu_ioctl(l.v, KVM_SET_SREGS, &s);
	s.cr4 |= CR4_LASS;
	expect_eq(ioctl(l.v->fd, KVM_SET_SREGS, &s) ? errno : 0, offered ? 0 : EINVAL);
	expect_done(vcpu_op(l.v, OP_NOP));
	vm_free(l.vm);
}

/* Pinned, the bit stays once it is set. */
static void test_pinned(uintptr_t arg)
{
	static const struct kvm_vmi_rule rule = { .id = RULE };
	static const struct kvm_vmi_pin pin = { .rule = RULE, .cr4 = CR4_LASS };
	struct kvm_sregs s;
	struct vcpu *v;
	struct vm *vm;
	uint64_t id;
	struct run r;

	(void)arg;
	vm = vmi_new(&(struct vm_options){ .flags = VM_HIGH }, &id);
	v = vm->vcpu[0];
	require_eq(vmi_set_rules(id, &rule, 1), 0);
	require_eq(vmi_set_pin(id, &pin), 0);
	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	expect_done(vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4));
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | CR4_LASS);
	expect_done(r);
	expect_eq(r.ret[0], s.cr4 | CR4_LASS);
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4);
	expect_gp(r);
	expect_eq(r.ret[0], s.cr4 | CR4_LASS);
	/* A neighbour. */
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4 | CR4_LASS | CR4_PGE);
	expect_done(r);
	expect_eq(r.ret[0], s.cr4 | CR4_LASS | CR4_PGE);
	require_eq(vmi_clear_rule(id, RULE), 0);
	r = vcpu_op(v, OP_PROBE, PROBE_CR4, 0, 0, s.cr4);
	expect_done(r);
	expect_eq(r.ret[0], s.cr4);
	vm_free(vm);
}

/* System management mode begins without the bit, and gives it back. */
static void test_smm(uintptr_t arg)
{
	static const uint8_t rsm[] = { 0x0f, 0xaa };
	const struct lass_row load = { PROBE_LOAD };
	const struct lass_cell cell = { .place = UPPER, .user = true };
	struct kvm_sregs s;
	struct lass l;

	(void)arg;
	lass_set_up(&l);
	/* SMM has an address space of its own. */
	vm_add_alias(l.vm, 1, SMM_BASE, SMM_SIZE, vm_hva(l.vm, SMM_BASE), 0);
	memcpy(vm_hva(l.vm, SMM_BASE + SMM_ENTRY), rsm, sizeof(rsm));
	vcpu_ioctl(l.v, KVM_SMI, 0);
	expect_done(vcpu_op(l.v, OP_NOP));
	vcpu_ioctl(l.v, KVM_GET_SREGS, &s);
	expect_eq(!!(s.cr4 & CR4_LASS), 1);
	expect(lass_is_forbidden(&load, &cell), "the cell says nothing");
	lass_check(&l, &load, &cell);
	vm_free(l.vm);
}

/* An L1 and its L2 in the upper half, both with the bit set. */
static void nested_set_up(struct nested *n)
{
	nested_high(n);
	vcpu_set_ist(n->v, VECTOR_SS, 2);
	vcpu_set_ist(n->v, VECTOR_GP, 2);
	vcpu_set_cr4(n->v, CR4_LASS, true);
	lass_make_tables(n->vm);
	require_done(vcpu_op(n->v, OP_NESTED_ON));
}

static void test_nested(uintptr_t forced)
{
	struct lass l;
	struct nested n;
	struct run r;

	nested_set_up(&n);
	l.vm = n.vm;
	l.v = n.v;
	lass_map_pages(&l, false);
	/* The L2's supervisor executes what is its own, and not what is the user's. */
	lass_fill_pages(&l);
	r = l2_op(&n, OP_PROBE, PROBE_CALL, UPPER_PAGE + OFFSET, forced ? PROBE_FORCED : 0);
	expect_l2_done(&n, r);
	r = l2_op(&n, OP_PROBE, PROBE_CALL, LOWER_PAGE + OFFSET, forced ? PROBE_FORCED : 0);
	expect(r.end == RUN_DONE && r.vector == VECTOR_GP && !r.error && l2_is_done(&n) &&
	       r.fault_rip == LOWER_PAGE + OFFSET && !lass_is_accessed(&l, LOWER_PAGE), "%s",
	       l2_text(&n, &r));
	/* Its user mode reads what is the user's, and not what is the kernel's. */
	n.mode |= L1_USER;
	lass_map_pages(&l, true);
	r = l2_op(&n, OP_PROBE, PROBE_LOAD, LOWER_PAGE + OFFSET, forced ? PROBE_FORCED : 0);
	expect_l2_done(&n, r);
	r = l2_op(&n, OP_PROBE, PROBE_LOAD, UPPER_PAGE + OFFSET, forced ? PROBE_FORCED : 0);
	expect_l2_gp(&n, r);
	expect(!lass_is_accessed(&l, UPPER_PAGE), "page tables are walked");
	vm_free(n.vm);
}

/* What L1 may set for its L2, and what it reads back. */
static void test_fixed1(uintptr_t offered)
{
	struct nested n;
	struct run r;

	n.vm = vm_new(&(struct vm_options){ .flags = VM_HIGH });
	n.v = n.vm->vcpu[0];
	if (!offered)
		vcpu_hide_cpuid(n.v, 7, 1, CPUID_EAX, CPUID_7_1_LASS);
	r = vcpu_op(n.v, OP_RDMSR, MSR_VMX_CR4_FIXED1);
	expect_done(r);
	expect_eq(!!(r.ret[0] & CR4_LASS), offered);
	vm_free(n.vm);
	if (!offered)
		return;
	nested_set_up(&n);
	expect_l2_done(&n, l2_op(&n, OP_NOP));
	r = vcpu_op(n.v, OP_VMREAD_MEM, n.v->base + GUEST_IST2_TOP - 8, VMCS_GUEST_CR4);
	expect_done(r);
	expect_eq(r.ret[1], 0);
	expect_eq(!!(vm_read64(n.vm, n.v->block + GUEST_IST2_TOP - 8) & CR4_LASS), 1);
	vm_free(n.vm);
}

/* The operand of a VMX instruction, which KVM reads or writes without its emulator. */
static void test_vmx_operand(uintptr_t arg)
{
	static const struct lass_row operands[] = {
		{ PROBE_VMPTRST, 8 }, { PROBE_VMREAD, 8 }, { PROBE_VMWRITE, 8 },
		{ PROBE_VMPTRLD, 8 }, { PROBE_INVEPT, 16 }, { PROBE_INVVPID, 16 },
	};
	const struct lass_row *row = &operands[arg];
	struct nested n;
	struct lass l;
	struct run r;
	unsigned int i;

	nested_set_up(&n);
	l.vm = n.vm;
	l.v = n.v;
	/* Without EPT there is none for L1. */
	if (row->probe == PROBE_INVEPT && !host_has_tdp()) {
		expect_fault(vcpu_op(n.v, OP_PROBE, PROBE_INVEPT, UPPER_PAGE), VECTOR_UD);
		vm_free(n.vm);
		return;
	}
	for (i = 0; i < 4 * NR_PLACES; i++) {
		const struct lass_cell c = { .place = i / 4, .smap = i & 1, .ac = i & 2 };

		lass_check(&l, row, &c);
		/* L1's pages for nesting are in the lower half. */
		vcpu_set_cr4(n.v, CR4_SMAP, false);
	}
	expect_done(vcpu_op(n.v, OP_VMPTRST, UPPER_PAGE + OFFSET));
	r = vcpu_op(n.v, OP_NOP);
	expect_done(r);
	vm_free(n.vm);
}

/*
 * A descriptor of 16 bytes at that address, in a GDT that begins near the end of the upper
 * half: what delivers exceptions is in the upper half.  Returns the selector.
 */
static uint16_t set_system_descriptor(struct lass *l, uint64_t address, bool tss)
{
	uint64_t gdt = -(PAGE_SIZE / 2) + (address & 7), base = l->v->base + GUEST_TSS;
	/* An LDT of nothing; or the TSS that is in use, available. */
	uint64_t descriptor[] = { 0x0000820000000000, 0 };
	struct kvm_sregs s;

	if (tss) {
		descriptor[0] = 0x0000890000000067 | (base & 0xffffff) << 16 |
				(base & 0xff000000) << 32;
		descriptor[1] = base >> 32;
	}
	lass_put(l, gdt, vm_hva(l->vm, l->v->block + GUEST_GDT), GUEST_USER_CS32 + 8);
	lass_put(l, address, descriptor, sizeof(descriptor));
	vcpu_ioctl(l->v, KVM_GET_SREGS, &s);
	s.gdt.base = gdt;
	s.gdt.limit = 0xffff;
	vcpu_ioctl(l->v, KVM_SET_SREGS, &s);
	return address - gdt;
}

static void check_system_segment(struct lass *l, enum guest_probe what, uint64_t address,
				 bool smap, uint32_t flags)
{
	bool lower = address + 15 < PAGE_SIZE, forbidden = lower && smap, tss = what == PROBE_LTR;
	struct kvm_sregs s;
	uint16_t selector;
	struct run r;

	lass_begin(l);
	lass_map_pages(l, false);
	lass_fill_pages(l);
	vcpu_set_cr4(l->v, CR4_SMAP, smap);
	selector = set_system_descriptor(l, address, tss);
	r = vcpu_op(l->v, OP_PROBE, what, 0, flags, selector);
	expect(r.end == RUN_DONE && r.vector == (forbidden ? VECTOR_GP : GUEST_NO_FAULT) &&
	       (!forbidden || (!r.error && r.fault_rip == r.insn && r.faults == 1)),
	       "descriptor at %#lx, SMAP %d, flags %u: %s", address, smap, flags, run_text(&r));
	expect_eq(lass_is_accessed(l, 0), lower && !forbidden);
	vcpu_ioctl(l->v, KVM_GET_SREGS, &s);
	expect_eq((tss ? s.tr : s.ldt).selector == selector, !forbidden);
	/* LTR makes it busy. */
	expect_eq(*lass_byte_at(l, address + 5), tss && !forbidden ? 0x8b : tss ? 0x89 : 0x82);
}

/* LTR and LLDT: reads, and a write, of the GDT are the CPU's own, whatever AC is. */
static void test_system_segment(uintptr_t what)
{
	/* In one half; parted: the first eight bytes, between them and the others, and these. */
	static const uint64_t addresses[] = { -0x100UL, 0x100, -4UL, -8UL, -12UL };
	struct lass l;
	unsigned int i;

	lass_set_up(&l);
	for (i = 0; i < 8 * ARRAY_SIZE(addresses); i++)
		check_system_segment(&l, what, addresses[i / 8], i & 1,
				     (i & 2 ? PROBE_AC : 0) | (i & 4 ? PROBE_FORCED : 0));
	vm_free(l.vm);
}

static const char *lass_setup(void)
{
	struct vm *vm = vm_new(NULL);
	bool has = lass_has(vm->vcpu[0]);

	vm_free(vm);
	return has ? vmi_setup() : "this CPU has no LASS";
}

static void lass_after(void)
{
	host_force_emulation(false);
}

const struct test_suite suite_lass = {
	.name = "lass",
	.cases = (const struct test_case[]){
		{ "load", test_row, 0 },
		{ "store", test_row, 1 },
		{ "string", test_row, 2 },
		{ "sgdt", test_row, 3 },
		{ "invpcid-descriptor", test_row, 4 },
		{ "push", test_row, 5 },
		{ "pop", test_row, 6 },
		{ "stack-segment", test_row, 7 },
		{ "call-stack", test_row, 8 },
		{ "fetch", test_row, 9 },
		{ "invlpg", test_row, 10 },
		{ "invpcid", test_row, 11 },
		{ "ldt", test_row, 12 },
		{ "cmpxchg", test_row, 13 },
		{ "cmpxchg8b", test_row, 14 },
		{ "cmpxchg16b", test_row, 15 },
		{ "outs", test_row, 16 },
		{ "ins", test_row, 17 },
		{ "jmp-far", test_row, 18 },
		{ "call-far", test_row, 19 },
		{ "ret-far", test_row, 20 },
		{ "iret", test_row, 21 },
		{ "jmp-far-pointer", test_row, 22 },
		{ "call-far-pointer", test_row, 23 },
		{ "call-far-stack", test_row, 24 },
		{ "ret-far-stack", test_row, 25 },
		{ "iret-stack", test_row, 26 },
		{ "jmp-far-ldt", test_row, 27 },
		{ "call-far-ldt", test_row, 28 },
		{ "ret-far-ldt", test_row, 29 },
		{ "iret-ldt", test_row, 30 },
		{ "ltr", test_system_segment, PROBE_LTR },
		{ "lldt", test_system_segment, PROBE_LLDT },
		{ "off", test_off },
		{ "emulators-fetch", test_fetch, 1 },
		{ "emulators-fetch-off", test_fetch, 0 },
		{ "traced", test_traced },
		{ "fetch-wraps", test_fetch_wraps, 1 },
		{ "fetch-wraps-off", test_fetch_wraps, 0 },
		{ "compat", test_compat, 0 },
		{ "compat-emulated", test_compat, 1 },
		{ "gdt", test_table, TABLE_GDT },
		{ "idt", test_table, TABLE_IDT },
		{ "tss", test_table, TABLE_TSS },
		{ "gdt-load", test_gdt_load, 0 },
		{ "gdt-load-emulated", test_gdt_load, 1 },
		{ "io-map", test_io_map, 0 },
		{ "io-map-emulated", test_io_map, 1 },
		{ "enable", test_enable, 1 },
		{ "hidden", test_enable, 0 },
		{ "pinned", test_pinned },
		{ "smm", test_smm },
		{ "nested", test_nested, 0 },
		{ "nested-emulated", test_nested, 1 },
		{ "nested-fixed1", test_fixed1, 1 },
		{ "nested-fixed1-hidden", test_fixed1, 0 },
		{ "nested-operand", test_vmx_operand, 0 },
		{ "nested-vmread", test_vmx_operand, 1 },
		{ "nested-vmwrite", test_vmx_operand, 2 },
		{ "nested-vmptrld", test_vmx_operand, 3 },
		{ "nested-invept", test_vmx_operand, 4 },
		{ "nested-invvpid", test_vmx_operand, 5 },
		{ },
	},
	.setup = lass_setup,
	.after = lass_after,
};
