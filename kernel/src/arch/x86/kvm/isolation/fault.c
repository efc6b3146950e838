// SPDX-License-Identifier: GPL-2.0-only
/* Faults of a window: told and counted by place once it is over. */
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include "internal.h"
#include "trace.h"

bool __read_mostly kvm_isolation_fault_stack;
module_param_named(isolation_fault_stack, kvm_isolation_fault_stack, bool, 0644);

static depot_stack_handle_t save_stack(const struct isolation_fault *fault)
{
	if (!fault->nr_entries)
		return 0;
	/*
	 * Interrupts are off: with PREEMPT_RT the page allocator's locks would sleep, so there
	 * the depot has to do with the memory it has.
	 */
	return stack_depot_save((unsigned long *)fault->entries, fault->nr_entries,
				IS_ENABLED(CONFIG_PREEMPT_RT) ? 0 : GFP_NOWAIT);
}

static void count(struct kvm_isolation *iso, const struct isolation_fault *fault,
		  depot_stack_handle_t stack)
{
	unsigned long address = PAGE_ALIGN_DOWN(fault->address);
	struct kvm_isolation_place *place;

	guard(raw_spinlock)(&iso->place_lock);

	for (place = iso->places; place < iso->places + ISOLATION_VM_FAULTS; place++) {
		if (place->count && (place->ip != fault->ip || place->address != address))
			continue;
		place->ip = fault->ip;
		place->address = address;
		if (!place->stack)
			place->stack = stack;
		place->count++;
		return;
	}
	iso->no_place++;
}

/**
 * isolation_place() - a place that faults of a VM come from
 * @iso: of the VM
 * @index: from 0
 * @ret: filled
 *
 * False if there are not so many.
 */
bool isolation_place(struct kvm_isolation *iso, unsigned int index,
		     struct kvm_isolation_place *ret)
{
	if (index >= ISOLATION_VM_FAULTS)
		return false;
	guard(raw_spinlock_irq)(&iso->place_lock);
	*ret = iso->places[index];
	return ret->count;
}

static void print(struct kvm_vcpu *vcpu, const struct isolation_fault *fault,
		  depot_stack_handle_t stack)
{
	static DEFINE_RATELIMIT_STATE(limit, HZ, 10);

	if (!__ratelimit(&limit))
		return;
	pr_warn("kvm: isolation: vcpu %d at %pS touched 0x%lx\n", vcpu->vcpu_id,
		(void *)fault->ip, fault->address);
	stack_depot_print(stack);
}

/**
 * isolation_account_faults() - what a window left behind
 * @vcpu: whose window
 * @w: over, with interrupts still off
 */
void isolation_account_faults(struct kvm_vcpu *vcpu, struct isolation_window *w)
{
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;
	unsigned int i, n = min(w->nr_faults, ISOLATION_WINDOW_FAULTS);

	vcpu->arch.isolation.counters.faults += w->nr_faults;
	vcpu->arch.isolation.stale = true;
	for (i = 0; i < n; i++) {
		depot_stack_handle_t stack = save_stack(&w->faults[i]);

		count(iso, &w->faults[i], stack);
		trace_kvm_isolation_fault(vcpu, w->faults[i].ip, w->faults[i].address,
					  w->faults[i].error_code, stack);
		if (stack)
			print(vcpu, &w->faults[i], stack);
	}
}
