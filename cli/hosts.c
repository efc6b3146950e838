// SPDX-License-Identifier: GPL-2.0-or-later
/* A verb on several hosts at once. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "format.h"
#include "host-list.h"
#include "hosts.h"
#include "input.h"
#include "util/escape.h"

/* Processes at once; with ssh's own each is two. */
#define AT_ONCE 64

/* What is kept of a host's output: more than the longest text of the bus, as JSON. */
#define OUTPUT_MAX (8U << 20)
#define ERRORS_MAX (64U << 10)

enum { OUT, ERR, N_STREAMS };

/**
 * struct host_run - the verb on one host
 * @host: its name
 * @pid: the process, 0 before and after it
 * @fds: pipes from its stdout and stderr, -EBADF where closed
 * @text: what came, terminated once it has ended
 * @size: of that
 * @exit: its exit code
 * @cut: more came than is kept
 */
struct host_run {
	const char *host;
	pid_t pid;
	int fds[N_STREAMS];
	char *text[N_STREAMS];
	size_t size[N_STREAMS];
	int exit;
	bool cut;
};

static _Noreturn void be_the_host(const char *host, const struct verb *verb, char **operands,
				  int out, int err)
{
	int null = open("/dev/null", O_RDONLY);
	enum merlon_exit e;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	/* Nobody answers questions of several hosts at once; input was read before. */
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
	    dup2(err, STDERR_FILENO) < 0)
		_exit(MERLON_EXIT_FAILED);
	bus_use_host(host);
	e = verb->run(operands);
	if (fflush(stdout) != 0 && e == MERLON_EXIT_OK)
		e = MERLON_EXIT_FAILED;
	_exit((int)e);
}

static int start(struct host_run *h, const struct verb *verb, char **operands)
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
	h->pid = fork();
	if (h->pid == 0)
		be_the_host(h->host, verb, operands, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	h->fds[OUT] = out[0];
	h->fds[ERR] = err[0];
	return h->pid < 0 ? -errno : 0;
}

/* One reading; false at the end. */
static bool take(struct host_run *h, int stream)
{
	size_t max = stream == OUT ? OUTPUT_MAX : ERRORS_MAX;
	char buffer[16384], *text;
	ssize_t n;

	n = read(h->fds[stream], buffer, sizeof(buffer));
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	if (h->size[stream] + (size_t)n > max) {
		/* Read on: it must not wait for us for ever. */
		h->cut = true;
		return true;
	}
	text = realloc(h->text[stream], h->size[stream] + (size_t)n + 1);
	if (!text) {
		h->cut = true;
		return true;
	}
	memcpy(text + h->size[stream], buffer, (size_t)n);
	h->size[stream] += (size_t)n;
	text[h->size[stream]] = '\0';
	h->text[stream] = text;
	return true;
}

static void reap(struct host_run *h)
{
	int status = 0;

	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	h->pid = 0;
	h->exit = WIFEXITED(status) ? WEXITSTATUS(status) : MERLON_EXIT_FAILED;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGINT)
		h->exit = MERLON_EXIT_INTERRUPTED;
}

/* Waits for any of those that run, @fds and @owners having room for two of each. */
static void wait_for_some(struct host_run *runs, size_t n, struct pollfd *fds,
			  struct host_run **owners, size_t *running)
{
	nfds_t count = 0;

	for (size_t i = 0; i < n; i++)
		for (int s = 0; runs[i].pid > 0 && s < N_STREAMS; s++)
			if (runs[i].fds[s] >= 0) {
				fds[count] = (struct pollfd) { .fd = runs[i].fds[s], .events = POLLIN };
				owners[count++] = &runs[i];
			}
	if (poll(fds, count, -1) < 0)
		return;
	for (nfds_t i = 0; i < count; i++) {
		struct host_run *h = owners[i];
		int stream = h->fds[OUT] == fds[i].fd ? OUT : ERR;

		if (!fds[i].revents || take(h, stream))
			continue;
		close(h->fds[stream]);
		h->fds[stream] = -EBADF;
		if (h->fds[OUT] < 0 && h->fds[ERR] < 0) {
			reap(h);
			(*running)--;
		}
	}
}

void hosts_say_errors(const char *host, char *text)
{
	char *line;

	while ((line = strsep(&text, "\n"))) {
		const char *hint = startswith(line, "        ");

		if (!*line)
			continue;
		if (hint)
			fail_hint("%s", hint);
		else
			fail("%s: %s", host, startswith(line, "merlon: ") ?: line);
	}
}

/* Its lines in one, escaped; NULL: memory. */
static char *one_line(const char *text)
{
	_cleanup_free_ char *copy = strdup(startswith(text, "merlon: ") ?: text);

	for (char *p = copy; p && *p; p++)
		if (*p == '\n')
			*p = p[1] ? ' ' : '\0';
	return copy ? escape_terminal(copy) : NULL;
}

static enum merlon_exit print_as_json(const struct host_run *h)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *result = NULL;
	const char *out = h->text[OUT] ?: "";
	/* print_json() has ended it with a newline, which is no part of the value. */
	int r = *out ? json_parse(out, strlen(out), &result) : -ENODATA;

	if (r == -ENOMEM || !o || json_add_string(o, "host", h->host) < 0 ||
	    json_add_u64(o, "exit", (uint64_t)h->exit) < 0) {
		json_object_put(result);
		return fail_memory();
	}
	if (r >= 0 && json_add(o, "result", result) < 0)
		return fail_memory();
	if (h->text[ERR]) {
		_cleanup_free_ char *error = one_line(h->text[ERR]);

		if (!error || json_add_string(o, "error", error) < 0)
			return fail_memory();
	}
	return print_json(o);
}

static enum merlon_exit print_run(struct host_run *h)
{
	enum merlon_exit e = MERLON_EXIT_OK;

	if (h->cut) {
		fail("%s: answered with more than is taken", h->host);
		h->exit = MERLON_EXIT_FAILED;
	}
	if (arg_json)
		e = print_as_json(h);
	if (!arg_json) {
		say_in(SHADE_BOLD, "%s:\n", h->host);
		say("%s", h->text[OUT] ?: "");
	}
	if (h->text[ERR])
		hosts_say_errors(h->host, h->text[ERR]);
	else if (h->exit == MERLON_EXIT_INTERRUPTED)
		fail("%s: interrupted", h->host);
	return e;
}

static enum merlon_exit sum_up(const struct host_run *runs, size_t n)
{
	size_t failed = 0, usage = 0, degraded = 0;

	for (size_t i = 0; i < n; i++) {
		if (runs[i].exit == MERLON_EXIT_INTERRUPTED)
			return MERLON_EXIT_INTERRUPTED;
		usage += runs[i].exit == MERLON_EXIT_USAGE;
		degraded += runs[i].exit == MERLON_EXIT_DEGRADED;
		failed += runs[i].exit != MERLON_EXIT_OK && runs[i].exit != MERLON_EXIT_DEGRADED;
	}
	if (usage == n)
		return MERLON_EXIT_USAGE;
	return failed ? MERLON_EXIT_SOME_HOSTS : degraded ? MERLON_EXIT_DEGRADED : MERLON_EXIT_OK;
}

/* Does an operand or option of the verb mean standard input?  There is only one for all. */
static bool wants_input(const struct verb *verb, char **operands)
{
	for (; *operands; operands++)
		if (streq(*operands, "-"))
			return true;
	for (const struct option_row *row = verb->options; row && row->name; row++)
		if (row->string && *row->string && streq(*row->string, "-"))
			return true;
	return false;
}

static enum merlon_exit run_all(struct host_run *runs, size_t n, const struct verb *verb,
				char **operands)
{
	struct pollfd fds[N_STREAMS * AT_ONCE];
	struct host_run *owners[N_STREAMS * AT_ONCE];
	size_t running = 0;

	for (size_t next = 0; next < n || running;) {
		int r;

		if (next < n && running < AT_ONCE) {
			r = start(&runs[next++], verb, operands);
			if (r < 0) {
				fail("cannot start a process: %s", strerror(-r));
				return MERLON_EXIT_FAILED;
			}
			running++;
			continue;
		}
		wait_for_some(runs, n, fds, owners, &running);
	}
	return MERLON_EXIT_OK;
}

enum merlon_exit hosts_run(const struct verb *verb, char **operands)
{
	_cleanup_host_list_ struct host_list list = {};
	_cleanup_free_ struct host_run *runs = NULL;
	enum merlon_exit e;

	e = host_list_parse(arg_host, &list);
	if (e == MERLON_EXIT_OK && wants_input(verb, operands))
		e = input_keep();
	if (e != MERLON_EXIT_OK)
		return e;
	runs = calloc(list.n, sizeof(*runs));
	if (!runs)
		return fail_memory();
	for (size_t i = 0; i < list.n; i++)
		runs[i] = (struct host_run) { .host = list.names[i], .fds = { -EBADF, -EBADF } };
	e = run_all(runs, list.n, verb, operands);
	for (size_t i = 0; e == MERLON_EXIT_OK && i < list.n; i++)
		e = print_run(&runs[i]);
	if (e == MERLON_EXIT_OK)
		e = sum_up(runs, list.n);
	for (size_t i = 0; i < list.n; i++)
		for (int s = 0; s < N_STREAMS; s++) {
			if (runs[i].fds[s] >= 0)
				close(runs[i].fds[s]);
			free(runs[i].text[s]);
		}
	return e;
}
