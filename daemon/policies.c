// SPDX-License-Identifier: GPL-2.0-or-later
/* The policies of this host, and which of their rules VMs have. */
#include "change.h"
#include "last-good.h"
#include "log.h"
#include "manager.h"
#include "policies.h"
#include "ruleset.h"
#include "util/json.h"

static unsigned long long id_of(const struct vm *vm)
{
	return vm->info.id;
}

static void entry_done(struct policies_entry *entry)
{
	policy_free(entry->policy);
	free(entry->path);
	free(entry->error);
}

void policies_done(struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		entry_done(&p->entries[i]);
	free(p->entries);
	free(p->dir_error);
	*p = (struct policies) {};
}

struct policies_entry *policies_find(const struct policies *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (*name && streq(p->entries[i].name, name))
			return &p->entries[i];
	return NULL;
}

bool policies_enforce(const struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->entries[i].policy &&
		    streq(p->entries[i].policy->mode, MERLON_MODE_ENFORCE))
			return true;
	return false;
}

/* A text, or what is wrong with it. */
static int parse(const char *text, size_t len, const char *label, const char *name,
		 struct policy **ret, char **reterr)
{
	int r = policy_parse(text, len, label, name, ret, reterr);

	if (r >= 0)
		match_resolve(&(*ret)->match);
	else if (r != -ENOMEM && !*reterr)
		r = -ENOMEM;
	return r;
}

/* What was right last: what is in force, or was when merlond ended. */
static struct policy *fall_back(const struct manager *m, const struct policy *old,
				const char *name)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	struct policy *policy = NULL;
	size_t len;

	if (old)
		(void)parse(old->text, old->len, old->name, old->name, &policy, &message);
	else if (last_good_read(m->options.state_dir, name, &text, &len) >= 0)
		(void)parse(text, len, name, name, &policy, &message);
	return policy;
}

static int read_entry(const struct manager *m, const struct policy_file *file,
		      struct policies_entry *ret)
{
	const struct policies_entry *old = policies_find(&m->policies, file->name);
	_cleanup_free_ char *error = NULL;
	int r;

	memcpy(ret->name, file->name, sizeof(ret->name));
	ret->dir = file->dir;
	ret->masked = file->masked;
	ret->path = strdup(file->path);
	if (!ret->path)
		return -ENOMEM;
	if (file->masked)
		return 0;
	if (file->error) {
		error = strdup(file->error);
		r = error ? -EINVAL : -ENOMEM;
	} else {
		r = parse(file->text, file->len, file->path, file->name, &ret->policy, &error);
	}
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		ret->error = TAKE_PTR(error);
		if (file->name[0])
			ret->policy = fall_back(m, old ? old->policy : NULL, file->name);
	}
	return 0;
}

/* What the directories say; what was in force is used where a file is broken. */
static int read_all(const struct manager *m, struct policies *ret)
{
	_cleanup_(policy_files_done) struct policy_files files = {};
	_cleanup_(policies_done) struct policies p = { .read = true };
	const char *dir = NULL, *problem = NULL;
	int r;

	r = policy_files_read(m->options.policy_dirs, &files, &dir, &problem);
	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		if (asprintf(&ret->dir_error, "%s: %s", dir, problem) < 0) {
			ret->dir_error = NULL;
			return -ENOMEM;
		}
		return r;
	}
	p.entries = calloc(files.n + 1, sizeof(*p.entries));
	if (!p.entries)
		return -ENOMEM;
	for (; p.n < files.n; p.n++) {
		r = read_entry(m, &files.files[p.n], &p.entries[p.n]);
		if (r < 0) {
			entry_done(&p.entries[p.n]);
			return r;
		}
	}
	*ret = p;
	p = (struct policies) {};
	return 0;
}

/* Each problem once. */
static void log_errors(const struct policies *now, const struct policies *before)
{
	for (size_t i = 0; i < now->n; i++) {
		const struct policies_entry *e = &now->entries[i], *old = NULL;

		for (size_t j = 0; j < before->n; j++)
			if (streq(before->entries[j].path, e->path))
				old = &before->entries[j];
		if (e->error && !(old && old->error && streq(old->error, e->error)))
			log_error("Policy: %s%s", e->error,
				  e->policy ? "; what was right last stays in force" : "");
		else if (!e->error && old && old->error)
			log_notice("Policy: %s is right again.", e->path);
	}
}

static bool is_wanted(const char *name, void *userdata)
{
	const struct policies_entry *e = policies_find(userdata, name);

	return e && !e->masked;
}

static void keep_last_good(const struct manager *m)
{
	const struct policies *p = &m->policies;

	for (size_t i = 0; i < p->n; i++) {
		const struct policies_entry *e = &p->entries[i];
		int r;

		if (!e->policy || e->error)
			continue;
		r = last_good_save(m->options.state_dir, e->name, e->policy->text, e->policy->len);
		if (r < 0)
			log_warning_errno(r, "Policy '%s' is not kept in %s, ignoring: %m", e->name,
					  m->options.state_dir);
	}
	last_good_sweep(m->options.state_dir, is_wanted, (void *)p);
}

/*
 * The policies that a difference is made to: those there are, with one in the place of its
 * namesake or without it.
 */
struct wanted {
	const struct policies *policies;
	const struct policy *instead;
	const char *without;
};

static const struct policy *wanted_policy(const struct wanted *w, size_t i)
{
	const struct policies_entry *e = &w->policies->entries[i];

	if ((w->instead && streq(e->name, w->instead->name)) ||
	    (w->without && streq(e->name, w->without)))
		return NULL;
	return e->policy;
}

static const struct policy *find_wanted(const struct wanted *w, const char *name)
{
	const struct policies_entry *e;

	if (w->instead && streq(w->instead->name, name))
		return w->instead;
	if (w->without && streq(w->without, name))
		return NULL;
	e = policies_find(w->policies, name);
	return e ? e->policy : NULL;
}

static bool is_for(const struct policy *policy, const struct vm *vm)
{
	const struct match_subject subject = {
		.name = vm->identity.name,
		.uuid = vm->identity.uuid,
		.unit = vm->identity.unit,
		.uid = vm->info.uid,
		.pid = vm->info.pid,
		.trusted = vm->trusted,
	};

	return match_applies(&policy->match, &subject);
}

/* Differences of any number of VMs, which are carried out together. */
struct changes {
	struct change *changes;
	char **errors;
	size_t n;
	size_t room;
};

static void changes_done(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		change_done(&c->changes[i]);
		free(c->errors[i]);
	}
	free(c->changes);
	free(c->errors);
}

static int add_change(struct changes *c, struct vm *vm, const char *name,
		      const struct policy *policy)
{
	struct change change;
	int r;

	r = change_diff(vm, name, policy ? policy->rules : NULL, policy ? policy->n : 0,
			policy ? policy->mode : MERLON_MODE_ENFORCE, &change);
	if (r < 0)
		return r;
	if (change_is_empty(&change)) {
		change_done(&change);
		return 0;
	}
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct change *grown = reallocarray(c->changes, room, sizeof(*grown));
		char **errors;

		if (grown)
			c->changes = grown;
		errors = grown ? reallocarray(c->errors, room, sizeof(*errors)) : NULL;
		if (!errors) {
			change_done(&change);
			return -ENOMEM;
		}
		c->errors = errors;
		c->room = room;
	}
	c->changes[c->n] = change;
	c->errors[c->n++] = NULL;
	return 0;
}

/* Its file is broken, and what it last said is lost: nobody has taken anything back. */
static bool is_unknown(const struct wanted *w, const char *name)
{
	const struct policies_entry *e = policies_find(w->policies, name);

	return e && e->error && !e->policy && !find_wanted(w, name) &&
	       !(w->without && streq(w->without, name));
}

/*
 * Nobody is left who could say who the VM is (its VM was handed to another process, say), so
 * that a policy is not for it cannot be known.
 */
static bool is_anonymous(const struct vm *vm)
{
	return !vm->identity.name[0] && !vm->identity.uuid[0] && !vm->identity.unit[0];
}

/* Rules of policies that are no more, or not for this VM any more. */
static int drop_others(struct changes *c, const struct wanted *w, struct vm *vm)
{
	const char *last = "";

	for (size_t i = 0; i < vm->n_rules; i++) {
		const struct vm_rule *rule = &vm->rules[i];
		const struct policy *policy;
		bool seen = false;
		int r;

		if (!rule->policy[0] || rule->orphan || streq(rule->policy, last))
			continue;
		last = rule->policy;
		for (size_t j = 0; j < c->n && !seen; j++)
			seen = c->changes[j].vm == vm && streq(c->changes[j].policy, last);
		policy = find_wanted(w, last);
		if (seen || (policy && is_for(policy, vm)) || is_unknown(w, last))
			continue;
		if (policy && match_needs_identity(&policy->match) && is_anonymous(vm))
			continue;
		r = add_change(c, vm, last, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int diff_vm(struct changes *c, const struct wanted *w, struct vm *vm)
{
	int r = 0;

	/* A VM that is dead needs nothing any more. */
	if (vm->info.flags & KVM_VMI_VM_DEAD || vm->gone)
		return 0;
	for (size_t i = 0; r >= 0 && i < w->policies->n; i++) {
		const struct policy *policy = wanted_policy(w, i);

		if (policy && is_for(policy, vm))
			r = add_change(c, vm, policy->name, policy);
	}
	if (r >= 0 && w->instead && is_for(w->instead, vm))
		r = add_change(c, vm, w->instead->name, w->instead);
	/* Whoever's process could not be asked may be whom a policy means: nothing is dropped. */
	if (r >= 0 && vm->identified)
		r = drop_others(c, w, vm);
	return r;
}

static int set_failed(struct changes *c, size_t i, const sd_bus_error *error, int r)
{
	struct change *change = &c->changes[i];

	change->vm->policy_failed = true;
	c->errors[i] = strdup(error->message ?: strerror(-r));
	if (!c->errors[i])
		return -ENOMEM;
	if (change->vm->policy_told)
		log_debug("VM #%llu: policy '%s' cannot be applied still: %s", id_of(change->vm),
			  change->policy, c->errors[i]);
	else
		log_error("VM #%llu: policy '%s' cannot be applied: %s", id_of(change->vm),
			  change->policy, c->errors[i]);
	return 0;
}

/*
 * One that fails leaves its VM's rules of that policy as they were, and others go on.  A
 * plan that is staged counts for the next of the same VM.
 */
static int stage_changes(struct manager *m, struct changes *c, bool dry_run, bool *ret_staged)
{
	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		struct change *change = &c->changes[i];
		int r;

		r = change_plan(m, change, &error);
		if (r >= 0 && dry_run) {
			change_unplan(change);
			continue;
		}
		if (r >= 0)
			r = change_stage(change);
		if (r == -ENOMEM)
			return r;
		if (r >= 0) {
			*ret_staged = true;
			continue;
		}
		if (dry_run)
			c->errors[i] = strdup(error.message ?: strerror(-r));
		else if (set_failed(c, i, &error, r) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void commit_changes(struct manager *m, struct changes *c)
{
	bool save = false;

	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		struct change *change = &c->changes[i];
		int r;

		if (c->errors[i])
			continue;
		r = change_commit(m, change, &error);
		save |= r < 0 || change->n_drop;
		if (r < 0) {
			(void)set_failed(c, i, &error, r);
			continue;
		}
		log_info("VM #%llu: policy '%s': %zu rules set, %zu changed, %zu dropped, %zu as "
			 "they were.", id_of(change->vm), change->policy, change->n_add,
			 change->n_update, change->n_drop, change->kept);
	}
	if (save)
		(void)manager_save(m);
}

static void unstage_all(struct changes *c)
{
	for (size_t i = c->n; i-- > 0;)
		if (!c->errors[i] && c->changes[i].planned)
			change_unstage(&c->changes[i]);
}

static int carry_out(struct manager *m, struct changes *c, bool dry_run)
{
	bool staged = false;
	int r;

	r = stage_changes(m, c, dry_run, &staged);
	if (r >= 0 && staged)
		/* Names are on disk before the kernel has the rules. */
		r = manager_save(m);
	if (r < 0) {
		unstage_all(c);
		for (size_t i = 0; i < c->n; i++)
			c->changes[i].vm->policy_failed = true;
		return r;
	}
	if (staged)
		commit_changes(m, c);
	return 0;
}

static int add_name(struct json_object *array, const char *name)
{
	return json_append(array, json_object_new_string(name));
}

/* {"vm", "name", "policy", "set", "changed", "dropped": [rule...], "kept", "error"} */
static int describe_change(const struct change *c, const char *error, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	static const char *const keys[] = { "set", "changed", "dropped" };
	struct json_object *arrays[ARRAY_SIZE(keys)];
	int r = o ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(keys); i++) {
		arrays[i] = json_object_new_array();
		r = json_add(o, keys[i], arrays[i]);
	}
	/* What takes a rule's place is a change of it. */
	for (size_t i = 0; r >= 0 && i < c->n_add; i++) {
		const struct rule *rule = c->add[i].rule;
		bool replaces = false;

		for (size_t j = 0; j < c->n_drop; j++) {
			const struct vm_rule *old = vm_find_rule(c->vm, c->drop[j]);

			replaces |= old && streq(old->rule.name, rule->name);
		}
		r = add_name(arrays[replaces], rule->name);
	}
	for (size_t i = 0; r >= 0 && i < c->n_update; i++)
		r = add_name(arrays[1], c->update[i].wanted.name);
	for (size_t i = 0; r >= 0 && i < c->n_drop; i++) {
		const struct vm_rule *old = vm_find_rule(c->vm, c->drop[i]);
		bool replaced = false;

		for (size_t j = 0; old && j < c->n_add; j++)
			replaced |= streq(old->rule.name, c->add[j].rule->name);
		if (old && !replaced)
			r = add_name(arrays[2], old->rule.name);
	}
	if (r >= 0)
		r = json_add_u64(o, "vm", c->vm->info.id);
	if (r >= 0)
		r = json_add_string(o, "name", c->vm->identity.name);
	if (r >= 0)
		r = json_add_string(o, "policy", c->policy);
	if (r >= 0)
		r = json_add_u64(o, "kept", c->kept);
	if (r >= 0 && error)
		r = json_add_string(o, "error", error);
	if (r >= 0)
		*ret = TAKE_PTR(o);
	return r;
}

static int add_invalid(struct json_object *array, const char *file, const char *error,
		       bool in_force)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	if (!o || json_add_string(o, "file", file) < 0 || json_add_string(o, "error", error) < 0 ||
	    json_add_bool(o, "last-good", in_force) < 0)
		return -ENOMEM;
	return json_append(array, TAKE_PTR(o));
}

/* {"policies": how many, "invalid": [{"file", "error", "last-good"}], "changes": [...]} */
struct report {
	struct json_object *o;
	struct json_object *changes;
};

static int report_begin(const struct policies *p, struct report *ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *invalid, *changes;
	size_t n = 0;
	int r = o ? 0 : -ENOMEM;

	invalid = json_object_new_array();
	if (r >= 0)
		r = json_add(o, "invalid", invalid);
	else
		json_object_put(invalid);
	if (r >= 0 && p->dir_error)
		r = add_invalid(invalid, p->dir_error, p->dir_error, true);
	for (size_t i = 0; r >= 0 && i < p->n; i++) {
		const struct policies_entry *e = &p->entries[i];

		n += e->policy != NULL;
		if (e->error)
			r = add_invalid(invalid, e->path, e->error, e->policy != NULL);
	}
	if (r >= 0)
		r = json_add_u64(o, "policies", n);
	if (r < 0)
		return r;
	changes = json_object_new_array();
	r = json_add(o, "changes", changes);
	if (r < 0)
		return r;
	*ret = (struct report) { .o = TAKE_PTR(o), .changes = changes };
	return 0;
}

static int report_changes(struct report *report, const struct changes *c)
{
	struct json_object *o;
	int r = 0;

	for (size_t i = 0; report && r >= 0 && i < c->n; i++) {
		r = describe_change(&c->changes[i], c->errors[i], &o);
		if (r >= 0)
			r = json_append(report->changes, o);
	}
	return r;
}

/* The errors of what was tried, which the changes before it do not know yet. */
static int report_errors(struct report *report, const struct changes *c)
{
	for (size_t i = 0; report && i < c->n; i++) {
		struct json_object *o = json_object_array_get_idx(report->changes, i);

		if (c->errors[i] && json_add_string(o, "error", c->errors[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Each VM, or one, gets the difference to @w; @report may be NULL. */
static int apply(struct manager *m, const struct wanted *w, struct vm *only, bool dry_run,
		 struct report *report)
{
	_cleanup_(changes_done) struct changes c = {};
	int r = 0;

	if (!m->kernel)
		return 0;
	for (size_t i = 0; r >= 0 && i < m->vms.n; i++) {
		struct vm *vm = m->vms.vms[i];

		if ((only && vm != only) || !vm->known)
			continue;
		if (!dry_run)
			vm->policy_failed = false;
		r = diff_vm(&c, w, vm);
	}
	/* As long as the old rules have names. */
	if (r >= 0)
		r = report_changes(report, &c);
	if (r >= 0)
		r = carry_out(m, &c, dry_run);
	if (r >= 0)
		r = report_errors(report, &c);
	return r;
}

static int finish(struct report *report, int r, char **ret)
{
	if (r >= 0 && ret)
		r = json_text(report->o, JSON_ONE_LINE, ret);
	json_object_put(report->o);
	return r;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && streq(a, b));
}

/* Does it say the same, as far as VMs are concerned, and about the files? */
static bool same_policies(const struct policies *a, const struct policies *b)
{
	if (!a->read || !b->read || a->n != b->n || a->dir_error || b->dir_error)
		return false;
	for (size_t i = 0; i < a->n; i++) {
		const struct policies_entry *x = &a->entries[i], *y = &b->entries[i];

		if (!streq(x->path, y->path) || x->masked != y->masked ||
		    !same_text(x->error, y->error) ||
		    !same_text(x->policy ? x->policy->text : NULL,
			       y->policy ? y->policy->text : NULL))
			return false;
	}
	return true;
}

void policies_look(struct manager *m)
{
	_cleanup_(policies_done) struct policies now = {};
	int r = read_all(m, &now);

	if (r == -ENOMEM)
		(void)log_oom();
	else if (r < 0 || !same_policies(&now, &m->policies))
		(void)policies_reload(m, false, NULL);
}

int policies_reload(struct manager *m, bool dry_run, char **ret_report)
{
	_cleanup_(policies_done) struct policies now = {};
	struct wanted wanted = { .policies = &now };
	struct report report;
	int r;

	r = read_all(m, &now);
	if (r == -ENOMEM)
		return log_oom();
	if (r < 0) {
		/* A directory that cannot be read says nothing about any policy. */
		if (!m->policies.dir_error || !streq(m->policies.dir_error, now.dir_error))
			log_error("Policies stay as they are: %s", now.dir_error);
		if (!dry_run) {
			free(m->policies.dir_error);
			m->policies.dir_error = TAKE_PTR(now.dir_error);
		}
		wanted.policies = &m->policies;
	} else if (!dry_run) {
		struct policies old = m->policies;

		log_errors(&now, &old);
		m->policies = now;
		now = old;
		wanted.policies = &m->policies;
		keep_last_good(m);
	}
	r = report_begin(wanted.policies, &report);
	if (r < 0)
		return log_oom();
	if (wanted.policies->read)
		r = apply(m, &wanted, NULL, dry_run, &report);
	manager_notify_status(m);
	return finish(&report, r, ret_report);
}

static int try(struct manager *m, const struct wanted *w, char **ret_report)
{
	struct report report;
	int r = report_begin(w->policies, &report);

	if (r < 0)
		return r;
	r = apply(m, w, NULL, true, &report);
	return finish(&report, r, ret_report);
}

int policies_try(struct manager *m, const struct policy *policy, char **ret_report)
{
	struct wanted wanted = { .policies = &m->policies, .instead = policy };

	return try(m, &wanted, ret_report);
}

int policies_try_without(struct manager *m, const char *name, char **ret_report)
{
	struct wanted wanted = { .policies = &m->policies, .without = name };

	return try(m, &wanted, ret_report);
}

void policies_apply(struct manager *m, struct vm *vm)
{
	struct wanted wanted = { .policies = &m->policies };
	int r;

	if (!m->policies.read)
		return;
	r = apply(m, &wanted, vm, false, NULL);
	if (r < 0)
		log_error_errno(r, "VM #%llu: policies cannot be applied: %m", id_of(vm));
}

void policies_retry(struct manager *m)
{
	for (size_t i = 0; i < m->vms.n; i++) {
		struct vm *vm = m->vms.vms[i];

		if (!vm->policy_failed)
			continue;
		/* Each half minute, maybe for as long as the VM lives. */
		vm->policy_told = true;
		policies_apply(m, vm);
		vm->policy_told = false;
	}
}

/* Ids of the VMs that the policy is for. */
static int add_vms(struct json_object *o, const struct manager *m, const struct policy *policy)
{
	struct json_object *array = json_object_new_array();
	int r;

	r = json_add(o, "vms", array);
	for (size_t i = 0; r >= 0 && i < m->vms.n; i++)
		if (m->vms.vms[i]->known && is_for(policy, m->vms.vms[i]))
			r = json_append(array,
					json_object_new_uint64(m->vms.vms[i]->info.id));
	return r;
}

static int describe_entry(const struct manager *m, const struct policies_entry *e,
			  struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	int r;

	if (!o)
		return -ENOMEM;
	r = json_add_string(o, "name", e->name);
	if (r >= 0)
		r = json_add_string(o, "file", e->path);
	if (r >= 0)
		r = json_add_string(o, "state", e->masked ? "masked" :
						e->policy && e->error ? "last-good" :
						e->policy ? "in-force" : "invalid");
	if (r >= 0 && e->policy)
		r = json_add_string(o, "mode", e->policy->mode);
	if (r >= 0 && e->policy)
		r = json_add_u64(o, "rules", e->policy->n);
	if (r >= 0 && e->policy)
		r = add_vms(o, m, e->policy);
	if (r >= 0 && e->error)
		r = json_add_string(o, "error", e->error);
	if (r >= 0)
		*ret = TAKE_PTR(o);
	return r;
}

int policies_list(const struct manager *m, char **ret)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	struct json_object *o;
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < m->policies.n; i++) {
		r = describe_entry(m, &m->policies.entries[i], &o);
		if (r >= 0)
			r = json_append(array, o);
	}
	return r < 0 ? r : json_text(array, JSON_ONE_LINE, ret);
}
