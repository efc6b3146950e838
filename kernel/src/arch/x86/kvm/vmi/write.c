// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: writes that KVM makes by itself at an
 * address the guest chose (steal time, clocks, PV EOI, Hyper-V pages, accessed
 * and dirty bits of a page walk in software, what a guest hypervisor has written).
 *
 * Some run where no program can, so the rule alone decides: allow and monitor
 * let them through, kill kills, anything else makes them fail as if the page
 * were not writable.
 */
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "mmu.h"
#include "vmi/internal.h"
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
	if (s->layer == KVM_VMI_LAYER_VMM)
		v.flags |= KVM_VMI_V_VMM;
	v.seq = atomic64_inc_return(&vmi->violations[s->layer]);
	if (s->action == KVM_VMI_ALLOW || s->action == KVM_VMI_KILL)
		verdict = s->action;

	kvm_vmi_count(vmi, s, BIT(KVM_VMI_COUNT_VIOLATIONS) | BIT(KVM_VMI_COUNT_KVM_WRITES) |
			      (verdict == KVM_VMI_ALLOW ? BIT(KVM_VMI_COUNT_ALLOWED) :
							  BIT(KVM_VMI_COUNT_DENIED)));
	trace_kvm_vmi_violation(vmi->kvm, vmi->id, &v, verdict);
	if (verdict == KVM_VMI_KILL)
		kvm_vmi_kill(vmi->kvm);
}

/* Which rule of a layer forbids these bytes?  *@ret_gpa is the first denied one. */
static bool kvm_vmi_forbidden(struct kvm_vmi *vmi, unsigned int layer, u64 gpa,
			      unsigned int len, struct kvm_vmi_speaker *s, u64 *ret_gpa)
{
	u32 mask = kvm_vmi_subpages(offset_in_page(gpa), len);
	gfn_t gfn = gpa_to_gfn(gpa);
	u32 denied;

	if (mtree_empty(&vmi->layers[layer].map))
		return false;
	denied = mask & ~kvm_vmi_look_layer(vmi, layer, gfn, mask, s);
	if (likely(!denied) || kvm_vmi_opened(vmi, gfn) & KVM_VMI_OPEN_WRITE)
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

	return vcpu && vcpu->kvm == kvm && kvm_vmi_walk_answered(vcpu, s);
}

/* A rule that has something to say of a write, and where. */
struct kvm_vmi_objection {
	struct kvm_vmi_speaker s;
	u64 gpa;
};

/*
 * May these bytes be written?  The layers answer one after the other, up to the one
 * that does not let them; *@ret_nr of @said are then to be reported.
 */
static bool kvm_vmi_permitted(struct kvm_vmi *vmi, u64 gpa, unsigned int len, bool walk,
			      struct kvm_vmi_objection *said, unsigned int *ret_nr)
{
	unsigned int l, nr = 0;
	bool permitted = true;

	for (l = 0; l < KVM_VMI_NR_LAYERS && permitted; l++) {
		struct kvm_vmi_objection *o = &said[nr];

		if (!kvm_vmi_forbidden(vmi, l, gpa, len, &o->s, &o->gpa))
			continue;
		if (walk && (o->s.flags & KVM_VMI_RULE_PAGE_TABLE ||
			     kvm_vmi_walk_granted(vmi->kvm, &o->s)))
			continue;
		permitted = o->s.action == KVM_VMI_ALLOW;
		nr++;
	}
	*ret_nr = nr;
	return permitted;
}

bool __kvm_vmi_write_begin(struct kvm_vmi_write *w, struct kvm *kvm, u64 gpa,
			   void __user *uaddr, unsigned int len, bool walk)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_objection said[KVM_VMI_NR_LAYERS];
	unsigned int i, nr;

	if (!READ_ONCE(vmi->active) || kvm_vmi_is_exempt(kvm))
		return true;

	w->kvm = kvm;
	w->uaddr = uaddr;
	w->len = len;
	w->idx = srcu_read_lock(&vmi->store_srcu);
	if (kvm_vmi_permitted(vmi, gpa, len, walk, said, &nr)) {
		w->active = true;
		pagefault_disable();
	} else {
		srcu_read_unlock(&vmi->store_srcu, w->idx);
	}
	for (i = 0; i < nr; i++)
		kvm_vmi_report_write(vmi, &said[i].s, said[i].gpa, len, walk);
	return w->active;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_vmi_write_begin);

bool __kvm_vmi_write_end(struct kvm_vmi_write *w, bool failed)
{
	pagefault_enable();
	srcu_read_unlock(&w->kvm->arch.vmi->store_srcu, w->idx);
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
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_vmi_write_end);

bool __kvm_vmi_may_map(struct kvm *kvm, u64 gpa, unsigned int len)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_objection said[KVM_VMI_NR_LAYERS];
	unsigned int i, nr;
	bool permitted;

	if (!READ_ONCE(vmi->active))
		return true;
	permitted = kvm_vmi_permitted(vmi, gpa, len, false, said, &nr);
	for (i = 0; i < nr; i++)
		kvm_vmi_report_write(vmi, &said[i].s, said[i].gpa, len, false);
	return permitted;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_vmi_may_map);

bool __kvm_vmi_refuses(struct kvm *kvm, gpa_t gpa, unsigned int len)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_objection said[KVM_VMI_NR_LAYERS];
	unsigned int nr;

	if (kvm_vmi_permitted(vmi, gpa, len, false, said, &nr))
		return false;
	/* The last one refuses; what was let through before it is not written either. */
	kvm_vmi_report_write(vmi, &said[nr - 1].s, said[nr - 1].gpa, len, false);
	return true;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(__kvm_vmi_refuses);

/* Denied, and not the end of the VM: a walk is served without the bit. */
bool __kvm_vmi_stays_clean(struct kvm *kvm, u64 gpa, unsigned int len)
{
	struct kvm_vmi *vmi = kvm->arch.vmi;
	struct kvm_vmi_objection o;
	unsigned int l;

	if (!READ_ONCE(vmi->active))
		return false;
	for (l = 0; l < KVM_VMI_NR_LAYERS; l++)
		if (kvm_vmi_forbidden(vmi, l, gpa, len, &o.s, &o.gpa) &&
		    !(o.s.flags & KVM_VMI_RULE_PAGE_TABLE) && o.s.action != KVM_VMI_ALLOW)
			return o.s.action != KVM_VMI_KILL;
	return false;
}
