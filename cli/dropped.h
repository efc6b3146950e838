/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Dropping rules, as the verbs unprotect and clear both do. */
#ifndef MERLON_DROPPED_H
#define MERLON_DROPPED_H

#include "bus.h"

/**
 * drop_rules() - drops rules of one VM, or with --dry-run says which
 * @vm: as bus_describe_vm() gives it
 * @name: the rule's; "" for all, which may be none
 */
enum merlon_exit drop_rules(sd_bus *bus, struct json_object *vm, const char *name);

/* "web-1 (#17): dropped idt, text", by @names, an array of strings or NULL. */
void print_dropped(const char *title, struct json_object *names);

#endif
