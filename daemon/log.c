// SPDX-License-Identifier: GPL-2.0-or-later
/* Log lines to stderr, with the level in front where a journal reads them. */
#include <stdarg.h>
#include <sys/stat.h>

#include "log.h"

static bool arg_debug;
static bool arg_levels;

void log_open(bool debug)
{
	const char *stream = getenv("JOURNAL_STREAM");
	unsigned long long dev, ino;
	struct stat st;

	arg_debug = debug;
	/* Set but inherited by something whose stderr is another: sd_journal_stream_fd(3). */
	arg_levels = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		     fstat(STDERR_FILENO, &st) >= 0 && st.st_dev == dev && st.st_ino == ino;
	setvbuf(stderr, NULL, _IOLBF, 0);
}

bool log_is_journal(void)
{
	return arg_levels;
}

void log_line(int level, const char *format, ...)
{
	int saved = errno;
	char line[2048];
	va_list ap;

	if (level == LOG_DEBUG && !arg_debug)
		return;
	va_start(ap, format);
	errno = saved;
	(void)vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	if (arg_levels)
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "merlond: %s\n", line);
	errno = saved;
}
