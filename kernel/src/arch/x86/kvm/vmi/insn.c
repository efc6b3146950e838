// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: instructions that can be stepped by RFLAGS.TF
 * without the guest's noticing.
 *
 * They store, but neither RFLAGS nor anything else by way of the stack, do not change
 * the flow of control, and do not load RFLAGS.  What KVM's own decoder makes of an
 * instruction does not matter: mostly it is one that the decoder does not know.
 */
#include <linux/bitops.h>

#include "kvm_emulate.h"
#include "lass.h"
#include "vmi/internal.h"
#include "x86.h"

/* The bytes of an instruction, and the next one to look at. */
struct kvm_vmi_bytes {
	const u8 *next;
	const u8 *end;
};

/* The next byte, or -1: the guest has no more mapped, or an instruction is at its end. */
static int kvm_vmi_byte(struct kvm_vmi_bytes *b)
{
	return b->next < b->end ? *b->next++ : -1;
}

/* The opcode, or a VEX or EVEX prefix: past legacy prefixes and REX.  -1 if cut off. */
static int kvm_vmi_opcode(struct kvm_vmi_bytes *b, bool prot64)
{
	int c;

	for (;;) {
		c = kvm_vmi_byte(b);
		switch (c) {
		case 0x26: case 0x2e: case 0x36: case 0x3e:	/* segments */
		case 0x64: case 0x65:
		case 0x66: case 0x67:				/* sizes */
		case 0xf0: case 0xf2: case 0xf3:		/* LOCK, REP */
			continue;
		}
		if (prot64 && (c & ~0xf) == 0x40 && c >= 0)
			continue;
		return c;
	}
}

static bool kvm_vmi_in_memory(int modrm)
{
	return modrm >= 0 && modrm >> 6 != 3;
}

/* With a memory operand: is ModRM's opcode extension one of the bits in @mask? */
static bool kvm_vmi_group(int modrm, u8 mask)
{
	return kvm_vmi_in_memory(modrm) && mask & BIT((modrm >> 3) & 7);
}

/* 0F xx (SDM vol. 2, appendix A, tables; APM vol. 3, appendix A). */
static bool kvm_vmi_may_trap_0f(struct kvm_vmi_bytes *b)
{
	int c = kvm_vmi_byte(b), modrm = kvm_vmi_byte(b);

	switch (c) {
	case 0x10 ... 0x17:	/* MOVUPS, MOVSS, MOVLPS, MOVHPS... */
	case 0x29: case 0x2b:	/* MOVAPS, MOVNTPS */
	case 0x7e: case 0x7f:	/* MOVD, MOVQ, MOVDQU... */
	case 0xab: case 0xb3: case 0xbb: /* BTS, BTR, BTC */
	case 0xb0: case 0xb1:	/* CMPXCHG */
	case 0xc0: case 0xc1:	/* XADD */
	case 0xc3:		/* MOVNTI */
	case 0xd6: case 0xe7:	/* MOVQ, MOVNTDQ */
		return kvm_vmi_in_memory(modrm);
	case 0xf7:		/* MASKMOVDQU: to rDI */
		return modrm >= 0;
	case 0xba:		/* BTS, BTR, BTC */
		return kvm_vmi_group(modrm, 0xe0);
	case 0xae:		/* FXSAVE, STMXCSR, XSAVE, XSAVEOPT */
		return kvm_vmi_group(modrm, BIT(0) | BIT(3) | BIT(4) | BIT(6));
	case 0xc7:		/* CMPXCHG8B/16B, XSAVEC, XSAVES */
		return kvm_vmi_group(modrm, BIT(1) | BIT(4) | BIT(5));
	case 0x38:		/* WRUSS, WRSS, MOVDIR64B, MOVDIRI: @modrm is the opcode */
		return modrm == 0xf5 || modrm == 0xf6 || modrm == 0xf8 || modrm == 0xf9;
	case 0x3a:		/* PEXTRB, PEXTRW, PEXTRD, EXTRACTPS: @modrm is the opcode */
		return modrm >= 0x14 && modrm <= 0x17;
	default:
		return false;
	}
}

static bool kvm_vmi_may_trap_insn(struct kvm_vmi_bytes *b, bool prot64)
{
	int c = kvm_vmi_opcode(b, prot64), modrm;

	if (c == 0x0f)
		return kvm_vmi_may_trap_0f(b);

	modrm = kvm_vmi_byte(b);
	if (c < 0 || modrm < 0)
		return false;
	switch (c) {
	case 0xc5:	/* VEX and EVEX of vector instructions; else LDS, LES, BOUND */
		return prot64 || modrm >> 6 == 3;
	case 0xc4:
		return (prot64 || modrm >> 6 == 3) && BIT(modrm & 31) & (BIT(1) | BIT(2) | BIT(3));
	case 0x62:
		return (prot64 || modrm >> 6 == 3) &&
		       BIT(modrm & 7) & (BIT(1) | BIT(2) | BIT(3) | BIT(5) | BIT(6));
	case 0xd8 ... 0xdf:	/* x87 */
		return kvm_vmi_in_memory(modrm);
	case 0x00 ... 0x01: case 0x08 ... 0x09: case 0x10 ... 0x11: case 0x18 ... 0x19:
	case 0x20 ... 0x21: case 0x28 ... 0x29: case 0x30 ... 0x31:
	case 0x80 ... 0x83:	/* ADD to XOR, which may be LOCKed; CMP stores nothing */
	case 0x86 ... 0x87:	/* XCHG */
	case 0x88 ... 0x89:	/* MOV */
		return kvm_vmi_in_memory(modrm);
	case 0xf6 ... 0xf7:	/* NOT, NEG */
		return kvm_vmi_group(modrm, BIT(2) | BIT(3));
	case 0xfe ... 0xff:	/* INC, DEC; not CALL, JMP, PUSH */
		return kvm_vmi_group(modrm, BIT(0) | BIT(1));
	default:
		return false;
	}
}

/**
 * kvm_vmi_may_trap - can the instruction at RIP be stepped by RFLAGS.TF?
 * @vcpu: the vCPU, its own thread
 *
 * Holds for as long as nobody changes the instruction.
 */
bool kvm_vmi_may_trap(struct kvm_vcpu *vcpu)
{
	enum kvm_vmi_fetches fetches = vcpu->arch.vmi.fetches;
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	unsigned long rip = kvm_get_linear_rip(vcpu);
	bool long_mode = is_64_bit_mode(vcpu);
	struct x86_exception exception;
	struct kvm_vmi_bytes b;
	unsigned int nr, n;
	u8 data[15];

	vcpu->arch.vmi.fetches = KVM_VMI_FETCHES_TO_LOOK;
	/* It may end where the guest has no more mapped. */
	for (nr = 0; nr < sizeof(data); nr += n) {
		unsigned long from = long_mode ? rip + nr : (u32)(rip + nr);

		n = min(sizeof(data) - nr, PAGE_SIZE - offset_in_page(from));
		/* The CPU has fetched the first page only, and would not have looked there. */
		if (nr && (is_noncanonical_address(from, vcpu, 0) ||
			   kvm_is_lass_violation(vcpu, from, 0, X86EMUL_F_FETCH)))
			break;
		if (ctxt->ops->fetch(ctxt, from, data + nr, n, &exception))
			break;
	}
	vcpu->arch.vmi.fetches = fetches;
	b.next = data;
	b.end = data + nr;
	return kvm_vmi_may_trap_insn(&b, long_mode);
}
