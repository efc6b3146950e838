/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What every C file of the user half may want: cleanup attributes, stealing,
 * array sizes.  Includes nothing of Merlon.
 */
#ifndef MERLON_UTIL_H
#define MERLON_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _printf_(fmt, args) __attribute__((__format__(__printf__, fmt, args)))
#define _const_ __attribute__((__const__))
#define _unused_ __attribute__((__unused__))

/* Declares func##p() for _cleanup_(): calls @func on a pointer that is not NULL. */
#define DEFINE_CLEANUP(type, func)				\
	_unused_ static inline void func##p(type *p)		\
	{							\
		if (*p)						\
			func(*p);				\
	}

static inline void freep(void *p)
{
	free(*(void **)p);
}

/* Keeps errno, so that a failing function may return -errno after it. */
static inline void closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void fclosep(FILE **f)
{
	int saved = errno;

	if (*f)
		fclose(*f);
	errno = saved;
}

#define _cleanup_free_ _cleanup_(freep)
#define _cleanup_close_ _cleanup_(closep)
#define _cleanup_fclose_ _cleanup_(fclosep)

#define TAKE_GENERIC(var, none)				\
	({						\
		__typeof__(var) *_var = &(var);		\
		__typeof__(var) _taken = *_var;		\
		*_var = (none);				\
		_taken;					\
	})

/* The pointer or fd, which its variable then no longer owns. */
#define TAKE_PTR(p) TAKE_GENERIC(p, NULL)
#define TAKE_FD(fd) TAKE_GENERIC(fd, -EBADF)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* What of @s follows @prefix, NULL if it does not start with it. */
static inline const char *startswith(const char *s, const char *prefix)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

#endif
