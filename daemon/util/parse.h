/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Numbers as Merlon writes them.  Stricter than strtoull(): no blanks, no signs,
 * no octal, nothing left over, no wrapping.
 */
#ifndef MERLON_PARSE_H
#define MERLON_PARSE_H

#include <stdint.h>

/* What the two accept, in the words of an error message. */
#define PARSE_ADDRESS_EXPECTED "an address 0x[0-9a-f]{1,16}"
#define PARSE_SIZE_EXPECTED "a size: decimal or 0x[0-9a-f]+, then K, M, G or nothing"

/**
 * parse_u64() - a decimal number
 * @s: [0-9]+
 * @ret: the number, untouched on failure
 *
 * Return: 0, -EINVAL for anything else, -ERANGE above 2^64 - 1.
 */
int parse_u64(const char *s, uint64_t *ret);

/**
 * parse_address() - an address
 * @s: 0x[0-9a-f]{1,16}
 * @ret: the address, untouched on failure
 *
 * Return: 0 or -EINVAL.
 */
int parse_address(const char *s, uint64_t *ret);

/**
 * parse_size() - a number of bytes
 * @s: (0x[0-9a-f]+|[0-9]+)[KMG]?, with K = 1024 and so on
 * @ret: bytes, untouched on failure
 *
 * Return: 0, -EINVAL for anything else, -ERANGE above 2^63 - 1, the most that
 * JSON integers carry here.
 */
int parse_size(const char *s, uint64_t *ret);

#endif
