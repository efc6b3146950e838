// SPDX-License-Identifier: GPL-2.0-only
/* Rights are granted to a vCPU that asks for them, not when a VM begins. */
#include "fail.bpf.h"

EXPECT_LOG("bpf_kvm_vmi_grant is not allowed");

SEC("struct_ops.s/vm_created")
void BPF_PROG(vm_created, struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
	bpf_kvm_vmi_grant((struct kvm_vcpu *)kvm);
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.vm_created = (void *)vm_created,
	.name = "fail",
};
