// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlon protect: sets rules of a VM.  Options become the same JSON text that a
 * file holds.
 */
#include "format.h"
#include "input.h"
#include "rules.h"
#include "verb.h"

static bool arg_page_table;
static const char *arg_rules, *arg_mode;
static const char *arg_name, *arg_gpa, *arg_length, *arg_write, *arg_read, *arg_execute, *arg_action,
	*arg_default, *arg_on_reset;

/* The options that are strings of the rule, under the rule's own keys. */
static const struct {
	const char *key;
	const char **value;
} rule_options[] = {
	{ "name", &arg_name },	   { "gpa", &arg_gpa },		{ "length", &arg_length },
	{ "write", &arg_write },   { "read", &arg_read },	{ "execute", &arg_execute },
	{ "action", &arg_action }, { "default", &arg_default }, { "on-reset", &arg_on_reset },
};

static const struct option_row options[] = {
	{ .name = "name", .value = "NAME", .help = "the rule's name, new to the VM",
	  .string = &arg_name },
	{ .name = "gpa", .value = "ADDRESS", .help = "first byte, a guest physical address (0x...)",
	  .string = &arg_gpa },
	{ .name = "length", .value = "SIZE", .help = "bytes, like 128, 4K, 2M", .string = &arg_length },
	{ .name = "write", .value = "deny", .help = "writes are denied", .string = &arg_write },
	{ .name = "read", .value = "deny", .help = "reads are denied, with writes",
	  .string = &arg_read },
	{ .name = "execute", .value = "WHO",
	  .help = "who may execute: none, user, kernel or both (the default)",
	  .string = &arg_execute },
	{ .name = "action", .value = "VERDICT",
	  .help = "what a violation gets: deny (the default), allow, skip, kill or exit",
	  .string = &arg_action },
	{ .name = "default", .value = "VERDICT",
	  .help = "where the action is not possible: deny, allow or kill", .string = &arg_default },
	{ .name = "on-reset", .value = "WHAT",
	  .help = "when the guest resets: disarm (the default), keep or kill",
	  .string = &arg_on_reset },
	{ .name = "page-table", .help = "the range holds page tables: page walks are served",
	  .flag = &arg_page_table },
	{ .name = "mode", .value = "MODE", .help = "enforce (the default), or monitor: report only",
	  .string = &arg_mode },
	{ .name = "rules", .value = "FILE", .help = "take the rules from a file, - for stdin",
	  .string = &arg_rules },
	OPTION_DRY_RUN,
	{}
};

/* Hexadecimal digits as people copy them; JSON wants small ones. */
static char *small_digits(const char *s)
{
	char *copy = strdup(s);

	for (char *p = copy; p && *p; p++)
		if (*p >= 'A' && *p <= 'F')
			*p = (char)(*p - 'A' + 'a');
	return copy;
}

static int build_rule(struct json_object **ret)
{
	_cleanup_json_ struct json_object *rule = json_object_new_object();

	if (!rule)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(rule_options); i++) {
		_cleanup_free_ char *small = NULL;
		const char *value = *rule_options[i].value;

		if (!value)
			continue;
		if (rule_options[i].value == &arg_gpa) {
			value = small = small_digits(value);
			if (!small)
				return -ENOMEM;
		}
		if (json_add_string(rule, rule_options[i].key, value) < 0)
			return -ENOMEM;
	}
	if (arg_page_table && json_add_bool(rule, "page-table", true) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(rule);
	return 0;
}

static int build_text(char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *rules, *rule;

	if (!o)
		return -ENOMEM;
	if (arg_mode && json_add_string(o, "mode", arg_mode) < 0)
		return -ENOMEM;
	rules = json_object_new_array();
	if (json_add(o, "rules", rules) < 0 || build_rule(&rule) < 0 ||
	    json_append(rules, rule) < 0)
		return -ENOMEM;
	return json_text(o, JSON_ONE_LINE, ret);
}

static enum merlon_exit need_option(const char *name)
{
	fail("protect needs --%s, or --rules=FILE", name);
	fail_hint("see 'merlon protect --help'");
	return MERLON_EXIT_USAGE;
}

static enum merlon_exit get_text(char **ret)
{
	bool by_options = arg_page_table || arg_mode;

	for (size_t i = 0; i < ARRAY_SIZE(rule_options); i++)
		by_options |= *rule_options[i].value != NULL;
	if (arg_rules && by_options) {
		fail("--rules does not go with options that make a rule");
		fail_hint("write the rule into the file, or leave --rules out");
		return MERLON_EXIT_USAGE;
	}
	if (arg_rules)
		return read_input(arg_rules, ret);
	if (!arg_name)
		return need_option("name");
	if (!arg_gpa)
		return need_option("gpa");
	if (!arg_length)
		return need_option("length");
	if (!arg_write && !arg_execute)
		return need_option("write=deny or --execute");
	return build_text(ret) < 0 ? fail_memory() : MERLON_EXIT_OK;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_free_ char *text = NULL;
	enum merlon_exit e;

	e = get_text(&text);
	if (e != MERLON_EXIT_OK)
		return e;
	return set_rules(operands[0], text,
			 arg_rules && streq(arg_rules, "-") ? "stdin" : arg_rules);
}

const struct verb verb_protect = {
	.name = "protect",
	.operands = "VM",
	.min = 1,
	.max = 1,
	.help = "Set rules of a VM",
	.details = "One rule by options:\n"
		   "  merlon protect web-1 --name=idt --gpa=0x1e0000 --length=4K --write=deny\n"
		   "  merlon protect web-1 --name=heap --gpa=0x8000000 --length=2M --execute=user\n"
		   "or those of a file, all or none; the file's \"match\" is ignored:\n"
		   "  merlon protect web-1 --rules=linux-kernel.json\n"
		   "They are in force when merlon returns, and end with the VM.",
	.options = options,
	.run = run,
};
