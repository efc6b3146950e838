// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: a new VM may have to wait until somebody
 * has set its protection.
 *
 * The word below outlives the program and the daemon that set it: with it at
 * "closed", a VM started while nobody is there to admit it does not run.
 */
#include <linux/jiffies.h>
#include <linux/sched/signal.h>
#include <linux/spinlock.h>

#include "vmi/internal.h"
#include "vmi/trace.h"

static DEFINE_SPINLOCK(kvm_vmi_admission_lock);
static u32 kvm_vmi_admission_mode = KVM_VMI_ADMIT_OFF;
static u32 kvm_vmi_admission_ms = KVM_VMI_ADMIT_MS_DEFAULT;

/* Called before the VM can be found or run. */
void kvm_vmi_admission_init(struct kvm_vmi *vmi)
{
	spin_lock(&kvm_vmi_admission_lock);
	vmi->admission = kvm_vmi_admission_mode == KVM_VMI_ADMIT_OFF ? KVM_VMI_ADMITTED :
								       KVM_VMI_WAITING;
	spin_unlock(&kvm_vmi_admission_lock);
}

static void kvm_vmi_admission_end(struct kvm_vmi *vmi, u8 state, bool expired, u32 event)
{
	bool change;

	spin_lock(&kvm_vmi_admission_lock);
	change = vmi->admission != state &&
		 !(expired && vmi->admission != KVM_VMI_WAITING);
	if (change) {
		if (expired)
			WRITE_ONCE(vmi->expired, true);
		WRITE_ONCE(vmi->admission, state);
	}
	spin_unlock(&kvm_vmi_admission_lock);

	if (!change)
		return;
	trace_kvm_vmi_vm(vmi->id, event, state);
	wake_up_all(&vmi->admission_wq);
}

/**
 * kvm_vmi_admit - let a VM run; also one whose deadline has passed
 * @vmi: the VM
 */
void kvm_vmi_admit(struct kvm_vmi *vmi)
{
	kvm_vmi_admission_end(vmi, KVM_VMI_ADMITTED, false, KVM_VMI_VM_ADMITTED);
}

/**
 * kvm_vmi_set_admission - what happens to VMs from now on
 * @mode: &enum kvm_vmi_admission; with off, VMs that wait may run at once
 * @deadline_ms: 1 to %KVM_VMI_ADMIT_MS_MAX, 0 for the default
 *
 * Return: 0 or -EINVAL
 */
int kvm_vmi_set_admission(u32 mode, u32 deadline_ms)
{
	struct kvm *kvm;
	u64 id = 0;

	if (mode > KVM_VMI_ADMIT_CLOSED || deadline_ms > KVM_VMI_ADMIT_MS_MAX)
		return -EINVAL;

	spin_lock(&kvm_vmi_admission_lock);
	kvm_vmi_admission_mode = mode;
	kvm_vmi_admission_ms = deadline_ms ?: KVM_VMI_ADMIT_MS_DEFAULT;
	spin_unlock(&kvm_vmi_admission_lock);

	if (mode != KVM_VMI_ADMIT_OFF)
		return 0;
	while ((kvm = kvm_vmi_next(id))) {
		id = kvm->arch.vmi->id;
		kvm_vmi_admit(kvm->arch.vmi);
		kvm_vmi_put(kvm);
	}
	return 0;
}

void kvm_vmi_get_admission(u32 *mode, u32 *deadline_ms)
{
	spin_lock(&kvm_vmi_admission_lock);
	*mode = kvm_vmi_admission_mode;
	*deadline_ms = kvm_vmi_admission_ms;
	spin_unlock(&kvm_vmi_admission_lock);
}

/* The deadline runs from the first KVM_RUN of any vCPU; never 0 once set. */
static unsigned long kvm_vmi_admission_deadline(struct kvm_vmi *vmi)
{
	unsigned long deadline;

	spin_lock(&kvm_vmi_admission_lock);
	if (!vmi->deadline)
		vmi->deadline = (jiffies + msecs_to_jiffies(kvm_vmi_admission_ms)) ?: 1;
	deadline = vmi->deadline;
	spin_unlock(&kvm_vmi_admission_lock);
	return deadline;
}

static bool kvm_vmi_settled(struct kvm_vmi *vmi)
{
	return READ_ONCE(vmi->admission) != KVM_VMI_WAITING;
}

int __kvm_vmi_admission(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	long left, waited = 0;
	u32 mode, ms;

	if (READ_ONCE(vmi->admission) == KVM_VMI_WAITING) {
		unsigned long deadline = kvm_vmi_admission_deadline(vmi);

		if (!vcpu->wants_to_run)
			goto interrupted;
		left = (long)(deadline - jiffies);
		/* As in KVM_RUN: only the signals that the VMM wants to be kicked by. */
		kvm_sigset_activate(vcpu);
		if (left > 0)
			waited = wait_event_interruptible_timeout(vmi->admission_wq,
								  kvm_vmi_settled(vmi),
								  left);
		kvm_sigset_deactivate(vcpu);
		if (waited == -ERESTARTSYS)
			goto interrupted;
		kvm_vmi_get_admission(&mode, &ms);
		if (READ_ONCE(vmi->admission) == KVM_VMI_WAITING)
			kvm_vmi_admission_end(vmi,
					      mode == KVM_VMI_ADMIT_CLOSED ? KVM_VMI_REJECTED :
									     KVM_VMI_ADMITTED,
					      true, KVM_VMI_VM_ADMISSION_EXPIRED);
	}
	return READ_ONCE(vmi->admission) == KVM_VMI_ADMITTED ? 0 : -EPERM;

interrupted:
	vcpu->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}
