/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names for addresses in the running kernel, from /proc/kallsyms, which tells addresses to
 * those alone who may know them.
 */
#ifndef MERLON_KALLSYMS_H
#define MERLON_KALLSYMS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define KALLSYMS_PATH	"/proc/kallsyms"

/* Longer names are cut; a symbol further below an address than this is not its. */
#define KALLSYMS_NAME_MAX	128
#define KALLSYMS_REACH		(1ULL << 20)

/**
 * struct kallsyms_query - an address to be named
 * @address: in the kernel
 * @name: "symbol+0x12", and " [module]" behind it; "" where there is none
 * @symbol: where that symbol begins, 0 where there is none
 */
struct kallsyms_query {
	uint64_t address;
	char name[KALLSYMS_NAME_MAX + 96];
	uint64_t symbol;
};

/**
 * kallsyms_resolve() - names addresses
 * @f: like /proc/kallsyms, read to its end; lines that are not of that form are passed over
 * @queries: @address filled in, the rest is set
 * @n: how many
 *
 * The nearest symbol at or below counts, the first one of several.
 */
void kallsyms_resolve(FILE *f, struct kallsyms_query *queries, size_t n);

#endif
