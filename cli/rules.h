/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Setting rules, as the verbs protect and pin both do. */
#ifndef MERLON_CLI_RULES_H
#define MERLON_CLI_RULES_H

#include "api/names.h"

/**
 * set_rules() - has merlond set rules of a VM, and prints what is set
 * @what: the VM, as the user calls it
 * @text: JSON, as method Protect takes it
 * @file: what errors call the file that the text comes from; NULL: options made it, one
 *	rule of a policy, and errors call their names
 *
 * With --dry-run it only says what would be set.  Prints its own errors.
 */
enum merlon_exit set_rules(const char *what, const char *text, const char *file);

#endif
