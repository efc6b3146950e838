// SPDX-License-Identifier: GPL-2.0-or-later
/* Names for addresses in the running kernel. */
#include <inttypes.h>

#include "util/kallsyms.h"
#include "util/util.h"

static void consider(struct kallsyms_query *q, uint64_t symbol, const char *name,
		     const char *module)
{
	if (symbol > q->address || q->address - symbol >= KALLSYMS_REACH || symbol <= q->symbol)
		return;
	q->symbol = symbol;
	snprintf(q->name, sizeof(q->name), "%s+%#" PRIx64 "%s%s", name, q->address - symbol,
		 *module ? " " : "", module);
}

void kallsyms_resolve(FILE *f, struct kallsyms_query *queries, size_t n)
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	for (size_t i = 0; i < n; i++) {
		queries[i].name[0] = 0;
		queries[i].symbol = 0;
	}
	while (getline(&line, &size, f) > 0) {
		char name[KALLSYMS_NAME_MAX], module[64] = "";
		uint64_t symbol;

		if (sscanf(line, "%" SCNx64 " %*c %127s %63s", &symbol, name, module) < 2)
			continue;
		for (size_t i = 0; i < n; i++)
			consider(&queries[i], symbol, name, module);
	}
}
