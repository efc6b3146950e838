// SPDX-License-Identifier: GPL-2.0-only
/* Only SYSCALL programs may reach a VM: a tracepoint's runs on any task's behalf. */
#include "fail.bpf.h"

EXPECT_LOG("bpf_kvm_vmi_set_admission is not allowed");

SEC("tp_btf/kvm_vmi_vm")
int BPF_PROG(open_up, __u64 id, __u32 event, __u32 flags)
{
	return bpf_kvm_vmi_set_admission(0, 0);
}
