// SPDX-License-Identifier: GPL-2.0-or-later
/* cli/format.c: sizes, tables, and nothing raw on a terminal. */
#include <fcntl.h>

#include "format.h"
#include "unit.h"
#include "verb.h"

/* What cli/merlon.c has. */
bool arg_json, arg_quiet, arg_no_color, arg_dry_run;
const char *arg_bus;

static char captured[4096];
static int saved;

/* stdout into a file until end_capture(); cmocka prints only between tests. */
static void begin_capture(void)
{
	FILE *f = tmpfile();

	fflush(stdout);
	saved = dup(STDOUT_FILENO);
	dup2(fileno(f), STDOUT_FILENO);
	fclose(f);
}

static const char *end_capture(void)
{
	ssize_t n;

	fflush(stdout);
	n = pread(STDOUT_FILENO, captured, sizeof(captured) - 1, 0);
	captured[n > 0 ? n : 0] = '\0';
	dup2(saved, STDOUT_FILENO);
	close(saved);
	return captured;
}

static void sizes(_unused_ void **state)
{
	char b[SIZE_TEXT_MAX];

	assert_string_equal(format_size(0, b), "0");
	assert_string_equal(format_size(128, b), "128");
	assert_string_equal(format_size(1023, b), "1023");
	assert_string_equal(format_size(4096, b), "4K");
	assert_string_equal(format_size(4096 + 128, b), "4224");
	assert_string_equal(format_size(2 << 20, b), "2M");
	assert_string_equal(format_size(UINT64_C(1) << 40, b), "1024G");
	assert_string_equal(format_size(UINT64_MAX, b), "18446744073709551615");
}

static void lines_are_safe(_unused_ void **state)
{
	begin_capture();
	say("%s\nb\n", "a\x1b[31m\xff");
	say_in(SHADE_BAD, "%s", "c");
	say("%s", "");
	assert_string_equal(end_capture(), "a\\x1b[31m\\xff\nb\nc");
}

static void quiet_says_nothing(_unused_ void **state)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	arg_quiet = true;
	begin_capture();
	say("x");
	say_in(SHADE_BOLD, "x");
	assert_int_equal(print_json(o), MERLON_EXIT_OK);
	assert_string_equal(end_capture(), "");
	arg_quiet = false;
}

static void tables(_unused_ void **state)
{
	_cleanup_table_ struct table t = { .columns = 2 };

	table_add(&t, "ID");
	table_add(&t, "NAME");
	table_add(&t, "#%d", 1234);
	table_add(&t, "a\nb");
	table_add(&t, "#1");
	table_add(&t, "%s", "");
	begin_capture();
	assert_int_equal(table_print(&t), MERLON_EXIT_OK);
	assert_string_equal(end_capture(), "ID     NAME\n#1234  a\\x0ab\n#1     \n");
}

static void json_is_ascii(_unused_ void **state)
{
	begin_capture();
	assert_int_equal(print_json_text("{\"a\": \"\xc3\xa9\xf0\x9f\x98\x80\\u009b\x7f\\n/\"}"),
			 MERLON_EXIT_OK);
	assert_string_equal(end_capture(),
			    "{\"a\":\"\\u00e9\\ud83d\\ude00\\u009b\\u007f\\n/\"}\n");
}

UNIT_MAIN(T(sizes), T(lines_are_safe), T(quiet_says_nothing), T(tables), T(json_is_ascii))
