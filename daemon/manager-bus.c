// SPDX-License-Identifier: GPL-2.0-or-later
/* org.merlon1.Manager on the wire; names and types as in api/org.merlon1.xml. */
#include "api/version.h"
#include "auth.h"
#include "bus-fault.h"
#include "inventory.h"
#include "log.h"
#include "manager-bus.h"
#include "metrics.h"
#include "policy-bus.h"
#include "probe.h"
#include "ruleset.h"
#include "util/escape.h"
#include "util/json.h"
#include "vm-bus.h"

/* A filter is {} or one member. */
#define FILTER_MAX 1024

int bus_need_kernel(struct manager *m, sd_bus_error *reterr)
{
	if (m->kernel)
		return 0;
	return bus_fault(reterr, MERLON_E_NO_KERNEL_SUPPORT, "%s", m->missing.why);
}

int bus_read_text(sd_bus_message *call, size_t max, const char **ret, sd_bus_error *reterr)
{
	const char *s;
	int r;

	r = sd_bus_message_read(call, "s", &s);
	if (r < 0)
		return r;
	if (strnlen(s, max + 1) > max)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "A text of more than %zu bytes", max);
	*ret = s;
	return 0;
}

int bus_reply_report(sd_bus_message *call, const char *report, const char *narrow,
		     sd_bus_error *reterr)
{
	size_t len = strlen(report);

	if (len > BUS_REPORT_MAX)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "The report has %zu bytes, and %u fit into an answer: %s", len,
				 BUS_REPORT_MAX, narrow);
	return sd_bus_reply_method_return(call, "s", report);
}

const struct vm *bus_find_vm(const struct manager *m, const char *what)
{
	struct vm *vm;

	return vm_table_resolve(&m->vms, what, &vm, NULL, 0) == VM_FOUND ? vm : NULL;
}

int bus_resolve_vm(struct manager *m, const char *what, struct vm **ret, sd_bus_error *reterr)
{
	_cleanup_free_ char *shown = NULL;
	char ids[128];

	switch (vm_table_resolve(&m->vms, what, ret, ids, sizeof(ids))) {
	case VM_FOUND:
		return 0;
	case VM_AMBIGUOUS:
		shown = escape_terminal(what);
		return bus_fault(reterr, MERLON_E_AMBIGUOUS_NAME,
				 "'%s' exists more than once: use one of %s",
				 shown ? shown : "", ids);
	case VM_NONE:
	default:
		shown = escape_terminal(what);
		return bus_fault(reterr, MERLON_E_NO_SUCH_VM, "No VM '%s'", shown ? shown : "");
	}
}

static int method_list_vms(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct manager *m = userdata;
	int r;

	r = auth_check(&m->auth, call, AUTH_LIST, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = bus_need_kernel(m, reterr);
	if (r < 0)
		return r;
	r = sd_bus_message_new_method_return(call, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "a{sv}");
	for (size_t i = 0; r >= 0 && i < m->vms.n; i++)
		/* One that ended and was not told of yet is none any more. */
		if (inventory_refresh(m, m->vms.vms[i]) != -ESRCH)
			r = vm_bus_append(m, reply, m->vms.vms[i], false);
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

static int method_describe_vm(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct manager *m = userdata;
	const char *what;
	struct vm *vm;
	int r;

	r = bus_read_text(call, MERLON_WHAT_MAX, &what, reterr);
	if (r < 0)
		return r;
	r = auth_check(&m->auth, call, AUTH_LIST, bus_find_vm(m, what), NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = bus_need_kernel(m, reterr);
	if (r >= 0)
		r = bus_resolve_vm(m, what, &vm, reterr);
	if (r < 0)
		return r;
	r = sd_bus_message_new_method_return(call, &reply);
	if (r >= 0)
		r = vm_bus_append(m, reply, vm, true);
	if (r < 0)
		return r;
	return sd_bus_send(NULL, reply, NULL);
}

static int method_probe(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	struct manager *m = userdata;
	int r;

	/* The one method that says everything without a kernel, too: that is its use. */
	r = auth_check(&m->auth, call, AUTH_LIST, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	if (m->kernel)
		(void)m->kernel->ops->caps(m->kernel, &m->caps);
	r = probe_report(m, &report);
	if (r < 0)
		return r;
	return bus_reply_report(call, report, "property Degraded has the reasons without VMs",
				reterr);
}

static int method_metrics(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_free_ char *text = NULL;
	struct manager *m = userdata;
	int r;

	/* Without a kernel as well: merlon_degraded says so. */
	r = auth_check(&m->auth, call, AUTH_LIST, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = metrics_text(m, &text);
	if (r < 0)
		return r;
	return bus_reply_report(call, text, "ListVms has the VMs' counters", reterr);
}

/* What a filter calls its VM, to be freed; {} is every VM: *@ret NULL. */
static int read_filter(const char *text, char **ret, sd_bus_error *reterr)
{
	static const char expected[] = "Expected a filter {}, {\"vm\": 17} or {\"vm\": \"name\"}";
	_cleanup_json_ struct json_object *o = NULL;
	struct json_object *value;
	char *what;
	int r;

	r = json_parse(text, strlen(text), &o);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !json_object_is_type(o, json_type_object))
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS, expected);
	if (json_object_object_length(o) == 0) {
		*ret = NULL;
		return 0;
	}
	if (json_object_object_length(o) != 1 || !json_object_object_get_ex(o, "vm", &value))
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS, expected);
	if (json_object_is_type(value, json_type_int)) {
		if (asprintf(&what, "#%llu",
			     (unsigned long long)json_object_get_uint64(value)) < 0)
			return -ENOMEM;
	} else if (json_object_is_type(value, json_type_string)) {
		what = strdup(json_object_get_string(value));
		if (!what)
			return -ENOMEM;
	} else {
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS, expected);
	}
	*ret = what;
	return 0;
}

/*
 * A call with a filter: whose it is, and the id of the VM it wants events of, 0 for all.
 * Returns as auth_check().
 */
static int may_have_events(struct manager *m, sd_bus_message *call, uid_t *ret_uid,
			   uint64_t *ret_vm, sd_bus_error *reterr)
{
	_cleanup_free_ char *what = NULL;
	struct vm *vm = NULL;
	const char *text;
	int r;

	r = bus_read_text(call, FILTER_MAX, &text, reterr);
	if (r >= 0)
		r = read_filter(text, &what, reterr);
	if (r < 0)
		return r;
	r = auth_check(&m->auth, call, AUTH_LIST, what ? bus_find_vm(m, what) : NULL, ret_uid,
		       reterr);
	if (r <= 0)
		return r;
	r = bus_need_kernel(m, reterr);
	if (r >= 0 && what)
		r = bus_resolve_vm(m, what, &vm, reterr);
	if (r >= 0)
		r = peer_check(&m->peers, m->bus, sd_bus_message_get_sender(call));
	if (r < 0)
		return r;
	*ret_vm = vm ? vm->info.id : 0;
	return 1;
}

static int method_watch(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	struct manager *m = userdata;
	uint64_t vm;
	uid_t uid;
	int r;

	r = may_have_events(m, call, &uid, &vm, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = watch_set(&m->watches, sd_bus_message_get_sender(call), uid, vm);
	if (r == -EDQUOT)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "This user has %u watching connections already", WATCH_MAX_UID);
	if (r == -ENFILE)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "There are %u watching connections already", WATCH_MAX);
	if (r < 0)
		return r;
	return sd_bus_reply_method_return(call, NULL);
}

static int method_unwatch(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	struct manager *m = userdata;
	uint64_t vm = watch_vm(&m->watches, sd_bus_message_get_sender(call));
	int r;

	/* Who was let watch one VM may end that, too. */
	r = auth_check(&m->auth, call, AUTH_LIST, vm ? vm_table_find(&m->vms, vm) : NULL, NULL,
		       reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	watch_end(&m->watches, m->bus, sd_bus_message_get_sender(call));
	return sd_bus_reply_method_return(call, NULL);
}

static int method_subscribe(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_close_ int fd = -EBADF;
	struct manager *m = userdata;
	uint64_t vm;
	uid_t uid;
	int r;

	r = may_have_events(m, call, &uid, &vm, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = stream_open(&m->streams, m->event, sd_bus_message_get_sender(call), uid, vm, &fd);
	if (r == -EDQUOT)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "This user has %u streams already", STREAM_MAX_UID);
	if (r == -ENFILE)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "There are %u streams already", STREAM_MAX);
	if (r == -EMFILE)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED,
				 "merlond has as many files open as it may");
	if (r < 0)
		return r;
	return sd_bus_reply_method_return(call, "h", fd);
}

static int append_cleared(struct json_object *array, const struct vm *vm,
			  struct json_object *take_names)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	int r;

	if (!o) {
		json_object_put(take_names);
		return -ENOMEM;
	}
	r = json_add(o, "rules", take_names);
	if (r >= 0)
		r = json_add_u64(o, "vm", vm->info.id);
	if (r >= 0)
		r = json_add_string(o, "name", vm->identity.name);
	return r < 0 ? r : json_append(array, TAKE_PTR(o));
}

static int clear_all(struct manager *m, bool dry_run, char **ret, sd_bus_error *reterr)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *array = json_object_new_array(), *names;
	int r;

	if (!o) {
		json_object_put(array);
		return -ENOMEM;
	}
	r = json_add(o, dry_run ? "would-clear" : "cleared", array);
	/* Rules that nobody has listed yet are to go, too. */
	if (r >= 0)
		inventory_reconcile(m);
	for (size_t i = 0; r >= 0 && i < m->vms.n; i++) {
		struct vm *vm = m->vms.vms[i];

		if (!vm->n_rules)
			continue;
		r = ruleset_names(vm, &names);
		if (r < 0)
			break;
		r = ruleset_unprotect(m, vm, "", dry_run, NULL, reterr);
		if (r < 0) {
			json_object_put(names);
			/* A VM that ended has no rules: go on with the others. */
			if (!sd_bus_error_has_name(reterr, merlon_error_name(MERLON_E_VM_GONE)))
				return r;
			sd_bus_error_free(reterr);
			r = 0;
			continue;
		}
		r = append_cleared(array, vm, names);
	}
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

static int method_clear_all(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	struct manager *m = userdata;
	int r, dry_run;

	r = auth_check(&m->auth, call, AUTH_MANAGE, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = sd_bus_message_read(call, "b", &dry_run);
	if (r >= 0)
		r = bus_need_kernel(m, reterr);
	if (r >= 0)
		r = clear_all(m, dry_run, &report, reterr);
	if (r < 0)
		return r;
	return bus_reply_report(call, report, dry_run ? "ask for each VM by itself" :
				"the rules are dropped; see 'merlon list'", reterr);
}

static int property_version(sd_bus *bus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *reterr)
{
	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)userdata;
	(void)reterr;
	return sd_bus_message_append(reply, "s", MERLON_VERSION);
}

static int property_features(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *reterr)
{
	struct manager *m = userdata;
	const char *word;
	uint64_t bit;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)reterr;
	r = sd_bus_message_open_container(reply, 'a', "s");
	for (unsigned int i = 0; r >= 0 && (word = probe_feature(i, &bit)); i++)
		if (m->kernel && m->caps.features & bit)
			r = sd_bus_message_append(reply, "s", word);
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int property_degraded(sd_bus *bus, const char *path, const char *interface,
			     const char *property, sd_bus_message *reply, void *userdata,
			     sd_bus_error *reterr)
{
	struct manager *m = userdata;
	unsigned int reasons;
	int r;

	(void)bus;
	(void)path;
	(void)interface;
	(void)property;
	(void)reterr;
	r = manager_degraded_bits(m, &reasons);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "s");
	for (unsigned int i = 0; r >= 0 && i < MERLON_DEGRADED_MAX; i++)
		if (reasons & 1U << i)
			r = sd_bus_message_append(reply, "s",
						  merlon_degraded_name((enum merlon_degraded)i));
	return r < 0 ? r : sd_bus_message_close_container(reply);
}

static const sd_bus_vtable manager_vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD_WITH_NAMES("ListVms", NULL,, "aa{sv}", SD_BUS_PARAM(vms),
				 method_list_vms, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("DescribeVm", "s", SD_BUS_PARAM(what), "a{sv}", SD_BUS_PARAM(vm),
				 method_describe_vm, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Probe", NULL,, "s", SD_BUS_PARAM(report),
				 method_probe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Metrics", NULL,, "s", SD_BUS_PARAM(text),
				 method_metrics, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Watch", "s", SD_BUS_PARAM(filter), NULL,,
				 method_watch, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Unwatch", NULL, NULL, method_unwatch, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("Subscribe", "s", SD_BUS_PARAM(filter), "h", SD_BUS_PARAM(stream),
				 method_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("ClearAll", "b", SD_BUS_PARAM(dry_run), "s", SD_BUS_PARAM(report),
				 method_clear_all, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("ReloadPolicies", "b", SD_BUS_PARAM(dry_run), "s",
				 SD_BUS_PARAM(report), policy_bus_reload,
				 SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("ListPolicies", NULL,, "s", SD_BUS_PARAM(policies),
				 policy_bus_list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("LoadPolicy", "ssbb",
				 SD_BUS_PARAM(name) SD_BUS_PARAM(policy) SD_BUS_PARAM(persist)
				 SD_BUS_PARAM(dry_run), "s", SD_BUS_PARAM(report),
				 policy_bus_load, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD_WITH_NAMES("UnloadPolicy", "sbb",
				 SD_BUS_PARAM(name) SD_BUS_PARAM(persist) SD_BUS_PARAM(dry_run),
				 "s", SD_BUS_PARAM(report),
				 policy_bus_unload, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_SIGNAL_WITH_NAMES("Event", "ttss", SD_BUS_PARAM(vm) SD_BUS_PARAM(seq)
				 SD_BUS_PARAM(kind) SD_BUS_PARAM(json), 0),
	SD_BUS_PROPERTY("Version", "s", property_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
	SD_BUS_PROPERTY("Features", "as", property_features, 0, 0),
	SD_BUS_PROPERTY("Degraded", "as", property_degraded, 0, 0),
	SD_BUS_VTABLE_END
};

/* A connection has left the bus. */
static void peer_left(const char *name, void *userdata)
{
	struct manager *m = userdata;

	unread_forget(&m->unread, name);
	watch_remove(&m->watches, name);
	stream_close_name(&m->streams, name);
}

/* It runs again; or it is of a watcher, whose unread events are counted elsewhere. */
static bool call_passes(sd_bus_message *call, void *userdata)
{
	const struct manager *m = userdata;

	return auth_has(&m->auth, call) || watch_has(&m->watches, sd_bus_message_get_sender(call));
}

int manager_bus_publish(struct manager *m)
{
	int r;

	r = peers_follow(&m->peers, m->bus, peer_left, m);
	if (r >= 0)
		r = unread_start(&m->unread, m->bus, m->event, call_passes, m);
	if (r >= 0)
		r = sd_bus_add_object_vtable(m->bus, &m->manager_slot, MERLON_PATH,
					     MERLON_IFACE_MANAGER, manager_vtable, m);
	if (r >= 0)
		r = vm_bus_publish(m);
	return r;
}
