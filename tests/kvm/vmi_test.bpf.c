// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's introspection as the tests reach it: a SYSCALL program per kfunc,
 * two owners of struct kvm_vmi_ops that answer what a variable says, and a log
 * of what the tracepoints show.  Sizes go to the kernel as the test gives them,
 * wrong ones too.
 */
#include "kvm_vmi_bpf.h"
#include "vmi_calls.h"

char LICENSE[] SEC("license") = "GPL";

/* The kernel's, for bpf_for(). */
struct bpf_iter_num {
	__u64 opaque[1];
};

/* The answer of either owner; the second has one of its own. */
int answer;
int answer_two;
/* That of the first about page walks, if it is not -1. */
int answer_walk = -1;
/* Ask for the right that was missed, too; what that has come to, and how often it was had. */
bool grant;
int grant_result;
__u64 granted;
/* Burn this many rounds before answering. */
unsigned int answer_delay;

__u64 asked, asked_two;
__u64 records, changes, lives;
struct vmi_record record[VMI_LOG];
struct vmi_change change[VMI_LOG];
struct vmi_life life[VMI_LOG];
__u8 read_buffer[VMI_READ_MAX];

SEC("syscall")
int vmi_caps(struct vmi_caps_call *c)
{
	return bpf_kvm_vmi_caps(&c->caps);
}

SEC("syscall")
int vmi_info(struct vmi_vm_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_info(kvm, &c->info));
}

SEC("syscall")
int vmi_next(struct vmi_vm_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_next(c->vm),
			    bpf_kvm_vmi_info(kvm, &c->info));
}

SEC("syscall")
int vmi_set_engine(struct vmi_engine_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_set_engine(kvm, c->engine));
}

SEC("syscall")
int vmi_set_rules(struct vmi_rules_call *c)
{
	__u32 bytes = c->bytes;

	if (bytes > sizeof(c->rules))
		return -E2BIG;
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_set_rules(kvm, c->rules, bytes));
}

SEC("syscall")
int vmi_next_rule(struct vmi_rule_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_next_rule(kvm, c->rule, &c->info));
}

SEC("syscall")
int vmi_clear_rule(struct vmi_rule_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_clear_rule(kvm, c->rule));
}

SEC("syscall")
int vmi_set_access(struct vmi_ranges_call *c)
{
	__u32 bytes = c->bytes;

	if (bytes > sizeof(c->ranges))
		return -E2BIG;
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_set_access(kvm, c->ranges, bytes));
}

SEC("syscall")
int vmi_set_range(struct vmi_range_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_set_access(kvm, &c->range, sizeof(c->range)));
}

SEC("syscall")
int vmi_clear_access(struct vmi_ranges_call *c)
{
	__u32 bytes = c->bytes;

	if (bytes > sizeof(c->ranges))
		return -E2BIG;
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_clear_access(kvm, c->ranges, bytes));
}

SEC("syscall")
int vmi_get_access(struct vmi_ranges_call *c)
{
	__u32 bytes = c->bytes;

	if (bytes > sizeof(c->ranges))
		return -E2BIG;
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_get_access(kvm, c->gfn, c->ranges, bytes));
}

SEC("syscall")
int vmi_set_pin(struct vmi_pin_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_set_pin(kvm, &c->pin));
}

SEC("syscall")
int vmi_get_pin(struct vmi_pin_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_get_pin(kvm, c->pin.rule, &c->pin));
}

SEC("syscall")
int vmi_admit(struct vmi_admission_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_admit(kvm));
}

SEC("syscall")
int vmi_set_admission(struct vmi_admission_call *c)
{
	return bpf_kvm_vmi_set_admission(c->mode, c->ms);
}

SEC("syscall")
int vmi_read(struct vmi_read_call *c)
{
	__u32 bytes = c->bytes;

	if (bytes > sizeof(read_buffer))
		return -E2BIG;
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_read(kvm, c->gpa, read_buffer, bytes));
}

SEC("syscall")
int vmi_regs(struct vmi_regs_call *c)
{
	return kvm_vmi_with(bpf_kvm_vmi_get(c->vm),
			    bpf_kvm_vmi_regs(kvm, c->vcpu, &c->regs));
}

static __always_inline void log_life(__u32 event, const struct kvm_vmi_vm_info *info)
{
	__u64 i = __sync_fetch_and_add(&lives, 1) & (VMI_LOG - 1);

	life[i].vm = info->id;
	life[i].generation = info->generation;
	life[i].flags = info->flags;
	life[i].pid = info->pid;
	life[i].uid = info->uid;
	life[i].event = event;
}

SEC("struct_ops.s/vm_created")
void BPF_PROG(vm_created, struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
	log_life(VMI_OPS_CREATED, info);
}

SEC("struct_ops.s/vm_reset")
void BPF_PROG(vm_reset, struct kvm *kvm, const struct kvm_vmi_vm_info *info)
{
	log_life(VMI_OPS_RESET, info);
}

SEC("struct_ops.s/vm_destroyed")
void BPF_PROG(vm_destroyed, const struct kvm_vmi_vm_info *info)
{
	log_life(VMI_OPS_DESTROYED, info);
}

SEC("struct_ops.s/violation")
int BPF_PROG(violation, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	unsigned int i;

	__sync_fetch_and_add(&asked, 1);
	bpf_for(i, 0, answer_delay)
		bpf_ktime_get_ns();
	if (grant) {
		grant_result = bpf_kvm_vmi_grant(vcpu);
		if (!grant_result)
			__sync_fetch_and_add(&granted, 1);
	}
	if (v->kind == KVM_VMI_WALK && answer_walk >= 0)
		return answer_walk;
	return answer;
}

SEC("struct_ops.s/violation")
int BPF_PROG(violation_two, struct kvm *kvm, struct kvm_vcpu *vcpu,
	     const struct kvm_vmi_violation *v)
{
	__sync_fetch_and_add(&asked_two, 1);
	return answer_two;
}

SEC(".struct_ops.link")
struct kvm_vmi_ops owner = {
	.vm_created = (void *)vm_created,
	.vm_reset = (void *)vm_reset,
	.vm_destroyed = (void *)vm_destroyed,
	.violation = (void *)violation,
	.name = "kvm_test",
};

SEC(".struct_ops.link")
struct kvm_vmi_ops owner_two = {
	.violation = (void *)violation_two,
	.name = "kvm_test_2",
};

SEC("tp_btf/kvm_vmi_violation")
int BPF_PROG(on_violation, struct kvm *kvm, __u64 id, const struct kvm_vmi_violation *v,
	     __u32 verdict)
{
	__u64 i = __sync_fetch_and_add(&records, 1) & (VMI_LOG - 1);

	record[i].vm = id;
	record[i].verdict = verdict;
	bpf_probe_read_kernel(&record[i].v, sizeof(record[i].v), v);
	return 0;
}

SEC("tp_btf/kvm_vmi_access_change")
int BPF_PROG(on_access_change, __u64 id, __u64 gfn, __u64 nr, __u32 rule, __u32 write,
	     __u32 rights)
{
	__u64 i = __sync_fetch_and_add(&changes, 1) & (VMI_LOG - 1);

	change[i].vm = id;
	change[i].gfn = gfn;
	change[i].nr = nr;
	change[i].rule = rule;
	change[i].write = write;
	change[i].rights = rights;
	return 0;
}

SEC("tp_btf/kvm_vmi_vm")
int BPF_PROG(on_vm, __u64 id, __u32 event, __u32 flags)
{
	__u64 i = __sync_fetch_and_add(&lives, 1) & (VMI_LOG - 1);

	life[i].vm = id;
	life[i].generation = 0;
	life[i].flags = flags;
	life[i].pid = 0;
	life[i].uid = 0;
	life[i].event = event;
	return 0;
}

SEC("tp_btf/kvm_vmi_spp")
int BPF_PROG(on_spp, __u64 id, __u32 vcpu_id, __u64 gpa, bool miss)
{
	__u64 i = __sync_fetch_and_add(&lives, 1) & (VMI_LOG - 1);

	life[i].vm = id;
	life[i].generation = gpa;
	life[i].flags = 0;
	life[i].pid = vcpu_id;
	life[i].uid = 0;
	life[i].event = miss ? VMI_SPP_MISS : VMI_SPP_MISCONFIG;
	return 0;
}

SEC("tp_btf/kvm_vmi_unpinned")
int BPF_PROG(on_unpinned, __u64 id, __u32 vcpu_id, __u64 cr0, __u64 cr4, __u64 efer)
{
	__u64 i = __sync_fetch_and_add(&lives, 1) & (VMI_LOG - 1);

	life[i].vm = id;
	life[i].generation = cr0 | cr4 | efer;
	life[i].flags = cr0;
	life[i].pid = vcpu_id;
	life[i].uid = 0;
	life[i].event = VMI_UNPINNED;
	return 0;
}
