// SPDX-License-Identifier: GPL-2.0-only
/* The neighbour of what is refused: pins are set and read by a whole structure. */
#include "kvm_vmi_bpf.h"

char LICENSE[] SEC("license") = "GPL";

SEC("syscall")
int set_and_read(void *context)
{
	struct kvm *kvm = bpf_kvm_vmi_next(0);
	struct kvm_vmi_pin pin = { .cr0 = 1ULL << 16, .rule = 1 };
	int r;

	if (!kvm)
		return 0;
	r = bpf_kvm_vmi_set_pin(kvm, &pin);
	if (!r)
		r = bpf_kvm_vmi_get_pin(kvm, 1, &pin);
	bpf_kvm_vmi_put(kvm);
	return r;
}
