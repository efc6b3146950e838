// SPDX-License-Identifier: GPL-2.0-only
/* The memory is as large as the size says. */
#include "fail.bpf.h"

EXPECT_LOG("invalid read from stack");

SEC("syscall")
int too_short(void *context)
{
	struct kvm *kvm = bpf_kvm_vmi_next(0);
	struct kvm_vmi_range range = { .nr = 1 };
	int r;

	if (!kvm)
		return 0;
	r = bpf_kvm_vmi_set_access(kvm, &range, 2 * sizeof(range));
	bpf_kvm_vmi_put(kvm);
	return r;
}
