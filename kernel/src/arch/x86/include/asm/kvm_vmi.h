/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM virtual machine introspection: the per-vCPU state that struct
 * kvm_vcpu_arch embeds.  What is per VM is arch/x86/kvm/vmi/vmi.h's.
 */
#ifndef _ASM_X86_KVM_VMI_H
#define _ASM_X86_KVM_VMI_H

#include <linux/types.h>

struct kvm_vmi_regs_request;

/**
 * struct kvm_vmi_speaker - the rule that speaks for an access, copied
 * @rule: its id, 0 if none
 * @layer: &enum kvm_vmi_layer_id
 * @flags: KVM_VMI_RULE_*
 * @action: for this kind of access
 * @dflt: for an @action that is illegal
 * @cookie: the rule's
 * @changes: &kvm_vmi.changes before it was looked up
 */
struct kvm_vmi_speaker {
	u32 rule;
	u8 layer;
	u8 action;
	u8 dflt;
	u32 flags;
	u64 cookie;
	u64 changes;
};

/**
 * struct kvm_vmi_gap - frames that no rule claims and no other frame shares
 * @first: first frame
 * @last: last frame
 * @seq: &kvm_vmi.map_seq of the map it was found in
 *
 * Most of a guest is one: with it known, a fault need not look at the map.
 */
struct kvm_vmi_gap {
	u64 first;
	u64 last;
	u64 seq;
};

/* The rule that a violation was asked about, and what was answered. */
struct kvm_vmi_answer {
	u64 gpa;	/* first denied byte that was asked about */
	u64 rip;
	u64 changes;	/* &kvm_vmi.changes when it was asked */
	u32 rule;	/* 0: none */
	u8 layer;
	bool walk;
};

/**
 * struct kvm_vcpu_vmi - state of the access that a vCPU is being emulated for
 * @gpa: L1 address of the fault that kvm_vmi_page_fault() took over
 * @error_code: its error code
 * @speaker: the rule that speaks for the byte at @gpa, none if its rule is 0
 * @gap: where the vCPU has last met unprotected memory
 * @answer: an access that was answered with allow and not yet carried out
 * @pending: verdict to act on once the emulator has unwound, 0 if none
 * @emulating: the emulator runs because of a fault on a page of the map; stays
 *	set while the VMM serves a device for that instruction
 * @fresh: it is about to
 * @denied: the emulator was told of a store that is denied
 * @exempt: KVM saves the state of SMM
 * @walk: that fault was the CPU's page walk, so @gpa is not the operand's
 * @refused: the emulator was refused a LOCKed store that KVM has no exchange for
 * @spp_loaded: the CPU consults the VM's table of sub-pages while this vCPU runs L1
 * @regs: a snapshot that is asked for, under a lock of vmi/regs.c
 *
 * Only the vCPU's own thread uses what has no lock.
 */
struct kvm_vcpu_vmi {
	u64 gpa;
	u64 error_code;
	struct kvm_vmi_speaker speaker;
	struct kvm_vmi_gap gap;
	struct kvm_vmi_answer answer;
	u8 pending;
	bool emulating;
	bool fresh;
	bool denied;
	bool exempt;
	bool walk;
	bool refused;
	bool spp_loaded;
	struct kvm_vmi_regs_request *regs;
};

#endif /* _ASM_X86_KVM_VMI_H */
