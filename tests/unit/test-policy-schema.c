// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * docs/policy.schema.json beside the parser: both take the same texts and refuse the same.
 * The validator here has the keywords of JSON Schema that the schema uses, and no others.
 */
#include <glob.h>
#include <regex.h>

#include "api/check.h"
#include "unit.h"
#include "util/json.h"

static struct json_object *schema;

static char *read_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 16);

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 16) - 1, f) > 0);
	return text;
}

static bool valid(struct json_object *s, struct json_object *v);

static bool has_type(const char *type, struct json_object *v)
{
	static const struct {
		const char *word;
		enum json_type type;
	} types[] = {
		{ "object", json_type_object },	  { "array", json_type_array },
		{ "string", json_type_string },	  { "integer", json_type_int },
		{ "boolean", json_type_boolean },
	};

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if (streq(types[i].word, type))
			return json_object_is_type(v, types[i].type);
	fail_msg("the schema has type %s, which this test does not know", type);
	return false;
}

/* "#/$defs/name" */
static struct json_object *resolve(const char *ref)
{
	struct json_object *defs, *s;
	const char *name = startswith(ref, "#/$defs/");

	if (!name || !json_object_object_get_ex(schema, "$defs", &defs) ||
	    !json_object_object_get_ex(defs, name, &s))
		fail_msg("the schema has no %s", ref);
	return s;
}

static bool matches(const char *pattern, struct json_object *v)
{
	regex_t regex;
	bool found;

	if (!json_object_is_type(v, json_type_string))
		return true;
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	found = regexec(&regex, json_object_get_string(v), 0, NULL, 0) == 0;
	regfree(&regex);
	return found;
}

static size_t count(struct json_object *list, struct json_object *v)
{
	size_t n = 0;

	for (size_t i = 0; i < json_object_array_length(list); i++)
		n += valid(json_object_array_get_idx(list, i), v) != 0;
	return n;
}

static bool one_of(struct json_object *list, struct json_object *v)
{
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (json_object_equal(json_object_array_get_idx(list, i), v))
			return true;
	return false;
}

static bool properties(struct json_object *s, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_object))
		return true;
	json_object_object_foreach(s, key, sub) {
		struct json_object *member;

		if (json_object_object_get_ex(v, key, &member) && !valid(sub, member))
			return false;
	}
	return true;
}

/* additionalProperties: false */
static bool closed(struct json_object *s, struct json_object *v)
{
	struct json_object *known;

	if (!json_object_is_type(v, json_type_object))
		return true;
	assert_true(json_object_object_get_ex(s, "properties", &known));
	json_object_object_foreach(v, key, member) {
		(void)member;
		if (!json_object_object_get_ex(known, key, NULL))
			return false;
	}
	return true;
}

static bool required(struct json_object *list, struct json_object *v)
{
	if (!json_object_is_type(v, json_type_object))
		return true;
	for (size_t i = 0; i < json_object_array_length(list); i++)
		if (!json_object_object_get_ex(
			    v, json_object_get_string(json_object_array_get_idx(list, i)), NULL))
			return false;
	return true;
}

static bool items(const char *keyword, struct json_object *s, struct json_object *v)
{
	size_t n, fit = 0;

	if (!json_object_is_type(v, json_type_array))
		return true;
	n = json_object_array_length(v);
	for (size_t i = 0; i < n; i++)
		fit += valid(s, json_object_array_get_idx(v, i));
	return streq(keyword, "contains") ? fit > 0 : fit == n;
}

static bool unique(struct json_object *v)
{
	for (size_t i = 0; i < json_object_array_length(v); i++)
		for (size_t j = 0; j < i; j++)
			if (json_object_equal(json_object_array_get_idx(v, i),
					      json_object_array_get_idx(v, j)))
				return false;
	return true;
}

/* minItems and the like: a keyword is of one type, and says nothing of others. */
static bool bounds(const char *keyword, int64_t bound, struct json_object *v)
{
	bool is_int = json_object_is_type(v, json_type_int);
	int64_t n = is_int ? json_object_get_int64(v) : 0;

	if (streq(keyword, "minimum"))
		return !is_int || n >= bound;
	if (streq(keyword, "maximum"))
		return !is_int || n <= bound;
	if (streq(keyword, "multipleOf"))
		return !is_int || n % bound == 0;
	if (streq(keyword, "minItems") || streq(keyword, "maxItems")) {
		if (!json_object_is_type(v, json_type_array))
			return true;
		n = (int64_t)json_object_array_length(v);
	} else if (streq(keyword, "minLength") || streq(keyword, "maxLength")) {
		if (!json_object_is_type(v, json_type_string))
			return true;
		n = json_object_get_string_len(v);
	} else if (streq(keyword, "minProperties")) {
		if (!json_object_is_type(v, json_type_object))
			return true;
		n = json_object_object_length(v);
	} else {
		fail_msg("the schema has keyword %s, which this test does not know", keyword);
	}
	return startswith(keyword, "min") ? n >= bound : n <= bound;
}

static bool holds(struct json_object *s, const char *keyword, struct json_object *k,
		  struct json_object *v)
{
	if (*keyword == '$' && !streq(keyword, "$ref"))
		return true;
	if (streq(keyword, "title") || streq(keyword, "description"))
		return true;
	if (streq(keyword, "$ref"))
		return valid(resolve(json_object_get_string(k)), v);
	if (streq(keyword, "type"))
		return has_type(json_object_get_string(k), v);
	if (streq(keyword, "const"))
		return json_object_equal(k, v);
	if (streq(keyword, "enum"))
		return one_of(k, v);
	if (streq(keyword, "pattern"))
		return matches(json_object_get_string(k), v);
	if (streq(keyword, "properties"))
		return properties(k, v);
	if (streq(keyword, "additionalProperties"))
		return closed(s, v);
	if (streq(keyword, "required"))
		return required(k, v);
	if (streq(keyword, "items") || streq(keyword, "contains"))
		return items(keyword, k, v);
	if (streq(keyword, "uniqueItems"))
		return !json_object_is_type(v, json_type_array) || unique(v);
	if (streq(keyword, "anyOf"))
		return count(k, v) > 0;
	if (streq(keyword, "allOf"))
		return count(k, v) == json_object_array_length(k);
	return bounds(keyword, json_object_get_int64(k), v);
}

static bool valid(struct json_object *s, struct json_object *v)
{
	/* A schema may be a boolean. */
	if (json_object_is_type(s, json_type_boolean))
		return json_object_get_boolean(s);
	json_object_object_foreach(s, keyword, k)
		if (!holds(s, keyword, k, v))
			return false;
	return true;
}

/* Both judge alike. */
static void judge(const char *text, const char *file, bool expected)
{
	_cleanup_json_ struct json_object *v = NULL;
	_cleanup_free_ char *message = NULL;
	struct check_summary summary;
	int r;

	assert_int_equal(json_parse(text, strlen(text), &v), 0);
	r = check_policy(text, strlen(text), file, &summary, &message);
	if ((r >= 0) != expected)
		fail_msg("the parser: %s: %s", text, message ?: "takes it");
	if (valid(schema, v) != expected)
		fail_msg("the schema %s: %s", expected ? "refuses" : "takes", text);
}

#define RULE "\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":4096"
#define WITH(rule) "{\"match\":{\"vm\":\"web-*\"},\"rules\":[{" rule "}]}"
#define MATCH(match) "{\"match\":" match ",\"rules\":[{" RULE ",\"write\":\"deny\"}]}"
#define HEAD(head) "{" head ",\"match\":{\"vm\":\"web-*\"},\"rules\":[{" RULE ",\"write\":\"deny\"}]}"
#define PIN(pin) WITH("\"name\":\"r\",\"pin\":" pin)

static const char *const good[] = {
	WITH(RULE ",\"write\":\"deny\""),
	WITH(RULE ",\"execute\":\"user\""),
	WITH(RULE ",\"execute\":\"none\",\"write\":\"allow\",\"read\":\"allow\""),
	WITH(RULE ",\"write\":\"deny\",\"read\":\"deny\""),
	WITH(RULE ",\"write\":\"deny\",\"action\":\"kill\",\"default\":\"allow\",\"on-reset\":\"keep\","
	     "\"arm\":\"now\",\"page-table\":true"),
	WITH(RULE ",\"write\":\"deny\",\"action\":\"exit\",\"arm\":\"boot\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1e0080\",\"length\":128,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x80\",\"length\":\"128\",\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x0\",\"length\":\"all\",\"execute\":\"user\""),
	WITH("\"name\":\"a:b.c_d-e\",\"gpa\":\"0x00\",\"length\":\"2M\",\"execute\":\"kernel\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x0000fffffffff000\",\"length\":\"0x1000\",\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":\"64K\",\"execute\":\"user\",\"except\":"
	     "[{\"gpa\":\"0x2000\",\"length\":\"4K\"},{\"gpa\":\"0x4000\",\"length\":4096}]"),
	WITH(RULE ",\"execute\":\"user\",\"except\":[]"),
	PIN("{\"cr0\":[\"wp\"]}"),
	PIN("{\"cr4\":[\"smep\",\"smap\"],\"efer\":[\"nx\"]},\"on-reset\":\"keep\",\"action\":\"skip\""),
	PIN("{\"cr4\":[\"lass\"]},\"efi-runtime\":\"no\""),
	MATCH("{\"trust\":\"any\"}"),
	MATCH("{\"user\":107}"), MATCH("{\"user\":\"libvirt-qemu\"}"), MATCH("{\"user\":\"107\"}"),
	MATCH("{\"unit\":\"machine-*\",\"pid\":1}"),
	MATCH("{\"uuid\":\"11111111-2222-3333-4444-55555555555A\"}"),
	HEAD("\"version\":1"), HEAD("\"name\":\"x\""), HEAD("\"mode\":\"monitor\""),
	HEAD("\"on-reset\":\"kill\",\"mode\":\"enforce\",\"version\":1"),
	"{\"mode\":\"learn\",\"match\":{\"vm\":\"x\"},\"rules\":[{" RULE ",\"execute\":\"user\"}]}",
};

static const char *const bad[] = {
	"[]", "{}", "{\"match\":{\"vm\":\"x\"}}", "{\"match\":{\"vm\":\"x\"},\"rules\":[]}",
	"{\"rules\":[{" RULE ",\"write\":\"deny\"}]}", "{" RULE ",\"write\":\"deny\"}",
	"{\"match\":{\"vm\":\"x\"},\"rules\":{}}", "{\"match\":{\"vm\":\"x\"},\"rules\":[1]}",
	WITH(RULE), WITH(RULE ",\"write\":\"allow\""), WITH(RULE ",\"execute\":\"both\""),
	WITH(RULE ",\"read\":\"deny\""), WITH(RULE ",\"execute\":\"user\",\"read\":\"deny\""),
	WITH(RULE ",\"write\":true"), WITH(RULE ",\"write\":\"no\""),
	WITH(RULE ",\"write\":\"deny\",\"colour\":\"red\""),
	WITH(RULE ",\"write\":\"deny\",\"action\":\"hold\""),
	WITH(RULE ",\"write\":\"deny\",\"action\":\"default\""),
	WITH(RULE ",\"write\":\"deny\",\"default\":\"skip\""),
	WITH(RULE ",\"write\":\"deny\",\"on-reset\":\"deny\""),
	WITH(RULE ",\"write\":\"deny\",\"arm\":\"later\""),
	WITH(RULE ",\"write\":\"deny\",\"arm\":true"),
	WITH(RULE ",\"write\":\"deny\",\"page-table\":\"yes\""),
	WITH(RULE ",\"write\":\"deny\",\"deadline-ms\":5"),
	WITH(RULE ",\"write\":\"deny\",\"verify\":5"),
	WITH("\"name\":\"r\",\"symbol\":\"idt_table\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"gpa\":\"0x1000\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"write\":\"deny\""),
	WITH("\"name\":\"-r\",\"gpa\":\"0x1000\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r r\",\"gpa\":\"0x1000\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"\",\"gpa\":\"0x1000\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":4096,\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"4096\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1E0000\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1e00e0\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1001\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x10000000000000\",\"length\":4096,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1080\",\"length\":4096,\"execute\":\"user\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1080\",\"length\":4096,\"write\":\"deny\",\"read\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":0,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":\"0\",\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":-128,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":100,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":4096.5,\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":\"4k\",\"write\":\"deny\""),
	WITH("\"name\":\"r\",\"gpa\":\"0x1000\",\"length\":true,\"write\":\"deny\""),
	WITH(RULE ",\"execute\":\"user\",\"except\":{}"),
	WITH(RULE ",\"execute\":\"user\",\"except\":[{\"gpa\":\"0x1000\"}]"),
	WITH(RULE ",\"execute\":\"user\",\"except\":[{\"gpa\":\"0x1080\",\"length\":\"4K\"}]"),
	PIN("{}"), PIN("[]"), PIN("{\"cr0\":[]}"), PIN("{\"cr0\":[\"smep\"]}"),
	PIN("{\"cr0\":[\"wp\",\"wp\"]}"), PIN("{\"cr3\":[\"wp\"]}"), PIN("{\"cr4\":\"smep\"}"),
	PIN("{\"cr4\":[\"lass\"]}"), PIN("{\"cr4\":[\"smep\"]},\"efi-runtime\":\"no\""),
	PIN("{\"cr0\":[\"wp\"]},\"efi-runtime\":\"no\""),
	PIN("{\"cr4\":[\"lass\"]},\"efi-runtime\":\"yes\""),
	PIN("{\"cr0\":[\"wp\"]},\"action\":\"exit\""), PIN("{\"cr0\":[\"wp\"]},\"write\":\"deny\""),
	PIN("{\"cr0\":[\"wp\"]},\"gpa\":\"0x1000\""),
	MATCH("{}"), MATCH("[]"), MATCH("\"web\""), MATCH("{\"vm\":\"\"}"), MATCH("{\"vm\":1}"),
	MATCH("{\"name\":\"x\"}"), MATCH("{\"uuid\":\"1\"}"), MATCH("{\"user\":-1}"),
	MATCH("{\"user\":4294967295}"), MATCH("{\"user\":\"a b\"}"), MATCH("{\"user\":\"\"}"),
	MATCH("{\"pid\":0}"), MATCH("{\"pid\":\"1\"}"), MATCH("{\"unit\":\"\"}"),
	MATCH("{\"trust\":\"root\"}"), MATCH("{\"trust\":true}"),
	HEAD("\"version\":2"), HEAD("\"version\":\"1\""), HEAD("\"name\":\".x\""),
	HEAD("\"name\":\"a:b\""), HEAD("\"name\":1"), HEAD("\"mode\":\"off\""),
	HEAD("\"on-reset\":\"no\""), HEAD("\"comment\":\"\""), HEAD("\"require\":true"),
	HEAD("\"symbols\":\"/boot/System.map\""),
};

/* The name is the file's: whatever the sample says. */
static const char *file_for(const char *text)
{
	return strstr(text, "\"name\":\"x\",\"match\"") ? "x.json" : "sample.json";
}

static void samples(_unused_ void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		judge(good[i], file_for(good[i]), true);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		judge(bad[i], file_for(bad[i]), false);
}

/* What is shipped is what merlond takes from a directory. */
static void examples(_unused_ void **state)
{
	glob_t g;

	assert_int_equal(glob("docs/examples/*.json", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 2);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		_cleanup_free_ char *text = read_file(g.gl_pathv[i]);

		judge(text, g.gl_pathv[i], true);
	}
	globfree(&g);
}

static int load_schema(_unused_ void **state)
{
	_cleanup_free_ char *text = read_file("docs/policy.schema.json");

	return json_parse(text, strlen(text), &schema);
}

static int drop_schema(_unused_ void **state)
{
	json_object_put(schema);
	return 0;
}

int main(void)
{
	static const struct CMUnitTest tests[] = { T(samples), T(examples) };

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, load_schema, drop_schema);
}
