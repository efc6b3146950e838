/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM virtual machine introspection: what the rest of KVM x86 calls, and a VM's
 * state.  What the files of this directory share beside that is in internal.h.
 *
 * Lock order: vcpu->mutex > slots_lock > slots_arch_lock > kvm_vmi.lock >
 * mmu_lock.  Whoever holds kvm_vmi.lock never takes slots_lock or kvm->lock and
 * never waits for kvm->srcu.  kvm_vmi.step.owner ranks between vcpu->mutex and
 * kvm_vmi.lock: who waits for it holds vcpu->mutex alone, who has it closes the
 * gate (waits for exits and for kvm_vmi.store_srcu) before taking kvm_vmi.lock, and
 * gives it up before KVM_RUN returns.  See Documentation/virt/kvm/x86/vmi.rst.
 */
#ifndef ARCH_X86_KVM_VMI_H
#define ARCH_X86_KVM_VMI_H

#include <linux/kvm_host.h>
#include <linux/kvm_vmi.h>
#include <uapi/linux/kvm_vmi.h>

struct kvm_isolation_told;
struct kvm_mmu_page;
struct kvm_page_fault;
struct x86_emulate_ctxt;
struct x86_exception;

/* What kvm_vmi_emulated_*() return when the target is not guest memory. */
#define KVM_VMI_NOT_MEMORY	(-1)

/**
 * struct kvm_vmi_load - a register that the guest loads
 * @idx: SRCU cookie
 * @active: between kvm_vmi_refuses_load() and kvm_vmi_loaded()
 * @ret: if it is refused: 0 to go on behind the instruction, 1 for #GP
 */
struct kvm_vmi_load {
	int idx;
	bool active;
	int ret;
};

/* When all registers are loaded at once: what they are compared with. */
enum kvm_vmi_load_all {
	KVM_VMI_LOAD_FORCED,	/* with nothing, it is not the guest's doing */
	KVM_VMI_LOAD_L1,	/* a VM exit to L1: what L1 had when it entered L2 */
	KVM_VMI_LOAD_RSM,	/* what they were when SMM was entered */
};

#ifdef CONFIG_KVM_VMI

#include <linux/irq_work.h>
#include <linux/maple_tree.h>
#include <linux/memcontrol.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct kvm_enable_cap;
struct kvm_vmi_change;
struct kvm_vmi_pledge;

enum kvm_vmi_counter {
	KVM_VMI_COUNT_VIOLATIONS,
	KVM_VMI_COUNT_DENIED,
	KVM_VMI_COUNT_ALLOWED,
	KVM_VMI_COUNT_SKIPPED,
	KVM_VMI_COUNT_BAD_VERDICTS,
	KVM_VMI_COUNT_UNEMULATABLE,
	KVM_VMI_COUNT_OPENED,
	KVM_VMI_COUNT_KVM_WRITES,
	KVM_VMI_COUNT_STEPPED,
	KVM_VMI_COUNT_GRANTED,
	KVM_VMI_NR_COUNTERS
};

/**
 * struct kvm_vmi_rule_entry - a rule of the table
 * @id: its key
 * @flags: KVM_VMI_RULE_*, READ_ONCE()/WRITE_ONCE()
 * @action: as in struct kvm_vmi_rule, DEFAULT already replaced
 * @dflt: as in struct kvm_vmi_rule, DEFAULT already replaced
 * @on_reset: &enum kvm_vmi_on_reset
 * @deadline_ms: reserved
 * @cookie: the owner's
 * @pins: the bits it keeps set, READ_ONCE()/WRITE_ONCE()
 * @counter: by &enum kvm_vmi_counter; see struct kvm_vmi_rule_info
 * @rcu: readers look rules up under RCU
 *
 * Parameters change one by one under kvm_vmi.lock: a violation that races with
 * a change sees the old value or the new one of each, all of them legal.
 */
struct kvm_vmi_rule_entry {
	u32 id;
	u32 flags;
	u8 action[KVM_VMI_NR_ACTIONS];
	u8 dflt;
	u8 on_reset;
	u32 deadline_ms;
	u64 cookie;
	struct kvm_vmi_pins pins;
	atomic64_t counter[KVM_VMI_NR_COUNTERS];
	struct rcu_head rcu;
};

/**
 * struct kvm_vmi_layer - the rights one party has set
 * @map: gfn to entry, see map.c; changed under kvm_vmi.lock, read under RCU
 * @rules: rule id to &struct kvm_vmi_rule_entry; likewise
 * @nr_rules: entries of @rules
 * @nr_runs: entries of @map
 * @charged: the VMM's owner pays for the nodes of @map, see kvm_vmi_pledge()
 * @nr_pledged: pages of @pledged
 * @pledged: that stand for those nodes
 */
struct kvm_vmi_layer {
	struct maple_tree map;
	struct xarray rules;
	unsigned int nr_rules;
	unsigned long nr_runs;
	bool charged;
	unsigned long nr_pledged;
	struct kvm_vmi_pledge *pledged;
};

/* Quadwords of a sub-page. */
#define KVM_VMI_STEP_WORDS	((1 << KVM_VMI_SUBPAGE_SHIFT) / sizeof(u64))

/**
 * struct kvm_vmi_step_aside - what was written to denied sub-pages of a frame
 * @changed: the sub-pages
 * @words: the quadwords of each
 * @let: sub-pages that were asked about and let through, by layer
 * @changes: &kvm_vmi.changes when they were
 */
struct kvm_vmi_step_aside {
	u32 changed;
	u16 words[32];
	u32 let[KVM_VMI_NR_LAYERS];
	u64 changes;
};

/**
 * struct kvm_vmi_step - one vCPU is to carry out one instruction while none else runs
 * @owner: that vCPU, NULL if there is none
 * @gate: the others are kept out of the guest, and their emulated stores wait
 * @waiters: vCPUs that wait for @gate, or for @owner to be NULL
 * @closed: when @gate was closed
 * @wq: where they wait
 * @copy: %KVM_VMI_STEP_FRAMES pages: the frames as they were before; once the step is
 *	over, in place of that, what is put aside
 * @page: those frames' pages, pinned
 * @aside: what is put aside, by frame
 * @hva: where they are in the VMM's memory
 * @gfn: the frames; the first @nr are writable for @owner.  Changed under
 *	kvm_vmi.lock, and between kvm_vmi_bracket_start() and _end() when they grow
 * @nr: how many
 * @seq: &kvm.mmu_invalidate_seq before @page was looked up
 *
 * All but @gate, @gfn and @nr is @owner's.
 */
struct kvm_vmi_step {
	struct kvm_vcpu *owner;
	bool gate;
	atomic_t waiters;
	ktime_t closed;
	wait_queue_head_t wq;
	u8 *copy;
	struct page *page[KVM_VMI_STEP_FRAMES];
	struct kvm_vmi_step_aside aside[KVM_VMI_STEP_FRAMES];
	unsigned long hva[KVM_VMI_STEP_FRAMES];
	gfn_t gfn[KVM_VMI_STEP_FRAMES];
	unsigned int nr;
	unsigned long seq;
};

enum kvm_vmi_admission_state {
	KVM_VMI_ADMITTED,
	KVM_VMI_WAITING,	/* for admission, or for its deadline */
	KVM_VMI_REJECTED,	/* the deadline has passed, mode closed */
};

/**
 * struct kvm_vmi - a VM as introspection sees it
 * @kvm: the VM
 * @id: never reused
 * @start_time: of the VMM's thread group leader, ns of CLOCK_BOOTTIME
 * @cgroup_id: of the VMM in the default hierarchy, 0 if there is none
 * @pid: the VMM's thread group, a reference
 * @uid: the VMM's effective uid when it created the VM
 * @memcg: what the map is charged to, a reference or NULL
 * @lock: serializes changes of the layers, @pins, @open, @unsupported, the engine and @sppt
 * @layers: see struct kvm_vmi_layer
 * @aliases: gfns whose memory other gfns reach too, see alias.c
 * @store_srcu: look-up and store of one emulated write; readers never wait.  Initialized
 *	with @active
 * @regs_lock: one snapshot of registers at a time
 * @open: gfns whose protection is suspended, and until when (jiffies)
 * @open_work: closes them
 * @step: see struct kvm_vmi_step
 * @changes: of rules and rights; what was granted before is not afterwards
 * @map_seq: of the layers' maps and of @aliases: odd while they change.  Written under
 *	mmu_lock too, so that it stands still for who makes SPTEs; never 0
 * @marks: runs of @aliases
 * @pins: the bits that rules in force keep set, READ_ONCE()/WRITE_ONCE()
 * @pin_seq: of changes of @pins; 0 if there have never been any
 * @pin_work: has vCPUs look which of @pins are clear
 * @engine: &enum kvm_vmi_engine as asked for
 * @engine_fixed: the VM has been protected, the engine stays
 * @sppt: root of the table by which the CPU checks sub-pages, see spp.c; NULL with
 *	the software engine.  Set once
 * @sppt_pages: pages of that table
 * @active: the map has been used; never cleared.  Set before the first entry
 *	becomes visible
 * @ready: @active is settled, and no emulator is left that has not seen it
 * @unsupported: takes no map (SEV, TDX, private memory)
 * @activate_lock: held while @active and @ready are set; before any other lock
 * @activate_work: sets them
 * @activated: wakes who waits for it
 * @no_memory: the last attempt has failed
 * @generation: resets
 * @protected: the boot CPU has been in protected mode since the last reset
 * @shutdown: KVM has turned its shutdown into INIT since it was last in protected mode
 * @violations: raised so far, the source of &kvm_vmi_violation.seq; by layer
 * @exits: the VMM has enabled its interface: it takes exits.  Never cleared
 * @bad_verdicts: counter
 * @admission: &enum kvm_vmi_admission_state
 * @expired: admission ended by its deadline
 * @deadline: of admission, jiffies; 0 before the first KVM_RUN
 * @admission_wq: where KVM_RUN waits
 * @announced: the attachment of programs that knows this VM
 * @kill_irq: kills the VM from where not even work can be queued
 * @kill_work: the next step of that
 * @put_work: drops references from where the last one cannot be dropped
 * @puts: how many
 */
struct kvm_vmi {
	struct kvm *kvm;
	u64 id;
	u64 start_time;
	u64 cgroup_id;
	struct pid *pid;
	kuid_t uid;
	struct mem_cgroup *memcg;

	struct mutex lock;	/* layers, aliases, open, unsupported */
	struct srcu_struct store_srcu;
	struct mutex regs_lock;	/* a snapshot of registers */
	struct kvm_vmi_layer layers[KVM_VMI_NR_LAYERS];
	struct maple_tree aliases;
	struct xarray open;
	struct delayed_work open_work;
	struct kvm_vmi_step step;
	u64 changes;
	u64 map_seq;
	unsigned int marks;

	struct kvm_vmi_pins pins;
	u64 pin_seq;
	struct delayed_work pin_work;

	u8 engine;
	bool engine_fixed;
	u64 *sppt;
	unsigned long sppt_pages;

	bool active;
	bool ready;
	bool unsupported;
	struct mutex activate_lock;	/* active, ready */
	struct work_struct activate_work;
	wait_queue_head_t activated;
	bool no_memory;

	u64 generation;
	bool protected;
	bool shutdown;
	atomic64_t violations[KVM_VMI_NR_LAYERS];
	bool exits;
	atomic64_t bad_verdicts;

	u8 admission;
	bool expired;
	unsigned long deadline;
	wait_queue_head_t admission_wq;

	atomic64_t announced;
	struct irq_work kill_irq;
	struct work_struct kill_work;
	struct work_struct put_work;
	atomic_t puts;
};

static_assert(KVM_VMI_NR_VERDICTS <= 32 && KVM_VMI_NR_KINDS <= 32);

/* Does this VM have, or has it had, a map?  Nothing but a NOP until one has. */
static __always_inline bool kvm_vmi_active(struct kvm *kvm)
{
	return static_branch_unlikely(&kvm_vmi_key) && READ_ONCE(kvm->arch.vmi->active);
}

/* ---- what KVM calls ---- */

int kvm_vmi_init(void);
void kvm_vmi_exit(void);
int kvm_vmi_init_vm(struct kvm *kvm);
void kvm_vmi_pre_destroy_vm(struct kvm *kvm);
void kvm_vmi_destroy_vm(struct kvm *kvm);
int kvm_vmi_forbid(struct kvm *kvm);
int __kvm_vmi_prepare_memory_region(struct kvm *kvm, const struct kvm_memory_slot *new);
void kvm_vmi_commit_memory_region(struct kvm *kvm, const struct kvm_memory_slot *new,
				  enum kvm_mr_change change);

void kvm_vmi_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
void kvm_vmi_load_sregs(struct kvm_vcpu *vcpu, unsigned long cr0, const struct kvm_segment *cs);
void kvm_vmi_shutdown(struct kvm_vcpu *vcpu);
int __kvm_vmi_admission(struct kvm_vcpu *vcpu);
void kvm_vmi_serve_regs(struct kvm_vcpu *vcpu);
void kvm_vmi_serve_maps(struct kvm_vcpu *vcpu);
bool kvm_vmi_drop_map(struct kvm_vcpu *vcpu, struct kvm_host_map *map, unsigned int offset,
		      unsigned int len);
bool __kvm_vmi_refuses(struct kvm *kvm, gpa_t gpa, unsigned int len);

int __kvm_vmi_page_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
bool kvm_vmi_may_arm(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, gfn_t gfn);
int kvm_vmi_mapped(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault, int r);
int kvm_vmi_handle_spp(struct kvm_vcpu *vcpu, gpa_t gpa, bool miss);
void kvm_vmi_load_spp(struct kvm_vcpu *vcpu);
void kvm_vmi_serve_step(struct kvm_vcpu *vcpu);
bool __kvm_vmi_exited(struct kvm_vcpu *vcpu);
void __kvm_vmi_stop_step(struct kvm_vcpu *vcpu);
bool __kvm_vmi_interrupt_step(struct kvm_vcpu *vcpu);
unsigned int kvm_vmi_restrict(struct kvm_vcpu *vcpu, union kvm_mmu_page_role role, gfn_t gfn,
			      unsigned int access, bool *ret_may_write);
unsigned int __kvm_vmi_restrict_split(struct kvm *kvm, union kvm_mmu_page_role role, gfn_t gfn,
				      unsigned int access);
int kvm_vmi_handle_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, void *insn, int insn_len);
int __kvm_vmi_max_level(struct kvm *kvm, const struct kvm_page_fault *fault, gfn_t gfn,
			int level);
int kvm_vmi_emulated_write(struct x86_emulate_ctxt *ctxt, gva_t gva, const void *val,
			   unsigned int bytes, struct x86_exception *exception);
int kvm_vmi_emulated_cmpxchg(struct x86_emulate_ctxt *ctxt, gva_t gva, const void *old,
			     const void *new, unsigned int bytes,
			     struct x86_exception *exception);
int kvm_vmi_write_guest_virt(struct kvm_vcpu *vcpu, gva_t gva, const void *val,
			     unsigned int bytes, u64 access, bool emulator,
			     struct x86_exception *exception);
int kvm_vmi_subpages_max(struct kvm *kvm);
int kvm_vmi_enable_subpages(struct kvm *kvm, const struct kvm_enable_cap *cap);
int kvm_vmi_set_subpages(struct kvm *kvm, struct kvm_subpage __user *arg);
int kvm_vmi_get_subpages(struct kvm *kvm, struct kvm_subpage __user *arg);
bool __kvm_vmi_begin_emulation(struct kvm_vcpu *vcpu);
bool __kvm_vmi_refuses_fetch(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa,
			     struct x86_exception *exception);
bool __kvm_vmi_refuses_read(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa, unsigned int bytes,
			    struct x86_exception *exception);
bool __kvm_vmi_task_switch_denied(struct kvm_vcpu *vcpu);
bool __kvm_vmi_emulation_failed(struct kvm_vcpu *vcpu, int emulation_type, int *ret);
bool __kvm_vmi_emulated_exception(struct kvm_vcpu *vcpu, int *ret);

bool __kvm_vmi_refuses_load(struct kvm_vcpu *vcpu, u32 reg, u64 old, u64 new,
			    struct kvm_vmi_load *load);
void __kvm_vmi_loaded(struct kvm_vcpu *vcpu, struct kvm_vmi_load *load);
void kvm_vmi_leave_l1(struct kvm_vcpu *vcpu);
void kvm_vmi_enter_smm(struct kvm_vcpu *vcpu);
void __kvm_vmi_end_load(struct kvm_vcpu *vcpu, enum kvm_vmi_load_all what);
void kvm_vmi_serve_pins(struct kvm_vcpu *vcpu);

/**
 * kvm_vmi_refuses_load - does a rule keep the guest from loading a register?
 * @vcpu: the vCPU, its own thread; kvm->srcu held and nothing else
 * @reg: KVM_VMI_REG_*
 * @old: what it holds
 * @new: what the guest loads, which it could as far as the CPU is concerned
 * @load: filled
 *
 * Return: true if so, @load->ret is what the setter is to return; false if it is to be
 * loaded at once, without waiting for anything, and kvm_vmi_loaded() called.
 */
static __always_inline bool kvm_vmi_refuses_load(struct kvm_vcpu *vcpu, u32 reg, u64 old,
						 u64 new, struct kvm_vmi_load *load)
{
	load->active = false;
	return kvm_vmi_active(vcpu->kvm) && __kvm_vmi_refuses_load(vcpu, reg, old, new, load);
}

/* The register that was not refused is loaded. */
static __always_inline void kvm_vmi_loaded(struct kvm_vcpu *vcpu, struct kvm_vmi_load *load)
{
	if (load->active)
		__kvm_vmi_loaded(vcpu, load);
}

/* The VMM has loaded whatever L1 comes back with: what it had before no longer counts. */
static inline void kvm_vmi_forget_l1(struct kvm_vcpu *vcpu)
{
	memset(&vcpu->arch.vmi.l1, 0, sizeof(vcpu->arch.vmi.l1));
}

/* All registers are about to be loaded at once, where no exception can be raised. */
static __always_inline void kvm_vmi_begin_load(struct kvm_vcpu *vcpu)
{
	/* Not behind the key, which may change in between. */
	vcpu->arch.vmi.loading = true;
}

/* They are: pinned bits that would be cleared are dealt with.  Context as above. */
static __always_inline void kvm_vmi_end_load(struct kvm_vcpu *vcpu, enum kvm_vmi_load_all what)
{
	vcpu->arch.vmi.loading = false;
	if (kvm_vmi_active(vcpu->kvm))
		__kvm_vmi_end_load(vcpu, what);
}

/* Bits of CR0 that L1 is not to change without an exit. */
static __always_inline unsigned long kvm_vmi_held_cr0(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_active(vcpu->kvm) ? vcpu->arch.vmi.held.reg[KVM_VMI_PINNED_CR0] : 0;
}

/* The same of CR4. */
static __always_inline unsigned long kvm_vmi_held_cr4(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_active(vcpu->kvm) ? vcpu->arch.vmi.held.reg[KVM_VMI_PINNED_CR4] : 0;
}

/* On the vCPU's thread, the vCPU loaded; some request may be pending. */
static inline void kvm_vmi_serve_requests(struct kvm_vcpu *vcpu)
{
	if (kvm_check_request(KVM_REQ_VMI_REGS, vcpu))
		kvm_vmi_serve_regs(vcpu);
	if (kvm_check_request(KVM_REQ_VMI_SPP, vcpu))
		kvm_vmi_load_spp(vcpu);
	if (kvm_check_request(KVM_REQ_VMI_MAPS, vcpu))
		kvm_vmi_serve_maps(vcpu);
	if (kvm_check_request(KVM_REQ_VMI_PINS, vcpu))
		kvm_vmi_serve_pins(vcpu);
	if (kvm_check_request(KVM_REQ_VMI_STEP, vcpu))
		kvm_vmi_serve_step(vcpu);
}

/*
 * Would KVM's write of these bytes, within one page, be refused?  Then that is
 * reported; else nothing is, for nothing is written yet.
 */
static __always_inline bool kvm_vmi_refuses(struct kvm *kvm, gpa_t gpa, unsigned int len)
{
	return kvm_vmi_active(kvm) && __kvm_vmi_refuses(kvm, gpa, len);
}

/* Is this vCPU in a step?  Its own thread. */
static __always_inline bool kvm_vmi_is_stepping(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_active(vcpu->kvm) && unlikely(vcpu->arch.vmi.step.on);
}

/*
 * The guest has been left.  True if what it was left for no longer matters: it has
 * written, in a step, what is denied.
 */
static __always_inline bool kvm_vmi_exited(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_is_stepping(vcpu) && __kvm_vmi_exited(vcpu);
}

/* A vCPU that blocks, is reset or leaves L2, the end of KVM_RUN. */
static __always_inline void kvm_vmi_stop_step(struct kvm_vcpu *vcpu)
{
	if (kvm_vmi_is_stepping(vcpu))
		__kvm_vmi_stop_step(vcpu);
}

/*
 * INIT or SIPI, before L2 exits for it.  False if the step, which goes on, has to be over
 * first.
 */
static __always_inline bool kvm_vmi_interrupt_step(struct kvm_vcpu *vcpu)
{
	return !kvm_vmi_is_stepping(vcpu) || __kvm_vmi_interrupt_step(vcpu);
}

/*
 * A slot is about to come, or to move: what it shares with others is marked
 * before a vCPU can use it.  slots_lock held.  0 or -ENOSPC.
 */
static inline int kvm_vmi_prepare_memory_region(struct kvm *kvm,
						const struct kvm_memory_slot *new)
{
	return kvm_vmi_active(kvm) ? __kvm_vmi_prepare_memory_region(kvm, new) : 0;
}

/* May this vCPU run?  0, -EINTR (call again) or -EPERM.  No lock but vcpu->mutex. */
static inline int kvm_vmi_admission(struct kvm_vcpu *vcpu)
{
	/*
	 * Created since the gate was closed?  Whoever closes it does so before it asks
	 * all vCPUs that can be found, a LOCKed operation each.
	 */
	if (kvm_vmi_active(vcpu->kvm) && unlikely(READ_ONCE(vcpu->kvm->arch.vmi->step.gate)))
		kvm_make_request(KVM_REQ_VMI_STEP, vcpu);
	/* Likewise, since a bit was pinned. */
	if (kvm_vmi_active(vcpu->kvm) &&
	    unlikely(READ_ONCE(vcpu->kvm->arch.vmi->pin_seq) != vcpu->arch.vmi.pin_seq))
		kvm_make_request(KVM_REQ_VMI_PINS, vcpu);
	if (likely(READ_ONCE(vcpu->kvm->arch.vmi->admission) == KVM_VMI_ADMITTED))
		return 0;
	return __kvm_vmi_admission(vcpu);
}

/**
 * kvm_vmi_page_fault - is this fault a matter of the access map?
 * @vcpu: the vCPU
 * @fault: with gfn and slot filled in, before anything is mapped
 *
 * Return: %RET_PF_CONTINUE if not; %RET_PF_VMI if so, and
 * kvm_vmi_handle_fault() does the rest; %RET_PF_WRITE_PROTECTED for a prefetch.
 */
static __always_inline int kvm_vmi_page_fault(struct kvm_vcpu *vcpu,
					      struct kvm_page_fault *fault)
{
	if (!kvm_vmi_active(vcpu->kvm))
		return 0;
	return __kvm_vmi_page_fault(vcpu, fault);
}

/*
 * Are these frames known to lie in that run of the map as it is?  With mmu_lock held
 * that stays so; without, whoever acts on it looks again before a SPTE is made.
 */
static __always_inline bool kvm_vmi_in_run(struct kvm_vmi *vmi, const struct kvm_vmi_run *run,
					   gfn_t first, gfn_t last)
{
	return run->first <= first && last <= run->last && run->seq == READ_ONCE(vmi->map_seq);
}

extern bool kvm_vmi_splits_exec;
extern bool kvm_vmi_exec_only;

/*
 * A vendor's module says what its CPU can, or goes: tell fetches of user mode from those of
 * the kernel, and execute what cannot be read.
 */
static inline void kvm_vmi_set_exec(bool splits, bool only)
{
	WRITE_ONCE(kvm_vmi_splits_exec, splits);
	WRITE_ONCE(kvm_vmi_exec_only, only);
}

/* Might the map have KVM make SPTEs that let a frame be executed and not be read? */
static inline bool kvm_vmi_maps_exec_only(void)
{
	return READ_ONCE(kvm_vmi_exec_only);
}

/* Might the map restrict a SPTE that maps @gfn?  See kvm_vmi_restrict().  mmu_lock held. */
static __always_inline bool kvm_vmi_may_restrict(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	const struct kvm_vmi_run *run = &vcpu->arch.vmi.data;

	return kvm_vmi_active(vcpu->kvm) &&
	       !(run->rights == KVM_VMI_RIGHT_ALL &&
		 kvm_vmi_in_run(vcpu->kvm->arch.vmi, run, gfn, gfn));
}

/* The ACC_* of @access that a SPTE may have which a huge one is split into. */
static __always_inline unsigned int kvm_vmi_restrict_split(struct kvm *kvm,
							   union kvm_mmu_page_role role,
							   gfn_t gfn, unsigned int access)
{
	return kvm_vmi_active(kvm) ? __kvm_vmi_restrict_split(kvm, role, gfn, access) : access;
}

/* Does the CPU consult the table while this vCPU runs L1? */
static inline bool kvm_vmi_spp_loaded(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.vmi.spp_loaded;
}

/*
 * The highest level, up to @level, of which one SPTE may map the frames around @gfn.
 * @fault: whose SPTE, or NULL.  mmu_lock held.
 */
static __always_inline int kvm_vmi_max_level(struct kvm *kvm,
					     const struct kvm_page_fault *fault, gfn_t gfn,
					     int level)
{
	if (!kvm_vmi_active(kvm))
		return level;
	return __kvm_vmi_max_level(kvm, fault, gfn, level);
}

/*
 * An instruction begins to be emulated, or with @again goes on after the VMM has
 * served a device: what was said of the one before no longer counts.  With @skip the
 * CPU has fetched it, and is to go on behind it.
 *
 * Return: true if there is nothing to emulate any more: a step has ended with an exception.
 */
static __always_inline bool kvm_vmi_begin_emulation(struct kvm_vcpu *vcpu, bool again, bool skip)
{
	if (!kvm_vmi_active(vcpu->kvm))
		return false;
	if (!again && __kvm_vmi_begin_emulation(vcpu))
		return true;
	vcpu->arch.vmi.fetches = skip ? KVM_VMI_FETCHES_TO_SKIP : KVM_VMI_FETCHES_TO_EXECUTE;
	return false;
}

/*
 * Of the instruction's bytes that the CPU has told with a fault, how many are used.  It may
 * have read them as data, after it had fetched others by an old translation.
 */
static __always_inline int kvm_vmi_insn_len(struct kvm_vcpu *vcpu, int insn_len)
{
	return kvm_vmi_active(vcpu->kvm) && !vcpu->arch.vmi.again ? 0 : insn_len;
}

/* Is the emulator not to fetch there?  Then @exception is what the guest gets instead. */
static __always_inline bool kvm_vmi_refuses_fetch(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa,
						  struct x86_exception *exception)
{
	return kvm_vmi_active(vcpu->kvm) && __kvm_vmi_refuses_fetch(vcpu, gva, gpa, exception);
}

/* Is the guest not to have what the emulator has read?  @exception as above. */
static __always_inline bool kvm_vmi_refuses_read(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa,
						 unsigned int bytes,
						 struct x86_exception *exception)
{
	return kvm_vmi_active(vcpu->kvm) &&
	       __kvm_vmi_refuses_read(vcpu, gva, gpa, bytes, exception);
}

/* What is being emulated reaches a device, or cannot begin again for another reason. */
static __always_inline void kvm_vmi_emulate_once(struct kvm_vcpu *vcpu)
{
	if (kvm_vmi_active(vcpu->kvm))
		vcpu->arch.vmi.once = true;
}

/* Has a store of the task switch just emulated been denied, and that been dealt with? */
static __always_inline bool kvm_vmi_task_switch_denied(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_active(vcpu->kvm) && __kvm_vmi_task_switch_denied(vcpu);
}

/* The save area of SMM, which the CPU writes outside the guest's reach, is exempt. */
static __always_inline void kvm_vmi_exempt(struct kvm_vcpu *vcpu, bool exempt)
{
	/* Not behind the key, which may change in between. */
	vcpu->arch.vmi.exempt = exempt;
}

/*
 * Does the emulator run because of a fault on a page of the map?  Then its address is
 * not that of whatever is accessed at that offset of a page: see kvm_vmi_knows_gpa().
 */
static __always_inline bool kvm_vmi_emulates_fault(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_active(vcpu->kvm) && vcpu->arch.vmi.emulating;
}

/* The emulator gave up.  True if it was a matter of the map, *@ret as for KVM_RUN. */
static __always_inline bool kvm_vmi_emulation_failed(struct kvm_vcpu *vcpu,
						     int emulation_type, int *ret)
{
	return kvm_vmi_active(vcpu->kvm) &&
	       __kvm_vmi_emulation_failed(vcpu, emulation_type, ret);
}

/* The emulator raised an exception.  True if that stands for a verdict. */
static __always_inline bool kvm_vmi_emulated_exception(struct kvm_vcpu *vcpu, int *ret)
{
	return kvm_vmi_active(vcpu->kvm) && __kvm_vmi_emulated_exception(vcpu, ret);
}

DECLARE_STATIC_KEY_FALSE(kvm_vmi_isolation_exit_key);
void kvm_vmi_tell_isolation_exit(struct kvm_vcpu *vcpu, const struct kvm_isolation_told *told);

/* Is there a program to tell of windows of isolation? */
static __always_inline bool kvm_vmi_wants_isolation_exit(void)
{
	return static_branch_unlikely(&kvm_vmi_isolation_exit_key);
}

#else /* !CONFIG_KVM_VMI */

static inline bool kvm_vmi_wants_isolation_exit(void)
{
	return false;
}

static inline void kvm_vmi_tell_isolation_exit(struct kvm_vcpu *vcpu,
					       const struct kvm_isolation_told *told)
{
}

static inline bool kvm_vmi_active(struct kvm *kvm) { return false; }
static inline int kvm_vmi_init(void) { return 0; }
static inline void kvm_vmi_exit(void) {}
static inline int kvm_vmi_init_vm(struct kvm *kvm) { return 0; }
static inline void kvm_vmi_pre_destroy_vm(struct kvm *kvm) {}
static inline void kvm_vmi_destroy_vm(struct kvm *kvm) {}
static inline int kvm_vmi_forbid(struct kvm *kvm) { return 0; }

static inline int kvm_vmi_prepare_memory_region(struct kvm *kvm,
						const struct kvm_memory_slot *new)
{
	return 0;
}

static inline void kvm_vmi_commit_memory_region(struct kvm *kvm,
						const struct kvm_memory_slot *new,
						enum kvm_mr_change change) {}
static inline void kvm_vmi_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0) {}
static inline void kvm_vmi_load_sregs(struct kvm_vcpu *vcpu, unsigned long cr0,
				      const struct kvm_segment *cs) {}
static inline void kvm_vmi_shutdown(struct kvm_vcpu *vcpu) {}
static inline int kvm_vmi_subpages_max(struct kvm *kvm) { return 0; }

static inline int kvm_vmi_enable_subpages(struct kvm *kvm, const struct kvm_enable_cap *cap)
{
	return -EINVAL;
}

static inline int kvm_vmi_set_subpages(struct kvm *kvm, struct kvm_subpage __user *arg)
{
	return -ENOTTY;
}

static inline int kvm_vmi_get_subpages(struct kvm *kvm, struct kvm_subpage __user *arg)
{
	return -ENOTTY;
}

static inline bool kvm_vmi_begin_emulation(struct kvm_vcpu *vcpu, bool again, bool skip)
{
	return false;
}

static inline int kvm_vmi_insn_len(struct kvm_vcpu *vcpu, int insn_len) { return insn_len; }

static inline bool kvm_vmi_refuses_fetch(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa,
					 struct x86_exception *exception)
{
	return false;
}

static inline bool kvm_vmi_refuses_read(struct kvm_vcpu *vcpu, gva_t gva, gpa_t gpa,
					unsigned int bytes, struct x86_exception *exception)
{
	return false;
}

static inline bool kvm_vmi_task_switch_denied(struct kvm_vcpu *vcpu) { return false; }
static inline void kvm_vmi_exempt(struct kvm_vcpu *vcpu, bool exempt) {}
static inline int kvm_vmi_admission(struct kvm_vcpu *vcpu) { return 0; }
static inline void kvm_vmi_serve_requests(struct kvm_vcpu *vcpu) {}
static inline bool kvm_vmi_is_stepping(struct kvm_vcpu *vcpu) { return false; }
static inline bool kvm_vmi_exited(struct kvm_vcpu *vcpu) { return false; }
static inline void kvm_vmi_stop_step(struct kvm_vcpu *vcpu) {}
static inline bool kvm_vmi_interrupt_step(struct kvm_vcpu *vcpu) { return true; }
static inline void kvm_vmi_emulate_once(struct kvm_vcpu *vcpu) {}
static inline void kvm_vmi_leave_l1(struct kvm_vcpu *vcpu) {}
static inline void kvm_vmi_forget_l1(struct kvm_vcpu *vcpu) {}
static inline void kvm_vmi_enter_smm(struct kvm_vcpu *vcpu) {}
static inline unsigned long kvm_vmi_held_cr0(struct kvm_vcpu *vcpu) { return 0; }
static inline unsigned long kvm_vmi_held_cr4(struct kvm_vcpu *vcpu) { return 0; }
static inline void kvm_vmi_begin_load(struct kvm_vcpu *vcpu) {}
static inline void kvm_vmi_end_load(struct kvm_vcpu *vcpu, enum kvm_vmi_load_all what) {}
static inline void kvm_vmi_loaded(struct kvm_vcpu *vcpu, struct kvm_vmi_load *load) {}

static inline bool kvm_vmi_refuses_load(struct kvm_vcpu *vcpu, u32 reg, u64 old, u64 new,
					struct kvm_vmi_load *load)
{
	return false;
}

static inline bool kvm_vmi_drop_map(struct kvm_vcpu *vcpu, struct kvm_host_map *map,
				    unsigned int offset, unsigned int len)
{
	return false;
}

static inline bool kvm_vmi_refuses(struct kvm *kvm, gpa_t gpa, unsigned int len)
{
	return false;
}

static inline int kvm_vmi_page_fault(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	return 0;
}

static inline int kvm_vmi_handle_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, void *insn,
				       int insn_len)
{
	return -EIO;
}

static inline bool kvm_vmi_may_restrict(struct kvm_vcpu *vcpu, gfn_t gfn) { return false; }
static inline void kvm_vmi_set_exec(bool splits, bool only) {}
static inline bool kvm_vmi_maps_exec_only(void) { return false; }

static inline unsigned int kvm_vmi_restrict(struct kvm_vcpu *vcpu,
					    union kvm_mmu_page_role role, gfn_t gfn,
					    unsigned int access, bool *ret_may_write)
{
	return access;
}

static inline unsigned int kvm_vmi_restrict_split(struct kvm *kvm,
						  union kvm_mmu_page_role role, gfn_t gfn,
						  unsigned int access)
{
	return access;
}

static inline bool kvm_vmi_spp_loaded(struct kvm_vcpu *vcpu) { return false; }

static inline bool kvm_vmi_may_arm(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, gfn_t gfn)
{
	return false;
}

static inline int kvm_vmi_mapped(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault, int r)
{
	return r;
}

static inline int kvm_vmi_handle_spp(struct kvm_vcpu *vcpu, gpa_t gpa, bool miss)
{
	return -EIO;
}

static inline int kvm_vmi_max_level(struct kvm *kvm, const struct kvm_page_fault *fault,
				    gfn_t gfn, int level)
{
	return level;
}

static inline bool kvm_vmi_emulates_fault(struct kvm_vcpu *vcpu) { return false; }

static inline int kvm_vmi_emulated_write(struct x86_emulate_ctxt *ctxt, gva_t gva,
					 const void *val, unsigned int bytes,
					 struct x86_exception *exception)
{
	return KVM_VMI_NOT_MEMORY;
}

static inline int kvm_vmi_emulated_cmpxchg(struct x86_emulate_ctxt *ctxt, gva_t gva,
					   const void *old, const void *new,
					   unsigned int bytes,
					   struct x86_exception *exception)
{
	return KVM_VMI_NOT_MEMORY;
}

static inline int kvm_vmi_write_guest_virt(struct kvm_vcpu *vcpu, gva_t gva, const void *val,
					   unsigned int bytes, u64 access, bool emulator,
					   struct x86_exception *exception)
{
	return KVM_VMI_NOT_MEMORY;
}

static inline bool kvm_vmi_emulation_failed(struct kvm_vcpu *vcpu, int emulation_type,
					    int *ret)
{
	return false;
}

static inline bool kvm_vmi_emulated_exception(struct kvm_vcpu *vcpu, int *ret)
{
	return false;
}

#endif /* CONFIG_KVM_VMI */
#endif /* ARCH_X86_KVM_VMI_H */
