/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a rule's bytes to the kernel's ranges of frames and sub-pages.  Pure.
 */
#ifndef MERLON_MAP_H
#define MERLON_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/kvm_vmi.h>

#include "rule.h"

#define MAP_PAGE_SHIFT		12
#define MAP_PAGE_SIZE		(1ULL << MAP_PAGE_SHIFT)
#define MAP_SUBPAGE_SIZE	(1ULL << KVM_VMI_SUBPAGE_SHIFT)

/* A run of bytes is at most a partial frame, whole frames, and a partial frame. */
#define MAP_MAX_RANGES 3

/**
 * map_split() - ranges that deny writes to a run of bytes
 * @rule: id for the ranges
 * @gpa: first byte, a multiple of 128
 * @length: bytes, a multiple of 128, not 0; @gpa + @length does not wrap
 * @ret: the ranges in order; untouched on failure
 *
 * Return: how many ranges, 1 to MAP_MAX_RANGES; -EINVAL for bytes that are not
 * of this form.
 */
int map_split(uint32_t rule, uint64_t gpa, uint64_t length,
	      struct kvm_vmi_range ret[static MAP_MAX_RANGES]);

/* Ranges that map_rule() makes of a rule at most: each exception leaves one more behind it. */
static inline size_t map_max_ranges(const struct rule *rule)
{
	return MAP_MAX_RANGES + rule->n_except;
}

/**
 * map_rule() - ranges of a rule
 * @id: for the ranges
 * @rule: as it was parsed, of a certain length
 * @ret: the ranges in order, room for map_max_ranges(); may be written on failure
 *
 * Return: how many ranges, 0 if all of it is excepted; -EINVAL
 */
int map_rule(uint32_t id, const struct rule *rule, struct kvm_vmi_range *ret);

/* Frames that a run of bytes touches; @length is not 0. */
static inline uint64_t map_frames(uint64_t gpa, uint64_t length)
{
	return ((gpa + length - 1) >> MAP_PAGE_SHIFT) - (gpa >> MAP_PAGE_SHIFT) + 1;
}

/* Nothing but whole frames: no sub-page is left writable beside a denied one. */
static inline bool map_whole_frames(uint64_t gpa, uint64_t length)
{
	return !((gpa | length) & (MAP_PAGE_SIZE - 1));
}

#endif
