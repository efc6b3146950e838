/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the bench and its program that fills a ring share. */
#ifndef MERLON_FILL_H
#define MERLON_FILL_H

#include "intf.h"

/**
 * struct fill - records for the events ring
 * @nr: how many
 * @stored: how many there was room for
 * @first: the number of the first one within its VM
 * @record: what they are, but for the number
 */
struct fill {
	__u64 nr;
	__u64 stored;
	__u64 first;
	struct merlon_violation_record record;
};

#endif
