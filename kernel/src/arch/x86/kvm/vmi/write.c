// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: writes that KVM makes by itself at an
 * address the guest chose (steal time, clocks, PV EOI, Hyper-V pages, accessed
 * and dirty bits of a page walk in software).
 *
 * Some run where no program can, so the rule alone decides: allow and monitor
 * let them through, kill kills, anything else makes them fail as if the page
 * were not writable.
 */
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "mmu.h"
#include "vmi/vmi.h"
#include "vmi/trace.h"

static void kvm_vmi_report_write(struct kvm_vmi *vmi, const struct kvm_vmi_speaker *s, u64 gpa,
				 unsigned int len, bool walk)
{
	struct kvm_vmi_violation v = { .kind = walk ? KVM_VMI_WALK : KVM_VMI_KVM, .gpa = gpa };
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();
	u32 verdict = KVM_VMI_DENY;

	/* A walk belongs to what the vCPU runs, L1 or L2; the rest is KVM's own. */
	if (vcpu && vcpu->kvm == vmi->kvm && walk)
		kvm_vmi_describe(vcpu, &v, v.kind, gpa);
	else if (vcpu && vcpu->kvm == vmi->kvm)
		v.vcpu_id = vcpu->vcpu_id;
	v.length = len;
	v.flags |= KVM_VMI_V_EMULATED;
	if (s->flags & KVM_VMI_RULE_MONITOR)
		v.flags |= KVM_VMI_V_MONITOR;
	v.rule = s->rule;
	v.cookie = s->cookie;
	v.action = s->action;
	v.seq = atomic64_inc_return(&vmi->violations);
	if (s->action == KVM_VMI_ALLOW || s->action == KVM_VMI_KILL)
		verdict = s->action;

	kvm_vmi_count(vmi, s, BIT(KVM_VMI_COUNT_VIOLATIONS) | BIT(KVM_VMI_COUNT_KVM_WRITES) |
			      (verdict == KVM_VMI_ALLOW ? BIT(KVM_VMI_COUNT_ALLOWED) :
							  BIT(KVM_VMI_COUNT_DENIED)));
	trace_kvm_vmi_violation(vmi->kvm, vmi->id, &v, verdict);
	if (verdict == KVM_VMI_KILL)
		kvm_vmi_kill(vmi->kvm);
}

/* Which rule forbids these bytes?  False if none; *@ret_gpa is the first denied one. */
static bool kvm_vmi_forbidden(struct kvm_vmi *vmi, u64 gpa, unsigned int len,
			      struct kvm_vmi_speaker *s, u64 *ret_gpa)
{
	u32 mask = kvm_vmi_subpages(offset_in_page(gpa), len);
	gfn_t gfn = gpa_to_gfn(gpa);
	u32 denied = mask & ~kvm_vmi_look(vmi, gfn, mask, s);

	if (likely(!denied) || kvm_vmi_is_open(vmi, gfn, gfn))
		return false;
	*ret_gpa = max(gpa, (gpa & PAGE_MASK) + (__ffs(denied) << KVM_VMI_SUBPAGE_SHIFT));
	return true;
}

static bool kvm_vmi_is_exempt(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

	return vcpu && vcpu->kvm == kvm && vcpu->arch.vmi.exempt;
}

/* Has a program let the page walk happen that this vCPU is emulated for? */
static bool kvm_vmi_walk_granted(struct kvm *kvm, const struct kvm_vmi_speaker *s)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();
	const struct kvm_vmi_answer *a;

	if (!vcpu || vcpu->kvm != kvm)
		return false;
	a = &vcpu->arch.vmi.answer;
	return a->walk && a->rule == s->rule && a->layer == s->layer &&
	       a->changes == s->changes && vcpu->arch.vmi.emulating &&
	       a->rip == kvm_rip_read(vcpu);
}

bool __kvm_vmi_write_begin(struct kvm_vmi_write *w, struct kvm *kvm, u64 gpa,
			   void __user *uaddr, unsigned int len, bool walk)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_speaker s;
	bool forbidden, silent;
	u64 first;

	if (!READ_ONCE(vmi->active) || kvm_vmi_is_exempt(kvm))
		return true;

	w->kvm = kvm;
	w->uaddr = uaddr;
	w->len = len;
	w->idx = srcu_read_lock(&kvm_vmi_store_srcu);
	forbidden = kvm_vmi_forbidden(vmi, gpa, len, &s, &first);
	silent = forbidden && walk && (s.flags & KVM_VMI_RULE_PAGE_TABLE ||
				       kvm_vmi_walk_granted(kvm, &s));

	if (!forbidden || silent || s.action == KVM_VMI_ALLOW) {
		w->active = true;
		pagefault_disable();
	} else {
		srcu_read_unlock(&kvm_vmi_store_srcu, w->idx);
	}
	if (forbidden && !silent)
		kvm_vmi_report_write(vmi, &s, first, len, walk);
	return w->active;
}

bool __kvm_vmi_write_end(struct kvm_vmi_write *w, bool failed)
{
	pagefault_enable();
	srcu_read_unlock(&kvm_vmi_store_srcu, w->idx);
	w->active = false;

	/* Where faults were disabled before, nobody can wait for the page. */
	if (!failed || faulthandler_disabled() || irqs_disabled())
		return false;
	if (fatal_signal_pending(current) || current->mm != w->kvm->mm)
		return false;
	cond_resched();
	/* The variant that does not write. */
	return !fault_in_safe_writeable((char __user *)w->uaddr, w->len);
}

bool __kvm_vmi_may_map(struct kvm *kvm, u64 gpa, unsigned int len)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_speaker s;
	u64 first;

	if (!READ_ONCE(vmi->active) || !kvm_vmi_forbidden(vmi, gpa, len, &s, &first))
		return true;
	kvm_vmi_report_write(vmi, &s, first, len, false);
	return s.action == KVM_VMI_ALLOW;
}

/* Denied, and not the end of the VM: a walk is served without the bit. */
bool __kvm_vmi_stays_clean(struct kvm *kvm, u64 gpa, unsigned int len)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_speaker s;
	u64 first;

	return READ_ONCE(vmi->active) && kvm_vmi_forbidden(vmi, gpa, len, &s, &first) &&
	       !(s.flags & KVM_VMI_RULE_PAGE_TABLE) && s.action != KVM_VMI_ALLOW &&
	       s.action != KVM_VMI_KILL;
}
