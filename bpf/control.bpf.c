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

/* Without it a kernel that lacks @kfunc would refuse the object. */
#define NEED(kfunc)					\
	do {						\
		if (!bpf_ksym_exists(kfunc))		\
			return -ENOSYS;			\
	} while (0)

/* @kfunc on the VM that @take finds by @id. */
#define ON_VM(take, id, kfunc, ...)			\
	({						\
		NEED(take);				\
		NEED(kfunc);				\
		kvm_vmi_with(take(id), kfunc(kvm, ##__VA_ARGS__)); \
	})

SEC("syscall")
int ctl_caps(struct merlon_ctl_caps *c)
{
	NEED(bpf_kvm_vmi_caps);
	return bpf_kvm_vmi_caps(&c->caps);
}

SEC("syscall")
int ctl_info(struct merlon_ctl_vm *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_info, &c->info);
}

SEC("syscall")
int ctl_next(struct merlon_ctl_vm *c)
{
	return ON_VM(bpf_kvm_vmi_next, c->vm, bpf_kvm_vmi_info, &c->info);
}

SEC("syscall")
int ctl_set_engine(struct merlon_ctl_engine *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_set_engine, c->engine);
}

SEC("syscall")
int ctl_set_rules(struct merlon_ctl_set_rules *c)
{
	__u32 nr = c->nr;

	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -E2BIG;
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_set_rules,
		     c->rules, nr * sizeof(c->rules[0]));
}

SEC("syscall")
int ctl_next_rule(struct merlon_ctl_rule *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_next_rule, c->rule, &c->info);
}

SEC("syscall")
int ctl_clear_rule(struct merlon_ctl_rule *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_clear_rule, c->rule);
}

SEC("syscall")
int ctl_set_access(struct merlon_ctl_access *c)
{
	__u32 nr = c->nr;

	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -E2BIG;
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_set_access,
		     c->ranges, nr * sizeof(c->ranges[0]));
}

SEC("syscall")
int ctl_clear_access(struct merlon_ctl_access *c)
{
	__u32 nr = c->nr;

	if (!nr || nr > KVM_VMI_MAX_BATCH)
		return -E2BIG;
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_clear_access,
		     c->ranges, nr * sizeof(c->ranges[0]));
}

SEC("syscall")
int ctl_get_access(struct merlon_ctl_access *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_get_access,
		     c->gfn, c->ranges, sizeof(c->ranges));
}

SEC("syscall")
int ctl_set_pin(struct merlon_ctl_pin *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_set_pin, &c->pin);
}

SEC("syscall")
int ctl_get_pin(struct merlon_ctl_pin *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_get_pin, c->rule, &c->pin);
}

SEC("syscall")
int ctl_admit(struct merlon_ctl_admission *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_admit);
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
	__u32 length = c->length;

	if (!length || length > MERLON_READ_MAX)
		return -E2BIG;
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_read, c->gpa, c->data, length);
}

SEC("syscall")
int ctl_regs(struct merlon_ctl_regs *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_vmi_regs, c->vcpu_id, &c->regs);
}

SEC("syscall")
int ctl_isolation_host(struct merlon_ctl_isolation_host *c)
{
	NEED(bpf_kvm_isolation_host);
	return bpf_kvm_isolation_host(&c->host);
}

SEC("syscall")
int ctl_isolation_stats(struct merlon_ctl_isolation_stats *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_isolation_stats, &c->stats);
}

SEC("syscall")
int ctl_isolation_place(struct merlon_ctl_isolation_place *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_isolation_place, c->index, &c->place);
}

SEC("syscall")
int ctl_isolation_kick(struct merlon_ctl_isolation_kick *c)
{
	return ON_VM(bpf_kvm_vmi_get, c->vm, bpf_kvm_isolation_set_kick, c->reasons);
}
