// SPDX-License-Identifier: GPL-2.0-or-later
/* Arming of rules. */
#include "arm.h"
#include "bus-fault.h"
#include "inventory.h"
#include "log.h"
#include "ruleset.h"
#include "util/json.h"

static bool is_disarmed(const struct vm_rule *rule)
{
	return rule->info.rule.flags & KVM_VMI_RULE_DISARMED;
}

/* {"armed"|"would-arm": [rule...]} */
static int report(struct vm_rule *const *rules, size_t n, bool dry_run, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *names = json_object_new_array();
	int r;

	if (!o) {
		json_object_put(names);
		return -ENOMEM;
	}
	r = json_add(o, dry_run ? "would-arm" : "armed", names);
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = json_append(names, json_object_new_string(rules[i]->rule.name));
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

/* All of them or none, as far as the kernel takes them in one batch. */
static int arm(struct manager *m, struct vm *vm, struct vm_rule *const *rules, size_t n)
{
	_cleanup_free_ struct kvm_vmi_rule *batch = calloc(n, sizeof(*batch));
	int r;

	if (!batch)
		return -ENOMEM;
	/* Set without the flag, it is armed. */
	for (size_t i = 0; i < n; i++)
		batch[i] = ruleset_kernel_rule(vm, rules[i]);
	for (size_t i = 0; i < n; i += KVM_VMI_MAX_BATCH) {
		size_t k_n = n - i < KVM_VMI_MAX_BATCH ? n - i : KVM_VMI_MAX_BATCH;

		r = m->kernel->ops->set_rules(m->kernel, vm->info.id, batch + i, k_n);
		if (r < 0)
			return r;
		for (size_t j = i; j < i + k_n; j++)
			rules[j]->info.rule.flags &= ~KVM_VMI_RULE_DISARMED;
	}
	return 0;
}

int arm_rules(struct manager *m, struct vm *vm, const char *name, bool dry_run,
	      char **ret_report, sd_bus_error *reterr)
{
	_cleanup_free_ struct vm_rule **rules = NULL;
	_cleanup_free_ char *text = NULL;
	const struct vm_rule *one;
	size_t n = 0;
	int r;

	r = ruleset_check_vm(vm, reterr);
	if (r < 0)
		return r;
	/* One that is gone from the kernel is not to come back by being set. */
	r = ruleset_refresh(m, vm);
	if (r < 0)
		return bus_fault_errno(reterr, r, "Reading the rules");
	one = *name ? ruleset_find(vm, name) : NULL;
	if (*name && (!one || one->orphan))
		return bus_fault(reterr, MERLON_E_NO_SUCH_RULE, "VM #%llu has no such rule",
				 (unsigned long long)vm->info.id);
	rules = calloc(vm->n_rules + 1, sizeof(struct vm_rule *));
	if (!rules)
		return -ENOMEM;
	for (size_t i = 0; i < vm->n_rules; i++)
		if ((!one || one == &vm->rules[i]) && !vm->rules[i].orphan &&
		    is_disarmed(&vm->rules[i]))
			rules[n++] = &vm->rules[i];
	r = report(rules, n, dry_run, &text);
	if (r < 0)
		return r;
	if (!dry_run && n) {
		r = arm(m, vm, rules, n);
		if (r < 0)
			return r == -ENOMEM ? r : bus_fault_errno(reterr, r, "Arming rules");
		for (size_t i = 0; i < n; i++)
			inventory_emit_rule(m, vm, MERLON_EVENT_RULE_SET, rules[i]->id,
					    rules[i]->rule.name);
		log_info("VM #%llu: %zu rule%s armed.", (unsigned long long)vm->info.id, n,
			 n == 1 ? "" : "s");
		manager_notify_status(m);
	}
	*ret_report = TAKE_PTR(text);
	return 0;
}
