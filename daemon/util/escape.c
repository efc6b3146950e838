// SPDX-License-Identifier: GPL-2.0-or-later
/* Bytes from a stranger made fit for a bus, a log and a terminal. */
#include <stdbool.h>
#include <stdint.h>

#include "util/escape.h"
#include "util/util.h"

static char *escape(const void *bytes, size_t len, bool backslash)
{
	static const char hex[] = "0123456789abcdef";
	const unsigned char *b = bytes;
	char *out, *p;

	if (len > (SIZE_MAX - 1) / 4)
		return NULL;
	out = p = malloc(len * 4 + 1);
	if (!out)
		return NULL;

	for (size_t i = 0; i < len; i++) {
		/* Not isprint(): the locale of the operator must not matter. */
		if (b[i] >= 0x20 && b[i] < 0x7f && !(backslash && b[i] == '\\')) {
			*p++ = (char)b[i];
		} else {
			*p++ = '\\';
			*p++ = 'x';
			*p++ = hex[b[i] >> 4];
			*p++ = hex[b[i] & 15];
		}
	}
	*p = '\0';
	return out;
}

char *escape_bytes(const void *bytes, size_t len)
{
	return escape(bytes, len, true);
}

char *escape_terminal(const char *text)
{
	return escape(text, strlen(text), false);
}
