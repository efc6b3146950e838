/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The directory of pins: on a bpffs, root's alone, used through its fd only, so
 * that nobody can put another in its place.
 */
#ifndef MERLON_PINS_H
#define MERLON_PINS_H

/**
 * pins_open() - opens the directory of this layout, making it if need be
 * @dir: the directory above it, itself in a directory on a bpffs
 * @layout: the name below @dir
 * @reterr_why: on failure a sentence about what is wrong, borrowed
 *
 * Return: an fd; -ENOTDIR not on a bpffs; -EPERM somebody else's or open to
 * others; another negative errno.
 */
int pins_open(const char *dir, const char *layout, const char **reterr_why);

/* Removes the pins in @fd, which pins_open() returned, and the directories when empty. */
int pins_remove(int fd, const char *dir, const char *layout);

#endif
