// SPDX-License-Identifier: GPL-2.0-or-later
/* util/kallsyms.c: names for addresses, as /proc/kallsyms has them or hides them. */
#include "unit.h"
#include "util/kallsyms.h"

static void resolve(const char *text, struct kallsyms_query *q, size_t n)
{
	FILE *f = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(f);
	kallsyms_resolve(f, q, n);
	fclose(f);
}

static void nearest_below(_unused_ void **state)
{
	struct kallsyms_query q[] = {
		{ .address = 0xffffffff81000010 }, { .address = 0xffffffff81000100 },
		{ .address = 0xffffffff810000ff }, { .address = 0xffffffffc0000008 },
	};

	resolve("ffffffff81000100 T second\n"
		"ffffffff81000000 T first\n"
		"ffffffff81000000 T alias\n"
		"ffffffffc0000000 t inner\t[kvm]\n", q, 4);
	assert_string_equal(q[0].name, "first+0x10");
	assert_true(q[0].symbol == 0xffffffff81000000);
	assert_string_equal(q[1].name, "second+0");
	assert_string_equal(q[2].name, "first+0xff");
	assert_string_equal(q[3].name, "inner+0x8 [kvm]");
}

static void what_has_no_name(_unused_ void **state)
{
	struct kallsyms_query q[] = {
		{ .address = 0xffff888012345000 }, { .address = 0xffffffff81100000 },
		{ .address = 0xffffffff810fffff }, { .address = 0 }, { .address = 16 },
	};

	resolve("0000000000000000 A zero\n"
		"ffffffff81000000 T first\n"
		"ffffffff81200000 T second\n", q, 5);
	assert_string_equal(q[0].name, "");
	assert_string_equal(q[1].name, "");
	assert_true(q[1].symbol == 0);
	assert_string_equal(q[2].name, "first+0xfffff");
	assert_string_equal(q[3].name, "");
	assert_string_equal(q[4].name, "");
}

/* As it is for those who may not know: every address is 0. */
static void hidden(_unused_ void **state)
{
	struct kallsyms_query q = { .address = 0xffffffff81000010, .name = "old", .symbol = 7 };

	resolve("0000000000000000 T first\n0000000000000000 T second\n", &q, 1);
	assert_string_equal(q.name, "");
	assert_true(q.symbol == 0);
}

static void other_lines(_unused_ void **state)
{
	struct kallsyms_query q = { .address = 0xffffffff81000010 };
	char text[1024];

	resolve("\nnonsense\nffffffff81000008\nffffffff81000008 T\n"
		"ffffffff81000000 T first\n", &q, 1);
	assert_string_equal(q.name, "first+0x10");
	/* A name of any length */
	snprintf(text, sizeof(text), "ffffffff81000000 T %0800d [%0100d]\n", 7, 7);
	resolve(text, &q, 1);
	assert_true(strlen(q.name) < sizeof(q.name));
	assert_non_null(strstr(q.name, "000"));
}

UNIT_MAIN(T(nearest_below), T(what_has_no_name), T(hidden), T(other_lines))
