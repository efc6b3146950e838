// SPDX-License-Identifier: GPL-2.0-or-later
/* policy.c and check.c: a text that is to be a policy, its name, and those of its rules. */
#include "api/check.h"
#include "policy.h"
#include "unit.h"

#define RULE "{\"name\":\"idt\",\"gpa\":\"0x1000\",\"length\":128,\"write\":\"deny\"}"
#define RULES "\"rules\":[" RULE "]"
#define MATCH "\"match\":{\"vm\":\"web-*\"}"

static struct policy *parse(const char *text, const char *name)
{
	char *message;
	struct policy *policy = NULL;

	if (policy_parse(text, strlen(text), "f", name, &policy, &message) < 0)
		fail_msg("%s", message);
	return policy;
}

static void refuses(const char *text, const char *name, int error, const char *what)
{
	struct policy *policy = NULL;
	char *message = NULL;

	assert_int_equal(policy_parse(text, strlen(text), "f", name, &policy, &message), error);
	assert_null(policy);
	assert_non_null(message);
	if (!strstr(message, what))
		fail_msg("%s, not %s", message, what);
	free(message);
}

static void names(_unused_ void **state)
{
	struct policy *p;

	p = parse("{" MATCH "," RULES "}", "web");
	assert_string_equal(p->name, "web");
	assert_string_equal(p->rules[0].name, "web:idt");
	assert_string_equal(p->mode, "enforce");
	policy_free(p);
	p = parse("{\"name\":\"web\",\"mode\":\"monitor\"," MATCH "," RULES "}", NULL);
	assert_string_equal(p->name, "web");
	assert_string_equal(p->mode, "monitor");
	assert_true(p->rules[0].monitor);
	policy_free(p);
	policy_free(parse("{\"name\":\"web\"," MATCH "," RULES "}", "web"));
	refuses("{\"name\":\"web\",\n" MATCH "," RULES "}", "db", -EINVAL,
		"f:1:9: /name: expected \"db\", the file's name without .json, got \"web\"");
	refuses("{" MATCH "," RULES "}", NULL, -EINVAL, "expected the key \"name\", got none");
	refuses("{\"name\":\"a:b\"," MATCH "," RULES "}", NULL, -EINVAL, "/name: expected a name");
}

static void names_of_rules(_unused_ void **state)
{
	static const char long_name[] = "n123456789n123456789n123456789n123456789n123456789n123456789";
	_cleanup_free_ char *text = NULL;

	/* 60 characters, ':' and 3 are 64; with 4 they are too many. */
	policy_free(parse("{" MATCH "," RULES "}", long_name));
	assert_true(asprintf(&text, "{" MATCH ",\n\"rules\":[{\"name\":\"idt4\",\"gpa\":\"0x1000\","
			     "\"length\":128,\"write\":\"deny\"}]}") > 0);
	refuses(text, long_name, -EINVAL, "f:2:18: /rules/0/name: expected at most 3 characters");
}

static void matches(_unused_ void **state)
{
	refuses("{" RULES "}", "web", -EINVAL, "expected the key \"match\"");
	refuses("{\"match\":{}," RULES "}", "web", -EINVAL, "/match: expected one of vm uuid");
	refuses(RULE, "web", -EINVAL, "expected one of the keys version name");
	refuses("{" MATCH "}", "web", -EINVAL, "expected the key \"rules\"");
	policy_free(parse("{\"match\":{\"trust\":\"any\"}," RULES "}", "web"));
}

static void arms(_unused_ void **state)
{
	struct policy *p = parse("{" MATCH ",\"rules\":[" RULE ",{\"name\":\"now\",\"gpa\":\"0x2000\","
				 "\"length\":128,\"write\":\"deny\",\"arm\":\"now\"}]}", "web");
	struct rule *rules;
	char *message;
	size_t n;

	assert_true(p->rules[0].boot);
	assert_false(p->rules[1].boot);
	policy_free(p);
	/* What protect is given is in force at once. */
	assert_int_equal(rules_parse(RULE, strlen(RULE), "f", &rules, &n, &message), 0);
	assert_false(rules[0].boot);
	free(rules);
}

static void not_built(_unused_ void **state)
{
	refuses("{\"require\":true," MATCH "," RULES "}", "web", -EOPNOTSUPP, "not supported here yet");
	refuses("{" MATCH ",\"rules\":[{\"name\":\"x\",\"symbol\":\"sys_call_table\",\"length\":128,"
		"\"write\":\"deny\"}]}", "web", -EOPNOTSUPP, "not supported here yet");
}

static void name_of(const char *file, int error, const char *name)
{
	char got[MERLON_NAME_MAX + 1] = "";

	assert_int_equal(policy_name_of_file(file, got), error);
	assert_string_equal(got, name);
}

static void files(_unused_ void **state)
{
	name_of("web.json", 0, "web");
	name_of("Web_1.2-x.json", 0, "Web_1.2-x");
	name_of("web.json.bak", -ENOENT, "");
	name_of(".web.json", -ENOENT, "");
	name_of(".json", -ENOENT, "");
	name_of("web", -ENOENT, "");
	name_of("w b.json", -EINVAL, "");
	name_of("-web.json", -EINVAL, "");
	name_of("a:b.json", -EINVAL, "");
	name_of("n123456789n123456789n123456789n123456789n123456789n123456789n1234.json", -EINVAL, "");
}

static void checks(_unused_ void **state)
{
	static const char text[] = "{" MATCH "," RULES "}";
	struct check_summary s;
	char *message = NULL;

	assert_int_equal(check_policy(text, strlen(text), "/x/web.json", &s, &message), 0);
	assert_string_equal(s.name, "web");
	assert_int_equal(s.rules, 1);
	assert_int_equal(s.boot, 1);
	assert_int_equal(check_policy(text, strlen(text), "stdin", &s, &message), -EINVAL);
	assert_non_null(startswith(message, "stdin:1:1: expected the key \"name\""));
	free(message);
	assert_int_equal(check_policy(text, strlen(text), "/x/w b.json", &s, &message), -EINVAL);
	assert_non_null(strstr(message, "expected a file name"));
	free(message);
}

UNIT_MAIN(T(names), T(names_of_rules), T(matches), T(arms), T(not_built), T(files), T(checks))
