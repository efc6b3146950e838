// SPDX-License-Identifier: GPL-2.0-or-later
/* util/json.c: a value that was taken is written and read again as the same one. */
#include <string.h>

#include "fuzz.h"
#include "util/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ struct json_object *first = NULL, *second = NULL;
	_cleanup_free_ char *text = NULL, *again = NULL;

	if (json_parse((const char *)data, size, &first) < 0) {
		HOLDS(!first);
		return 0;
	}
	HOLDS(first);
	HOLDS(json_text(first, JSON_ONE_LINE, &text) == 0);
	HOLDS(!strchr(text, '\n'));
	HOLDS(json_parse(text, strlen(text), &second) == 0);
	HOLDS(json_text(second, JSON_ONE_LINE, &again) == 0);
	HOLDS(!strcmp(text, again));
	return 0;
}
