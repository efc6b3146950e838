/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The version comes from the top Makefile; tests that compile the rest do without. */
#ifndef MERLON_VERSION_H
#define MERLON_VERSION_H

#ifndef MERLON_VERSION
#define MERLON_VERSION "unversioned"
#endif

#endif
