// SPDX-License-Identifier: GPL-2.0-only
/* A number is no VM. */
#include "fail.bpf.h"

EXPECT_LOG("is scalar expected STRUCT kvm");

SEC("syscall")
int made_up(__u64 *context)
{
	return bpf_kvm_vmi_admit((struct kvm *)*context);
}
