// SPDX-License-Identifier: GPL-2.0-only
/* The kernel fills in all of the structure. */
#include "fail.bpf.h"

EXPECT_LOG("invalid read from stack");

SEC("syscall")
int too_short(void *context)
{
	struct kvm *kvm = bpf_kvm_vmi_next(0);
	__u64 half[2];
	int r;

	if (!kvm)
		return 0;
	r = bpf_kvm_vmi_get_pin(kvm, 1, (struct kvm_vmi_pin *)half);
	bpf_kvm_vmi_put(kvm);
	return r + (int)half[0];
}
