// SPDX-License-Identifier: GPL-2.0-or-later
/* Loading the registers whose bits may be pinned, by the guest, and pinning them. */
#include <string.h>

#include "pin.h"

const struct bit bits[NR_BITS] = {
	[WP] = { KVM_VMI_REG_CR0, CR0_WP, CR0_TS | CR0_AM },
	[UMIP] = { KVM_VMI_REG_CR4, CR4_UMIP, CR4_DE | CR4_PGE },
	[SMEP] = { KVM_VMI_REG_CR4, CR4_SMEP, CR4_DE | CR4_PGE },
	[SMAP] = { KVM_VMI_REG_CR4, CR4_SMAP, CR4_DE | CR4_PGE },
	[CET] = { KVM_VMI_REG_CR4, CR4_CET, CR4_DE | CR4_PGE },
	[LASS] = { KVM_VMI_REG_CR4, CR4_LASS, CR4_DE | CR4_PGE },
	[NX] = { KVM_VMI_REG_EFER, EFER_NX, EFER_SCE },
};

uint64_t pin_value(struct vcpu *v, uint32_t reg)
{
	struct kvm_sregs s;

	vcpu_ioctl(v, KVM_GET_SREGS, &s);
	return reg == KVM_VMI_REG_CR0 ? s.cr0 : reg == KVM_VMI_REG_CR4 ? s.cr4 : s.efer;
}

struct run pin_load(struct vcpu *v, uint32_t reg, uint64_t value)
{
	if (reg == KVM_VMI_REG_EFER)
		return vcpu_op(v, OP_WRMSR, reg, value);
	return vcpu_op(v, reg == KVM_VMI_REG_CR0 ? OP_LOAD_CR0 : OP_LOAD_CR4, value);
}

void pin_loads(struct vcpu *v, uint32_t reg, uint64_t value)
{
	expect_done(pin_load(v, reg, value));
	expect_eq(pin_value(v, reg), value);
}

void pin_set(struct vcpu *v, const struct bit *b)
{
	pin_loads(v, b->reg, pin_value(v, b->reg) | b->mask);
}

struct run pin_clear(struct vcpu *v, const struct bit *b)
{
	return pin_load(v, b->reg, pin_value(v, b->reg) & ~b->mask);
}

void expect_clears(struct vcpu *v, const struct bit *b)
{
	pin_loads(v, b->reg, pin_value(v, b->reg) & ~b->mask);
}

void expect_refused(struct vcpu *v, const struct bit *b)
{
	uint64_t before = pin_value(v, b->reg);

	expect(before & b->mask, "the bit is not set");
	expect_gp(pin_clear(v, b));
	expect_eq(pin_value(v, b->reg), before);
}

void pin_only(uint64_t id, uint32_t rule, const struct bit *b)
{
	const struct kvm_vmi_pin pin = {
		.cr0 = b && b->reg == KVM_VMI_REG_CR0 ? b->mask : 0,
		.cr4 = b && b->reg == KVM_VMI_REG_CR4 ? b->mask : 0,
		.efer = b && b->reg == KVM_VMI_REG_EFER ? b->mask : 0,
		.rule = rule,
	};

	require_eq(vmi_set_pin(id, &pin), 0);
}

void pin_by(uint64_t id, uint32_t rule, const struct bit *b, uint32_t action)
{
	vmi_rule(id, rule, action, 0);
	pin_only(id, rule, b);
}

void pin_make_supervisor(struct vm *vm)
{
	uint64_t *root = vm_hva(vm, vm->cr3);
	unsigned int i;

	for (i = 0; i < 512; i++)
		root[i] &= ~PTE_USER;
}

const unsigned int each[3] = { WP, SMEP, NX };

#define SMM_SIZE	0x10000UL
#define SMM_ENTRY	0x8000UL
/* Of the state that RSM loads, as KVM lays it out for a CPU with long mode. */
#define SMM_EFER	0xfed0UL
#define SMM_CR4		0xff48UL
#define SMM_CR0		0xff58UL

uint64_t *smm_saved(struct vm *vm, uint32_t reg)
{
	return vm_hva(vm, SMM_BASE + (reg == KVM_VMI_REG_CR0 ? SMM_CR0 :
				      reg == KVM_VMI_REG_CR4 ? SMM_CR4 : SMM_EFER));
}

void smm_enter(struct vcpu *v)
{
	uint8_t *code = vm_hva(v->vm, SMM_BASE + SMM_ENTRY);

	vm_add_alias(v->vm, 1, SMM_BASE, SMM_SIZE, vm_hva(v->vm, SMM_BASE), 0);
	memcpy(code, "\xf4\x0f\xaa", 3);
	vcpu_ioctl(v, KVM_SMI, 0);
	expect_end(vcpu_continue(v), RUN_HALT);
}

bool pin_has(struct vcpu *v, unsigned int bit)
{
	struct run r = vcpu_op(v, OP_CPUID, 7, 0);
	uint64_t b = r.ret[1], c = r.ret[2], d = r.ret[3];

	require_done(r);
	switch (bit) {
	case UMIP:
		return c & 1U << 2;
	case SMEP:
		return b & 1U << 7;
	case SMAP:
		return b & 1U << 20;
	case CET:
		return c & 1U << 7 || d & 1U << 20;
	case LASS:
		return vcpu_op(v, OP_CPUID, 7, 1).ret[0] & 1U << 6;
	default:
		return true;
	}
}
