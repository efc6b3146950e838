// SPDX-License-Identifier: GPL-2.0-or-later
/* What rules claim of a VM's memory. */
#include "claims.h"
#include "log.h"
#include "map.h"

/* Frames that each rule claims, in the order of the VM's rules. */
static int count(struct kernel *k, const struct vm *vm, uint64_t *frames)
{
	_cleanup_free_ struct kvm_vmi_range *ranges = calloc(KVM_VMI_MAX_BATCH, sizeof(*ranges));
	uint64_t gfn = 0, end = 0;
	int n;

	if (!ranges)
		return -ENOMEM;
	while ((n = k->ops->get_access(k, vm->info.id, gfn, ranges)) > 0) {
		for (int i = 0; i < n; i++) {
			const struct kvm_vmi_range *range = &ranges[i];
			const struct vm_rule *rule = vm_find_rule(vm, range->rule);

			if (rule && range->gfn >= gfn)
				frames[rule - vm->rules] += range->nr;
			if (range->gfn + range->nr > end)
				end = range->gfn + range->nr;
		}
		if (end <= gfn)
			return -EBADMSG;
		gfn = end;
	}
	return n;
}

static bool is_whole(const struct vm_rule *rule, const struct kvm_vmi_range *ranges, int n,
		     uint64_t frames)
{
	uint64_t wanted = 0;

	for (int i = 0; i < n; i++)
		wanted += ranges[i].nr;
	return frames >= wanted || (frames && rule_can_learn(&rule->rule));
}

static int set_again(struct kernel *k, const struct vm *vm, const struct kvm_vmi_range *ranges,
		     size_t n)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i += KVM_VMI_MAX_BATCH)
		r = k->ops->set_access(k, vm->info.id, ranges + i,
				       n - i < KVM_VMI_MAX_BATCH ? n - i : KVM_VMI_MAX_BATCH);
	return r;
}

static int mend(struct manager *m, struct vm *vm, const struct vm_rule *rule, uint64_t frames)
{
	_cleanup_free_ struct kvm_vmi_range *ranges = NULL;
	int n, r;

	ranges = calloc(map_max_ranges(&rule->rule), sizeof(*ranges));
	if (!ranges)
		return -ENOMEM;
	n = map_rule(rule->id, &rule->rule, ranges);
	if (n < 0)
		return n;
	if (is_whole(rule, ranges, n, frames))
		return 0;
	r = set_again(m->kernel, vm, ranges, (size_t)n);
	if (r >= 0)
		log_warning("VM #%llu: rule '%s' did not claim what it is to; it has been set again.",
			    (unsigned long long)vm->info.id, rule->rule.name);
	return r;
}

void claims_mend(struct manager *m, struct vm *vm)
{
	_cleanup_free_ uint64_t *frames = NULL;
	int r;

	if (!vm->n_rules || vm->info.flags & KVM_VMI_VM_DEAD)
		return;
	frames = calloc(vm->n_rules, sizeof(*frames));
	r = frames ? count(m->kernel, vm, frames) : -ENOMEM;
	if (r < 0) {
		if (r != -ESRCH && r != -EIO)
			log_warning_errno(r, "VM #%llu: what its rules claim is not known, ignoring: "
					  "%m", (unsigned long long)vm->info.id);
		return;
	}
	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm_rule *rule = &vm->rules[i];

		if (rule->orphan || rule_pins(&rule->rule))
			continue;
		r = mend(m, vm, rule, frames[i]);
		if (r >= 0 || r == -ESRCH || r == -EIO)
			continue;
		log_error_errno(r, "VM #%llu: rule '%s' does not claim what it is to, and cannot be set "
				"again: %m", (unsigned long long)vm->info.id, rule->rule.name);
	}
}
