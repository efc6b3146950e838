// SPDX-License-Identifier: GPL-2.0-only
/*
 * merlond's hands: one program per operation on the kernel's access maps, run
 * through BPF_PROG_RUN with a context of intf.h.  Loaded at each start and never
 * pinned, since whoever holds such a program may run it (the kfuncs check
 * CAP_SYS_ADMIN once more when they do).
 *
 * Limits: at most KVM_VMI_MAX_BATCH items; every count of the context is checked
 * here before it becomes a size, or the verifier would refuse the program.
 * Failure mode: a negative errno, nothing changed.
 */
#include "intf.h"

char LICENSE[] SEC("license") = "GPL";

/* Without the first test a kernel that lacks @kfunc would refuse the object. */
#define NEED(kfunc)					\
	do {						\
		if (!bpf_ksym_exists(kfunc))		\
			return -ENOSYS;			\
	} while (0)

SEC("syscall")
int ctl_caps(struct merlon_ctl_caps *c)
{
	NEED(bpf_kvm_vmi_caps);
	return bpf_kvm_vmi_caps(&c->caps);
}

SEC("syscall")
int ctl_info(struct merlon_ctl_vm *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_info);
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_info(kvm, &c->info);
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_next(struct merlon_ctl_vm *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_next);
	NEED(bpf_kvm_vmi_info);
	kvm = bpf_kvm_vmi_next(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_info(kvm, &c->info);
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_set_rules(struct merlon_ctl_set_rules *c)
{
	struct kvm *kvm;
	__u32 nr = c->nr;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_set_rules);
	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -E2BIG;
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_set_rules(kvm, c->rules, nr * sizeof(c->rules[0]));
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_next_rule(struct merlon_ctl_rule *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_next_rule);
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_next_rule(kvm, c->rule, &c->info);
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_clear_rule(struct merlon_ctl_rule *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_clear_rule);
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_clear_rule(kvm, c->rule);
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_set_access(struct merlon_ctl_access *c)
{
	struct kvm *kvm;
	__u32 nr = c->nr;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_set_access);
	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -E2BIG;
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_set_access(kvm, c->ranges, nr * sizeof(c->ranges[0]));
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_clear_access(struct merlon_ctl_access *c)
{
	struct kvm *kvm;
	__u32 nr = c->nr;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_clear_access);
	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -E2BIG;
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_clear_access(kvm, c->ranges, nr * sizeof(c->ranges[0]));
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_get_access(struct merlon_ctl_access *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_get_access);
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_get_access(kvm, c->gfn, c->ranges, sizeof(c->ranges));
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_admit(struct merlon_ctl_admission *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_admit);
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_admit(kvm);
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_set_admission(struct merlon_ctl_admission *c)
{
	NEED(bpf_kvm_vmi_set_admission);
	return bpf_kvm_vmi_set_admission(c->mode, c->deadline_ms);
}

SEC("syscall")
int ctl_read(struct merlon_ctl_read *c)
{
	struct kvm *kvm;
	__u32 length = c->length;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_read);
	if (!length || length > MERLON_READ_MAX)
		return -E2BIG;
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_read(kvm, c->gpa, c->data, length);
	bpf_kvm_vmi_put(kvm);
	return r;
}

SEC("syscall")
int ctl_regs(struct merlon_ctl_regs *c)
{
	struct kvm *kvm;
	int r;

	NEED(bpf_kvm_vmi_get);
	NEED(bpf_kvm_vmi_regs);
	kvm = bpf_kvm_vmi_get(c->vm);
	if (!kvm)
		return -ESRCH;
	r = bpf_kvm_vmi_regs(kvm, c->vcpu_id, &c->regs);
	bpf_kvm_vmi_put(kvm);
	return r;
}
