// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules of one VM. */
#include "bus-fault.h"
#include "change.h"
#include "engine.h"
#include "inventory.h"
#include "learn.h"
#include "log.h"
#include "map.h"
#include "mode.h"
#include "pinning.h"
#include "registers.h"
#include "ruleset.h"
#include "unpinned.h"
#include "util/json.h"
#include "util/parse.h"

struct kvm_vmi_rule ruleset_kernel_rule(const struct vm *vm, const struct vm_rule *r)
{
	struct kvm_vmi_rule k = {
		.id = r->id,
		.flags = (r->rule.monitor ? KVM_VMI_RULE_MONITOR : 0) |
			 (r->rule.page_table ? KVM_VMI_RULE_PAGE_TABLE : 0),
		.dflt = (uint8_t)r->rule.dflt,
		.on_reset = (uint8_t)r->rule.on_reset,
		.cookie = vm_cookie(vm->info.id, r->rule.name),
	};

	k.action[KVM_VMI_ACTION_WRITE] = (uint8_t)r->rule.action;
	/* A fetch, or a read, is nothing to step over, nor for the VMM to carry out. */
	k.action[KVM_VMI_ACTION_FETCH] = (uint8_t)(r->rule.action == KVM_VMI_SKIP ||
						   r->rule.action == KVM_VMI_EXIT ?
						   r->rule.dflt : r->rule.action);
	k.action[KVM_VMI_ACTION_READ] = k.action[KVM_VMI_ACTION_FETCH];
	return k;
}

/*
 * What an orphan denies of memory is in the kernel only; its parameters are listed all the
 * same, and what it pins.
 */
static void rule_from_kernel(struct vm_rule *r, const struct kvm_vmi_rule *k)
{
	unsigned int action = k->action[KVM_VMI_ACTION_WRITE];

	r->orphan = true;
	free(r->rule.except);
	r->rule = (struct rule) {
		.action = action ? (enum kvm_vmi_verdict)action : KVM_VMI_DENY,
		.dflt = k->dflt ? (enum kvm_vmi_verdict)k->dflt : KVM_VMI_DENY,
		.on_reset = (enum kvm_vmi_on_reset)k->on_reset,
		.write_deny = true,
		.execute = RULE_EXECUTE_BOTH,
		.page_table = k->flags & KVM_VMI_RULE_PAGE_TABLE,
		.monitor = k->flags & KVM_VMI_RULE_MONITOR,
	};
}

int ruleset_check_rights(const struct manager *m, const struct rule *rule,
			  sd_bus_error *reterr)
{
	uint64_t feature;

	if (rule->read_deny && !(m->caps.features & KVM_VMI_CAP_READ))
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "Rule '%s': this host cannot enforce read 'deny'; merlon probe "
				 "tells what it can", rule->name);
	switch (rule->execute) {
	case RULE_EXECUTE_BOTH:
		return 0;
	case KVM_VMI_RIGHT_EXEC_USER:
		feature = KVM_VMI_CAP_EXEC_USER;
		break;
	case KVM_VMI_RIGHT_EXEC_KERNEL:
		feature = KVM_VMI_CAP_EXEC_KERNEL;
		break;
	default:
		feature = KVM_VMI_CAP_EXEC;
	}
	if (m->caps.features & feature)
		return 0;
	return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
			 "Rule '%s': this host cannot enforce execute '%s'; merlon probe tells "
			 "what it can", rule->name, merlon_execute_name(rule->execute));
}

int ruleset_check_vm(const struct vm *vm, sd_bus_error *reterr)
{
	if (vm->info.flags & KVM_VMI_VM_DEAD)
		return bus_fault(reterr, MERLON_E_VM_GONE, "VM #%llu is dead",
				 (unsigned long long)vm->info.id);
	if (vm->info.flags & KVM_VMI_VM_UNSUPPORTED)
		return bus_fault(reterr, MERLON_E_NOT_SUPPORTED,
				 "VM #%llu has private memory (SEV, TDX): KVM cannot protect it",
				 (unsigned long long)vm->info.id);
	return 0;
}

/* Who checks writes to the rule's range, in a VM of this engine. */
static const char *rule_engine(const struct vm_rule *r, enum kvm_vmi_engine engine)
{
	return map_whole_frames(r->rule.gpa, r->rule.length) ? MERLON_ENGINE_PAGE :
							       merlon_engine_name(engine);
}

/* Where and what; of an orphan nobody knows. */
static int describe_memory(struct json_object *o, const struct vm_rule *r,
			   enum kvm_vmi_engine engine)
{
	int e;

	e = json_add_hex(o, "gpa", r->rule.gpa);
	if (e >= 0)
		e = json_add_u64(o, "length", r->rule.length);
	if (e >= 0)
		e = json_add_u64(o, "frames", map_frames(r->rule.gpa, r->rule.length));
	if (e >= 0)
		e = json_add_string(o, "engine", rule_engine(r, engine));
	if (e >= 0)
		e = json_add_string(o, "write", r->rule.write_deny ? "deny" : "allow");
	if (e >= 0)
		e = json_add_string(o, "read", r->rule.read_deny ? "deny" : "allow");
	if (e >= 0)
		e = json_add_string(o, "execute", merlon_execute_name(r->rule.execute));
	if (e >= 0 && r->rule.n_except)
		e = json_add_u64(o, "exceptions", r->rule.n_except);
	return e;
}

static int describe_registers(struct json_object *o, const struct vm_rule *r)
{
	int e = pinning_to_json(o, r);

	if (e >= 0 && r->rule.no_efi)
		e = json_add_string(o, REGISTERS_EFI_KEY, "no");
	return e;
}

/* What the report of Protect and the list of rules have in common. */
static int describe_rule(struct json_object *o, const struct vm_rule *r,
			 enum kvm_vmi_engine engine)
{
	bool pins = rule_pins(&r->rule);
	int e;

	e = json_add_string(o, "name", r->rule.name);
	if (e >= 0)
		e = json_add_u64(o, "id", r->id);
	if (e >= 0 && pins)
		e = describe_registers(o, r);
	else if (e >= 0 && !r->orphan)
		e = describe_memory(o, r, engine);
	if (e >= 0)
		e = json_add_string(o, "mode", mode_of(&r->rule));
	if (e >= 0)
		e = json_add_string(o, "action", merlon_verdict_name(r->rule.action));
	if (e >= 0)
		e = json_add_string(o, "default", merlon_verdict_name(r->rule.dflt));
	if (e >= 0)
		e = json_add_string(o, "on-reset", merlon_on_reset_name(r->rule.on_reset));
	if (e >= 0 && !r->orphan)
		e = json_add_string(o, "arm", r->rule.boot ? "boot" : "now");
	if (e >= 0 && r->policy[0])
		e = json_add_string(o, "policy", r->policy);
	if (e >= 0 && !pins)
		e = json_add_bool(o, "page-table", r->rule.page_table);
	if (e >= 0 && !pins)
		e = json_add_string(o, MERLON_DEVICE_WRITES, MERLON_NOT_ENFORCED);
	return e;
}

/* {@key: @take_array} as text. */
static int report_text(const char *key, struct json_object *take_array, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	int r;

	if (!o) {
		json_object_put(take_array);
		return -ENOMEM;
	}
	r = json_add(o, key, take_array);
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

static int protect_report(const struct vm_rule *rules, size_t n, enum kvm_vmi_engine engine,
			  bool dry_run, char **ret)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	int r;

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		_cleanup_json_ struct json_object *o = json_object_new_object();

		r = o ? describe_rule(o, &rules[i], engine) : -ENOMEM;
		if (r >= 0)
			r = json_append(array, TAKE_PTR(o));
		if (r < 0)
			return r;
	}
	return report_text(dry_run ? "would-apply" : "applied", TAKE_PTR(array), ret);
}

/* POLICY:RULE is what rules of policies are called, whether there are such or not yet. */
static int check_names(const struct rule *rules, size_t n, sd_bus_error *reterr)
{
	for (size_t i = 0; i < n; i++)
		if (strchr(rules[i].name, ':'))
			return bus_fault(reterr, MERLON_E_INVALID_RULE,
					 "Rule '%s': expected a name without ':', which is in those of "
					 "policies' rules (POLICY:RULE)", rules[i].name);
	return 0;
}

int ruleset_protect(struct manager *m, struct vm *vm, const struct rule *rules, size_t n,
		    bool dry_run, char **ret_report, sd_bus_error *reterr)
{
	_cleanup_(change_done) struct change change = {};
	_cleanup_free_ char *report = NULL;
	int r;

	/* Whether its engine is settled, for one; that it is gone comes out below. */
	(void)inventory_refresh(m, vm);
	r = check_names(rules, n, reterr);
	if (r >= 0)
		r = change_add_all(vm, rules, n, &change);
	if (r >= 0)
		r = change_plan(m, &change, reterr);
	if (r < 0)
		return r;
	/* Before anything changes: a report that cannot be written is no reason to undo. */
	r = protect_report(change.planned, n, engine_of(m, vm), dry_run, &report);
	if (r < 0 || dry_run) {
		change_unplan(&change);
		if (r >= 0)
			*ret_report = TAKE_PTR(report);
		return r;
	}
	r = change_stage(&change);
	if (r < 0)
		return r;
	r = manager_save(m);
	if (r < 0) {
		change_unstage(&change);
		return r == -ENOMEM ? r : bus_fault_errno(reterr, r, "Saving the names of rules");
	}
	r = change_commit(m, &change, reterr);
	if (r < 0) {
		(void)manager_save(m);
		return r;
	}
	log_info("VM #%llu: %zu rule%s set.", (unsigned long long)vm->info.id, n,
		 n == 1 ? "" : "s");
	manager_notify_status(m);
	*ret_report = TAKE_PTR(report);
	return 0;
}

/* An orphan has no name; this is how it is called. */
static const char *rule_label(const struct vm_rule *r, char buf[static 16])
{
	if (!r->orphan)
		return r->rule.name;
	snprintf(buf, 16, "#%u", r->id);
	return buf;
}

int ruleset_names(const struct vm *vm, struct json_object **ret)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	char buf[16];
	int r;

	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < vm->n_rules; i++) {
		r = json_append(array, json_object_new_string(rule_label(&vm->rules[i], buf)));
		if (r < 0)
			return r;
	}
	*ret = TAKE_PTR(array);
	return 0;
}

struct vm_rule *ruleset_find(const struct vm *vm, const char *name)
{
	uint64_t id;

	if (name[0] != '#')
		return vm_find_rule_by_name(vm, name);
	if (parse_u64(name + 1, &id) < 0 || id > KVM_VMI_RULE_ID_MAX)
		return NULL;
	return vm_find_rule(vm, (uint32_t)id);
}

void ruleset_forget(struct manager *m, struct vm *vm, uint32_t id)
{
	struct vm_rule *rule = vm_find_rule(vm, id), *namesake;
	char name[MERLON_NAME_MAX + 1];
	bool learns;

	if (!rule)
		return;
	memcpy(name, rule->rule.name, sizeof(name));
	learns = rule->rule.learn;
	vm_remove_rule(vm, id);
	/* What took its place has its name, and may go on learning. */
	namesake = vm_find_rule_by_name(vm, name);
	if (learns && !(namesake && namesake->rule.learn))
		(void)learn_end(m->kernel, vm_cookie(vm->info.id, name));
	vm->info.rules = (uint32_t)vm->n_rules;
	inventory_emit_rule(m, vm, MERLON_EVENT_RULE_CLEARED, id, name);
}

int ruleset_unprotect(struct manager *m, struct vm *vm, const char *name, bool dry_run,
		      char **ret_report, sd_bus_error *reterr)
{
	_cleanup_json_ struct json_object *names = NULL;
	_cleanup_free_ char *report = NULL;
	struct vm_rule *rule = NULL;
	uint32_t id = 0;
	char buf[16];
	int r;

	if (name[0]) {
		rule = ruleset_find(vm, name);
		if (!rule)
			return bus_fault(reterr, MERLON_E_NO_SUCH_RULE,
					 "VM #%llu has no such rule",
					 (unsigned long long)vm->info.id);
		id = rule->id;
		names = json_object_new_array();
		if (!names)
			return -ENOMEM;
		r = json_append(names, json_object_new_string(rule_label(rule, buf)));
	} else {
		/* Orphans that are not listed yet are dropped too, and so are they reported. */
		r = ruleset_refresh(m, vm);
		if (r < 0)
			return bus_fault_errno(reterr, r, "Listing rules");
		r = ruleset_names(vm, &names);
	}
	if (r < 0)
		return r;
	r = report_text(dry_run ? "would-remove" : "removed", TAKE_PTR(names), &report);
	if (r < 0)
		return r;

	if (!dry_run && (id || vm->n_rules)) {
		r = m->kernel->ops->clear_rule(m->kernel, vm->info.id, id);
		/* What is gone already is what was asked for. */
		if (r < 0 && r != -ENOENT)
			return bus_fault_errno(reterr, r, "Dropping rules");
		if (id) {
			ruleset_forget(m, vm, id);
		} else {
			while (vm->n_rules)
				ruleset_forget(m, vm, vm->rules[vm->n_rules - 1].id);
		}
		/* Names of rules that are gone do no harm; the next save drops them. */
		(void)manager_save(m);
		log_info("VM #%llu: %s dropped.", (unsigned long long)vm->info.id,
			 id ? "1 rule" : "every rule");
		manager_notify_status(m);
	}
	if (ret_report)
		*ret_report = TAKE_PTR(report);
	return 0;
}

static int add_counters(struct json_object *o, const struct kvm_vmi_rule_info *info)
{
	const struct {
		const char *key;
		uint64_t value;
	} counters[] = {
		{ "violations", info->violations },
		{ "denied", info->denied },
		{ "allowed", info->allowed },
		{ "skipped", info->skipped },
		{ "bad-verdicts", info->bad_verdicts },
		{ "unemulatable", info->unemulatable },
		{ "opened", info->opened },
		{ "kvm-writes", info->kvm_writes },
		{ "stepped", info->stepped },
		{ "granted", info->granted },
	};

	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		int r = json_add_u64(o, counters[i].key, counters[i].value);

		if (r < 0)
			return r;
	}
	return 0;
}

int ruleset_list(struct manager *m, struct vm *vm, char **ret, sd_bus_error *reterr)
{
	_cleanup_json_ struct json_object *array = NULL;
	int r;

	(void)inventory_refresh(m, vm);
	r = ruleset_refresh(m, vm);
	if (r < 0)
		return bus_fault_errno(reterr, r, "Listing rules");

	unpinned_check(m->kernel, vm);
	array = json_object_new_array();
	if (!array)
		return -ENOMEM;
	for (size_t i = 0; i < vm->n_rules; i++) {
		_cleanup_json_ struct json_object *o = json_object_new_object();
		const struct vm_rule *rule = &vm->rules[i];

		r = o ? describe_rule(o, rule, engine_of(m, vm)) : -ENOMEM;
		if (r >= 0)
			r = unpinned_to_json(o, vm, rule);
		if (r >= 0)
			r = json_add_bool(o, "armed",
					  !(rule->info.rule.flags & KVM_VMI_RULE_DISARMED));
		if (r >= 0)
			r = json_add_bool(o, "orphan", rule->orphan);
		if (r >= 0)
			r = add_counters(o, &rule->info);
		if (r >= 0)
			r = json_append(array, TAKE_PTR(o));
		if (r < 0)
			return r;
	}
	return json_text(array, JSON_ONE_LINE, ret);
}

int ruleset_reconcile(struct manager *m, struct vm *vm)
{
	struct kvm_vmi_rule_info info;
	uint32_t after = 0;
	bool changed = false;
	size_t i = 0;
	int r;

	/* Both are in order of ids: one walk beside the other. */
	for (;;) {
		r = m->kernel->ops->next_rule(m->kernel, vm->info.id, after, &info);
		if (r < 0 && r != -ENOENT)
			return r;
		while (i < vm->n_rules && (r < 0 || vm->rules[i].id < info.rule.id)) {
			log_notice("VM #%llu: rule '%s' is no longer in the kernel.",
				   (unsigned long long)vm->info.id, vm->rules[i].rule.name);
			changed |= !vm->rules[i].orphan;
			/* Its policy wants it still. */
			vm->policy_failed |= vm->rules[i].policy[0] != 0;
			ruleset_forget(m, vm, vm->rules[i].id);
		}
		if (r < 0)
			break;
		if (i >= vm->n_rules || vm->rules[i].id != info.rule.id) {
			struct vm_rule *rule = vm_add_rule(vm, info.rule.id);

			if (!rule)
				return -ENOMEM;
			rule_from_kernel(rule, &info.rule);
			log_warning("VM #%llu: rule #%u is none of ours; it stays in force.",
				    (unsigned long long)vm->info.id, info.rule.id);
		} else if (!vm->rules[i].orphan &&
			   info.rule.cookie != vm_cookie(vm->info.id, vm->rules[i].rule.name)) {
			/* Somebody replaced it: our name would be a lie. */
			log_warning("VM #%llu: rule #%u is no longer '%s'; it stays in force.",
				    (unsigned long long)vm->info.id, info.rule.id,
				    vm->rules[i].rule.name);
			rule_from_kernel(&vm->rules[i], &info.rule);
			changed = true;
		}
		vm->rules[i].info = info;
		pinning_reconcile(m, vm, &vm->rules[i]);
		vm->rules[i].rule.monitor = info.rule.flags & KVM_VMI_RULE_MONITOR;
		if (!vm->rules[i].orphan)
			vm->rules[i].rule.learn = learn_is_on(m->kernel, info.rule.cookie);
		after = info.rule.id;
		i++;
	}
	vm->info.rules = (uint32_t)vm->n_rules;
	return changed;
}

int ruleset_refresh(struct manager *m, struct vm *vm)
{
	int r = ruleset_reconcile(m, vm);

	if (r > 0)
		(void)manager_save(m);
	/* What was found out on the way counts, too. */
	manager_notify_status(m);
	return r < 0 ? r : 0;
}
