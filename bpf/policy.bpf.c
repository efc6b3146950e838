// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one owner of kvm_vmi_ops.  Its link is pinned: it stays attached when
 * merlond is gone.
 *
 * What: tells merlond of VMs through the control ring; answers a violation with
 * the rule's own action, unless the pinned map "rules" has another verdict for
 * this rule of this VM, or says that the rule learns.
 * Limits: a verdict that is not legal for the violation is not answered, since
 * the kernel would only count it as bad.
 * Failure mode: a full ring loses the record and counts it, and merlond then
 * enumerates; no answer depends on the ring.
 */
#include "maps.bpf.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline void tell(__u16 kind, const struct kvm_vmi_vm_info *info)
{
	/* An older kernel's ends before ours does. */
	__u32 size = bpf_core_type_size(struct kvm_vmi_vm_info);
	struct merlon_vm_record *record;

	if (size > sizeof(record->info))
		size = sizeof(record->info);
	record = bpf_ringbuf_reserve(&control, sizeof(*record), 0);
	if (!record) {
		stat_add(MERLON_STAT_CONTROL_LOST);
		return;
	}
	record_fill(&record->head, sizeof(*record), kind, info->id, 0);
	__builtin_memset(&record->info, 0, sizeof(record->info));
	bpf_probe_read_kernel(&record->info, size, info);
	bpf_ringbuf_submit(record, 0);
}

/* No vCPU of the VM is left that could count any more. */
static __always_inline void tell_losses(__u64 id)
{
	const struct merlon_vm_counters *vm = bpf_map_lookup_elem(&vms, &id);
	struct merlon_counters_record *record;

	if (!vm || !(vm->lost || vm->dropped))
		return;
	record = bpf_ringbuf_reserve(&control, sizeof(*record), 0);
	if (!record) {
		stat_add(MERLON_STAT_CONTROL_LOST);
		return;
	}
	record_fill(&record->head, sizeof(*record), MERLON_RECORD_VM_COUNTERS, id, 0);
	record->counters = *vm;
	bpf_ringbuf_submit(record, 0);
}

SEC("struct_ops.s/vm_created")
void BPF_PROG(vm_created, struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
	struct merlon_vm_counters zero = {};
	__u64 id = info->id;

	/* -EEXIST: an announcement to a second owner, the counts stay. */
	bpf_map_update_elem(&vms, &id, &zero, BPF_NOEXIST);
	tell(MERLON_RECORD_VM_CREATED, info);
}

SEC("struct_ops.s/vm_reset")
void BPF_PROG(vm_reset, struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
	tell(MERLON_RECORD_VM_RESET, info);
}

SEC("struct_ops.s/vm_destroyed")
void BPF_PROG(vm_destroyed, const struct kvm_vmi_vm_info *info)
{
	__u64 id = info->id;

	tell_losses(id);
	bpf_map_delete_elem(&vms, &id);
	tell(MERLON_RECORD_VM_DESTROYED, info);
}

/*
 * What the kernel itself executes while it is trusted is what it may execute.  If the map
 * has no room for it, it still may now: a guest that learns is not to be stopped.
 */
static __always_inline int learn(struct kvm_vcpu *vcpu, const struct kvm_vmi_violation *v)
{
	int r;

	if (v->kind != KVM_VMI_FETCH || v->flags & (KVM_VMI_V_USER | KVM_VMI_V_NESTED) ||
	    !bpf_ksym_exists(bpf_kvm_vmi_grant))
		return KVM_VMI_DEFAULT;
	/* -EAGAIN: another CPU was first, or the rules have changed; it is asked again. */
	r = bpf_kvm_vmi_grant(vcpu);
	if (r && r != -EAGAIN)
		stat_add(MERLON_STAT_NOT_GRANTED);
	return KVM_VMI_ALLOW;
}

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	__u64 cookie = v->cookie;
	__u32 *verdict;

	verdict = bpf_map_lookup_elem(&rules, &cookie);
	if (verdict && *verdict == MERLON_ANSWER_LEARN)
		return learn(vcpu, v);
	if (!verdict || *verdict >= KVM_VMI_NR_VERDICTS || !(v->legal & (1U << *verdict)))
		return KVM_VMI_DEFAULT;
	return *verdict;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops merlon = {
	.vm_created = (void *)vm_created,
	.vm_reset = (void *)vm_reset,
	.vm_destroyed = (void *)vm_destroyed,
	.violation = (void *)violation,
	.name = "merlon",
};
