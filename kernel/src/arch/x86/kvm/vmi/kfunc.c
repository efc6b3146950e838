// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the calls of BPF programs.
 *
 * They are for programs of type syscall only, and each asks for CAP_SYS_ADMIN
 * when it runs: a program's file descriptor may be held by whoever it was passed
 * to.  What a program hands over may change while it is looked at, so batches
 * are copied first.
 */
#include <linux/bpf.h>
#include <linux/bpf_verifier.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/capability.h>
#include <linux/init.h>

#include "mmu.h"
#include "vmi/internal.h"

/* A private copy of a batch, or an error. */
static void *kvm_vmi_copy_batch(const void *items, u32 size, u32 item)
{
	if (!size || size % item || size / item > KVM_VMI_MAX_BATCH)
		return ERR_PTR(-EINVAL);
	return kvmemdup(items, size, GFP_KERNEL_ACCOUNT) ?: ERR_PTR(-ENOMEM);
}

static int kvm_vmi_change(struct kvm *kvm, const struct kvm_vmi_range *ranges, u32 size,
			  bool set)
{
	struct kvm_vmi_range *copy;
	int r;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	copy = kvm_vmi_copy_batch(ranges, size, sizeof(*ranges));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	r = kvm_vmi_change_access(kvm, copy, size / sizeof(*ranges), set);
	kvfree(copy);
	return r;
}

__bpf_kfunc_start_defs();

/**
 * bpf_kvm_vmi_get - the VM with this id
 * @id: from enumeration or an event
 *
 * Return: a reference for bpf_kvm_vmi_put(), or NULL (none, or no privilege)
 */
__bpf_kfunc struct kvm *bpf_kvm_vmi_get(u64 id)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_get(id) : NULL;
}

/**
 * bpf_kvm_vmi_next - the VM with the lowest id above this one
 * @after: an id, 0 to begin
 *
 * Return: a reference for bpf_kvm_vmi_put(), or NULL (the end, or no privilege)
 */
__bpf_kfunc struct kvm *bpf_kvm_vmi_next(u64 after)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_next(after) : NULL;
}

/**
 * bpf_kvm_vmi_put - drop a reference
 * @kvm: from bpf_kvm_vmi_get() or bpf_kvm_vmi_next()
 */
__bpf_kfunc void bpf_kvm_vmi_put(struct kvm *kvm)
{
	kvm_vmi_put(kvm);
}

/**
 * bpf_kvm_vmi_info - identity and state of a VM
 * @kvm: the VM
 * @info: filled
 *
 * Return: 0 or -EPERM
 */
__bpf_kfunc int bpf_kvm_vmi_info(struct kvm *kvm, struct kvm_vmi_vm_info *info)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	kvm_vmi_info(kvm->arch.vmi, info);
	return 0;
}

/**
 * bpf_kvm_vmi_caps - what this host's KVM can enforce
 * @caps: filled
 *
 * Return: 0 or -EPERM
 */
__bpf_kfunc int bpf_kvm_vmi_caps(struct kvm_vmi_caps *caps)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	memset(caps, 0, sizeof(*caps));
	caps->features = KVM_VMI_CAP_WRITE | KVM_VMI_CAP_SUBPAGE_SW | KVM_VMI_CAP_PIN;
	if (kvm_vmi_has_hardware(NULL))
		caps->features |= KVM_VMI_CAP_SUBPAGE_HW;
	if (tdp_enabled)
		caps->features |= KVM_VMI_CAP_TDP;
	if (tdp_mmu_enabled)
		caps->features |= KVM_VMI_CAP_TDP_MMU;
	caps->features |= kvm_vmi_rights_features();
	caps->verdicts = BIT(KVM_VMI_DENY) | BIT(KVM_VMI_ALLOW) | BIT(KVM_VMI_SKIP) |
			 BIT(KVM_VMI_KILL) | BIT(KVM_VMI_EXIT);
	caps->kinds = BIT(KVM_VMI_WRITE) | BIT(KVM_VMI_WALK) | BIT(KVM_VMI_KVM) |
		      BIT(KVM_VMI_CR) | BIT(KVM_VMI_EFER) | BIT(KVM_VMI_UNEMULATABLE);
	if (caps->features & KVM_VMI_CAP_EXEC)
		caps->kinds |= BIT(KVM_VMI_FETCH);
	if (caps->features & KVM_VMI_CAP_READ)
		caps->kinds |= BIT(KVM_VMI_READ);
	if (kvm_x86_ops.name && !strcmp(kvm_x86_ops.name, "kvm_intel"))
		caps->vendor = KVM_VMI_VENDOR_INTEL;
	else if (kvm_x86_ops.name && !strcmp(kvm_x86_ops.name, "kvm_amd"))
		caps->vendor = KVM_VMI_VENDOR_AMD;
	caps->abi = KVM_VMI_ABI;
	kvm_vmi_get_admission(&caps->admission, &caps->admission_ms);
	return 0;
}

/**
 * bpf_kvm_vmi_set_engine - choose who checks writes to sub-pages
 * @kvm: the VM, never protected so far
 * @engine: &enum kvm_vmi_engine
 *
 * Return: 0, -EPERM, -EINVAL, -EOPNOTSUPP (this host has no such hardware, or is
 * not told to use it), -EBUSY (the VM has been protected already), -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_set_engine(struct kvm *kvm, u32 engine)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_set_engine(kvm, engine) : -EPERM;
}

/**
 * bpf_kvm_vmi_set_rules - create rules or replace their parameters
 * @kvm: the VM
 * @rules: up to %KVM_VMI_MAX_BATCH
 * @rules__sz: bytes
 *
 * Arms what was disarmed, unless asked not to.  Whole or not at all.
 * Return: 0, -EPERM, -EINVAL, -ENOENT (%KVM_VMI_RULE_UPDATE of what is not there),
 * -EOPNOTSUPP (a verdict that is not built, or a VM that takes no map), -ENOSPC, -ENOMEM,
 * -EIO (dead), -EAGAIN (call again), -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_set_rules(struct kvm *kvm, const struct kvm_vmi_rule *rules,
				      u32 rules__sz)
{
	struct kvm_vmi_rule *copy;
	int r;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	copy = kvm_vmi_copy_batch(rules, rules__sz, sizeof(*rules));
	if (IS_ERR(copy))
		return PTR_ERR(copy);
	r = kvm_vmi_set_rules(kvm, copy, rules__sz / sizeof(*rules));
	kvfree(copy);
	return r;
}

/**
 * bpf_kvm_vmi_next_rule - the rule with the lowest id above this one
 * @kvm: the VM
 * @after: an id, 0 to begin
 * @info: filled
 *
 * Return: 0, -EPERM, -ENOENT at the end
 */
__bpf_kfunc int bpf_kvm_vmi_next_rule(struct kvm *kvm, u32 after,
				      struct kvm_vmi_rule_info *info)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	int r;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	r = kvm_vmi_rule_next(&vmi->layers[KVM_VMI_LAYER_DAEMON], after, info);
	mutex_unlock(&vmi->lock);
	return r;
}

/**
 * bpf_kvm_vmi_clear_rule - remove a rule and its claims
 * @kvm: the VM
 * @id: the rule, 0 for all
 *
 * Return: 0, -EPERM, -EINVAL, -ENOENT, -ENOMEM, -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_clear_rule(struct kvm *kvm, u32 id)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_clear_rule(kvm, id) : -EPERM;
}

/**
 * bpf_kvm_vmi_set_access - set rules' claims on frames
 * @kvm: the VM
 * @ranges: up to %KVM_VMI_MAX_BATCH; each replaces its rule's claim there
 * @ranges__sz: bytes
 *
 * Whole or not at all.  On return no write lands any more that is forbidden now.
 * Return: 0, -EPERM, -EINVAL, -ENOENT (no such rule), -ERANGE (beyond the
 * guest's MAXPHYADDR), -EOPNOTSUPP, -ENOSPC (too many rules on a frame, or
 * runs of frames), -ENOMEM, -EIO (dead), -EAGAIN (call again), -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_set_access(struct kvm *kvm, const struct kvm_vmi_range *ranges,
				       u32 ranges__sz)
{
	return kvm_vmi_change(kvm, ranges, ranges__sz, true);
}

/**
 * bpf_kvm_vmi_clear_access - end rules' claims on frames
 * @kvm: the VM
 * @ranges: up to %KVM_VMI_MAX_BATCH; write and rights do not matter
 * @ranges__sz: bytes
 *
 * Return: as bpf_kvm_vmi_set_access()
 */
__bpf_kfunc int bpf_kvm_vmi_clear_access(struct kvm *kvm, const struct kvm_vmi_range *ranges,
					 u32 ranges__sz)
{
	return kvm_vmi_change(kvm, ranges, ranges__sz, false);
}

/**
 * bpf_kvm_vmi_get_access - read claims back
 * @kvm: the VM
 * @gfn: from the run at or after this frame on
 * @ranges: filled, one item per run and rule, whole runs only
 * @ranges__sz: bytes, room for at least %KVM_VMI_MAX_OWNERS items
 *
 * Return: items filled, 0 at the end, -EPERM, -EINVAL
 */
__bpf_kfunc int bpf_kvm_vmi_get_access(struct kvm *kvm, u64 gfn, struct kvm_vmi_range *ranges,
				       u32 ranges__sz)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	u32 nr = ranges__sz / sizeof(*ranges);
	int r;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (nr < KVM_VMI_MAX_OWNERS)
		return -EINVAL;
	memset(ranges, 0, ranges__sz);
	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	r = kvm_vmi_map_get(&vmi->layers[KVM_VMI_LAYER_DAEMON], gfn, ranges, nr);
	mutex_unlock(&vmi->lock);
	return r;
}

/**
 * bpf_kvm_vmi_set_pin - replace the register bits that a rule keeps set
 * @kvm: the VM
 * @pin: the rule and its bits; none to keep none
 *
 * On return no vCPU clears such a bit any more without being asked about.
 * Return: 0, -EPERM, -EINVAL (bits that cannot be pinned, no rule's id), -ENOENT (no such
 * rule), -EOPNOTSUPP, -EIO (dead), -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_set_pin(struct kvm *kvm, const struct kvm_vmi_pin *pin)
{
	struct kvm_vmi_pin copy;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	copy = *pin;
	return kvm_vmi_set_pin(kvm, &copy);
}

/**
 * bpf_kvm_vmi_get_pin - the register bits that a rule keeps set, in force or not
 * @kvm: the VM
 * @rule: an existing rule's id
 * @pin: filled
 *
 * Return: 0, -EPERM, -EINVAL, -ENOENT (no such rule), -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_get_pin(struct kvm *kvm, u32 rule, struct kvm_vmi_pin *pin)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_get_pin(kvm, rule, pin) : -EPERM;
}

/**
 * bpf_kvm_vmi_admit - let a VM run that waits, or whose deadline has passed
 * @kvm: the VM
 *
 * Return: 0 or -EPERM
 */
__bpf_kfunc int bpf_kvm_vmi_admit(struct kvm *kvm)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	kvm_vmi_admit(kvm->arch.vmi);
	return 0;
}

/**
 * bpf_kvm_vmi_set_admission - what happens to a new VM's first KVM_RUN
 * @mode: &enum kvm_vmi_admission
 * @deadline_ms: 0 for the default
 *
 * Return: 0, -EPERM, -EINVAL
 */
__bpf_kfunc int bpf_kvm_vmi_set_admission(u32 mode, u32 deadline_ms)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_set_admission(mode, deadline_ms) : -EPERM;
}

/**
 * bpf_kvm_vmi_read - read guest memory
 * @kvm: the VM
 * @gpa: L1 guest physical address
 * @buf: where to
 * @buf__sz: bytes, at most 64 KiB
 *
 * Return: 0, -EPERM, -EINVAL, -EFAULT (no memory there), -EAGAIN (it would have
 * to be faulted in), -ESRCH, -EOPNOTSUPP
 */
__bpf_kfunc int bpf_kvm_vmi_read(struct kvm *kvm, u64 gpa, void *buf, u32 buf__sz)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_read(kvm, gpa, buf, buf__sz) : -EPERM;
}

/**
 * bpf_kvm_vmi_regs - a snapshot of a vCPU's registers
 * @kvm: the VM
 * @vcpu_id: as given to KVM_CREATE_VCPU
 * @regs: filled
 *
 * Return: 0, -EPERM, -ENOENT, -EOPNOTSUPP, -ETIMEDOUT, -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_regs(struct kvm *kvm, u32 vcpu_id, struct kvm_vmi_regs *regs)
{
	return capable(CAP_SYS_ADMIN) ? kvm_vmi_regs(kvm, vcpu_id, regs) : -EPERM;
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(kvm_vmi_kfunc_ids)
BTF_ID_FLAGS(func, bpf_kvm_vmi_get, KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_next, KF_ACQUIRE | KF_RET_NULL | KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_put, KF_RELEASE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_info, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_caps, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_set_engine, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_set_rules, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_next_rule, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_clear_rule, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_set_access, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_clear_access, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_get_access, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_set_pin, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_get_pin, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_admit, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_set_admission, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_read, KF_SLEEPABLE)
BTF_ID_FLAGS(func, bpf_kvm_vmi_regs, KF_SLEEPABLE)
BTF_KFUNCS_END(kvm_vmi_kfunc_ids)

static int kvm_vmi_kfunc_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&kvm_vmi_kfunc_ids, kfunc_id))
		return 0;
	if (prog->type != BPF_PROG_TYPE_SYSCALL || prog->aux->token)
		return -EACCES;
	return 0;
}

static const struct btf_kfunc_id_set kvm_vmi_kfunc_set = {
	.owner = THIS_MODULE,
	.set = &kvm_vmi_kfunc_ids,
	.filter = kvm_vmi_kfunc_filter,
};

void __init kvm_vmi_register_kfuncs(void)
{
	int r = register_btf_kfunc_id_set(BPF_PROG_TYPE_SYSCALL, &kvm_vmi_kfunc_set);

	if (r)
		pr_err("kvm: introspection cannot be controlled: %d\n", r);
}
