/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What merlon writes: errors, tables, JSON.  Everything that came from elsewhere
 * is escaped here, once more, on its way to a terminal.
 */
#ifndef MERLON_FORMAT_H
#define MERLON_FORMAT_H

#include <stdint.h>

#include "api/names.h"
#include "util/json.h"
#include "util/util.h"

/* "merlon: ..." to stderr; whatever the arguments hold, it is one safe line. */
_printf_(1, 2) void fail(const char *format, ...);

/* A second line, saying what to do next. */
_printf_(1, 2) void fail_hint(const char *format, ...);

/* Says that memory ran out; MERLON_EXIT_FAILED. */
enum merlon_exit fail_memory(void);

/* printf() to stdout, every byte outside printable ASCII but '\n' as \xNN. */
_printf_(1, 2) void say(const char *format, ...);

enum shade {
	SHADE_NONE,
	SHADE_BOLD,
	SHADE_GOOD,
	SHADE_BAD,
	SHADE_FAINT,
};

/* The same in a colour, where stdout takes colours. */
_printf_(2, 3) void say_in(enum shade shade, const char *format, ...);

/* One value on one line, in ASCII: what is not becomes \uXXXX. */
enum merlon_exit print_json(struct json_object *o);

/**
 * print_json_text() - JSON that the daemon wrote, on one line
 * @json: nothing but an error is printed if it is not JSON
 */
enum merlon_exit print_json_text(const char *json);

/* "4K", "0x80" ...: exact, short; in a static buffer of the caller's. */
#define SIZE_TEXT_MAX 24
const char *format_size(uint64_t size, char buffer[SIZE_TEXT_MAX]);

/**
 * struct table - rows of cells, padded to their columns when printed
 * @columns: of each row
 * @shrinks: the column that gives way, with an ellipsis, where a terminal is too narrow;
 *	counted from 1, 0 for none
 * @cells: row by row
 * @n: of these
 * @failed: memory ran out; table_print() tells
 */
struct table {
	size_t columns;
	size_t shrinks;
	char **cells;
	size_t n;
	bool failed;
};

/* Adds a cell; rows fill up from left to right. */
_printf_(2, 3) void table_add(struct table *t, const char *format, ...);

/* Prints the rows, the first as a heading. */
enum merlon_exit table_print(const struct table *t);

void table_done(struct table *t);
#define _cleanup_table_ _cleanup_(table_done)

#endif
