/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A verb on several hosts at once. */
#ifndef MERLON_CLI_HOSTS_H
#define MERLON_CLI_HOSTS_H

#include "verb.h"

/**
 * hosts_run() - runs a verb for each host of --host, and prints what each has said
 * @verb: one that asks and is answered, VERB_ON_HOSTS
 * @operands: its own
 *
 * Each host has a process of ours with a D-Bus connection of its own through ssh, so that
 * one that does not answer keeps no other waiting. Prints in the order of the hosts.
 *
 * Return: MERLON_EXIT_SOME_HOSTS if any failed, MERLON_EXIT_USAGE if all took the call for
 * a wrong one, MERLON_EXIT_DEGRADED if none failed and one is degraded.
 */
enum merlon_exit hosts_run(const struct verb *verb, char **operands);

/**
 * hosts_say_errors() - what a process of a host wrote to stderr, under the host's name
 * @host: its name
 * @text: lines; cut up
 */
void hosts_say_errors(const char *host, char *text);

#endif
