// SPDX-License-Identifier: GPL-2.0-only
/* Guest memory is for SYSCALL programs: a callback that reads it would wait for a VMM. */
#include "fail.bpf.h"

EXPECT_LOG("bpf_kvm_vmi_read is not allowed");

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	__u64 word = 0;

	return bpf_kvm_vmi_read(kvm, v->gpa, &word, sizeof(word));
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "fail",
};
