// SPDX-License-Identifier: GPL-2.0-only
/* The program that is asked may answer, and change nothing: it holds the VM's locks up. */
#include "fail.bpf.h"

EXPECT_LOG("bpf_kvm_vmi_clear_rule is not allowed");

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	return bpf_kvm_vmi_clear_rule(kvm, 0);
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "fail",
};
