/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the journal or a terminal.  Callers escape what strangers wrote.
 */
#ifndef MERLON_LOG_H
#define MERLON_LOG_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <syslog.h>

#include "util/util.h"

/* Opens the log; debug lines appear if @debug. */
void log_open(bool debug);

/* Is it the journal that reads these lines, and so takes structured entries? */
bool log_is_journal(void);

void log_line(int level, const char *format, ...) _printf_(2, 3);

#define log_debug(...)		log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)		log_line(LOG_INFO, __VA_ARGS__)
#define log_notice(...)		log_line(LOG_NOTICE, __VA_ARGS__)
#define log_warning(...)	log_line(LOG_WARNING, __VA_ARGS__)
#define log_error(...)		log_line(LOG_ERR, __VA_ARGS__)

/* Say what failed and why, where %m stands for the negative errno @r; are @r. */
#define log_errno(level, r, ...)		\
	({					\
		int _r = (r);			\
		errno = _r < 0 ? -_r : _r;	\
		log_line((level), __VA_ARGS__);	\
		_r;				\
	})
#define log_warning_errno(r, ...)	log_errno(LOG_WARNING, r, __VA_ARGS__)
#define log_error_errno(r, ...)		log_errno(LOG_ERR, r, __VA_ARGS__)
#define log_oom()			log_error_errno(-ENOMEM, "Out of memory.")

#endif
