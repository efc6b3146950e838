// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlon pin: sets a rule that keeps a guest from clearing bits of its control registers.
 * Options become the same JSON text that a file holds.
 */
#include "format.h"
#include "rules.h"
#include "verb.h"

/* As docs/examples/linux-cpu-protections.json calls it. */
#define DEFAULT_NAME "cpu-protections"

static const char *arg_name, *arg_cr0, *arg_cr4, *arg_efer, *arg_efi_runtime, *arg_action,
	*arg_default, *arg_on_reset, *arg_mode;

/* The registers, whose values are lists of bits. */
static const struct {
	const char *key;
	const char **value;
} register_options[] = {
	{ "cr0", &arg_cr0 }, { "cr4", &arg_cr4 }, { "efer", &arg_efer },
};

/* The options that are strings of the rule, under the rule's own keys. */
static const struct {
	const char *key;
	const char **value;
} rule_options[] = {
	{ "efi-runtime", &arg_efi_runtime }, { "action", &arg_action },
	{ "default", &arg_default },	     { "on-reset", &arg_on_reset },
};

static const struct option_row options[] = {
	{ .name = "cr0", .value = "BITS", .help = "bits of CR0: wp", .string = &arg_cr0 },
	{ .name = "cr4", .value = "BITS",
	  .help = "bits of CR4, with commas: smep, smap, umip, cet, lass", .string = &arg_cr4 },
	{ .name = "efer", .value = "BITS", .help = "bits of EFER: nx", .string = &arg_efer },
	{ .name = "efi-runtime", .value = "no",
	  .help = "the guest does not call EFI's runtime services, as lass needs",
	  .string = &arg_efi_runtime },
	{ .name = "name", .value = "NAME",
	  .help = "the rule's name, new to the VM (" DEFAULT_NAME ")", .string = &arg_name },
	{ .name = "action", .value = "VERDICT",
	  .help = "what a violation gets: deny (the default), allow, skip or kill",
	  .string = &arg_action },
	{ .name = "default", .value = "VERDICT",
	  .help = "where the action is not possible: deny, allow or kill", .string = &arg_default },
	{ .name = "on-reset", .value = "WHAT",
	  .help = "when the guest resets: disarm (the default), keep or kill",
	  .string = &arg_on_reset },
	{ .name = "mode", .value = "MODE", .help = "enforce (the default), or monitor: report only",
	  .string = &arg_mode },
	OPTION_DRY_RUN,
	{}
};

/* "smep,smap" as an array; which words there are is merlond's to say. */
static int add_bits(struct json_object *pin, const char *key, const char *list)
{
	_cleanup_json_ struct json_object *bits = json_object_new_array();
	int r = bits ? 0 : -ENOMEM;

	while (r >= 0) {
		size_t n = strcspn(list, ",");

		r = json_append(bits, json_object_new_string_len(list, (int)n));
		if (!list[n])
			break;
		list += n + 1;
	}
	return r < 0 ? r : json_add(pin, key, TAKE_PTR(bits));
}

static int build_rule(struct json_object **ret)
{
	_cleanup_json_ struct json_object *rule = json_object_new_object();
	struct json_object *pin = json_object_new_object();

	if (!rule) {
		json_object_put(pin);
		return -ENOMEM;
	}
	if (json_add(rule, "pin", pin) < 0 ||
	    json_add_string(rule, "name", arg_name ?: DEFAULT_NAME) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(register_options); i++)
		if (*register_options[i].value &&
		    add_bits(pin, register_options[i].key, *register_options[i].value) < 0)
			return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(rule_options); i++)
		if (*rule_options[i].value &&
		    json_add_string(rule, rule_options[i].key, *rule_options[i].value) < 0)
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

static enum merlon_exit run(char **operands)
{
	_cleanup_free_ char *text = NULL;

	if (!arg_cr0 && !arg_cr4 && !arg_efer) {
		fail("pin needs --cr0, --cr4 or --efer");
		fail_hint("see 'merlon pin --help'");
		return MERLON_EXIT_USAGE;
	}
	if (build_text(&text) < 0)
		return fail_memory();
	return set_rules(operands[0], text, NULL);
}

const struct verb verb_pin = {
	.name = "pin",
	.operands = "VM",
	.min = 1,
	.max = 1,
	.help = "Keep a VM's guest from clearing bits of control registers",
	.details = "Once the guest has set such a bit, it cannot clear it:\n"
		   "  merlon pin web-1 --cr0=wp --cr4=smep,smap,umip --efer=nx\n"
		   "It is a rule like others: status lists it, unprotect drops it.",
	.options = options,
	.run = run,
};
