/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the fuzzers share: a condition that is to hold for whatever comes in. */
#ifndef MERLON_FUZZ_H
#define MERLON_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* libFuzzer saves the input and says where. */
#define HOLDS(condition)								\
	do {										\
		if (!(condition)) {							\
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__,		\
				__LINE__, #condition);					\
			abort();							\
		}									\
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* One line that a terminal may be shown: a message about input that is wrong. */
static inline void holds_message(const char *message, const char *label)
{
	size_t n = 0;

	HOLDS(message);
	while (label[n]) {
		HOLDS(message[n] == label[n]);
		n++;
	}
	for (const char *c = message; *c; c++)
		HOLDS(*c >= ' ' && *c <= '~');
}

#endif
