// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: what a reset by the VMM is, and what it does
 * to the rules.
 */
#include "vmi/internal.h"
#include "vmi/trace.h"
#include "x86.h"

/**
 * kvm_vmi_reset - the VMM has begun a reset
 * @kvm: the VM
 *
 * Otherwise no guest could boot or reboot under a rule: firmware, boot loader
 * and kernel write exactly what a rule protects.
 * Context: a vCPU's ioctl, vcpu->mutex held
 */
static void kvm_vmi_reset(struct kvm *kvm)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_rule_entry *e;
	bool kill = false;
	unsigned long id;
	unsigned int l;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	mutex_lock(&vmi->lock);
	WRITE_ONCE(vmi->generation, vmi->generation + 1);
	/* A huge page must not become writable for one frame's disarmed rule. */
	kvm_vmi_bracket_start(kvm, 0, U64_MAX);
	for (l = 0; l < KVM_VMI_NR_LAYERS; l++) {
		struct kvm_vmi_layer *layer = &vmi->layers[l];

		xa_for_each(&layer->rules, id, e) {
			if (e->flags & KVM_VMI_RULE_DISARMED)
				continue;
			switch (e->on_reset) {
			case KVM_VMI_RESET_KEEP:
				break;
			case KVM_VMI_RESET_KILL:
				kill = true;
				break;
			default:
				WRITE_ONCE(e->flags, e->flags | KVM_VMI_RULE_DISARMED);
				kvm_vmi_zap_rule(vmi, layer, id, true);
				trace_kvm_vmi_vm(vmi->id, KVM_VMI_VM_RULE_DISARMED, id);
				break;
			}
		}
	}
	kvm_vmi_update_pins(vmi);
	kvm_vmi_bracket_end(kvm);
	mutex_unlock(&vmi->lock);
	srcu_read_unlock(&kvm->srcu, idx);
	kvm_vmi_spread_pins(kvm);

	trace_kvm_vmi_vm(vmi->id, KVM_VMI_VM_RESET, 0);
	if (kill)
		kvm_vmi_kill(kvm);
	kvm_vmi_tell_reset(vmi);
}

/* The guest's own change of CR0, and KVM's on its behalf. */
void kvm_vmi_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;

	if (!(cr0 & X86_CR0_PE) || (vmi->protected && !vmi->shutdown) ||
	    !kvm_vcpu_is_reset_bsp(vcpu))
		return;
	vmi->protected = true;
	vmi->shutdown = false;
}

/**
 * kvm_vmi_shutdown - KVM has turned a vCPU's shutdown into INIT
 * @vcpu: the vCPU
 *
 * What the VMM loads next is a reset, whatever it changes.  An INIT that another
 * CPU of the guest sends is none, nor makes it one of a VMM's write-back: with
 * it, whoever is root on that other CPU would disarm every rule.
 */
void kvm_vmi_shutdown(struct kvm_vcpu *vcpu)
{
	if (kvm_vcpu_is_reset_bsp(vcpu))
		vcpu->kvm->arch.vmi->shutdown = true;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_vmi_shutdown);

/**
 * kvm_vmi_load_sregs - the VMM is about to load a vCPU's system registers
 * @vcpu: the vCPU, loaded
 * @cr0: the new CR0
 * @cs: the new CS
 *
 * CR0.PE=0 in a boot CPU that has been in protected mode since the last reset is
 * how every VMM starts a reset; also if the CPU had left protected mode or KVM
 * had turned a triple fault into INIT.  A VMM that writes back what it read from
 * a guest in real mode (or in SMM) changes neither CR0 nor CS: that is none.
 */
void kvm_vmi_load_sregs(struct kvm_vcpu *vcpu, unsigned long cr0, const struct kvm_segment *cs)
{
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_segment old;

	kvm_vmi_set_cr0(vcpu, cr0);
	if (cr0 & X86_CR0_PE || !vmi->protected || !kvm_vcpu_is_reset_bsp(vcpu))
		return;

	kvm_get_segment(vcpu, &old, VCPU_SREG_CS);
	if (!vmi->shutdown && cr0 == kvm_read_cr0(vcpu) && cs->selector == old.selector &&
	    cs->base == old.base)
		return;

	vmi->protected = false;
	vmi->shutdown = false;
	kvm_vmi_reset(vcpu->kvm);
}
