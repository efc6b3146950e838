// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: pages whose protection is suspended.
 *
 * Where a rule itself lets an access through that KVM cannot carry out by
 * emulation, its page opens for a second: a rule that was told to let the guest
 * run never stops it.  So does a page of which a fetch is let through, by whomever:
 * else each instruction there would be a violation.
 */
#include <linux/jiffies.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "vmi/internal.h"

#define KVM_VMI_OPEN_TIME	HZ

/* Of an entry, by bit of KVM_VMI_OPEN_*: what is open. */
static const xa_mark_t kvm_vmi_open_marks[] = { XA_MARK_0, XA_MARK_1, XA_MARK_2 };

static_assert(BIT(ARRAY_SIZE(kvm_vmi_open_marks)) == KVM_VMI_OPEN_ANY + 1);

static void kvm_vmi_open_fn(struct work_struct *work)
{
	struct kvm_vmi *vmi = container_of(to_delayed_work(work), struct kvm_vmi, open_work);
	struct kvm *kvm = vmi->kvm;
	unsigned long gfn, next = 0;
	void *entry;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	mutex_lock(&vmi->lock);
	/* Nothing is mapped with a right that is about to go, nor are huge pages made of it. */
	kvm_vmi_bracket_start(kvm, 0, U64_MAX);
	xa_for_each(&vmi->open, gfn, entry) {
		/* Jiffies without their top bit, as a value holds them. */
		long left = (long)((xa_to_value(entry) - jiffies) << 1) >> 1;

		if (left > 0) {
			next = next ? min_t(unsigned long, next, left) : left;
			continue;
		}
		xa_erase(&vmi->open, gfn);
		kvm_vmi_zap_run(vmi, gfn, gfn, false);
		cond_resched();
	}
	kvm_vmi_bracket_end(kvm);
	mutex_unlock(&vmi->lock);
	srcu_read_unlock(&kvm->srcu, idx);

	if (next)
		mod_delayed_work(system_percpu_wq, &vmi->open_work, next);
}

/**
 * kvm_vmi_close_pages - the rules of these frames are set: they hold at once
 * @vmi: the VM, locked, kvm->srcu held
 * @first: first frame
 * @last: last frame
 */
void kvm_vmi_close_pages(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	unsigned long gfn;
	void *entry;

	lockdep_assert_held(&vmi->lock);
	xa_for_each_range(&vmi->open, gfn, entry, first, last) {
		xa_erase(&vmi->open, gfn);
		kvm_vmi_zap_run(vmi, gfn, gfn, false);
	}
}

/* Open @gfn for @what; its deadline becomes that of all that is open of it. */
static bool kvm_vmi_do_open(struct kvm_vmi *vmi, gfn_t gfn, unsigned int what)
{
	unsigned long until = (jiffies + KVM_VMI_OPEN_TIME) & LONG_MAX;
	unsigned int i;
	bool done;

	lockdep_assert_held(&vmi->lock);
	/* Else a huge page could become writable with this one frame's right. */
	kvm_vmi_bracket_start(vmi->kvm, gfn, gfn);
	done = !xa_err(xa_store(&vmi->open, gfn, xa_mk_value(until), GFP_KERNEL_ACCOUNT));
	if (done) {
		for (i = 0; i < ARRAY_SIZE(kvm_vmi_open_marks); i++)
			if (what & BIT(i))
				xa_set_mark(&vmi->open, gfn, kvm_vmi_open_marks[i]);
		kvm_vmi_zap_run(vmi, gfn, gfn, false);
	}
	kvm_vmi_bracket_end(vmi->kvm);
	return done;
}

/**
 * kvm_vmi_open_page - suspend the write protection of a frame for a second
 * @vmi: the VM
 * @gfn: the frame
 * @legal: verdicts that could be carried out, bits of &enum kvm_vmi_verdict
 * @layer: whose rule asks for it
 *
 * Context: a vCPU's thread, no lock held but kvm->srcu
 * Return: %KVM_VMI_OPENED; %KVM_VMI_DENY if a rule of that layer does not let it, or
 * without memory; %KVM_VMI_ALLOW if only a later layer objects, which is to be asked.
 * But for the first nothing has changed.
 */
u32 kvm_vmi_open_page(struct kvm_vmi *vmi, gfn_t gfn, u32 legal, unsigned int layer)
{
	bool done, later = false;
	unsigned int l;

	mutex_lock(&vmi->lock);
	done = true;
	for (l = 0; l < KVM_VMI_NR_LAYERS && done; l++) {
		/* The whole frame opens, so all rules must let it, as they are now. */
		done = kvm_vmi_lets_frame(vmi, l, gfn, legal);
		later = !done && l > layer;
	}
	if (done)
		done = kvm_vmi_do_open(vmi, gfn, KVM_VMI_OPEN_WRITE);
	mutex_unlock(&vmi->lock);

	if (done)
		schedule_delayed_work(&vmi->open_work, KVM_VMI_OPEN_TIME);
	return done ? KVM_VMI_OPENED : later ? KVM_VMI_ALLOW : KVM_VMI_DENY;
}

/**
 * kvm_vmi_open_fetch - let all of a frame be executed for a second
 * @vmi: the VM
 * @gfn: the frame
 * @what: %KVM_VMI_OPEN_KERNEL, _USER
 * @changes: &kvm_vmi.changes when that was decided
 *
 * Context: a vCPU's thread, no lock held but kvm->srcu
 * Return: 0, -ENOMEM, -EAGAIN if rules or rights have changed since
 */
int kvm_vmi_open_fetch(struct kvm_vmi *vmi, gfn_t gfn, unsigned int what, u64 changes)
{
	int r = -EAGAIN;

	mutex_lock(&vmi->lock);
	if (vmi->changes == changes)
		r = kvm_vmi_do_open(vmi, gfn, what) ? 0 : -ENOMEM;
	mutex_unlock(&vmi->lock);

	if (!r)
		schedule_delayed_work(&vmi->open_work, KVM_VMI_OPEN_TIME);
	return r;
}

/* Is one of these frames open for any of @what, KVM_VMI_OPEN_*?  Any context. */
bool kvm_vmi_is_open(struct kvm_vmi *vmi, gfn_t first, gfn_t last, unsigned int what)
{
	unsigned int i;

	if (likely(xa_empty(&vmi->open)))
		return false;
	for (i = 0; i < ARRAY_SIZE(kvm_vmi_open_marks); i++) {
		unsigned long index = first;

		if (what & BIT(i) && xa_find(&vmi->open, &index, last, kvm_vmi_open_marks[i]))
			return true;
	}
	return false;
}

void kvm_vmi_open_init(struct kvm_vmi *vmi)
{
	xa_init_flags(&vmi->open, XA_FLAGS_ACCOUNT);
	INIT_DELAYED_WORK(&vmi->open_work, kvm_vmi_open_fn);
}

/* No vCPU runs any more. */
void kvm_vmi_open_destroy(struct kvm_vmi *vmi)
{
	cancel_delayed_work_sync(&vmi->open_work);
	xa_destroy(&vmi->open);
}
