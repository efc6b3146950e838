// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon events: what the journal has of events. */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <systemd/sd-journal.h>

#include "api/event.h"
#include "event-filter.h"
#include "format.h"
#include "journal-event.h"
#include "util/escape.h"
#include "util/parse.h"
#include "verb.h"
#include "when.h"

#define USEC_PER_SEC ((uint64_t)1000000)

/* What -f begins with, as journalctl does. */
#define FOLLOW_LINES 10

#define _cleanup_journal_ _cleanup_(journal_closep)

static const char *arg_since, *arg_until, *arg_rule, *arg_kind, *arg_number;
static bool arg_follow;

static const struct option_row options[] = {
	{ .name = "since", .value = "TIME", .help = "not older than this, like -1h or 09:30",
	  .string = &arg_since },
	{ .name = "until", .value = "TIME", .help = "not newer than this", .string = &arg_until },
	{ .name = "rule", .value = "NAME", .help = "only events about this rule",
	  .string = &arg_rule },
	{ .name = "kind", .value = "KIND", .help = "only events of this kind, like violation",
	  .string = &arg_kind },
	{ .name = "lines", .letter = 'n', .value = "N", .help = "the last N of them",
	  .string = &arg_number },
	{ .name = "follow", .letter = 'f', .help = "go on with those to come", .flag = &arg_follow },
	{}
};

/**
 * struct search - what is asked for
 * @filter: all but the times
 * @since: CLOCK_REALTIME in microseconds, 0: from the beginning
 * @until: likewise, UINT64_MAX: to the end
 * @last: this many of them, 0: all
 */
struct search {
	struct event_filter filter;
	uint64_t since, until;
	uint64_t last;
};

static volatile sig_atomic_t interrupted;

static void on_signal(_unused_ int signal)
{
	interrupted = 1;
}

static void journal_closep(sd_journal **j)
{
	if (*j)
		sd_journal_close(*j);
}

static enum merlon_exit fail_journal(int r)
{
	if (r == -ENOMEM)
		return fail_memory();
	fail("cannot read the journal: %s", strerror(-r));
	fail_hint("see 'journalctl --verify' for its state");
	return MERLON_EXIT_FAILED;
}

/* sd-journal opens what it may read and says nothing of the rest, so look first. */
static enum merlon_exit check_access(void)
{
	static const char *const dirs[] = { "/var/log/journal", "/run/log/journal" };
	sd_id128_t machine;
	bool refused = false;
	int r;

	r = sd_id128_get_machine(&machine);
	if (r < 0)
		return fail_journal(r);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		char path[128], id[SD_ID128_STRING_MAX];

		snprintf(path, sizeof(path), "%s/%s/system.journal", dirs[i],
			 sd_id128_to_string(machine, id));
		if (access(path, R_OK) == 0)
			return MERLON_EXIT_OK;
		refused |= errno == EACCES;
	}
	if (refused) {
		fail("the system's journal is not readable for this user");
		fail_hint("call merlon as root, or as a user of group systemd-journal");
		return MERLON_EXIT_NOT_AUTHORISED;
	}
	fail("this host has no journal");
	fail_hint("does systemd-journald run? 'merlon watch' needs no journal");
	return MERLON_EXIT_FAILED;
}

/* Anybody may write entries that look like merlond's; who wrote one the journal knows. */
static int add_matches(sd_journal *j, const struct search *s)
{
	int r = sd_journal_add_match(j, "_UID=0", 0);

	for (int kind = 0; r >= 0 && kind < MERLON_EVENT_MAX; kind++) {
		char match[64];

		if (s->filter.kind && merlon_event_from_name(s->filter.kind) != kind)
			continue;
		snprintf(match, sizeof(match), "MESSAGE_ID=%s",
			 merlon_event_message_id((enum merlon_event_kind)kind));
		r = sd_journal_add_match(j, match, 0);
	}
	/* Ids begin anew when the host boots; names do not. */
	if (r >= 0 && s->filter.vm && event_filter_id(s->filter.vm)) {
		char match[64], id[SD_ID128_STRING_MAX];
		sd_id128_t boot;

		r = sd_id128_get_boot(&boot);
		snprintf(match, sizeof(match), "_BOOT_ID=%s", sd_id128_to_string(boot, id));
		if (r >= 0)
			r = sd_journal_add_match(j, match, 0);
	}
	return r;
}

/* 1 and the event if it is wanted, 0 if not. */
static int read_wanted(sd_journal *j, const struct search *s, struct json_object **ret)
{
	_cleanup_json_ struct json_object *event = NULL;
	int r = journal_event_read(j, &event);

	/* One that another version has written otherwise is not all of them. */
	if (r == -EBADMSG || r == -E2BIG)
		return 0;
	if (r < 0)
		return r;
	if (!event_filter_takes(&s->filter, event))
		return 0;
	*ret = TAKE_PTR(event);
	return 1;
}

/* Stands before the first that is wanted, sd_journal_next() being that. */
static int seek(sd_journal *j, const struct search *s)
{
	uint64_t left = s->last, t;
	int r;

	if (!left)
		return s->since ? sd_journal_seek_realtime_usec(j, s->since) : sd_journal_seek_head(j);
	r = s->until == UINT64_MAX ? sd_journal_seek_tail(j) :
				     sd_journal_seek_realtime_usec(j, s->until + 1);
	while (r >= 0 && (r = sd_journal_previous(j)) > 0) {
		_cleanup_json_ struct json_object *event = NULL;

		r = sd_journal_get_realtime_usec(j, &t);
		if (r >= 0 && t < s->since)
			return 0;
		if (r >= 0)
			r = read_wanted(j, s, &event);
		if (r > 0 && --left == 0) {
			/* Not all entries have one before them that matches. */
			r = sd_journal_previous(j);
			return r == 0 ? sd_journal_seek_head(j) : r;
		}
	}
	return r < 0 ? r : sd_journal_seek_head(j);
}

/* As people write it, of the local zone; or as programs do, in UTC. */
static void format_time(uint64_t usec, bool local, char *text, size_t size)
{
	time_t seconds = (time_t)(usec / USEC_PER_SEC);
	struct tm tm;

	if (!(local ? localtime_r(&seconds, &tm) : gmtime_r(&seconds, &tm)) ||
	    (local ? strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm) :
		     strftime(text, size, "%Y-%m-%dT%H:%M:%S", &tm)) == 0)
		snprintf(text, size, "@%" PRIu64, usec / USEC_PER_SEC);
}

static enum merlon_exit print_line(sd_journal *j, struct json_object *event, uint64_t usec)
{
	_cleanup_free_ char *json = NULL, *line = NULL;
	uint64_t folded = journal_event_folded(j);
	char text[64];
	int r;

	r = json_text(event, JSON_ONE_LINE, &json);
	if (r >= 0)
		r = event_line(json, &line);
	if (r < 0)
		return fail_memory();
	format_time(usec, true, text, sizeof(text));
	say_in(SHADE_FAINT, "%s", text);
	say("  %s", line);
	if (folded)
		say(" (%" PRIu64 " before it have no entry)", folded);
	say("\n");
	return MERLON_EXIT_OK;
}

static enum merlon_exit print_event(sd_journal *j, struct json_object *event, uint64_t usec)
{
	uint64_t folded = journal_event_folded(j);
	char seconds[64], text[96], id[SD_ID128_STRING_MAX];
	sd_id128_t boot;

	if (!arg_json)
		return print_line(j, event, usec);
	format_time(usec, false, seconds, sizeof(seconds));
	snprintf(text, sizeof(text), "%s.%06" PRIu64 "Z", seconds, usec % USEC_PER_SEC);
	if (json_add_string(event, "realtime", text) < 0 ||
	    (sd_journal_get_monotonic_usec(j, &usec, &boot) >= 0 &&
	     json_add_string(event, "boot", sd_id128_to_string(boot, id)) < 0) ||
	    (folded && json_add_u64(event, "folded", folded) < 0))
		return fail_memory();
	return print_json(event);
}

/* Those that are there, from where it stands. */
static enum merlon_exit print_present(sd_journal *j, const struct search *s)
{
	int r;

	while ((r = sd_journal_next(j)) > 0 && !interrupted) {
		_cleanup_json_ struct json_object *event = NULL;
		enum merlon_exit e;
		uint64_t t;

		r = sd_journal_get_realtime_usec(j, &t);
		if (r >= 0 && t < s->since)
			continue;
		if (r >= 0 && t > s->until)
			return MERLON_EXIT_OK;
		if (r >= 0)
			r = read_wanted(j, s, &event);
		if (r < 0)
			return fail_journal(r);
		if (!r)
			continue;
		e = print_event(j, event, t);
		if (e != MERLON_EXIT_OK || ferror(stdout))
			return e;
	}
	return r < 0 ? fail_journal(r) : MERLON_EXIT_OK;
}

static enum merlon_exit follow(sd_journal *j, const struct search *s)
{
	struct pollfd fd = { .fd = sd_journal_get_fd(j), .events = POLLIN };
	/* Where a file system tells of no changes they are looked for. */
	const struct timespec second = { .tv_sec = 1 };
	enum merlon_exit e;
	sigset_t none;
	int r;

	sigemptyset(&none);
	if (fd.fd < 0)
		return fail_journal(fd.fd);
	for (;;) {
		e = print_present(j, s);
		if (e != MERLON_EXIT_OK)
			return e;
		if (fflush(stdout) != 0)
			return MERLON_EXIT_FAILED;
		r = ppoll(&fd, 1, &second, &none);
		if (interrupted)
			return MERLON_EXIT_INTERRUPTED;
		r = r < 0 && errno != EINTR ? -errno : sd_journal_process(j);
		if (r < 0)
			return fail_journal(r);
	}
}

static enum merlon_exit parse_time(const char *option, const char *text, uint64_t *ret)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (!text || when_parse(text, (uint64_t)now.tv_sec * USEC_PER_SEC +
				      (uint64_t)now.tv_nsec / 1000, ret) >= 0)
		return MERLON_EXIT_OK;
	fail("--%s: expected " WHEN_EXPECTED ", got %s", option, text);
	fail_hint("see 'merlon events --help'");
	return MERLON_EXIT_USAGE;
}

static enum merlon_exit usage(const char *what)
{
	fail("%s", what);
	fail_hint("see 'merlon events --help'");
	return MERLON_EXIT_USAGE;
}

static enum merlon_exit parse_options(const char *vm, struct search *s)
{
	enum merlon_exit e;

	*s = (struct search) {
		.filter = { .vm = vm, .rule = arg_rule, .kind = arg_kind },
		.until = UINT64_MAX,
	};
	e = event_filter_check(&s->filter);
	if (e == MERLON_EXIT_OK)
		e = parse_time("since", arg_since, &s->since);
	if (e == MERLON_EXIT_OK)
		e = parse_time("until", arg_until, &s->until);
	if (e != MERLON_EXIT_OK)
		return e;
	if (arg_number && (parse_u64(arg_number, &s->last) < 0 || !s->last)) {
		fail("--lines: expected a number above 0, got %s", arg_number);
		fail_hint("see 'merlon events --help'");
		return MERLON_EXIT_USAGE;
	}
	if (arg_follow && arg_until)
		return usage("--follow does not go with --until");
	if (arg_follow && !arg_since && !s->last)
		s->last = FOLLOW_LINES;
	return s->until < s->since ? usage("--until is before --since") : MERLON_EXIT_OK;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t set;

	/* Blocked but while we wait: none comes between looking and waiting. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
}

static enum merlon_exit run(char **operands)
{
	_cleanup_free_ char *vm = operands[0] ? escape_terminal(operands[0]) : NULL;
	_cleanup_journal_ sd_journal *j = NULL;
	struct search s;
	enum merlon_exit e;
	int r;

	if (operands[0] && !vm)
		return fail_memory();
	e = parse_options(vm, &s);
	if (e == MERLON_EXIT_OK)
		e = check_access();
	if (e != MERLON_EXIT_OK)
		return e;
	r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
	if (r >= 0)
		r = add_matches(j, &s);
	/* Before it is looked at, so that nothing comes in between. */
	if (r >= 0 && arg_follow)
		r = sd_journal_get_fd(j);
	if (r >= 0)
		r = seek(j, &s);
	if (r < 0)
		return fail_journal(r);
	if (!arg_follow)
		return print_present(j, &s);
	catch_signals();
	return follow(j, &s);
}

const struct verb verb_events = {
	.name = "events",
	.operands = "[VM]",
	.max = 1,
	.help = "Print past events, from the journal",
	.details = "VM is an id of this boot, or a name, also of a VM that has ended. TIME is\n"
		   "YYYY-MM-DD [HH:MM[:SS]], HH:MM[:SS], now, today, yesterday, -N and s, m, h or d,\n"
		   "or @SECONDS. The journal has 20 events of a VM at once and then one a second;\n"
		   "what has no entry is counted. Needs root or group systemd-journal, not merlond.",
	.options = options,
	.hosts = VERB_HERE,
	.run = run,
};
