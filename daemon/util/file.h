/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files that a root daemon may believe, and files that are there whole or not at all.
 */
#ifndef MERLON_FILE_H
#define MERLON_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * file_open_dir() - a directory whose entries nobody but root chooses
 * @path: the directory
 * @reterr_problem: what is wrong with it, a constant; set on failure
 *
 * Return: an fd; -ENOENT, -EPERM for one that somebody else may write, another negative
 * errno.
 */
int file_open_dir(const char *path, const char **reterr_problem);

/**
 * file_read_owned() - a regular file of root's that nobody else may write
 * @dirfd: its directory
 * @name: its name there
 * @max: bytes
 * @ret: its text, terminated, to be freed with free(); untouched on failure
 * @ret_len: bytes
 * @reterr_problem: what is wrong with it, a constant; set on failure
 *
 * Neither a link is followed nor a FIFO waited for.
 *
 * Return: 0; -ENOENT; -EPERM; -E2BIG; -ELOOP for a link; another negative errno.
 */
int file_read_owned(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len,
		    const char **reterr_problem);

/* Is it a symlink to /dev/null? */
bool file_is_mask(int dirfd, const char *name);

/**
 * file_replace() - writes a file, whole or not at all
 * @dirfd: its directory
 * @name: its name there; ".NAME.tmp" is used on the way
 * @text: the contents
 * @len: bytes
 * @mode: of a new file
 *
 * Return: 0 or a negative errno; then what was there is there still.
 */
int file_replace(int dirfd, const char *name, const char *text, size_t len, mode_t mode);

#endif
