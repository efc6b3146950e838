// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many stores to random sub-pages while the host changes what may be written.
 * Each vCPU owns one quadword of every sub-page, so it knows what must be there
 * after each attempt: what it stored, or, after a fault, what it had before.
 *
 * arg0 = first frame's address	arg1 = frames		arg2 = seed
 * arg3 = iterations		arg4 = log (see abi)	arg5 = quadword, 0 to 15
 * arg6 = turns to wait before each store, at most; a power of 2, or 0
 * The log: frames * 32 values last seen, then one word per frame of sub-pages
 * that took a store, then one of sub-pages that refused one.
 * ret0 = refused, ret1 = taken, ret2 = contradictions, ret3 = address of the first
 */
#include "guest.h"

#define SUBPAGES	32
#define STORE_KINDS	5

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Store @value over @old at @p in one of several ways; 0 if it faulted. */
static int store_somehow(struct guest_cpu *cpu, uint64_t p, uint64_t old, uint64_t value, int kind)
{
	uint64_t count = 1, rax = old, tmp = value;

	cpu->vector = GUEST_NO_FAULT;
	switch (kind) {
	case 0:
		asm volatile(TRY("movq %[v], (%[p])")
			     : : [p] "r"(p), [v] "r"(value) : TRY_CLOBBERS);
		break;
	case 1:
		asm volatile(TRY("xchgq %[v], (%[p])")
			     : [v] "+r"(tmp) : [p] "r"(p) : TRY_CLOBBERS);
		break;
	case 2:
		asm volatile(TRY("lock cmpxchgq %[v], (%[p])")
			     : "+a"(rax) : [p] "r"(p), [v] "r"(value) : TRY_CLOBBERS);
		break;
	case 3:
		tmp = value - old;
		asm volatile(TRY("lock xaddq %[v], (%[p])")
			     : [v] "+r"(tmp) : [p] "r"(p) : TRY_CLOBBERS);
		break;
	default:
		asm volatile(TRY("rep stosq")
			     : "+D"(p), "+c"(count) : "a"(value) : TRY_CLOBBERS);
		break;
	}
	return cpu->vector == GUEST_NO_FAULT;
}

/* In the guest, where most of its time goes then. */
static void wait(uint64_t turns)
{
	while (turns--)
		asm volatile("" : : : "memory");
}

void op_hammer(struct guest_cpu *cpu)
{
	uint64_t base = cpu->arg[0], frames = cpu->arg[1], state = cpu->arg[2], n = cpu->arg[3];
	uint64_t *seen = (uint64_t *)cpu->arg[4];
	uint32_t *taken = (uint32_t *)(seen + frames * SUBPAGES), *refused = taken + frames;
	uint64_t i, value = 0, refusals = 0, stores = 0, wrong = 0, where = 0;

	for (i = 0; i < n && !cpu->stop; i++) {
		uint64_t r = next_random(&state), frame = (r >> 8) % frames, sub = r % SUBPAGES;
		uint64_t p = base + frame * 4096 + sub * 128 + cpu->arg[5] * 8;
		uint64_t *last = &seen[frame * SUBPAGES + sub], now;
		int ok;

		if (cpu->arg[6])
			wait(next_random(&state) % cpu->arg[6]);
		ok = store_somehow(cpu, p, *last, ++value, (r >> 40) % STORE_KINDS);
		now = *(volatile uint64_t *)p;
		if (now != (ok ? value : *last)) {
			if (!wrong++)
				where = p;
		}
		*last = now;
		if (ok) {
			stores++;
			taken[frame] |= 1U << sub;
		} else {
			refusals++;
			refused[frame] |= 1U << sub;
		}
		cpu->progress = i + 1;
	}
	cpu->vector = GUEST_NO_FAULT;
	cpu->ret[0] = refusals;
	cpu->ret[1] = stores;
	cpu->ret[2] = wrong;
	cpu->ret[3] = where;
}
