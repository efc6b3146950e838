/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Times as people type them. */
#ifndef MERLON_CLI_WHEN_H
#define MERLON_CLI_WHEN_H

#include <stdint.h>

/* What when_parse() accepts, in the words of an error message. */
#define WHEN_EXPECTED								\
	"YYYY-MM-DD [HH:MM[:SS]], HH:MM[:SS], now, today, yesterday, -N and s, m, h or d, " \
	"or @SECONDS"

/**
 * when_parse() - a time of the local zone as microseconds of CLOCK_REALTIME
 * @text: as WHEN_EXPECTED says; HH:MM is one of today
 * @now: CLOCK_REALTIME in microseconds
 * @ret: untouched on failure
 *
 * Return: 0 or -EINVAL, also for days and times that there are not.
 */
int when_parse(const char *text, uint64_t now, uint64_t *ret);

#endif
