/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must become of a guest's write to sub-pages of which some are denied: a
 * model that knows the CPU and the documented behaviour, not the kernel's code.
 *
 * A write is a list of stores.  The CPU makes them one by one until one touches
 * what its page tables do not let it write.  From there KVM has the word: the rule
 * is asked if the first byte is denied; else, or if it allows, KVM's emulator
 * carries out the instruction (what is left of it, of a repeated string), asks for
 * each store that touches a denied byte, and makes it whole or not at all.
 *
 * What the emulator does not know the CPU is made to do alone, with the pages that it
 * has stopped at writable: then the rule of each page is asked about denied bytes that
 * have changed; if one is against it, all of them are as they were.
 */
#ifndef KVM_TEST_MODEL_H
#define KVM_TEST_MODEL_H

#include <linux/kvm_vmi.h>
#include <stdbool.h>
#include <stdint.h>

#include "../guest/writes.h"
#include "vm.h"

#define MODEL_PAGES	6
#define MODEL_SIZE	(MODEL_PAGES * PAGE_SIZE)
#define MODEL_EVENTS	480
#define MODEL_XSAVE	576	/* bytes of the area without extensions */
#define MODEL_OPEN	0xffffffffU

/* Who decides which sub-pages the CPU writes without KVM. */
enum model_engine {
	ENGINE_SOFTWARE,	/* nobody: all of a restricted page is write-protected */
	ENGINE_SPP,		/* the CPU: sub-page write permissions of EPT */
};

/** struct model_page - a page of the window; all of them are contiguous in the guest */
struct model_page {
	uint64_t gpa;
	uint32_t allowed;	/* sub-pages, MODEL_OPEN for a page that is not restricted */
	uint32_t rule;
	uint32_t action;
};

/** struct model_event - a violation; &length 0 for one that the CPU met */
struct model_event {
	uint32_t kind;
	uint32_t verdict;
	uint32_t rule;
	uint32_t length;
	uint64_t gpa;
	uint64_t gva;
	unsigned int write;	/* of which write it is */
};

enum model_end {
	MODEL_DONE,
	MODEL_DENIED,		/* #GP(0) */
	MODEL_SKIPPED,
};

/** struct model_result - &ret is compared where &known says so, bit by bit */
struct model_result {
	enum model_end end;
	uint64_t ret[4];
	uint64_t known[4];
};

/** struct model - memory, who may write it, and what was seen */
struct model {
	enum model_engine engine;
	bool steps_all;		/* the CPU can also be made to do alone what pushes */
	uint32_t answer;	/* of the program, 0 = there is none */
	unsigned int lock_line;	/* LOCKed stores across these cannot be emulated */
	uint64_t gva;		/* of the window */
	const uint8_t *source;	/* what OP_REP_MOVS copies from, at source_gva */
	uint64_t source_gva;
	uint64_t call_pushes;
	uint64_t gdt_base;
	uint8_t xsave[MODEL_XSAVE];	/* what OP_XSAVE leaves but for XMM0 and the header */
	uint64_t xmm0[2];
	struct model_page page[MODEL_PAGES];
	uint8_t memory[MODEL_SIZE];
	struct model_event event[MODEL_EVENTS];
	unsigned int n_events;
	unsigned int n_writes;
};

/* Does KVM's emulator know the instruction? */
bool model_emulates(enum guest_op op);

/* Else, can the CPU be made to do it alone? */
bool model_steps(const struct model *m, enum guest_op op);

/* Is this page write-protected by KVM, at least in part? */
static inline bool model_restricted(const struct model *m, unsigned int page)
{
	return m->page[page].allowed != MODEL_OPEN;
}

/**
 * model_footprint - the bytes of the window that a write may touch
 * @m: the model
 * @w: the write
 * @ret_first: offset of the first of them, may be outside of the window
 *
 * Return: how many
 */
unsigned int model_footprint(const struct model *m, const struct guest_write *w,
			     int64_t *ret_first);

/** model_write - carry out @w, which lies in the window */
struct model_result model_write(struct model *m, const struct guest_write *w);

#endif /* KVM_TEST_MODEL_H */
