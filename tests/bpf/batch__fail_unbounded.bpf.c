// SPDX-License-Identifier: GPL-2.0-only
/* A count out of the context is no size before it has been checked. */
#include "fail.bpf.h"

EXPECT_LOG("unbounded memory access");

struct batch {
	__u64 nr;
	struct kvm_vmi_range ranges[4];
};

SEC("syscall")
int unbounded(struct batch *c)
{
	struct kvm *kvm = bpf_kvm_vmi_next(0);
	__u32 nr = c->nr;
	int r;

	if (!kvm)
		return 0;
	r = bpf_kvm_vmi_set_access(kvm, c->ranges, nr * sizeof(c->ranges[0]));
	bpf_kvm_vmi_put(kvm);
	return r;
}
