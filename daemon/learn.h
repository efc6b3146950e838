/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules that learn: what the guest's kernel executes is excepted from them, by the program
 * that is asked about it.  That a rule does is in the kernel, so it goes on while merlond
 * is gone; so are the exceptions.
 */
#ifndef MERLON_LEARN_H
#define MERLON_LEARN_H

#include <stdbool.h>

#include <systemd/sd-bus.h>

#include "manager.h"
#include "vm.h"

/* Can this host learn for that rule?  0, or a negative errno with @reterr set. */
int learn_check(const struct manager *m, const struct rule *rule, sd_bus_error *reterr);

/* For a rule by its cookie; 0 or a negative errno. */
int learn_begin(struct kernel *k, uint64_t cookie);
/* The rule enforces what it has learned; 0 too if it did not learn.  Logs. */
int learn_end(struct kernel *k, uint64_t cookie);
bool learn_is_on(struct kernel *k, uint64_t cookie);

/* Ends it for rules that are gone, which may have been while merlond was.  Logs. */
void learn_sweep(struct manager *m);

/**
 * learn_read() - what a rule leaves open within its range, as the kernel has it now
 * @k: the kernel
 * @vm: the VM
 * @rule: one that may learn
 * @ret: runs of whole frames in order, to be freed with free(); NULL if there are none
 * @ret_n: how many
 *
 * Return: 0; -E2BIG for more than RULE_MAX_EXCEPT; another negative errno.
 */
int learn_read(struct kernel *k, const struct vm *vm, const struct vm_rule *rule,
	       struct rule_span **ret, size_t *ret_n);

/**
 * learn_export() - a rule with what it has learned, as a policy
 * @m: the manager, with a kernel
 * @vm: the VM
 * @name: the rule's
 * @ret: JSON in the vocabulary of rules_parse(), to be freed with free()
 * @reterr: set on failure
 *
 * What the kernel excepts now is what the policy excepts.
 *
 * Return: 0 or a negative errno with @reterr set (-ENOMEM may come without).
 */
int learn_export(struct manager *m, struct vm *vm, const char *name, char **ret,
		 sd_bus_error *reterr);

#endif
