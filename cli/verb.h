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
 * struct verb - one verb
 * @name: what the user types
 * @operands: for help, as "VM [RULE]"
 * @min, @max: how many operands it takes
 * @help: one line
 * @details: paragraphs for 'merlon VERB --help', NULL for none
 * @options: its own options, beside the common ones
 * @run: gets the operands, NULL at their end; prints its own errors
 */
struct verb {
	const char *name;
	const char *operands;
	int min, max;
	const char *help;
	const char *details;
	const struct option_row *options;
	enum merlon_exit (*run)(char **operands);
};

extern const struct verb verb_probe, verb_list, verb_status, verb_protect, verb_unprotect,
	verb_watch, verb_clear, verb_engine, verb_mode, verb_learn, verb_pin, verb_isolation,
	verb_policy, verb_arm, verb_owner, verb_metrics;

/* The common options, set before a verb runs. */
extern bool arg_json, arg_quiet, arg_no_color, arg_dry_run;
extern const char *arg_bus;

/* A row that every verb that changes something has. */
#define OPTION_DRY_RUN							\
	{ .name = "dry-run", .help = "check and say what would change, change nothing", \
	  .flag = &arg_dry_run }

#endif
