// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Read what tests report (TAP), pass it on as it comes, judge it.
 *
 * The input is one producer's report, or several, each between the lines
 * "@lab begin NAME" and "@lab end NAME STATUS" that the lab's init writes. A
 * producer fails as a whole, besides its failed points, if it has no plan, does
 * not keep it, exits with another status than zero, or is expected and absent.
 * A skip fails unless a pattern of the list of allowed skips matches its name,
 * PREFIX/PRODUCER/DESCRIPTION.
 */
#include <errno.h>
#include <fnmatch.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXPECT_MAX 512
#define PATTERNS_MAX 512

struct producer {
	char name[128];
	bool open, planned, skipped_whole, bailed;
	unsigned int plan, points, failed;
};

static const char *arg_prefix = "";
static const char *arg_name = "report";
static const char *arg_counts;
static const char *arg_failures;
static const char *arg_expect[EXPECT_MAX];
static bool arg_seen[EXPECT_MAX];
static size_t n_expect;
static char *patterns[PATTERNS_MAX];
static size_t n_patterns;

static unsigned int passed, failed, skipped;
static struct producer now;
static FILE *failures;

static void usage(FILE *f)
{
	fprintf(f, "Usage: tap [OPTION...] [-- COMMAND [ARG...]]\n"
		   "\n"
		   "Judge the TAP report on standard input, or of COMMAND.\n"
		   "\n"
		   "  --name NAME       the producer's name, if the report has no markers\n"
		   "  --prefix PREFIX   what comes before producers' names, such as kvm/intel\n"
		   "  --expect NAME     fail if there is no report of this producer (repeatable)\n"
		   "  --skips FILE      allowed skips: lines \"- `PATTERN`\" of FILE\n"
		   "  --counts FILE     append \"passed failed skipped\" to FILE, print no summary\n"
		   "  --failures FILE   append one line per failure to FILE\n");
}

__attribute__((format(printf, 1, 2))) static void fail(const char *format, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	failed++;
	if (failures)
		fprintf(failures, "%s%s%s\n", arg_prefix, *arg_prefix ? "/" : "", text);
}

/* Like fail(), for what no line of the report says. */
#define fail_whole(...)                                                                            \
	do {                                                                                       \
		printf("not ok - " __VA_ARGS__);                                                   \
		putchar('\n');                                                                     \
		fail(__VA_ARGS__);                                                                 \
	} while (0)

static void read_patterns(const char *path)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!f) {
		fprintf(stderr, "tap: %s: %m\n", path);
		exit(2);
	}
	while (getline(&line, &size, f) > 0) {
		char *end;

		if (strncmp(line, "- `", 3))
			continue;
		end = strchr(line + 3, '`');
		if (!end || n_patterns == PATTERNS_MAX)
			continue;
		patterns[n_patterns++] = strndup(line + 3, end - line - 3);
	}
	free(line);
	fclose(f);
}

static bool skip_allowed(const char *description)
{
	char name[1024];

	snprintf(name, sizeof(name), "%s%s%s%s%s", arg_prefix, *arg_prefix ? "/" : "", now.name,
		 *description ? "/" : "", description);
	for (size_t i = 0; i < n_patterns; i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

static void count_skip(const char *description)
{
	if (skip_allowed(description)) {
		skipped++;
		return;
	}
	fail("%s: %s%sskipped, which tests/README.md does not allow", now.name, description,
	     *description ? ": " : "");
}

static void begin(const char *name)
{
	now = (struct producer){ .open = true };
	snprintf(now.name, sizeof(now.name), "%s", name);
	for (size_t i = 0; i < n_expect; i++)
		if (!arg_seen[i] && !strcmp(arg_expect[i], name)) {
			arg_seen[i] = true;
			break;
		}
	printf("# %s%s%s\n", arg_prefix, *arg_prefix ? "/" : "", now.name);
}

/* status < 0: the report just stopped */
static void end(int status)
{
	if (!now.open)
		return;
	now.open = false;
	if (status < 0)
		fail_whole("%s: stopped before its end", now.name);
	else if (now.bailed)
		;
	else if (!now.planned)
		fail_whole("%s: gave no plan (exit status %d)", now.name, status);
	else if (now.points != now.plan)
		fail_whole("%s: planned %u points and reported %u (exit status %d)", now.name,
			   now.plan, now.points, status);
	else if (status && !now.failed)
		fail_whole("%s: exit status %d", now.name, status);
}

/* Splits "description # SKIP reason"; returns whether it is a skip. */
static bool split_skip(char *text)
{
	for (char *p = strchr(text, '#'); p; p = strchr(p + 1, '#')) {
		char *directive = p + 1 + strspn(p + 1, " \t");

		if (strncasecmp(directive, "skip", 4))
			continue;
		while (p > text && strchr(" \t", p[-1]))
			p--;
		*p = '\0';
		return true;
	}
	return false;
}

static void point(bool ok, char *text)
{
	bool skip;

	text += strspn(text, " \t");
	text += strspn(text, "0123456789");
	text += strspn(text, " \t");
	if (!strncmp(text, "- ", 2))
		text += 2;
	now.points++;
	skip = split_skip(text);
	if (!ok) {
		now.failed++;
		fail("%s: %s", now.name, text);
	} else if (skip) {
		count_skip(text);
	} else {
		passed++;
	}
}

static void plan(char *text)
{
	char *rest;

	now.plan = strtoul(text, &rest, 10);
	if (now.planned) {
		fail_whole("%s: gave two plans", now.name);
		return;
	}
	now.planned = true;
	if (!now.plan && split_skip(rest))
		count_skip("");
	else if (!now.plan)
		fail_whole("%s: planned nothing", now.name);
}

static void one_line(char *line)
{
	size_t len = strlen(line);
	char name[128];
	int status;

	while (len && strchr("\r\n", line[len - 1]))
		line[--len] = '\0';
	if (sscanf(line, "@lab begin %127s", name) == 1) {
		end(-1);
		begin(name);
		return;
	}
	if (sscanf(line, "@lab end %127s %d", name, &status) == 2) {
		end(status);
		return;
	}
	if (!len)
		return;
	puts(line);
	if (!now.open)
		return;
	if (!strncmp(line, "1..", 3))
		plan(line + 3);
	else if (!strncmp(line, "ok", 2) && strchr(" ", line[2]))
		point(true, line + 2);
	else if (!strncmp(line, "not ok", 6) && strchr(" ", line[6]))
		point(false, line + 6);
	else if (!strncmp(line, "Bail out!", 9)) {
		now.bailed = true;
		fail("%s: %s", now.name, line);
	}
}

static FILE *start(char **argv, pid_t *ret_pid)
{
	int fds[2];
	pid_t pid;

	fflush(NULL);
	if (pipe(fds) < 0 || (pid = fork()) < 0) {
		fprintf(stderr, "tap: cannot start %s: %m\n", argv[0]);
		exit(2);
	}
	if (!pid) {
		(void)dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		close(fds[1]);
		execvp(argv[0], argv);
		fprintf(stderr, "tap: cannot run %s: %m\n", argv[0]);
		_exit(127);
	}
	close(fds[1]);
	*ret_pid = pid;
	return fdopen(fds[0], "re");
}

static int wait_for(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return 126;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void parse_arguments(int argc, char **argv)
{
	static const struct option options[] = {
		{ "name", required_argument, NULL, 'n' },
		{ "prefix", required_argument, NULL, 'p' },
		{ "expect", required_argument, NULL, 'e' },
		{ "skips", required_argument, NULL, 's' },
		{ "counts", required_argument, NULL, 'c' },
		{ "failures", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) >= 0) {
		switch (c) {
		case 'n':
			arg_name = optarg;
			break;
		case 'p':
			arg_prefix = optarg;
			break;
		case 'e':
			if (n_expect < EXPECT_MAX)
				arg_expect[n_expect++] = optarg;
			break;
		case 's':
			read_patterns(optarg);
			break;
		case 'c':
			arg_counts = optarg;
			break;
		case 'f':
			arg_failures = optarg;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
}

static void summarise(void)
{
	FILE *f;

	if (!arg_counts) {
		printf("%u passed, %u failed", passed, failed);
		if (skipped)
			printf(", %u skipped", skipped);
		putchar('\n');
		return;
	}
	f = fopen(arg_counts, "ae");
	if (!f || fprintf(f, "%u %u %u\n", passed, failed, skipped) < 0 || fclose(f)) {
		fprintf(stderr, "tap: %s: %m\n", arg_counts);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	FILE *in = stdin;
	char *line = NULL;
	size_t size = 0;
	pid_t pid = 0;

	parse_arguments(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (arg_failures) {
		failures = fopen(arg_failures, "ae");
		if (!failures) {
			fprintf(stderr, "tap: %s: %m\n", arg_failures);
			return 2;
		}
	}
	if (optind < argc) {
		in = start(argv + optind, &pid);
		begin(arg_name);
	} else if (!n_expect) {
		begin(arg_name);
	}
	while (getline(&line, &size, in) > 0)
		one_line(line);
	free(line);
	if (pid)
		end(wait_for(pid));
	else
		end(n_expect ? -1 : 0);
	for (size_t i = 0; i < n_expect; i++)
		if (!arg_seen[i])
			fail_whole("%s: did not run", arg_expect[i]);
	if (failures)
		fclose(failures);
	summarise();
	return failed ? 1 : 0;
}
