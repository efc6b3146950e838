// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linear Address Space Separation (LASS): in long mode the upper half of the
 * linear address space (bit 63 set) is the supervisor's, the lower half is the
 * user's, whatever the page tables say.  The CPU checks what guests do; here is
 * the check of what KVM does for them.  (Intel Architecture Instruction Set
 * Extensions Programming Reference, "Linear Address Space Separation")
 */
#include "kvm_emulate.h"
#include "lass.h"
#include "trace.h"
#include "x86.h"

bool __kvm_is_lass_violation(struct kvm_vcpu *vcpu, gva_t gva,
			     unsigned int size, unsigned int flags)
{
	bool implicit = flags & X86EMUL_F_IMPLICIT;
	/* Beyond 2^64 the user's half begins. */
	gva_t last = gva + (size ? size - 1 : 0);
	bool violation;
	int cpl;

	if (!is_long_mode(vcpu))
		return false;

	/* Not accesses: the fetch from a branch's target is checked by itself. */
	if (flags & (X86EMUL_F_BRANCH | X86EMUL_F_INVLPG))
		return false;

	cpl = kvm_x86_call(get_cpl)(vcpu);
	if (cpl == 3 && !implicit) {
		violation = (gva | last) & BIT_ULL(63);
	} else {
		/* As with SMAP, RFLAGS.AC opens data but for implicit accesses. */
		if (!(flags & X86EMUL_F_FETCH) &&
		    (!kvm_is_cr4_bit_set(vcpu, X86_CR4_SMAP) ||
		     (!implicit && (kvm_get_rflags(vcpu) & X86_EFLAGS_AC))))
			return false;
		violation = !(gva & last & BIT_ULL(63));
	}

	if (violation)
		trace_kvm_lass_violation(vcpu, gva, size, flags, cpl);
	return violation;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_is_lass_violation);
