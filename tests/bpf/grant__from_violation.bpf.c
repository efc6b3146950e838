// SPDX-License-Identifier: GPL-2.0-only
/* The neighbour of what is refused: a program that is asked about a fetch grants it. */
#include "kvm_vmi_bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	if (v->kind != KVM_VMI_FETCH || bpf_kvm_vmi_grant(vcpu))
		return KVM_VMI_DEFAULT;
	return KVM_VMI_ALLOW;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "grants",
};
