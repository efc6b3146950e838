// SPDX-License-Identifier: GPL-2.0-or-later
/* map.c: a run of bytes becomes ranges that deny just these bytes. */
#include "map.h"
#include "unit.h"

/* Is the sub-page at @gpa denied by the ranges? */
static bool denied(const struct kvm_vmi_range *ranges, int n, uint64_t gpa)
{
	uint64_t gfn = gpa >> MAP_PAGE_SHIFT;
	unsigned int sub = (gpa & (MAP_PAGE_SIZE - 1)) / MAP_SUBPAGE_SIZE;

	for (int i = 0; i < n; i++)
		if (gfn >= ranges[i].gfn && gfn < ranges[i].gfn + ranges[i].nr &&
		    !(ranges[i].write & 1U << sub))
			return true;
	return false;
}

static void split(uint64_t gpa, uint64_t length, int expected)
{
	struct kvm_vmi_range r[MAP_MAX_RANGES];
	int n = map_split(7, gpa, length, r);
	uint64_t from = gpa > 2 * MAP_PAGE_SIZE ? gpa - 2 * MAP_PAGE_SIZE : 0;
	uint64_t next = 0;

	assert_int_equal(n, expected);
	for (int i = 0; i < n; i++) {
		assert_int_equal(r[i].rule, 7);
		assert_int_equal(r[i].rights, KVM_VMI_RIGHT_ALL);
		assert_true(r[i].nr >= 1 && r[i].gfn >= next);
		next = r[i].gfn + r[i].nr;
	}
	for (uint64_t a = from; a < gpa + length + 2 * MAP_PAGE_SIZE; a += MAP_SUBPAGE_SIZE)
		assert_int_equal(denied(r, n, a), a >= gpa && a < gpa + length);
	assert_true(map_frames(gpa, length) == ((gpa + length - 1) >> 12) - (gpa >> 12) + 1);
}

static void one_frame(_unused_ void **state)
{
	split(0x1e0000, 4096, 1);
	split(0x1e0000, 128, 1);
	split(0x1e0f80, 128, 1);
	split(0x1e0080, 3968, 1);
	split(0, 4096, 1);
	split(0x1e0400, 1024, 1);
}

static void several_frames(_unused_ void **state)
{
	split(0x1e0000, 8192, 1);
	split(0x1e0f80, 256, 2);
	split(0x1e0000, 4096 + 128, 2);
	split(0x1e0f80, 128 + 4096, 2);
	split(0x1e0f80, 128 + 4096 + 128, 3);
	split(0x1e0080, 20 * 4096, 3);
	split(0, 1 << 20, 1);
}

static void every_place_in_three_frames(_unused_ void **state)
{
	for (uint64_t gpa = 0x10000; gpa < 0x11000; gpa += 128) {
		for (uint64_t length = 128; length <= 0x3000; length += 128) {
			struct kvm_vmi_range r[MAP_MAX_RANGES];
			int n = map_split(1, gpa, length, r);

			assert_in_range(n, 1, MAP_MAX_RANGES);
			for (uint64_t a = 0xf000; a < 0x15000; a += 128)
				assert_int_equal(denied(r, n, a), a >= gpa && a < gpa + length);
		}
	}
}

static void refused(_unused_ void **state)
{
	struct kvm_vmi_range r[MAP_MAX_RANGES] = { { .gfn = 77 } };

	assert_int_equal(map_split(1, 0x1000, 0, r), -EINVAL);
	assert_int_equal(map_split(1, 0x1001, 128, r), -EINVAL);
	assert_int_equal(map_split(1, 0x1000, 127, r), -EINVAL);
	assert_int_equal(map_split(1, -256ULL, 512, r), -EINVAL);
	assert_int_equal(r[0].gfn, 77);
	assert_true(map_whole_frames(0x1000, 0x2000));
	assert_false(map_whole_frames(0x1080, 0x1000));
	assert_false(map_whole_frames(0x1000, 0x80));
}

static void rules_of_pages(_unused_ void **state)
{
	struct rule rule = { .gpa = 0x10000, .length = 1ULL << 30, .execute = KVM_VMI_RIGHT_EXEC_USER };
	struct kvm_vmi_range r[MAP_MAX_RANGES];

	assert_int_equal(map_rule(7, &rule, r), 1);
	assert_int_equal(r[0].rule, 7);
	assert_int_equal(r[0].gfn, 0x10);
	assert_int_equal(r[0].nr, 1 << 18);
	assert_int_equal(r[0].write, KVM_VMI_WRITE_ALL);
	assert_int_equal(r[0].rights, KVM_VMI_RIGHT_READ | KVM_VMI_RIGHT_EXEC_USER);
	rule.write_deny = true;
	assert_int_equal(map_rule(7, &rule, r), 1);
	assert_int_equal(r[0].write, 0);
	assert_int_equal(r[0].rights, KVM_VMI_RIGHT_READ | KVM_VMI_RIGHT_EXEC_USER);
	rule.read_deny = true;
	assert_int_equal(map_rule(7, &rule, r), 1);
	assert_int_equal(r[0].rights, KVM_VMI_RIGHT_EXEC_USER);
	rule.read_deny = false;
	rule.length = 0x1080;
	rule.execute = RULE_EXECUTE_BOTH;
	assert_int_equal(map_rule(7, &rule, r), 2);
	assert_int_equal(r[1].rights, KVM_VMI_RIGHT_ALL);
	rule.write_deny = false;
	rule.execute = 0;
	assert_int_equal(map_rule(7, &rule, r), -EINVAL);
}

static void rules_with_exceptions(_unused_ void **state)
{
	struct rule_span except[] = { { 0x10000, 0x1000 }, { 0x13000, 0x2000 }, { 0x1f000, 0x1000 } };
	struct rule rule = {
		.gpa = 0x10000, .length = 0x10000, .execute = KVM_VMI_RIGHT_EXEC_USER,
		.except = except, .n_except = 3,
	};
	struct kvm_vmi_range r[MAP_MAX_RANGES + 3];

	/* At its beginning, amidst it, at its end. */
	assert_int_equal(map_max_ranges(&rule), MAP_MAX_RANGES + 3);
	assert_int_equal(map_rule(7, &rule, r), 2);
	assert_int_equal(r[0].gfn, 0x11);
	assert_int_equal(r[0].nr, 2);
	assert_int_equal(r[1].gfn, 0x15);
	assert_int_equal(r[1].nr, 10);
	assert_int_equal(r[1].rights, KVM_VMI_RIGHT_READ | KVM_VMI_RIGHT_EXEC_USER);
	/* Parts of frames around them. */
	rule.write_deny = true;
	rule.gpa = 0x10f80;
	rule.length = 0x10080 - 0xf00;
	rule.except = except + 1;
	rule.n_except = 1;
	assert_int_equal(map_rule(7, &rule, r), 4);
	for (uint64_t a = 0xf000; a < 0x21000; a += 128)
		assert_int_equal(denied(r, 4, a), a >= rule.gpa && a < rule.gpa + rule.length &&
				 (a < 0x13000 || a >= 0x15000));
	/* All of it. */
	rule.gpa = 0x13000;
	rule.length = 0x2000;
	assert_int_equal(map_rule(7, &rule, r), 0);
	/* What rules_parse() does not let through. */
	rule.length = 0;
	assert_int_equal(map_rule(7, &rule, r), -EINVAL);
}

UNIT_MAIN(T(rules_of_pages), T(rules_with_exceptions), T(one_frame), T(several_frames), T(every_place_in_three_frames), T(refused))
