/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel as the daemon sees it: one table of operations, filled in by
 * kernel-bpf.c (the real one) or kernel-fake.c (tests), whichever is linked.
 * Nothing else of the daemon knows about BPF.
 */
#ifndef MERLON_KERNEL_H
#define MERLON_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <systemd/sd-event.h>

#include "../bpf/intf.h"

struct kernel;

/* The two queues of records, each of which has an fd to poll. */
enum kernel_ring {
	KERNEL_RING_CONTROL,
	KERNEL_RING_EVENTS,
	KERNEL_NR_RINGS
};

/**
 * struct kernel_setup - what a backend is opened with
 * @bpffs_dir: directory that holds the pins
 * @runtime_dir: directory for files that live as long as the host
 * @script: what --fake-kernel= said, NULL otherwise
 * @event: for backends that need the loop themselves
 * @on_record: called by drain() for each record, of which there are @size bytes, its head
 *	at least; an older program's may be shorter than its kind is.  Must not drain again
 * @userdata: handed to @on_record
 */
struct kernel_setup {
	const char *bpffs_dir;
	const char *runtime_dir;
	const char *script;
	sd_event *event;
	void (*on_record)(const struct merlon_record *record, size_t size, void *userdata);
	void *userdata;
};

/**
 * struct kernel_missing - something without which the kernel protects nothing
 * @what: a word for machines
 * @why: a sentence
 * @remedy: what to do
 */
struct kernel_missing {
	char what[32];
	char why[512];
	char remedy[256];
};

/**
 * struct kernel_ops - operations of a backend
 *
 * All return 0 or a negative errno and leave ret_ arguments untouched on failure.
 * -ESRCH is always "no such VM"; -EIO "this VM is dead".  Other errors are those
 * of the kfuncs of the same name.
 */
struct kernel_ops {
	/* Lets go of the kernel and frees @k; everything stays in force. */
	void (*close)(struct kernel *k);
	int (*caps)(struct kernel *k, struct kvm_vmi_caps *ret);

	/*
	 * The VM @id; the VM with the lowest id above @after.  What an older kernel does
	 * not tell is 0.
	 */
	int (*vm_info)(struct kernel *k, uint64_t id, struct kvm_vmi_vm_info *ret);
	int (*vm_next)(struct kernel *k, uint64_t after, struct kvm_vmi_vm_info *ret);

	/*
	 * Before the VM is first protected.  -EBUSY: it has been; -EOPNOTSUPP: no such
	 * hardware, or not to be used; -ENOSYS: this kernel has one engine only.
	 */
	int (*set_engine)(struct kernel *k, uint64_t vm, enum kvm_vmi_engine engine);

	/* At most KVM_VMI_MAX_BATCH rules, all or none; -ENOENT: see KVM_VMI_RULE_UPDATE. */
	int (*set_rules)(struct kernel *k, uint64_t vm, const struct kvm_vmi_rule *rules,
			 size_t n);
	/* The rule with the lowest id above @after; -ENOENT when there is none. */
	int (*next_rule)(struct kernel *k, uint64_t vm, uint32_t after,
			 struct kvm_vmi_rule_info *ret);
	/* A rule and its ranges, 0: every rule of the VM; -ENOENT. */
	int (*clear_rule)(struct kernel *k, uint64_t vm, uint32_t rule);
	/* At most KVM_VMI_MAX_BATCH ranges, all or none. */
	int (*set_access)(struct kernel *k, uint64_t vm, const struct kvm_vmi_range *ranges,
			  size_t n);

	/*
	 * What a rule pins, in place of what it pinned; nothing, and it pins no more.
	 * -ENOENT: no such rule; -EOPNOTSUPP: not on this host; -ENOSYS: this kernel pins
	 * nothing.
	 */
	int (*set_pin)(struct kernel *k, uint64_t vm, const struct kvm_vmi_pin *pin);
	int (*get_pin)(struct kernel *k, uint64_t vm, uint32_t rule, struct kvm_vmi_pin *ret);

	/*
	 * At most KVM_VMI_MAX_BATCH ranges from the run at or after frame @gfn on, whole runs
	 * only, in order: how many, 0 at the end.
	 */
	int (*get_access)(struct kernel *k, uint64_t vm, uint64_t gfn,
			  struct kvm_vmi_range ret[static KVM_VMI_MAX_BATCH]);

	/*
	 * What the policy program answers for the rule with a cookie instead of its own
	 * action; -ENOENT: nothing.  Stays when the rule goes.  -ENOSPC, and for the next
	 * one after @after (NULL: the first) -ENOENT at the end.
	 */
	int (*set_answer)(struct kernel *k, uint64_t cookie, uint32_t answer);
	int (*get_answer)(struct kernel *k, uint64_t cookie, uint32_t *ret);
	int (*clear_answer)(struct kernel *k, uint64_t cookie);
	int (*next_answer)(struct kernel *k, const uint64_t *after, uint64_t *ret);

	/*
	 * Registers of a vCPU, which may be nested or not running.  -ENOENT: no such vCPU;
	 * -ETIMEDOUT after a second.
	 */
	int (*regs)(struct kernel *k, uint64_t vm, uint32_t vcpu_id, struct kvm_vmi_regs *ret);

	/*
	 * Address-space isolation: of the host; a VM's counters; the place with a number, from 0
	 * on, at which it touched what is not mapped; for which reasons of leaving, by bit,
	 * siblings leave their guests.  -ENOSYS: this kernel has none of it; -EOPNOTSUPP: this
	 * VM is not isolated; -ENOENT: no more places.
	 */
	int (*isolation_host)(struct kernel *k, struct kvm_isolation_host *ret);
	int (*isolation_stats)(struct kernel *k, uint64_t vm, struct kvm_isolation_stats *ret);
	int (*isolation_place)(struct kernel *k, uint64_t vm, uint32_t index,
			       struct kvm_isolation_place *ret);
	int (*isolation_set_kick)(struct kernel *k, uint64_t vm, uint32_t reasons);

	int (*admit)(struct kernel *k, uint64_t vm);
	int (*set_admission)(struct kernel *k, enum kvm_vmi_admission mode,
			     uint32_t deadline_ms);

	/* Counts of events of a VM; zeroes for one that has none yet. */
	int (*counters)(struct kernel *k, uint64_t vm, struct merlon_vm_counters *ret);
	/* Records that the control ring lost since it exists. */
	int (*control_lost)(struct kernel *k, uint64_t *ret);

	/* Readable while the ring has records; belongs to the backend. */
	int (*ring_fd)(struct kernel *k, enum kernel_ring ring);
	/* Hands at most @max records to on_record(); returns how many. */
	int (*drain)(struct kernel *k, enum kernel_ring ring, unsigned int max);

	/* Takes programs and pins away; the backend can then only be closed. */
	int (*remove)(struct kernel *k);
};

struct kernel {
	const struct kernel_ops *ops;
};

/**
 * struct kernel_backend - the backend that is linked in
 * @name: for logs
 * @script_option: the backend reads --fake-kernel=
 * @open: takes hold of the kernel.  -EOPNOTSUPP: this kernel cannot protect, and
 *	*@reterr_missing says what it lacks; -EBUSY: somebody else owns it; else
 *	some other negative errno, *@reterr_missing filled all the same
 */
struct kernel_backend {
	const char *name;
	bool script_option;
	int (*open)(const struct kernel_setup *setup, struct kernel **ret,
		    struct kernel_missing *reterr_missing);
};

extern const struct kernel_backend kernel_backend;

static inline struct kernel *kernel_close(struct kernel *k)
{
	if (k)
		k->ops->close(k);
	return NULL;
}

#endif
