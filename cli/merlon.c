// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlon: the table of verbs, the options they share, help.  What a verb does is
 * in cmd-<verb>.c.
 */
#include <stdio.h>

#include "api/version.h"
#include "format.h"
#include "hosts.h"
#include "pager.h"
#include "util/util.h"
#include "verb.h"

bool arg_json, arg_quiet, arg_no_color, arg_dry_run, arg_no_ask_password;
const char *arg_bus, *arg_host;
static bool arg_help, arg_version, arg_no_pager;

static const struct verb *const verbs[] = {
	&verb_probe, &verb_list,  &verb_status, &verb_protect, &verb_pin,
	&verb_unprotect, &verb_mode, &verb_learn, &verb_watch, &verb_events, &verb_clear, &verb_engine,
	&verb_isolation, &verb_policy, &verb_arm, &verb_owner, &verb_explain, &verb_metrics,
};

static const struct option_row common_options[] = {
	{ .name = "json", .help = "print JSON", .flag = &arg_json },
	{ .name = "quiet", .letter = 'q', .help = "print errors only", .flag = &arg_quiet },
	{ .name = "no-color", .help = "no colours; NO_COLOR=1 does the same",
	  .flag = &arg_no_color },
	{ .name = "bus", .value = "ADDRESS",
	  .help = "D-Bus: system (the default, or " MERLON_ENV_BUS "), session or an address",
	  .string = &arg_bus },
	{ .name = "host", .value = "A[,B...]", .help = "on these hosts, by ssh", .string = &arg_host },
	{ .name = "no-pager", .help = "no pager for what is longer than the terminal",
	  .flag = &arg_no_pager },
	{ .name = "no-ask-password", .help = "have nobody asked for a password",
	  .flag = &arg_no_ask_password },
	{ .name = "help", .letter = 'h', .help = "show help", .flag = &arg_help },
	{ .name = "version", .help = "show the version", .flag = &arg_version },
	{}
};

static const struct option_row *find_option(const struct option_row *rows, const char *name,
					    size_t len)
{
	for (; rows && rows->name; rows++)
		if (strlen(rows->name) == len && memcmp(rows->name, name, len) == 0)
			return rows;
	return NULL;
}

static const struct option_row *find_letter(const struct option_row *rows, char letter)
{
	for (; rows && rows->name; rows++)
		if (rows->letter && rows->letter == letter)
			return rows;
	return NULL;
}

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
		if (streq(verbs[i]->name, name))
			return verbs[i];
	return NULL;
}

static enum merlon_exit usage_error(const struct verb *verb, const char *what, const char *arg)
{
	fail("%s%s", what, arg);
	if (verb)
		fail_hint("see 'merlon %s --help'", verb->name);
	else
		fail_hint("see 'merlon --help'");
	return MERLON_EXIT_USAGE;
}

static void print_options(const struct option_row *rows)
{
	for (; rows && rows->name; rows++) {
		char left[64];

		snprintf(left, sizeof(left), "%s%c%s--%s%s%s", rows->letter ? "-" : "  ",
			 rows->letter ?: ' ', rows->letter ? ", " : " ", rows->name,
			 rows->value ? "=" : "", rows->value ?: "");
		printf("  %-24s %s\n", left, rows->help);
	}
}

static void print_help(const struct verb *verb)
{
	if (verb) {
		printf("merlon %s%s%s [OPTION...]\n\n%s.\n", verb->name,
		       *verb->operands ? " " : "", verb->operands, verb->help);
		if (verb->details)
			printf("\n%s\n", verb->details);
		puts("\nOptions:");
		print_options(verb->options);
	} else {
		puts("merlon VERB [OPERAND...] [OPTION...]\n\n"
		     "Protect and watch the memory of KVM guests from outside.\n\nVerbs:");
		for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
			char left[96];

			snprintf(left, sizeof(left), "%s %s", verbs[i]->name, verbs[i]->operands);
			printf("  %-24s %s\n", left, verbs[i]->help);
		}
		puts("\nA VM is named by its id (#17 or 17), its name or its uuid.\n\nOptions:");
	}
	print_options(common_options);
	if (!verb) {
		puts("\nExit codes:");
#define X(name, value, meaning) printf("  %3d  %s\n", value, meaning);
		MERLON_EXIT_CODES(X)
#undef X
		puts("\nmerlon(1) has examples; merlond(8) is the daemon.");
	}
}

struct command {
	const struct verb *verb;
	char **operands;
	int n;
};

/* Long and short options at @argv[*@i]; steps @i over a value of its own. */
static enum merlon_exit parse_option(const struct command *c, char **argv, int *i)
{
	const struct option_row *own = c->verb ? c->verb->options : NULL, *row;
	const char *arg = argv[*i], *value = NULL;

	if (arg[1] == '-') {
		size_t len = strcspn(arg + 2, "=");

		if (arg[2 + len] == '=')
			value = arg + 2 + len + 1;
		row = find_option(common_options, arg + 2, len) ?: find_option(own, arg + 2, len);
	} else {
		/* "-n 5"; clusters are not worth their rules. */
		row = find_letter(common_options, arg[1]) ?: find_letter(own, arg[1]);
		if (arg[2])
			row = NULL;
	}
	if (!row)
		return usage_error(c->verb, "no such option: ", arg);

	if (!row->value) {
		if (value)
			return usage_error(c->verb, "an option without a value has one: ", arg);
		*row->flag = true;
		return MERLON_EXIT_OK;
	}
	if (!value)
		value = argv[++*i];
	if (!value)
		return usage_error(c->verb, "an option needs its value: ", arg);
	if (*row->string)
		return usage_error(c->verb, "an option is given twice: ", arg);
	*row->string = value;
	return MERLON_EXIT_OK;
}

static enum merlon_exit parse_arguments(char **argv, struct command *c)
{
	bool only_operands = false;

	for (int i = 1; argv[i]; i++) {
		enum merlon_exit e;

		if (!only_operands && streq(argv[i], "--")) {
			only_operands = true;
		} else if (!only_operands && argv[i][0] == '-' && argv[i][1]) {
			e = parse_option(c, argv, &i);
			if (e != MERLON_EXIT_OK)
				return e;
		} else if (!c->verb) {
			c->verb = find_verb(argv[i]);
			if (!c->verb)
				return usage_error(NULL, "no such verb: ", argv[i]);
		} else {
			c->operands[c->n++] = argv[i];
		}
	}
	return MERLON_EXIT_OK;
}

static enum merlon_exit run_here(const struct command *c)
{
	struct pager pager = {};
	enum merlon_exit e;

	/* JSON is for programs, and complete in any case. */
	if (c->verb->paged && !arg_json && !arg_no_pager)
		pager_begin(&pager);
	e = c->verb->run(c->operands);
	pager_end(&pager);
	return e;
}

static enum merlon_exit run_on_hosts(const struct command *c)
{
	if (arg_bus)
		return usage_error(c->verb, "--bus does not go with --host: ", arg_bus);
	switch (c->verb->hosts) {
	case VERB_ON_HOSTS:
		return hosts_run(c->verb, c->operands);
	case VERB_BY_ITSELF:
		return run_here(c);
	case VERB_HERE:
		break;
	}
	fail("%s is not for --host: it runs on the host itself", c->verb->name);
	fail_hint("log in there: ssh HOST merlon %s ...", c->verb->name);
	return MERLON_EXIT_USAGE;
}

static enum merlon_exit run(char **argv, struct command *c)
{
	enum merlon_exit e;

	e = parse_arguments(argv, c);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_version) {
		puts("merlon " MERLON_VERSION);
		return MERLON_EXIT_OK;
	}
	if (arg_help) {
		print_help(c->verb);
		return MERLON_EXIT_OK;
	}
	if (!c->verb)
		return usage_error(NULL, "a verb is missing", "");
	if (c->n < c->verb->min)
		return usage_error(c->verb, "an operand is missing: ", c->verb->operands);
	if (c->n > c->verb->max)
		return usage_error(c->verb, "one operand too many: ", c->operands[c->verb->max]);
	return arg_host ? run_on_hosts(c) : run_here(c);
}

int main(int argc, char **argv)
{
	_cleanup_free_ char **operands = calloc((size_t)argc + 1, sizeof(*operands));
	struct command c = { .operands = operands };
	enum merlon_exit e;

	if (!operands)
		return fail_memory();
	e = run(argv, &c);
	/* A full disk or a closed pipe must not look like success. */
	if ((fflush(stdout) != 0 || ferror(stdout)) && e == MERLON_EXIT_OK) {
		/* Whoever has read enough and left, as head does, knows. */
		if (errno != EPIPE)
			fail("cannot write the output: %s", strerror(errno));
		e = MERLON_EXIT_FAILED;
	}
	return e;
}
