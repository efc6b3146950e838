// SPDX-License-Identifier: GPL-2.0-only
/* The neighbour of what is refused: a program that reads all it is given loads. */
#include "kvm_vmi_bpf.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} sum SEC(".maps");

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	__u32 index = 0;
	__u64 *value = bpf_map_lookup_elem(&sum, &index);

	if (value)
		*value += v->gpa + v->gva + v->rip + v->cr3 + v->tag + v->cookie + v->seq +
			  v->rule + v->vcpu_id + v->length + v->kind + v->flags + v->action +
			  v->legal + v->insn_len + v->old + v->new + v->reg;
	if (v->kind == KVM_VMI_WRITE && v->legal & (1U << KVM_VMI_ALLOW) && v->rip == 0x1000)
		return KVM_VMI_ALLOW;
	return KVM_VMI_DEFAULT;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops ops = {
	.violation = (void *)violation,
	.name = "asks",
};
