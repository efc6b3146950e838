/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What merlond counts, as OpenMetrics text.
 */
#ifndef MERLON_METRICS_H
#define MERLON_METRICS_H

#include "manager.h"

/* VMs that have series of their own; the others are in merlon_vms alone. */
#define METRICS_MAX_VMS 1000

/**
 * metrics_escape() - a label's value
 * @f: where to
 * @value: any bytes; backslash, '"' and newline are escaped, other bytes are as they are
 */
void metrics_escape(FILE *f, const char *value);

/**
 * metrics_text() - all metrics
 * @m: the manager, with or without a kernel
 * @ret: to be freed with free(), untouched on failure
 *
 * Return: 0 or -ENOMEM.
 */
int metrics_text(struct manager *m, char **ret);

#endif
