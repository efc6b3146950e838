// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlon watch: events as they happen.  They are unicast to us after Watch(), or for
 * programs (--json) come by the stream of Subscribe(); when merlond leaves the bus (an
 * upgrade, a crash) we wait for it and ask again.
 */
#include <inttypes.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "api/event.h"
#include "bus.h"
#include "event-filter.h"
#include "format.h"
#include "util/parse.h"
#include "verb.h"
#include "watch-hosts.h"

static const char *arg_count, *arg_rule, *arg_kind;

static const struct option_row options[] = {
	{ .name = "count", .value = "N", .help = "stop after N events", .string = &arg_count },
	{ .name = "rule", .value = "NAME", .help = "only events about this rule",
	  .string = &arg_rule },
	{ .name = "kind", .value = "KIND", .help = "only events of this kind, like violation",
	  .string = &arg_kind },
	{}
};

struct watch {
	sd_bus *bus;
	sd_event *event;
	sd_event_source *stream;
	bool greeted;		/* the stream's first packet was there */
	char *filter;
	char *owner;		/* merlond's unique name */
	uint64_t vm;		/* 0: all of them */
	uint64_t left;		/* 0: no limit */
	struct event_filter wanted;	/* of the VM's, or all, which merlond sends */
};

/* The loop ends when the callback has returned. */
static int stop(struct watch *w, enum merlon_exit e)
{
	return sd_event_exit(w->event, e);
}

static enum merlon_exit ask_for_signals(struct watch *w)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	enum merlon_exit e;
	char *owner;

	e = bus_call(w->bus, MERLON_PATH, MERLON_IFACE_MANAGER, "Watch", NULL, &reply, "s",
		     w->filter);
	if (e != MERLON_EXIT_OK)
		return e;
	owner = strdup(sd_bus_message_get_sender(reply) ?: "");
	if (!owner)
		return fail_memory();
	free(w->owner);
	w->owner = owner;
	return MERLON_EXIT_OK;
}

/*
 * Anybody may send us a signal that looks like merlond's, and sd-bus does not
 * compare a well-known name in a match with the sender's unique one.
 */
static bool is_from(sd_bus_message *m, const char *name)
{
	const char *sender = sd_bus_message_get_sender(m);

	return sender && name && streq(sender, name);
}

/*
 * Wait until whoever reads us makes room. Meanwhile SIGINT and SIGTERM end us as
 * they end any program: blocked for the loop, they would wait for the reader too.
 */
static void wait_for_reader(void)
{
	struct pollfd fd = { .fd = STDOUT_FILENO, .events = POLLOUT };
	sigset_t none;

	sigemptyset(&none);
	(void)ppoll(&fd, 1, NULL, &none);
}

static enum merlon_exit print_event(const char *json)
{
	_cleanup_free_ char *line = NULL;
	enum merlon_exit e = MERLON_EXIT_OK;
	int r;

	if (arg_json) {
		e = print_json_text(json);
	} else {
		r = event_line(json, &line);
		if (r == -ENOMEM)
			return fail_memory();
		if (r < 0)
			return bus_bad_reply("Watch");
		say("%s\n", line);
	}
	/* Whoever reads us through a pipe wants the event now. */
	wait_for_reader();
	if (e == MERLON_EXIT_OK && fflush(stdout) != 0) {
		if (errno != EPIPE)
			fail("cannot write the output: %s", strerror(errno));
		return MERLON_EXIT_FAILED;
	}
	return e;
}

/* Prints it if it is wanted; the loop ends with the last one. */
static int take_event(struct watch *w, struct json_object *event, const char *json)
{
	uint64_t vm = json_get_u64(event, "vm", 0);
	const char *kind = json_get_string(event, "kind", "");
	enum merlon_exit e;

	if (event_filter_takes(&w->wanted, event)) {
		e = print_event(json);
		if (e != MERLON_EXIT_OK)
			return stop(w, e);
		if (w->left && --w->left == 0)
			return stop(w, MERLON_EXIT_OK);
	}
	/* Ids are never reused: nothing more will come of this VM. */
	if (w->vm && w->vm == vm && merlon_event_from_name(kind) == MERLON_EVENT_VM_DESTROYED)
		return stop(w, MERLON_EXIT_OK);
	return 0;
}

static int on_event(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *reterr)
{
	_cleanup_json_ struct json_object *event = NULL;
	struct watch *w = userdata;
	const char *kind, *json;
	uint64_t vm, seq;

	if (!is_from(m, w->owner))
		return 0;
	if (sd_bus_message_read(m, "ttss", &vm, &seq, &kind, &json) < 0 ||
	    json_parse(json, strlen(json), &event) < 0)
		return stop(w, bus_bad_reply("Watch"));
	return take_event(w, event, json);
}

static void end_stream(struct watch *w)
{
	w->stream = sd_event_source_disable_unref(w->stream);
	w->greeted = false;
}

static int on_packet(_unused_ sd_event_source *s, int fd, _unused_ uint32_t revents,
		     void *userdata)
{
	static char text[MERLON_TEXT_MAX];
	_cleanup_json_ struct json_object *o = NULL;
	struct watch *w = userdata;
	ssize_t n;

	n = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0) {
		/* merlond is gone; when it is back, its name tells. */
		end_stream(w);
		return 0;
	}
	text[n] = '\0';
	if (json_parse(text, (size_t)n, &o) < 0)
		return stop(w, bus_bad_reply("Subscribe"));
	if (!w->greeted) {
		w->greeted = true;
		if (!streq(json_get_string(o, "stream", ""), MERLON_STREAM_NAME) ||
		    json_get_u64(o, "version", 0) != MERLON_STREAM_VERSION)
			return stop(w, bus_bad_reply("Subscribe"));
		return 0;
	}
	return take_event(w, o, text);
}

static enum merlon_exit open_stream(struct watch *w, sd_bus_message *reply)
{
	_cleanup_close_ int own = -EBADF;
	int fd, r;

	if (sd_bus_message_read(reply, "h", &fd) < 0)
		return bus_bad_reply("Subscribe");
	/* The reply's goes with the reply. */
	own = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	end_stream(w);
	r = own < 0 ? -errno : sd_event_add_io(w->event, &w->stream, own, EPOLLIN, on_packet, w);
	if (r >= 0)
		r = sd_event_source_set_io_fd_own(w->stream, true);
	if (r < 0) {
		fail("cannot wait for events: %s", strerror(-r));
		return MERLON_EXIT_FAILED;
	}
	(void)TAKE_FD(own);
	return MERLON_EXIT_OK;
}

static enum merlon_exit ask_for_stream(struct watch *w)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	enum merlon_exit e;

	e = bus_call(w->bus, MERLON_PATH, MERLON_IFACE_MANAGER, "Subscribe", &error, &reply, "s",
		     w->filter);
	if (e == MERLON_EXIT_OK)
		return open_stream(w, reply);
	/* Where files cannot be passed (a bus over a network), or merlond is an older one. */
	if (sd_bus_error_has_name(&error, SD_BUS_ERROR_UNKNOWN_METHOD) ||
	    sd_bus_error_has_name(&error, SD_BUS_ERROR_NOT_SUPPORTED)) {
		if (!arg_quiet)
			fail("no stream of events to be had here (%s); taking signals instead",
			     error.message ?: error.name);
		return ask_for_signals(w);
	}
	return bus_report(&error);
}

static enum merlon_exit subscribe(struct watch *w)
{
	return arg_json ? ask_for_stream(w) : ask_for_signals(w);
}

static int on_owner_changed(sd_bus_message *m, void *userdata, _unused_ sd_bus_error *reterr)
{
	struct watch *w = userdata;
	const char *name, *before, *now;
	enum merlon_exit e;

	if (!is_from(m, "org.freedesktop.DBus") ||
	    sd_bus_message_read(m, "sss", &name, &before, &now) < 0 ||
	    !streq(name, MERLON_BUS_NAME))
		return 0;
	if (!*now) {
		if (!arg_quiet)
			fail("merlond left D-Bus; waiting for it (rules stay in force)");
		return 0;
	}
	if (!arg_quiet)
		fail("merlond is back; events in between are lost");
	e = subscribe(w);
	return e == MERLON_EXIT_OK ? 0 : stop(w, e);
}

static int on_disconnected(_unused_ sd_bus_message *m, void *userdata,
			   _unused_ sd_bus_error *reterr)
{
	fail("the connection to D-Bus broke");
	fail_hint("is D-Bus running? start 'merlon watch' again");
	return stop(userdata, MERLON_EXIT_UNREACHABLE);
}

static int on_signal(_unused_ sd_event_source *s, _unused_ const struct signalfd_siginfo *si,
		     void *userdata)
{
	return stop(userdata, MERLON_EXIT_INTERRUPTED);
}

/* Before Watch(), so that the first event finds its handler. */
static int install(struct watch *w)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(w->event, NULL, SIGINT, on_signal, w);
	if (r < 0)
		return r;
	r = sd_event_add_signal(w->event, NULL, SIGTERM, on_signal, w);
	if (r < 0)
		return r;
	r = sd_bus_attach_event(w->bus, w->event, 0);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(w->bus, NULL, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
				"Event", on_event, w);
	if (r < 0)
		return r;
	r = sd_bus_match_signal(w->bus, NULL, "org.freedesktop.DBus.Local", NULL,
				"org.freedesktop.DBus.Local", "Disconnected", on_disconnected, w);
	if (r < 0)
		return r;
	return sd_bus_add_match(w->bus, NULL,
				"type='signal',sender='org.freedesktop.DBus',"
				"interface='org.freedesktop.DBus',member='NameOwnerChanged',"
				"arg0='" MERLON_BUS_NAME "'",
				on_owner_changed, w);
}

static enum merlon_exit make_filter(struct watch *w, const char *what)
{
	_cleanup_json_ struct json_object *vm = NULL;
	enum merlon_exit e;

	if (!what) {
		w->filter = strdup("{}");
		return w->filter ? MERLON_EXIT_OK : fail_memory();
	}
	e = bus_describe_vm(w->bus, what, &vm);
	if (e != MERLON_EXIT_OK)
		return e;
	w->vm = json_get_u64(vm, "id", 0);
	if (asprintf(&w->filter, "{\"vm\":%" PRIu64 "}", w->vm) < 0) {
		w->filter = NULL;
		return fail_memory();
	}
	return MERLON_EXIT_OK;
}

static enum merlon_exit loop(struct watch *w)
{
	enum merlon_exit e;
	int r;

	r = install(w);
	if (r < 0) {
		fail("cannot wait for events: %s", strerror(-r));
		return MERLON_EXIT_FAILED;
	}
	e = subscribe(w);
	if (e != MERLON_EXIT_OK)
		return e;
	r = sd_event_loop(w->event);
	if (r < 0) {
		fail("cannot wait for events: %s", strerror(-r));
		return MERLON_EXIT_FAILED;
	}
	return (enum merlon_exit)r;
}

static enum merlon_exit run(char **operands)
{
	_cleanup_bus_ sd_bus *bus = NULL;
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	struct watch w = {};
	enum merlon_exit e;
	int r;

	if (arg_count && (parse_u64(arg_count, &w.left) < 0 || w.left == 0)) {
		fail("--count: expected a number above 0, got %s", arg_count);
		fail_hint("see 'merlon watch --help'");
		return MERLON_EXIT_USAGE;
	}
	w.wanted = (struct event_filter) { .rule = arg_rule, .kind = arg_kind };
	e = event_filter_check(&w.wanted);
	if (e == MERLON_EXIT_OK && arg_host) {
		w.wanted.vm = operands[0];
		return watch_hosts(&w.wanted, w.left);
	}
	if (e == MERLON_EXIT_OK)
		e = bus_connect(&bus);
	if (e != MERLON_EXIT_OK)
		return e;
	r = sd_event_default(&event);
	if (r < 0) {
		fail("cannot wait for events: %s", strerror(-r));
		return MERLON_EXIT_FAILED;
	}
	w.bus = bus;
	w.event = event;
	e = make_filter(&w, operands[0]);
	if (e == MERLON_EXIT_OK)
		e = loop(&w);
	end_stream(&w);
	free(w.filter);
	free(w.owner);
	return e;
}

const struct verb verb_watch = {
	.name = "watch",
	.operands = "[VM]",
	.max = 1,
	.help = "Print events as they happen, of one VM or of all",
	.details = "One line for each event, with --json one JSON object. Ends with Ctrl-C (exit 130),\n"
		   "after --count events, or when the one VM ends (exit 0). With\n"
		   "--host a VM is one by its id or its name there, and the hosts run watch.",
	.options = options,
	.hosts = VERB_BY_ITSELF,
	.run = run,
};
