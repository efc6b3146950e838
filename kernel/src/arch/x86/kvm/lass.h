/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef ARCH_X86_KVM_LASS_H
#define ARCH_X86_KVM_LASS_H

#include <linux/kvm_host.h>

#include "regs.h"

bool __kvm_is_lass_violation(struct kvm_vcpu *vcpu, gva_t gva,
			     unsigned int size, unsigned int flags);

/**
 * kvm_is_lass_violation - does LASS forbid an access that KVM makes for a guest?
 * @vcpu: whose CPL, RFLAGS and control registers count; on its own thread
 * @gva: linear address, untagged
 * @size: in bytes, 0 if not known: the first byte counts
 * @flags: X86EMUL_F_*
 *
 * To be asked before the guest's page tables are looked at, as the CPU does.
 *
 * Return: true if the access is to fail with #GP(0), or #SS(0) if it is relative
 * to SS
 */
static inline bool kvm_is_lass_violation(struct kvm_vcpu *vcpu, gva_t gva,
					 unsigned int size, unsigned int flags)
{
	return kvm_is_cr4_bit_set(vcpu, X86_CR4_LASS) &&
	       __kvm_is_lass_violation(vcpu, gva, size, flags);
}

#endif /* ARCH_X86_KVM_LASS_H */
