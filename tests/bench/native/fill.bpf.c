// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts violations into a ring as observe.bpf.c does, without a guest that makes them: for
 * the native bench.  The record comes as it is to be, since this host's kernel need not
 * know what a violation is.
 */
#include "kvm_vmi_bpf.h"
#include "fill.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, MERLON_EVENTS_BYTES);
} events SEC(".maps");

static int one(__u32 i, struct fill **ctx)
{
	struct fill *fill = *ctx;
	struct merlon_violation_record *record;

	record = bpf_ringbuf_reserve(&events, sizeof(*record), 0);
	if (!record)
		return 1;
	__builtin_memcpy(record, &fill->record, sizeof(*record));
	record->head.seq = fill->first + i;
	bpf_ringbuf_submit(record, 0);
	fill->stored++;
	return 0;
}

SEC("syscall")
int fill_events(struct fill *ctx)
{
	ctx->stored = 0;
	bpf_loop((__u32)ctx->nr, one, &ctx, 0);
	return 0;
}
