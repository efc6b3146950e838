// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the gate that holds a VM's other vCPUs while one
 * steps.
 *
 * Its owner closes it: then no other vCPU is in the guest, by a request before entry, and
 * no store of another's emulator is under way.  Whoever has owned it goes behind those that
 * it has kept waiting.
 */
#include <linux/hrtimer.h>
#include <linux/kvm_host.h>
#include <linux/sched/signal.h>

#include "vmi/internal.h"

/* How long whoever has stepped lets others go first at most. */
#define KVM_VMI_STEP_TURN	NSEC_PER_MSEC

/* Before it enters the guest again this vCPU is to wait. */
static void kvm_vmi_step_wait(struct kvm_vcpu *vcpu, enum kvm_vmi_wait wait)
{
	vcpu->arch.vmi.step.wait = wait;
	kvm_make_request(KVM_REQ_VMI_STEP, vcpu);
}

/*
 * This vCPU has stepped: let those that have waited for it go first, and then have as long
 * as they were kept.
 */
static int kvm_vmi_step_give_way(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	ktime_t kept = vcpu->arch.vmi.step.kept;

	if (wait_event_interruptible_hrtimeout(step->wq, !atomic_read(&step->waiters),
					       ns_to_ktime(KVM_VMI_STEP_TURN)) == -ERESTARTSYS)
		return -EINTR;

	set_current_state(TASK_INTERRUPTIBLE);
	schedule_hrtimeout(&kept, HRTIMER_MODE_REL);
	return signal_pending(current) ? -EINTR : 0;
}

/**
 * kvm_vmi_serve_step - KVM_REQ_VMI_STEP, before entry
 * @vcpu: the vCPU, its own thread, loaded; kvm->srcu held, dropped while waiting
 *
 * For the owner: an exit has been handled that was to make its frames writable.
 * For others: wait until the gate opens.  With a signal the request stays, so that the
 * guest is not entered, and KVM_RUN returns.
 */
void kvm_vmi_serve_step(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;
	struct kvm_vcpu_step *st = &vcpu->arch.vmi.step;
	int r = 0;

	if (READ_ONCE(step->owner) == vcpu) {
		if (st->faulted)
			kvm_vmi_end_step(vcpu, KVM_VMI_STEP_FAULT);
		return;
	}

	if (st->wait == KVM_VMI_WAIT_GATE && !READ_ONCE(step->gate))
		return;

	kvm_vcpu_srcu_read_unlock(vcpu);
	if (st->wait == KVM_VMI_WAIT_TURNS)
		r = kvm_vmi_step_give_way(vcpu);
	if (!r) {
		atomic_inc(&step->waiters);
		r = wait_event_interruptible(step->wq, st->wait == KVM_VMI_WAIT_OWNER ?
						       !READ_ONCE(step->owner) :
						       !READ_ONCE(step->gate));
		if (atomic_dec_and_test(&step->waiters))
			wake_up_all(&step->wq);
	}
	kvm_vcpu_srcu_read_lock(vcpu);
	if (r)
		kvm_make_request(KVM_REQ_VMI_STEP, vcpu);
	else
		st->wait = KVM_VMI_WAIT_GATE;
}

/**
 * kvm_vmi_must_wait - is another vCPU in a step?
 * @vcpu: the vCPU, its own thread
 *
 * Then this one had better fault again after it, before anybody is asked: it could
 * neither store nor step, and would ask again.
 */
bool kvm_vmi_must_wait(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu *owner = READ_ONCE(vcpu->kvm->arch.vmi->step.owner);

	if (likely(!owner) || owner == vcpu)
		return false;
	kvm_vmi_step_wait(vcpu, KVM_VMI_WAIT_OWNER);
	return true;
}

/* Become the owner.  If another is, this vCPU waits for it before it enters again. */
bool kvm_vmi_claim_gate(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;

	if (!cmpxchg(&step->owner, NULL, vcpu))
		return true;
	kvm_vmi_step_wait(vcpu, KVM_VMI_WAIT_OWNER);
	return false;
}

/*
 * On return no other vCPU is in the guest, or enters it, and no store of another's
 * emulator is between look-up and memory.
 */
void kvm_vmi_close_gate(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	vmi->step.closed = ktime_get();
	WRITE_ONCE(vmi->step.gate, true);
	/* First, while the others run. */
	synchronize_srcu_expedited(&vmi->store_srcu);
	kvm_make_all_cpus_request(vcpu->kvm, KVM_REQ_VMI_STEP);
}

void kvm_vmi_open_gate(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_step *step = &vcpu->kvm->arch.vmi->step;

	if (step->gate) {
		vcpu->arch.vmi.step.kept = min(ktime_sub(ktime_get(), step->closed),
					       ns_to_ktime(KVM_VMI_STEP_TURN));
		if (atomic_read(&step->waiters))
			kvm_vmi_step_wait(vcpu, KVM_VMI_WAIT_TURNS);
	}
	/* Pairs with kvm_vmi_is_gated(): what was withdrawn and put back comes before. */
	smp_store_release(&step->gate, false);
	/* Pairs with kvm_vmi_claim_gate(). */
	smp_store_release(&step->owner, NULL);
	wake_up_all(&step->wq);
}
