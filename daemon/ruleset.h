/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The rules of one VM: setting, dropping and listing them.  Reports are the JSON
 * of org.merlon1.xml.
 */
#ifndef MERLON_RULESET_H
#define MERLON_RULESET_H

#include <stdbool.h>
#include <stddef.h>

#include <systemd/sd-bus.h>

#include <json-c/json.h>

#include "manager.h"
#include "rule.h"
#include "vm.h"

/* Of one call: rules, and bytes they cover. */
#define RULESET_MAX_RULES	1000
#define RULESET_MAX_BYTES	(64ULL << 20)
/* Of all VMs together. */
#define RULESET_MAX_TOTAL	100000
/* Of all VMs together of one user whom the settings do not trust: policies are for his VMs, too. */
#define RULESET_MAX_OF_USER	(RULESET_MAX_TOTAL / 8)

/* The rule as the kernel is told of it. */
struct kvm_vmi_rule ruleset_kernel_rule(const struct vm *vm, const struct vm_rule *r);

/* The rule of that name, or with that id ("#3"); NULL. */
struct vm_rule *ruleset_find(const struct vm *vm, const char *name);

/* Can this host's CPU keep a guest from what the rule denies?  As ruleset_check_vm(). */
int ruleset_check_rights(const struct manager *m, const struct rule *rule,
			  sd_bus_error *reterr);

/* Can this VM be protected?  0, or a negative errno with @reterr set. */
int ruleset_check_vm(const struct vm *vm, sd_bus_error *reterr);

/**
 * ruleset_protect() - sets rules on a VM, all of them or none
 * @m: the manager, with a kernel
 * @vm: the VM
 * @rules: what is asked for
 * @n: how many
 * @dry_run: check everything, change nothing
 * @ret_report: to be freed with free()
 * @reterr: set on failure
 *
 * The names are on disk before the kernel has the rules, so that a rule is never
 * in force without one.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int ruleset_protect(struct manager *m, struct vm *vm, const struct rule *rules, size_t n,
		    bool dry_run, char **ret_report, sd_bus_error *reterr);

/**
 * ruleset_unprotect() - drops a rule, or all
 * @m: the manager, with a kernel
 * @vm: the VM
 * @name: the rule's name, or "#3" for the rule with that id; "": every rule,
 *	orphans included
 * @dry_run: change nothing
 * @ret_report: to be freed with free(); NULL if not wanted
 * @reterr: set on failure
 *
 * Return: as ruleset_protect().
 */
int ruleset_unprotect(struct manager *m, struct vm *vm, const char *name, bool dry_run,
		      char **ret_report, sd_bus_error *reterr);

/* The rule is gone from the kernel: forgets it, with an event. */
void ruleset_forget(struct manager *m, struct vm *vm, uint32_t id);

/* Names of the rules that dropping all would drop, as a JSON array; "#3" for orphans. */
int ruleset_names(const struct vm *vm, struct json_object **ret);

/* The JSON array of ListRules; counters are read from the kernel now. */
int ruleset_list(struct manager *m, struct vm *vm, char **ret, sd_bus_error *reterr);

/**
 * ruleset_reconcile() - the VM's rules as the kernel has them
 * @m: the manager, with a kernel
 * @vm: the VM
 *
 * Rules the kernel has and @vm does not become orphans; rules @vm has and the
 * kernel does not are forgotten, with an event.  Logs.
 *
 * Return: 1 if anything merlond remembers changed, 0, or a negative errno of the
 * kernel (-ESRCH: the VM ended).
 */
int ruleset_reconcile(struct manager *m, struct vm *vm);

/*
 * The same for one VM that somebody asks about: what has changed is saved, and told in
 * STATUS=.  0 or a negative errno of the kernel.
 */
int ruleset_refresh(struct manager *m, struct vm *vm);

#endif
