/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A verb of merlon: one file, one row.  Help, the manual's check and completion
 * all come from these rows.
 */
#ifndef MERLON_VERB_H
#define MERLON_VERB_H

#include <stdbool.h>

#include "api/names.h"

/**
 * struct option_row - one option
 * @name: without the dashes; NULL ends a table
 * @letter: short form, 0 for none
 * @value: what help calls its value, NULL for a switch
 * @help: one line
 * @flag: set to true by a switch
 * @string: set to the value (of argv) otherwise
 */
struct option_row {
	const char *name;
	char letter;
	const char *value;
	const char *help;
	bool *flag;
	const char **string;
};

/**
 * enum verb_hosts - what a verb is with --host
 * @VERB_ON_HOSTS: it asks merlond and prints the answer: hosts_run() runs it for each
 * @VERB_HERE: it is about this machine, or this terminal
 * @VERB_BY_ITSELF: it looks at arg_host itself
 */
enum verb_hosts {
	VERB_ON_HOSTS,
	VERB_HERE,
	VERB_BY_ITSELF,
};

/**
 * struct verb - one verb
 * @name: what the user types
 * @operands: for help, as "VM [RULE]"
 * @min, @max: how many operands it takes
 * @help: one line
 * @details: paragraphs for 'merlon VERB --help', NULL for none
 * @options: its own options, beside the common ones
 * @hosts: what --host means to it
 * @paged: long output goes to a pager, on a terminal
 * @run: gets the operands, NULL at their end; prints its own errors
 */
struct verb {
	const char *name;
	const char *operands;
	int min, max;
	const char *help;
	const char *details;
	const struct option_row *options;
	enum verb_hosts hosts;
	bool paged;
	enum merlon_exit (*run)(char **operands);
};

extern const struct verb verb_probe, verb_list, verb_status, verb_protect, verb_unprotect,
	verb_watch, verb_clear, verb_engine, verb_mode, verb_learn, verb_pin, verb_isolation,
	verb_policy, verb_arm, verb_owner, verb_metrics, verb_explain, verb_events;

/* The common options, set before a verb runs. */
extern bool arg_json, arg_quiet, arg_no_color, arg_dry_run, arg_no_ask_password;
extern const char *arg_bus, *arg_host;

/* A row that every verb that changes something has. */
#define OPTION_DRY_RUN							\
	{ .name = "dry-run", .help = "check and say what would change, change nothing", \
	  .flag = &arg_dry_run }

#endif
