// SPDX-License-Identifier: GPL-2.0-only
/*
 * The window: entering and leaving the restricted page table, and what exceptions do
 * about it.
 *
 * CR3 alone tells which table a CPU is on.  All it takes to leave is to load
 * isolation_window.full, at any instruction, and doing so twice does no harm.  Who
 * interrupts the switch to the restricted table and leaves it, leaves nothing yet, and the
 * switch goes on; who interrupts the way back, finds one of the two states.
 *
 * An exit of the guest on VMX loads HOST_CR3, which is what was in CR3 at the entry but for
 * the few instructions in between.  Should one of those fault, the exit is on the
 * restricted table again, and that works, too.
 */
#include <linux/percpu.h>
#include <linux/sched/task_stack.h>
#include <linux/stacktrace.h>
#include <asm/cpufeature.h>
#include <asm/invpcid.h>
#include <asm/ptrace.h>
#include <asm/tlbflush.h>
#include "internal.h"
#include "../vmi/vmi.h"
#include "../x86.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

DEFINE_STATIC_KEY_FALSE_RO(kvm_isolation_key);

static DEFINE_PER_CPU(struct isolation_window, isolation_window);

static __always_inline bool is_restricted(const struct isolation_window *w, unsigned long cr3)
{
	return w->restricted && !((w->restricted ^ cr3) & CR3_ADDR_MASK);
}

static __always_inline void write_cr4_raw(unsigned long cr4)
{
	asm volatile("mov %0, %%cr4" : : "r" (cr4) : "memory");
}

/*
 * Global entries survive a change of CR3.  What the full table had as global and has been
 * used lately could still be read.  INVPCID drops them for all PCIDs (SDM vol. 2, type 2),
 * and so does a change of CR4.PGE.
 */
static __always_inline void flush_global(void)
{
	unsigned long cr4;

	if (cpu_feature_enabled(X86_FEATURE_INVPCID)) {
		struct { u64 d[2]; } desc = { { 0, 0 } };

		asm volatile("invpcid %[desc], %[type]"
			     : : [desc] "m" (desc),
				 [type] "r" ((unsigned long)INVPCID_TYPE_ALL_INCL_GLOBAL)
			     : "memory");
		return;
	}
	cr4 = this_cpu_read(cpu_tlbstate.cr4);
	write_cr4_raw(cr4 ^ X86_CR4_PGE);
	write_cr4_raw(cr4);
}

/*
 * Without the bit not to flush: what was unmapped since is gone.  The flush comes after the
 * switch, for until then the CPU may load entries of the full table.
 */
static __always_inline void load_restricted(unsigned long cr3, bool flush)
{
	native_write_cr3(cr3);
	if (flush)
		flush_global();
}

static __always_inline void load_full(const struct isolation_window *w)
{
	native_write_cr3(w->full);
}

noinstr unsigned long __kvm_isolation_pause(void)
{
	struct isolation_window *w = raw_cpu_ptr(&isolation_window);
	unsigned long cr3 = __native_read_cr3();

	if (!is_restricted(w, cr3))
		return 0;
	load_full(w);
	w->pauses++;
	return cr3;
}

noinstr void __kvm_isolation_resume(unsigned long cr3)
{
	load_restricted(cr3, isolation_flush_global);
}

static __always_inline void kick(struct isolation_window *w, enum kvm_isolation_reason reason)
{
	/* The key changes at run time, so this is not noinstr. */
	instrumentation_begin();
	if (static_branch_unlikely(&kvm_isolation_kick_key))
		isolation_kick(w, reason);
	instrumentation_end();
}

/* Before the window's end.  What is touched from now on may be a secret. */
static __always_inline void leave_for(struct isolation_window *w, enum kvm_isolation_reason reason)
{
	load_full(w);
	if (w->reason == KVM_ISOLATION_END)
		w->reason = reason;
	kick(w, reason);
	kvm_request_l1tf_flush_l1d();
}

static void save_stack(struct isolation_fault *fault, struct pt_regs *regs)
{
	/* The unwinder wants RCU, which does not watch right around the entry. */
	if (rcu_is_watching())
		fault->nr_entries = stack_trace_save_regs(regs, fault->entries,
							  ISOLATION_STACK_DEPTH, 0);
}

noinstr bool __kvm_isolation_leave_early(struct pt_regs *regs, enum kvm_isolation_reason reason,
					 unsigned long error_code, unsigned long address)
{
	struct isolation_window *w = raw_cpu_ptr(&isolation_window);
	struct isolation_fault *fault;

	if (user_mode(regs) || !is_restricted(w, __native_read_cr3()))
		return false;

	leave_for(w, reason);
	if (reason != KVM_ISOLATION_FAULT && reason != KVM_ISOLATION_DOUBLE_FAULT)
		return true;

	if (w->nr_faults < ISOLATION_WINDOW_FAULTS) {
		fault = &w->faults[w->nr_faults];
		fault->ip = regs->ip;
		fault->address = address;
		fault->error_code = error_code;
		fault->nr_entries = 0;
		if (kvm_isolation_fault_stack) {
			instrumentation_begin();
			save_stack(fault, regs);
			instrumentation_end();
		}
	}
	w->nr_faults++;
	return true;
}

static noinstr void enter(struct isolation_window *w, unsigned long cr3, bool flush)
{
	w->restricted = cr3;
	barrier();
	load_restricted(cr3, flush);
}

static noinstr void leave(struct isolation_window *w)
{
	if (is_restricted(w, __native_read_cr3()))
		load_full(w);
	barrier();
	w->restricted = 0;
}

/**
 * isolation_is_restricted() - is this CPU on the restricted table?
 *
 * Interrupts are off.
 */
bool isolation_is_restricted(void)
{
	return is_restricted(this_cpu_ptr(&isolation_window), __native_read_cr3());
}

/* In a window, whatever the page table. */
bool __kvm_isolation_in_window(void)
{
	return this_cpu_read(isolation_window.restricted);
}

/* In a window, has it been left early? */
bool isolation_was_left(void)
{
	return this_cpu_read(isolation_window.reason) != KVM_ISOLATION_END;
}

/* With interrupts on, this CPU is in none, and no CPU's table is that of this one's window. */
noinstr void __kvm_isolation_leave_for(enum kvm_isolation_reason reason)
{
	struct isolation_window *w = raw_cpu_ptr(&isolation_window);

	if (!is_restricted(w, __native_read_cr3()))
		return;
	leave_for(w, reason);
}

void __kvm_isolation_enter(struct kvm_vcpu *vcpu)
{
	struct isolation_window *w = this_cpu_ptr(&isolation_window);
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;
	unsigned long cr3 = vcpu->arch.isolation.cr3;
	bool flush = isolation_flush_global;

	if (!cr3)
		return;

	trace_kvm_isolation_enter(vcpu);
	w->full = __get_current_cr3_fast();
	if (cpu_feature_enabled(X86_FEATURE_PCID))
		w->full |= CR3_NOFLUSH;
	w->reason = KVM_ISOLATION_END;
	w->kick = READ_ONCE(iso->kick);
	w->kicks = 0;
	w->pauses = 0;
	w->nr_faults = 0;
	vcpu->arch.isolation.counters.windows++;

	if (IS_ENABLED(CONFIG_KVM_ISOLATION_PROBE) && unlikely(iso->probe.armed)) {
		isolation_before_probe(iso);
		flush = flush && !iso->probe.no_flush;
		enter(w, cr3, flush);
		isolation_probe(iso);
		return;
	}
	enter(w, cr3, flush);
}

/* For when interrupts are on. */
static void tell(struct kvm_vcpu *vcpu, const struct isolation_window *w)
{
	vcpu->arch.isolation.told = (struct kvm_isolation_told) {
		.reason = w->reason,
		.exit = vcpu->arch.isolation.exit,
		.faults = w->nr_faults,
		.kicks = w->kicks,
		.ip = w->nr_faults ? w->faults[0].ip : 0,
		.address = w->nr_faults ? w->faults[0].address : 0,
	};
	vcpu->arch.isolation.is_told = true;
}

void __kvm_isolation_leave(struct kvm_vcpu *vcpu)
{
	struct isolation_window *w = this_cpu_ptr(&isolation_window);
	struct kvm_isolation_counters *c = &vcpu->arch.isolation.counters;

	if (!w->restricted)
		return;

	leave(w);
	kick(w, KVM_ISOLATION_END);
	/* What is touched from now on may be a secret. */
	kvm_request_l1tf_flush_l1d();
	isolation_pass_deadline(vcpu);

	c->left[w->reason]++;
	c->pauses += w->pauses;
	c->kicks += w->kicks;
	trace_kvm_isolation_exit(vcpu, w->reason);
	if (unlikely(w->nr_faults))
		isolation_account_faults(vcpu, w);
	if (kvm_vmi_wants_isolation_exit())
		tell(vcpu, w);
}

unsigned long __kvm_isolation_host_cr3(void)
{
	struct isolation_window *w = this_cpu_ptr(&isolation_window);

	return is_restricted(w, __native_read_cr3()) ? w->restricted : __get_current_cr3_fast();
}
