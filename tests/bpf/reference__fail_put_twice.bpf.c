// SPDX-License-Identifier: GPL-2.0-only
/* What was put back is not this program's any more. */
#include "fail.bpf.h"

EXPECT_LOG("expects referenced PTR_TO_BTF_ID");

SEC("syscall")
int put_twice(void *context)
{
	struct kvm *kvm = bpf_kvm_vmi_next(0);

	if (!kvm)
		return 0;
	bpf_kvm_vmi_put(kvm);
	bpf_kvm_vmi_put(kvm);
	return 0;
}
