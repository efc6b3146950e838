// SPDX-License-Identifier: GPL-2.0-or-later
/* org.merlon1.Vm on the wire; names and types as in api/org.merlon1.xml. */
#include <ctype.h>

#include "arm.h"
#include "auth.h"
#include "bus-fault.h"
#include "engine.h"
#include "inventory.h"
#include "isolation.h"
#include "learn.h"
#include "manager-bus.h"
#include "mode.h"
#include "owner.h"
#include "rule.h"
#include "ruleset.h"
#include "util/parse.h"
#include "vm-bus.h"

static int append_entry(sd_bus_message *reply, const char *key, const char *type, ...)
{
	va_list ap;
	int r;

	r = sd_bus_message_open_container(reply, 'e', "sv");
	if (r >= 0)
		r = sd_bus_message_append(reply, "s", key);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'v', type);
	if (r < 0)
		return r;
	va_start(ap, type);
	r = sd_bus_message_appendv(reply, type, ap);
	va_end(ap);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

int vm_bus_append(struct manager *m, sd_bus_message *reply, struct vm *vm, bool with_path)
{
	char path[sizeof(MERLON_PATH_VM) + 24];
	int r;

	/* One that ends just now is described as it was. */
	if (inventory_refresh(m, vm) < 0)
		vm->info.flags |= KVM_VMI_VM_DEAD;
	snprintf(path, sizeof(path), MERLON_PATH_VM "/%llu", (unsigned long long)vm->info.id);

	r = sd_bus_message_open_container(reply, 'a', "{sv}");
	if (r >= 0)
		r = append_entry(reply, "id", "t", (uint64_t)vm->info.id);
	if (r >= 0)
		r = append_entry(reply, "name", "s", vm->identity.name);
	if (r >= 0)
		r = append_entry(reply, "name-trusted", "b", (int)vm->trusted);
	if (r >= 0)
		r = append_entry(reply, "uuid", "s", vm->identity.uuid);
	if (r >= 0)
		r = append_entry(reply, "uid", "u", (uint32_t)vm->info.uid);
	if (r >= 0)
		r = append_entry(reply, "pid", "u", (uint32_t)vm->info.pid);
	if (r >= 0)
		r = append_entry(reply, "unit", "s", vm->identity.unit);
	if (r >= 0)
		r = append_entry(reply, "state", "s", vm_state(vm));
	if (r >= 0)
		r = append_entry(reply, "generation", "t", (uint64_t)vm->info.generation);
	if (r >= 0)
		r = append_entry(reply, "rules", "u", (uint32_t)vm->info.rules);
	if (r >= 0)
		r = append_entry(reply, "violations", "t", (uint64_t)vm->info.violations);
	if (r >= 0)
		r = append_entry(reply, "lost", "t", vm->lost);
	if (r >= 0)
		r = append_entry(reply, "vcpus", "u", (uint32_t)vm->info.vcpus);
	if (r >= 0)
		r = append_entry(reply, MERLON_VM_ENGINE, "s",
				 merlon_engine_name(engine_of(m, vm)));
	if (r >= 0)
		r = append_entry(reply, MERLON_VM_ENGINE_WANTED, "s",
				 merlon_engine_name(engine_wanted(m, vm)));
	if (r >= 0)
		r = append_entry(reply, MERLON_VM_ENGINE_SETTLED, "b", (int)engine_settled(m, vm));
	if (r >= 0)
		r = append_entry(reply, MERLON_VM_ENGINE_BYTES, "t",
				 (uint64_t)vm->info.table_bytes);
	if (r >= 0 && with_path)
		r = append_entry(reply, "path", "o", path);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* What of the path of a VM's object is the VM's id. */
static const char *path_digits(sd_bus_message *call)
{
	return startswith(sd_bus_message_get_path(call), MERLON_PATH_VM "/");
}

/* The VM a call is about, NULL if there is none. */
static struct vm *find_this_vm(struct manager *m, sd_bus_message *call)
{
	const char *digits = path_digits(call);
	uint64_t id;

	return digits && parse_u64(digits, &id) >= 0 ? vm_table_find(&m->vms, id) : NULL;
}

static int this_vm(struct manager *m, sd_bus_message *call, struct vm **ret, sd_bus_error *reterr)
{
	const char *digits = path_digits(call);
	struct vm *vm;
	int r;

	r = bus_need_kernel(m, reterr);
	if (r < 0)
		return r;
	vm = find_this_vm(m, call);
	if (!vm)
		return bus_fault(reterr, MERLON_E_NO_SUCH_VM, "No VM '#%s'", digits ? digits : "");
	*ret = vm;
	return 0;
}

static int method_describe(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct manager *m = userdata;
	struct vm *vm;
	int r;

	r = auth_check(&m->auth, call, AUTH_LIST, find_this_vm(m, call), NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = this_vm(m, call, &vm, reterr);
	if (r < 0)
		return r;
	r = sd_bus_message_new_method_return(call, &reply);
	if (r >= 0)
		r = vm_bus_append(m, reply, vm, true);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

static int parse_rules(const char *text, struct rule **ret, size_t *ret_n, sd_bus_error *reterr)
{
	_cleanup_free_ char *message = NULL;
	int r;

	r = rules_parse(text, strlen(text), MERLON_TEXT_LABEL, ret, ret_n, &message);
	return r < 0 ? bus_fault_parse(reterr, r, message) : r;
}

/* What a call about a VM has said. */
struct vm_call {
	struct manager *manager;
	struct vm *vm;
	const char *text[2];
	int dry_run;
};

/*
 * A call about a VM of some texts, of @max bytes each, and of whether nothing is to change;
 * answered with a text, which @act returns to be freed.
 */
static int answer(sd_bus_message *message, struct manager *m, enum auth_action action, size_t max,
		  int (*act)(const struct vm_call *call, char **ret, sd_bus_error *reterr),
		  sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	struct vm_call call = { .manager = m };
	const char *type;
	size_t n = 0;
	int r = 0;

	/* That of the vtable below. */
	for (type = sd_bus_message_get_signature(message, true); r >= 0 && *type; type++) {
		if (*type == 'b')
			r = sd_bus_message_read(message, "b", &call.dry_run);
		else if (n < ARRAY_SIZE(call.text))
			r = bus_read_text(message, max, &call.text[n++], reterr);
		else
			r = -EINVAL;
	}
	if (r < 0)
		return r;
	r = auth_check(&m->auth, message, action, find_this_vm(m, message), NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = this_vm(m, message, &call.vm, reterr);
	if (r >= 0)
		r = act(&call, &report, reterr);
	if (r < 0)
		return r;
	return bus_reply_report(message, report, "ask for a rule by itself (ExportRule, Owner)", reterr);
}

static int protect(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	_cleanup_free_ struct rule *rules = NULL;
	size_t n = 0;
	int r;

	r = parse_rules(call->text[0], &rules, &n, reterr);
	if (r < 0)
		return r;
	return ruleset_protect(call->manager, call->vm, rules, n, call->dry_run, ret, reterr);
}

static int method_protect(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_MANAGE, MERLON_TEXT_MAX, protect, reterr);
}

static int unprotect(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return ruleset_unprotect(call->manager, call->vm, call->text[0], call->dry_run, ret,
				 reterr);
}

static int method_unprotect(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_MANAGE, MERLON_WHAT_MAX, unprotect, reterr);
}

static int set_engine(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return engine_choose(call->manager, call->vm, call->text[0], call->dry_run, ret, reterr);
}

static int method_set_engine(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_MANAGE, MERLON_WHAT_MAX, set_engine, reterr);
}

static int isolation(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return isolation_describe(call->manager, call->vm, ret, reterr);
}

static int method_isolation(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_LIST, 0, isolation, reterr);
}

static int set_isolation_kick(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return isolation_choose_kick(call->manager, call->vm, call->text[0], call->dry_run, ret,
				     reterr);
}

static int method_set_isolation_kick(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_MANAGE, MERLON_WHAT_MAX, set_isolation_kick, reterr);
}

static int set_mode(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return mode_set(call->manager, call->vm, call->text[0], call->text[1], call->dry_run, ret,
			reterr);
}

static int method_set_mode(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_MANAGE, MERLON_WHAT_MAX, set_mode, reterr);
}

static int export_rule(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return learn_export(call->manager, call->vm, call->text[0], ret, reterr);
}

static int method_export_rule(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_LIST, MERLON_WHAT_MAX, export_rule, reterr);
}

static int arm(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return arm_rules(call->manager, call->vm, call->text[0], call->dry_run, ret, reterr);
}

static int method_arm(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_MANAGE, MERLON_WHAT_MAX, arm, reterr);
}

static int owner(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return owner_describe(call->manager, call->vm, call->text[0], ret, reterr);
}

static int method_owner(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_LIST, MERLON_WHAT_MAX, owner, reterr);
}

static int list_rules(const struct vm_call *call, char **ret, sd_bus_error *reterr)
{
	return ruleset_list(call->manager, call->vm, ret, reterr);
}

static int method_list_rules(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	return answer(call, userdata, AUTH_LIST, 0, list_rules, reterr);
}

static const sd_bus_vtable vm_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_NAMES("Describe", NULL,, "a{sv}", SD_BUS_PARAM(vm),
				 method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Protect", "sb", SD_BUS_PARAM(rules) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 method_protect, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Unprotect", "sb", SD_BUS_PARAM(name) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 method_unprotect, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("SetEngine", "sb", SD_BUS_PARAM(engine) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 method_set_engine, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("SetMode", "ssb",
				 SD_BUS_PARAM(rule) SD_BUS_PARAM(mode) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 method_set_mode, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("ExportRule", "s", SD_BUS_PARAM(rule), "s", SD_BUS_PARAM(policy),
				 method_export_rule, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Arm", "sb", SD_BUS_PARAM(rule) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 method_arm, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Owner", "s", SD_BUS_PARAM(address), "s", SD_BUS_PARAM(owner),
				 method_owner, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("ListRules", NULL,, "s", SD_BUS_PARAM(rules),
				 method_list_rules, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Isolation", NULL,, "s", SD_BUS_PARAM(isolation),
				 method_isolation, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("SetIsolationKick", "sb",
				 SD_BUS_PARAM(kick) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 method_set_isolation_kick, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END
};

/*
 * Every decimal id has an object, whether its VM exists or not: which VMs there
 * are is for ListVms to tell, to those who may know, and the methods answer
 * NoSuchVm to them alone.
 */
static int find_vm(sd_bus *bus, const char *path, const char *interface, void *userdata,
		   void **ret_found, sd_bus_error *reterr)
{
	const char *digits = startswith(path, MERLON_PATH_VM "/");
	uint64_t id;

	(void)bus;
	(void)interface;
	(void)reterr;
	/* One path to each VM: "017" is none. */
	if (!digits || parse_u64(digits, &id) < 0 || (digits[0] == '0' && digits[1]))
		return 0;
	*ret_found = userdata;
	return 1;
}

int vm_bus_publish(struct manager *m)
{
	return sd_bus_add_fallback_vtable(m->bus, &m->vm_slot, MERLON_PATH_VM, MERLON_IFACE_VM,
					  vm_vtable, find_vm, m);
}
