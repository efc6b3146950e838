// SPDX-License-Identifier: GPL-2.0-or-later
/* policy-locate.c: what is refused, and where things stand. */
#include "policy-locate.h"
#include "unit.h"
#include "util/json.h"

static void accepts(const char *text)
{
	_cleanup_free_ char *problem = NULL;
	size_t offset;

	if (policy_check(text, strlen(text), &offset, &problem) != 0)
		fail_msg("%s: %s at %zu", text, problem, offset);
}

static void refuses_bytes(const char *text, size_t len, size_t at, const char *what)
{
	_cleanup_free_ char *problem = NULL;
	size_t offset = SIZE_MAX;

	assert_int_equal(policy_check(text, len, &offset, &problem), -EINVAL);
	assert_string_equal(problem, what);
	assert_int_equal(offset, at);
}

static void refuses(const char *text, size_t at, const char *what)
{
	refuses_bytes(text, strlen(text), at, what);
}

static void json_is_accepted(_unused_ void **state)
{
	accepts("{}");
	accepts(" [ ] ");
	accepts("\t{\"a\": [1, -2, 0, 3.5, 1e9, 2E-3], \"b\": {\"a\": null}}\r\n");
	accepts("[true, false, null, \"x\\n\\u00e9\\ud83d\\ude00 \xc3\xa9 \xf0\x9f\x98\x80\"]");
	accepts("17");
	accepts("[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]");
}

static void syntax(_unused_ void **state)
{
	refuses("", 0, "expected a value, got the end of the text");
	refuses("{", 1, "expected '\"' and a key, got the end of the text");
	refuses("{} x", 3, "expected the end of the text, got 'x'");
	refuses("[1,]", 3, "expected a value, got ']'");
	refuses("[1 2]", 3, "expected ',' or ']', got '2'");
	refuses("{\"a\":1,}", 7, "expected '\"' and a key, got '}'");
	refuses("{\"a\" 1}", 5, "expected ':' after a key, got '1'");
	refuses("{\"a\":1 \"b\":2}", 7, "expected ',' or '}', got '\"'");
	refuses("// x\n{}", 0, "expected a value, got '/'");
	refuses("[01]", 2, "expected a number without leading zeros");
	refuses("[1.]", 3, "expected a digit, got ']'");
	refuses("[.5]", 1, "expected a value, got '.'");
	refuses("[+1]", 1, "expected a value, got '+'");
	refuses("[0x10]", 2, "expected ',' or ']', got 'x'");
	refuses("[NaN]", 1, "expected a value, got 'N'");
	refuses("[True]", 1, "expected a value, got 'T'");
	refuses("[tru]", 1, "expected a value, got 't'");
	refuses("\"abc", 4, "expected '\"' at the end of a string, got the end of the text");
	refuses("\"a\nb\"", 2, "expected a printable character in a string, got byte 0x0a");
	refuses("\"\\x\"", 2, "expected an escape of JSON after '\\', got 'x'");
	refuses("\"\\", 2, "expected an escape of JSON after '\\', got the end of the text");
	refuses("\"\\u12g4\"", 5, "expected four hexadecimal digits after \\u, got 'g'");
	refuses("\xef\xbb\xbf{}", 0, "expected a value, got byte 0xef");
	refuses_bytes("{\0}", 3, 1, "expected '\"' and a key, got byte 0x00");
	refuses_bytes("\"a\0b\"", 5, 2, "expected a printable character in a string, got byte 0x00");
}

static void what_json_c_lets_through(_unused_ void **state)
{
	refuses("{\"mode\":\"enforce\",\"mode\":\"monitor\"}", 18,
		"expected each key once, got one twice in one object");
	refuses("{\"a\":{\"b\":1,\"c\":2,\"b\":3}}", 18,
		"expected each key once, got one twice in one object");
	refuses("{'mode':1}", 1, "expected '\"' and a key, got '''");
	refuses("['x']", 1, "expected a value, got '''");
	refuses("\"x\\u0000y\"", 2, "expected a character, got \\u0000");
	/* Otherwise "mo\u0064e" would be a second "mode". */
	refuses("{\"mo\\u0064e\":1}", 4, "expected a key without escapes, got '\\'");
	accepts("[{\"a\":1},{\"a\":2}]");
}

static void utf8(_unused_ void **state)
{
	refuses("\"\xff\"", 1, "expected UTF-8, got byte 0xff");
	refuses("\"\xc0\x80\"", 1, "expected UTF-8, got byte 0xc0");
	refuses("\"\xe0\x80\x80\"", 1, "expected UTF-8, got byte 0xe0");
	refuses("\"\xed\xa0\x80\"", 1, "expected UTF-8, got byte 0xed");
	refuses("\"\xf4\x90\x80\x80\"", 1, "expected UTF-8, got byte 0xf4");
	refuses("\"\xc3", 1, "expected UTF-8, got byte 0xc3");
	refuses("\"\\ud800\"", 1, "expected a character, got half of a surrogate pair");
	refuses("\"\\udc00\"", 1, "expected a character, got half of a surrogate pair");
	refuses("\"\\ud800\\u0041\"", 1, "expected a character, got half of a surrogate pair");
}

static void limits(_unused_ void **state)
{
	_cleanup_free_ char *text = malloc(1 << 20);
	char *p = text;

	refuses("[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", 16,
		"expected nesting of at most 16, got more");

	p += sprintf(p, "{");
	for (int i = 0; i < POLICY_MAX_KEYS; i++)
		p += sprintf(p, "%s\"k%d\":1", i ? "," : "", i);
	strcpy(p, "}");
	accepts(text);
	sprintf(p, ",\"one-more\":1}");
	refuses(text, (size_t)(p - text) + 1, "expected at most 64 keys in one object, got more");

	sprintf(text, "{\"%0*d\":1}", POLICY_MAX_KEY, 0);
	accepts(text);
	sprintf(text, "{\"%0*d\":1}", POLICY_MAX_KEY + 1, 0);
	refuses(text, 1, "expected a key of at most 64 bytes, got 65");

	memset(text, '[', 1 << 20);
	refuses_bytes(text, 1 << 20, 16, "expected nesting of at most 16, got more");
	memset(text, '\xff', 1 << 20);
	refuses_bytes(text, 1 << 20, 0, "expected a value, got byte 0xff");
}

static const char sample[] =
	"{\n"
	"  \"name\": \"p\",\n"
	"  \"rules\": [\n"
	"    {\"gpa\": \"0x0\"},\n"
	"    {\"name\": \"\xc3\xa9\", \"gpa\": 12}\n"
	"  ]\n"
	"}\n";

static void assert_at(const char *path, const char *key, const char *expected,
		      unsigned int line, unsigned int column)
{
	unsigned int l, c;
	size_t end, start = policy_locate(sample, strlen(sample), path, key, &end);

	assert_int_equal(end - start, strlen(expected));
	assert_memory_equal(sample + start, expected, end - start);
	policy_position(sample, start, &l, &c);
	assert_int_equal(l, line);
	assert_int_equal(c, column);
}

static void places(_unused_ void **state)
{
	assert_at("/name", NULL, "\"p\"", 2, 11);
	assert_at("/rules/0", NULL, "{\"gpa\": \"0x0\"}", 4, 5);
	assert_at("/rules/0/gpa", NULL, "\"0x0\"", 4, 13);
	/* In characters: the e-acute before it is two bytes. */
	assert_at("/rules/1/gpa", NULL, "12", 5, 26);
	assert_at("/rules/1", "gpa", "\"gpa\"", 5, 19);
	assert_at("", "rules", "\"rules\"", 3, 3);
}

static void no_such_place(_unused_ void **state)
{
	static const char *const paths[] = { "/none", "/rules/2", "/rules/10", "/rules/0/gp",
					     "/rules/0/gpa/x", "rules", "/" };

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(policy_locate(sample, strlen(sample), paths[i], NULL, NULL), 0);
	assert_int_equal(policy_locate(sample, strlen(sample), "", "gpa", NULL), 0);
}

/* Whatever the scanner accepts, json-c must read: cut a text everywhere. */
static void agrees_with_json_c(_unused_ void **state)
{
	static const char text[] =
		"{\"a\":[1,-2,0.5,\"x\\u00e9\\n\",true,null,{\"b\":{}}],\"c\":\"\xc3\xa9\"}";

	for (size_t from = 0; from < strlen(text); from++)
		for (size_t to = from; to <= strlen(text); to++) {
			_cleanup_json_ struct json_object *o = NULL;
			_cleanup_free_ char *problem = NULL;
			size_t offset;

			if (policy_check(text + from, to - from, &offset, &problem) == 0 &&
			    strncmp(text + from, "null", 4) != 0)
				assert_int_equal(json_parse(text + from, to - from, &o), 0);
			else
				assert_true(!problem || offset <= to - from);
		}
}

UNIT_MAIN(T(json_is_accepted), T(syntax), T(what_json_c_lets_through), T(utf8), T(limits),
	  T(places), T(no_such_place), T(agrees_with_json_c))
