// SPDX-License-Identifier: GPL-2.0-or-later
/* Bits of a guest's registers in JSON. */
#include "registers.h"
#include "util/json.h"

/* What a rule that pins has none of: where, and what of memory. */
static const char *const memory_keys[] = { "gpa",   "length",  "except",     "symbol", "offset",
					   "write", "read",    "execute",    "page-table",
					   "verify" };

#define X(reg, word, bit) { word, 1 << bit },
static const struct schema_word words_cr0[] = { MERLON_PINS_CR0(X) {} };
static const struct schema_word words_cr4[] = { MERLON_PINS_CR4(X) {} };
static const struct schema_word words_efer[] = { MERLON_PINS_EFER(X) {} };
#undef X

static const struct schema_word *const words_of[MERLON_REGISTER_MAX] = {
	[MERLON_REGISTER_CR0] = words_cr0,
	[MERLON_REGISTER_CR4] = words_cr4,
	[MERLON_REGISTER_EFER] = words_efer,
};

/* The bits while they are read. */
struct draft {
	uint64_t bits[MERLON_REGISTER_MAX];
};

int registers_check(struct schema_text *p, const char *path, struct json_object *o)
{
	if (!json_object_object_get_ex(o, REGISTERS_KEY, NULL))
		return 0;
	json_object_object_foreach(o, key, value) {
		char sub[SCHEMA_PATH_MAX];

		(void)value;
		for (size_t i = 0; i < ARRAY_SIZE(memory_keys); i++) {
			if (!streq(memory_keys[i], key))
				continue;
			snprintf(sub, sizeof(sub), "%s/%s", path, key);
			return schema_fail_expected(p, sub,
						    "no such key in a rule with \"pin\" (which is "
						    "about registers, not memory)");
		}
	}
	return 0;
}

static int read_bits(struct schema_text *p, const char *path, struct json_object *array,
		     enum merlon_register reg, uint64_t *bits)
{
	size_t n = json_object_array_length(array);

	if (!n)
		return schema_fail_missing(p, path, "at least one bit");
	for (size_t i = 0; i < n; i++) {
		struct json_object *v = json_object_array_get_idx(array, i);
		char sub[SCHEMA_PATH_MAX];
		int bit = 0, r;

		snprintf(sub, sizeof(sub), "%s/%zu", path, i);
		if (!json_object_is_type(v, json_type_string))
			return schema_fail_expected(p, sub, "the name of a bit (a string)");
		r = schema_word(p, sub, words_of[reg], json_object_get_string(v), &bit);
		if (r < 0)
			return r;
		if (*bits & (uint64_t)bit)
			return schema_fail_expected(p, sub, "a bit that is not in the list yet");
		*bits |= (uint64_t)bit;
	}
	return 0;
}

static int parse_register(struct schema_text *p, const char *path, struct json_object *v,
			  void *target)
{
	const char *key = strrchr(path, '/') + 1;
	struct draft *d = target;

	for (int i = 0; i < MERLON_REGISTER_MAX; i++)
		if (streq(key, merlon_register_name((enum merlon_register)i)))
			return read_bits(p, path, v, (enum merlon_register)i, &d->bits[i]);
	return -EINVAL;
}

#define X(name, word, number) \
	SCHEMA_OTHER(word, SCHEMA_ARRAY, "an array of bits", parse_register),
static const struct schema_field pin_fields[] = { MERLON_REGISTERS(X) };
#undef X

int registers_read(struct schema_text *p, const char *path, struct json_object *o,
		   uint64_t ret[static MERLON_REGISTER_MAX])
{
	struct draft d = {};
	char sub[SCHEMA_PATH_MAX];
	int r;

	snprintf(sub, sizeof(sub), "%s/" REGISTERS_KEY, path);
	r = schema_read(p, sub, o, pin_fields, ARRAY_SIZE(pin_fields), &d);
	if (r < 0)
		return r;
	if (json_object_object_length(o) == 0)
		return schema_fail_missing(p, sub, "at least one of the keys cr0 cr4 efer");
	memcpy(ret, d.bits, sizeof(d.bits));
	return 0;
}

/* Where "lass" stands in the rule, so that the error shows it. */
static void lass_path(const char *path, struct json_object *o, char ret[static SCHEMA_PATH_MAX])
{
	struct json_object *pin = NULL, *cr4 = NULL;
	size_t i = 0;

	json_object_object_get_ex(o, REGISTERS_KEY, &pin);
	json_object_object_get_ex(pin, merlon_register_name(MERLON_REGISTER_CR4), &cr4);
	while (!streq(json_object_get_string(json_object_array_get_idx(cr4, i)), "lass"))
		i++;
	snprintf(ret, SCHEMA_PATH_MAX, "%s/" REGISTERS_KEY "/cr4/%zu", path, i);
}

int registers_check_efi(struct schema_text *p, const char *path, struct json_object *o,
			const uint64_t bits[static MERLON_REGISTER_MAX], bool no_efi)
{
	bool lass = bits[MERLON_REGISTER_CR4] & 1ULL << MERLON_PIN_LASS_BIT;
	char sub[SCHEMA_PATH_MAX];

	if (lass == no_efi)
		return 0;
	if (lass) {
		lass_path(path, o, sub);
		return schema_fail(p, sub, -EINVAL,
				   "expected \"efi-runtime\": \"no\" beside \"lass\", got none: "
				   "Linux clears CR4.LASS around each call of EFI's runtime "
				   "services, which would be denied; say so of a guest that makes "
				   "none (one booted without EFI, or with efi=noruntime), or leave "
				   "out \"lass\"");
	}
	snprintf(sub, sizeof(sub), "%s/" REGISTERS_EFI_KEY, path);
	return schema_fail_expected(p, sub,
				    "no such word but in a rule that pins \"lass\" (no other bit "
				    "is cleared around calls of EFI's runtime services)");
}

const char *registers_words(enum merlon_register reg, uint64_t bits,
			    char ret[static REGISTERS_WORDS_MAX])
{
	unsigned long long bit;
	const char *word;
	size_t len = 0;

	ret[0] = 0;
	for (unsigned int i = 0; (word = merlon_pin_name(reg, i, &bit)); i++)
		if (bits & bit && len < REGISTERS_WORDS_MAX)
			len += (size_t)snprintf(ret + len, REGISTERS_WORDS_MAX - len, "%s%s",
						len ? " " : "", word);
	return ret;
}

static int add_register(struct json_object *o, enum merlon_register reg, uint64_t bits)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	unsigned long long bit;
	const char *word;
	int r = array ? 0 : -ENOMEM;

	for (unsigned int j = 0; r >= 0 && (word = merlon_pin_name(reg, j, &bit)); j++)
		if (bits & bit)
			r = json_append(array, json_object_new_string(word));
	return r < 0 ? r : json_add(o, merlon_register_name(reg), TAKE_PTR(array));
}

int registers_add_words(struct json_object *o, const uint64_t bits[static MERLON_REGISTER_MAX])
{
	int r = 0;

	for (int i = 0; r >= 0 && i < MERLON_REGISTER_MAX; i++)
		if (bits[i])
			r = add_register(o, (enum merlon_register)i, bits[i]);
	return r;
}

int registers_to_json(struct json_object *o, const char *key,
		      const uint64_t bits[static MERLON_REGISTER_MAX])
{
	_cleanup_json_ struct json_object *pin = json_object_new_object();
	int r = pin ? registers_add_words(pin, bits) : -ENOMEM;

	if (r < 0 || json_object_object_length(pin) == 0)
		return r;
	return json_add(o, key, TAKE_PTR(pin));
}
