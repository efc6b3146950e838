// SPDX-License-Identifier: GPL-2.0-or-later
/* api/event.c: JSON by the table, lines for people. */
#include "api/event.h"
#include "unit.h"
#include "util/json.h"

static const struct event violation = {
	.kind = MERLON_EVENT_VIOLATION,
	.vm = 17, .name = "web-1", .seq = 5, .time = 12345678901234,
	.access = "write", .gpa = 0x1e0080, .gva = 0xffffffff81e00080, .gva_valid = true,
	.rip = 0xffffffffc0000010, .cr3 = 0x1000, .length = 8, .rule = "idt", .rule_id = 3,
	.verdict = "deny", .vcpu = 1, .emulated = true,
};

static const struct event of_register = {
	.kind = MERLON_EVENT_VIOLATION,
	.vm = 17, .name = "web-1", .seq = 6, .time = 12345678901234,
	.access = "cr", .reg = "cr4", .cleared = "smep smap", .old_value = 0x370ef0,
	.new_value = 0x70ef0, .rip = 0xffffffff81000010, .cr3 = 0x1000, .rule = "cpu",
	.rule_id = 3, .verdict = "deny", .vcpu = 1,
	/* What there is not of a register is not told, whatever it holds. */
	.gpa = 0x1e0080, .gva = 0xffffffff81e00080, .gva_valid = true,
};

static void assert_json(const struct event *e, const char *expected)
{
	_cleanup_free_ char *json = NULL;

	assert_int_equal(event_to_json(e, &json), 0);
	assert_string_equal(json, expected);
}

static void assert_line(const char *json, const char *expected)
{
	_cleanup_free_ char *line = NULL;

	assert_int_equal(event_line(json, &line), 0);
	assert_string_equal(line, expected);
}

static void violation_json(_unused_ void **state)
{
	struct event e = violation;

	assert_json(&e, "{\"vm\":17,\"name\":\"web-1\",\"seq\":5,\"kind\":\"violation\","
			"\"time\":12345678901234,\"access\":\"write\",\"gpa\":\"0x1e0080\","
			"\"gva\":\"0xffffffff81e00080\",\"rip\":\"0xffffffffc0000010\","
			"\"cr3\":\"0x1000\",\"length\":8,\"rule\":\"idt\",\"rule-id\":3,"
			"\"verdict\":\"deny\",\"vcpu\":1,\"user\":false,\"nested\":false,"
			"\"vectoring\":false,\"emulated\":true,\"monitor\":false,"
			"\"bad-verdict\":false}");
}

/* Names come escaped; a text that did not is still one JSON string. */
static void texts_are_strings(_unused_ void **state)
{
	static const uint64_t numbers[] = { 0, 9, 10, UINT64_MAX };
	struct event e = { .kind = MERLON_EVENT_VM_DESTROYED, .vm = 17,
			   .name = "a\"b\\c\x01\x7f\xff\n" };
	struct json_object *o;
	char *json;

	assert_json(&e, "{\"vm\":17,\"name\":\"a\\\"b\\\\c\\u0001\\u007f\\u00ff\\u000a\",\"seq\":0,"
			"\"kind\":\"vm-destroyed\",\"time\":0}");
	e.name = "";
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++) {
		e.vm = numbers[i];
		assert_int_equal(event_to_json(&e, &json), 0);
		assert_int_equal(json_parse(json, strlen(json), &o), 0);
		assert_true(json_get_u64(o, "vm", 77) == numbers[i]);
		assert_string_equal(json_get_string(o, "name", "none"), "");
		json_object_put(o);
		free(json);
	}
}

static void tag_is_there_if_known(_unused_ void **state)
{
	_cleanup_free_ char *without = NULL, *json = NULL, *line = NULL;
	struct event e = violation;

	e.tag = 0x1234;
	assert_int_equal(event_to_json(&e, &without), 0);
	assert_null(strstr(without, "tag"));
	e.tag_valid = true;
	assert_int_equal(event_to_json(&e, &json), 0);
	assert_non_null(strstr(json, "\"gva\":\"0xffffffff81e00080\",\"tag\":\"0x1234\","));
	assert_int_equal(event_line(json, &line), 0);
	assert_non_null(strstr(line, "gva 0xffffffff81e00080 tag 0x1234 by"));
}

/* An address that is not known must not look like address 0. */
static void unknown_gva_is_left_out(_unused_ void **state)
{
	_cleanup_free_ char *json = NULL;
	struct event e = violation;

	e.gva_valid = false;
	assert_int_equal(event_to_json(&e, &json), 0);
	assert_null(strstr(json, "gva"));
}

static void other_kinds_have_their_members_only(_unused_ void **state)
{
	struct event e = violation;

	e.kind = MERLON_EVENT_VM_DESTROYED;
	assert_json(&e, "{\"vm\":17,\"name\":\"web-1\",\"seq\":5,\"kind\":\"vm-destroyed\","
			"\"time\":12345678901234}");
	e.kind = MERLON_EVENT_LOST;
	e.count = 7;
	e.name = NULL;
	assert_json(&e, "{\"vm\":17,\"name\":\"\",\"seq\":5,\"kind\":\"lost\","
			"\"time\":12345678901234,\"count\":7}");
}

static void every_kind_is_json_and_a_line(_unused_ void **state)
{
	for (int i = 0; i < MERLON_EVENT_MAX; i++) {
		_cleanup_json_ struct json_object *o = NULL;
		_cleanup_free_ char *json = NULL, *line = NULL;
		struct event e = violation;

		e.kind = i;
		assert_int_equal(event_to_json(&e, &json), 0);
		assert_null(strchr(json, '\n'));
		assert_int_equal(json_parse(json, strlen(json), &o), 0);
		assert_string_equal(json_get_string(o, "kind", ""), merlon_event_name(i));
		assert_int_equal(event_line(json, &line), 0);
		assert_non_null(strstr(line, merlon_event_name(i)));
		assert_null(strchr(line, '\n'));
	}
}

static void isolation_left(_unused_ void **state)
{
	static const char json[] =
		"{\"vm\":17,\"name\":\"web-1\",\"seq\":5,\"kind\":\"isolation-left\","
		"\"time\":12345678901234,\"reasons\":[\"fault\",\"bug\"],\"count\":12,"
		"\"ip\":\"0xffffffff81000010\",\"address\":\"0xffff888000001000\"}";
	static const char without[] =
		"{\"vm\":17,\"name\":\"web-1\",\"seq\":5,\"kind\":\"isolation-left\","
		"\"time\":12345678901234,\"reasons\":[\"debug\"],\"count\":1}";
	struct event e = violation;

	e.kind = MERLON_EVENT_ISOLATION_LEFT;
	e.reasons = "fault bug";
	e.count = 12;
	e.ip = 0xffffffff81000010;
	e.address = 0xffff888000001000;
	assert_json(&e, json);
	assert_line(json, "[12345.678901] #17 web-1 isolation-left 12 windows left: fault bug, "
			  "most by ip 0xffffffff81000010 at 0xffff888000001000");
	e.reasons = "debug";
	e.count = 1;
	e.ip = 0;
	assert_json(&e, without);
	assert_line(without, "[12345.678901] #17 web-1 isolation-left 1 window left: debug");
}

static void unpinned(_unused_ void **state)
{
	static const char json[] =
		"{\"vm\":17,\"name\":\"web-1\",\"seq\":5,\"kind\":\"unpinned\","
		"\"time\":12345678901234,\"vcpu\":1,\"cr0\":[\"wp\"],"
		"\"efer\":[\"nx\"],\"rules\":[\"cpu\",\"#7\"]}";
	struct event e = violation;

	e.kind = MERLON_EVENT_UNPINNED;
	e.clear_cr0 = "wp";
	e.clear_efer = "nx";
	e.rules = "cpu #7";
	assert_json(&e, json);
	assert_line(json, "[12345.678901] #17 web-1 unpinned cpu 1 has clear cr0 wp efer nx, "
			  "rules cpu #7");
	/* Dropped meanwhile, and bits of which we know no words. */
	e.clear_cr0 = e.clear_efer = NULL;
	e.rules = NULL;
	assert_json(&e, "{\"vm\":17,\"name\":\"web-1\",\"seq\":5,\"kind\":\"unpinned\","
			"\"time\":12345678901234,\"vcpu\":1,\"rules\":[]}");
}

static void violation_line(_unused_ void **state)
{
	_cleanup_free_ char *json = NULL;

	assert_int_equal(event_to_json(&violation, &json), 0);
	assert_line(json, "[12345.678901] #17 web-1 violation deny: write of 8 bytes at gpa "
			  "0x1e0080 gva 0xffffffff81e00080 by kernel rip 0xffffffffc0000010, "
			  "cpu 1, rule idt");
}

static void register_json(_unused_ void **state)
{
	struct event e = of_register;

	assert_json(&e, "{\"vm\":17,\"name\":\"web-1\",\"seq\":6,\"kind\":\"violation\","
			"\"time\":12345678901234,\"access\":\"cr\","
			"\"rip\":\"0xffffffff81000010\",\"cr3\":\"0x1000\",\"length\":0,"
			"\"register\":\"cr4\",\"cleared\":[\"smep\",\"smap\"],"
			"\"old\":\"0x370ef0\",\"new\":\"0x70ef0\",\"rule\":\"cpu\",\"rule-id\":3,"
			"\"verdict\":\"deny\",\"vcpu\":1,\"user\":false,\"nested\":false,"
			"\"vectoring\":false,\"emulated\":false,\"monitor\":false,"
			"\"bad-verdict\":false}");
}

/* A kernel that pins bits of which we know no words. */
static void register_without_words(_unused_ void **state)
{
	_cleanup_free_ char *json = NULL, *line = NULL;
	struct event e = of_register;

	e.cleared = "";
	assert_int_equal(event_to_json(&e, &json), 0);
	assert_non_null(strstr(json, "\"cleared\":[],"));
	assert_int_equal(event_line(json, &line), 0);
	assert_non_null(strstr(line, "deny: cr4 0x370ef0 -> 0x70ef0 by kernel"));
}

static void register_line(_unused_ void **state)
{
	_cleanup_free_ char *json = NULL;

	assert_int_equal(event_to_json(&of_register, &json), 0);
	assert_line(json, "[12345.678901] #17 web-1 violation deny: cr4 0x370ef0 -> 0x70ef0 "
			  "without smep smap by kernel rip 0xffffffff81000010, cpu 1, rule cpu");
}

static void lines_of_other_daemons(_unused_ void **state)
{
	_cleanup_free_ char *line = NULL;

	assert_line("{\"vm\":1,\"kind\":\"new-thing\",\"time\":1000000000,\"x\":\"y\",\"n\":2}",
		    "[    1.000000] #1 new-thing x=y n=2");
	assert_line("{\"kind\":\"violation\"}",
		    "[    0.000000] #0 violation ?: ? at gpa ? by kernel rip ?, cpu 0, rule #0");
	assert_line("{\"kind\":\"violation\",\"register\":\"cr4\",\"cleared\":[7,null]}",
		    "[    0.000000] #0 violation ?: cr4 ? -> ? without 7 ? by kernel rip ?, cpu 0, "
		    "rule #0");
	assert_line("{\"kind\":\"violation\",\"register\":\"cr4\",\"cleared\":\"smep\"}",
		    "[    0.000000] #0 violation ?: cr4 ? -> ? by kernel rip ?, cpu 0, rule #0");
	assert_int_equal(event_line("{}", &line), -EINVAL);
	assert_int_equal(event_line("[]", &line), -EINVAL);
	assert_int_equal(event_line("{\"kind\":5}", &line), -EINVAL);
	assert_int_equal(event_line("", &line), -EINVAL);
	assert_null(line);
}

UNIT_MAIN(T(violation_json), T(texts_are_strings), T(tag_is_there_if_known), T(unknown_gva_is_left_out),
	  T(other_kinds_have_their_members_only),
	  T(every_kind_is_json_and_a_line), T(violation_line), T(register_json),
	  T(register_without_words), T(register_line), T(unpinned), T(isolation_left),
	  T(lines_of_other_daemons))
