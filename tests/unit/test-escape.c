// SPDX-License-Identifier: GPL-2.0-or-later
/* util/escape.c: nothing a stranger names himself gets through raw. */
#include "unit.h"
#include "util/escape.h"

static void assert_bytes(const void *bytes, size_t len, const char *expected)
{
	_cleanup_free_ char *s = escape_bytes(bytes, len);

	assert_non_null(s);
	assert_string_equal(s, expected);
}

static void plain_stays(_unused_ void **state)
{
	assert_bytes("", 0, "");
	assert_bytes("web-1 (a)~", 10, "web-1 (a)~");
	assert_bytes("%n%s\"'", 6, "%n%s\"'");
}

static void the_rest_becomes_hex(_unused_ void **state)
{
	assert_bytes("web\xff", 4, "web\\xff");
	assert_bytes("\x1b[2J\n", 5, "\\x1b[2J\\x0a");
	assert_bytes("a\0b", 3, "a\\x00b");
	assert_bytes("\x7f\x80", 2, "\\x7f\\x80");
	assert_bytes("\xc3\xa9", 2, "\\xc3\\xa9");
}

/* "\xff" written out and the byte itself must not look alike. */
static void names_stay_apart(_unused_ void **state)
{
	assert_bytes("\\xff", 4, "\\x5cxff");
	assert_bytes("\xff", 1, "\\xff");
}

static void long_names(_unused_ void **state)
{
	char name[4096];
	_cleanup_free_ char *s = NULL;

	memset(name, 0xff, sizeof(name));
	s = escape_bytes(name, sizeof(name));
	assert_non_null(s);
	assert_int_equal(strlen(s), 4 * sizeof(name));
	assert_null(escape_bytes(name, SIZE_MAX / 2));
}

static void terminals_are_safe(_unused_ void **state)
{
	_cleanup_free_ char *s = escape_terminal("a\\x1b \x1b[31m\r\n\tz\xc2\x9b");

	assert_string_equal(s, "a\\x1b \\x1b[31m\\x0d\\x0a\\x09z\\xc2\\x9b");
}

UNIT_MAIN(T(plain_stays), T(the_rest_becomes_hex), T(names_stay_apart), T(long_names),
	  T(terminals_are_safe))
