// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's TSC deadline within a window, where the CPU has no timer for guests.
 *
 * To set one of the host's timers for it is to walk a tree with everybody's.  All the guest
 * needs while it runs is that it is left in time: for that the CPU's own timer interrupt
 * comes early.  The window is left for it, and then, with interrupts still off, the timer is
 * set as ever.  So a deadline is kept here only within a window, and the tree's is not set.
 */
#include <linux/hrtimer.h>
#include <asm/apic.h>
#include "internal.h"
#include "../lapic.h"
#include "../x86.h"

/* Nanoseconds until it; 0 if KVM would not set a timer any more (start_sw_tscdeadline()). */
static u64 time_left(struct kvm_vcpu *vcpu)
{
	struct kvm_timer *timer = &vcpu->arch.apic->lapic_timer;
	u64 now = kvm_read_l1_tsc(vcpu, rdtsc());
	u64 ns;

	if (timer->tscdeadline <= now)
		return 0;
	/* As there: a deadline so far off that this overflows has it come too early. */
	ns = (timer->tscdeadline - now) * 1000000ULL;
	do_div(ns, vcpu->arch.virtual_tsc_khz);
	return ns - min_t(u64, ns, timer->timer_advance_ns);
}

bool __kvm_isolation_keep_deadline(struct kvm_vcpu *vcpu, bool is_posted)
{
	u64 ns;

	if (!isolation_is_restricted())
		return false;

	ns = time_left(vcpu);
	if (is_posted || !ns || !lapic_timer_bring_forward(ns)) {
		kvm_isolation_leave_for(KVM_ISOLATION_TIMER);
		return false;
	}
	vcpu->arch.isolation.keeps_deadline = true;
	return true;
}

void __kvm_isolation_forget_deadline(struct kvm_vcpu *vcpu)
{
	vcpu->arch.isolation.keeps_deadline = false;
	if (hrtimer_active(&vcpu->arch.apic->lapic_timer.timer))
		kvm_isolation_leave_for(KVM_ISOLATION_TIMER);
}

/**
 * isolation_pass_deadline() - behind a window: have the host's timers know
 * @vcpu: whose window it was
 *
 * Interrupts are off since before the window.
 */
void isolation_pass_deadline(struct kvm_vcpu *vcpu)
{
	if (!vcpu->arch.isolation.keeps_deadline)
		return;
	vcpu->arch.isolation.keeps_deadline = false;
	kvm_lapic_switch_to_hv_timer(vcpu);
}
