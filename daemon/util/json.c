// SPDX-License-Identifier: GPL-2.0-or-later
/* json-c with cleanup and negative errno. */
#include <inttypes.h>
#include <limits.h>

#include "util/json.h"

int json_add(struct json_object *o, const char *key, struct json_object *take_value)
{
	if (!take_value)
		return -ENOMEM;
	if (json_object_object_add(o, key, take_value) < 0) {
		json_object_put(take_value);
		return -ENOMEM;
	}
	return 0;
}

int json_add_string(struct json_object *o, const char *key, const char *value)
{
	return json_add(o, key, json_object_new_string(value));
}

int json_add_u64(struct json_object *o, const char *key, uint64_t value)
{
	return json_add(o, key, json_object_new_uint64(value));
}

int json_add_hex(struct json_object *o, const char *key, uint64_t value)
{
	char s[2 + 16 + 1];

	snprintf(s, sizeof(s), "0x%" PRIx64, value);
	return json_add_string(o, key, s);
}

int json_add_bool(struct json_object *o, const char *key, bool value)
{
	return json_add(o, key, json_object_new_boolean(value));
}

int json_append(struct json_object *array, struct json_object *take_value)
{
	if (!take_value)
		return -ENOMEM;
	if (json_object_array_add(array, take_value) < 0) {
		json_object_put(take_value);
		return -ENOMEM;
	}
	return 0;
}

int json_text(struct json_object *o, int flags, char **ret)
{
	const char *s = json_object_to_json_string_ext(o, flags);
	char *copy = s ? strdup(s) : NULL;

	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static struct json_object *get(struct json_object *o, const char *key, enum json_type type)
{
	struct json_object *v;

	if (!json_object_is_type(o, json_type_object) || !json_object_object_get_ex(o, key, &v))
		return NULL;
	return json_object_is_type(v, type) ? v : NULL;
}

const char *json_get_string(struct json_object *o, const char *key, const char *otherwise)
{
	struct json_object *v = get(o, key, json_type_string);

	return v ? json_object_get_string(v) : otherwise;
}

uint64_t json_get_u64(struct json_object *o, const char *key, uint64_t otherwise)
{
	struct json_object *v = get(o, key, json_type_int);

	return v ? json_object_get_uint64(v) : otherwise;
}

bool json_get_bool(struct json_object *o, const char *key, bool otherwise)
{
	struct json_object *v = get(o, key, json_type_boolean);

	return v ? json_object_get_boolean(v) : otherwise;
}

struct json_object *json_get_array(struct json_object *o, const char *key)
{
	return get(o, key, json_type_array);
}

int json_parse(const char *text, size_t len, struct json_object **ret)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct json_tokener *t;
	enum json_tokener_error e;

	if (len > INT_MAX)
		return -EINVAL;
	/* json-c counts the value inside the innermost array, too. */
	t = json_tokener_new_ex(JSON_DEPTH + 1);
	if (!t)
		return -ENOMEM;
	json_tokener_set_flags(t, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	o = json_tokener_parse_ex(t, text, (int)len);
	e = json_tokener_get_error(t);
	if (e == json_tokener_continue) {
		/*
		 * A number at the very end, or text cut off: only a terminator
		 * tells which, and @text need not have one.
		 */
		json_object_put(o);
		o = json_tokener_parse_ex(t, "", 1);
		e = json_tokener_get_error(t);
	}
	json_tokener_free(t);
	if (e != json_tokener_success || !o)
		return -EINVAL;

	*ret = TAKE_PTR(o);
	return 0;
}
