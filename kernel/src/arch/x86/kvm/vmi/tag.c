// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the metadata in a pointer that a guest has used
 * (Linear Address Masking, SDM vol. 1, "Linear-address masking").
 *
 * What the CPU and the emulator report of an access has the linear address without it.
 * So it is read off the operands of the instruction, as KVM's decoder has them: that of
 * the one whose address is next to what was touched.
 */
#include "kvm_emulate.h"
#include "mmu.h"
#include "vmi/internal.h"
#include "x86.h"

/* Whatever the width: bits that may be metadata. */
#define KVM_VMI_TAG_SHIFT	48
#define KVM_VMI_TAG_BITS	GENMASK_ULL(62, KVM_VMI_TAG_SHIFT)

/* The opcode of LEAVE (SDM vol. 2). */
#define KVM_VMI_LEAVE		0xc9

static bool kvm_vmi_has_tags(struct kvm_vcpu *vcpu)
{
	return kvm_x86_ops.get_untagged_addr && is_64_bit_mode(vcpu) &&
	       (kvm_get_active_cr3_lam_bits(vcpu) ||
		kvm_is_cr4_bit_set(vcpu, X86_CR4_LAM_SUP));
}

/* To @bytes from there: is that nearer than @nearest bytes to where the access was? */
static void kvm_vmi_try_pointer(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v, u64 pointer,
				unsigned int bytes, u64 *nearest)
{
	u64 gva = kvm_x86_call(get_untagged_addr)(vcpu, pointer, 0);
	u64 distance = v->gva >= gva ? v->gva - gva : gva - v->gva;

	/* What crosses into a page is told from where that begins. */
	if (v->gva - gva < bytes)
		distance = 0;
	if (distance >= *nearest)
		return;
	*nearest = distance;
	v->tag = (pointer & KVM_VMI_TAG_BITS) >> KVM_VMI_TAG_SHIFT;
	v->flags |= KVM_VMI_V_TAG;
}

static void kvm_vmi_try_operand(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v,
				const struct operand *op, u64 *nearest)
{
	u64 pointer;

	if (op->type != OP_MEM && op->type != OP_MEM_STR)
		return;
	pointer = op->addr.mem.ea;
	/* The other segments begin at 0 in 64-bit mode. */
	if (op->addr.mem.seg == VCPU_SREG_FS || op->addr.mem.seg == VCPU_SREG_GS)
		pointer += kvm_get_segment_base(vcpu, op->addr.mem.seg);
	kvm_vmi_try_pointer(vcpu, v, pointer, op->bytes, nearest);
}

/**
 * kvm_vmi_find_tag - what the pointer had that the access was made by
 * @vcpu: the vCPU, its own thread
 * @v: with its gva and all flags; gets a tag and %KVM_VMI_V_TAG, if the instruction can be
 *	decoded and has a pointer to there
 * @decoded: the emulator is at the instruction
 */
void kvm_vmi_find_tag(struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v, bool decoded)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	bool read = v->kind == KVM_VMI_READ;
	u64 nearest = PAGE_SIZE;
	u32 length;

	if (likely(!kvm_vmi_has_tags(vcpu)) || !(v->flags & KVM_VMI_V_GVA) ||
	    v->flags & KVM_VMI_V_VECTORING || (!decoded && !kvm_vmi_decode(vcpu, &length)))
		return;

	/* Of two pointers to the same place, what is read is the source's. */
	kvm_vmi_try_operand(vcpu, v, read ? &ctxt->src : &ctxt->dst, &nearest);
	kvm_vmi_try_operand(vcpu, v, read ? &ctxt->dst : &ctxt->src, &nearest);
	kvm_vmi_try_operand(vcpu, v, &ctxt->src2, &nearest);
	kvm_vmi_try_operand(vcpu, v, &ctxt->memop, &nearest);
	/* LEAVE reads by way of RBP, which the decoder has for no operand. */
	if (ctxt->opcode_len == 1 && ctxt->b == KVM_VMI_LEAVE)
		kvm_vmi_try_pointer(vcpu, v, kvm_rbp_read(vcpu), sizeof(u64), &nearest);
	kvm_vmi_try_pointer(vcpu, v, kvm_rsp_read(vcpu), 0, &nearest);
}
