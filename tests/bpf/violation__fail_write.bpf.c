// SPDX-License-Identifier: GPL-2.0-only
/* A violation is told, not negotiated. */
#include "fail.bpf.h"

EXPECT_LOG("answers by its return value and writes nothing");

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu, struct kvm_vmi_violation *v)
{
	v->legal = ~0U;
	return KVM_VMI_ALLOW;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "fail",
};
