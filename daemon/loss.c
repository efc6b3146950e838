// SPDX-License-Identifier: GPL-2.0-or-later
/* Losses of readers. */
#include <time.h>

#include "loss.h"

struct event loss_of_reader(uint64_t count)
{
	struct event lost = { .kind = MERLON_EVENT_LOST, .count = count };
	struct timespec ts;

	if (clock_gettime(CLOCK_BOOTTIME, &ts) >= 0)
		lost.time = (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
	return lost;
}
