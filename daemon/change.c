// SPDX-License-Identifier: GPL-2.0-or-later
/* A change of one VM's rules, in steps. */
#include "bus-fault.h"
#include "change.h"
#include "engine.h"
#include "inventory.h"
#include "learn.h"
#include "log.h"
#include "map.h"
#include "mode.h"
#include "pinning.h"
#include "ruleset.h"

static size_t count_rules_of(const struct manager *m, uid_t uid)
{
	size_t n = 0;

	for (size_t i = 0; i < m->vms.n; i++)
		if (m->vms.vms[i]->info.uid == uid)
			n += m->vms.vms[i]->n_rules;
	return n;
}

static int check_limits(const struct manager *m, const struct change *c, sd_bus_error *reterr)
{
	const struct vm *vm = c->vm;
	size_t n = c->n_add;
	uint64_t bytes = 0;

	/* Who writes policies is root, and root is not kept from many. */
	if (!c->policy[0] && n > RULESET_MAX_RULES)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "%zu rules in one call; at most %u", n, RULESET_MAX_RULES);
	for (size_t i = 0; i < n; i++) {
		const struct rule *rule = c->add[i].rule;

		/* Who may execute costs the same for any number of pages. */
		if (!rule->write_deny)
			continue;
		if (rule->length == RULE_LENGTH_ALL || rule->length > RULESET_MAX_BYTES)
			bytes = RULESET_MAX_BYTES + 1;
		else
			bytes += rule->length;
		if (bytes > RULESET_MAX_BYTES)
			return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
					 "Rules that cover more than %llu MiB in one call",
					 RULESET_MAX_BYTES >> 20);
	}
	if (n && vm->n_rules + n > KVM_VMI_MAX_RULES)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "VM #%llu would have %zu rules; at most %u",
				 (unsigned long long)vm->info.id, vm->n_rules + n,
				 KVM_VMI_MAX_RULES);
	if (n && manager_count_rules(m) + n > RULESET_MAX_TOTAL)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "All VMs together would have more than %u rules",
				 RULESET_MAX_TOTAL);
	if (n && !vm->trusted && count_rules_of(m, vm->info.uid) + n > RULESET_MAX_OF_USER)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "VMs of uid %u, who is no trusted VMM user, would have more than %u "
				 "rules", vm->info.uid, RULESET_MAX_OF_USER);
	return 0;
}

static int check_memory(const struct manager *m, const struct vm *vm, const struct rule *rule,
			sd_bus_error *reterr)
{
	uint64_t limit = vm_gpa_limit(vm);

	if (rule->gpa >= limit || rule->length > limit - rule->gpa)
		return bus_fault(reterr, MERLON_E_INVALID_RULE,
				 "Rule '%s': 0x%llx bytes at 0x%llx reach beyond the guest's "
				 "%u-bit physical addresses", rule->name,
				 (unsigned long long)rule->length, (unsigned long long)rule->gpa,
				 vm->info.maxphyaddr);
	if (rule->write_deny &&
	    (!(m->caps.features & KVM_VMI_CAP_WRITE) ||
	     (!map_whole_frames(rule->gpa, rule->length) &&
	      !(m->caps.features & (KVM_VMI_CAP_SUBPAGE_SW | KVM_VMI_CAP_SUBPAGE_HW)))))
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "Rule '%s': this kernel cannot deny writes to %s", rule->name,
				 m->caps.features & KVM_VMI_CAP_WRITE ? "parts of pages" : "pages");
	if (rule->n_except &&
	    rule->except[rule->n_except - 1].gpa + rule->except[rule->n_except - 1].length > limit)
		return bus_fault(reterr, MERLON_E_INVALID_RULE,
				 "Rule '%s': an exception reaches beyond the guest's %u-bit "
				 "physical addresses", rule->name, vm->info.maxphyaddr);
	if (rule->learn)
		return learn_check(m, rule, reterr);
	return ruleset_check_rights(m, rule, reterr);
}

static int check_rule(const struct manager *m, const struct change *c,
		      const struct change_add *add, const struct rule *rule, sd_bus_error *reterr)
{
	const struct vm *vm = c->vm;
	const struct vm_rule *namesake = vm_find_rule_by_name(vm, rule->name);

	if (namesake && namesake->id != add->replaces)
		return bus_fault(reterr, MERLON_E_RULE_EXISTS,
				 "VM #%llu already has a rule '%s'",
				 (unsigned long long)vm->info.id, rule->name);
	if (!(m->caps.verdicts & 1U << rule->action))
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "Rule '%s': this kernel does not do action '%s'", rule->name,
				 merlon_verdict_name(rule->action));
	return rule_pins(rule) ? pinning_check(m, rule, reterr) :
				 check_memory(m, vm, rule, reterr);
}

/* A new mode has needs of its own. */
static int check_update(const struct manager *m, const struct change *c,
			const struct change_update *u, sd_bus_error *reterr)
{
	if (!(m->caps.verdicts & 1U << u->wanted.action))
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "Rule '%s': this kernel does not do action '%s'", u->wanted.name,
				 merlon_verdict_name(u->wanted.action));
	if (m->caps.abi < MODE_ABI_UPDATE)
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "Rule '%s' of VM #%llu: this kernel (interface %u) cannot change a "
				 "rule that is set", u->wanted.name,
				 (unsigned long long)c->vm->info.id, m->caps.abi);
	return u->wanted.learn ? learn_check(m, &u->wanted, reterr) : 0;
}

/* What is open in the kernel's map for the one that goes stays open for its heir. */
static int plan_learned(struct manager *m, struct change *c, struct change_add *add,
			sd_bus_error *reterr)
{
	const struct vm_rule *old = vm_find_rule(c->vm, add->heir_of);
	int r;

	if (!old || !rule_can_learn(add->rule))
		return 0;
	r = learn_read(m->kernel, c->vm, old, &add->learned, &add->n_learned);
	if (r == -E2BIG)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "Rule '%s': '%s', whose place it takes, has learned more than %d "
				 "ranges", add->rule->name, old->rule.name, RULE_MAX_EXCEPT);
	/* One that claims nothing has learned nothing: it was never whole. */
	if (r >= 0 && add->n_learned == 1 && add->learned[0].gpa == old->rule.gpa &&
	    add->learned[0].length == old->rule.length) {
		free(add->learned);
		add->learned = NULL;
		add->n_learned = 0;
	}
	return r < 0 && r != -ENOMEM ? bus_fault_errno(reterr, r, "Reading what was learned") : r;
}

static int plan_rule(struct manager *m, struct change *c, size_t i, sd_bus_error *reterr)
{
	struct vm_rule *planned = &c->planned[i];
	struct change_add *add = &c->add[i];
	int r;

	/* The caller's exceptions, for as long as this takes. */
	planned->rule = change_resolve(c->vm, add->rule);
	memcpy(planned->pinned, planned->rule.pin, sizeof(planned->pinned));
	strcpy(planned->policy, c->policy);
	planned->policy_mode = mode_of(&planned->rule);
	if (add->mode)
		mode_put(&planned->rule, add->mode);
	if (add->disarmed)
		planned->info.rule.flags = KVM_VMI_RULE_DISARMED;
	r = check_rule(m, c, add, &planned->rule, reterr);
	if (r >= 0)
		r = plan_learned(m, c, add, reterr);
	if (r < 0)
		return r;
	planned->id = vm_next_rule_id(c->vm);
	if (!planned->id)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED, "No rule id is free");
	return 0;
}

int change_plan(struct manager *m, struct change *c, sd_bus_error *reterr)
{
	int r;

	r = ruleset_check_vm(c->vm, reterr);
	if (r >= 0)
		r = check_limits(m, c, reterr);
	if (r < 0)
		return r;
	c->next = c->vm->next_rule;
	c->planned = calloc(c->n_add + 1, sizeof(*c->planned));
	if (!c->planned)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < c->n_add; i++)
		r = plan_rule(m, c, i, reterr);
	for (size_t i = 0; r >= 0 && i < c->n_update; i++)
		r = check_update(m, c, &c->update[i], reterr);
	if (r < 0)
		change_unplan(c);
	return r;
}

void change_unplan(struct change *c)
{
	c->vm->next_rule = c->next;
}

int change_stage(struct change *c)
{
	struct vm *vm = c->vm;

	for (; c->added < c->n_add; c->added++) {
		const struct vm_rule *planned = &c->planned[c->added];
		struct vm_rule *rule = vm_add_rule(vm, planned->id);

		if (!rule || rule_copy(&planned->rule, &rule->rule) < 0) {
			if (rule)
				vm_withdraw_rule(vm, planned->id);
			change_unstage(c);
			return -ENOMEM;
		}
		rule->info.rule = ruleset_kernel_rule(vm, rule);
		rule->info.rule.flags |= planned->info.rule.flags;
		memcpy(rule->pinned, planned->pinned, sizeof(rule->pinned));
		memcpy(rule->policy, planned->policy, sizeof(rule->policy));
		rule->policy_mode = planned->policy_mode;
	}
	return 0;
}

/*
 * Rules first, for ranges and pins point to them; a rule without denies nothing.
 * The kernel takes a batch whole or not at all; with several batches it is this
 * function's caller that takes back what went through.
 */
static int apply(struct kernel *k, const struct vm *vm, const struct vm_rule *rules,
		 const struct change_add *add, size_t n, const char **ret_what)
{
	_cleanup_free_ struct kvm_vmi_range *ranges = NULL;
	_cleanup_free_ struct kvm_vmi_rule *batch = NULL;
	size_t n_ranges = 0, room = 0;
	int r;

	*ret_what = "Setting rules";
	for (size_t i = 0; i < n; i++)
		room += map_max_ranges(&rules[i].rule) + add[i].n_learned;
	batch = calloc(n, sizeof(*batch));
	ranges = calloc(room, sizeof(*ranges));
	if (!batch || !ranges)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct rule mapped = rules[i].rule;

		if (add[i].learned) {
			mapped.except = add[i].learned;
			mapped.n_except = add[i].n_learned;
		}
		batch[i] = ruleset_kernel_rule(vm, &rules[i]);
		batch[i].flags |= rules[i].info.rule.flags & KVM_VMI_RULE_DISARMED;
		if (rule_pins(&rules[i].rule))
			continue;
		r = map_rule(rules[i].id, &mapped, &ranges[n_ranges]);
		if (r < 0)
			return r;
		n_ranges += (size_t)r;
	}
	for (size_t i = 0; i < n; i += KVM_VMI_MAX_BATCH) {
		size_t k_n = n - i < KVM_VMI_MAX_BATCH ? n - i : KVM_VMI_MAX_BATCH;

		r = k->ops->set_rules(k, vm->info.id, batch + i, k_n);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < n; i++) {
		/* One of that name may have learned before. */
		r = rules[i].rule.learn ? learn_begin(k, batch[i].cookie) :
					  learn_end(k, batch[i].cookie);
		if (r < 0)
			return r;
	}
	*ret_what = "Protecting memory";
	for (size_t i = 0; i < n_ranges; i += KVM_VMI_MAX_BATCH) {
		size_t k_n = n_ranges - i < KVM_VMI_MAX_BATCH ? n_ranges - i : KVM_VMI_MAX_BATCH;

		r = k->ops->set_access(k, vm->info.id, ranges + i, k_n);
		if (r < 0)
			return r;
	}
	*ret_what = "Pinning registers";
	for (size_t i = 0; i < n; i++) {
		if (!rule_pins(&rules[i].rule))
			continue;
		r = pinning_set(k, vm, rules[i].id, &rules[i].rule);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Rules that did not make it, out of the kernel and the VM. */
static void take_back(struct kernel *k, struct vm *vm, const struct vm_rule *rules, size_t n,
		      bool in_kernel)
{
	/* The last first: those behind do not move up each time. */
	for (size_t i = n; i-- > 0;) {
		int r = in_kernel ? k->ops->clear_rule(k, vm->info.id, rules[i].id) : 0;
		const struct vm_rule *namesake;

		if (r < 0 && r != -ENOENT && r != -ESRCH && r != -EIO)
			log_warning_errno(r, "VM #%llu: rule '%s' could not be taken back, "
					  "ignoring: %m", (unsigned long long)vm->info.id,
					  rules[i].rule.name);
		vm_withdraw_rule(vm, rules[i].id);
		if (!in_kernel)
			continue;
		/* The one whose place it was to take goes on as it did. */
		namesake = vm_find_rule_by_name(vm, rules[i].rule.name);
		if (namesake && namesake->rule.learn)
			r = learn_begin(k, vm_cookie(vm->info.id, rules[i].rule.name));
		else if (rules[i].rule.learn)
			r = learn_end(k, vm_cookie(vm->info.id, rules[i].rule.name));
		else
			r = 0;
		if (r < 0)
			log_warning_errno(r, "VM #%llu: rule '%s' may not learn as before, ignoring: "
					  "%m", (unsigned long long)vm->info.id, rules[i].rule.name);
	}
}

void change_unstage(struct change *c)
{
	take_back(NULL, c->vm, c->planned, c->added, false);
	c->added = 0;
	change_unplan(c);
}

static int update_rule(struct manager *m, struct change *c, struct change_update *u)
{
	struct vm_rule *rule = vm_find_rule(c->vm, u->id);
	struct rule wanted;
	int r;

	if (!rule)
		return -ENOENT;
	/* The exceptions are those it has, in memory of its own. */
	wanted = u->wanted;
	wanted.except = rule->rule.except;
	wanted.n_except = rule->rule.n_except;
	u->was = rule->rule;
	u->policy_mode_was = rule->policy_mode;
	r = mode_change(m, c->vm, rule, &wanted, u->arm);
	if (r < 0)
		return r;
	rule->rule = wanted;
	/* Not before: what the policy says and the kernel has not is to be seen at a restart. */
	rule->policy_mode = u->policy_mode;
	if (u->arm)
		rule->info.rule.flags &= ~KVM_VMI_RULE_DISARMED;
	u->done = true;
	return 0;
}

/* Back to what they were, but for having been armed. */
static void undo_updates(struct manager *m, struct change *c)
{
	for (size_t i = 0; i < c->n_update; i++) {
		struct vm_rule *rule = vm_find_rule(c->vm, c->update[i].id);
		int r;

		if (!c->update[i].done || !rule)
			continue;
		r = mode_change(m, c->vm, rule, &c->update[i].was, false);
		if (r >= 0) {
			rule->rule = c->update[i].was;
			rule->policy_mode = c->update[i].policy_mode_was;
		} else {
			log_warning_errno(r, "VM #%llu: rule '%s' could not be set back, ignoring: %m",
					  (unsigned long long)c->vm->info.id, rule->rule.name);
		}
	}
}

/* What has its place taken, or is wanted no more; a rule too many is no harm, and tried again. */
int change_drop(struct manager *m, struct change *c, sd_bus_error *reterr)
{
	int r, failed = 0;

	for (size_t i = 0; i < c->n_drop; i++) {
		if (c->drop[i].held)
			continue;
		r = m->kernel->ops->clear_rule(m->kernel, c->vm->info.id, c->drop[i].id);
		if (r >= 0 || r == -ENOENT)
			ruleset_forget(m, c->vm, c->drop[i].id);
		else
			failed = r;
	}
	return failed < 0 ? bus_fault_errno(reterr, failed, "Dropping rules") : 0;
}

int change_commit(struct manager *m, struct change *c, sd_bus_error *reterr)
{
	const char *what = "Setting rules";
	bool of_memory = false;
	int r = 0;

	for (size_t i = 0; i < c->n_add; i++)
		of_memory |= !rule_pins(&c->planned[i].rule);
	/* Registers have no engine, and settle none. */
	c->asked = of_memory && engine_begin(m, c->vm);
	if (c->n_add)
		r = apply(m->kernel, c->vm, c->planned, c->add, c->n_add, &what);
	for (size_t i = 0; r >= 0 && i < c->n_update; i++) {
		what = "Changing rules";
		r = update_rule(m, c, &c->update[i]);
	}
	if (r < 0) {
		undo_updates(m, c);
		take_back(m->kernel, c->vm, c->planned, c->added, true);
		c->added = 0;
		if (c->asked)
			engine_undo(m, c->vm);
		return bus_fault_errno(reterr, r, what);
	}
	c->vm->info.rules = (uint32_t)c->vm->n_rules;
	for (size_t i = 0; i < c->n_add; i++)
		inventory_emit_rule(m, c->vm, MERLON_EVENT_RULE_SET, c->planned[i].id,
				    c->planned[i].rule.name);
	for (size_t i = 0; i < c->n_update; i++)
		if (c->update[i].arm)
			inventory_emit_rule(m, c->vm, MERLON_EVENT_RULE_SET, c->update[i].id,
					    c->update[i].wanted.name);
	return 0;
}
