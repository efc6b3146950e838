/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal that merlon writes to, if it is one. */
#ifndef MERLON_CLI_TERMINAL_H
#define MERLON_CLI_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>

/* Was standard output a terminal when first asked?  A pager in its place changes nothing. */
bool on_terminal(void);

/* Columns: $COLUMNS, or what the terminal says, or 80; 0 where it is none. */
size_t terminal_columns(void);

/* Lines, likewise; 0 where it is none. */
size_t terminal_lines(void);

#endif
