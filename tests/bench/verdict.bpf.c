// SPDX-License-Identifier: GPL-2.0-only
/* Programs that do nothing but answer, each with a verdict of its own. */
#include "kvm_vmi_bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("struct_ops.s/violation")
int BPF_PROG(answer_deny, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	return KVM_VMI_DENY;
}

SEC("struct_ops.s/violation")
int BPF_PROG(answer_skip, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	return KVM_VMI_SKIP;
}

SEC("struct_ops.s/violation")
int BPF_PROG(answer_allow, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	return KVM_VMI_ALLOW;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops deny = {
	.violation = (void *)answer_deny,
	.name = "deny",
};

SEC(".struct_ops.link")
struct kvm_vmi_ops skip = {
	.violation = (void *)answer_skip,
	.name = "skip",
};

SEC(".struct_ops.link")
struct kvm_vmi_ops allow = {
	.violation = (void *)answer_allow,
	.name = "allow",
};
