// SPDX-License-Identifier: GPL-2.0-only
/*
 * The calls of BPF programs about isolation: for programs of type syscall only, with
 * CAP_SYS_ADMIN when they run.  A VM is taken and put back by bpf_kvm_vmi_get() and its like.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/capability.h>
#include <linux/init.h>
#include <linux/string.h>
#include "internal.h"

__bpf_kfunc_start_defs();

/**
 * bpf_kvm_isolation_host - can this host isolate, and does it?
 * @host: filled
 *
 * Return: 0 or -EPERM
 */
__bpf_kfunc int bpf_kvm_isolation_host(struct kvm_isolation_host *host)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	isolation_host(host);
	return 0;
}

/**
 * bpf_kvm_isolation_stats - a VM's counters
 * @kvm: the VM
 * @stats: filled
 *
 * Return: 0, -EPERM, -EOPNOTSUPP (it is not isolated)
 */
__bpf_kfunc int bpf_kvm_isolation_stats(struct kvm *kvm, struct kvm_isolation_stats *stats)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!kvm->arch.isolation)
		return -EOPNOTSUPP;
	isolation_stats(kvm, stats);
	return 0;
}

/**
 * bpf_kvm_isolation_place - where accesses to what is not mapped come from
 * @kvm: the VM
 * @index: from 0
 * @place: filled
 *
 * Return: 0, -EPERM, -EOPNOTSUPP (it is not isolated), -ENOENT (there are no more)
 */
__bpf_kfunc int bpf_kvm_isolation_place(struct kvm *kvm, u32 index,
					struct kvm_isolation_place *place)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (!kvm->arch.isolation)
		return -EOPNOTSUPP;
	return isolation_place(kvm->arch.isolation, index, place) ? 0 : -ENOENT;
}

/**
 * bpf_kvm_isolation_set_kick - when the siblings of a core leave their guests
 * @kvm: the VM
 * @reasons: of leaving its windows: a bit for each &enum kvm_isolation_reason; 0 for never.
 *	If there is one, faults are among them
 *
 * Return: 0, -EPERM, -EINVAL (a bit without a meaning), -EOPNOTSUPP (it is not isolated)
 */
__bpf_kfunc int bpf_kvm_isolation_set_kick(struct kvm *kvm, u32 reasons)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (reasons & ~KVM_ISOLATION_KICK_ALWAYS)
		return -EINVAL;
	if (!kvm->arch.isolation)
		return -EOPNOTSUPP;
	isolation_set_kick(kvm->arch.isolation, reasons);
	return 0;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(kvm_isolation_kfunc_ids)
BTF_ID_FLAGS(func, bpf_kvm_isolation_host, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_isolation_stats, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_isolation_place, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_isolation_set_kick, KF_SLEEPABLE)
BTF_KFUNCS_END(kvm_isolation_kfunc_ids)

static int kvm_isolation_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&kvm_isolation_kfunc_ids, kfunc_id))
		return 0;
	return prog->type == BPF_PROG_TYPE_SYSCALL && !prog->aux->token ? 0 : -EACCES;
}

static const struct btf_kfunc_id_set kvm_isolation_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &kvm_isolation_kfunc_ids,
	.filter = kvm_isolation_kfunc_filter,
};

static int __init kvm_isolation_register_kfuncs(void)
{
	return register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &kvm_isolation_kfunc_set);
}
late_initcall(kvm_isolation_register_kfuncs);
