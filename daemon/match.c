// SPDX-License-Identifier: GPL-2.0-or-later
/* Which VMs a policy is for. */
#include <ctype.h>
#include <fnmatch.h>
#include <strings.h>

#include "match.h"
#include "user.h"
#include "util/parse.h"

#define PID_LIMIT 0x7fffffffU

static int copy_pattern(struct schema_text *p, const char *path, struct json_object *v,
			const char *expected, char ret[static MATCH_PATTERN_MAX])
{
	const char *s = json_object_get_string(v);

	if (!*s || strlen(s) >= MATCH_PATTERN_MAX)
		return schema_fail_expected(p, path, expected);
	strcpy(ret, s);
	return 0;
}

#define VM_EXPECTED "a pattern for names, 1 to 255 characters"

static int parse_vm(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	return copy_pattern(p, path, v, VM_EXPECTED, ((struct match *)target)->vm);
}

#define UNIT_EXPECTED "a pattern for systemd units, 1 to 255 characters"

static int parse_unit(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	return copy_pattern(p, path, v, UNIT_EXPECTED, ((struct match *)target)->unit);
}

#define UUID_EXPECTED "a uuid: 8-4-4-4-12 hexadecimal digits"

static int parse_uuid(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	const char *s = json_object_get_string(v);
	struct match *m = target;

	if (strlen(s) != 36)
		return schema_fail_expected(p, path, UUID_EXPECTED);
	for (size_t i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? s[i] != '-' : !isxdigit((unsigned char)s[i]))
			return schema_fail_expected(p, path, UUID_EXPECTED);
		m->uuid[i] = (char)tolower((unsigned char)s[i]);
	}
	return 0;
}

#define USER_EXPECTED "a user: a name of A-Z a-z 0-9 _ . -, or a number 0..2^32-2"

static int parse_user(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	struct match *m = target;
	uint64_t uid;

	if (json_object_is_type(v, json_type_int)) {
		if (schema_integer(v, &uid) < 0 || uid >= UINT32_MAX)
			return schema_fail_expected(p, path, USER_EXPECTED);
	} else {
		const char *s = json_object_get_string(v);

		if (!*s || strlen(s) >= sizeof(m->user) || *s == '-' ||
		    s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-")])
			return schema_fail_expected(p, path, USER_EXPECTED);
		if (!isdigit((unsigned char)*s)) {
			strcpy(m->user, s);
			uid = UINT32_MAX;
		} else if (parse_u64(s, &uid) < 0 || uid >= UINT32_MAX) {
			return schema_fail_expected(p, path, USER_EXPECTED);
		}
	}
	m->uid = (uint32_t)uid;
	m->has_user = true;
	return 0;
}

#define PID_EXPECTED "a process id, 1..2^31-1"

static int parse_pid(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	struct match *m = target;
	uint64_t pid;

	if (schema_integer(v, &pid) < 0 || !pid || pid > PID_LIMIT)
		return schema_fail_expected(p, path, PID_EXPECTED);
	m->pid = (uint32_t)pid;
	return 0;
}

static int parse_trust(struct schema_text *p, const char *path, struct json_object *v, void *target)
{
	static const struct schema_word words[] = { { "any", true }, {} };
	struct match *m = target;
	int any, r;

	r = schema_word(p, path, words, json_object_get_string(v), &any);
	if (r >= 0)
		m->any = any;
	return r;
}

static const struct schema_field fields[] = {
	SCHEMA_OTHER("vm", SCHEMA_STRING, VM_EXPECTED, parse_vm),
	SCHEMA_OTHER("uuid", SCHEMA_STRING, UUID_EXPECTED, parse_uuid),
	SCHEMA_OTHER("user", SCHEMA_STRING | SCHEMA_INT, USER_EXPECTED, parse_user),
	SCHEMA_OTHER("unit", SCHEMA_STRING, UNIT_EXPECTED, parse_unit),
	SCHEMA_OTHER("pid", SCHEMA_INT, PID_EXPECTED, parse_pid),
	SCHEMA_OTHER("trust", SCHEMA_STRING, "\"any\"", parse_trust),
};

int match_read(struct schema_text *p, const char *path, struct json_object *o, struct match *ret)
{
	struct match m = {};
	int r;

	r = schema_read(p, path, o, fields, ARRAY_SIZE(fields), &m);
	if (r >= 0)
		*ret = m;
	return r;
}

bool match_says_something(const struct match *match)
{
	return match->vm[0] || match->uuid[0] || match->unit[0] || match->has_user ||
	       match->pid || match->any;
}

bool match_needs_identity(const struct match *match)
{
	return match->vm[0] || match->uuid[0] || match->unit[0];
}

int match_resolve(struct match *match)
{
	uid_t uid = UINT32_MAX;
	int r;

	if (!match->user[0])
		return 0;
	r = user_lookup(match->user, &uid);
	match->uid = uid;
	return r == -ENOENT ? 0 : r;
}

/* A VM without a name has none that "*" could mean. */
static bool matches(const char *pattern, const char *s)
{
	/* A backslash is one of an escaped byte: \xNN. */
	return *s && fnmatch(pattern, s, FNM_NOESCAPE) == 0;
}

bool match_applies(const struct match *match, const struct match_subject *vm)
{
	bool believed = vm->trusted || match->any;

	if (!match_says_something(match))
		return false;
	if (match->vm[0] && !(believed && matches(match->vm, vm->name)))
		return false;
	if (match->uuid[0] && !(believed && strcasecmp(match->uuid, vm->uuid) == 0))
		return false;
	if (match->unit[0] && !matches(match->unit, vm->unit))
		return false;
	if (match->has_user && (match->uid == UINT32_MAX || match->uid != vm->uid))
		return false;
	return !match->pid || match->pid == vm->pid;
}
