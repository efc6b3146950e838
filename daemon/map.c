// SPDX-License-Identifier: GPL-2.0-or-later
/* From a rule's bytes to the kernel's ranges of frames and sub-pages. */
#include <errno.h>

#include "map.h"

/* Sub-pages of one frame that stay writable when bytes @from to @to (excluded) do not. */
static uint32_t writable(uint64_t from, uint64_t to)
{
	unsigned int first = from / MAP_SUBPAGE_SIZE, end = to / MAP_SUBPAGE_SIZE;
	uint64_t denied = (1ULL << end) - (1ULL << first);

	return (uint32_t)~denied;
}

static struct kvm_vmi_range range(uint32_t rule, uint64_t gfn, uint64_t nr, uint32_t write)
{
	return (struct kvm_vmi_range) {
		.gfn = gfn,
		.nr = nr,
		.rule = rule,
		.write = write,
		.rights = KVM_VMI_RIGHT_ALL,
	};
}

int map_split(uint32_t rule, uint64_t gpa, uint64_t length,
	      struct kvm_vmi_range ret[static MAP_MAX_RANGES])
{
	uint64_t end = gpa + length, gfn, last, head, tail;
	int n = 0;

	if (!length || (gpa | length) & (MAP_SUBPAGE_SIZE - 1) || end < gpa)
		return -EINVAL;

	gfn = gpa >> MAP_PAGE_SHIFT;
	last = (end - 1) >> MAP_PAGE_SHIFT;
	head = gpa & (MAP_PAGE_SIZE - 1);
	tail = ((end - 1) & (MAP_PAGE_SIZE - 1)) + 1;

	if (gfn == last) {
		ret[0] = range(rule, gfn, 1, writable(head, tail));
		return 1;
	}
	if (head) {
		ret[n++] = range(rule, gfn, 1, writable(head, MAP_PAGE_SIZE));
		gfn++;
	}
	if (tail == MAP_PAGE_SIZE)
		last++;
	if (gfn < last)
		ret[n++] = range(rule, gfn, last - gfn, 0);
	if (tail != MAP_PAGE_SIZE)
		ret[n++] = range(rule, last, 1, writable(0, tail));
	return n;
}

/* What a rule says of bytes @from to @to (excluded), which hold no exception. */
static int map_piece(uint32_t id, const struct rule *rule, uint64_t from, uint64_t to,
		     struct kvm_vmi_range *ret)
{
	if (from == to)
		return 0;
	if (rule->write_deny)
		return map_split(id, from, to - from, ret);
	if (!map_whole_frames(from, to - from))
		return -EINVAL;
	*ret = range(id, from >> MAP_PAGE_SHIFT, (to - from) >> MAP_PAGE_SHIFT,
		     KVM_VMI_WRITE_ALL);
	return 1;
}

int map_rule(uint32_t id, const struct rule *rule, struct kvm_vmi_range *ret)
{
	uint64_t from = rule->gpa, end = rule->gpa + rule->length;
	int n = 0;

	if (!rule->length || end < from)
		return -EINVAL;
	for (size_t i = 0; i <= rule->n_except; i++) {
		uint64_t to = i < rule->n_except ? rule->except[i].gpa : end;
		int r = to < from ? -EINVAL : map_piece(id, rule, from, to, ret + n);

		if (r < 0)
			return r;
		n += r;
		if (i < rule->n_except)
			from = to + rule->except[i].length;
	}
	for (int i = 0; i < n; i++)
		ret[i].rights = (rule->read_deny ? 0 : KVM_VMI_RIGHT_READ) | rule->execute;
	return n;
}
