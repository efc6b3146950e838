// SPDX-License-Identifier: GPL-2.0-or-later
/* The policies of this host, and which of their rules VMs have. */
#include "changes.h"
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

static int by_name(const void *name, const void *entry)
{
	return strcmp(name, ((const struct policies_entry *)entry)->name);
}

struct policies_entry *policies_find(const struct policies *p, const char *name)
{
	if (!*name || !p->n)
		return NULL;
	return bsearch(name, p->entries, p->n, sizeof(*p->entries), by_name);
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

	if (r < 0)
		return r != -ENOMEM && !*reterr ? -ENOMEM : r;
	r = match_resolve(&(*ret)->match);
	if (r >= 0)
		return 0;
	/* The text is right, and may be used when somebody can say again. */
	if (r != -ENOMEM && asprintf(reterr, "%s: /match/user: '%s' cannot be looked up: %s", label,
				     (*ret)->match.user, strerror(-r)) < 0) {
		*reterr = NULL;
		r = -ENOMEM;
	}
	*ret = policy_free(*ret);
	return r == -ENOMEM ? r : -EAGAIN;
}

/* What was right last: what is in force, or was when merlond ended. */
static struct policy *fall_back(const struct manager *m, const struct policy *old,
				const char *name)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	struct policy *policy = NULL;
	size_t len;

	if (old) {
		/* With the user that it had: nobody has to be asked again. */
		if (policy_parse(old->text, old->len, old->name, old->name, &policy, &message) >= 0)
			policy->match.uid = old->match.uid;
	} else if (last_good_read(m->options.state_dir, name, &text, &len) >= 0) {
		(void)parse(text, len, name, name, &policy, &message);
	}
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
		ret->passing = r == -EAGAIN && !file->error;
		if (file->name[0])
			ret->policy = fall_back(m, old ? old->policy : NULL, file->name);
	}
	return 0;
}

static bool any_is_wrong(const struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->entries[i].error)
			return true;
	return false;
}

/* An entry for what was right last, of a policy that has no file, or none that can be read. */
static int add_last_good(const struct manager *m, struct policies *p, const char *name,
			 const char *path, const char *problem)
{
	const struct policies_entry *old = policies_find(&m->policies, name);
	struct policies_entry e = {}, *grown;

	e.policy = fall_back(m, old ? old->policy : NULL, name);
	if (!e.policy)
		return 0;
	strcpy(e.name, name);
	e.dir = old ? old->dir : POLICY_DIR_ETC;
	if (asprintf(&e.path, "%s", path) < 0)
		e.path = NULL;
	if (asprintf(&e.error, "%s: %s", path, problem) < 0)
		e.error = NULL;
	grown = e.path && e.error ? reallocarray(p->entries, p->n + 1, sizeof(*grown)) : NULL;
	if (!grown) {
		entry_done(&e);
		return -ENOMEM;
	}
	p->entries = grown;
	p->entries[p->n++] = e;
	return 0;
}

struct keep {
	const struct manager *m;
	struct policies *p;
	size_t n;		/* entries that are in order, to be searched */
	const char *problem;
};

static int keep_copy(const char *name, void *userdata)
{
	const struct keep *k = userdata;
	const struct policies files = { .entries = k->p->entries, .n = k->n };
	_cleanup_free_ char *path = NULL;

	if (policies_find(&files, name))
		return 0;
	if (asprintf(&path, "%s/last-good/%s.json", k->m->options.state_dir, name) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	return add_last_good(k->m, k->p, name, path, k->problem);
}

static int compare_entries(const void *a, const void *b)
{
	const struct policies_entry *x = a, *y = b;

	return strcmp(x->name, y->name) ?: strcmp(x->path, y->path);
}

/* Those that were in force, or when merlond starts those that were when it ended. */
static int keep_others(const struct manager *m, struct policies *p, const char *problem)
{
	struct keep k = { .m = m, .p = p, .n = p->n, .problem = problem };
	int r = 0;

	if (!m->policies.read)
		r = last_good_each(m->options.state_dir, keep_copy, &k);
	for (size_t i = 0; r >= 0 && m->policies.read && i < m->policies.n; i++) {
		const struct policies_entry *old = &m->policies.entries[i];
		const struct policies files = { .entries = p->entries, .n = k.n };

		if (old->policy && !policies_find(&files, old->name))
			r = add_last_good(m, p, old->name, old->path, problem);
	}
	if (p->n)
		qsort(p->entries, p->n, sizeof(*p->entries), compare_entries);
	return r;
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
	/* Half of a change: the file that is gone may be in the one that is not whole yet. */
	if (any_is_wrong(&p)) {
		r = keep_others(m, &p, "is gone; its rules stay until all other policies are right");
		if (r < 0)
			return r;
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
	if (!any_is_wrong(p))
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

static int add_change(struct changes *c, struct vm *vm, const struct change_groups *groups,
		      const char *name, const struct policy *policy)
{
	_cleanup_(change_done) struct change change = {};
	int r;

	r = change_diff(vm, groups, name, policy ? policy->rules : NULL, policy ? policy->n : 0,
			policy ? policy->mode : MERLON_MODE_ENFORCE, &change);
	return r < 0 ? r : changes_add(c, &change);
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
static int drop_others(struct changes *c, const struct wanted *w, struct vm *vm,
		       const struct change_groups *groups)
{
	size_t n;

	for (size_t i = 0; i < groups->n; i += n) {
		const char *name = vm->rules[groups->rules[i]].policy;
		const struct policy *policy = find_wanted(w, name);
		int r;

		change_groups_find(groups, vm, name, &n);
		if ((policy && is_for(policy, vm)) || is_unknown(w, name))
			continue;
		if (policy && match_needs_identity(&policy->match) && is_anonymous(vm))
			continue;
		r = add_change(c, vm, groups, name, NULL);
		if (r < 0)
			return r;
	}
	return 0;
}

static int diff_vm(struct changes *c, const struct wanted *w, struct vm *vm)
{
	_cleanup_(change_groups_done) struct change_groups groups = {};
	size_t first = c->n;
	int r;

	/* A VM that is dead needs nothing any more. */
	if (vm->info.flags & KVM_VMI_VM_DEAD || vm->gone)
		return 0;
	r = change_groups(vm, &groups);
	for (size_t i = 0; r >= 0 && i < w->policies->n; i++) {
		const struct policy *policy = wanted_policy(w, i);

		if (policy && is_for(policy, vm))
			r = add_change(c, vm, &groups, policy->name, policy);
	}
	if (r >= 0 && w->instead && is_for(w->instead, vm))
		r = add_change(c, vm, &groups, w->instead->name, w->instead);
	/*
	 * Whoever's process could not be asked may be whom a policy means: nothing is dropped; nor
	 * where nobody knows which policies there are.
	 */
	if (r >= 0 && vm->identified && !w->policies->dir_error)
		r = drop_others(c, w, vm, &groups);
	return r < 0 || c->n == first ? r : change_inherit(&c->changes[first], c->n - first);
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

/* What the kernel has by now; false if nobody can tell, or there is nothing to do. */
static bool look_at_rules(struct manager *m, struct vm *vm, bool *changed)
{
	int r = ruleset_reconcile(m, vm);

	*changed |= r > 0;
	if (r >= 0)
		return true;
	if (r != -ESRCH) {
		log_error_errno(r, "VM #%llu: rules cannot be read: %m", id_of(vm));
		vm->policy_failed = true;
	}
	return false;
}

/* The VMs that @filter lets through get the difference to @w; @report may be NULL. */
static int apply(struct manager *m, const struct wanted *w,
		 bool (*filter)(const struct vm *vm), bool dry_run, struct report *report)
{
	_cleanup_(changes_done) struct changes c = {};
	bool changed = false;
	int r = 0;

	if (!m->kernel)
		return 0;
	for (size_t i = 0; r >= 0 && i < m->vms.n; i++) {
		struct vm *vm = m->vms.vms[i];

		if (!vm->known || (filter && !filter(vm)))
			continue;
		/* Others were looked at just now. */
		if (!filter && !look_at_rules(m, vm, &changed))
			continue;
		if (!dry_run)
			vm->policy_failed = false;
		r = diff_vm(&c, w, vm);
	}
	/* As long as the old rules have names. */
	if (r >= 0 && report)
		r = changes_to_json(&c, report->changes);
	if (r >= 0)
		r = changes_carry_out(m, &c, dry_run);
	/* Nobody knows how far it came: it is tried again. */
	for (size_t i = 0; r < 0 && !dry_run && i < m->vms.n; i++)
		m->vms.vms[i]->policy_failed |= m->vms.vms[i]->known &&
						(!filter || filter(m->vms.vms[i]));
	if (r >= 0 && report)
		r = changes_errors_to_json(&c, report->changes);
	if (changed)
		(void)manager_save(m);
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

bool policies_passing(const struct policies *p)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->entries[i].passing)
			return true;
	return false;
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

/* Nothing can be read when merlond starts: what was right last protects new VMs, too. */
static int start_without(struct manager *m, const char *dir_error)
{
	_cleanup_(policies_done) struct policies p = { .read = true };
	int r;

	r = keep_others(m, &p, dir_error);
	if (r < 0)
		return r;
	policies_done(&m->policies);
	m->policies = p;
	p = (struct policies) {};
	return 0;
}

void policies_forget(struct manager *m, const char *name)
{
	struct policies_entry *e = policies_find(&m->policies, name);
	int r;

	for (int i = 0; i < POLICY_NR_DIRS; i++)
		if (policy_file_exists(m->options.policy_dirs[i], name))
			return;
	r = last_good_remove(m->options.state_dir, name);
	if (r < 0)
		log_warning_errno(r, "The copy of policy '%s' in %s cannot be removed, ignoring: %m",
				  name, m->options.state_dir);
	if (!e)
		return;
	entry_done(e);
	m->policies.n--;
	memmove(e, e + 1, (size_t)(m->policies.entries + m->policies.n - e) * sizeof(*e));
}

int policies_reload(struct manager *m, bool dry_run, char **ret_report)
{
	_cleanup_(policies_done) struct policies now = {};
	struct wanted wanted = { .policies = &now };
	struct report report;
	bool keep = false;
	int r;

	r = read_all(m, &now);
	if (r == -ENOMEM)
		return log_oom();
	if (r < 0) {
		/* A directory that cannot be read says nothing about any policy. */
		if (!m->policies.dir_error || !streq(m->policies.dir_error, now.dir_error))
			log_error("Policies stay as they are: %s", now.dir_error);
		if (!dry_run) {
			if (!m->policies.read)
				r = start_without(m, now.dir_error);
			free(m->policies.dir_error);
			m->policies.dir_error = TAKE_PTR(now.dir_error);
			if (r == -ENOMEM)
				return log_oom();
		}
		wanted.policies = &m->policies;
	} else if (!dry_run) {
		struct policies old = m->policies;

		log_errors(&now, &old);
		m->policies = now;
		now = old;
		wanted.policies = &m->policies;
		keep = true;
	}
	r = report_begin(wanted.policies, &report);
	if (r < 0)
		return log_oom();
	if (wanted.policies->read)
		r = apply(m, &wanted, NULL, dry_run, &report);
	/* A disk that is slow delays no protection. */
	if (keep)
		keep_last_good(m);
	manager_notify_status(m);
	return finish(&report, r, ret_report);
}

/* As it would be if the directories were read now. */
static int try(struct manager *m, struct wanted *w, char **ret_report)
{
	_cleanup_(policies_done) struct policies now = {};
	struct report report;
	int r;

	r = read_all(m, &now);
	if (r == -ENOMEM)
		return r;
	w->policies = r < 0 ? &m->policies : &now;
	r = report_begin(w->policies, &report);
	if (r < 0)
		return r;
	r = apply(m, w, NULL, true, &report);
	return finish(&report, r, ret_report);
}

int policies_try(struct manager *m, const struct policy *policy, char **ret_report)
{
	struct wanted wanted = { .instead = policy };

	return try(m, &wanted, ret_report);
}

int policies_try_without(struct manager *m, const char *name, enum policy_dir below,
			 char **ret_report)
{
	_cleanup_(policy_file_done) struct policy_file file = {};
	_cleanup_(policy_freep) struct policy *next = NULL;
	struct wanted wanted = { .without = name };
	_cleanup_free_ char *error = NULL;
	int r = -ENOENT;

	for (int i = below; i < POLICY_NR_DIRS && r == -ENOENT; i++)
		r = policy_file_read(m->options.policy_dirs[i], i, name, &file);
	if (r == -ENOMEM)
		return r;
	/* What is below would count; if it is broken all stays as it is. */
	if (r >= 0 && !file.masked) {
		wanted.without = NULL;
		if (!file.error)
			r = parse(file.text, file.len, file.path, name, &next, &error);
		if (r == -ENOMEM)
			return r;
		wanted.instead = next;
	}
	return try(m, &wanted, ret_report);
}

static void apply_some(struct manager *m, bool (*filter)(const struct vm *vm))
{
	struct wanted wanted = { .policies = &m->policies };
	int r;

	if (!m->policies.read)
		return;
	r = apply(m, &wanted, filter, false, NULL);
	if (r < 0)
		log_error_errno(r, "Policies cannot be applied: %m");
}

static bool is_new(const struct vm *vm)
{
	return vm->policy_due;
}

void policies_apply_new(struct manager *m)
{
	apply_some(m, is_new);
	for (size_t i = 0; i < m->vms.n; i++)
		m->vms.vms[i]->policy_due = false;
}

/* As it is told each half minute, maybe for as long as the VM lives. */
static bool is_told(const struct vm *vm)
{
	return vm->policy_told;
}

void policies_retry(struct manager *m)
{
	bool any = false;

	for (size_t i = 0; i < m->vms.n; i++)
		any |= m->vms.vms[i]->policy_told = m->vms.vms[i]->policy_failed;
	if (any)
		apply_some(m, is_told);
	for (size_t i = 0; i < m->vms.n; i++)
		m->vms.vms[i]->policy_told = false;
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
