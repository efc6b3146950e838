// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two vCPUs store to random sub-pages while the map, the programs or the host's
 * memory change: no denied write lands after a call has returned, no allowed one
 * is lost, nothing leaks.  Each vCPU knows what must be in its own quadwords.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "lib/attempt.h"
#include "lib/host.h"
#include "suites.h"

#define RULE		51
#define RULE_ALWAYS	52	/* denies one sub-page from before to after */
#define FRAMES		8
#define VCPUS		2
#define FOREVER		(1UL << 40)
#define LOG(cpu)	(GUEST_SCRATCH_BASE + (cpu) * 0x8000UL)

#define SUB_ALWAYS	(1U << 30)	/* never to be written */
#define SUB_NEVER	(1U << 31)	/* never to be denied */

struct hammer {
	struct vm *vm;
	uint64_t id;
	uint32_t denied[FRAMES];	/* by RULE and RULE_ALWAYS */
	bool always_gone;		/* RULE_ALWAYS was cleared */
	uint64_t snapshot[FRAMES][32][VCPUS];
};

/* The quadword that @cpu owns in a sub-page. */
static uint64_t *owned(struct hammer *h, unsigned int frame, unsigned int sub, unsigned int cpu)
{
	return (uint64_t *)vm_hva(h->vm, GUEST_ARENA + frame * PAGE_SIZE + sub * SUBPAGE) + cpu;
}

static void start(struct hammer *h, const struct vm_options *options)
{
	struct vm_options o = options ? *options : (struct vm_options){ };
	unsigned int i;

	memset(h, 0, sizeof(*h));
	o.vcpus = VCPUS;
	h->vm = vmi_new(&o, &h->id);
	vmi_rule(h->id, RULE, KVM_VMI_DENY, 0);
	vmi_rule(h->id, RULE_ALWAYS, KVM_VMI_DENY, 0);
	vmi_protect_frames(h->id, RULE_ALWAYS, GUEST_ARENA, FRAMES, DENIED(SUB_ALWAYS));
	for (i = 0; i < FRAMES; i++)
		h->denied[i] = SUB_ALWAYS;
	for (i = 0; i < VCPUS; i++) {
		h->vm->vcpu[i]->timeout_ms = 600000;
		vcpu_spawn(h->vm->vcpu[i], OP_HAMMER, GUEST_ARENA, FRAMES, test_random(), FOREVER,
			   LOG(i), i);
	}
	for (i = 0; i < VCPUS; i++) {
		require(vcpu_wait_progress(h->vm->vcpu[i], 20), "vCPU %u does not run", i);
		vcpu_yield_to_all(h->vm->vcpu[i]);
	}
}

static void take_snapshot(struct hammer *h, unsigned int frame)
{
	unsigned int sub, cpu;

	for (sub = 0; sub < 32; sub++)
		for (cpu = 0; cpu < VCPUS; cpu++)
			h->snapshot[frame][sub][cpu] = *(volatile uint64_t *)owned(h, frame, sub, cpu);
}

/* What is denied since the snapshot has not changed since. */
static bool check_snapshot(struct hammer *h, unsigned int frame)
{
	unsigned int sub, cpu;

	for (sub = 0; sub < 32; sub++) {
		if (!(h->denied[frame] >> sub & 1))
			continue;
		for (cpu = 0; cpu < VCPUS; cpu++) {
			uint64_t now = *(volatile uint64_t *)owned(h, frame, sub, cpu);
			uint64_t then = h->snapshot[frame][sub][cpu];

			if (!expect(now == then,
				    "frame %u sub-page %u vCPU %u: %#llx, was %#llx when it was denied",
				    frame, sub, cpu, (unsigned long long)now,
				    (unsigned long long)then))
				return false;
		}
	}
	return true;
}

/* Change one frame, at random: its mask, or the rule's whole claim. */
static bool change(struct hammer *h)
{
	unsigned int frame = test_random() % FRAMES;
	uint32_t denied = test_random() & test_random() & ~SUB_NEVER;

	if (!check_snapshot(h, frame))
		return false;
	if (test_random() % 16 == 0) {
		vmi_unprotect(h->id, RULE, GUEST_ARENA + frame * PAGE_SIZE);
		denied = 0;
	} else {
		vmi_protect(h->id, RULE, GUEST_ARENA + frame * PAGE_SIZE, DENIED(denied));
	}
	h->denied[frame] = denied | SUB_ALWAYS;
	take_snapshot(h, frame);
	return true;
}

/* End the load and compare what the vCPUs know with what is there. */
static void finish(struct hammer *h)
{
	unsigned int cpu, frame, sub;
	uint64_t stores = 0, refusals = 0;

	for (cpu = 0; cpu < VCPUS; cpu++)
		h->vm->vcpu[cpu]->cpu->stop = 1;
	for (cpu = 0; cpu < VCPUS; cpu++) {
		struct run r = vcpu_join(h->vm->vcpu[cpu]);
		uint64_t *seen = vm_hva(h->vm, LOG(cpu));
		uint32_t *taken = (uint32_t *)(seen + FRAMES * 32), *refused = taken + FRAMES;

		if (!expect(r.end == RUN_DONE, "vCPU %u: %s", cpu, run_text(&r)))
			continue;
		expect(!r.ret[2], "vCPU %u: %llu contradictions, the first at %#llx", cpu,
		       (unsigned long long)r.ret[2], (unsigned long long)r.ret[3]);
		refusals += r.ret[0];
		stores += r.ret[1];
		for (frame = 0; frame < FRAMES; frame++) {
			expect(!(refused[frame] & SUB_NEVER), "frame %u: an allowed write was refused",
			       frame);
			expect(h->always_gone || !(taken[frame] & SUB_ALWAYS),
			       "frame %u: a denied write was taken", frame);
			for (sub = 0; sub < 32; sub++)
				expect_eq(*owned(h, frame, sub, cpu), seen[frame * 32 + sub]);
		}
	}
	tap_note("  %llu stores taken, %llu refused", (unsigned long long)stores,
		 (unsigned long long)refusals);
	expect(stores > 0, "no store was taken");
	vm_free(h->vm);
}

/* Kilobytes of slab memory: where maps, rules and page tables of KVM are. */
static long slab_kb(void)
{
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");
	long kb = 0;

	require(f, "/proc/meminfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %ld", &kb) == 1)
			break;
	fclose(f);
	return kb;
}

static void test_map(uintptr_t backing)
{
	unsigned int i, n = test_options.long_run ? 10000 : 1000;
	const struct vm_options options = {
		.arena = backing,
		.arena_pages = backing == BACKING_THP ? 512 : 0,
	};
	struct timespec t0, t1;
	long before = 0, after;
	struct hammer h;

	start(&h, &options);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	for (i = 0; i < n; i++) {
		if (!change(&h))
			break;
		/* What is allocated once is allocated by now. */
		if (i == n / 4)
			before = slab_kb();
	}
	for (i = 0; i < FRAMES; i++)
		check_snapshot(&h, i);
	after = slab_kb();
	clock_gettime(CLOCK_MONOTONIC, &t1);
	tap_note("  %u changes in %ld us, slab %ld kB after a quarter of them, %ld kB at the end",
		 n, (t1.tv_sec - t0.tv_sec) * 1000000 + (t1.tv_nsec - t0.tv_nsec) / 1000, before,
		 after);
	/* Where leaks are looked for in the end, KASAN keeps what has been freed. */
	if (!host_scans_for_leaks())
		expect(after - before < 1024, "slab memory grows: %ld kB, then %ld kB", before,
		       after);
	finish(&h);
}

/* Batches over all frames, which must be visible whole. */
static void test_batches(uintptr_t arg)
{
	unsigned int i, f, n = test_options.long_run ? 2000 : 150;
	struct kvm_vmi_range ranges[FRAMES];
	struct hammer h;

	(void)arg;
	start(&h, NULL);
	for (i = 0; i < n; i++) {
		for (f = 0; f < FRAMES; f++) {
			if (!check_snapshot(&h, f))
				goto out;
			h.denied[f] = (test_random() & ~SUB_NEVER) | SUB_ALWAYS;
			ranges[f] = (struct kvm_vmi_range){
				.gfn = GFN(GUEST_ARENA) + f, .nr = 1, .rule = RULE,
				.write = DENIED(h.denied[f]), .rights = KVM_VMI_RIGHT_ALL,
			};
		}
		require_eq(vmi_set(h.id, ranges, FRAMES), 0);
		for (f = 0; f < FRAMES; f++)
			take_snapshot(&h, f);
	}
out:
	finish(&h);
}

/* Owners come, go and swap, and answer this or that: each store is one or the other. */
static void test_owners(uintptr_t arg)
{
	unsigned int i, n = test_options.long_run ? 500 : 40;
	struct hammer h;

	(void)arg;
	start(&h, NULL);
	vmi_protect_frames(h.id, RULE, GUEST_ARENA, FRAMES, DENIED(0x00ffff00));
	/* Allowing is one of the answers: nothing is denied for sure. */
	vmi_clear_rule(h.id, RULE_ALWAYS);
	h.always_gone = true;
	memset(h.denied, 0, sizeof(h.denied));
	for (i = 0; i < n; i++) {
		require_eq(vmi_attach(i & 1 ? KVM_VMI_ALLOW : KVM_VMI_DENY), 0);
		vmi_set_delay(test_random() % 64);
		vcpu_wait_progress(h.vm->vcpu[0], h.vm->vcpu[0]->cpu->progress + 5);
		vmi_set_answer(KVM_VMI_DEFAULT);
		expect_eq(vmi_swap(i & 2 ? KVM_VMI_ALLOW : 1000), 0);
		vcpu_wait_progress(h.vm->vcpu[1], h.vm->vcpu[1]->cpu->progress + 5);
		vmi_detach();
	}
	vmi_set_delay(0);
	finish(&h);
}

/* The host's memory management at work, with the map as it is and changing. */
static void test_host(uintptr_t arg)
{
	unsigned int i, n = test_options.long_run ? 500 : 60;
	struct slot *arena;
	struct hammer h;
	uint8_t *p;

	(void)arg;
	host_swap_on();
	start(&h, &(struct vm_options){ .arena = BACKING_THP, .arena_pages = 512 });
	arena = vm_slot(h.vm, GUEST_ARENA);
	p = arena->hva;
	for (i = 0; i < n; i++) {
		switch (test_random() % 6) {
		case 0:
			slot_set_flags(h.vm, arena, KVM_MEM_LOG_DIRTY_PAGES);
			break;
		case 1:
			slot_set_flags(h.vm, arena, 0);
			break;
		case 2:
			madvise(p, FRAMES * PAGE_SIZE, MADV_PAGEOUT);
			break;
		case 3:
			host_collapse(p);
			break;
		default:
			break;
		}
		if (!change(&h))
			break;
	}
	slot_set_flags(h.vm, arena, 0);
	finish(&h);
}

/* What goes on beside the vCPUs and the changes, each in a thread of its own. */
struct disturbance {
	struct hammer *h;
	struct slot *arena;
	enum backing backing;
	bool stop;
	unsigned long slots, notifiers;
	int err;		/* of the first call that failed */
};

static bool set_region(struct disturbance *d, unsigned int id, uint64_t gpa, void *p,
		       uint64_t size, uint32_t flags)
{
	struct kvm_userspace_memory_region region = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)p,
	};

	if (!ioctl(d->h->vm->fd, KVM_SET_USER_MEMORY_REGION, &region))
		return true;
	if (!d->err)
		d->err = errno;
	return false;
}

/* A slot comes and goes, the arena's is logged and is not, its log is read. */
static void *disturb_slots(void *arg)
{
	struct disturbance *d = arg;
	static uint8_t memory[4 * PAGE_SIZE] __attribute__((aligned(4096)));
	struct slot *a = d->arena;
	static uint64_t bitmap[8];
	struct kvm_dirty_log log = { .slot = a->id, .dirty_bitmap = bitmap };

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) {
		if (!set_region(d, VM_MAX_SLOTS, 0x100000000UL, memory, sizeof(memory), 0) ||
		    !set_region(d, a->id, a->gpa, a->hva, a->size, KVM_MEM_LOG_DIRTY_PAGES) ||
		    !set_region(d, VM_MAX_SLOTS, 0x100000000UL, memory, 0, 0))
			break;
		if (ioctl(d->h->vm->fd, KVM_GET_DIRTY_LOG, &log) && !d->err)
			d->err = errno;
		if (!set_region(d, a->id, a->gpa, a->hva, a->size, 0))
			break;
		d->slots++;
		sched_yield();
	}
	return NULL;
}

/* Pages are unmapped, paged out, merged, collapsed and split; none loses what is in it. */
static void *disturb_memory(void *arg)
{
	struct disturbance *d = arg;
	uint8_t *p = d->arena->hva;

	while (!__atomic_load_n(&d->stop, __ATOMIC_RELAXED)) {
		switch (d->notifiers++ % 4) {
		case 0:
			/* A memfd keeps what a process gives up. */
			madvise(p, FRAMES * PAGE_SIZE, d->backing == BACKING_SHARED ?
						       MADV_DONTNEED : MADV_PAGEOUT);
			break;
		case 1:
			if (d->backing == BACKING_THP)
				host_collapse(p);
			break;
		case 2:
			madvise(p + FRAMES * PAGE_SIZE, FRAMES * PAGE_SIZE, MADV_MERGEABLE);
			madvise(p, FRAMES * PAGE_SIZE, MADV_MERGEABLE);
			break;
		default:
			madvise(p + FRAMES * PAGE_SIZE, PAGE_SIZE, MADV_DONTNEED);
			break;
		}
		sched_yield();
	}
	return NULL;
}

/* All at once: stores, changes, memory slots, the host's memory management. */
static void test_all(uintptr_t backing)
{
	unsigned int i, n = test_options.long_run ? 3000 : 200, least = n / 20;
	struct disturbance d = { .backing = backing };
	pthread_t slots, memory;
	struct hammer h;

	host_swap_on();
	if (backing != BACKING_SHARED)
		host_merge_always(true);
	start(&h, &(struct vm_options){ .arena = backing, .arena_pages = 512 });
	d.h = &h;
	d.arena = vm_slot(h.vm, GUEST_ARENA);
	require(!pthread_create(&slots, NULL, disturb_slots, &d) &&
		!pthread_create(&memory, NULL, disturb_memory, &d), "pthread_create");
	/* Until each has had its turns. */
	for (i = 0; i < n || (i < 10 * n && __atomic_load_n(&d.slots, __ATOMIC_RELAXED) < least);
	     i++)
		if (!change(&h))
			break;
	n = i;
	for (i = 0; i < FRAMES; i++)
		check_snapshot(&h, i);
	__atomic_store_n(&d.stop, true, __ATOMIC_RELAXED);
	pthread_join(slots, NULL);
	pthread_join(memory, NULL);
	tap_note("  %u changes, %lu changes of slots, %lu of memory", n, d.slots, d.notifiers);
	expect(!d.err, "a memory slot: %s", strerror(d.err));
	expect(d.slots && d.notifiers, "nothing went on beside");
	finish(&h);
}

/* Rules are set, disarmed and removed as a whole. */
static void test_rules(uintptr_t arg)
{
	unsigned int i, n = test_options.long_run ? 1000 : 100;
	struct hammer h;

	(void)arg;
	start(&h, NULL);
	for (i = 0; i < n; i++) {
		unsigned int f;

		vmi_protect_frames(h.id, RULE, GUEST_ARENA, FRAMES, DENIED(0x55555555 & ~SUB_NEVER));
		vmi_rule(h.id, RULE, KVM_VMI_DENY, KVM_VMI_RULE_DISARMED);
		vmi_rule(h.id, RULE, KVM_VMI_DENY, 0);
		for (f = 0; f < FRAMES; f++) {
			h.denied[f] = (0x55555555 & ~SUB_NEVER) | SUB_ALWAYS;
			take_snapshot(&h, f);
		}
		sched_yield();
		for (f = 0; f < FRAMES; f++)
			check_snapshot(&h, f);
		if (i & 1) {
			require_eq(vmi_clear_rule(h.id, RULE), 0);
			vmi_rule(h.id, RULE, KVM_VMI_DENY, 0);
		}
		for (f = 0; f < FRAMES; f++)
			h.denied[f] = SUB_ALWAYS;
	}
	finish(&h);
}

/* Killed while both run. */
static void test_kill(uintptr_t arg)
{
	struct hammer h;
	unsigned int i;

	(void)arg;
	start(&h, NULL);
	vmi_rule(h.id, RULE, KVM_VMI_KILL, 0);
	vmi_protect_frames(h.id, RULE, GUEST_ARENA, FRAMES, 0);
	for (i = 0; i < VCPUS; i++) {
		struct run r = vcpu_join(h.vm->vcpu[i]);

		expect_end(r, RUN_ERROR);
	}
	vm_free(h.vm);
}

/* Looked at from outside while all goes on. */
static void test_registers(uintptr_t arg)
{
	unsigned int i, n = test_options.long_run ? 2000 : 20;
	struct kvm_vmi_regs regs;
	struct hammer h;
	uint64_t value;

	(void)arg;
	start(&h, NULL);
	for (i = 0; i < n; i++) {
		expect_eq(vmi_regs(h.id, i & 1, &regs), 0);
		expect(regs.rip >= GUEST_IMAGE_BASE && regs.rip < GUEST_IMAGE_BASE + GUEST_IMAGE_MAX,
		       "rip %#llx", regs.rip);
		expect_eq(vmi_read(h.id, GUEST_ARENA + (i % FRAMES) * PAGE_SIZE, &value, 8), 0);
		if (i % 4 == 0 && !change(&h))
			break;
	}
	finish(&h);
}

static const struct test_case cases[] = {
	{ "map", test_map, BACKING_ANONYMOUS },
	{ "map-thp", test_map, BACKING_THP },
	{ "map-shared", test_map, BACKING_SHARED },
	{ "batches", test_batches },
	{ "owners", test_owners },
	{ "host", test_host },
	{ "all-anonymous", test_all, BACKING_ANONYMOUS },
	{ "all-thp", test_all, BACKING_THP },
	{ "all-shared", test_all, BACKING_SHARED },
	{ "rules", test_rules },
	{ "kill", test_kill },
	{ "registers", test_registers },
	{ }
};

static void after_case(void)
{
	host_merge_always(false);
}

const struct test_suite suite_hammer = {
	.name = "hammer", .cases = cases, .setup = vmi_setup, .after = after_case,
};
