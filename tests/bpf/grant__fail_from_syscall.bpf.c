// SPDX-License-Identifier: GPL-2.0-only
/* Who sets rules has no use for it, and no vCPU whose thread it runs in. */
#include "fail.bpf.h"

EXPECT_LOG("bpf_kvm_vmi_grant is not allowed");

SEC("syscall")
int grant(__u64 *context)
{
	return bpf_kvm_vmi_grant((struct kvm_vcpu *)*context);
}
