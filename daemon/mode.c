// SPDX-License-Identifier: GPL-2.0-or-later
/* What a rule's violations come to. */
#include "bus-fault.h"
#include "learn.h"
#include "log.h"
#include "mode.h"
#include "ruleset.h"
#include "util/json.h"

static int report_text(const char *name, const char *word, bool dry_run, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	_cleanup_json_ struct json_object *mode = json_object_new_object();
	int r;

	if (!o || !mode)
		return -ENOMEM;
	r = json_add_string(mode, "name", name);
	if (r >= 0)
		r = json_add_string(mode, "mode", word);
	if (r >= 0)
		r = json_add(o, dry_run ? "would-set" : "set", TAKE_PTR(mode));
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

/*
 * A rule that begins to learn does so before it lets nothing else through, and one that
 * ends lets everything through before it does not learn: at no time it denies what both
 * modes allow.
 */
int mode_change(struct manager *m, struct vm *vm, const struct vm_rule *rule,
		const struct rule *wanted, bool arm)
{
	uint64_t cookie = vm_cookie(vm->info.id, rule->rule.name);
	bool begins = wanted->learn && !rule->rule.learn;
	bool ends = !wanted->learn && rule->rule.learn;
	struct vm_rule changed = *rule;
	struct kvm_vmi_rule k;
	int r;

	changed.rule = *wanted;
	k = ruleset_kernel_rule(vm, &changed);
	/* One that a reset has disarmed stays so, be it this very moment. */
	if (!arm)
		k.flags |= KVM_VMI_RULE_UPDATE;
	if (begins) {
		r = learn_begin(m->kernel, cookie);
		if (r < 0)
			return r;
	}
	r = m->kernel->ops->set_rules(m->kernel, vm->info.id, &k, 1);
	if (r < 0) {
		if (begins)
			(void)learn_end(m->kernel, cookie);
		return r;
	}
	if (!ends)
		return 0;
	r = learn_end(m->kernel, cookie);
	/* A grant that is under way comes to nothing once the rule is set again. */
	return r < 0 ? r : m->kernel->ops->set_rules(m->kernel, vm->info.id, &k, 1);
}

int mode_set(struct manager *m, struct vm *vm, const char *name, const char *word, bool dry_run,
	     char **ret_report, sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	struct vm_rule *rule;
	struct rule wanted;
	int r;

	r = ruleset_check_vm(vm, reterr);
	if (r < 0)
		return r;
	if (m->caps.abi < MODE_ABI_UPDATE)
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "This kernel (interface %u) cannot change a rule's mode: drop it "
				 "and set it anew", m->caps.abi);
	/* Whether it is still ours. */
	r = ruleset_refresh(m, vm);
	if (r < 0)
		return bus_fault_errno(reterr, r, "Reading the rules");
	rule = ruleset_find(vm, name);
	if (!rule || rule->orphan)
		return bus_fault(reterr, MERLON_E_NO_SUCH_RULE, "VM #%llu has no such rule",
				 (unsigned long long)vm->info.id);
	wanted = rule->rule;
	wanted.monitor = streq(word, MERLON_MODE_MONITOR);
	wanted.learn = streq(word, MERLON_MODE_LEARN);
	if (!streq(mode_of(&wanted), word))
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS,
					"Expected a mode: enforce, monitor or learn");
	if (wanted.learn) {
		r = learn_check(m, &wanted, reterr);
		if (r < 0)
			return r;
	}
	r = report_text(wanted.name, word, dry_run, &report);
	if (r < 0)
		return r;
	if (!dry_run) {
		/* Also if it has that mode: what failed halfway is completed so. */
		r = mode_change(m, vm, rule, &wanted, false);
		if (r == -ENOENT)
			return bus_fault(reterr, MERLON_E_NO_SUCH_RULE,
					 "Rule '%s' was dropped just now", wanted.name);
		if (r < 0)
			return bus_fault_errno(reterr, r, "Changing the mode");
		rule->rule.monitor = wanted.monitor;
		rule->rule.learn = wanted.learn;
		(void)manager_save(m);
		log_info("VM #%llu: the mode of rule '%s' is '%s'.",
			 (unsigned long long)vm->info.id, wanted.name, word);
	}
	*ret_report = TAKE_PTR(report);
	return 0;
}
