/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Output that is longer than the terminal goes to a pager, as with systemd's tools. */
#ifndef MERLON_CLI_PAGER_H
#define MERLON_CLI_PAGER_H

#include <stdbool.h>

/**
 * struct pager - what is put aside until its length is known
 * @file: takes the place of standard output, -EBADF before and after
 * @terminal: the terminal meanwhile
 * @is_on: something is put aside
 */
struct pager {
	int file, terminal;
	bool is_on;
};

/* Puts aside what is printed from now on, if standard output is a terminal. */
void pager_begin(struct pager *p);

/*
 * Prints it, by the pager if it is longer than the terminal, and waits until the user has
 * seen enough; nothing after a pager_begin() that had nothing to do.
 */
void pager_end(struct pager *p);

#endif
