// SPDX-License-Identifier: GPL-2.0-or-later
/* Events of several hosts, as they happen. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/event.h"
#include "format.h"
#include "host-list.h"
#include "hosts.h"
#include "verb.h"
#include "watch-hosts.h"

/* A connection is kept for each: fewer than may be asked one after the other. */
#define WATCHED_MAX 64

/* The longest line that a host may send: an event is far shorter. */
#define LINE_BYTES 65536

enum { OUT, ERR, N_STREAMS };

/**
 * struct watched - one host
 * @host: its name
 * @pid: ssh, 0 before and after
 * @fds: pipes from its stdout and stderr, -EBADF where closed
 * @line: what has come of a line of each
 * @n: bytes of that
 */
struct watched {
	const char *host;
	pid_t pid;
	int fds[N_STREAMS];
	char line[N_STREAMS][LINE_BYTES];
	size_t n[N_STREAMS];
};

static volatile sig_atomic_t interrupted;

static void on_signal(_unused_ int signal)
{
	interrupted = 1;
}

static _Noreturn void be_ssh(const char *host, int out, int err)
{
	const char *ssh = getenv("SYSTEMD_SSH");
	int null = open("/dev/null", O_RDONLY);
	sigset_t none;

	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0)
		_exit(1);
	/* host_list_parse() has seen to it that a host is no option, nor two words. */
	ssh = ssh && *ssh ? ssh : "ssh";
	{
		/* As systemd's: "user@host:port" is not what ssh takes. */
		const char *colon = strchr(host, ':');
		char name[HOST_NAME_MAX_BYTES + 1];
		size_t length = colon ? (size_t)(colon - host) : strlen(host);

		memcpy(name, host, length);
		name[length] = '\0';
		if (colon)
			execlp(ssh, ssh, "-xT", "-oBatchMode=yes", "-p", colon + 1, "--", name,
			       "merlon", "watch", "--json", (char *)NULL);
		else
			execlp(ssh, ssh, "-xT", "-oBatchMode=yes", "--", name, "merlon", "watch",
			       "--json", (char *)NULL);
	}
	fprintf(stderr, "cannot run %s: %s\n", ssh, strerror(errno));
	_exit(127);
}

static int start(struct watched *w)
{
	int out[2], err[2];

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(err, O_CLOEXEC) < 0) {
		close(out[0]);
		close(out[1]);
		return -errno;
	}
	fflush(stdout);
	w->pid = fork();
	if (w->pid == 0)
		be_ssh(w->host, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	w->fds[OUT] = out[0];
	w->fds[ERR] = err[0];
	return w->pid < 0 ? -errno : 0;
}

/* The event, with its host first. */
static enum merlon_exit print_json_of(const char *host, struct json_object *event)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	if (!o || json_add_string(o, "host", host) < 0)
		return fail_memory();
	json_object_object_foreach(event, key, value)
		if (!streq(key, "host") && json_add(o, key, json_object_get(value)) < 0)
			return fail_memory();
	return print_json(o);
}

/* 1 if it was one that the user wants, 0 if not, -EBADMSG for no event, -ENOMEM, -EPIPE. */
static int print_line(const char *host, const char *text, const struct event_filter *filter)
{
	_cleanup_json_ struct json_object *event = NULL;
	_cleanup_free_ char *line = NULL;
	int r;

	r = json_parse(text, strlen(text), &event);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || !json_object_is_type(event, json_type_object) ||
	    !json_get_string(event, "kind", NULL))
		return -EBADMSG;
	if (!event_filter_takes(filter, event))
		return 0;
	if (arg_json) {
		if (print_json_of(host, event) != MERLON_EXIT_OK)
			return -ENOMEM;
	} else {
		r = event_line(text, &line);
		if (r < 0)
			return r == -EINVAL ? -EBADMSG : r;
		say_in(SHADE_BOLD, "%s", host);
		say(": %s\n", line);
	}
	return fflush(stdout) != 0 ? -EPIPE : 1;
}

static void end(struct watched *w)
{
	for (int s = 0; s < N_STREAMS; s++) {
		if (w->fds[s] >= 0)
			close(w->fds[s]);
		w->fds[s] = -EBADF;
	}
	if (w->pid > 0) {
		kill(w->pid, SIGTERM);
		while (waitpid(w->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	w->pid = 0;
}

/* The whole lines that are there: what print_line() returned, or the events of them. */
static int take_lines(struct watched *w, int stream, const struct event_filter *filter,
		      uint64_t *left)
{
	char *line = w->line[stream], *newline;

	while ((newline = memchr(line, '\n', w->n[stream] - (size_t)(line - w->line[stream])))) {
		int r = 0;

		*newline = '\0';
		if (stream == ERR)
			hosts_say_errors(w->host, line);
		else
			r = print_line(w->host, line, filter);
		if (r < 0)
			return r;
		if (r > 0 && *left && --*left == 0)
			return 1;
		line = newline + 1;
	}
	w->n[stream] -= (size_t)(line - w->line[stream]);
	memmove(w->line[stream], line, w->n[stream]);
	return 0;
}

/* 1: that was the last event; 0; -ENODATA: the host has ended; or as print_line(). */
static int take(struct watched *w, int stream, const struct event_filter *filter, uint64_t *left)
{
	ssize_t n;

	if (w->n[stream] == LINE_BYTES)
		return -EBADMSG;
	n = read(w->fds[stream], w->line[stream] + w->n[stream], LINE_BYTES - w->n[stream]);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (n > 0) {
		w->n[stream] += (size_t)n;
		return take_lines(w, stream, filter, left);
	}
	/* Of a line without its end nothing is an event. */
	if (stream == OUT && w->n[OUT])
		return -EBADMSG;
	close(w->fds[stream]);
	w->fds[stream] = -EBADF;
	return w->fds[OUT] < 0 && w->fds[ERR] < 0 ? -ENODATA : 0;
}

/* MERLON_EXIT_OK if it goes on, else @done and why it ends. */
static enum merlon_exit settle(struct watched *w, int r, size_t *running, bool *done)
{
	switch (r) {
	case 0:
		return MERLON_EXIT_OK;
	case -ENOMEM:
		*done = true;
		return fail_memory();
	case -EPIPE:
		*done = true;
		if (errno != EPIPE)
			fail("cannot write the output: %s", strerror(errno));
		return MERLON_EXIT_FAILED;
	case -EBADMSG:
		fail("%s: answered with something that is no event", w->host);
		fail_hint("log in there and try 'merlon watch --json'");
		break;
	case -ENODATA:
		fail("%s: watch has ended there", w->host);
		break;
	default:
		*done = true;
		return MERLON_EXIT_OK;
	}
	end(w);
	if (--*running == 0) {
		*done = true;
		return MERLON_EXIT_SOME_HOSTS;
	}
	return MERLON_EXIT_OK;
}

static enum merlon_exit loop(struct watched *hosts, size_t n, const struct event_filter *filter,
			     uint64_t left)
{
	struct pollfd fds[N_STREAMS * WATCHED_MAX];
	struct watched *owners[N_STREAMS * WATCHED_MAX];
	size_t running = n;
	bool done = false;
	sigset_t none;

	sigemptyset(&none);
	for (;;) {
		nfds_t count = 0;

		for (size_t i = 0; i < n; i++)
			for (int s = 0; s < N_STREAMS; s++)
				if (hosts[i].fds[s] >= 0) {
					fds[count] = (struct pollfd) { .fd = hosts[i].fds[s],
								       .events = POLLIN };
					owners[count++] = &hosts[i];
				}
		if (ppoll(fds, count, NULL, &none) < 0 && errno != EINTR) {
			fail("cannot wait for events: %s", strerror(errno));
			return MERLON_EXIT_FAILED;
		}
		if (interrupted)
			return MERLON_EXIT_INTERRUPTED;
		for (nfds_t i = 0; i < count; i++) {
			struct watched *w = owners[i];
			int stream = w->fds[OUT] == fds[i].fd ? OUT :
				     w->fds[ERR] == fds[i].fd ? ERR : -1;
			enum merlon_exit e;

			if (!fds[i].revents || stream < 0)
				continue;
			e = settle(w, take(w, stream, filter, &left), &running, &done);
			if (done)
				return e;
		}
	}
}

/* Blocked but while we wait, so that none is missed. */
static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	(void)sigaction(SIGINT, &sa, NULL);
	(void)sigaction(SIGTERM, &sa, NULL);
}

enum merlon_exit watch_hosts(const struct event_filter *filter, uint64_t count)
{
	_cleanup_host_list_ struct host_list list = {};
	_cleanup_free_ struct watched *hosts = NULL;
	enum merlon_exit e;
	int r = 0;

	e = host_list_parse(arg_host, &list);
	if (e != MERLON_EXIT_OK)
		return e;
	if (list.n > WATCHED_MAX) {
		fail("watch: expected at most %d hosts, got %zu", WATCHED_MAX, list.n);
		fail_hint("call merlon for some of them at a time");
		return MERLON_EXIT_USAGE;
	}
	hosts = calloc(list.n, sizeof(*hosts));
	if (!hosts)
		return fail_memory();
	catch_signals();
	for (size_t i = 0; i < list.n; i++) {
		hosts[i].host = list.names[i];
		hosts[i].fds[OUT] = hosts[i].fds[ERR] = -EBADF;
	}
	for (size_t i = 0; r >= 0 && i < list.n; i++)
		r = start(&hosts[i]);
	if (r < 0) {
		fail("cannot start a process: %s", strerror(-r));
		e = MERLON_EXIT_FAILED;
	} else {
		e = loop(hosts, list.n, filter, count);
	}
	for (size_t i = 0; i < list.n; i++)
		end(&hosts[i]);
	return e;
}
