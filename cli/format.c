// SPDX-License-Identifier: GPL-2.0-or-later
/* What merlon writes, made safe for terminals. */
#include <inttypes.h>
#include <stdarg.h>

#include "format.h"
#include "terminal.h"
#include "util/escape.h"
#include "verb.h"

/* Lines of @text, each escaped; the newlines are ours. */
static void print_escaped(FILE *f, const char *text)
{
	while (*text) {
		size_t n = strcspn(text, "\n");
		_cleanup_free_ char *line = strndup(text, n);
		_cleanup_free_ char *safe = line ? escape_terminal(line) : NULL;

		/* Out of memory: a line is lost rather than a terminal driven. */
		if (safe)
			fputs(safe, f);
		text += n;
		if (*text == '\n') {
			fputc('\n', f);
			text++;
		}
	}
}

static char *format_text(const char *format, va_list ap)
{
	char *text;

	return vasprintf(&text, format, ap) < 0 ? NULL : text;
}

static void print_error(const char *prefix, const char *format, va_list ap)
{
	_cleanup_free_ char *text = format_text(format, ap);
	_cleanup_free_ char *safe = text ? escape_terminal(text) : NULL;

	/* stdout first, so that both in one file or terminal keep their order. */
	fflush(stdout);
	fprintf(stderr, "%s%s\n", prefix, safe ?: "out of memory");
}

void fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	print_error("merlon: ", format, ap);
	va_end(ap);
}

void fail_hint(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	print_error("        ", format, ap);
	va_end(ap);
}

enum merlon_exit fail_memory(void)
{
	fail("out of memory");
	return MERLON_EXIT_FAILED;
}

static bool colors(void)
{
	static int cached = -1;
	const char *no_color, *term;

	if (cached >= 0)
		return cached;
	/* no-color.org: set and not empty. */
	no_color = getenv("NO_COLOR");
	term = getenv("TERM");
	cached = !arg_no_color && !(no_color && *no_color) && on_terminal() && term &&
		 !streq(term, "dumb");
	return cached;
}

static void say_text(enum shade shade, const char *format, va_list ap)
{
	static const char *const codes[] = {
		[SHADE_BOLD] = "\x1b[1m", [SHADE_GOOD] = "\x1b[32m",
		[SHADE_BAD] = "\x1b[1;31m", [SHADE_FAINT] = "\x1b[2m",
	};
	_cleanup_free_ char *text = NULL;
	bool colored = shade != SHADE_NONE && colors();

	if (arg_quiet)
		return;
	text = format_text(format, ap);
	if (!text)
		return;
	if (colored)
		fputs(codes[shade], stdout);
	print_escaped(stdout, text);
	if (colored)
		fputs("\x1b[0m", stdout);
}

void say(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_text(SHADE_NONE, format, ap);
	va_end(ap);
}

void say_in(enum shade shade, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say_text(shade, format, ap);
	va_end(ap);
}

/* One UTF-8 character of text that json-c accepted; steps @s over it. */
static uint32_t next_character(const unsigned char **s)
{
	const unsigned char *p = *s;
	int n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	uint32_t c = n == 1 ? p[0] : p[0] & (0xffU >> (n + 1));

	for (int i = 1; i < n && p[i]; i++)
		c = c << 6 | (p[i] & 0x3f);
	*s += strnlen((const char *)p, (size_t)n);
	return c;
}

enum merlon_exit print_json(struct json_object *o)
{
	_cleanup_free_ char *text = NULL;

	if (json_text(o, JSON_ONE_LINE, &text) < 0)
		return fail_memory();
	if (arg_quiet)
		return MERLON_EXIT_OK;
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		uint32_t c = next_character(&s);

		if (c >= 0x10000)
			printf("\\u%04" PRIx32 "\\u%04" PRIx32, 0xd800 + ((c - 0x10000) >> 10),
			       0xdc00 + ((c - 0x10000) & 0x3ff));
		else if (c < 0x20 || c >= 0x7f)
			printf("\\u%04" PRIx32, c);
		else
			putchar((int)c);
	}
	putchar('\n');
	return MERLON_EXIT_OK;
}

enum merlon_exit print_json_text(const char *json)
{
	_cleanup_json_ struct json_object *o = NULL;
	int r = json_parse(json, strlen(json), &o);

	if (r == -ENOMEM)
		return fail_memory();
	if (r < 0) {
		fail("merlond answered with something that is not JSON");
		fail_hint("merlon and merlond may be of different versions; see 'merlon --version'");
		return MERLON_EXIT_FAILED;
	}
	return print_json(o);
}

const char *format_size(uint64_t size, char buffer[SIZE_TEXT_MAX])
{
	static const char units[] = "\0KMG";
	unsigned int unit = 0;

	while (unit < 3 && size && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	snprintf(buffer, SIZE_TEXT_MAX, "%" PRIu64 "%.1s", size, units + unit);
	return buffer;
}

void table_add(struct table *t, const char *format, ...)
{
	_cleanup_free_ char *text = NULL, *safe = NULL;
	char **cells;
	va_list ap;

	va_start(ap, format);
	text = format_text(format, ap);
	va_end(ap);
	safe = text ? escape_terminal(text) : NULL;
	cells = reallocarray(t->cells, t->n + 1, sizeof(*cells));
	if (cells)
		t->cells = cells;
	if (!safe || !cells) {
		t->failed = true;
		return;
	}
	t->cells[t->n++] = TAKE_PTR(safe);
}

/* What is left of a name that is cut: enough to tell one from another, and "...". */
#define SHRUNK_MIN 8

/* Columns that the one that gives way may have; SIZE_MAX where nothing has to. */
static size_t room(const struct table *t, const size_t *widths)
{
	size_t sum = 2 * (t->columns - 1), own = 0, columns = terminal_columns();

	if (!t->shrinks || !columns)
		return SIZE_MAX;
	for (size_t i = 0; i < t->columns; i++)
		sum += widths[i];
	if (sum <= columns)
		return SIZE_MAX;
	own = widths[t->shrinks - 1];
	own -= sum - columns < own ? sum - columns : own;
	return own > SHRUNK_MIN ? own : SHRUNK_MIN;
}

enum merlon_exit table_print(const struct table *t)
{
	_cleanup_free_ size_t *widths = calloc(t->columns, sizeof(*widths));
	size_t most;

	if (t->failed || !widths)
		return fail_memory();
	for (size_t i = 0; i < t->n; i++)
		if (strlen(t->cells[i]) > widths[i % t->columns])
			widths[i % t->columns] = strlen(t->cells[i]);
	most = room(t, widths);

	for (size_t i = 0; i < t->n; i++) {
		size_t column = i % t->columns, width = widths[column];
		bool last = column == t->columns - 1, cut = false;
		const char *cell = t->cells[i];

		if (column + 1 == t->shrinks && width > most) {
			cut = strlen(cell) > most;
			width = most;
		}
		say_in(i < t->columns ? SHADE_BOLD : SHADE_NONE, "%-*.*s%s",
		       last ? 0 : (int)(cut ? width - 3 : width),
		       (int)(cut ? width - 3 : strlen(cell)), cell, cut ? "..." : "");
		say(last ? "\n" : "  ");
	}
	return MERLON_EXIT_OK;
}

void table_done(struct table *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->cells[i]);
	free(t->cells);
}
