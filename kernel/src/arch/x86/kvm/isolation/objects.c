// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is mapped for a window, and for how long.
 *
 * For the life of the VM: the static per-CPU data of all CPUs, and that of kvm->srcu.  From
 * the first KVM_RUN of a vCPU until it is destroyed: the VM and the vCPU.  During KVM_RUN: the
 * thread.  What may be replaced (the APIC map, nested state) is looked at when KVM_RUN begins,
 * and again after a fault; until then the old memory stays mapped, so it has to be of the direct
 * map.
 *
 * What is missing costs a fault that leaves the window, but for what the CPU needs to
 * deliver that fault.  Without that nothing is isolated.
 */
#include <linux/percpu.h>
#include <linux/sched.h>
#include <linux/sched/task_stack.h>
#include <asm/sections.h>
#include "internal.h"
#include "../irq.h"
#include "../lapic.h"
#include "../vmi/vmi.h"

static int map_percpu(struct kvm_isolation *iso)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		unsigned long start = (unsigned long)__per_cpu_start + per_cpu_offset(cpu);
		int error = isolation_map(iso, start, __per_cpu_end - __per_cpu_start);

		if (error)
			return error;
	}
	return 0;
}

/* kvm->srcu is read by some of what is served there. */
static int map_srcu(struct kvm *kvm)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct srcu_data *data = per_cpu_ptr(kvm->srcu.sda, cpu);
		int error = isolation_map(kvm->arch.isolation, (unsigned long)data, sizeof(*data));

		if (error)
			return error;
	}
	return 0;
}

/**
 * isolation_map_vm() - what all vCPUs of a new VM need
 * @kvm: nobody else has it yet
 *
 * 0 or -ENOMEM.
 */
int isolation_map_vm(struct kvm *kvm)
{
	struct kvm_isolation *iso = kvm->arch.isolation;

	guard(mutex)(&iso->lock);
	return map_percpu(iso) ?: map_srcu(kvm);
}

/* May it be from the vmalloc area?  It is unmapped in time. */
static bool is_timely(enum kvm_isolation_object nr)
{
	return nr == KVM_ISOLATION_VM || nr == KVM_ISOLATION_STACK;
}

/* Map it in the place of what the vCPU had under this number.  What fails is not mapped. */
static void set_object(struct kvm_vcpu *vcpu, enum kvm_isolation_object nr, const void *start,
		       unsigned long length)
{
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;
	struct kvm_isolation_range *range = &vcpu->arch.isolation.objects[nr];

	lockdep_assert_held(&iso->lock);

	if (!start || (is_vmalloc_addr(start) && !is_timely(nr)) || (iso->dropped & BIT(nr)))
		length = 0;
	if (length == range->length && (!length || (unsigned long)start == range->start))
		return;

	if (range->length)
		isolation_unmap(iso, range->start, range->length);
	range->start = (unsigned long)start;
	range->length = length;
	if (length && isolation_map(iso, range->start, length))
		range->length = 0;
}

void kvm_isolation_object(struct kvm_vcpu *vcpu, unsigned int nr, void *start,
			  unsigned long length)
{
	nr += KVM_ISOLATION_VENDOR;
	if (!WARN_ON_ONCE(nr >= KVM_ISOLATION_NR_OBJECTS))
		set_object(vcpu, nr, start, length);
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_isolation_object);

static void set_apic_map(struct kvm_vcpu *vcpu)
{
	struct kvm_apic_map *map;
	unsigned long length = 0;

	rcu_read_lock();
	map = rcu_dereference(vcpu->kvm->arch.apic_map);
	if (map)
		length = struct_size(map, phys_map, map->max_apic_id + 1);
	rcu_read_unlock();
	/* It may be freed meanwhile: only its address is used. */
	set_object(vcpu, KVM_ISOLATION_APIC_MAP, map, length);
}

static void set_objects(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_lapic *apic = vcpu->arch.apic;

	set_object(vcpu, KVM_ISOLATION_VM, kvm, kvm_x86_ops.vm_size);
	set_object(vcpu, KVM_ISOLATION_STATE, kvm->arch.isolation, sizeof(struct kvm_isolation));
	set_object(vcpu, KVM_ISOLATION_VCPU, vcpu, isolation_vcpu_size);
	set_object(vcpu, KVM_ISOLATION_RUN, vcpu->run, PAGE_SIZE);
	set_object(vcpu, KVM_ISOLATION_PIO, vcpu->arch.pio_data, PAGE_SIZE);
	set_object(vcpu, KVM_ISOLATION_APIC, apic, sizeof(*apic));
	set_object(vcpu, KVM_ISOLATION_APIC_REGS, apic ? apic->regs : NULL, PAGE_SIZE);
	set_apic_map(vcpu);
#ifdef CONFIG_KVM_IOAPIC
	set_object(vcpu, KVM_ISOLATION_PIC, kvm->arch.vpic, sizeof(*kvm->arch.vpic));
#endif
#ifdef CONFIG_KVM_HYPERV
	set_object(vcpu, KVM_ISOLATION_HYPERV, vcpu->arch.hyperv, sizeof(*vcpu->arch.hyperv));
#endif
	set_object(vcpu, KVM_ISOLATION_CPUID, vcpu->arch.cpuid_entries,
		   vcpu->arch.cpuid_nent * sizeof(*vcpu->arch.cpuid_entries));
#ifdef CONFIG_KVM_VMI
	set_object(vcpu, KVM_ISOLATION_VMI, kvm->arch.vmi, sizeof(*kvm->arch.vmi));
#endif
	kvm_x86_call(isolation_objects)(vcpu);
	set_object(vcpu, KVM_ISOLATION_TASK, current, sizeof(*current));
	set_object(vcpu, KVM_ISOLATION_STACK, task_stack_page(current), THREAD_SIZE);
}

/* Can the CPU deliver a fault, and the guest be left with its registers where they belong? */
static bool has_vitals(struct kvm_vcpu *vcpu)
{
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;

	return isolation_is_mapped(iso, (unsigned long)task_stack_page(current), THREAD_SIZE) &&
	       isolation_is_mapped(iso, (unsigned long)vcpu, isolation_vcpu_size);
}

void __kvm_isolation_prepare(struct kvm_vcpu *vcpu)
{
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;
	struct kvm_vcpu_isolation *vi = &vcpu->arch.isolation;

	if (!iso)
		return;

	guard(mutex)(&iso->lock);
	vi->stale = false;
	set_objects(vcpu);
	vi->cr3 = 0;
	/* The way into SEV-ES and TDX guests is another one. */
	if (has_vitals(vcpu) && !vcpu->arch.guest_state_protected)
		vi->cr3 = iso->cr3;
	else
		vi->counters.refused++;
}

/* The guest replaces these as it likes; others it seldom does, and one fault tells. */
static bool has_moved(struct kvm_vcpu *vcpu)
{
	const struct kvm_isolation_range *objects = vcpu->arch.isolation.objects;

	return objects[KVM_ISOLATION_APIC_MAP].start !=
	       (unsigned long)rcu_access_pointer(vcpu->kvm->arch.apic_map);
}

/* With interrupts on, and before there is another window to tell of. */
static void tell_last(struct kvm_vcpu *vcpu)
{
	if (likely(!vcpu->arch.isolation.is_told))
		return;
	vcpu->arch.isolation.is_told = false;
	kvm_vmi_tell_isolation_exit(vcpu, &vcpu->arch.isolation.told);
}

void __kvm_isolation_refresh(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_isolation *vi = &vcpu->arch.isolation;

	tell_last(vcpu);
	if (vi->cr3 && (unlikely(vi->stale) || unlikely(has_moved(vcpu))))
		__kvm_isolation_prepare(vcpu);
}

void __kvm_isolation_finish(struct kvm_vcpu *vcpu)
{
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;
	unsigned int nr;

	if (!iso)
		return;

	tell_last(vcpu);

	guard(mutex)(&iso->lock);
	vcpu->arch.isolation.cr3 = 0;
	set_object(vcpu, KVM_ISOLATION_STACK, NULL, 0);
	set_object(vcpu, KVM_ISOLATION_TASK, NULL, 0);
	/* These may be freed, and become somebody else's, before the next KVM_RUN. */
	set_object(vcpu, KVM_ISOLATION_APIC_MAP, NULL, 0);
	set_object(vcpu, KVM_ISOLATION_CPUID, NULL, 0);
	for (nr = KVM_ISOLATION_VENDOR; nr < KVM_ISOLATION_NR_OBJECTS; nr++)
		set_object(vcpu, nr, NULL, 0);
}

void __kvm_isolation_destroy_vcpu(struct kvm_vcpu *vcpu)
{
	struct kvm_isolation *iso = vcpu->kvm->arch.isolation;
	unsigned int nr;

	if (!iso)
		return;

	guard(mutex)(&iso->lock);
	for (nr = 0; nr < KVM_ISOLATION_NR_OBJECTS; nr++)
		set_object(vcpu, nr, NULL, 0);
	isolation_add_counters(&iso->lost, &vcpu->arch.isolation.counters);
}
