// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeping guests off a core's other threads while one of them is on the full page table.
 *
 * A guest on a sibling thread samples what this one loads, whatever is mapped.  So who
 * leaves a window has the guests on the siblings left, and waits for it, before it goes on; and
 * nobody enters a guest while a sibling is out there with secrets.
 *
 *	leaving:	unsafe = 1; kick siblings that are in_guest; wait until none is
 *	to enter:	unsafe = 0; if a sibling is unsafe, try again later
 *	entering:	unsafe = 0; in_guest = 1; if a sibling is unsafe, leave the guest at once
 *	exited:		in_guest = 0
 *
 * Between entering and exited KVM takes no lock and waits for nothing but the guest's exit,
 * which the kick brings about: so who waits there, with whatever locks, waits a short time.  An
 * NMI may come in between, and is waited for; its handler touches what it touches without a kick.
 * Who wants to enter is not unsafe, so two of them do not wait for each other.
 *
 * A thread is unsafe from where its vCPU left the window until it wants to enter again or does, is
 * scheduled out, or goes back to the VMM.  What other tasks load meanwhile, or the interrupts of
 * a sibling that runs no vCPU, is not covered: that is for core scheduling.
 */
#include <linux/kprobes.h>
#include <linux/moduleparam.h>
#include <linux/smp.h>
#include <linux/topology.h>
#include <asm/apic.h>
#include "internal.h"

/* More threads of a core than any x86 has. */
#define MAX_SIBLINGS	7

/**
 * struct isolation_thread - of a CPU
 * @in_guest: it is about to run a guest, or does
 * @unsafe: its vCPU may touch what no guest must see
 * @nr_siblings: of @siblings
 * @siblings: the core's other CPUs, as of the last time it wanted to enter; the kernel's masks
 *	may not be mapped in a window
 */
struct isolation_thread {
	bool in_guest;
	bool unsafe;
	unsigned int nr_siblings;
	int siblings[MAX_SIBLINGS];
};

static DEFINE_PER_CPU_SHARED_ALIGNED(struct isolation_thread, isolation_thread);

/* Some VM asks for it. */
DEFINE_STATIC_KEY_FALSE(kvm_isolation_kick_key);

bool __read_mostly kvm_isolation_kick;
module_param_named(isolation_kick, kvm_isolation_kick, bool, 0644);

static void find_siblings(struct isolation_thread *thread, int me)
{
	unsigned int n = 0;
	int cpu;

	for_each_cpu(cpu, cpu_smt_mask(me)) {
		if (cpu != me && n < MAX_SIBLINGS)
			thread->siblings[n++] = cpu;
	}
	thread->nr_siblings = n;
}

static bool is_sibling_unsafe(const struct isolation_thread *thread)
{
	unsigned int i;

	for (i = 0; i < thread->nr_siblings; i++) {
		if (READ_ONCE(per_cpu(isolation_thread, thread->siblings[i]).unsafe))
			return true;
	}
	return false;
}

bool __kvm_isolation_may_enter(struct kvm_vcpu *vcpu)
{
	struct isolation_thread *thread = this_cpu_ptr(&isolation_thread);

	find_siblings(thread, smp_processor_id());
	WRITE_ONCE(thread->unsafe, false);
	if (likely(!is_sibling_unsafe(thread)))
		return true;
	vcpu->arch.isolation.counters.waits++;
	return false;
}

void __kvm_isolation_entering(void)
{
	struct isolation_thread *thread = this_cpu_ptr(&isolation_thread);

	/*
	 * If its window has been left on the way here, it is unsafe: what it has loaded is not
	 * flushed on all CPUs.  It goes on, for the next time it may be no better, and no
	 * sibling enters until it tries again.
	 */
	WRITE_ONCE(thread->in_guest, true);
	/* Pairs with isolation_kick(): one of the two sees the other. */
	smp_mb();
	if (unlikely(is_sibling_unsafe(thread)))
		__apic_send_IPI_self(RESCHEDULE_VECTOR);
}

void __kvm_isolation_exited(void)
{
	this_cpu_write(isolation_thread.in_guest, false);
}

/* The vCPU's thread leaves the CPU, or KVM. */
void __kvm_isolation_put(void)
{
	this_cpu_write(isolation_thread.unsafe, false);
}

static __always_inline void kick(struct isolation_window *w,
				 const struct isolation_thread *thread)
{
	unsigned int i;

	for (i = 0; i < thread->nr_siblings; i++) {
		int cpu = thread->siblings[i];

		if (!READ_ONCE(per_cpu(isolation_thread, cpu).in_guest))
			continue;
		__apic_send_IPI(cpu, RESCHEDULE_VECTOR);
		w->kicks++;
	}
	for (i = 0; i < thread->nr_siblings; i++) {
		while (READ_ONCE(per_cpu(isolation_thread, thread->siblings[i]).in_guest))
			cpu_relax();
	}
}

/**
 * isolation_kick() - this CPU is about to touch secrets: have no guest on its siblings
 * @w: its window
 * @reason: why it is left
 *
 * Interrupts are off, the full page table is loaded; RCU may not be watching.
 */
notrace void isolation_kick(struct isolation_window *w, enum kvm_isolation_reason reason)
{
	struct isolation_thread *thread = raw_cpu_ptr(&isolation_thread);
	bool entering = thread->in_guest;

	if (!(w->kick & BIT(reason)))
		return;
	WRITE_ONCE(thread->unsafe, true);
	/* Two that are about to enter would wait for each other. */
	WRITE_ONCE(thread->in_guest, false);
	/* Pairs with __kvm_isolation_entering(). */
	smp_mb();
	kick(w, thread);
	/* It is unsafe, and not waited for: have the guest left at once. */
	if (entering)
		__apic_send_IPI_self(RESCHEDULE_VECTOR);
}
NOKPROBE_SYMBOL(isolation_kick);

/**
 * isolation_set_kick() - for which reasons of leaving a VM's windows siblings are kicked
 * @iso: of the VM
 * @reasons: a bit for each of &enum kvm_isolation_reason
 *
 * From the next window on.  May sleep; takes the locks of jump labels.
 */
void isolation_set_kick(struct kvm_isolation *iso, u32 reasons)
{
	/* Who leaves by a fault touches something that nobody has thought of. */
	if (reasons)
		reasons |= BIT(KVM_ISOLATION_FAULT) | BIT(KVM_ISOLATION_DOUBLE_FAULT);
	if (reasons && !static_key_enabled(&kvm_isolation_kick_key))
		static_branch_enable(&kvm_isolation_kick_key);
	WRITE_ONCE(iso->kick, reasons);
}

/**
 * isolation_init_kick() - what a new VM begins with
 * @iso: its
 */
void isolation_init_kick(struct kvm_isolation *iso)
{
	isolation_set_kick(iso, READ_ONCE(kvm_isolation_kick) ? KVM_ISOLATION_KICK_ALWAYS :
							      KVM_ISOLATION_KICK_NEVER);
}
