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

/* An entry: until when, in jiffies without their upper bits, and what, KVM_VMI_OPEN_*. */
#define KVM_VMI_OPEN_UNTIL_BITS	(BITS_PER_LONG - 1 - KVM_VMI_OPEN_BITS)
#define KVM_VMI_OPEN_WHAT	GENMASK(KVM_VMI_OPEN_BITS - 1, 0)

static void *kvm_vmi_open_entry(unsigned long until, unsigned int what)
{
	until &= GENMASK(KVM_VMI_OPEN_UNTIL_BITS - 1, 0);
	return xa_mk_value(until << KVM_VMI_OPEN_BITS | what);
}

/* Jiffies until it ends, 0 or less if that has come. */
static long kvm_vmi_open_left(void *entry)
{
	unsigned long until = xa_to_value(entry) >> KVM_VMI_OPEN_BITS;

	return sign_extend64(until - jiffies, KVM_VMI_OPEN_UNTIL_BITS - 1);
}

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
		long left = kvm_vmi_open_left(entry);

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
	bool done;

	lockdep_assert_held(&vmi->lock);
	/* Else a huge page could become writable with this one frame's right. */
	kvm_vmi_bracket_start(vmi->kvm, gfn, gfn);
	what |= kvm_vmi_opened(vmi, gfn);
	done = !xa_err(xa_store(&vmi->open, gfn,
				kvm_vmi_open_entry(jiffies + KVM_VMI_OPEN_TIME, what),
				GFP_KERNEL_ACCOUNT));
	if (done)
		kvm_vmi_zap_run(vmi, gfn, gfn, false);
	kvm_vmi_bracket_end(vmi->kvm);
	return done;
}

/* Would a layer's rules, as they are now, let all of the frame be open for @what? */
static bool kvm_vmi_lets_open(struct kvm_vmi *vmi, unsigned int layer, gfn_t gfn,
			      unsigned int what, u32 legal)
{
	/* What is open for writes can be read. */
	return (what == KVM_VMI_OPEN_READ || kvm_vmi_lets_frame(vmi, layer, gfn, 0, legal)) &&
	       kvm_vmi_lets_frame(vmi, layer, gfn, KVM_VMI_RIGHT_READ, legal);
}

/**
 * kvm_vmi_open_page - suspend the protection of a frame for a second
 * @vmi: the VM
 * @gfn: the frame
 * @what: from writes, %KVM_VMI_OPEN_WRITE, or from reads, %KVM_VMI_OPEN_READ
 * @legal: verdicts that could be carried out, bits of &enum kvm_vmi_verdict
 * @layer: whose rule asks for it
 *
 * Context: a vCPU's thread, no lock held but kvm->srcu
 * Return: %KVM_VMI_OPENED; %KVM_VMI_DENY if a rule of that layer does not let it, or
 * without memory; %KVM_VMI_ALLOW if only a later layer objects, which is to be asked.
 * But for the first nothing has changed.
 */
u32 kvm_vmi_open_page(struct kvm_vmi *vmi, gfn_t gfn, unsigned int what, u32 legal,
		      unsigned int layer)
{
	bool done, later = false;
	unsigned int l;

	mutex_lock(&vmi->lock);
	done = true;
	for (l = 0; l < KVM_VMI_NR_LAYERS && done; l++) {
		/* The whole frame opens, so all rules must let it. */
		done = kvm_vmi_lets_open(vmi, l, gfn, what, legal);
		later = !done && l > layer;
	}
	if (done)
		done = kvm_vmi_do_open(vmi, gfn, what);
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

/* What a frame is open for: KVM_VMI_OPEN_*.  Any context. */
unsigned int kvm_vmi_opened(struct kvm_vmi *vmi, gfn_t gfn)
{
	void *entry;

	if (likely(xa_empty(&vmi->open)))
		return 0;
	entry = xa_load(&vmi->open, gfn);
	return entry ? xa_to_value(entry) & KVM_VMI_OPEN_WHAT : 0;
}

/* Is one of these frames open for anything?  Any context. */
bool kvm_vmi_any_open(struct kvm_vmi *vmi, gfn_t first, gfn_t last)
{
	unsigned long index = first;

	return unlikely(!xa_empty(&vmi->open)) &&
	       xa_find(&vmi->open, &index, last, XA_PRESENT);
}

/* Is this frame not?  Then of @run, in which it is, what is left is not either.  Any context. */
bool kvm_vmi_is_closed(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_run *run)
{
	unsigned long index = gfn;

	if (likely(xa_empty(&vmi->open)))
		return true;
	if (xa_find(&vmi->open, &index, run->last, XA_PRESENT)) {
		if (index == gfn)
			return false;
		run->last = index - 1;
	}
	/* Nothing looks the other way. */
	run->first = gfn;
	return true;
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
