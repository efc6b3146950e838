// SPDX-License-Identifier: GPL-2.0-only
/* A VM that is taken is put back, or it would never end. */
#include "fail.bpf.h"

EXPECT_LOG("Unreleased reference");

SEC("syscall")
int leak(void *context)
{
	struct kvm *kvm = bpf_kvm_vmi_next(0);

	return kvm ? 1 : 0;
}
