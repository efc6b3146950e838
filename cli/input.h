/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of files that travel to merlond. */
#ifndef MERLON_CLI_INPUT_H
#define MERLON_CLI_INPUT_H

#include "api/names.h"

/**
 * read_input() - a file's text
 * @name: the file, "-" for standard input
 * @ret: to be freed with free(), untouched on failure
 *
 * Says why if it fails: the file is not there, larger than MERLON_TEXT_MAX, or no text.
 */
enum merlon_exit read_input(const char *name, char **ret);

/* Reads standard input now, once; "-" is that text from then on. Says why if it fails. */
enum merlon_exit input_keep(void);

#endif
