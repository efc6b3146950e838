// SPDX-License-Identifier: GPL-2.0-or-later
/* Accesses under Linear Address Space Separation, one at a time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/host.h"
#include "lib/lass.h"

#define WRAPS		0xfffffffffffffffcUL

/* Code that goes on at RBX, for far transfers that are not about where they go to. */
#define USER_CODE	(LOWER_PAGE + PAGE_SIZE)
#define KERNEL_CODE	(UPPER_PAGE + PAGE_SIZE)
#define CODE_FRAME	(GUEST_ARENA + 5 * PAGE_SIZE)

/* A data segment of user mode, accessed. */
#define DESCRIPTOR	0x00cff3000000ffffUL
/* Code of 64 bits, and what makes it user mode's. */
#define CODE_DESCRIPTOR	0x00af9b000000ffffUL
#define DESCRIPTOR_USER	(3UL << 45)
#define LDT_SELECTOR	4

#define RFLAGS_AC	(1UL << 18)
#define IO_DATA		0x42

static const char *const places[] = { "lower", "upper", "wrapping", "wrapping by a byte" };

static uint64_t address_of(const struct lass_row *row, enum lass_place place)
{
	switch (place) {
	case LOWER:
		return LOWER_PAGE + OFFSET;
	case UPPER:
		return UPPER_PAGE + OFFSET;
	case WRAPPING:
		return row->size == 4 ? WRAPS + 2 : WRAPS;
	default:
		return 1 - (uint64_t)row->size;
	}
}

bool lass_makes_sense(const struct lass_row *row, const struct lass_cell *c, bool forbidden)
{
	if ((c->user && row->kernel_only) || (c->forced && row->native_only))
		return false;
	if (c->place >= WRAPPING && row->aligned)
		return false;
	if (c->place == WRAPPING_LAST && !row->size)
		return false;
	return forbidden || !c->forced || !row->unknown;
}

bool lass_is_forbidden(const struct lass_row *row, const struct lass_cell *c)
{
	bool first = c->place != LOWER, last = c->place == UPPER;

	if (row->exempt)
		return false;
	/* The code there is one byte. */
	if (row->fetch)
		last = first;
	if (c->user && !row->implicit)
		return first || last;
	if (!row->fetch && (!c->smap || (c->ac && !row->implicit)))
		return false;
	return !first || !last;
}

bool lass_has(struct vcpu *v)
{
	return vcpu_cpuid(v, 7, 1, CPUID_EAX) & CPUID_7_1_LASS;
}

void lass_make_tables(struct vm *vm)
{
	vm_map(vm, LOWER_PAGE, LOWER_FRAME, 1, LEAF);
	vm_map(vm, UPPER_PAGE, UPPER_FRAME, 1, LEAF);
	vm_map(vm, TOP_PAGE, TOP_FRAME, 1, LEAF);
	vm_map(vm, USER_CODE, CODE_FRAME, 1, PTE_DEFAULT);
	vm_map(vm, KERNEL_CODE, CODE_FRAME, 1, PTE_DEFAULT & ~PTE_USER);
}

void lass_begin(struct lass *l)
{
	vcpu_reset_state(l->v);
	/* A fault on a stack that may not be used. */
	vcpu_set_ist(l->v, VECTOR_SS, 2);
	vcpu_set_ist(l->v, VECTOR_GP, 2);
	vcpu_set_cr4(l->v, CR4_LASS, true);
}

void lass_set_up(struct lass *l)
{
	const struct vm_options options = { .flags = VM_HIGH };

	l->vm = vm_new(&options);
	l->v = l->vm->vcpu[0];
	require(host_force_emulation(true), "kvm.force_emulation_prefix: %s", strerror(errno));
	lass_make_tables(l->vm);
	lass_begin(l);
}

void lass_map_pages(struct lass *l, bool user)
{
	uint64_t bits = LEAF | (user ? PTE_USER : 0);

	vcpu_map(l->v, LOWER_PAGE, LOWER_FRAME, bits);
	vcpu_map(l->v, UPPER_PAGE, UPPER_FRAME, bits);
	vcpu_map(l->v, TOP_PAGE, TOP_FRAME, bits);
	vcpu_map(l->v, 0, BOTTOM_FRAME, bits);
	require_done(vcpu_op(l->v, OP_LOAD_CR3, l->vm->cr3));
}

bool lass_is_accessed(struct lass *l, uint64_t gva)
{
	return vm_read64(l->vm, vm_pte(l->vm, gva)) & PTE_ACCESSED;
}

static bool any_accessed(struct lass *l)
{
	return lass_is_accessed(l, LOWER_PAGE) || lass_is_accessed(l, UPPER_PAGE) ||
	       lass_is_accessed(l, TOP_PAGE) || lass_is_accessed(l, 0);
}

uint8_t *lass_byte_at(struct lass *l, uint64_t address)
{
	uint64_t page = address & -PAGE_SIZE;
	uint64_t frame = page == LOWER_PAGE ? LOWER_FRAME : page == UPPER_PAGE ? UPPER_FRAME :
			 page == TOP_PAGE ? TOP_FRAME : BOTTOM_FRAME;

	return (uint8_t *)vm_hva(l->vm, frame) + address % PAGE_SIZE;
}

void lass_put(struct lass *l, uint64_t address, const void *bytes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		*lass_byte_at(l, address + i) = ((const uint8_t *)bytes)[i];
}

/* A table of one descriptor there, for an access by the CPU itself. */
static void set_ldt(struct lass *l, uint64_t address, uint64_t descriptor)
{
	struct kvm_sregs s;

	vcpu_ioctl(l->v, KVM_GET_SREGS, &s);
	s.ldt = (struct kvm_segment){
		.base = address, .limit = 7, .selector = GUEST_TR, .type = 2, .present = 1,
	};
	vcpu_ioctl(l->v, KVM_SET_SREGS, &s);
	lass_put(l, address, &descriptor, sizeof(descriptor));
}

/* The map of ports in the TSS, all of which user mode may use. */
static void allow_ports(struct lass *l)
{
	struct kvm_sregs s;

	vcpu_ioctl(l->v, KVM_GET_SREGS, &s);
	s.tr.limit = PAGE_SIZE - 1;
	vcpu_ioctl(l->v, KVM_SET_SREGS, &s);
}

void lass_fill_pages(struct lass *l)
{
	static const uint8_t jmp_rbx[] = { 0xff, 0xe3 };

	memset(vm_hva(l->vm, LOWER_FRAME), RET, PAGE_SIZE);
	memset(vm_hva(l->vm, UPPER_FRAME), RET, PAGE_SIZE);
	memset(vm_hva(l->vm, TOP_FRAME), RET, PAGE_SIZE);
	memset(vm_hva(l->vm, BOTTOM_FRAME), RET, PAGE_SIZE);
	memcpy(vm_hva(l->vm, CODE_FRAME), jmp_rbx, sizeof(jmp_rbx));
}

static uint64_t code_of(const struct lass_cell *c)
{
	return c->user ? USER_CODE : KERNEL_CODE;
}

static uint16_t selector_of(const struct lass_row *row, const struct lass_cell *c)
{
	if (row->implicit)
		return LDT_SELECTOR + (c->user ? 3 : 0);
	return c->user ? GUEST_USER_CS : GUEST_CS;
}

/* The memory under test and what points to it. */
static void prepare(struct lass *l, const struct lass_row *row, const struct lass_cell *c)
{
	uint64_t address = address_of(row, c->place);
	/* A frame of IRET, the first of which others have too. */
	const uint64_t frame[] = {
		code_of(c), selector_of(row, c), 2 | (c->ac ? RFLAGS_AC : 0), code_of(c),
		c->user ? GUEST_USER_DS : GUEST_DS,
	};
	static const uint8_t zeros[16];

	lass_fill_pages(l);
	switch (row->probe) {
	case PROBE_LOAD_DS:
		set_ldt(l, address, DESCRIPTOR);
		break;
	case PROBE_INVPCID_AT:
	case PROBE_INVEPT:
	case PROBE_INVVPID:
		lass_put(l, address, zeros, sizeof(zeros));
		break;
	case PROBE_OUTS:
	case PROBE_INS:
		allow_ports(l);
		break;
	case PROBE_JMP_FAR_AT:
	case PROBE_CALL_FAR_AT:
	case PROBE_RET_FAR_ON:
	case PROBE_IRET_ON:
		lass_put(l, address, frame, row->size);
		break;
	default:
		if (row->far && row->implicit)
			set_ldt(l, address,
				CODE_DESCRIPTOR | (c->user ? DESCRIPTOR_USER : 0));
		break;
	}
}

/* The port's side: what was read there goes out, once; what comes in is IO_DATA. */
static struct run transfer(struct lass *l, struct run r)
{
	struct kvm_run *run = l->v->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	const uint8_t sent[4] = { RET, RET, RET, RET };

	l->transfers = 0;
	while (r.end == RUN_OTHER_EXIT && r.exit_reason == KVM_EXIT_IO && !l->transfers++) {
		if (run->io.direction == KVM_EXIT_IO_IN)
			memset(data, IO_DATA, 4);
		else
			expect(!memcmp(data, sent, 4), "something else goes out");
		r = vcpu_continue(l->v);
	}
	return r;
}

struct run lass_probe(struct lass *l, const struct lass_row *row, const struct lass_cell *c)
{
	uint64_t address = address_of(row, c->place), operand = 42;
	struct run r;

	if (row->probe == PROBE_LOAD_DS || row->far)
		operand = selector_of(row, c);
	lass_map_pages(l, c->user && !row->implicit);
	vcpu_set_cr4(l->v, CR4_SMAP, c->smap);
	prepare(l, row, c);
	if (c->user)
		l->v->cpu->flags |= GUEST_F_USER;
	r = vcpu_op(l->v, OP_PROBE, row->probe, row->far && row->implicit ? code_of(c) : address,
		    (c->forced ? PROBE_FORCED : 0) | (c->ac ? PROBE_AC : 0), operand, code_of(c));
	if (row->probe == PROBE_OUTS || row->probe == PROBE_INS)
		r = transfer(l, r);
	l->v->cpu->flags &= ~GUEST_F_USER;
	return r;
}

const char *lass_cell_text(const struct lass_cell *c)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s of %s mode, SMAP %d AC %d, %s", places[c->place],
		 c->user ? "user" : "kernel", c->smap, c->ac, c->forced ? "emulated" : "native");
	return text;
}

bool lass_check(struct lass *l, const struct lass_row *row, const struct lass_cell *c)
{
	bool forbidden = lass_is_forbidden(row, c);
	uint32_t vector = forbidden ? row->stack ? VECTOR_SS : VECTOR_GP : GUEST_NO_FAULT;
	struct run r = lass_probe(l, row, c);
	uint64_t where = row->fetch ? address_of(row, c->place) : r.insn;
	bool ok;

	ok = expect(r.end == RUN_DONE && r.vector == vector, "%s: %s, expected exception %d",
		    lass_cell_text(c), run_text(&r), (int)vector);
	if (forbidden)
		ok &= expect(!r.error && r.fault_rip == where && r.faults == 1, "%s: %s",
			     lass_cell_text(c), run_text(&r));
	if (row->probe == PROBE_OUTS)
		ok &= expect(l->transfers == !forbidden, "%s: %u transfers", lass_cell_text(c),
			     l->transfers);
	if (row->probe == PROBE_INS)
		ok &= expect((*lass_byte_at(l, address_of(row, c->place)) == IO_DATA) == !forbidden,
			     "%s: the data is %sthere", lass_cell_text(c), forbidden ? "" : "not ");
	if (!row->exempt && !(row->in_pieces && c->place >= WRAPPING))
		ok &= expect(any_accessed(l) == !forbidden, "%s: page tables are %swalked",
			     lass_cell_text(c), forbidden ? "" : "not ");
	return ok;
}
