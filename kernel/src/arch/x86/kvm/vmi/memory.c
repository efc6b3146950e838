// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: reading a guest's memory from another
 * process than its VMM.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "vmi/internal.h"

/* Bytes of one call. */
#define KVM_VMI_READ_MAX	SZ_64K

static int kvm_vmi_read_page(struct kvm *kvm, struct mm_struct *mm, gpa_t gpa, void *buf,
			     unsigned int len)
{
	unsigned long hva;
	struct page *page;
	void *from;
	int idx, r;

	idx = srcu_read_lock(&kvm->srcu);
	hva = gfn_to_hva_prot(kvm, gpa_to_gfn(gpa), NULL);
	srcu_read_unlock(&kvm->srcu, idx);
	if (kvm_is_error_hva(hva))
		return -EFAULT;

	/*
	 * Never wait for a page, nor for who changes mappings: both may wait for a
	 * file that the memory's owner serves.
	 */
	if (!mmap_read_trylock(mm))
		return -EAGAIN;
	r = get_user_pages_remote(mm, hva, 1, FOLL_NOFAULT, &page, NULL);
	mmap_read_unlock(mm);
	if (r != 1)
		return -EAGAIN;

	from = kmap_local_page(page);
	memcpy(buf, from + offset_in_page(gpa), len);
	kunmap_local(from);
	put_page(page);
	return 0;
}

/**
 * kvm_vmi_read - read guest memory
 * @kvm: the VM, referenced
 * @gpa: L1 guest physical address, in the address space outside SMM
 * @buf: where to; what follows a page that failed is not written
 * @len: bytes, at most 64 KiB
 *
 * Works until the VM is destroyed, also after it was killed.
 * Context: sleeps, but never for what the VM's owner can hold up
 * Return: 0; -EFAULT where there is no memory; -EAGAIN where it would have to
 * be faulted in, or while the VMM changes its mappings; -ESRCH without a
 * process; -EOPNOTSUPP; -EINVAL
 */
int kvm_vmi_read(struct kvm *kvm, gpa_t gpa, void *buf, u32 len)
{
	struct mm_struct *mm = kvm->mm;
	int r = 0;

	if (!len || len > KVM_VMI_READ_MAX || gpa + len < gpa)
		return -EINVAL;
	if (READ_ONCE(kvm->arch.vmi->unsupported))
		return -EOPNOTSUPP;
	if (!mmget_not_zero(mm))
		return -ESRCH;

	while (len && !r) {
		unsigned int now = min_t(unsigned int, len, PAGE_SIZE - offset_in_page(gpa));

		r = kvm_vmi_read_page(kvm, mm, gpa, buf, now);
		gpa += now;
		buf += now;
		len -= now;
	}
	/* The last user of the memory must not tear it down here. */
	mmput_async(mm);
	return r;
}
