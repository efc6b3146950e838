// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: the layer of the VMM, which protects sub-pages of
 * its own guest.
 *
 * It has one rule: leave to the VMM, or deny.  A VMM needs no privilege, so every call
 * is bounded, and what it stores is charged to the VM.
 */
#include <linux/string.h>
#include <linux/uaccess.h>

#include "vmi/internal.h"

/* The one rule of the layer. */
#define KVM_VMI_SUBPAGE_RULE	1

static_assert(sizeof(struct kvm_subpage) == 16);
static_assert(offsetof(struct kvm_subpage, access_map) == sizeof(struct kvm_subpage));
static_assert(KVM_SUBPAGES_MAX <= KVM_VMI_MAX_BATCH);

/**
 * kvm_vmi_subpages_max - KVM_CHECK_EXTENSION of KVM_CAP_X86_SUBPAGES
 * @kvm: the VM, or NULL
 *
 * Return: pages of one call; 0 if this VM takes no map
 */
int kvm_vmi_subpages_max(struct kvm *kvm)
{
	return kvm && READ_ONCE(kvm->arch.vmi->unsupported) ? 0 : KVM_SUBPAGES_MAX;
}

/**
 * kvm_vmi_enable_subpages - KVM_ENABLE_CAP of KVM_CAP_X86_SUBPAGES
 * @kvm: the VM, no KVM lock held
 * @cap: a private copy of what the VMM gave
 *
 * A reset keeps the rule: whoever resets the machine is who set it, and the interface
 * knows of no map that is not in force.
 * Return: 0, also if it was enabled before; -EINVAL, -EOPNOTSUPP, -ENOMEM, -EIO, -EINTR
 */
int kvm_vmi_enable_subpages(struct kvm *kvm, const struct kvm_enable_cap *cap)
{
	static const struct kvm_vmi_rule rule = {
		.id = KVM_VMI_SUBPAGE_RULE,
		.action[KVM_VMI_ACTION_WRITE] = KVM_VMI_EXIT,
		.dflt = KVM_VMI_DENY,
		.on_reset = KVM_VMI_RESET_KEEP,
	};
	struct kvm_vmi *vmi = kvm->arch.vmi;
	int r;

	if (cap->flags || memchr_inv(cap->args, 0, sizeof(cap->args)))
		return -EINVAL;
	if (READ_ONCE(vmi->exits))
		return 0;
	r = kvm_vmi_activate_here(kvm);
	if (!r)
		r = kvm_vmi_set_layer_rules(kvm, KVM_VMI_LAYER_VMM, &rule, 1);
	if (r)
		return r;
	/* Pairs with kvm_vmi_check_subpages(): who finds it set finds the rule. */
	smp_store_release(&vmi->exits, true);
	return 0;
}

/* 0 to go on, 1 if there is nothing to do, -errno. */
static int kvm_vmi_check_subpages(struct kvm *kvm, const struct kvm_subpage *sp)
{
	u64 end = BIT_ULL(kvm_vmi_maxphyaddr(kvm) - PAGE_SHIFT);

	if (sp->flags || sp->npages > KVM_SUBPAGES_MAX)
		return -EINVAL;
	if (!sp->npages)
		return 1;
	if (sp->gfn_base + sp->npages < sp->gfn_base)
		return -EINVAL;
	if (sp->gfn_base >= end || sp->gfn_base + sp->npages > end)
		return -ERANGE;
	return 0;
}

/* The head of what the VMM gave, checked.  As kvm_vmi_check_subpages(). */
static int kvm_vmi_copy_subpages(struct kvm *kvm, struct kvm_subpage *sp,
				 const struct kvm_subpage __user *arg)
{
	/* Pairs with kvm_vmi_enable_subpages(). */
	if (!smp_load_acquire(&kvm->arch.vmi->exits))
		return -ENODEV;
	if (copy_from_user(sp, arg, sizeof(*sp)))
		return -EFAULT;
	return kvm_vmi_check_subpages(kvm, sp);
}

/**
 * kvm_vmi_set_subpages - KVM_SUBPAGES_SET_ACCESS
 * @kvm: the VM, no KVM lock held
 * @arg: of the VMM
 *
 * Whole or not at all.  On return no write lands any more that is forbidden now.
 * Return: frames done, -ENODEV (not enabled), -EFAULT, -EINVAL, -ERANGE (beyond the
 * guest's MAXPHYADDR), -ENOSPC, -ENOMEM, -EIO, -EINTR
 */
int kvm_vmi_set_subpages(struct kvm *kvm, struct kvm_subpage __user *arg)
{
	struct kvm_vmi_range *ranges;
	struct kvm_subpage sp;
	unsigned int i, nr = 0;
	u32 *map;
	int r;

	r = kvm_vmi_copy_subpages(kvm, &sp, arg);
	if (r)
		return min(r, 0);

	map = memdup_array_user(arg->access_map, sp.npages, sizeof(*map));
	if (IS_ERR(map))
		return PTR_ERR(map);
	ranges = kvmalloc_array(sp.npages, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (!ranges) {
		kfree(map);
		return -ENOMEM;
	}

	for (i = 0; i < sp.npages; i++) {
		if (nr && ranges[nr - 1].write == map[i]) {
			ranges[nr - 1].nr++;
			continue;
		}
		ranges[nr++] = (struct kvm_vmi_range){
			.gfn = sp.gfn_base + i,
			.nr = 1,
			.rule = KVM_VMI_SUBPAGE_RULE,
			.write = map[i],
			.rights = KVM_VMI_RIGHT_ALL,
		};
	}
	r = kvm_vmi_change_layer(kvm, KVM_VMI_LAYER_VMM, ranges, nr, true);
	kvfree(ranges);
	kfree(map);
	return r ?: sp.npages;
}

/**
 * kvm_vmi_get_subpages - KVM_SUBPAGES_GET_ACCESS
 * @kvm: the VM, no KVM lock held
 * @arg: of the VMM
 *
 * What the VMM has set, whatever the host's rules say.
 * Return: frames done, -ENODEV (not enabled), -EFAULT, -EINVAL, -ERANGE (beyond the
 * guest's MAXPHYADDR), -ENOMEM, -EINTR
 */
int kvm_vmi_get_subpages(struct kvm *kvm, struct kvm_subpage __user *arg)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_layer *layer = &vmi->layers[KVM_VMI_LAYER_VMM];
	struct kvm_subpage sp;
	u64 gfn, first, last;
	void *entry;
	u32 *map;
	int r;

	r = kvm_vmi_copy_subpages(kvm, &sp, arg);
	if (r)
		return min(r, 0);

	map = kmalloc_array(sp.npages, sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return -ENOMEM;
	memset32(map, KVM_VMI_WRITE_ALL, sp.npages);

	if (mutex_lock_killable(&vmi->lock)) {
		kfree(map);
		return -EINTR;
	}
	for (gfn = sp.gfn_base; kvm_vmi_map_next(layer, gfn, &first, &last, &entry) &&
	     first < sp.gfn_base + sp.npages; gfn = last + 1) {
		u64 from = max(first, sp.gfn_base);
		u64 to = min(last, sp.gfn_base + sp.npages - 1);
		struct kvm_vmi_owner one;
		const struct kvm_vmi_owner *owner;

		if (kvm_vmi_map_peek_owners(entry, &one, &owner))
			memset32(&map[from - sp.gfn_base], owner->write, to - from + 1);
		if (last == U64_MAX)
			break;
	}
	mutex_unlock(&vmi->lock);

	r = sp.npages;
	if (copy_to_user(arg->access_map, map, sp.npages * sizeof(*map)))
		r = -EFAULT;
	kfree(map);
	return r;
}
