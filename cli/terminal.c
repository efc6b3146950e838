// SPDX-License-Identifier: GPL-2.0-or-later
/* The terminal that merlon writes to. */
#include <sys/ioctl.h>
#include <unistd.h>

#include "terminal.h"
#include "util/parse.h"
#include "util/util.h"

/* Narrower or wider than this is a mistake of the variable's. */
#define SIZE_MIN_SANE 10
#define SIZE_MAX_SANE 10000

/* What a terminal has that does not say. */
#define DEFAULT_COLUMNS 80
#define DEFAULT_LINES 24

static struct {
	bool known, is;
	size_t columns, lines;
} terminal;

static size_t sane(const char *variable, unsigned short told, size_t otherwise)
{
	const char *value = getenv(variable);
	uint64_t n;

	if (value && parse_u64(value, &n) >= 0 && n >= SIZE_MIN_SANE && n <= SIZE_MAX_SANE)
		return (size_t)n;
	return told ?: otherwise;
}

static void look(void)
{
	struct winsize size = {};

	if (terminal.known)
		return;
	terminal.known = true;
	terminal.is = isatty(STDOUT_FILENO);
	if (!terminal.is)
		return;
	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	terminal.columns = sane("COLUMNS", size.ws_col, DEFAULT_COLUMNS);
	terminal.lines = sane("LINES", size.ws_row, DEFAULT_LINES);
}

bool on_terminal(void)
{
	look();
	return terminal.is;
}

size_t terminal_columns(void)
{
	look();
	return terminal.columns;
}

size_t terminal_lines(void)
{
	look();
	return terminal.lines;
}
