// SPDX-License-Identifier: GPL-2.0-only
/* There may be no VM with this id. */
#include "fail.bpf.h"

EXPECT_LOG("ossibly NULL pointer passed");

SEC("syscall")
int unchecked(void *context)
{
	struct kvm *kvm = bpf_kvm_vmi_get(1);

	bpf_kvm_vmi_put(kvm);
	return 0;
}
