// SPDX-License-Identifier: GPL-2.0-or-later
/* Times as people type them. */
#include <time.h>

#include "util/parse.h"
#include "util/util.h"
#include "when.h"

#define USEC_PER_SEC 1000000ULL

/* Seconds since 1970 that still are microseconds in 64 bits, far past all calendars here. */
#define SECONDS_MAX (1ULL << 40)

/* "-15m" */
static int parse_ago(const char *text, uint64_t now, uint64_t *ret)
{
	static const struct {
		char unit;
		uint64_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t n = strlen(text);
	char digits[16];
	uint64_t count;

	if (n < 2 || n > sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, n - 1);
	digits[n - 1] = '\0';
	if (parse_u64(digits, &count) < 0 || count > SECONDS_MAX / 86400)
		return -EINVAL;
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		if (text[n - 1] == units[i].unit) {
			uint64_t ago = count * units[i].seconds * USEC_PER_SEC;

			*ret = ago > now ? 0 : now - ago;
			return 0;
		}
	return -EINVAL;
}

static int local(struct tm *tm, uint64_t *ret)
{
	struct tm asked = *tm;
	time_t t;

	tm->tm_isdst = -1;
	t = mktime(tm);
	/* mktime() makes the 31st of February one of March. */
	if (t < 0 || tm->tm_mday != asked.tm_mday || tm->tm_mon != asked.tm_mon)
		return -EINVAL;
	*ret = (uint64_t)t * USEC_PER_SEC;
	return 0;
}

int when_parse(const char *text, uint64_t now, uint64_t *ret)
{
	static const struct {
		const char *format;
		bool has_day;
	} formats[] = {
		{ "%Y-%m-%d %H:%M:%S", true }, { "%Y-%m-%d %H:%M", true }, { "%Y-%m-%d", true },
		{ "%H:%M:%S", false },	       { "%H:%M", false },
	};
	time_t seconds = (time_t)(now / USEC_PER_SEC);
	struct tm today, tm;
	uint64_t number;

	if (streq(text, "now")) {
		*ret = now;
		return 0;
	}
	if (*text == '@') {
		if (parse_u64(text + 1, &number) < 0 || number > SECONDS_MAX)
			return -EINVAL;
		*ret = number * USEC_PER_SEC;
		return 0;
	}
	if (*text == '-')
		return parse_ago(text + 1, now, ret);
	if (!localtime_r(&seconds, &today))
		return -EINVAL;
	today.tm_hour = today.tm_min = today.tm_sec = 0;
	if (streq(text, "today"))
		return local(&today, ret);
	if (streq(text, "yesterday")) {
		/* Noon of the day before, whatever the clocks did in between; then its start. */
		today.tm_isdst = -1;
		today.tm_hour = 12;
		seconds = mktime(&today) - 86400;
		if (!localtime_r(&seconds, &today))
			return -EINVAL;
		today.tm_hour = today.tm_min = today.tm_sec = 0;
		return local(&today, ret);
	}
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		const char *end;

		tm = today;
		end = strptime(text, formats[i].format, &tm);
		if (end && !*end)
			return local(&tm, ret);
	}
	return -EINVAL;
}
