/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * KVM virtual machine introspection: what the architecture-neutral part of KVM
 * calls.  Everything else is in arch/x86/kvm/vmi/.
 */
#ifndef _LINUX_KVM_VMI_H
#define _LINUX_KVM_VMI_H

#include <linux/jump_label.h>
#include <linux/types.h>

struct kvm;

/**
 * struct kvm_vmi_write - a write that KVM makes at an address the guest chose
 * @kvm: the VM
 * @uaddr: where in the VMM's memory; NULL if through a pinned mapping of KVM's own
 * @len: bytes
 * @idx: SRCU cookie
 * @active: between begin and end
 *
 * Between kvm_vmi_write_begin() and kvm_vmi_write_end() the access map cannot
 * be tightened and page faults are disabled, so that no write is checked
 * against one map and lands under another, and nobody waits for a page of the
 * VMM while the owner of the map waits for this section.
 */
struct kvm_vmi_write {
	struct kvm *kvm;
	void __user *uaddr;
	unsigned int len;
	int idx;
	bool active;
};

#ifdef CONFIG_KVM_VMI

DECLARE_STATIC_KEY_FALSE(kvm_vmi_key);

bool __kvm_vmi_write_begin(struct kvm_vmi_write *w, struct kvm *kvm, u64 gpa,
			   void __user *uaddr, unsigned int len, bool walk);
bool __kvm_vmi_write_end(struct kvm_vmi_write *w, bool failed);
bool __kvm_vmi_may_map(struct kvm *kvm, u64 gpa, unsigned int len);
bool __kvm_vmi_stays_clean(struct kvm *kvm, u64 gpa, unsigned int len);

/**
 * kvm_vmi_write_begin - may KVM write to guest memory on the guest's behalf?
 * @w: filled, handed to kvm_vmi_write_end()
 * @kvm: the VM, with kvm->srcu or slots_lock held
 * @gpa: guest physical address, the @len bytes are within one page
 * @uaddr: the same place in the VMM's memory; NULL if the page is pinned and mapped in
 *	the kernel, then kvm_vmi_write_end() is told of no fault
 * @len: bytes
 *
 * Return: true if the write may be made now; false if the access map forbids
 * it, then it was reported and the caller acts as if the page were read-only.
 */
static __always_inline bool kvm_vmi_write_begin(struct kvm_vmi_write *w, struct kvm *kvm,
						u64 gpa, void __user *uaddr,
						unsigned int len)
{
	w->active = false;
	if (!static_branch_unlikely(&kvm_vmi_key))
		return true;
	return __kvm_vmi_write_begin(w, kvm, gpa, uaddr, len, false);
}

/* The same for an accessed or dirty bit that KVM sets on behalf of the CPU. */
static __always_inline bool kvm_vmi_walk_begin(struct kvm_vmi_write *w, struct kvm *kvm,
					       u64 gpa, void __user *uaddr,
					       unsigned int len)
{
	w->active = false;
	if (!static_branch_unlikely(&kvm_vmi_key))
		return true;
	return __kvm_vmi_write_begin(w, kvm, gpa, uaddr, len, true);
}

/**
 * kvm_vmi_write_end - the write was made, or faulted
 * @w: from kvm_vmi_write_begin()
 * @failed: it faulted
 *
 * Return: true if the page has been faulted in since and the caller must start
 * over from kvm_vmi_write_begin().
 */
static __always_inline bool kvm_vmi_write_end(struct kvm_vmi_write *w, bool failed)
{
	if (!w->active)
		return false;
	return __kvm_vmi_write_end(w, failed);
}

/* May KVM keep a writable mapping of these bytes?  Callers act as for no memory. */
static __always_inline bool kvm_vmi_may_map(struct kvm *kvm, u64 gpa, unsigned int len)
{
	if (!static_branch_unlikely(&kvm_vmi_key))
		return true;
	return __kvm_vmi_may_map(kvm, gpa, len);
}

/*
 * Is this entry of a guest's page table never to be marked dirty, although what it
 * maps may be written?  Then a read must not map it read-only until it is: in a
 * huge page of the guest, reads and writes would take turns for ever.
 */
static __always_inline bool kvm_vmi_stays_clean(struct kvm *kvm, u64 gpa, unsigned int len)
{
	if (!static_branch_unlikely(&kvm_vmi_key))
		return false;
	return __kvm_vmi_stays_clean(kvm, gpa, len);
}

void kvm_vmi_vm_created(struct kvm *kvm);

#else

static inline bool kvm_vmi_write_begin(struct kvm_vmi_write *w, struct kvm *kvm, u64 gpa,
				       void __user *uaddr, unsigned int len)
{
	return true;
}

static inline bool kvm_vmi_walk_begin(struct kvm_vmi_write *w, struct kvm *kvm, u64 gpa,
				      void __user *uaddr, unsigned int len)
{
	return true;
}

static inline bool kvm_vmi_write_end(struct kvm_vmi_write *w, bool failed)
{
	return false;
}

static inline bool kvm_vmi_may_map(struct kvm *kvm, u64 gpa, unsigned int len)
{
	return true;
}

static inline bool kvm_vmi_stays_clean(struct kvm *kvm, u64 gpa, unsigned int len)
{
	return false;
}

static inline void kvm_vmi_vm_created(struct kvm *kvm) {}

#endif /* CONFIG_KVM_VMI */
#endif /* _LINUX_KVM_VMI_H */
