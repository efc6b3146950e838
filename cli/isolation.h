/* SPDX-License-Identifier: GPL-2.0-or-later */
/* KVM's address-space isolation in words, as the verbs probe and isolation both print it. */
#ifndef MERLON_CLI_ISOLATION_H
#define MERLON_CLI_ISOLATION_H

#include "util/json.h"

/*
 * "isolation    off: KVM was loaded without ...", the @title padded to @width; nothing for
 * the report of an older merlond.  @report: as Probe() answers.
 */
void say_isolation_host(struct json_object *report, const char *title, int width);

/*
 * Adds "symbol" and "address-symbol" to the places of a VM that /proc/kallsyms has names
 * for; as Isolation() answers.  0 or -ENOMEM.
 */
int isolation_name_places(struct json_object *isolation);

/* All that Isolation() answers, for people, in lines of 80 columns; @title: the VM's. */
void say_isolation(struct json_object *isolation, const char *title);

#endif
