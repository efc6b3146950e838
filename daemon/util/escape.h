/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes from a stranger (names of VMs, of symbols) made fit for a bus, a log
 * and a terminal.
 */
#ifndef MERLON_ESCAPE_H
#define MERLON_ESCAPE_H

#include <stddef.h>

/**
 * escape_bytes() - printable ASCII that names the same bytes and no others
 * @bytes: any bytes, zeros included
 * @len: how many
 *
 * Every byte outside printable ASCII becomes \xNN, and so does the backslash, so
 * that two different names never look alike.
 *
 * Return: a string to be freed with free(), NULL when memory ran out.
 */
char *escape_bytes(const void *bytes, size_t len);

/**
 * escape_terminal() - text that cannot drive the terminal it is shown on
 * @text: a string; backslashes stay, for it may be escaped already
 *
 * Every byte outside printable ASCII becomes \xNN.
 *
 * Return: a string to be freed with free(), NULL when memory ran out.
 */
char *escape_terminal(const char *text);

#endif
