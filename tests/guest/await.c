// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Wait until a growing file has some lines of a kind. A shell could ask again
 * and again, but where the CPU is emulated each time costs more than the guest
 * that is waited for.
 *
 * Usage: await SECONDS COUNT PATTERN FILE
 */
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POLL_NS 50000000

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Takes whole lines only; an unfinished one is taken when it has its end. */
static long count_new(FILE *f, regex_t *pattern)
{
	char line[4096];
	long found = 0, start;

	clearerr(f);
	for (;;) {
		start = ftell(f);
		if (!fgets(line, sizeof(line), f))
			break;
		if (!strchr(line, '\n') && strlen(line) < sizeof(line) - 1) {
			fseek(f, start, SEEK_SET);
			break;
		}
		line[strcspn(line, "\r\n")] = '\0';
		found += !regexec(pattern, line, 0, NULL, 0);
	}
	return found;
}

int main(int argc, char **argv)
{
	struct timespec pause = { .tv_nsec = POLL_NS };
	FILE *f = NULL;
	regex_t pattern;
	double end;
	long left;

	if (argc != 5 || regcomp(&pattern, argv[3], REG_EXTENDED | REG_NOSUB)) {
		fprintf(stderr, "Usage: await SECONDS COUNT PATTERN FILE\n");
		return 2;
	}
	end = now() + atof(argv[1]);
	left = atol(argv[2]);
	for (;;) {
		if (!f)
			f = fopen(argv[4], "re");
		if (f)
			left -= count_new(f, &pattern);
		if (left <= 0)
			return 0;
		if (now() > end)
			return 1;
		nanosleep(&pause, NULL);
	}
}
