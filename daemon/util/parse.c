// SPDX-License-Identifier: GPL-2.0-or-later
/* Numbers as Merlon writes them. */
#include "util/parse.h"
#include "util/util.h"

static int digit(char c, unsigned int base)
{
	int d;

	if (c >= '0' && c <= '9')
		d = c - '0';
	else if (c >= 'a' && c <= 'f')
		d = c - 'a' + 10;
	else
		return -1;
	return (unsigned int)d < base ? d : -1;
}

/* The digits at the start of @s; *@ret_end is what follows them. */
static int parse_digits(const char *s, unsigned int base, uint64_t *ret, const char **ret_end)
{
	uint64_t v = 0;
	int d;

	if (digit(*s, base) < 0)
		return -EINVAL;
	for (; (d = digit(*s, base)) >= 0; s++)
		if (__builtin_mul_overflow(v, base, &v) ||
		    __builtin_add_overflow(v, (uint64_t)d, &v))
			return -ERANGE;

	*ret = v;
	*ret_end = s;
	return 0;
}

int parse_u64(const char *s, uint64_t *ret)
{
	const char *end;
	uint64_t v;
	int r;

	r = parse_digits(s, 10, &v, &end);
	if (r < 0)
		return r;
	if (*end)
		return -EINVAL;
	*ret = v;
	return 0;
}

int parse_address(const char *s, uint64_t *ret)
{
	const char *end, *hex = startswith(s, "0x");
	uint64_t v;

	if (!hex || strlen(hex) > 16 || parse_digits(hex, 16, &v, &end) < 0 || *end)
		return -EINVAL;
	*ret = v;
	return 0;
}

int parse_size(const char *s, uint64_t *ret)
{
	const char *end, *hex = startswith(s, "0x");
	unsigned int shift = 0;
	uint64_t v;
	int r;

	r = parse_digits(hex ?: s, hex ? 16 : 10, &v, &end);
	if (r < 0)
		return r;
	switch (*end) {
	case 'K':
		shift = 10;
		break;
	case 'M':
		shift = 20;
		break;
	case 'G':
		shift = 30;
		break;
	}
	if (shift)
		end++;
	if (*end)
		return -EINVAL;
	if (v > (uint64_t)INT64_MAX >> shift)
		return -ERANGE;
	*ret = v << shift;
	return 0;
}
