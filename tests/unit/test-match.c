// SPDX-License-Identifier: GPL-2.0-or-later
/* match.c: which VMs a policy is for, and whom it believes. */
#include <pwd.h>

#include "match.h"
#include "unit.h"
#include "util/json.h"

#define UUID "11111111-2222-3333-4444-55555555555a"

static const struct match_subject web = {
	.name = "web-1", .uuid = UUID, .unit = "machine-qemu.scope", .uid = 107, .pid = 4711,
	.trusted = true,
};

static struct match read_match(const char *text)
{
	struct schema_text p = { .text = text, .len = strlen(text), .label = "f" };
	_cleanup_json_ struct json_object *o = NULL;
	struct match m = {};

	assert_int_equal(json_parse(text, p.len, &o), 0);
	if (match_read(&p, "", o, &m) < 0)
		fail_msg("%s", p.message);
	return m;
}

static bool applies(const char *text, struct match_subject vm)
{
	struct match m = read_match(text);

	match_resolve(&m);
	return match_applies(&m, &vm);
}

static void refuses(const char *text, const char *what)
{
	struct schema_text p = { .text = text, .len = strlen(text), .label = "f" };
	_cleanup_json_ struct json_object *o = NULL;
	struct match m = { .pid = 77 };

	assert_int_equal(json_parse(text, p.len, &o), 0);
	assert_int_equal(match_read(&p, "", o, &m), -EINVAL);
	if (!strstr(p.message, what))
		fail_msg("%s, not %s", p.message, what);
	assert_int_equal(m.pid, 77);
	free(p.message);
}

static void by_name(_unused_ void **state)
{
	struct match_subject nameless = web, raw = web;

	assert_true(applies("{\"vm\":\"web-*\"}", web));
	assert_true(applies("{\"vm\":\"web-1\"}", web));
	assert_true(applies("{\"vm\":\"web-[0-9]\"}", web));
	assert_false(applies("{\"vm\":\"web-\"}", web));
	assert_false(applies("{\"vm\":\"db-*\"}", web));
	assert_false(applies("{\"vm\":\"WEB-*\"}", web));
	nameless.name = "";
	assert_false(applies("{\"vm\":\"*\"}", nameless));
	/* Names are escaped, and so are patterns. */
	raw.name = "web\\xff";
	assert_true(applies("{\"vm\":\"web\\\\xff\"}", raw));
	assert_false(applies("{\"vm\":\"webxff\"}", raw));
}

static void by_uuid(_unused_ void **state)
{
	assert_true(applies("{\"uuid\":\"" UUID "\"}", web));
	assert_true(applies("{\"uuid\":\"11111111-2222-3333-4444-55555555555A\"}", web));
	assert_false(applies("{\"uuid\":\"11111111-2222-3333-4444-555555555555\"}", web));
}

static void claims(_unused_ void **state)
{
	struct match_subject claimed = web;

	claimed.trusted = false;
	assert_false(applies("{\"vm\":\"web-*\"}", claimed));
	assert_false(applies("{\"uuid\":\"" UUID "\"}", claimed));
	assert_true(applies("{\"vm\":\"web-*\",\"trust\":\"any\"}", claimed));
	assert_true(applies("{\"uuid\":\"" UUID "\",\"trust\":\"any\"}", claimed));
	assert_false(applies("{\"vm\":\"db-*\",\"trust\":\"any\"}", claimed));
	assert_true(applies("{\"trust\":\"any\"}", claimed));
	/* What the kernel says needs nobody's word. */
	assert_true(applies("{\"user\":107}", claimed));
	assert_true(applies("{\"unit\":\"machine-*.scope\"}", claimed));
	assert_true(applies("{\"pid\":4711}", claimed));
	assert_false(applies("{\"user\":107,\"vm\":\"web-1\"}", claimed));
}

static void by_others(_unused_ void **state)
{
	struct match_subject root = web;

	assert_true(applies("{\"user\":\"107\"}", web));
	assert_false(applies("{\"user\":0}", web));
	assert_false(applies("{\"user\":\"no-such-user-here\"}", web));
	root.uid = 0;
	assert_true(applies("{\"user\":\"root\"}", root));
	assert_false(applies("{\"user\":\"root\"}", web));
	assert_false(applies("{\"unit\":\"*.service\"}", web));
	assert_false(applies("{\"pid\":4712}", web));
}

static void all_conditions(_unused_ void **state)
{
	assert_true(applies("{\"vm\":\"web-*\",\"user\":107,\"pid\":4711,\"unit\":\"machine*\"}", web));
	assert_false(applies("{\"vm\":\"web-*\",\"user\":108,\"pid\":4711}", web));
	assert_false(applies("{\"vm\":\"web-*\",\"user\":107,\"pid\":1}", web));
	/* Nobody is meant by nothing. */
	assert_false(applies("{}", web));
}

static void wrong(_unused_ void **state)
{
	refuses("{\"vm\":\"\"}", "/vm: expected a pattern for names");
	refuses("{\"vm\":1}", "/vm: expected a pattern for names");
	refuses("{\"uuid\":\"web-1\"}", "/uuid: expected a uuid");
	refuses("{\"uuid\":\"11111111-2222-3333-4444_55555555555a\"}", "/uuid: expected a uuid");
	refuses("{\"user\":-1}", "/user: expected a user");
	refuses("{\"user\":4294967295}", "/user: expected a user");
	refuses("{\"user\":\"a b\"}", "/user: expected a user");
	refuses("{\"pid\":0}", "/pid: expected a process id");
	refuses("{\"pid\":\"1\"}", "/pid: expected a process id");
	refuses("{\"trust\":\"root\"}", "/trust: expected \"any\"");
	refuses("{\"name\":\"web\"}", "expected one of the keys vm uuid user unit pid trust");
}

UNIT_MAIN(T(by_name), T(by_uuid), T(claims), T(by_others), T(all_conditions), T(wrong))
