// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM virtual machine introspection: what a program that is asked about a violation may
 * change.
 *
 * It may widen the right that was missed, of the one page that was missed, for good: so
 * a policy learns what it has to allow.  Any other change would be a guest's, through
 * the program, of what protects it.
 */
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/btf_ids.h>
#include <linux/init.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "vmi/internal.h"
#include "vmi/trace.h"

/*
 * Which pages are executed is the guest's choice, and each may be a run of its own.  A guest
 * kernel has some hundreds that are not neighbours.
 */
#define KVM_VMI_MAX_LEARNED_RUNS	SZ_8K

/**
 * struct kvm_vmi_widening - frames of which a rule is to deny less
 * @layer: the rule's
 * @rule: its id
 * @right: KVM_VMI_RIGHT_* to add
 * @change: what has been changed so far
 * @r: 0 or -errno
 */
struct kvm_vmi_widening {
	struct kvm_vmi_layer *layer;
	u32 rule;
	u32 right;
	struct kvm_vmi_change change;
	int r;
};

/* What one rule says of a frame, if it says something. */
static bool kvm_vmi_find_claim(struct kvm_vmi_layer *layer, gfn_t gfn, u32 rule,
			       struct kvm_vmi_owner *ret)
{
	struct kvm_vmi_owner owners[KVM_VMI_MAX_OWNERS] __uninitialized;
	u32 i, nr;

	nr = kvm_vmi_map_entry_owners(mtree_load(&layer->map, gfn), owners);
	for (i = 0; i < nr; i++)
		if (owners[i].rule == rule) {
			*ret = owners[i];
			return true;
		}
	return false;
}

/* Called for the frame, and for those that share its memory: the rule may be theirs. */
static bool kvm_vmi_widen(struct kvm_vmi *vmi, gfn_t gfn, void *arg)
{
	struct kvm_vmi_widening *w = arg;
	struct kvm_vmi_range range = { .gfn = gfn, .nr = 1, .rule = w->rule };
	struct kvm_vmi_owner claim;

	if (!kvm_vmi_find_claim(w->layer, gfn, w->rule, &claim) || !(~claim.rights & w->right))
		return true;
	range.write = claim.write;
	range.rights = claim.rights | w->right;
	w->r = kvm_vmi_map_apply(vmi, w->layer, &w->change, &range, true);
	return !w->r;
}

/* What has been widened, while the change can still tell. */
static void kvm_vmi_tell_widened(struct kvm_vmi *vmi, struct kvm_vmi_widening *w)
{
	struct kvm_vmi_owner claim;
	unsigned int i;

	for (i = 0; i < w->change.nr; i++) {
		gfn_t gfn = w->change.undo[i].first;
		bool denies = kvm_vmi_find_claim(w->layer, gfn, w->rule, &claim);

		trace_kvm_vmi_access_change(vmi->id, gfn, 1, w->rule,
					    denies ? claim.write : KVM_VMI_WRITE_ALL,
					    denies ? claim.rights : KVM_VMI_RIGHT_ALL,
					    w->layer - vmi->layers);
	}
}

static int kvm_vmi_widen_locked(struct kvm_vmi *vmi, gfn_t gfn, struct kvm_vmi_widening *w)
{
	bool aliases = !mtree_empty(&vmi->aliases);
	unsigned long runs = w->layer->nr_runs;
	int r;

	lockdep_assert_held(&vmi->lock);
	kvm_vmi_bracket_start(vmi->kvm, aliases ? 0 : gfn, aliases ? U64_MAX : gfn);
	if (kvm_vmi_widen(vmi, gfn, w) && aliases)
		kvm_vmi_walk_aliases(vmi, gfn, kvm_vmi_widen, w);
	if (!w->r && w->layer->nr_runs > max(runs, KVM_VMI_MAX_LEARNED_RUNS))
		w->r = -ENOSPC;
	/* Also after a failure: what was there for a moment may have been mapped. */
	kvm_vmi_zap_change(vmi, &w->change, false);
	r = w->r ?: w->change.nr ? 0 : -EAGAIN;
	if (w->r) {
		/* Nothing is different, so answers are as good as they were. */
		kvm_vmi_change_rollback(vmi, w->layer, &w->change);
	} else {
		kvm_vmi_tell_widened(vmi, w);
		if (w->change.nr)
			kvm_vmi_end_change(vmi);
		kvm_vmi_change_commit(&w->change);
	}
	kvm_vmi_bracket_end(vmi->kvm);
	return r;
}

/*
 * Let the fetch that this vCPU's thread asks about happen from now on, as far as the rule
 * that speaks is concerned.
 */
static int kvm_vmi_grant_fetch(struct kvm_vcpu *vcpu)
{
	const struct kvm_vmi_violation *v = vcpu->arch.vmi.asked;
	const struct kvm_vmi_speaker *s = &vcpu->arch.vmi.speaker;
	struct kvm_vmi *vmi = vcpu->kvm->arch.vmi;
	struct kvm_vmi_widening w = {};
	struct mem_cgroup *old;
	int r = -EAGAIN;

	if (!v)
		return -EINVAL;
	/* An L2 without MBEC or GMET of its own misses the rights of both modes at once. */
	if (v->kind != KVM_VMI_FETCH || v->flags & KVM_VMI_V_NESTED)
		return -EOPNOTSUPP;

	w.layer = &vmi->layers[s->layer];
	w.rule = s->rule;
	w.right = vcpu->arch.vmi.right;
	if (mutex_lock_killable(&vmi->lock))
		return -EINTR;
	old = set_active_memcg(vmi->memcg);
	if (vmi->changes == s->changes)
		r = kvm_vmi_widen_locked(vmi, gpa_to_gfn(v->gpa), &w);
	set_active_memcg(old);
	mutex_unlock(&vmi->lock);
	if (!r)
		kvm_vmi_count(vmi, s, BIT(KVM_VMI_COUNT_GRANTED));
	return r;
}

__bpf_kfunc_start_defs();

/**
 * bpf_kvm_vmi_grant - let a fetch happen now and from now on
 * @vcpu: the vCPU whose violation the program is asked about
 *
 * The rule that the violation names lets its page be executed so.  Nothing else changes:
 * other pages, other rules and other rights stay as they are, and the program still
 * answers; after %KVM_VMI_ALLOW the guest tries again.
 *
 * For the violation callback of struct kvm_vmi_ops only.
 * Return: 0, -EOPNOTSUPP (not a fetch, or an L2's), -EAGAIN (rules or rights have
 * changed since), -ENOSPC (the map, all rules of it, would have more than
 * %KVM_VMI_MAX_LEARNED_RUNS runs of frames), -ENOMEM, -EINTR
 */
__bpf_kfunc int bpf_kvm_vmi_grant(struct kvm_vcpu *vcpu)
{
	return kvm_vmi_grant_fetch(vcpu);
}

__bpf_kfunc_end_defs();

BTF_KFUNCS_START(kvm_vmi_grant_ids)
BTF_ID_FLAGS(func, bpf_kvm_vmi_grant, KF_SLEEPABLE)
BTF_KFUNCS_END(kvm_vmi_grant_ids)

static int kvm_vmi_grant_filter(const struct bpf_prog *prog, u32 kfunc_id)
{
	if (!btf_id_set8_contains(&kvm_vmi_grant_ids, kfunc_id))
		return 0;
	return kvm_vmi_answers_violations(prog) ? 0 : -EACCES;
}

static const struct btf_kfunc_id_set kvm_vmi_grant_set = {
	.owner = THIS_MODULE,
	.set = &kvm_vmi_grant_ids,
	.filter = kvm_vmi_grant_filter,
};

void __init kvm_vmi_register_grant(void)
{
	int r = register_btf_kfunc_id_set(BPF_PROG_TYPE_STRUCT_OPS, &kvm_vmi_grant_set);

	if (r)
		pr_err("kvm: introspection cannot learn: %d\n", r);
}
