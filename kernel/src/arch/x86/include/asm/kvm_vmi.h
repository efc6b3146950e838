/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM virtual machine introspection: the per-vCPU state that struct
 * kvm_vcpu_arch embeds.  What is per VM is arch/x86/kvm/vmi/vmi.h's.
 */
#ifndef _ASM_X86_KVM_VMI_H
#define _ASM_X86_KVM_VMI_H

#include <linux/types.h>
#include <uapi/linux/kvm_subpage.h>

struct kvm_vmi_regs_request;
struct kvm_vmi_violation;

/*
 * The access map has changed: look again at what is mapped for the CPU.  Whoever
 * makes it knows afterwards that no vCPU is in the guest without having done so.
 */
#define KVM_REQ_VMI_MAPS	KVM_ARCH_REQ_FLAGS(40, KVM_REQUEST_WAIT | KVM_REQUEST_NO_WAKEUP)

/*
 * The bits that are pinned may have changed: look again at which of CR0 and CR4 the guest may
 * change without an exit, and which are clear.  Whoever makes it knows afterwards that no
 * vCPU is in the guest without having done so.
 */
#define KVM_REQ_VMI_PINS	KVM_ARCH_REQ_FLAGS(41, KVM_REQUEST_WAIT | KVM_REQUEST_NO_WAKEUP)

/*
 * Answers that are kept for one instruction: two layers for each store of the one
 * that makes most of them, PUSHA.
 */
#define KVM_VMI_MAX_ANSWERS	16

/* What a VMM may change while it thinks about an exit: see vmi/exit.c. */
#define KVM_VMI_EXIT_REGS	23

/* Registers of which rules may pin bits. */
enum kvm_vmi_pinned {
	KVM_VMI_PINNED_CR0,
	KVM_VMI_PINNED_CR4,
	KVM_VMI_PINNED_EFER,
	KVM_VMI_NR_PINNED
};

/** struct kvm_vmi_pins - what those hold, or bits of them; by &enum kvm_vmi_pinned */
struct kvm_vmi_pins {
	u64 reg[KVM_VMI_NR_PINNED];
};

/* Whose rules, in the order in which they are asked. */
enum kvm_vmi_layer_id {
	KVM_VMI_LAYER_DAEMON,	/* set by kfunc */
	KVM_VMI_LAYER_VMM,	/* set by the VMM, see subpage.c */
	KVM_VMI_NR_LAYERS
};

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
 * struct kvm_vmi_run - frames that may be written, all with the same rights, and that no other
 *	frame shares
 * @first: first frame
 * @last: last frame
 * @seq: &kvm_vmi.map_seq of the map it was found in
 * @rights: KVM_VMI_RIGHT_*; all of them where no rule claims the frames
 *
 * Most of a guest is a few: with one known, a fault there need not look at the map.
 */
struct kvm_vmi_run {
	u64 first;
	u64 last;
	u64 seq;
	u32 rights;
};

/* The rule that a violation was asked about, and what was answered. */
struct kvm_vmi_answer {
	u64 gpa;	/* first denied byte that was asked about */
	u64 rip;
	u64 rcx;	/* a repeated instruction is asked about each time */
	u64 changes;	/* &kvm_vmi.changes when it was asked */
	u32 rule;	/* 0: none */
	u32 denied;	/* sub-pages of the frame at @gpa that the answer is about */
	u8 layer;
	u8 kind;	/* &enum kvm_vmi_kind: WRITE, READ, WALK */
};

/* What the CPU can be made to carry out alone, and then give control back. */
enum kvm_vmi_step_cap {
	KVM_VMI_STEP_NONE,	/* nothing */
	KVM_VMI_STEP_INSN,	/* instructions that RFLAGS.TF does not show in */
	KVM_VMI_STEP_ALL,	/* any instruction, and the delivery of an event */
};

/* What an exit during a step was, and how a step ends. */
enum kvm_vmi_step_end {
	KVM_VMI_STEP_OTHER,	/* something else came first */
	KVM_VMI_STEP_DONE,	/* one instruction, or one delivery, is over */
	KVM_VMI_STEP_FAULT,	/* a TDP fault came first */
	KVM_VMI_STEP_SHUTDOWN,	/* the guest's state is not to be relied on */
	KVM_VMI_STEP_DENIED,	/* it has written what is denied, which is undone */
};

/* What a vCPU waits for at the gate of a step. */
enum kvm_vmi_wait {
	KVM_VMI_WAIT_GATE,	/* that it is open */
	KVM_VMI_WAIT_OWNER,	/* that nobody steps: to step itself, or to be asked */
	KVM_VMI_WAIT_TURNS,	/* having stepped: that those who have waited go first */
};

/* An instruction touches two pages, or four if it moves or pushes. */
#define KVM_VMI_STEP_FRAMES	4

/**
 * struct kvm_vmi_grant - what a layer has let an instruction write of a frame
 * @changes: &kvm_vmi.changes when it was asked
 * @rule: the rule that was asked, 0 if none
 * @denied: the sub-pages it was asked about
 * @walk: about the accessed and dirty bits in them alone
 */
struct kvm_vmi_grant {
	u64 changes;
	u32 rule;
	u32 denied;
	bool walk;
};

/**
 * struct kvm_vmi_step_frame - a frame that an instruction is to write by itself
 * @gfn: the frame
 * @grant: by layer
 */
struct kvm_vmi_step_frame {
	u64 gfn;
	struct kvm_vmi_grant grant[KVM_VMI_NR_LAYERS];
};

/**
 * struct kvm_vcpu_step - an instruction, or the delivery of an event, that the CPU
 *	is to carry out by itself
 * @frame: what it writes, as far as known
 * @grant: of the frame that it has faulted at, until that is one of @frame
 * @nr: frames
 * @again: it has been tried and is to be tried again
 * @tries: steps of it that came to nothing, weighted
 * @entries: of the guest in this step
 * @on: the step is under way; @frame is what may be written
 * @wait: &enum kvm_vmi_wait, before the next entry
 * @faulted: an exit of it has not been settled yet; the CPU is not told to step
 * @vectoring: it is the delivery of an event,
 * @df: of a #DF,
 * @nmi: of an NMI
 * @nested: it is an L2's
 * @cpl: privilege level before
 * @kept: for how long its step has kept others out of the guest
 * @walk_bits: those of a quadword that a page walk may set
 * @cs: code segment before
 * @ss: stack segment before
 * @rip: instruction pointer before
 * @rflags: flags before
 * @cr3: page tables before
 * @regs: registers before
 */
struct kvm_vcpu_step {
	struct kvm_vmi_step_frame frame[KVM_VMI_STEP_FRAMES];
	struct kvm_vmi_grant grant[KVM_VMI_NR_LAYERS];
	u8 nr;
	u8 entries;
	u16 tries;
	u8 wait;
	bool again;
	bool on;
	bool faulted;
	bool vectoring;
	bool df;
	bool nmi;
	bool nested;
	u8 cpl;
	ktime_t kept;
	u64 walk_bits;
	struct kvm_segment cs;
	struct kvm_segment ss;
	unsigned long rip;
	unsigned long rflags;
	unsigned long cr3;
	unsigned long regs[16];
};

/**
 * struct kvm_vmi_exit - an access that has been handed to the VMM
 * @info: what the VMM is told
 * @regs: of the vCPU, as the VMM sees them
 * @insn: the instruction, as far as it was decoded
 * @changes: &kvm_vmi.changes when the rule was looked up
 * @seq: of the violation
 * @rule: the rule's id
 * @legal: verdicts that can be carried out
 * @denied: sub-pages of the frame that the VMM is asked about
 * @shadow: the interrupt shadow that the instruction began with
 * @layer: the rule's
 * @dflt: of the rule
 */
struct kvm_vmi_exit {
	struct kvm_subpage_exit info;
	u64 regs[KVM_VMI_EXIT_REGS];
	u8 insn[15];
	u64 changes;
	u64 seq;
	u32 rule;
	u32 legal;
	u32 denied;
	u32 shadow;
	u8 layer;
	u8 dflt;
};

/**
 * enum kvm_vmi_fetches - what becomes of a fetch by the emulator that the map forbids
 * @KVM_VMI_FETCHES_TO_EXECUTE: it is a violation
 * @KVM_VMI_FETCHES_TO_LOOK: nothing is there, and nobody is told
 * @KVM_VMI_FETCHES_TO_SKIP: the CPU has executed it, only its end is looked for: it is let
 *	through
 */
enum kvm_vmi_fetches {
	KVM_VMI_FETCHES_TO_EXECUTE,
	KVM_VMI_FETCHES_TO_LOOK,
	KVM_VMI_FETCHES_TO_SKIP,
};

/**
 * struct kvm_vcpu_vmi - state of the access that a vCPU is being emulated for
 * @gpa: L1 address of the fault that kvm_vmi_page_fault() took over
 * @error_code: its error code
 * @cr2_or_gpa: its address as for kvm_mmu_page_fault()
 * @gva: its linear address if @gva_valid
 * @speaker: the rule that speaks for the byte at @gpa, none if its rule is 0
 * @data: the run in which the vCPU has last met memory
 * @code: that in which the emulator has last fetched
 * @answer: accesses of the instruction that were answered with allow; a ring
 * @nr_answers: how many so far
 * @asked: the violation that a program is being asked about, else NULL
 * @exit: the access that the VMM is asked about
 * @pending: verdict to act on once the emulator has unwound, 0 if none
 * @emulating: the emulator runs because of a fault on a page of the map; stays
 *	set while the VMM serves a device for that instruction
 * @fresh: it is about to
 * @denied: the emulator was told of a store that is denied
 * @exempt: KVM saves the state of SMM
 * @walk: that fault was the CPU's page walk, so @gpa is not the operand's
 * @fetch_user: that fault was a fetch of the guest's user mode, as the CPU sees it
 * @right: the rights that it needs, KVM_VMI_RIGHT_*; 0 if it was a write
 * @fetches: what the emulator fetches for
 * @refused: the emulator was refused a LOCKed store that KVM has no exchange for
 * @spp_loaded: the CPU consults the VM's table of sub-pages while this vCPU runs L1
 * @once: the instruction being emulated must not begin again: it has reached a device
 * @again: it is executed again: its address may have another translation by now
 * @gva_valid: see @gva
 * @loading: all registers are being loaded at once, looked at when that is over
 * @held: bits of CR0 and CR4 that L1 does not change without an exit, because they are pinned
 * @pin_seq: &kvm_vmi.pin_seq when @held was set and @clear forgotten
 * @clear: pinned bits that were clear, in long mode, when they were last looked at
 * @clear_since: since when, jiffies
 * @clear_told: and that has been told
 * @pins_unserved: a request came while registers were not L1's
 * @l1: L1's registers when it was left for L2 or SMM
 * @step: see struct kvm_vcpu_step
 * @regs: a snapshot that is asked for, under a lock of vmi/regs.c
 *
 * Only the vCPU's own thread uses what has no lock.
 */
struct kvm_vcpu_vmi {
	u64 gpa;
	u64 error_code;
	u64 cr2_or_gpa;
	u64 gva;
	struct kvm_vmi_speaker speaker;
	struct kvm_vmi_run data;
	struct kvm_vmi_run code;
	struct kvm_vmi_answer answer[KVM_VMI_MAX_ANSWERS];
	unsigned int nr_answers;
	const struct kvm_vmi_violation *asked;
	struct kvm_vmi_exit exit;
	u8 pending;
	bool emulating;
	bool fresh;
	bool denied;
	bool exempt;
	bool walk;
	bool fetch_user;
	u8 right;
	enum kvm_vmi_fetches fetches;
	bool refused;
	bool spp_loaded;
	bool once;
	bool again;
	bool gva_valid;
	bool loading;
	struct kvm_vmi_pins held;
	u64 pin_seq;
	struct kvm_vmi_pins clear;
	unsigned long clear_since;
	bool clear_told;
	bool pins_unserved;
	struct kvm_vmi_pins l1;
	struct kvm_vcpu_step step;
	struct kvm_vmi_regs_request *regs;
};

#endif /* _ASM_X86_KVM_VMI_H */
