// SPDX-License-Identifier: GPL-2.0-or-later
/* Log lines to stderr, with the level in front where a journal reads them. */
#include <stdarg.h>
#include <sys/socket.h>
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

/*
 * A journald that is stuck must not stop merlond: what it has no room for is lost.  The rest of
 * a line of which it took a part, too; the next one begins on a line of its own.
 */
static void write_line(int level, const char *line)
{
	static bool cut;
	char text[2080];
	ssize_t n;
	int len;

	len = snprintf(text, sizeof(text), "%s<%d>%s\n", cut ? "\n" : "", level, line);
	n = send(STDERR_FILENO, text, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno == ENOTSOCK)
		fprintf(stderr, "<%d>%s\n", level, line);
	else if (n >= 0)
		cut = n < len;
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
		write_line(level, line);
	else
		fprintf(stderr, "merlond: %s\n", line);
	errno = saved;
}
