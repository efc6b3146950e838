// SPDX-License-Identifier: GPL-2.0-or-later
/* rule.c: what becomes a rule, and the exact words for what does not. */
#include "rule.h"
#include "unit.h"
#include "util/json.h"

#define PLACE "\"gpa\":\"0x1000\",\"length\":\"4K\""
#define GOOD "\"name\":\"r\"," PLACE ",\"write\":\"deny\""

static struct rule *parse_ok(const char *text, size_t *ret_n)
{
	_cleanup_free_ char *message = NULL;
	struct rule *rules = NULL;
	int r;

	r = rules_parse(text, strlen(text), "f", &rules, ret_n, &message);
	if (r < 0)
		fail_msg("%s: %s", text, message ?: "out of memory");
	assert_null(message);
	return rules;
}

static struct rule one(const char *text)
{
	size_t n = 0;
	_cleanup_free_ struct rule *rules = parse_ok(text, &n);

	assert_int_equal(n, 1);
	return rules[0];
}

static void refuses_as(int error, const char *text, const char *expected)
{
	_cleanup_free_ char *message = NULL;
	struct rule *rules = NULL;
	size_t n = 4711;

	assert_int_equal(rules_parse(text, strlen(text), "f", &rules, &n, &message), error);
	assert_non_null(message);
	assert_string_equal(message, expected);
	assert_null(rules);
	assert_int_equal(n, 4711);
}

#define refuses(text, expected) refuses_as(-EINVAL, text, expected)
#define not_supported(text, expected) refuses_as(-EOPNOTSUPP, text, expected)

static void one_rule_with_defaults(_unused_ void **state)
{
	struct rule r = one("{" GOOD "}");

	assert_string_equal(r.name, "r");
	assert_int_equal(r.gpa, 0x1000);
	assert_int_equal(r.length, 4096);
	assert_int_equal(r.action, KVM_VMI_DENY);
	assert_int_equal(r.dflt, KVM_VMI_DENY);
	assert_int_equal(r.on_reset, KVM_VMI_RESET_DISARM);
	assert_true(r.write_deny);
	assert_int_equal(r.execute, RULE_EXECUTE_BOTH);
	assert_false(r.page_table);
	assert_false(r.monitor);
}

static void one_rule_with_everything(_unused_ void **state)
{
	struct rule r = one("{\"name\":\"a.b:c_D-9\",\"gpa\":\"0x1e0080\",\"length\":128,"
			    "\"write\":\"deny\",\"read\":\"allow\",\"execute\":\"both\","
			    "\"action\":\"skip\",\"default\":\"kill\",\"arm\":\"now\","
			    "\"on-reset\":\"keep\",\"page-table\":true}");

	assert_string_equal(r.name, "a.b:c_D-9");
	assert_int_equal(r.gpa, 0x1e0080);
	assert_int_equal(r.length, 128);
	assert_int_equal(r.action, KVM_VMI_SKIP);
	assert_int_equal(r.dflt, KVM_VMI_KILL);
	assert_int_equal(r.on_reset, KVM_VMI_RESET_KEEP);
	assert_true(r.page_table);
}

static void asks_the_vmm(_unused_ void **state)
{
	struct rule r = one("{" GOOD ",\"action\":\"exit\",\"default\":\"allow\"}");

	assert_int_equal(r.action, KVM_VMI_EXIT);
	assert_int_equal(r.dflt, KVM_VMI_ALLOW);
}

static void who_may_execute(_unused_ void **state)
{
	struct rule r = one("{\"name\":\"r\"," PLACE ",\"execute\":\"user\"}");

	assert_false(r.write_deny);
	assert_int_equal(r.execute, KVM_VMI_RIGHT_EXEC_USER);
	r = one("{" GOOD ",\"execute\":\"none\"}");
	assert_true(r.write_deny);
	assert_int_equal(r.execute, 0);
	r = one("{\"name\":\"r\"," PLACE ",\"write\":\"allow\",\"execute\":\"kernel\"}");
	assert_false(r.write_deny);
	assert_int_equal(r.execute, KVM_VMI_RIGHT_EXEC_KERNEL);
	refuses("{\"name\":\"r\"," PLACE ",\"execute\":\"both\"}",
		"f:1:1: expected something that is denied (\"write\": \"deny\", or "
		"\"execute\": \"none\", \"user\" or \"kernel\"), got none");
	refuses("{\"name\":\"r\",\"gpa\":\"0x1080\",\"length\":\"4K\",\"execute\":\"user\"}",
		"f:1:19: /gpa: expected whole frames of 4096 bytes with \"execute\", got gpa "
		"0x1080 length 0x1000; the frames around it are gpa 0x1000 length 0x2000");
	refuses("{\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":128,\"execute\":\"none\"}",
		"f:1:37: /length: expected whole frames of 4096 bytes with \"execute\", got gpa "
		"0x1000 length 0x80; the frames around it are gpa 0x1000 length 0x1000");
	refuses("{" GOOD ",\"execute\":\"all\"}",
		"f:1:67: /execute: expected \"both\", \"user\", \"kernel\" or \"none\", got \"all\"");
}

static void what_may_be_read(_unused_ void **state)
{
	struct rule r = one("{" GOOD ",\"read\":\"deny\"}");

	assert_true(r.write_deny);
	assert_true(r.read_deny);
	assert_int_equal(r.execute, RULE_EXECUTE_BOTH);
	r = one("{" GOOD ",\"read\":\"allow\"}");
	assert_false(r.read_deny);
	refuses("{\"name\":\"r\"," PLACE ",\"read\":\"deny\",\"execute\":\"none\"}",
		"f:1:1: expected \"write\": \"deny\" beside \"read\": \"deny\" (no CPU has pages "
		"to write and not to read), got none");
	refuses("{\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":128,\"write\":\"deny\","
		"\"read\":\"deny\"}",
		"f:1:37: /length: expected whole frames of 4096 bytes with \"read\", got gpa "
		"0x1000 length 0x80; the frames around it are gpa 0x1000 length 0x1000");
}

static void a_policy(_unused_ void **state)
{
	size_t n = 0;
	_cleanup_free_ struct rule *rules = parse_ok(
		"{\"version\":1,\"name\":\"linux-kernel\",\"mode\":\"monitor\","
		"\"on-reset\":\"keep\",\"match\":{\"vm\":\"web-*\",\"user\":107,\"trust\":\"any\"},"
		"\"rules\":[{" GOOD "},"
		"{\"name\":\"s\",\"gpa\":\"0x0\",\"length\":\"0x80\",\"write\":\"deny\","
		"\"action\":\"allow\",\"on-reset\":\"kill\"}]}", &n);

	assert_int_equal(n, 2);
	assert_string_equal(rules[0].name, "r");
	assert_int_equal(rules[0].on_reset, KVM_VMI_RESET_KEEP);
	assert_true(rules[0].monitor);
	assert_string_equal(rules[1].name, "s");
	assert_int_equal(rules[1].gpa, 0);
	assert_int_equal(rules[1].length, 128);
	assert_int_equal(rules[1].action, KVM_VMI_ALLOW);
	assert_int_equal(rules[1].on_reset, KVM_VMI_RESET_KILL);
	assert_true(rules[1].monitor);
}

/* The policy's word counts wherever it stands in the text. */
static void order_does_not_matter(_unused_ void **state)
{
	struct rule r = one("{\"rules\":[{" GOOD "}],\"on-reset\":\"kill\",\"mode\":\"monitor\"}");

	assert_int_equal(r.on_reset, KVM_VMI_RESET_KILL);
	assert_true(r.monitor);
}

static void sizes(_unused_ void **state)
{
	assert_int_equal(one("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":256,\"write\":\"deny\"}")
				 .length, 256);
	assert_int_equal(one("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":\"2M\",\"write\":\"deny\"}")
				 .length, 2 << 20);
	assert_true(one("{\"name\":\"r\",\"gpa\":\"0xffffffffff000\",\"length\":\"4K\","
			"\"write\":\"deny\"}").gpa == 0xffffffffff000);
}

/* The list of what json-c takes for something else, at the level of a rule. */
static void what_json_c_lets_through(_unused_ void **state)
{
	refuses("{\"mode\":\"enforce\",\"mode\":\"monitor\",\"rules\":[]}",
		"f:1:19: expected each key once, got one twice in one object");
	refuses("{'name':\"r\"}", "f:1:2: expected '\"' and a key, got '''");
	refuses("{\"name\":\"x\\u0000y\"}", "f:1:11: expected a character, got \\u0000");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":99999999999999999999999,"
		"\"write\":\"deny\"}",
		"f:1:34: /length: expected a size of at most 2^63-1, got 99999999999999999999999");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":9223372036854775808}",
		"f:1:34: /length: expected a size of at most 2^63-1, got 9223372036854775808");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":true}",
		"f:1:34: /length: expected " "a size: decimal or 0x[0-9a-f]+, then K, M, G or "
		"nothing, got true");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":4096.9}",
		"f:1:34: /length: expected a size: decimal or 0x[0-9a-f]+, then K, M, G or "
		"nothing, got 4096.9");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":4096.0}",
		"f:1:34: /length: expected a size: decimal or 0x[0-9a-f]+, then K, M, G or "
		"nothing, got 4096.0");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\",\"length\":-1}",
		"f:1:34: /length: expected a size of at most 2^63-1, got -1");
	refuses("{\"page-table\":\"true\"}",
		"f:1:15: /page-table: expected true or false, got \"true\"");
	refuses("{\"page-table\":1}", "f:1:15: /page-table: expected true or false, got 1");
	refuses("{\"version\":\"1\",\"rules\":[]}", "f:1:12: /version: expected version 1, got \"1\"");
	refuses("{\"version\":1.0,\"rules\":[]}", "f:1:12: /version: expected version 1, got 1.0");
	refuses("{\"gpa\":4096}", "f:1:8: /gpa: expected an address 0x[0-9a-f]{1,16}, got 4096");
	refuses("{\"gpa\":\"4096\"}",
		"f:1:8: /gpa: expected an address 0x[0-9a-f]{1,16}, got \"4096\"");
	refuses("{\"gpa\":null}", "f:1:8: /gpa: expected an address 0x[0-9a-f]{1,16}, got null");
	refuses("{\"gpa\":[]}", "f:1:8: /gpa: expected an address 0x[0-9a-f]{1,16}, got an array");
	refuses("{\"gpa\":{}}", "f:1:8: /gpa: expected an address 0x[0-9a-f]{1,16}, got an object");
}

static void unknown_keys(_unused_ void **state)
{
	refuses("{\"rules\":[{" GOOD "}],\n\"colour\":1}",
		"f:2:1: expected one of the keys version name mode on-reset match symbols require "
		"rules, got \"colour\"");
	refuses("{\"rules\":[{" GOOD ",\n\"deny\":[\"write\"]}]}",
		"f:2:1: /rules/0: expected one of the keys name gpa length except symbol offset write read "
		"execute action default deadline-ms arm on-reset page-table verify pin efi-runtime, "
		"got \"deny\"");
	refuses("{\"rules\":[{" GOOD "}],\n\"match\":{\"name\":\"x\"}}",
		"f:2:10: /match: expected one of the keys vm uuid user unit pid trust, got \"name\"");
	refuses("{\"\xc3\xa9\":1}",
		"f:1:2: expected one of the keys name gpa length except symbol offset write read execute "
		"action default deadline-ms arm on-reset page-table verify pin efi-runtime, got "
		"\"\\xc3\\xa9\"");
}

static void missing_keys(_unused_ void **state)
{
	refuses("{}", "f:1:1: expected the key \"name\", got none");
	refuses("{\"name\":\"r\"}", "f:1:1: expected the key \"gpa\", got none");
	refuses("{\"name\":\"r\",\"gpa\":\"0x0\"}", "f:1:1: expected the key \"length\", got none");
	refuses("{\"rules\":[\n {\"name\":\"r\"," PLACE "}]}",
		"f:2:2: /rules/0: expected something that is denied (\"write\": \"deny\", or "
		"\"execute\": \"none\", \"user\" or \"kernel\"), got none");
	refuses("{\"name\":\"r\"," PLACE ",\"write\":\"allow\"}",
		"f:1:1: expected something that is denied (\"write\": \"deny\", or "
		"\"execute\": \"none\", \"user\" or \"kernel\"), got none");
	refuses("{\"version\":1,\"name\":\"p\"}", "f:1:1: expected the key \"rules\", got none");
	refuses("{\"rules\":[]}", "f:1:10: /rules: expected at least one rule, got none");
}

static void not_an_object(_unused_ void **state)
{
	refuses("[]", "f:1:1: expected a rule or a policy (an object), got an array");
	refuses("null", "f:1:1: expected a rule or a policy (an object), got null");
	refuses(" 17", "f:1:2: expected a rule or a policy (an object), got 17");
	refuses("", "f:1:1: expected a value, got the end of the text");
	refuses("{\"rules\":{}}", "f:1:10: /rules: expected an array of rules, got an object");
	refuses("{\"rules\":[null]}", "f:1:11: /rules/0: expected a rule (an object), got null");
	refuses("{\"rules\":[{" GOOD "},\n7]}",
		"f:2:1: /rules/1: expected a rule (an object), got 7");
}

static void words(_unused_ void **state)
{
	refuses("{\"write\":\"Deny\"}",
		"f:1:10: /write: expected \"allow\" or \"deny\", got \"Deny\"");
	refuses("{\"write\":true}", "f:1:10: /write: expected a string, got true");
	refuses("{\"action\":\"block\"}",
		"f:1:11: /action: expected \"deny\", \"allow\", \"skip\", \"kill\", \"exit\" or "
		"\"hold\", got \"block\"");
	refuses("{\"default\":\"skip\"}",
		"f:1:12: /default: expected \"deny\", \"allow\" or \"kill\", got \"skip\"");
	refuses("{\"mode\":\"on\"}",
		"f:1:9: /mode: expected \"monitor\", \"enforce\" or \"learn\", got \"on\"");
	refuses("{\"on-reset\":\"\"}",
		"f:1:13: /on-reset: expected \"disarm\", \"keep\" or \"kill\", got \"\"");
	refuses("{\"version\":2,\"rules\":[]}", "f:1:12: /version: expected version 1, got 2");
	refuses("{\"match\":{\"pid\":-1},\"rules\":[]}",
		"f:1:17: /match/pid: expected a process id, 1..2^31-1, got -1");
}

static void names(_unused_ void **state)
{
	static const char *const bad[] = { "", "a b", ".x", "-x", ":x", "a/b", "\xc3\xa9", "a%n",
					   "a\\n", "a\\u001b" };
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *message = NULL;
		struct rule *rules;
		size_t n;

		snprintf(text, sizeof(text), "{\"name\":\"%s\"," PLACE ",\"write\":\"deny\"}", bad[i]);
		assert_int_equal(rules_parse(text, strlen(text), "f", &rules, &n, &message),
				 -EINVAL);
		assert_non_null(strstr(message, "f:1:9: /name: expected a name: 1 to 64 of"));
		assert_null(strchr(message, '\n'));
		assert_null(strchr(message, '\x1b'));
	}

	snprintf(text, sizeof(text), "{\"name\":\"%064d\"," PLACE ",\"write\":\"deny\"}", 0);
	assert_int_equal(strlen(one(text).name), 64);
	snprintf(text, sizeof(text), "{\"name\":\"%065d\"," PLACE ",\"write\":\"deny\"}", 0);
	refuses(text, "f:1:9: /name: expected a name: 1 to 64 of A-Z a-z 0-9 _ . : - and not . : - "
		      "first, got \"000000000000000000000000000000000000000...");
	refuses("{\"rules\":[{" GOOD "},{\"name\":\"q\"," PLACE ",\"write\":\"deny\"},\n{" GOOD "}]}",
		"f:2:9: /rules/2/name: expected a name that no other rule here has, got \"r\"");
}

#define RANGE(gpa, length) \
	"{\"name\":\"r\",\"write\":\"deny\",\"gpa\":" gpa ",\"length\":" length "}"

static void ranges(_unused_ void **state)
{
	refuses(RANGE("\"0x1e00e0\"", "\"0x10\""),
		"f:1:34: /gpa: expected multiples of 128 bytes, got gpa 0x1e00e0 length 0x10; the "
		"aligned range around it is gpa 0x1e0080 length 0x80");
	refuses(RANGE("\"0x1e00e0\"", "128"),
		"f:1:34: /gpa: expected multiples of 128 bytes, got gpa 0x1e00e0 length 0x80; the "
		"aligned range around it is gpa 0x1e0080 length 0x100");
	refuses(RANGE("\"0x1000\"", "100"),
		"f:1:52: /length: expected multiples of 128 bytes, got gpa 0x1000 length 0x64; the "
		"aligned range around it is gpa 0x1000 length 0x80");
	refuses(RANGE("\"0x1000\"", "0"), "f:1:52: /length: expected a size above 0, got 0");
	refuses(RANGE("\"0xfffffffffffff\"", "1"),
		"f:1:34: /gpa: expected multiples of 128 bytes, got gpa 0xfffffffffffff length 0x1; "
		"the aligned range around it is gpa 0xfffffffffff80 length 0x80");
	refuses(RANGE("\"0xffffffffff000\"", "8192"),
		"f:1:61: /length: expected a range that ends at 2^52 or below, got gpa "
		"0xffffffffff000 length 0x2000");
	refuses(RANGE("\"0x10000000000000\"", "4096"),
		"f:1:34: /gpa: expected a range that ends at 2^52 or below, got gpa "
		"0x10000000000000 length 0x1000");
	refuses(RANGE("\"0xffffffffffffff80\"", "128"),
		"f:1:34: /gpa: expected a range that ends at 2^52 or below, got gpa "
		"0xffffffffffffff80 length 0x80");
	refuses(RANGE("\"0xffffffffffffff80\"", "\"0x7fffffffffffffff\""),
		"f:1:34: /gpa: expected a range that ends at 2^52 or below, got gpa "
		"0xffffffffffffff80 length 0x7fffffffffffffff");
}

static void words_not_built_yet(_unused_ void **state)
{
	not_supported("{\"name\":\"r\",\"symbol\":\"sys_call_table\"}",
		      "f:1:22: /symbol: \"symbol\" is not supported here yet");
	not_supported("{\"offset\":8}", "f:1:11: /offset: \"offset\" is not supported here yet");
	not_supported("{" GOOD ",\n\"action\":\"hold\"}",
		      "f:2:10: /action: \"hold\" is not supported here yet");
	not_supported("{" GOOD ",\n\"deadline-ms\":50}",
		      "f:2:15: /deadline-ms: \"deadline-ms\" is not supported here yet");
	not_supported("{" GOOD ",\n\"verify\":5}",
		      "f:2:10: /verify: \"verify\" is not supported here yet");
	not_supported("{\"require\":true,\"rules\":[]}",
		      "f:1:12: /require: \"require\" is not supported here yet");
	not_supported("{\"symbols\":\"System.map\",\"rules\":[]}",
		      "f:1:12: /symbols: \"symbols\" is not supported here yet");
	/* Not built and wrong is wrong. */
	refuses("{\"deadline-ms\":\"50\"}",
		"f:1:16: /deadline-ms: expected milliseconds, got \"50\"");
}

static void limits(_unused_ void **state)
{
	_cleanup_free_ char *text = NULL, *message = NULL;
	struct rule *rules = NULL;
	size_t size, n = 0;
	FILE *f = open_memstream(&text, &size);

	fputs("{\"rules\":[", f);
	for (int i = 0; i <= KVM_VMI_MAX_RULES; i++)
		fprintf(f, "%s{\"name\":\"r%d\"," PLACE ",\"write\":\"deny\"}", i ? "," : "", i);
	fputs("]}", f);
	fclose(f);
	assert_int_equal(rules_parse(text, size, "f", &rules, &n, &message), -E2BIG);
	assert_string_equal(message, "f:1:10: /rules: expected at most 4096 rules, got 4097");
	free(TAKE_PTR(message));

	/* One rule less and it is accepted. */
	text[size - 2] = '\0';
	*strrchr(text, ',') = '\0';
	*strrchr(text, ',') = '\0';
	*strrchr(text, ',') = '\0';
	*strrchr(text, ',') = '\0';
	strcat(text, "]}");
	assert_int_equal(rules_parse(text, strlen(text), "f", &rules, &n, &message), 0);
	assert_int_equal(n, KVM_VMI_MAX_RULES);
	free(TAKE_PTR(rules));

	text = realloc(text, MERLON_TEXT_MAX + 1);
	memset(text, ' ', MERLON_TEXT_MAX + 1);
	assert_int_equal(rules_parse(text, MERLON_TEXT_MAX + 1, "f", &rules, &n, &message), -E2BIG);
	assert_string_equal(message, "f:1:1: expected at most 1048576 bytes, got 1048577");
	free(TAKE_PTR(message));
	assert_int_equal(rules_parse(text, MERLON_TEXT_MAX, "f", &rules, &n, &message), -EINVAL);
	assert_string_equal(message, "f:1:1048577: expected a value, got the end of the text");
}

static void garbage(_unused_ void **state)
{
	_cleanup_free_ char *text = malloc(MERLON_TEXT_MAX);
	static const unsigned char fill[] = { 0, '[', '{', '"', '\\', ',', '1', 0xff, 0x1b, '\n' };

	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		_cleanup_free_ char *message = NULL;
		struct rule *rules;
		size_t n;

		memset(text, fill[i], MERLON_TEXT_MAX);
		assert_int_equal(rules_parse(text, MERLON_TEXT_MAX, "f", &rules, &n, &message),
				 -EINVAL);
		assert_true(strlen(message) < 256);
		for (const char *c = message; *c; c++)
			assert_true(*c >= 0x20 && *c < 0x7f);
	}
}

/* A file's name is bytes too. */
static void labels_are_escaped(_unused_ void **state)
{
	_cleanup_free_ char *message = NULL;
	struct rule *rules;
	size_t n;

	assert_int_equal(rules_parse("", 0, "a\x1b[m\n", &rules, &n, &message), -EINVAL);
	assert_string_equal(message,
			    "a\\x1b[m\\x0a:1:1: expected a value, got the end of the text");
}

static void round_trip(_unused_ void **state)
{
	struct rule a = one("{\"name\":\"r\",\"gpa\":\"0x1080\",\"length\":\"0x180\","
			    "\"write\":\"deny\",\"action\":\"kill\",\"default\":\"allow\","
			    "\"on-reset\":\"keep\",\"page-table\":true}"), b;
	_cleanup_free_ char *json = NULL;

	assert_int_equal(rule_to_json(&a, &json), 0);
	b = one(json);
	assert_string_equal(a.name, b.name);
	assert_true(a.gpa == b.gpa && a.length == b.length && a.action == b.action &&
		    a.dflt == b.dflt && a.on_reset == b.on_reset && a.write_deny == b.write_deny &&
		    a.read_deny == b.read_deny && a.execute == b.execute &&
		    a.page_table == b.page_table && a.monitor == b.monitor);
}

#define USER "{\"name\":\"r\",\"gpa\":\"0x10000\",\"length\":\"64K\",\"execute\":\"user\""

static void exceptions(_unused_ void **state)
{
	_cleanup_free_ struct rule *rules = NULL, *again = NULL;
	_cleanup_free_ char *text = NULL;
	struct rule copy;
	size_t n;

	/* In any order, touching or overlapping. */
	rules = parse_ok("{\"rules\":[" USER ",\"except\":["
			 "{\"gpa\":\"0x18000\",\"length\":4096},"
			 "{\"gpa\":\"0x10000\",\"length\":\"8K\"},"
			 "{\"gpa\":\"0x12000\",\"length\":\"4K\"},"
			 "{\"gpa\":\"0x11000\",\"length\":\"4K\"}]},"
			 "{\"name\":\"s\"," PLACE ",\"write\":\"deny\",\"except\":[]},"
			 "{\"name\":\"t\",\"gpa\":\"0x1000\",\"length\":\"all\",\"execute\":\"none\","
			 "\"except\":[{\"gpa\":\"0x7fff000\",\"length\":\"4K\"}]}]}", &n);
	assert_int_equal(n, 3);
	assert_int_equal(rules[0].n_except, 2);
	assert_int_equal(rules[0].except[0].gpa, 0x10000);
	assert_int_equal(rules[0].except[0].length, 0x3000);
	assert_int_equal(rules[0].except[1].gpa, 0x18000);
	assert_int_equal(rules[0].except[1].length, 0x1000);
	assert_int_equal(rules[1].n_except, 0);
	assert_null(rules[1].except);
	assert_int_equal(rules[2].length, RULE_LENGTH_ALL);
	assert_int_equal(rules[2].n_except, 1);
	assert_int_equal(rules[2].except[0].gpa, 0x7fff000);

	/* As text, and as a copy that is freed by itself. */
	assert_int_equal(rule_to_json(&rules[2], &text), 0);
	again = parse_ok(text, &n);
	assert_int_equal(again[0].length, RULE_LENGTH_ALL);
	assert_int_equal(again[0].n_except, 1);
	assert_int_equal(again[0].except[0].gpa, 0x7fff000);
	assert_int_equal(rule_copy(&rules[0], &copy), 0);
	assert_ptr_not_equal(copy.except, rules[0].except);
	assert_int_equal(copy.except[1].gpa, 0x18000);
	free(copy.except);

	refuses(USER ",\"except\":[{\"gpa\":\"0xf000\",\"length\":\"4K\"}]}",
		"f:1:71: /except/0: expected a range within the rule's, got gpa 0xf000 length 0x1000");
	refuses(USER ",\"except\":[{\"gpa\":\"0x1f000\",\"length\":\"8K\"}]}",
		"f:1:71: /except/0: expected a range within the rule's, got gpa 0x1f000 length 0x2000");
	refuses(USER ",\"except\":[{\"gpa\":\"0x11080\",\"length\":\"4K\"}]}",
		"f:1:78: /except/0/gpa: expected whole frames of 4096 bytes in \"except\", got gpa "
		"0x11080 length 0x1000; the frames around it are gpa 0x11000 length 0x2000");
	refuses(USER ",\"except\":[{\"length\":\"4K\"}]}",
		"f:1:71: /except/0: expected the key \"gpa\", got none");
	refuses(USER ",\"except\":[{\"gpa\":\"0x11000\",\"length\":0}]}",
		"f:1:97: /except/0/length: expected a size above 0, got 0");
	refuses(USER ",\"except\":[\"0x11000\"]}",
		"f:1:71: /except/0: expected a range (an object), got \"0x11000\"");
	refuses(USER ",\"except\":[{\"gpa\":\"0x11000\",\"length\":\"4K\",\"name\":\"x\"}]}",
		"f:1:102: /except/0: expected one of the keys gpa length, got \"name\"");
	refuses(USER ",\"except\":\"0x11000\"}",
		"f:1:70: /except: expected an array of ranges, got \"0x11000\"");
}

/* As many as there may be can be read back, however they are laid out; one more cannot. */
static void most_exceptions(_unused_ void **state)
{
	struct rule rule = {
		.name = "r", .length = RULE_LENGTH_ALL, .execute = KVM_VMI_RIGHT_EXEC_USER,
		.action = KVM_VMI_DENY, .dflt = KVM_VMI_DENY,
	};
	_cleanup_free_ struct rule_span *spans = calloc(RULE_MAX_EXCEPT + 1, sizeof(*spans));
	_cleanup_free_ char *text = NULL, *more = NULL, *message = NULL;
	_cleanup_json_ struct json_object *o = NULL;
	struct rule *rules = NULL;
	const char *pretty;
	size_t n;

	assert_non_null(spans);
	for (size_t i = 0; i <= RULE_MAX_EXCEPT; i++)
		spans[i] = (struct rule_span) { (1ULL << 51) + i * (1ULL << 31), 1ULL << 30 };
	rule.except = spans;
	rule.n_except = RULE_MAX_EXCEPT;
	assert_int_equal(rule_to_json(&rule, &text), 0);
	assert_int_equal(json_parse(text, strlen(text), &o), 0);
	pretty = json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY);
	assert_true(strlen(pretty) < MERLON_TEXT_MAX);
	rules = parse_ok(pretty, &n);
	assert_int_equal(rules[0].n_except, RULE_MAX_EXCEPT);
	free(TAKE_PTR(rules));

	rule.n_except++;
	assert_int_equal(rule_to_json(&rule, &more), 0);
	assert_int_equal(rules_parse(more, strlen(more), "f", &rules, &n, &message), -E2BIG);
	assert_non_null(strstr(message, "/except: expected at most 8192 ranges, got 8193"));
}

static void learns(_unused_ void **state)
{
	struct rule r = one("{\"mode\":\"learn\",\"rules\":[" USER "}]}");

	assert_true(r.learn);
	assert_false(r.monitor);
	assert_true(rule_can_learn(&r));
	r = one("{\"mode\":\"enforce\",\"rules\":[" USER "}]}");
	assert_false(r.learn);
	/* What the kernel may execute is not to be learned; nor is anything else. */
	refuses("{\"mode\":\"learn\",\"rules\":[{\"name\":\"r\"," PLACE ",\"execute\":\"none\"}]}",
		"f:1:26: /rules/0: expected \"execute\": \"user\" and no "
		"\"write\": \"deny\" in mode \"learn\"");
	refuses("{\"mode\":\"learn\",\"rules\":[{" GOOD ",\"execute\":\"user\"}]}",
		"f:1:26: /rules/0: expected \"execute\": \"user\" and no "
		"\"write\": \"deny\" in mode \"learn\"");
}

#define CR4(bits) "{\"name\":\"r\",\"pin\":{\"cr4\":[" bits "]}}"

static void pins(_unused_ void **state)
{
	struct rule r = one("{\"name\":\"r\",\"pin\":{\"cr0\":[\"wp\"],"
			    "\"cr4\":[\"umip\",\"smep\",\"cet\",\"smap\"],\"efer\":[\"nx\"]},"
			    "\"action\":\"kill\",\"default\":\"allow\",\"on-reset\":\"keep\","
			    "\"arm\":\"now\"}");

	assert_true(rule_pins(&r));
	assert_int_equal(r.pin[MERLON_REGISTER_CR0], 1 << 16);
	assert_int_equal(r.pin[MERLON_REGISTER_CR4], 1 << 11 | 1 << 20 | 1 << 21 | 1 << 23);
	assert_int_equal(r.pin[MERLON_REGISTER_EFER], 1 << 11);
	assert_false(r.no_efi);
	assert_int_equal(r.action, KVM_VMI_KILL);
	assert_int_equal(r.dflt, KVM_VMI_ALLOW);
	assert_int_equal(r.on_reset, KVM_VMI_RESET_KEEP);
	/* Nothing of memory. */
	assert_int_equal(r.gpa, 0);
	assert_int_equal(r.length, 0);
	assert_false(r.write_deny || r.read_deny || r.page_table || r.n_except);
	assert_int_equal(r.execute, RULE_EXECUTE_BOTH);
	assert_false(rule_can_learn(&r));

	r = one(CR4("\"smep\""));
	assert_int_equal(r.pin[MERLON_REGISTER_CR0], 0);
	assert_int_equal(r.pin[MERLON_REGISTER_CR4], 1 << 20);
	assert_int_equal(r.action, KVM_VMI_DENY);
	r = one("{\"mode\":\"monitor\",\"rules\":[" CR4("\"smep\"") "]}");
	assert_true(r.monitor);
	r = one("{" GOOD "}");
	assert_false(rule_pins(&r));
}

/* The one bit that Linux clears now and then. */
static void pins_lass(_unused_ void **state)
{
	struct rule r = one("{\"name\":\"r\",\"pin\":{\"cr4\":[\"lass\"]},"
			    "\"efi-runtime\":\"no\"}");

	assert_int_equal(r.pin[MERLON_REGISTER_CR4], 1 << 27);
	assert_true(r.no_efi);
	refuses(CR4("\"smep\",\"lass\""),
		"f:1:34: /pin/cr4/1: expected \"efi-runtime\": \"no\" beside \"lass\", got none: "
		"Linux clears CR4.LASS around each call of EFI's runtime services, which would be "
		"denied; say so of a guest that makes none (one booted without EFI, or with "
		"efi=noruntime), or leave out \"lass\"");
	refuses("{\"name\":\"r\",\"pin\":{\"cr4\":[\"lass\"]},\"efi-runtime\":\"yes\"}",
		"f:1:50: /efi-runtime: expected \"no\", got \"yes\"");
	refuses("{\"name\":\"r\",\"pin\":{\"cr4\":[\"lass\"]},\"efi-runtime\":false}",
		"f:1:50: /efi-runtime: expected a string, got false");
	refuses("{\"name\":\"r\",\"pin\":{\"cr4\":[\"smep\"]},\"efi-runtime\":\"no\"}",
		"f:1:50: /efi-runtime: expected no such word but in a rule that pins \"lass\" (no "
		"other bit is cleared around calls of EFI's runtime services), got \"no\"");
	refuses("{" GOOD ",\"efi-runtime\":\"no\"}",
		"f:1:71: /efi-runtime: expected no such word but in a rule that pins \"lass\" (no "
		"other bit is cleared around calls of EFI's runtime services), got \"no\"");
}

static void pins_wrongly(_unused_ void **state)
{
	static const char *const memory[] = {
		"\"gpa\":\"0x1000\"", "\"length\":\"4K\"", "\"except\":[]",
		"\"symbol\":\"x\"", "\"offset\":8", "\"write\":\"deny\"",
		"\"write\":\"allow\"", "\"read\":\"deny\"", "\"execute\":\"none\"",
		"\"page-table\":false", "\"verify\":5",
	};

	for (size_t i = 0; i < ARRAY_SIZE(memory); i++) {
		_cleanup_free_ char *text = NULL, *expected = NULL;
		const char *value = strchr(memory[i], ':') + 1;

		/* Whichever is first. */
		assert_true(asprintf(&text, "{%s,\n\"name\":\"r\",\"pin\":{\"cr0\":[\"wp\"]}}",
				     memory[i]) > 0);
		assert_true(asprintf(&expected,
				     "f:1:%zu: /%.*s: expected no such key in a rule with \"pin\" "
				     "(which is about registers, not memory), got %s",
				     2 + (size_t)(value - memory[i]),
				     (int)(value - memory[i]) - 3, memory[i] + 1,
				     *value == '[' ? "an array" : value) > 0);
		refuses(text, expected);
	}
	refuses("{\"name\":\"r\",\"pin\":{\"cr0\":[\"wp\"]},\n\"gpa\":\"0x1000\"}",
		"f:2:7: /gpa: expected no such key in a rule with \"pin\" (which is about "
		"registers, not memory), got \"0x1000\"");

	refuses("{\"pin\":{\"cr0\":[\"wp\"]}}", "f:1:1: expected the key \"name\", got none");
	refuses("{\"name\":\"r\",\"pin\":\"cr0.wp\"}",
		"f:1:19: /pin: expected registers and their bits (an object), got \"cr0.wp\"");
	refuses("{\"name\":\"r\",\"pin\":[\"wp\"]}",
		"f:1:19: /pin: expected registers and their bits (an object), got an array");
	refuses("{\"name\":\"r\",\"pin\":null}",
		"f:1:19: /pin: expected registers and their bits (an object), got null");
	refuses("{\"name\":\"r\",\"pin\":{}}",
		"f:1:19: /pin: expected at least one of the keys cr0 cr4 efer, got none");
	refuses("{\"name\":\"r\",\"pin\":{\"cr3\":[\"wp\"]}}",
		"f:1:20: /pin: expected one of the keys cr0 cr4 efer, got \"cr3\"");
	refuses("{\"name\":\"r\",\"pin\":{\"cr0\":\"wp\"}}",
		"f:1:26: /pin/cr0: expected an array of bits, got \"wp\"");
	refuses("{\"name\":\"r\",\"pin\":{\"cr0\":[\"wp\"],\"cr4\":[]}}",
		"f:1:39: /pin/cr4: expected at least one bit, got none");
	refuses(CR4("\"smep\",\"pae\""),
		"f:1:34: /pin/cr4/1: expected \"smep\", \"smap\", \"umip\", \"cet\" or \"lass\", "
		"got \"pae\"");
	refuses(CR4("\"SMEP\""),
		"f:1:27: /pin/cr4/0: expected \"smep\", \"smap\", \"umip\", \"cet\" or \"lass\", "
		"got \"SMEP\"");
	/* Of another register. */
	refuses(CR4("\"nx\""),
		"f:1:27: /pin/cr4/0: expected \"smep\", \"smap\", \"umip\", \"cet\" or \"lass\", "
		"got \"nx\"");
	refuses("{\"name\":\"r\",\"pin\":{\"efer\":[\"sce\"]}}",
		"f:1:28: /pin/efer/0: expected \"nx\", got \"sce\"");
	refuses(CR4("20"), "f:1:27: /pin/cr4/0: expected the name of a bit (a string), got 20");
	refuses(CR4("\"smep\",\"smap\",\"smep\""),
		"f:1:41: /pin/cr4/2: expected a bit that is not in the list yet, got \"smep\"");
	refuses("{\"name\":\"r\",\"pin\":{\"cr4\":[\"smep\"],\"cr4\":[\"smap\"]}}",
		"f:1:35: expected each key once, got one twice in one object");
	refuses("{\"name\":\"r\",\"pin\":{\"cr0\":[\"wp\"]},\"action\":\"exit\"}",
		"f:1:43: /action: expected another action beside \"pin\" (VMMs are asked about "
		"memory only), got \"exit\"");
	refuses("{\"mode\":\"learn\",\"rules\":[" CR4("\"smep\"") "]}",
		"f:1:9: /mode: expected \"enforce\" or \"monitor\" for rule 'r', which pins bits of "
		"registers, got \"learn\": only a rule of execute learns");
	not_supported("{\"name\":\"r\",\"pin\":{\"cr0\":[\"wp\"]},\"action\":\"hold\"}",
		      "f:1:43: /action: \"hold\" is not supported here yet");
	/* A neighbour of another kind goes with it; a wrong one not even then. */
	refuses("{\"rules\":[{" GOOD "},\n{\"name\":\"s\",\"pin\":{\"cr0\":[\"nx\"]}}]}",
		"f:2:27: /rules/1/pin/cr0/0: expected \"wp\", got \"nx\"");
}

static void pins_beside_memory(_unused_ void **state)
{
	size_t n = 0;
	_cleanup_free_ struct rule *rules = parse_ok(
		"{\"rules\":[{" GOOD "},{\"name\":\"s\",\"pin\":{\"cr0\":[\"wp\"]}}]}", &n);

	assert_int_equal(n, 2);
	assert_false(rule_pins(&rules[0]));
	assert_true(rules[0].write_deny);
	assert_true(rule_pins(&rules[1]));
	assert_false(rules[1].write_deny);
}

static void pins_round_trip(_unused_ void **state)
{
	struct rule a = one("{\"name\":\"r\",\"pin\":{\"efer\":[\"nx\"],"
			    "\"cr4\":[\"lass\",\"smep\"]},\"efi-runtime\":\"no\"}"), b;
	_cleanup_free_ char *json = NULL;

	assert_int_equal(rule_to_json(&a, &json), 0);
	assert_string_equal(json, "{\"name\":\"r\",\"pin\":{\"cr4\":[\"smep\",\"lass\"],"
				  "\"efer\":[\"nx\"]},\"efi-runtime\":\"no\",\"action\":\"deny\","
				  "\"default\":\"deny\",\"on-reset\":\"disarm\"}");
	b = one(json);
	assert_memory_equal(a.pin, b.pin, sizeof(a.pin));
	assert_true(b.no_efi);
}

static struct rule shipped(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char text[4096];
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	return one(text);
}

/* What is shipped is what the parser takes. */
static void shipped_examples(_unused_ void **state)
{
	struct rule r = shipped("docs/examples/kernel-code-integrity.json");

	assert_true(r.learn);
	assert_int_equal(r.gpa, 0);
	assert_int_equal(r.length, RULE_LENGTH_ALL);

	r = shipped("docs/examples/linux-cpu-protections.json");
	assert_string_equal(r.name, "cpu-protections");
	assert_int_equal(r.pin[MERLON_REGISTER_CR0], 1 << 16);
	assert_int_equal(r.pin[MERLON_REGISTER_CR4], 1 << 11 | 1 << 20 | 1 << 21);
	assert_int_equal(r.pin[MERLON_REGISTER_EFER], 1 << 11);
	assert_int_equal(r.on_reset, KVM_VMI_RESET_KEEP);
	assert_false(r.monitor);
}

UNIT_MAIN(T(exceptions), T(most_exceptions), T(learns), T(shipped_examples), T(one_rule_with_defaults), T(one_rule_with_everything), T(asks_the_vmm), T(who_may_execute),
	  T(what_may_be_read),
	  T(a_policy), T(order_does_not_matter), T(sizes), T(what_json_c_lets_through),
	  T(unknown_keys), T(missing_keys), T(not_an_object), T(words), T(names), T(ranges),
	  T(pins), T(pins_lass), T(pins_wrongly), T(pins_beside_memory), T(pins_round_trip),
	  T(words_not_built_yet), T(limits), T(garbage), T(labels_are_escaped), T(round_trip))
