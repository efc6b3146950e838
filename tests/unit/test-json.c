// SPDX-License-Identifier: GPL-2.0-or-later
/* util/json.c: writing, and strict reading. */
#include "unit.h"
#include "util/json.h"

static void writes_one_line(_unused_ void **state)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct json_object *a = json_object_new_array();
	_cleanup_free_ char *text = NULL;

	assert_int_equal(json_add_string(o, "path", "/org/merlon1"), 0);
	assert_int_equal(json_add_hex(o, "gpa", UINT64_MAX), 0);
	assert_int_equal(json_add_u64(o, "n", UINT64_MAX), 0);
	assert_int_equal(json_add_bool(o, "b", true), 0);
	assert_int_equal(json_append(a, json_object_new_string("x")), 0);
	assert_int_equal(json_add(o, "a", a), 0);
	assert_int_equal(json_text(o, JSON_ONE_LINE, &text), 0);
	assert_string_equal(text, "{\"path\":\"/org/merlon1\",\"gpa\":\"0xffffffffffffffff\","
				  "\"n\":18446744073709551615,\"b\":true,\"a\":[\"x\"]}");
}

static void null_is_no_memory(_unused_ void **state)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();

	assert_int_equal(json_add(o, "x", NULL), -ENOMEM);
	assert_int_equal(json_object_object_length(o), 0);
}

static int parse(const char *text)
{
	_cleanup_json_ struct json_object *o = NULL;

	return json_parse(text, strlen(text), &o);
}

static void reads_strictly(_unused_ void **state)
{
	assert_int_equal(parse("{}"), 0);
	assert_int_equal(parse(" [1, 2] \n"), 0);
	assert_int_equal(parse("17"), 0);
	assert_int_equal(parse(""), -EINVAL);
	assert_int_equal(parse("{"), -EINVAL);
	assert_int_equal(parse("{} {}"), -EINVAL);
	assert_int_equal(parse("[1,]"), -EINVAL);
	assert_int_equal(parse("\"\xff\""), -EINVAL);
	assert_int_equal(parse("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]"), 0);
	assert_int_equal(parse("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]"), -EINVAL);
	assert_int_equal(parse("{\"a\":1} // x"), -EINVAL);
}

static void needs_no_terminator(_unused_ void **state)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *exact = malloc(2);

	memcpy(exact, "{}", 2);
	assert_int_equal(json_parse(exact, 2, &o), 0);
}

static void getters_look_at_types(_unused_ void **state)
{
	static const char text[] = "{\"s\":\"x\",\"n\":5,\"b\":true,\"a\":[]}";
	_cleanup_json_ struct json_object *o = NULL;

	assert_int_equal(json_parse(text, strlen(text), &o), 0);
	assert_string_equal(json_get_string(o, "s", "no"), "x");
	assert_string_equal(json_get_string(o, "n", "no"), "no");
	assert_string_equal(json_get_string(o, "none", "no"), "no");
	assert_int_equal(json_get_u64(o, "n", 9), 5);
	assert_int_equal(json_get_u64(o, "b", 9), 9);
	assert_int_equal(json_get_u64(o, "s", 9), 9);
	assert_true(json_get_bool(o, "b", false));
	assert_false(json_get_bool(o, "n", false));
	assert_non_null(json_get_array(o, "a"));
	assert_null(json_get_array(o, "s"));
	assert_null(json_get_array(NULL, "s"));
}

UNIT_MAIN(T(writes_one_line), T(null_is_no_memory), T(reads_strictly), T(needs_no_terminator),
	  T(getters_look_at_types))
