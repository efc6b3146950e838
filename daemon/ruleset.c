// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules of one VM. */
#include "bus-fault.h"
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

static int check_limits(const struct manager *m, const struct vm *vm, const struct rule *rules,
			size_t n, sd_bus_error *reterr)
{
	uint64_t bytes = 0;

	if (n > RULESET_MAX_RULES)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "%zu rules in one call; at most %u", n, RULESET_MAX_RULES);
	for (size_t i = 0; i < n; i++) {
		/* Who may execute costs the same for any number of pages. */
		if (!rules[i].write_deny)
			continue;
		if (rules[i].length == RULE_LENGTH_ALL || rules[i].length > RULESET_MAX_BYTES)
			bytes = RULESET_MAX_BYTES + 1;
		else
			bytes += rules[i].length;
		if (bytes > RULESET_MAX_BYTES)
			return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
					 "Rules that cover more than %llu MiB in one call",
					 RULESET_MAX_BYTES >> 20);
	}
	if (vm->n_rules + n > KVM_VMI_MAX_RULES)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "VM #%llu would have %zu rules; at most %u",
				 (unsigned long long)vm->info.id, vm->n_rules + n,
				 KVM_VMI_MAX_RULES);
	if (manager_count_rules(m) + n > RULESET_MAX_TOTAL)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "All VMs together would have more than %u rules",
				 RULESET_MAX_TOTAL);
	return 0;
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

/* One past the guest's last physical address. */
static uint64_t gpa_limit(const struct vm *vm)
{
	return vm->info.maxphyaddr >= 64 ? UINT64_MAX : 1ULL << vm->info.maxphyaddr;
}

static int check_memory(const struct manager *m, const struct vm *vm, const struct rule *rule,
			sd_bus_error *reterr)
{
	uint64_t limit = gpa_limit(vm);

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

static int check_rule(const struct manager *m, const struct vm *vm, const struct rule *rule,
		      sd_bus_error *reterr)
{
	if (vm_find_rule_by_name(vm, rule->name))
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

/*
 * Rules first, for ranges and pins point to them; a rule without denies nothing.
 * The kernel takes a batch whole or not at all; with several batches it is this
 * function's caller that takes back what went through.
 */
static int apply(struct kernel *k, const struct vm *vm, const struct vm_rule *rules, size_t n,
		 const char **ret_what)
{
	_cleanup_free_ struct kvm_vmi_range *ranges = NULL;
	_cleanup_free_ struct kvm_vmi_rule *batch = NULL;
	size_t n_ranges = 0, room = 0;
	int r;

	*ret_what = "Setting rules";
	for (size_t i = 0; i < n; i++)
		room += map_max_ranges(&rules[i].rule);
	batch = calloc(n, sizeof(*batch));
	ranges = calloc(room, sizeof(*ranges));
	if (!batch || !ranges)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		batch[i] = ruleset_kernel_rule(vm, &rules[i]);
		if (rule_pins(&rules[i].rule))
			continue;
		r = map_rule(rules[i].id, &rules[i].rule, &ranges[n_ranges]);
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
	for (size_t i = 0; i < n; i++) {
		int r = in_kernel ? k->ops->clear_rule(k, vm->info.id, rules[i].id) : 0;

		if (in_kernel && rules[i].rule.learn)
			(void)learn_end(k, vm_cookie(vm->info.id, rules[i].rule.name));
		if (r < 0 && r != -ENOENT && r != -ESRCH && r != -EIO)
			log_warning_errno(r, "VM #%llu: rule '%s' could not be taken back, "
					  "ignoring: %m", (unsigned long long)vm->info.id,
					  rules[i].rule.name);
		vm_remove_rule(vm, rules[i].id);
	}
}

int ruleset_protect(struct manager *m, struct vm *vm, const struct rule *rules, size_t n,
		    bool dry_run, char **ret_report, sd_bus_error *reterr)
{
	_cleanup_free_ struct vm_rule *planned = NULL;
	_cleanup_free_ char *report = NULL;
	uint32_t next = vm->next_rule;
	const char *what = "Setting rules";
	bool of_memory = false, asked;
	size_t added = 0;
	int r;

	/* Whether its engine is settled, for one; that it is gone comes out below. */
	(void)inventory_refresh(m, vm);
	r = ruleset_check_vm(vm, reterr);
	if (r >= 0)
		r = check_limits(m, vm, rules, n, reterr);
	if (r < 0)
		return r;

	planned = calloc(n, sizeof(*planned));
	if (!planned)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		/* The caller's exceptions, for as long as this takes. */
		planned[i].rule = rules[i];
		memcpy(planned[i].pinned, rules[i].pin, sizeof(planned[i].pinned));
		of_memory |= !rule_pins(&rules[i]);
		if (!rule_pins(&rules[i]) && rules[i].length == RULE_LENGTH_ALL &&
		    rules[i].gpa < gpa_limit(vm))
			planned[i].rule.length = gpa_limit(vm) - rules[i].gpa;
		r = check_rule(m, vm, &planned[i].rule, reterr);
		if (r < 0)
			goto forget_ids;
		planned[i].id = vm_next_rule_id(vm);
		if (!planned[i].id) {
			r = bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED, "No rule id is free");
			goto forget_ids;
		}
	}
	/* Before anything changes: a report that cannot be written is no reason to undo. */
	r = protect_report(planned, n, engine_of(m, vm), dry_run, &report);
	if (r < 0)
		goto forget;
	if (dry_run) {
		vm->next_rule = next;
		*ret_report = TAKE_PTR(report);
		return 0;
	}

	for (; added < n; added++) {
		struct vm_rule *rule = vm_add_rule(vm, planned[added].id);

		if (!rule || rule_copy(&planned[added].rule, &rule->rule) < 0) {
			if (rule)
				vm_remove_rule(vm, planned[added].id);
			r = -ENOMEM;
			goto forget;
		}
		rule->info.rule = ruleset_kernel_rule(vm, rule);
		memcpy(rule->pinned, planned[added].pinned, sizeof(rule->pinned));
	}
	what = "Saving the names of rules";
	r = manager_save(m);
	if (r < 0)
		goto forget;
	/* Registers have no engine, and settle none. */
	asked = of_memory && engine_begin(m, vm);
	r = apply(m->kernel, vm, planned, n, &what);
	if (r < 0) {
		take_back(m->kernel, vm, planned, added, true);
		if (asked)
			engine_undo(m, vm);
		(void)manager_save(m);
		return bus_fault_errno(reterr, r, what);
	}
	vm->info.rules = (uint32_t)vm->n_rules;
	for (size_t i = 0; i < n; i++)
		inventory_emit_rule(m, vm, MERLON_EVENT_RULE_SET, planned[i].id,
				  planned[i].rule.name);
	log_info("VM #%llu: %zu rule%s set.", (unsigned long long)vm->info.id, n,
		 n == 1 ? "" : "s");
	manager_notify_status(m);
	*ret_report = TAKE_PTR(report);
	return 0;

forget:
	take_back(m->kernel, vm, planned, added, false);
	if (r != -ENOMEM)
		r = bus_fault_errno(reterr, r, what);
forget_ids:
	vm->next_rule = next;
	return r;
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

static void forget_rule(struct manager *m, struct vm *vm, uint32_t id)
{
	struct vm_rule *rule = vm_find_rule(vm, id);
	char name[MERLON_NAME_MAX + 1];

	if (!rule)
		return;
	if (rule->rule.learn)
		(void)learn_end(m->kernel, vm_cookie(vm->info.id, rule->rule.name));
	memcpy(name, rule->rule.name, sizeof(name));
	vm_remove_rule(vm, id);
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
			forget_rule(m, vm, id);
		} else {
			while (vm->n_rules)
				forget_rule(m, vm, vm->rules[vm->n_rules - 1].id);
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
			forget_rule(m, vm, vm->rules[i].id);
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
