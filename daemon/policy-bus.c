// SPDX-License-Identifier: GPL-2.0-or-later
/* Policies on the wire; names and types as in api/org.merlon1.xml. */
#include "auth.h"
#include "bus-fault.h"
#include "log.h"
#include "manager-bus.h"
#include "policy-bus.h"

/* Reads it all again, and answers the call. */
static int reload_and_reply(struct manager *m, sd_bus_message *call, bool dry_run,
			    sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	int r;

	if (!dry_run)
		(void)policy_watch_refresh(m);
	r = policies_reload(m, dry_run, &report);
	if (r < 0)
		return r;
	manager_set_admission(m);
	return bus_reply_report(call, report, dry_run ? "try each policy by itself" :
				"it is done; see 'merlon status VM' for each VM", reterr);
}

int policy_bus_reload(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	struct manager *m = userdata;
	int r, dry_run;

	r = sd_bus_message_read(call, "b", &dry_run);
	if (r < 0)
		return r;
	r = auth_check(&m->auth, call, AUTH_MANAGE, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	return reload_and_reply(m, call, dry_run, reterr);
}

int policy_bus_list(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_free_ char *list = NULL;
	struct manager *m = userdata;
	int r;

	r = auth_check(&m->auth, call, AUTH_LIST, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = policies_list(m, &list);
	if (r < 0)
		return r;
	return bus_reply_report(call, list, "remove policies that are not needed", reterr);
}

static int parse(const char *text, const char *name, struct policy **ret, sd_bus_error *reterr)
{
	_cleanup_free_ char *message = NULL;
	int r;

	r = policy_parse(text, strlen(text), MERLON_TEXT_LABEL, *name ? name : NULL, ret, &message);
	if (r < 0)
		return bus_fault_parse(reterr, r, message);
	r = match_resolve(&(*ret)->match);
	if (r < 0 && r != -ENOMEM)
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_FAILED,
					 "User '%s' cannot be looked up: %s", (*ret)->match.user,
					 strerror(-r));
	return r;
}

static int check_name(const char *name, sd_bus_error *reterr)
{
	return policy_name_is_valid(name) ? 0 :
	       sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS,
				"Expected a policy's name: 1 to 64 of A-Z a-z 0-9 _ . - and not . - "
				"first");
}

/* What is written into a directory must be what counts afterwards. */
static int check_shadow(const struct manager *m, const char *name, enum policy_dir dir,
			sd_bus_error *reterr)
{
	for (int i = 0; i < (int)dir; i++)
		if (policy_file_exists(m->options.policy_dirs[i], name))
			return bus_fault(reterr, MERLON_E_POLICY_SHADOWED,
					 "There is a file for '%s' in %s, which counts before %s",
					 name, m->options.policy_dirs[i],
					 m->options.policy_dirs[dir]);
	return 0;
}

int policy_bus_load(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_(policy_freep) struct policy *policy = NULL;
	_cleanup_free_ char *report = NULL;
	struct manager *m = userdata;
	const char *name, *text;
	int r, persist, dry_run;
	enum policy_dir dir;

	r = bus_read_text(call, MERLON_NAME_MAX, &name, reterr);
	if (r >= 0)
		r = bus_read_text(call, MERLON_TEXT_MAX, &text, reterr);
	if (r >= 0)
		r = sd_bus_message_read(call, "bb", &persist, &dry_run);
	if (r < 0)
		return r;
	r = auth_check(&m->auth, call, AUTH_MANAGE, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	if (*name)
		r = check_name(name, reterr);
	if (r >= 0)
		r = parse(text, name, &policy, reterr);
	if (r < 0)
		return r;
	dir = persist ? POLICY_DIR_ETC : POLICY_DIR_RUN;
	r = check_shadow(m, policy->name, dir, reterr);
	if (r < 0)
		return r;
	if (!policies_find(&m->policies, policy->name) && m->policies.n >= POLICY_MAX)
		return bus_fault(reterr, MERLON_E_LIMITS_EXCEEDED, "There are %d policies already",
				 POLICY_MAX);
	if (dry_run) {
		r = policies_try(m, policy, &report);
		return r < 0 ? r : bus_reply_report(call, report, "match fewer VMs", reterr);
	}
	r = policy_file_write(m->options.policy_dirs[dir], policy->name, policy->text, policy->len);
	if (r < 0)
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_FAILED, "%s/%s.json cannot be "
					 "written: %s", m->options.policy_dirs[dir], policy->name,
					 strerror(-r));
	log_info("Policy '%s' loaded into %s.", policy->name, m->options.policy_dirs[dir]);
	return reload_and_reply(m, call, false, reterr);
}

/* For good: not in /etc any more, where a mask hides what a package brings. */
static int unload_etc(struct manager *m, const char *name, bool *ret_aside)
{
	const char *const *dirs = m->options.policy_dirs;
	int r;

	r = policy_file_set_aside(dirs[POLICY_DIR_ETC], name);
	if (r < 0 && r != -ENOENT)
		return r;
	*ret_aside = r >= 0;
	if (!policy_file_exists(dirs[POLICY_DIR_LIB], name))
		return 0;
	r = policy_file_mask(dirs[POLICY_DIR_ETC], name);
	if (r < 0 && *ret_aside)
		(void)policy_file_restore(dirs[POLICY_DIR_ETC], name);
	return r;
}

/* From /run, and maybe from /etc; all of it or nothing. */
static int unload(struct manager *m, const char *name, bool persist, sd_bus_error *reterr)
{
	const char *const *dirs = m->options.policy_dirs;
	bool aside = false;
	int r;

	r = persist ? unload_etc(m, name, &aside) : 0;
	if (r < 0)
		return sd_bus_error_setf(reterr, SD_BUS_ERROR_FAILED, "Policy '%s' cannot be "
					 "unloaded from %s: %s", name, dirs[POLICY_DIR_ETC],
					 strerror(-r));
	r = policy_file_remove(dirs[POLICY_DIR_RUN], name);
	if (r >= 0 || r == -ENOENT)
		return 0;
	if (persist) {
		(void)policy_file_remove(dirs[POLICY_DIR_ETC], name);
		if (aside)
			(void)policy_file_restore(dirs[POLICY_DIR_ETC], name);
	}
	return sd_bus_error_setf(reterr, SD_BUS_ERROR_FAILED, "Policy '%s' cannot be unloaded "
				 "from %s: %s", name, dirs[POLICY_DIR_RUN], strerror(-r));
}

/* What is left counts instead, so a file that goes must be the one that does. */
static int check_unload(const struct manager *m, const char *name, bool persist,
			sd_bus_error *reterr)
{
	const char *const *dirs = m->options.policy_dirs;
	const struct policies_entry *e = policies_find(&m->policies, name);

	for (int i = 0; i < POLICY_NR_DIRS; i++) {
		if (!policy_file_exists(dirs[i], name))
			continue;
		if (persist && e && e->masked)
			break;
		if (persist || i == POLICY_DIR_RUN)
			return 0;
		return bus_fault(reterr, MERLON_E_POLICY_SHADOWED, "The file for '%s' is in %s",
				 name, dirs[i]);
	}
	return bus_fault(reterr, MERLON_E_NO_SUCH_POLICY, "No policy '%s'", name);
}

int policy_bus_unload(sd_bus_message *call, void *userdata, sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	struct manager *m = userdata;
	int r, persist, dry_run;
	const char *name;

	r = bus_read_text(call, MERLON_NAME_MAX, &name, reterr);
	if (r >= 0)
		r = sd_bus_message_read(call, "bb", &persist, &dry_run);
	if (r < 0)
		return r;
	r = auth_check(&m->auth, call, AUTH_MANAGE, NULL, NULL, reterr);
	if (r <= 0)
		return r < 0 ? r : 1;
	r = check_name(name, reterr);
	if (r >= 0)
		r = check_unload(m, name, persist, reterr);
	if (r < 0)
		return r;
	if (dry_run) {
		r = policies_try_without(m, name, persist ? POLICY_NR_DIRS : POLICY_DIR_LIB,
					 &report);
		return r < 0 ? r : bus_reply_report(call, report, "match fewer VMs", reterr);
	}
	r = unload(m, name, persist, reterr);
	if (r < 0)
		return r;
	log_info("Policy '%s' unloaded%s.", name, persist ? " for good" : "");
	policies_forget(m, name);
	return reload_and_reply(m, call, false, reterr);
}
