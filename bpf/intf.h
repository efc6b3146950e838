/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The seam between merlond and its BPF programs: records of the two rings,
 * values of the pinned maps, contexts of the control programs.  Fixed width, no
 * pointers, no holes.  What comes from the kernel inside of them has the shapes
 * of <linux/kvm_vmi.h>, which kvm_vmi_bpf.h repeats for programs.
 */
#ifndef MERLON_INTF_H
#define MERLON_INTF_H

#ifdef __bpf__
#include "kvm_isolation_bpf.h"
#else
#include <linux/kvm_isolation.h>
#include <linux/kvm_vmi.h>
#include <linux/types.h>
#endif

/*
 * The layout number: of everything that stays pinned while merlond is gone (the
 * maps' names, keys, values and sizes, and the rings' records).  It counts up
 * with each change, and so does the name of the directory of pins.  No change is a
 * record that only grows at its end, with the kernel's structure in it: merlond does
 * not read the shorter ones it finds, counts violations among them as lost, and
 * enumerates when it starts.  Nor is another kind of record: who does not know it
 * passes over it.
 */
#define MERLON_LAYOUT		1
#define MERLON_LAYOUT_DIR	"v1"

/* Pins in that directory, and names of the maps (the link has no map). */
#define MERLON_PIN_LINK		"link"
#define MERLON_PIN_RULES	"rules"
#define MERLON_PIN_VMS		"vms"
#define MERLON_PIN_EVENTS	"events"
#define MERLON_PIN_CONTROL	"control"
#define MERLON_PIN_STATS	"stats"

/* VMs and verdicts that the pinned maps have room for. */
#define MERLON_MAX_VMS		4096
#define MERLON_MAX_VERDICTS	4096

/*
 * Ring sizes: control has room for a record of each VM there may be and as much
 * again; events for a whole burst of one VM.
 */
#define MERLON_CONTROL_BYTES	(1U << 20)
#define MERLON_EVENTS_BYTES	(4U << 20)

/* The token bucket of a VM's events: 10,000 a second, 20,000 at once. */
#define MERLON_EVENT_NS		100000ULL
#define MERLON_EVENT_BURST	20000ULL

enum merlon_record_kind {
	MERLON_RECORD_VM_CREATED = 1,	/* struct merlon_vm_record */
	MERLON_RECORD_VM_RESET = 2,
	MERLON_RECORD_VM_DESTROYED = 3,
	MERLON_RECORD_VM_ADMITTED = 4,	/* struct merlon_notice_record from here */
	MERLON_RECORD_VM_EXPIRED = 5,
	MERLON_RECORD_VM_KILLED = 6,
	MERLON_RECORD_RULE_DISARMED = 7,
	MERLON_RECORD_VIOLATION = 8,	/* struct merlon_violation_record */
	MERLON_RECORD_UNPINNED = 9,	/* struct merlon_unpinned_record */
	MERLON_RECORD_VM_COUNTERS = 10,	/* struct merlon_counters_record */
};

/**
 * struct merlon_record - the head of every record
 * @size: bytes of the record, this head included
 * @kind: &enum merlon_record_kind
 * @flags: zero
 * @vm: id
 * @seq: the violation's number within its VM; 0 for other kinds
 * @time: nanoseconds of CLOCK_BOOTTIME
 */
struct merlon_record {
	__u16 size;
	__u16 kind;
	__u32 flags;
	__u64 vm;
	__u64 seq;
	__u64 time;
};

/* On the control ring, from the struct_ops programs. */
struct merlon_vm_record {
	struct merlon_record head;
	struct kvm_vmi_vm_info info;
};

/* On the control ring, from the tracepoint; @detail: a rule's id, or zero. */
struct merlon_notice_record {
	struct merlon_record head;
	__u32 detail;
	__u32 reserved;
};

/* On the events ring; @verdict is what became of it: &enum kvm_vmi_verdict. */
struct merlon_violation_record {
	struct merlon_record head;
	__u32 verdict;
	__u32 reserved;
	struct kvm_vmi_violation v;
};

/*
 * On the events ring, since it is the guest that makes them: a vCPU in long mode has had
 * these pinned bits clear for a second.
 */
struct merlon_unpinned_record {
	struct merlon_record head;
	__u32 vcpu_id;
	__u32 reserved;
	__u64 cr0;
	__u64 cr4;
	__u64 efer;
};

/**
 * struct merlon_vm_counters - value of the pinned map "vms", keyed by VM id
 * @tat: the bucket's theoretical arrival time, nanoseconds of CLOCK_BOOTTIME
 * @seen: violations the observe program was told of
 * @lost: records for the events ring, of violations or not, refused by the bucket
 * @dropped: those that found the ring full
 */
struct merlon_vm_counters {
	__u64 tat;
	__u64 seen;
	__u64 lost;
	__u64 dropped;
};

/*
 * On the control ring, before a VM's end: what its entry in "vms", which goes with it, said
 * last.  Of VMs that lost records only.
 */
struct merlon_counters_record {
	struct merlon_record head;
	struct merlon_vm_counters counters;
};

/*
 * The pinned map "rules": key __u64, a rule's cookie, which merlond makes from
 * the VM's id and the rule's name (a violation carries no VM id); value __u32, the
 * verdict that the policy program answers instead of the rule's own action, or
 * MERLON_ANSWER_LEARN.
 */

/*
 * The page of a fetch of L1's kernel mode is granted to the rule for good, and the guest
 * goes on; anything else is the rule's own action.  An older program takes it for an
 * unknown verdict, and answers nothing.
 */
#define MERLON_ANSWER_LEARN		256

/* Indices of the pinned array "stats", values are __u64. */
#define MERLON_STAT_CONTROL_LOST	0	/* records that found the control ring full */
#define MERLON_STAT_NO_COUNTERS		1	/* events of VMs without room in "vms" */
#define MERLON_STAT_NOT_GRANTED		2	/* fetches let through that could not be learned */
#define MERLON_NR_STATS			8

/*
 * Contexts of the control programs.  A program returns 0, a count or a negative
 * errno; -ESRCH: no such VM, or the caller lacks CAP_SYS_ADMIN; -ENOSYS: this
 * kernel does not have the kfunc.  Where the kernel fills a structure there is
 * room behind it, for the kernel's may have grown.
 */
struct merlon_ctl_caps {
	union {
		struct kvm_vmi_caps caps;
		__u8 room[256];
	};
};

/* For info: @vm is the VM; for next: look above @vm. */
struct merlon_ctl_vm {
	__u64 vm;
	union {
		struct kvm_vmi_vm_info info;
		__u8 room[512];
	};
};

/* @engine: &enum kvm_vmi_engine */
struct merlon_ctl_engine {
	__u64 vm;
	__u32 engine;
	__u32 reserved;
};

/* For next_rule: the first rule above @rule; for clear_rule: 0 is every rule. */
struct merlon_ctl_rule {
	__u64 vm;
	__u32 rule;
	__u32 reserved;
	union {
		struct kvm_vmi_rule_info info;
		__u8 room[512];
	};
};

struct merlon_ctl_set_rules {
	__u64 vm;
	__u32 nr;
	__u32 reserved;
	struct kvm_vmi_rule rules[KVM_VMI_MAX_BATCH];
};

/* For set_access and clear_access: @nr items; for get_access: from @gfn. */
struct merlon_ctl_access {
	__u64 vm;
	__u64 gfn;
	__u32 nr;
	__u32 reserved;
	struct kvm_vmi_range ranges[KVM_VMI_MAX_BATCH];
};

/* For set_pin; for get_pin: of @rule. */
struct merlon_ctl_pin {
	__u64 vm;
	__u32 rule;
	__u32 reserved;
	union {
		struct kvm_vmi_pin pin;
		__u8 room[128];
	};
};

struct merlon_ctl_admission {
	__u64 vm;
	__u32 mode;
	__u32 deadline_ms;
};

/* Guest memory comes in pieces of at most this; a context has at most 64 KiB - 1. */
#define MERLON_READ_MAX		32768

struct merlon_ctl_read {
	__u64 vm;
	__u64 gpa;
	__u32 length;
	__u32 reserved;
	__u8 data[MERLON_READ_MAX];
};

struct merlon_ctl_regs {
	__u64 vm;
	__u32 vcpu_id;
	__u32 reserved;
	union {
		struct kvm_vmi_regs regs;
		__u8 room[1024];
	};
};

/* Of address-space isolation: the host; a VM; a place, by its number from 0 on. */
struct merlon_ctl_isolation_host {
	union {
		struct kvm_isolation_host host;
		__u8 room[256];
	};
};

struct merlon_ctl_isolation_stats {
	__u64 vm;
	union {
		struct kvm_isolation_stats stats;
		__u8 room[2048];
	};
};

struct merlon_ctl_isolation_place {
	__u64 vm;
	__u32 index;
	__u32 reserved;
	union {
		struct kvm_isolation_place place;
		__u8 room[128];
	};
};

/* @reasons: a bit for each &enum kvm_isolation_reason */
struct merlon_ctl_isolation_kick {
	__u64 vm;
	__u32 reasons;
	__u32 reserved;
};

#endif
