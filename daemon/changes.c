// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes of any number of VMs. */
#include "bus-fault.h"
#include "changes.h"
#include "log.h"
#include "util/json.h"

static unsigned long long id_of(const struct change *c)
{
	return c->vm->info.id;
}

void changes_done(struct changes *c)
{
	for (size_t i = 0; i < c->n; i++) {
		change_done(&c->changes[i]);
		free(c->errors[i]);
	}
	free(c->changes);
	free(c->errors);
	*c = (struct changes) {};
}

int changes_add(struct changes *c, struct change *change)
{
	if (change_is_empty(change))
		return 0;
	if (c->n == c->room) {
		size_t room = c->room ? 2 * c->room : 16;
		struct change *grown = reallocarray(c->changes, room, sizeof(*grown));
		char **errors;

		if (grown)
			c->changes = grown;
		errors = grown ? reallocarray(c->errors, room, sizeof(*errors)) : NULL;
		if (!errors)
			return -ENOMEM;
		c->errors = errors;
		c->room = room;
	}
	c->changes[c->n] = *change;
	c->errors[c->n++] = NULL;
	*change = (struct change) {};
	return 0;
}

/* One past the last change of the VM that @first is of. */
static size_t end_of_vm(const struct changes *c, size_t first)
{
	size_t end = first;

	while (end < c->n && c->changes[end].vm == c->changes[first].vm)
		end++;
	return end;
}

static int set_error(struct changes *c, size_t i, const char *message, bool log)
{
	struct change *change = &c->changes[i];

	free(c->errors[i]);
	c->errors[i] = strdup(message);
	if (!c->errors[i])
		return -ENOMEM;
	if (!log)
		return 0;
	change->vm->policy_failed = true;
	if (change->vm->policy_told)
		log_debug("VM #%llu: policy '%s' cannot be applied still: %s", id_of(change),
			  change->policy, message);
	else
		log_error("VM #%llu: policy '%s' cannot be applied: %s", id_of(change),
			  change->policy, message);
	return 0;
}

static int set_failed(struct changes *c, size_t i, const sd_bus_error *error, int r, bool log)
{
	c->changes[i].failed = true;
	return set_error(c, i, error->message ?: strerror(-r), log);
}

/*
 * One that fails leaves its VM's rules of that policy as they were, and others go on.  A
 * plan that is staged counts for the next of the same VM.
 */
static int stage(struct manager *m, struct changes *c, bool dry_run, bool *ret_staged)
{
	for (size_t i = 0; i < c->n; i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		int r;

		r = change_plan(m, &c->changes[i], &error);
		if (r >= 0)
			r = change_stage(&c->changes[i]);
		if (r >= 0) {
			c->changes[i].staged = true;
			*ret_staged = true;
			continue;
		}
		if (r == -ENOMEM || set_failed(c, i, &error, r, !dry_run) < 0)
			return -ENOMEM;
	}
	return 0;
}

static void unstage(struct changes *c)
{
	for (size_t i = c->n; i-- > 0;)
		if (c->changes[i].staged)
			change_unstage(&c->changes[i]);
}

/* Says of whom something is held why that is. */
static int hold(struct changes *c, size_t first, size_t end, bool log)
{
	const struct change *failed = NULL;

	for (size_t i = first; i < end; i++)
		if (c->changes[i].failed)
			failed = &c->changes[i];
	if (!failed)
		return 0;
	change_hold(&c->changes[first], end - first);
	for (size_t i = first; i < end; i++) {
		_cleanup_free_ char *message = NULL;
		const struct vm_rule *held = NULL;
		size_t n = 0;

		for (size_t j = c->changes[i].n_drop; j-- > 0;)
			if (c->changes[i].drop[j].held) {
				held = vm_find_rule(c->changes[i].vm, c->changes[i].drop[j].id);
				n++;
			}
		if (!held)
			continue;
		if (asprintf(&message, "Rule '%s'%s stay%s: what is to take the place cannot be "
			     "set, see policy '%s'", held->rule.name, n > 1 ? " and others" : "",
			     n > 1 ? "" : "s", failed->policy) < 0) {
			message = NULL;
			return -ENOMEM;
		}
		if (set_error(c, i, message, log) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* All that comes to a VM, then all that goes. */
static void commit_vm(struct manager *m, struct changes *c, size_t first, size_t end, bool *save)
{
	int r;

	for (size_t i = first; i < end; i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

		if (c->changes[i].failed)
			continue;
		r = change_commit(m, &c->changes[i], &error);
		*save |= r < 0 || c->changes[i].n_update;
		if (r < 0)
			(void)set_failed(c, i, &error, r, true);
	}
	if (hold(c, first, end, true) < 0)
		(void)log_oom();
	for (size_t i = first; i < end; i++) {
		_cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
		struct change *change = &c->changes[i];

		if (change->failed)
			continue;
		r = change_drop(m, change, &error);
		*save |= change->n_drop;
		if (r < 0)
			(void)set_failed(c, i, &error, r, true);
		else
			log_info("VM #%llu: policy '%s': %zu rules set, %zu changed, %zu dropped, "
				 "%zu as they were.", id_of(change), change->policy, change->n_add,
				 change->n_update, change->n_drop, change->kept);
	}
}

/* Without names nothing is set: nobody would know whose it is. */
static int refuse_all(struct changes *c, int error)
{
	_cleanup_free_ char *message = NULL;

	unstage(c);
	if (asprintf(&message, "Saving the names of rules: %s", strerror(-error)) < 0) {
		message = NULL;
		return -ENOMEM;
	}
	for (size_t i = 0; i < c->n; i++) {
		c->changes[i].vm->policy_failed = true;
		if (c->changes[i].failed)
			continue;
		c->changes[i].failed = true;
		if (set_error(c, i, message, true) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int out_of_memory(struct changes *c, bool dry_run)
{
	unstage(c);
	for (size_t i = 0; !dry_run && i < c->n; i++)
		c->changes[i].vm->policy_failed = true;
	return -ENOMEM;
}

int changes_carry_out(struct manager *m, struct changes *c, bool dry_run)
{
	bool staged = false, save = false;
	int r;

	r = stage(m, c, dry_run, &staged);
	for (size_t i = 0; r >= 0 && dry_run && i < c->n; i = end_of_vm(c, i))
		r = hold(c, i, end_of_vm(c, i), false);
	if (r < 0)
		return out_of_memory(c, dry_run);
	if (dry_run) {
		unstage(c);
		return 0;
	}
	if (!staged)
		return 0;
	/* Names are on disk before the kernel has the rules. */
	r = manager_save(m);
	if (r < 0)
		return r == -ENOMEM ? out_of_memory(c, false) : refuse_all(c, r);
	for (size_t i = 0; i < c->n; i = end_of_vm(c, i))
		commit_vm(m, c, i, end_of_vm(c, i), &save);
	if (save)
		(void)manager_save(m);
	return 0;
}

static int add_name(struct json_object *array, const char *name)
{
	return json_append(array, json_object_new_string(name));
}

/* {"vm", "name", "policy", "set", "changed", "dropped": [rule...], "kept"} */
static int describe_change(const struct change *c, struct json_object **ret)
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
	for (size_t i = 0; r >= 0 && i < c->n_add; i++)
		r = add_name(arrays[c->add[i].replaces != 0], c->add[i].rule->name);
	for (size_t i = 0; r >= 0 && i < c->n_update; i++)
		r = add_name(arrays[1], c->update[i].wanted.name);
	for (size_t i = 0; r >= 0 && i < c->n_drop; i++) {
		const struct vm_rule *old = vm_find_rule(c->vm, c->drop[i].id);

		if (old && !c->drop[i].replaced)
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
	if (r >= 0)
		*ret = TAKE_PTR(o);
	return r;
}

int changes_to_json(const struct changes *c, struct json_object *array)
{
	struct json_object *o;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < c->n; i++) {
		r = describe_change(&c->changes[i], &o);
		if (r >= 0)
			r = json_append(array, o);
	}
	return r;
}

int changes_errors_to_json(const struct changes *c, struct json_object *array)
{
	for (size_t i = 0; i < c->n; i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		if (c->errors[i] && json_add_string(o, "error", c->errors[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}
