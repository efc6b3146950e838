/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may call what.  Every method asks here first.
 */
#ifndef MERLON_AUTH_H
#define MERLON_AUTH_H

#include <sys/types.h>

#include <systemd/sd-bus.h>

/* What a call is about to do. */
enum auth_action {
	AUTH_LIST,		/* learn of VMs, rules, events */
	AUTH_MANAGE,		/* change rules */
};

/**
 * auth_check() - may the sender of a call do this?
 * @m: the call
 * @action: what it wants
 * @ret_uid: the sender's effective uid, may be NULL; set on success only
 * @reterr: set on refusal
 *
 * Return: 1 yes; negative errno no, with @reterr set.  (0 is kept for "asked, the
 * method will be called again".)
 */
int auth_check(sd_bus_message *m, enum auth_action action, uid_t *ret_uid, sd_bus_error *reterr);

#endif
