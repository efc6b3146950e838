// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: a snapshot of a vCPU's registers.
 *
 * A vCPU that runs is asked to make it itself, between two entries; one that
 * does not run is loaded here, as for KVM_GET_REGS.
 */
#include <linux/completion.h>
#include <linux/jiffies.h>

#include "vmi/internal.h"
#include "msrs.h"
#include "x86.h"

/* How long a vCPU is given to answer, and how often its mutex is tried. */
#define KVM_VMI_REGS_TIMEOUT	HZ
#define KVM_VMI_REGS_POLL	max(HZ / 50, 1)

struct kvm_vmi_regs_request {
	struct kvm_vmi_regs *regs;
	struct completion done;
};

/* Protects &kvm_vcpu_vmi.regs. */
static DEFINE_SPINLOCK(kvm_vmi_regs_lock);

static void kvm_vmi_fill_regs(struct kvm_vcpu *vcpu, struct kvm_vmi_regs *regs)
{
	static const u8 segments[] = {
		VCPU_SREG_ES, VCPU_SREG_CS, VCPU_SREG_SS,
		VCPU_SREG_DS, VCPU_SREG_FS, VCPU_SREG_GS,
	};
	struct msr_data msr = { .index = MSR_LSTAR, .host_initiated = true };
	struct desc_ptr dt;
	unsigned int i;

	memset(regs, 0, sizeof(*regs));
	for (i = 0; i < ARRAY_SIZE(regs->gpr); i++)
		regs->gpr[i] = kvm_register_read_raw(vcpu, i);
	regs->rip = kvm_rip_read(vcpu);
	/* The CPU may be made to step by its flags. */
	regs->rflags = kvm_vmi_is_stepping(vcpu) ? vcpu->arch.vmi.step.rflags :
						   kvm_get_rflags(vcpu);
	for (i = 0; i < ARRAY_SIZE(regs->base); i++)
		regs->base[i] = kvm_get_segment_base(vcpu, segments[i]);
	regs->cr0 = kvm_read_cr0(vcpu);
	regs->cr2 = vcpu->arch.cr2;
	regs->cr3 = kvm_read_cr3(vcpu);
	regs->cr4 = kvm_read_cr4(vcpu);
	regs->efer = vcpu->arch.efer;
	kvm_x86_call(get_idt)(vcpu, &dt);
	regs->idt_base = dt.address;
	regs->idt_limit = dt.size;
	kvm_x86_call(get_gdt)(vcpu, &dt);
	regs->gdt_base = dt.address;
	regs->gdt_limit = dt.size;
	if (!kvm_x86_call(get_msr)(vcpu, &msr))
		regs->lstar = msr.data;
	regs->cpl = kvm_x86_call(get_cpl)(vcpu);
	regs->nested = is_guest_mode(vcpu);
}

/* KVM_REQ_VMI_REGS: on the vCPU's thread, the vCPU loaded. */
void kvm_vmi_serve_regs(struct kvm_vcpu *vcpu)
{
	struct kvm_vmi_regs_request *request;

	spin_lock(&kvm_vmi_regs_lock);
	request = vcpu->arch.vmi.regs;
	if (request) {
		vcpu->arch.vmi.regs = NULL;
		kvm_vmi_fill_regs(vcpu, request->regs);
		complete(&request->done);
	}
	spin_unlock(&kvm_vmi_regs_lock);
}

static bool kvm_vmi_regs_of_idle(struct kvm_vcpu *vcpu, struct kvm_vmi_regs *regs)
{
	if (!mutex_trylock(&vcpu->mutex))
		return false;
	vcpu_load(vcpu);
	kvm_vmi_fill_regs(vcpu, regs);
	vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
	return true;
}

/**
 * kvm_vmi_regs - a snapshot of a vCPU's registers
 * @kvm: the VM, referenced
 * @vcpu_id: as given to KVM_CREATE_VCPU
 * @regs: filled
 *
 * Context: sleeps, no lock held
 * Return: 0; -ENOENT; -EOPNOTSUPP if its state is protected; -ETIMEDOUT if the
 * vCPU's thread did not come by in a second; -EINTR if killed
 */
int kvm_vmi_regs(struct kvm *kvm, u32 vcpu_id, struct kvm_vmi_regs *regs)
{
	struct kvm_vmi_regs_request request = { .regs = regs };
	unsigned long end = jiffies + KVM_VMI_REGS_TIMEOUT;
	struct kvm_vcpu *vcpu = kvm_get_vcpu_by_id(kvm, vcpu_id);
	long left = 0;

	if (!vcpu)
		return -ENOENT;
	if (vcpu->arch.guest_state_protected || READ_ONCE(kvm->arch.vmi->unsupported))
		return -EOPNOTSUPP;
	/* One request at a time: there is one slot per vCPU. */
	if (mutex_lock_killable(&kvm->arch.vmi->regs_lock))
		return -EINTR;

	init_completion(&request.done);
	while (!left) {
		if (kvm_vmi_regs_of_idle(vcpu, regs))
			break;

		spin_lock(&kvm_vmi_regs_lock);
		vcpu->arch.vmi.regs = &request;
		spin_unlock(&kvm_vmi_regs_lock);
		kvm_make_request(KVM_REQ_VMI_REGS, vcpu);
		/* Also out of HLT, for as long as it takes to answer. */
		kvm_make_request(KVM_REQ_UNBLOCK, vcpu);
		kvm_vcpu_kick(vcpu);
		left = wait_for_completion_killable_timeout(&request.done, KVM_VMI_REGS_POLL);

		/* Take the request back; it may just have been served. */
		spin_lock(&kvm_vmi_regs_lock);
		if (!vcpu->arch.vmi.regs)
			left = 1;
		vcpu->arch.vmi.regs = NULL;
		spin_unlock(&kvm_vmi_regs_lock);
		if (!left && time_after(jiffies, end))
			left = -ETIMEDOUT;
	}
	mutex_unlock(&kvm->arch.vmi->regs_lock);

	if (left == -ETIMEDOUT)
		return -ETIMEDOUT;
	return left < 0 ? -EINTR : 0;
}
