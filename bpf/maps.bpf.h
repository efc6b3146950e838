/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The pinned maps, declared once for the objects that share them; merlond gives
 * each object the pinned ones before it loads.  All state that must outlive
 * merlond is here: programs have no other.
 */
#ifndef MERLON_MAPS_BPF_H
#define MERLON_MAPS_BPF_H

#include "intf.h"

/* Lifecycle records; nothing that a guest can do fast goes here. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, MERLON_CONTROL_BYTES);
} control SEC(".maps");

/* Violations, and what else a guest brings about: at most a token bucket's worth of each VM. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, MERLON_EVENTS_BYTES);
} events SEC(".maps");

/* Preallocated: the tracepoint's program may add to it and must not allocate. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MERLON_MAX_VMS);
	__type(key, __u64);
	__type(value, struct merlon_vm_counters);
} vms SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MERLON_MAX_VERDICTS);
	__type(key, __u64);
	__type(value, __u32);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MERLON_NR_STATS);
	__type(key, __u32);
	__type(value, __u64);
} stats SEC(".maps");

static __always_inline void stat_add(__u32 index)
{
	__u64 *value = bpf_map_lookup_elem(&stats, &index);

	if (value)
		__sync_fetch_and_add(value, 1);
}

static __always_inline void record_fill(struct merlon_record *head, __u16 size, __u16 kind,
					__u64 vm, __u64 seq)
{
	head->size = size;
	head->kind = kind;
	head->flags = 0;
	head->vm = vm;
	head->seq = seq;
	head->time = bpf_ktime_get_boot_ns();
}

#endif
