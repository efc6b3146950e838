// SPDX-License-Identifier: GPL-2.0-only
/* Only the vCPU that the program was called for can be granted something. */
#include "fail.bpf.h"

EXPECT_LOG("is scalar expected STRUCT kvm_vcpu");

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	return bpf_kvm_vmi_grant((struct kvm_vcpu *)v->cookie);
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "fail",
};
