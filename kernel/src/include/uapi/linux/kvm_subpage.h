/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * KVM: how a VMM protects sub-pages of its own guest.  Included by <linux/kvm.h>.
 *
 * Kinds and verdicts are those of <linux/kvm_vmi.h>.  What a VMM sets is a layer of
 * its own: rules of the host come first, and what they forbid stays forbidden.
 */
#ifndef _UAPI_LINUX_KVM_SUBPAGE_H
#define _UAPI_LINUX_KVM_SUBPAGE_H

#include <linux/types.h>

/*
 * Private numbers.  Capabilities and exit reasons are counted up from 0 elsewhere
 * and are still below 256; ioctls of KVMIO are counted up to 0xe3.
 */
#define KVM_CAP_X86_SUBPAGES		0x10000
#define KVM_EXIT_SUBPAGE		0x10000

/* Pages of one call; what KVM_CHECK_EXTENSION returns. */
#define KVM_SUBPAGES_MAX		512

/**
 * struct kvm_subpage - which sub-pages of some frames the guest may write
 * @gfn_base: first guest frame number
 * @npages: frames, at most %KVM_SUBPAGES_MAX
 * @flags: zero
 * @access_map: one word a frame; bit i set: bytes 128 * i to 128 * i + 127 may be
 *	written.  All bits are set where nothing was set before.
 */
struct kvm_subpage {
	__u64 gfn_base;
	__u32 npages;
	__u32 flags;
	__u32 access_map[];
};

/* On a VM, after %KVM_CAP_X86_SUBPAGES was enabled.  Both return the frames done. */
#define KVM_SUBPAGES_GET_ACCESS	_IOWR(KVMIO, 0xf0, struct kvm_subpage)
#define KVM_SUBPAGES_SET_ACCESS	_IOW(KVMIO, 0xf1, struct kvm_subpage)

/* &kvm_subpage_exit.flags, the same bits as KVM_VMI_V_* */
#define KVM_SUBPAGE_EXIT_GVA		(1U << 0)	/* gva is valid */
#define KVM_SUBPAGE_EXIT_USER		(1U << 1)	/* at CPL 3 */
#define KVM_SUBPAGE_EXIT_NESTED		(1U << 2)	/* by an L2 guest; gva is L2's */
#define KVM_SUBPAGE_EXIT_VECTORING	(1U << 3)	/* reserved, never set */
#define KVM_SUBPAGE_EXIT_EMULATED	(1U << 4)	/* decoded: gpa and length are exact */
#define KVM_SUBPAGE_EXIT_OWN		(1U << 7)	/* by the VMM's map, no rule of the host */

/**
 * struct kvm_subpage_exit - a forbidden access that waits for the VMM's answer
 * @gpa: guest physical address of the first denied byte if
 *	%KVM_SUBPAGE_EXIT_EMULATED, else of the access as the CPU reports it
 * @gva: linear address of @gpa if %KVM_SUBPAGE_EXIT_GVA
 * @kind: &enum kvm_vmi_kind
 * @flags: KVM_SUBPAGE_EXIT_*
 * @length: bytes the access touches, 0 if not known
 * @insn_len: bytes of the instruction, as KVM decodes it, 0 if it does not
 * @legal: bitmap over &enum kvm_vmi_verdict of what may be answered
 * @verdict: the answer, filled in by the VMM before its next KVM_RUN; zero on exit,
 *	and zero or anything not in @legal stands for the rule's default, which in
 *	the VMM's own map is %KVM_VMI_DENY
 *
 * The instruction pointer is that of the instruction; nothing of the access has been
 * done.
 */
struct kvm_subpage_exit {
	__u64 gpa;
	__u64 gva;
	__u32 kind;
	__u32 flags;
	__u32 length;
	__u32 insn_len;
	__u32 legal;
	__u32 verdict;
};

#endif /* _UAPI_LINUX_KVM_SUBPAGE_H */
