// SPDX-License-Identifier: GPL-2.0-or-later
/* Running test cases, one process each, and printing what came of them. */
#include "tap.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXIT_SKIPPED	77
#define REASON_SIZE	256

struct test_options test_options = {
	.seed = 1,
	.case_seconds = 60,
};

static struct {
	unsigned int number, failed, skipped;
	char *reason;		/* shared with the children */
	uint64_t random;
	bool case_failed;
} tap;

void tap_note(const char *format, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

void tap_fail(const char *file, int line, const char *format, ...)
{
	va_list ap;

	__atomic_store_n(&tap.case_failed, true, __ATOMIC_RELAXED);
	flockfile(stdout);
	printf("#   %s:%d: ", file, line);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	funlockfile(stdout);
}

void tap_abort(void)
{
	fflush(stdout);
	_exit(1);
}

void tap_skip(const char *format, ...)
{
	va_list ap;

	/* A case that has already failed stays failed. */
	if (tap.case_failed)
		tap_abort();
	va_start(ap, format);
	vsnprintf(tap.reason, REASON_SIZE, format, ap);
	va_end(ap);
	fflush(stdout);
	_exit(EXIT_SKIPPED);
}

uint64_t test_random(void)
{
	tap.random ^= tap.random << 13;
	tap.random ^= tap.random >> 7;
	tap.random ^= tap.random << 17;
	return tap.random;
}

static bool is_chosen(const char *suite, const char *name, char *const *filters, int n)
{
	size_t len = strlen(suite);
	int i;

	for (i = 0; i < n; i++) {
		if (strncmp(filters[i], suite, len))
			continue;
		if (!filters[i][len] || (filters[i][len] == '.' &&
					 !strcmp(filters[i] + len + 1, name)))
			return true;
	}
	return !n;
}

/* Seed each case by its name, so that it repeats alone as it ran among others. */
static uint64_t seed_of(const char *suite, const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL ^ test_options.seed;
	const char *p;

	for (p = suite; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3ULL;
	for (p = name; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 0x100000001b3ULL;
	return hash ?: 1;
}

static void __attribute__((noreturn)) run_child(const struct test_case *c, uint64_t seed)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	tap.random = seed;
	c->run(c->arg);
	fflush(stdout);
	_exit(tap.case_failed ? 1 : 0);
}

/* Wait for a child, but no longer than a case may take; its wait status, or -ETIMEDOUT. */
static int wait_child(pid_t pid)
{
	const struct timespec limit = { .tv_sec = test_options.case_seconds };
	sigset_t set;
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	for (;;) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		if (sigtimedwait(&set, NULL, &limit) < 0 && errno == EAGAIN) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -ETIMEDOUT;
		}
	}
}

static void report(const char *suite, const char *name, int status)
{
	const char *ok = "not ok";

	tap.number++;
	if (status >= 0 && WIFEXITED(status) && !WEXITSTATUS(status)) {
		ok = "ok";
	} else if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIPPED) {
		tap.skipped++;
		printf("ok %u - %s.%s # SKIP %s\n", tap.number, suite, name, tap.reason);
		fflush(stdout);
		return;
	} else {
		tap.failed++;
		if (status == -ETIMEDOUT)
			tap_note("  no end within %u s", test_options.case_seconds);
		else if (WIFSIGNALED(status))
			tap_note("  killed by signal %d", WTERMSIG(status));
	}
	printf("%s %u - %s.%s\n", ok, tap.number, suite, name);
	fflush(stdout);
}

static void run_case(const struct test_suite *suite, const struct test_case *c,
		     const char *skip_reason)
{
	uint64_t seed = seed_of(suite->name, c->name);
	int status;
	pid_t pid;

	if (skip_reason) {
		snprintf(tap.reason, REASON_SIZE, "%s", skip_reason);
		report(suite->name, c->name, EXIT_SKIPPED << 8);
		return;
	}
	fflush(stdout);
	pid = fork();
	if (!pid)
		run_child(c, seed);
	status = pid < 0 ? 1 << 8 : wait_child(pid);
	if (suite->after)
		suite->after();
	if (!(status >= 0 && WIFEXITED(status) &&
	      (!WEXITSTATUS(status) || WEXITSTATUS(status) == EXIT_SKIPPED)))
		tap_note("  seed %llu", (unsigned long long)test_options.seed);
	report(suite->name, c->name, status);
}

static unsigned int count_cases(const struct test_suite *suite, char *const *filters, int n)
{
	const struct test_case *c;
	unsigned int count = 0;

	for (c = suite->cases; c->name; c++)
		count += is_chosen(suite->name, c->name, filters, n);
	return count;
}

int tap_run(const struct test_suite *const *suites, char *const *filters, int n_filters)
{
	const struct test_suite *const *s;
	const struct test_case *c;
	unsigned int planned = 0;
	sigset_t set;

	tap.reason = mmap(NULL, REASON_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	if (tap.reason == MAP_FAILED)
		return 1;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);

	for (s = suites; *s; s++)
		planned += count_cases(*s, filters, n_filters);
	printf("TAP version 13\n1..%u\n", planned);
	tap_note("seed %llu", (unsigned long long)test_options.seed);

	for (s = suites; *s; s++) {
		const char *reason = NULL;

		if (!count_cases(*s, filters, n_filters))
			continue;
		if ((*s)->setup)
			reason = (*s)->setup();
		for (c = (*s)->cases; c->name; c++)
			if (is_chosen((*s)->name, c->name, filters, n_filters))
				run_case(*s, c, reason);
	}
	tap_note("%u passed, %u failed, %u skipped", tap.number - tap.failed - tap.skipped,
		 tap.failed, tap.skipped);
	return tap.failed || !planned;
}

void tap_list(const struct test_suite *const *suites)
{
	const struct test_suite *const *s;
	const struct test_case *c;

	for (s = suites; *s; s++)
		for (c = (*s)->cases; c->name; c++)
			printf("%s.%s\n", (*s)->name, c->name);
}
