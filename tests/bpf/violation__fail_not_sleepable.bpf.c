// SPDX-License-Identifier: GPL-2.0-only
/* Callbacks may sleep, and a program says that it knows. */
#include "fail.bpf.h"

EXPECT_LOG("member violation of struct kvm_vmi_ops");

SEC("struct_ops/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	return KVM_VMI_DEFAULT;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "fail",
};
