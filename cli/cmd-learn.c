// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlon learn: lets a VM run while a rule learns what its kernel executes, shows how far
 * that is, and writes what was learned as a policy.  The kernel learns; we only watch.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "bus.h"
#include "format.h"
#include "util/parse.h"
#include "verb.h"

#define DEFAULT_NAME "kernel-code"

static bool arg_enforce;
static const char *arg_name, *arg_for, *arg_idle, *arg_output;

static const struct option_row options[] = {
	{ .name = "name", .value = "NAME",
	  .help = "the rule; made if the VM has none of that name (" DEFAULT_NAME ")",
	  .string = &arg_name },
	{ .name = "for", .value = "SECONDS", .help = "learn for so long, not until Ctrl-C",
	  .string = &arg_for },
	{ .name = "idle", .value = "SECONDS",
	  .help = "learn until nothing new has come for so long", .string = &arg_idle },
	{ .name = "output", .value = "FILE", .help = "write the policy there, not to stdout",
	  .string = &arg_output },
	{ .name = "enforce", .help = "then let the rule enforce; else it is as it was before",
	  .flag = &arg_enforce },
	OPTION_DRY_RUN,
	{}
};

/* Where the policy goes: @f, NULL for stdout; from @tmp, if that is to become a file. */
struct output {
	FILE *f;
	char *tmp;
};

/**
 * struct learning - one run
 * @title: the VM's, for people
 * @path: its object
 * @before: the rule's mode before, NULL if there was no such rule
 * @known: pages that it had learned before
 * @limit: seconds to learn for, 0: until interrupted
 * @idle: seconds without anything new to stop after, 0: never
 * @output: where the policy goes
 */
struct learning {
	sd_bus *bus;
	char *title;
	char *path;
	char *before;
	uint64_t known;
	uint64_t limit;
	uint64_t idle;
	struct output output;
};

static enum merlon_exit parse_seconds(const char *option, const char *value, uint64_t *ret)
{
	if (!value || (parse_u64(value, ret) >= 0 && *ret > 0))
		return MERLON_EXIT_OK;
	fail("--%s: expected seconds above 0, got %s", option, value);
	fail_hint("see 'merlon learn --help'");
	return MERLON_EXIT_USAGE;
}

static enum merlon_exit call(struct learning *l, const char *method, struct json_object **ret,
			     const char *types, const char *a, const char *b)
{
	_cleanup_json_ struct json_object *ignored = NULL;

	if (streq(types, "s"))
		return bus_call_json(l->bus, l->path, MERLON_IFACE_VM, method, ret ?: &ignored, types, a);
	if (streq(types, "sb"))
		return bus_call_json(l->bus, l->path, MERLON_IFACE_VM, method, ret ?: &ignored, types, a,
				     (int)arg_dry_run);
	return bus_call_json(l->bus, l->path, MERLON_IFACE_VM, method, ret ?: &ignored, types, a, b,
			     (int)arg_dry_run);
}

/* The rule as merlond lists it, NULL if there is none; what it belongs to is @ret_list. */
static enum merlon_exit find_rule(struct learning *l, struct json_object **ret_list,
				  struct json_object **ret_rule)
{
	enum merlon_exit e;

	e = bus_call_json(l->bus, l->path, MERLON_IFACE_VM, "ListRules", ret_list, "");
	if (e != MERLON_EXIT_OK)
		return e;
	if (!json_object_is_type(*ret_list, json_type_array))
		return bus_bad_reply("ListRules");
	*ret_rule = NULL;
	for (size_t i = 0; i < json_object_array_length(*ret_list); i++) {
		struct json_object *rule = json_object_array_get_idx(*ret_list, i);

		if (streq(json_get_string(rule, "name", ""), arg_name))
			*ret_rule = rule;
	}
	return MERLON_EXIT_OK;
}

/* The policy that docs/examples/kernel-code-integrity.json is, under the rule's name. */
static enum merlon_exit protect(struct learning *l)
{
	_cleanup_json_ struct json_object *policy = json_object_new_object();
	_cleanup_json_ struct json_object *rules = json_object_new_array();
	_cleanup_json_ struct json_object *rule = json_object_new_object();
	_cleanup_free_ char *text = NULL;

	if (!policy || !rules || !rule || json_add_string(rule, "name", arg_name) < 0 ||
	    json_add_string(rule, "gpa", "0x0") < 0 || json_add_string(rule, "length", "all") < 0 ||
	    json_add_string(rule, "execute", "user") < 0 ||
	    json_append(rules, TAKE_PTR(rule)) < 0 ||
	    json_add_string(policy, "mode", MERLON_MODE_LEARN) < 0 ||
	    json_add(policy, "rules", TAKE_PTR(rules)) < 0 ||
	    json_text(policy, JSON_ONE_LINE, &text) < 0)
		return fail_memory();
	return call(l, "Protect", NULL, "sb", text, NULL);
}

static enum merlon_exit begin(struct learning *l)
{
	_cleanup_json_ struct json_object *list = NULL;
	struct json_object *rule;
	enum merlon_exit e;

	e = find_rule(l, &list, &rule);
	if (e != MERLON_EXIT_OK)
		return e;
	if (!rule)
		return protect(l);
	l->before = strdup(json_get_string(rule, "mode", MERLON_MODE_ENFORCE));
	if (!l->before)
		return fail_memory();
	l->known = json_get_u64(rule, "granted", 0);
	return call(l, "SetMode", NULL, "ssb", arg_name, MERLON_MODE_LEARN);
}

/* One line that changes on a terminal; else one line when there is something new. */
static void show(uint64_t pages, uint64_t fresh, uint64_t seconds, bool terminal)
{
	if (arg_quiet)
		return;
	if (terminal)
		fprintf(stderr, "\rlearning: %" PRIu64 " pages in %" PRIu64 " s, %" PRIu64
			" in the last one; Ctrl-C ends it ", pages, seconds, fresh);
	else if (fresh)
		fprintf(stderr, "learning: %" PRIu64 " pages in %" PRIu64 " s\n", pages, seconds);
}

static uint64_t seconds_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec;
}

/* The kernel goes on learning without merlond; so we wait for it. */
static bool is_there(struct learning *l, bool *there)
{
	bool now = bus_has_merlond(l->bus);

	if (now != *there && !arg_quiet)
		fail(now ? "merlond is back" :
			   "merlond left D-Bus; waiting for it (the rule goes on learning)");
	*there = now;
	return now;
}

/* Until its time is over, nothing new comes, or a signal does. */
static enum merlon_exit wait_and_show(struct learning *l, const sigset_t *signals)
{
	const struct timespec second = { .tv_sec = 1 };
	bool terminal = isatty(STDERR_FILENO);
	uint64_t pages = 0, start = seconds_now(), last = start;
	enum merlon_exit e = MERLON_EXIT_OK;
	bool there = true;

	for (;;) {
		_cleanup_json_ struct json_object *list = NULL;
		struct json_object *rule;
		uint64_t now, seconds;

		if (sigtimedwait(signals, NULL, &second) > 0)
			break;
		if (!is_there(l, &there))
			continue;
		e = find_rule(l, &list, &rule);
		/* It has left just now. */
		if (e == MERLON_EXIT_UNREACHABLE && !is_there(l, &there))
			continue;
		if (e == MERLON_EXIT_OK && !rule) {
			fail("%s: rule %s is gone", l->title, arg_name);
			e = MERLON_EXIT_NO_SUCH;
		} else if (e == MERLON_EXIT_OK && !json_get_bool(rule, "armed", false)) {
			fail("%s: the guest was reset, and rule %s is disarmed", l->title,
			     arg_name);
			e = MERLON_EXIT_FAILED;
		}
		if (e != MERLON_EXIT_OK)
			break;
		seconds = seconds_now();
		now = json_get_u64(rule, "granted", 0) - l->known;
		if (now > pages)
			last = seconds;
		show(now, now > pages ? now - pages : 0, seconds - start, terminal);
		pages = now;
		if ((l->limit && seconds - start >= l->limit) ||
		    (l->idle && seconds - last >= l->idle))
			break;
	}
	if (terminal && !arg_quiet)
		fputc('\n', stderr);
	return e;
}

static enum merlon_exit fail_output(const char *what)
{
	fail("%s: %s", what, strerror(errno));
	return MERLON_EXIT_FAILED;
}

/*
 * A file is written whole or not at all: whoever loads it must not find half a policy.  It
 * is begun before anything is learned.  What is no file (/dev/stdout) is written as it is.
 */
static enum merlon_exit open_output(struct output *o)
{
	struct stat st;
	int fd;

	if (!arg_output || arg_dry_run)
		return MERLON_EXIT_OK;
	if (stat(arg_output, &st) >= 0 && !S_ISREG(st.st_mode)) {
		o->f = fopen(arg_output, "we");
		return o->f ? MERLON_EXIT_OK : fail_output(arg_output);
	}
	if (asprintf(&o->tmp, "%s.XXXXXX", arg_output) < 0) {
		o->tmp = NULL;
		return fail_memory();
	}
	fd = mkostemp(o->tmp, O_CLOEXEC);
	if (fd < 0) {
		free(TAKE_PTR(o->tmp));
		return fail_output(arg_output);
	}
	o->f = fdopen(fd, "w");
	if (o->f)
		return MERLON_EXIT_OK;
	close(fd);
	return fail_memory();
}

static enum merlon_exit write_output(struct output *o, const char *text)
{
	FILE *f = o->f ?: stdout;
	bool written;

	written = fprintf(f, "%s\n", text) > 0 && fflush(f) == 0 &&
		  (!o->tmp || fsync(fileno(f)) == 0);
	if (!written || (o->tmp && rename(o->tmp, arg_output) < 0))
		return fail_output(arg_output ?: "stdout");
	free(TAKE_PTR(o->tmp));
	return MERLON_EXIT_OK;
}

/* What was begun and has not become the file goes. */
static void close_output(struct output *o)
{
	if (o->f)
		fclose(o->f);
	if (o->tmp)
		(void)unlink(o->tmp);
	free(o->tmp);
}

static enum merlon_exit export_policy(struct learning *l)
{
	_cleanup_json_ struct json_object *policy = NULL;
	const char *text;
	enum merlon_exit e;

	e = call(l, "ExportRule", &policy, "s", arg_name, NULL);
	if (e != MERLON_EXIT_OK)
		return e;
	text = json_object_to_json_string_ext(policy, arg_json ? JSON_C_TO_STRING_NOSLASHESCAPE :
						      JSON_C_TO_STRING_NOSLASHESCAPE |
						      JSON_C_TO_STRING_PRETTY);
	return text ? write_output(&l->output, text) : fail_memory();
}

/*
 * Enforced from before it is exported, so that what is written is what holds.  What could
 * not be written is not dropped either.
 */
static enum merlon_exit end(struct learning *l)
{
	enum merlon_exit e = MERLON_EXIT_OK;

	if (arg_enforce)
		e = call(l, "SetMode", NULL, "ssb", arg_name, MERLON_MODE_ENFORCE);
	if (e == MERLON_EXIT_OK)
		e = export_policy(l);
	if (e != MERLON_EXIT_OK || arg_enforce)
		return e;
	if (!l->before)
		return call(l, "Unprotect", NULL, "sb", arg_name, NULL);
	return call(l, "SetMode", NULL, "ssb", arg_name, l->before);
}

static enum merlon_exit learn(struct learning *l)
{
	enum merlon_exit e;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	/* Who reads us may leave: that is for write_output() to tell. */
	(void)signal(SIGPIPE, SIG_IGN);
	/* Before there is something to leave behind. */
	if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
		return fail_output("signals");
	e = open_output(&l->output);
	if (e == MERLON_EXIT_OK)
		e = begin(l);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_dry_run) {
		say("%s: rule %s would learn\n", l->title, arg_name);
		return MERLON_EXIT_OK;
	}
	e = wait_and_show(l, &signals);
	if (e == MERLON_EXIT_OK)
		e = end(l);
	if (e != MERLON_EXIT_OK)
		fail_hint("what rule %s has learned, in a VM that still runs, is not lost: see "
			  "'merlon status'", arg_name);
	return e;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_json_ struct json_object *vm = NULL;
	struct learning l = {};
	enum merlon_exit e;

	arg_name = arg_name ?: DEFAULT_NAME;
	e = parse_seconds("for", arg_for, &l.limit);
	if (e == MERLON_EXIT_OK)
		e = parse_seconds("idle", arg_idle, &l.idle);
	if (e == MERLON_EXIT_OK)
		e = bus_open_vm(operands[0], &bus, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	l.bus = bus;
	l.path = vm_path(vm);
	l.title = vm_title(vm);
	e = l.path && l.title ? learn(&l) : fail_memory();
	close_output(&l.output);
	free(l.path);
	free(l.title);
	free(l.before);
	return e;
}

const struct verb verb_learn = {
	.name = "learn",
	.operands = "VM",
	.min = 1,
	.max = 1,
	.help = "Learn what a VM's kernel executes, as a policy",
	.details = "While it runs, everything that the guest's kernel executes is noted and allowed\n"
		   "from then on; so let the guest do all it is to do, while it can be trusted. The\n"
		   "policy lets the kernel execute that and nothing else:\n"
		   "  merlon learn web-1 --idle=60 --output=web-1.json --enforce\n"
		   "or later, for the same boot of the guest:\n"
		   "  merlon protect web-1 --rules=web-1.json",
	.options = options,
	.hosts = VERB_HERE,
	.run = run,
};
