/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may call what.  Every method asks here first: root may do everything, others
 * what polkit says.  Nothing waits; a call whose answer is not known yet is put
 * aside, and its method runs once more, with the same message, when it is.
 *
 * What calls wait for is accounted to the uid of their connections.
 */
#ifndef MERLON_AUTH_H
#define MERLON_AUTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "vm.h"

/* Calls of one uid that wait, and of these, questions to polkit; root's are not counted. */
#define AUTH_MAX_CALLS	64
#define AUTH_MAX_CHECKS_UID 8
/*
 * Calls of a connection whose uid the bus is still being asked for, so many as a system bus
 * lets wait for answers, and of all such; beyond that each has one.  They are counted with
 * those of the uid when it is known.
 */
#define AUTH_MAX_UNKNOWN 128
#define AUTH_MAX_UNKNOWN_ALL 1024
/* Questions of all: a system bus lets a connection wait for 128 answers at once. */
#define AUTH_MAX_CHECKS	64

/* Microseconds that polkit has, and that it has where somebody may type a password. */
#define AUTH_CHECK_USEC		25000000ULL
#define AUTH_INTERACTIVE_USEC	120000000ULL

/* What a call is about to do: the actions of systemd/org.merlon1.policy. */
enum auth_action {
	AUTH_LIST,		/* learn of VMs, rules, events */
	AUTH_MANAGE,		/* change rules */
};

struct auth_caller;
struct auth_question;

/**
 * struct auth - calls that wait
 * @callers: connections that have such calls
 * @questions: to polkit, which have no answer yet; @asked: so far
 */
struct auth {
	struct auth_caller **callers;
	size_t n;
	struct auth_question *questions;
	uint64_t asked;
};

/**
 * auth_check() - may the sender of a call do this?
 * @a: the calls that wait
 * @message: the call
 * @action: what it wants; a method asks for one
 * @vm: the VM it is about; NULL: all of them, or the one that was meant is not there
 * @ret_uid: the sender's uid, may be NULL; set on success only
 * @reterr: set on refusal
 *
 * The first run of a method is never told "yes".  Which VM the call is about is
 * settled then: if the second run finds another one, it is refused.  A method must
 * say no sooner that there is no such VM than it was let in here, and check all of
 * its arguments in both runs.  Texts are to be read, and so their sizes limited,
 * before a call is put aside.
 *
 * Return: 1 yes; 0 the method is to return 1, it is run again; negative errno no,
 * with @reterr set.
 */
int auth_check(struct auth *a, sd_bus_message *message, enum auth_action action,
	       const struct vm *vm, uid_t *ret_uid, sd_bus_error *reterr);

/* Is it a call that waits here, or one that is about to run again? */
bool auth_has(const struct auth *a, sd_bus_message *message);

/* Forgets the calls; they are not answered. */
void auth_done(struct auth *a);

#endif
