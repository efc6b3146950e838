// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon explain: what an access to a byte would come to, and why. */
#include <inttypes.h>

#include "bus.h"
#include "denied.h"
#include "engine.h"
#include "format.h"
#include "util/parse.h"
#include "verb.h"

#define FRAME_SHIFT 12
#define SUBPAGE_SHIFT 7
#define SUBPAGES 32

/* What may be tried at a byte; a fetch is of either privilege. */
static const struct access {
	const char *key;	/* in JSON */
	const char *what;	/* for people */
	const char *owner;	/* of Owner()'s answer */
	const char *mode;	/* of those who execute: who tries */
} accesses[] = {
	{ "write", "a write", "write", NULL },
	{ "read", "a read", "read", NULL },
	{ "execute-user", "an execution by user mode", "execute", "user" },
	{ "execute-kernel", "an execution by the kernel", "execute", "kernel" },
};

/* What a verdict means to the guest. */
static const char *in_words(const char *verdict)
{
	static const struct {
		const char *verdict, *words;
	} words[] = {
		{ "none", "goes through: no armed rule denies it" },
		{ "monitor", "goes through, and is reported" },
		{ "learn", "goes through, and is learned" },
		{ "allow", "goes through, and is reported" },
		{ "deny", "does not happen: the guest gets #GP(0)" },
		{ "skip", "does not happen: the instruction is stepped over" },
		{ "kill", "kills the VM" },
		{ "exit", "is for the VMM to answer, or gets the rule's default" },
		{ "hold", "waits for somebody's answer, or gets the rule's default" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (streq(words[i].verdict, verdict))
			return words[i].words;
	return "gets this verdict";
}

static bool lets_execute(struct json_object *claim, const char *mode)
{
	const char *who = json_get_string(claim, "execute", "both");

	return streq(who, "both") || streq(who, mode);
}

/* Of a rule that speaks: what it does, its mode considered. */
static const char *verdict_of(struct json_object *claim, const struct access *a)
{
	const char *mode = json_get_string(claim, "mode", MERLON_MODE_ENFORCE);
	const char *action = json_get_string(claim, "action", "?");

	if (streq(mode, MERLON_MODE_MONITOR))
		return MERLON_MODE_MONITOR;
	if (a->mode && streq(mode, MERLON_MODE_LEARN))
		return MERLON_MODE_LEARN;
	/* skip and exit are of data; a fetch gets the default. */
	if (a->mode && (streq(action, "skip") || streq(action, "exit")))
		return json_get_string(claim, "default", "deny");
	return action;
}

/* As KVM ranks them; a rule that only reports lets through. */
static unsigned int strictness(const char *verdict)
{
	static const char *const order[] = { "allow", "skip", "deny", "hold", "exit", "kill" };

	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++)
		if (streq(order[i], verdict))
			return i;
	return 0;
}

static unsigned int rank(struct json_object *claim)
{
	return streq(json_get_string(claim, "mode", ""), MERLON_MODE_ENFORCE) ?
		       strictness(json_get_string(claim, "action", "?")) : 0;
}

/* The rule that speaks: merlond says which, but of a fetch not whose. */
static struct json_object *find_speaker(struct json_object *owner, const struct access *a)
{
	struct json_object *claims = json_get_array(owner, "claims"), *best = NULL;
	uint64_t id = json_get_u64(owner, a->owner, 0);

	for (size_t i = 0; i < json_object_array_length(claims); i++) {
		struct json_object *claim = json_object_array_get_idx(claims, i);

		if (!a->mode && id && json_get_u64(claim, "id", 0) == id)
			return claim;
		if (!a->mode || lets_execute(claim, a->mode) ||
		    !json_get_bool(claim, "armed", false))
			continue;
		if (!best || rank(claim) > rank(best) ||
		    (rank(claim) == rank(best) &&
		     json_get_u64(claim, "id", 0) < json_get_u64(best, "id", 0)))
			best = claim;
	}
	return best;
}

static struct json_object *find_in(struct json_object *array, const char *key, uint64_t id,
				   const char *name)
{
	size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array) : 0;

	for (size_t i = 0; i < n; i++) {
		struct json_object *o = json_object_array_get_idx(array, i);

		if (name ? streq(json_get_string(o, key, ""), name) : json_get_u64(o, key, 0) == id)
			return o;
	}
	return NULL;
}

static int add_copy(struct json_object *to, const char *key, struct json_object *from,
		    const char *of)
{
	struct json_object *value;

	if (!from || !json_object_object_get_ex(from, of, &value))
		return 0;
	return json_add(to, key, json_object_get(value));
}

/* What the claim does not tell: of ListRules() and ListPolicies(). */
static int complete(struct json_object *claim, struct json_object *rules,
		    struct json_object *policies)
{
	struct json_object *rule = find_in(rules, "id", json_get_u64(claim, "id", 0), NULL);
	const char *name = json_get_string(claim, "policy", NULL);
	struct json_object *policy = name ? find_in(policies, "name", 0, name) : NULL;
	bool boot = streq(json_get_string(rule, "arm", "now"), "boot");

	if (add_copy(claim, "arm", rule, "arm") < 0 ||
	    add_copy(claim, "default", rule, "default") < 0 ||
	    add_copy(claim, "engine", rule, "engine") < 0 ||
	    add_copy(claim, "file", policy, "file") < 0 ||
	    add_copy(claim, "policy-state", policy, "state") < 0)
		return -ENOMEM;
	if (json_get_bool(claim, "armed", false))
		return 0;
	return json_add_string(claim, "why", boot ?
		"it waits until the guest has booted, at first or after a reset: see 'merlon arm'" :
		"a reset of the guest has disarmed it: see 'merlon arm'");
}

static int add_verdicts(struct json_object *o, struct json_object *owner)
{
	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
		struct json_object *claim = find_speaker(owner, &accesses[i]);
		struct json_object *a = json_object_new_object();
		const char *verdict = claim ? verdict_of(claim, &accesses[i]) : "none";

		if (json_add(o, accesses[i].key, a) < 0 ||
		    json_add_string(a, "verdict", verdict) < 0 ||
		    json_add_string(a, "says", in_words(verdict)) < 0 ||
		    add_copy(a, "rule", claim, "rule") < 0)
			return -ENOMEM;
	}
	return 0;
}

/* All that is known, as --json prints it. */
static int explain(struct json_object *vm, struct json_object *owner, struct json_object *rules,
		   struct json_object *policies, uint64_t gpa, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *claims = json_get_array(owner, "claims");
	int r = o ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < json_object_array_length(claims); i++)
		r = complete(json_object_array_get_idx(claims, i), rules, policies);
	if (r < 0 || add_copy(o, "id", vm, "id") < 0 || add_copy(o, "name", vm, "name") < 0 ||
	    json_add_hex(o, "gpa", gpa) < 0 || json_add_hex(o, "frame", gpa >> FRAME_SHIFT) < 0 ||
	    json_add_u64(o, "sub-page", (gpa >> SUBPAGE_SHIFT) % SUBPAGES) < 0 ||
	    add_copy(o, MERLON_VM_ENGINE, vm, MERLON_VM_ENGINE) < 0 ||
	    json_add(o, "rules", json_object_get(claims)) < 0 || add_verdicts(o, owner) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(o);
	return 0;
}

/* "all", or "0-2, 5" */
static void say_subpages(struct json_object *claim)
{
	uint64_t map = UINT32_MAX;
	const char *separator = "";

	if (parse_address(json_get_string(claim, "write-map", "?"), &map) < 0)
		return;
	if (map == UINT32_MAX)
		return;
	say("    writes of the frame's sub-pages denied: ");
	if (map == 0) {
		say("all\n");
		return;
	}
	for (unsigned int i = 0; i < SUBPAGES; i++) {
		unsigned int first = i;

		if (map >> i & 1)
			continue;
		while (i + 1 < SUBPAGES && !(map >> (i + 1) & 1))
			i++;
		say(i == first ? "%s%u" : "%s%u-%u", separator, first, i);
		separator = ", ";
	}
	say("\n");
}

static void say_rule(struct json_object *claim)
{
	const char *name = json_get_string(claim, "rule", "");
	const char *policy = json_get_string(claim, "policy", NULL);
	const char *file = json_get_string(claim, "file", NULL);
	const char *why = json_get_string(claim, "why", NULL);

	say("  rule ");
	if (*name)
		say_in(SHADE_BOLD, "%s", name);
	else
		say_in(SHADE_BAD, "%" PRIu64 ", an orphan", json_get_u64(claim, "id", 0));
	say(": ");
	say_denied(claim);
	say("  %s, %s, engine %s\n", json_get_string(claim, "mode", "?"), why ? "not armed" : "armed",
	    json_get_string(claim, "engine", "?"));
	if (policy)
		say("    of policy %s%s%s%s\n", policy, file ? ", " : "", file ?: "",
		    streq(json_get_string(claim, "policy-state", ""), "last-good") ?
			    " (broken; as it was right last)" : "");
	if (why)
		say("    not armed: %s\n", why);
	say_subpages(claim);
}

static enum merlon_exit print(struct json_object *o, struct json_object *vm)
{
	_cleanup_free_ char *title = vm_title(vm);
	struct json_object *rules = json_get_array(o, "rules");

	if (!title)
		return fail_memory();
	if (arg_json)
		return print_json(o);
	say("%s: gpa %s is in sub-page %" PRIu64 " of frame %s\n", title,
	    json_get_string(o, "gpa", "?"), json_get_u64(o, "sub-page", 0),
	    json_get_string(o, "frame", "?"));
	say("  ");
	say_engine(vm);
	say("\n");
	if (!json_object_array_length(rules))
		say("  no rule is about it\n");
	for (size_t i = 0; i < json_object_array_length(rules); i++)
		say_rule(json_object_array_get_idx(rules, i));
	for (size_t i = 0; i < ARRAY_SIZE(accesses); i++) {
		struct json_object *a = NULL;
		const char *rule;

		json_object_object_get_ex(o, accesses[i].key, &a);
		rule = json_get_string(a, "rule", NULL);
		say("  %s %s", accesses[i].what, json_get_string(a, "says", "?"));
		say(rule ? " (rule %s)\n" : "\n", rule);
	}
	return MERLON_EXIT_OK;
}

/* Where policies come from is a help, and not everybody's to know. */
static struct json_object *get_policies(sd_bus *bus)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	struct json_object *policies = NULL;
	const char *text;

	if (bus_call(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "ListPolicies", &error, &reply, "") ==
		    MERLON_EXIT_OK &&
	    sd_bus_message_read(reply, "s", &text) >= 0)
		(void)json_parse(text, strlen(text), &policies);
	return policies;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_json_ struct json_object *vm = NULL, *owner = NULL, *rules = NULL;
	_cleanup_json_ struct json_object *policies = NULL, *o = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_free_ char *path = NULL;
	enum merlon_exit e;
	uint64_t gpa;

	if (parse_address(operands[1], &gpa) < 0) {
		fail("expected " PARSE_ADDRESS_EXPECTED ", got %s", operands[1]);
		fail_hint("it is guest physical; an event has it as gpa");
		return MERLON_EXIT_USAGE;
	}
	e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	path = vm_path(vm);
	if (!path)
		return fail_memory();
	e = bus_call_json(bus, path, MERLON_IFACE_VM, "Owner", &owner, "s", operands[1]);
	if (e == MERLON_EXIT_OK)
		e = bus_call_json(bus, path, MERLON_IFACE_VM, "ListRules", &rules, "");
	if (e != MERLON_EXIT_OK)
		return e;
	if (!json_get_array(owner, "claims"))
		return bus_bad_reply("Owner");
	policies = get_policies(bus);
	if (explain(vm, owner, rules, policies, gpa, &o) < 0)
		return fail_memory();
	return print(o, vm);
}

const struct verb verb_explain = {
	.name = "explain",
	.operands = "VM ADDRESS",
	.min = 2,
	.max = 2,
	.help = "Say what an access to a byte would come to, and why",
	.details = "ADDRESS is a guest physical address, 0x... What is said is true of the rules now:\n"
		   "a program that is attached may decide otherwise.",
	.run = run,
};
