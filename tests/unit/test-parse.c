// SPDX-License-Identifier: GPL-2.0-or-later
/* util/parse.c: numbers, and everything that only looks like one. */
#include "unit.h"
#include "util/parse.h"

#define UNTOUCHED 0x5555555555555555ULL

typedef int (*parser)(const char *s, uint64_t *ret);

static void good(parser parse, const char *s, uint64_t expected)
{
	uint64_t v = UNTOUCHED;

	assert_int_equal(parse(s, &v), 0);
	assert_true(v == expected);
}

static void bad(parser parse, const char *s, int error)
{
	uint64_t v = UNTOUCHED;

	assert_int_equal(parse(s, &v), error);
	assert_true(v == UNTOUCHED);
}

static void decimal(_unused_ void **state)
{
	good(parse_u64, "0", 0);
	good(parse_u64, "17", 17);
	good(parse_u64, "010", 10);
	good(parse_u64, "18446744073709551615", UINT64_MAX);
	bad(parse_u64, "18446744073709551616", -ERANGE);
	bad(parse_u64, "99999999999999999999999", -ERANGE);
	bad(parse_u64, "", -EINVAL);
	bad(parse_u64, " 1", -EINVAL);
	bad(parse_u64, "+1", -EINVAL);
	bad(parse_u64, "-1", -EINVAL);
	bad(parse_u64, "0x10", -EINVAL);
	bad(parse_u64, "1 ", -EINVAL);
}

static void addresses(_unused_ void **state)
{
	good(parse_address, "0x0", 0);
	good(parse_address, "0x1e0000", 0x1e0000);
	good(parse_address, "0xffffffffffffffff", UINT64_MAX);
	good(parse_address, "0x0000000000000001", 1);
	bad(parse_address, "0x", -EINVAL);
	bad(parse_address, "0x10000000000000000", -EINVAL);
	bad(parse_address, "0x1E0000", -EINVAL);
	bad(parse_address, "0X10", -EINVAL);
	bad(parse_address, "1e0000", -EINVAL);
	bad(parse_address, "4096", -EINVAL);
	bad(parse_address, "0x1g", -EINVAL);
	bad(parse_address, "0x10 ", -EINVAL);
	bad(parse_address, "", -EINVAL);
}

static void sizes(_unused_ void **state)
{
	good(parse_size, "128", 128);
	good(parse_size, "4K", 4096);
	good(parse_size, "2M", 2 << 20);
	good(parse_size, "1G", 1 << 30);
	good(parse_size, "0x10K", 16384);
	good(parse_size, "0x1000", 4096);
	good(parse_size, "9223372036854775807", INT64_MAX);
	bad(parse_size, "9223372036854775808", -ERANGE);
	bad(parse_size, "8589934592G", -ERANGE);
	bad(parse_size, "99999999999999999999999", -ERANGE);
	bad(parse_size, "4k", -EINVAL);
	bad(parse_size, "4KK", -EINVAL);
	bad(parse_size, "4KB", -EINVAL);
	bad(parse_size, "4T", -EINVAL);
	bad(parse_size, "K", -EINVAL);
	bad(parse_size, "-4096", -EINVAL);
	bad(parse_size, "4096.9", -EINVAL);
	bad(parse_size, "", -EINVAL);
	bad(parse_size, "0x", -EINVAL);
}

UNIT_MAIN(T(decimal), T(addresses), T(sizes))
