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

int map_rule(uint32_t id, const struct rule *rule, struct kvm_vmi_range ret[static MAP_MAX_RANGES])
{
	int n;

	if (!rule->write_deny) {
		if (!rule->length || !map_whole_frames(rule->gpa, rule->length))
			return -EINVAL;
		ret[0] = range(id, rule->gpa >> MAP_PAGE_SHIFT, rule->length >> MAP_PAGE_SHIFT,
			       KVM_VMI_WRITE_ALL);
		n = 1;
	} else {
		n = map_split(id, rule->gpa, rule->length, ret);
	}
	for (int i = 0; i < n; i++)
		ret[i].rights = KVM_VMI_RIGHT_READ | rule->execute;
	return n;
}
