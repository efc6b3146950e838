// SPDX-License-Identifier: GPL-2.0-or-later
/* What a guest's write does under a map: to memory, to registers, to be reported. */
#include "model.h"

#include <string.h>

#define ALL	(~0ULL)

/* One store of an instruction. */
struct store {
	int64_t at;		/* offset in the window */
	unsigned int bytes;
	uint8_t data[64];
};

#define MAX_STORES	32

/* An instruction that is being carried out. */
struct work {
	struct model *m;
	const struct guest_write *w;
	struct model_result result;
	/* a repeated string: */
	bool string;
	uint64_t count, di, si;
	/* others: */
	struct store store[MAX_STORES];
	unsigned int n, next;
	/* a violation that the CPU met and that was let through: once */
	uint32_t granted_rule;
	int64_t granted_at;
	/* while the CPU does it alone: pages that it may write, as they were before */
	unsigned int page[4], pages;
	uint32_t page_granted[MODEL_PAGES];
	uint8_t before[MODEL_SIZE];
};

bool model_emulates(enum guest_op op)
{
	switch (op) {
	case OP_CMPXCHG16B:
	case OP_ENTER_NESTED:
	case OP_MOVSS:
	case OP_VMASKMOV:
	case OP_FSTP:
	case OP_XSAVE:
	case OP_MOVDIR64B:
		return false;
	default:
		return true;
	}
}

bool model_steps(const struct model *m, enum guest_op op)
{
	return m->steps_all || op != OP_ENTER_NESTED;
}

/* Does KVM's decoder find its length? */
static bool decodes(enum guest_op op)
{
	return model_emulates(op) || op == OP_CMPXCHG16B || op == OP_ENTER_NESTED;
}

static bool is_locked(enum guest_op op)
{
	switch (op) {
	case OP_LOCK_ADD:
	case OP_XADD:
	case OP_XCHG:
	case OP_CMPXCHG:
	case OP_CMPXCHG8B:
	case OP_BTS:
		return true;
	default:
		return false;
	}
}

static uint64_t low(uint64_t value, unsigned int bytes)
{
	return bytes < 8 ? value & ((1ULL << bytes * 8) - 1) : value;
}

static uint64_t get(const struct model *m, int64_t at, unsigned int bytes)
{
	uint64_t value = 0;

	memcpy(&value, m->memory + at, bytes);
	return value;
}

/* The instruction stores @bytes of @data there, behind what it has stored already. */
static void add_store(struct work *k, int64_t at, const void *data, unsigned int bytes)
{
	struct store *s = &k->store[k->n++];

	require(k->n <= MAX_STORES && bytes <= sizeof(s->data), "too many stores");
	s->at = at;
	s->bytes = bytes;
	memcpy(s->data, data, bytes);
}

static void add_number(struct work *k, int64_t at, uint64_t value, unsigned int bytes)
{
	add_store(k, at, &value, bytes);
}

/* @value over and over */
static void add_pattern(struct work *k, int64_t at, uint64_t value, unsigned int bytes)
{
	uint64_t data[8];
	int i;

	for (i = 0; i < 8; i++)
		data[i] = value;
	add_store(k, at, data, bytes);
}

static void returns(struct work *k, unsigned int i, uint64_t value, uint64_t known)
{
	k->result.ret[i] = value;
	k->result.known[i] = known;
}

/* In the order of the lab's CPU; the architecture leaves it open. */
static void plan_xsave(struct work *k, int64_t at)
{
	struct model *m = k->m;
	uint8_t area[MODEL_XSAVE];
	uint64_t header;
	int i;

	memcpy(area, m->xsave, sizeof(area));
	memcpy(area + 160, m->xmm0, sizeof(m->xmm0));
	memcpy(&header, m->xsave + 512, sizeof(header));
	header |= get(m, at + 512, 8) & ~3ULL;
	add_store(k, at, area, 16);
	add_store(k, at + 16, area + 16, 8);
	for (i = 0; i < 8; i++)
		add_store(k, at + 32 + i * 16, area + 32 + i * 16, 16);
	add_store(k, at + 24, area + 24, 4);
	add_store(k, at + 28, area + 28, 4);
	for (i = 0; i < 16; i++)
		add_store(k, at + 160 + i * 16, area + 160 + i * 16, 16);
	add_number(k, at + 512, header, 8);
}

static void plan_cmpxchg16b(struct work *k, int64_t at)
{
	const uint64_t *arg = k->w->arg;
	uint64_t old[2] = { get(k->m, at, 8), get(k->m, at + 8, 8) };
	uint64_t new[2] = { arg[1], arg[4] };
	bool equal = old[0] == arg[3] && old[1] == arg[5];

	add_store(k, at, equal ? new : old, 16);
	returns(k, 0, old[0], ALL);
	returns(k, 1, equal, ALL);
	returns(k, 2, old[1], ALL);
}

static void plan_cmpxchg(struct work *k, int64_t at, unsigned int size)
{
	const uint64_t *arg = k->w->arg;
	uint64_t old = get(k->m, at, size);
	bool equal = old == low(arg[3], size);

	add_number(k, at, equal ? arg[1] : old, size);
	returns(k, 0, old, low(ALL, size));
	returns(k, 1, equal, ALL);
}

static void plan_stack(struct work *k, int64_t sp, uint64_t value, unsigned int size)
{
	add_number(k, sp - size, value, size);
	returns(k, 0, k->w->arg[0] - size, ALL);
}

/* What the instruction does when nothing stops it. */
static void plan(struct work *k, bool emulated)
{
	const uint64_t *arg = k->w->arg;
	struct model *m = k->m;
	int64_t at = arg[0] - m->gva;
	unsigned int size = arg[2];

	k->n = 0;
	k->next = 0;
	switch (k->w->op) {
	case OP_STORE:
		add_number(k, at, arg[1], size);
		break;
	case OP_MOVBE:
		add_number(k, at, __builtin_bswap64(arg[1]), 8);
		break;
	case OP_ADD:
	case OP_LOCK_ADD:
		add_number(k, at, get(m, at, size) + arg[1], size);
		break;
	case OP_XADD:
		add_number(k, at, get(m, at, size) + arg[1], size);
		returns(k, 0, get(m, at, size), low(ALL, size));
		break;
	case OP_XCHG:
		add_number(k, at, arg[1], size);
		returns(k, 0, get(m, at, size), low(ALL, size));
		break;
	case OP_CMPXCHG:
		plan_cmpxchg(k, at, size);
		break;
	case OP_CMPXCHG8B:
		plan_cmpxchg(k, at, 8);
		break;
	case OP_CMPXCHG16B:
		plan_cmpxchg16b(k, at);
		break;
	case OP_BTS:
		/* the bit's number reaches beyond the operand */
		at += ((int64_t)arg[1] >> 6) * 8;
		add_number(k, at, get(m, at, 8) | 1ULL << (arg[1] & 63), 8);
		returns(k, 1, get(m, at, 8) >> (arg[1] & 63) & 1, ALL);
		break;
	case OP_PUSH:
		plan_stack(k, at, arg[1], 8);
		break;
	case OP_PUSHW:
		plan_stack(k, at, arg[1], 2);
		break;
	case OP_CALL:
		plan_stack(k, at, m->call_pushes, 8);
		break;
	case OP_PUSHF:
		plan_stack(k, at, GUEST_PUSHED_FLAGS, 8);
		break;
	case OP_ENTER:
		plan_stack(k, at, arg[1], 8);
		returns(k, 1, arg[0] - 8, ALL);
		break;
	case OP_ENTER_NESTED:
		add_number(k, at - 8, arg[1], 8);
		add_number(k, at - 16, arg[0] - 8, 8);
		returns(k, 0, arg[0] - 16, ALL);
		returns(k, 1, arg[0] - 8, ALL);
		break;
	case OP_MOVSS:
		add_number(k, at, arg[1], 4);
		break;
	case OP_MOVUPS:
	case OP_MOVDQU:
	case OP_MOVNTDQ:
		add_pattern(k, at, arg[1], 16);
		break;
	case OP_VMOVDQU:
	case OP_VMASKMOV:
		add_pattern(k, at, arg[1], 32);
		break;
	case OP_MOVDIR64B:
		add_pattern(k, at, arg[1], 64);
		break;
	case OP_FSTP:
		add_number(k, at, 0x3ff0000000000000, 8);
		break;
	case OP_SGDT:
		add_number(k, at, PAGE_SIZE - 1, 2);
		add_number(k, at + 2, m->gdt_base, 8);
		if (emulated) {
			/* as one */
			memcpy(k->store[0].data + 2, k->store[1].data, 8);
			k->store[0].bytes = 10;
			k->n = 1;
		}
		break;
	case OP_XSAVE:
		plan_xsave(k, at);
		break;
	default:
		require(false, "no model of operation %u", k->w->op);
	}
}

static void begin(struct work *k)
{
	const uint64_t *arg = k->w->arg;

	switch (k->w->op) {
	case OP_REP_STOS:
	case OP_REP_MOVS:
		k->string = true;
		k->di = arg[0];
		k->si = k->w->op == OP_REP_MOVS ? arg[1] : 0;
		k->count = arg[3];
		return;
	case OP_MOVUPS:
	case OP_MOVDQU:
	case OP_MOVNTDQ:
	case OP_MOVSS:
	case OP_VMOVDQU:
	case OP_VMASKMOV:
		k->m->xmm0[0] = arg[1];
		k->m->xmm0[1] = arg[1];
		break;
	default:
		break;
	}
	plan(k, false);
}

/* The store that comes next, or NULL */
static struct store *peek(struct work *k)
{
	const uint64_t *arg = k->w->arg;
	struct store *s = &k->store[0];

	if (!k->string)
		return k->next < k->n ? &k->store[k->next] : NULL;
	if (!k->count)
		return NULL;
	s->at = k->di - k->m->gva;
	s->bytes = arg[2];
	if (k->w->op == OP_REP_STOS)
		memcpy(s->data, &arg[1], s->bytes);
	else
		memcpy(s->data, k->m->source + (k->si - k->m->source_gva), s->bytes);
	return s;
}

/* It is stored */
static void done(struct work *k, const struct store *s)
{
	int64_t step = k->w->arg[4] ? -(int64_t)s->bytes : (int64_t)s->bytes;

	memcpy(k->m->memory + s->at, s->data, s->bytes);
	if (!k->string) {
		k->next++;
		return;
	}
	k->count--;
	k->di += step;
	if (k->w->op == OP_REP_MOVS)
		k->si += step;
}

/* The bytes from @at to the end of the page, or of the store */
static unsigned int part(const struct store *s, int64_t at)
{
	int64_t page_end = (at / (int64_t)PAGE_SIZE + 1) * PAGE_SIZE;
	int64_t end = s->at + s->bytes;

	return (page_end < end ? page_end : end) - at;
}

/* Is one of these bytes of one page denied?  Then @ret is the first. */
static bool denied(const struct model *m, int64_t at, unsigned int bytes, int64_t *ret)
{
	int64_t a;

	for (a = at; a < at + bytes; a++) {
		if (m->page[a / PAGE_SIZE].allowed >> (a % PAGE_SIZE / 128) & 1)
			continue;
		*ret = a;
		return true;
	}
	return false;
}

/* Is the page one of those that the CPU may write alone? */
static bool alone_in(const struct work *k, unsigned int page)
{
	unsigned int i;

	for (i = 0; i < k->pages; i++)
		if (k->page[i] == page)
			return true;
	return false;
}

/* Does the CPU stop at this store?  Then @ret is the byte that it names. */
static bool stops(const struct work *k, const struct store *s, int64_t *ret)
{
	const struct model *m = k->m;
	bool crosses = part(s, s->at) < s->bytes;
	int64_t at, first;

	for (at = s->at; at < s->at + s->bytes; at += part(s, at)) {
		if (!model_restricted(m, at / PAGE_SIZE) || alone_in(k, at / PAGE_SIZE))
			continue;
		*ret = at;
		if (m->engine == ENGINE_SOFTWARE)
			return true;
		/* Stores over two pages from odd addresses are not eligible: the lab's choice. */
		if (crosses && s->at & 1)
			return true;
		if (denied(m, at, part(s, at), &first))
			return true;
	}
	return false;
}

/*
 * The same before an instruction's next store.  Of VMASKMOV the lab's CPU looks at
 * each lane, the last first, before it stores any.
 */
static bool stops_at_next(const struct work *k, const struct store *s, int64_t *ret)
{
	struct store lane = { .bytes = 4 };
	int i;

	if (k->w->op != OP_VMASKMOV)
		return stops(k, s, ret);
	for (i = 7; i >= 0; i--) {
		lane.at = s->at + i * 4;
		if (stops(k, &lane, ret))
			return true;
	}
	return false;
}

static int strictness(uint32_t action)
{
	switch (action) {
	case KVM_VMI_DENY:
		return 3;
	case KVM_VMI_SKIP:
		return 2;
	default:
		return 1;
	}
}

static bool stricter(const struct model_page *a, const struct model_page *b)
{
	if (!b)
		return true;
	if (strictness(a->action) != strictness(b->action))
		return strictness(a->action) > strictness(b->action);
	return a->rule < b->rule;
}

/* A violation, met before it is done or @after: what is decided. */
static uint32_t raise(struct work *k, uint32_t kind, const struct model_page *p, int64_t at,
		      unsigned int length, bool after)
{
	struct model *m = k->m;
	struct model_event *e = &m->event[m->n_events++];
	uint32_t legal = 1U << KVM_VMI_DENY, verdict = p->action;

	require(m->n_events <= MODEL_EVENTS, "too many violations");
	if (kind == KVM_VMI_WRITE) {
		legal |= 1U << KVM_VMI_ALLOW;
		/* KVM stores SGDT's operand as it stores for itself; and it is late to skip. */
		if (!after && (k->w->op != OP_SGDT || !length))
			legal |= 1U << KVM_VMI_SKIP;
	}
	if (!(legal >> verdict & 1)) {
		require(verdict != KVM_VMI_ALLOW, "this would open the page");
		verdict = KVM_VMI_DENY;
	}
	if (m->answer && legal >> m->answer & 1)
		verdict = m->answer;
	if (verdict == KVM_VMI_SKIP && !length && !decodes(k->w->op))
		verdict = KVM_VMI_DENY;
	*e = (struct model_event){
		.kind = kind,
		.verdict = verdict,
		.rule = p->rule,
		.length = length,
		.gpa = m->page[at / PAGE_SIZE].gpa + at % PAGE_SIZE,
		.gva = m->gva + at,
		.write = m->n_writes,
	};
	return verdict;
}

static enum model_end end_of(uint32_t verdict)
{
	return verdict == KVM_VMI_SKIP ? MODEL_SKIPPED : MODEL_DENIED;
}

/* Was all that is denied of this part of a store let through when the CPU faulted there? */
static bool granted(const struct work *k, const struct model_page *p, int64_t first, int64_t end)
{
	int64_t next = (first / 128 + 1) * 128, more;

	return k->granted_rule == p->rule && k->granted_at == first &&
	       (next >= end || !denied(k->m, next, end - next, &more));
}

/* KVM's emulator stores, if it may: each page is asked about, by the strictest rule first. */
static bool emulate_store(struct work *k, const struct store *s, enum model_end *ret)
{
	bool asked[2] = { };

	for (;;) {
		const struct model_page *best = NULL;
		int64_t at, first, best_first = 0;
		unsigned int i = 0, best_part = 0;
		uint32_t verdict;

		for (at = s->at; at < s->at + s->bytes; at += part(s, at), i++) {
			const struct model_page *p = &k->m->page[at / PAGE_SIZE];

			if (asked[i] || !denied(k->m, at, part(s, at), &first) ||
			    granted(k, p, first, at + part(s, at)) || !stricter(p, best))
				continue;
			best = p;
			best_first = first;
			best_part = i;
		}
		if (!best)
			return true;
		verdict = raise(k, KVM_VMI_WRITE, best, best_first, s->bytes, false);
		if (verdict != KVM_VMI_ALLOW) {
			*ret = end_of(verdict);
			return false;
		}
		asked[best_part] = true;
	}
}

/* Of the instructions that the emulator knows: does it know to make this store? */
static bool emulates_lock(const struct model *m, const struct guest_write *w,
			  const struct store *s)
{
	int64_t line = m->lock_line;

	return !is_locked(w->op) || s->at / line == (s->at + s->bytes - 1) / line;
}

/* What is denied of a page, has changed, and was not let through before. */
static uint32_t has_changed(const struct work *k, unsigned int page)
{
	uint32_t changed = 0;
	unsigned int i;

	for (i = 0; i < 32; i++) {
		int64_t at = page * PAGE_SIZE + i * 128;

		if (memcmp(k->m->memory + at, k->before + at, 128))
			changed |= 1U << i;
	}
	return changed & ~k->m->page[page].allowed;
}

/* The CPU has stopped again: each page's rule is asked, the strictest first. */
static enum model_end settle(struct work *k)
{
	uint32_t let[MODEL_PAGES], against;
	struct model *m = k->m;
	unsigned int i;
	int64_t at;

	memcpy(let, k->page_granted, sizeof(let));
	for (;;) {
		int best = -1;

		for (i = 0; i < k->pages; i++) {
			unsigned int page = k->page[i];

			if (has_changed(k, page) & ~let[page] &&
			    (best < 0 || stricter(&m->page[page], &m->page[best])))
				best = page;
		}
		if (best < 0)
			return MODEL_DONE;
		against = has_changed(k, best) & ~let[best];
		at = best * PAGE_SIZE + __builtin_ctz(against) * 128;
		while (m->memory[at] == k->before[at])
			at++;
		if (raise(k, KVM_VMI_WRITE, &m->page[best], at, 0, true) != KVM_VMI_ALLOW)
			break;
		let[best] |= against;
	}
	for (at = 0; at < (int64_t)MODEL_SIZE; at++)
		if (alone_in(k, at / PAGE_SIZE) &&
		    !(m->page[at / PAGE_SIZE].allowed >> (at % PAGE_SIZE / 128) & 1))
			m->memory[at] = k->before[at];
	return MODEL_DENIED;
}

static enum model_end violation(struct work *k, int64_t at);

/* The CPU is to do it alone, with the page that it has stopped at. */
static enum model_end step(struct work *k, int64_t at)
{
	unsigned int page = at / PAGE_SIZE;
	enum model_end end;
	struct store *s;
	int64_t stop;

	require(k->pages < ARRAY_SIZE(k->page), "too many pages");
	if (!alone_in(k, page))
		k->page[k->pages++] = page;
	k->page_granted[page] = 0;
	if (k->granted_at == at && k->granted_rule == k->m->page[page].rule)
		k->page_granted[page] = 1U << (at % PAGE_SIZE / 128);
	memcpy(k->before, k->m->memory, MODEL_SIZE);

	/* It begins anew, with what it has stored already. */
	plan(k, false);
	for (; (s = peek(k)); done(k, s))
		if (stops_at_next(k, s, &stop))
			break;
	end = settle(k);
	return s && end == MODEL_DONE ? violation(k, stop) : end;
}

static enum model_end emulate(struct work *k, int64_t at)
{
	enum model_end end = MODEL_DONE;
	struct store *s;

	/* As before, for what the CPU has left over of an instruction that is no string. */
	if (!k->string)
		plan(k, true);
	s = peek(k);
	if (!model_emulates(k->w->op) || !emulates_lock(k->m, k->w, s)) {
		if (model_steps(k->m, k->w->op))
			return step(k, at);
		return end_of(raise(k, KVM_VMI_UNEMULATABLE, &k->m->page[at / PAGE_SIZE], at, 0,
				    false));
	}
	for (; s; s = peek(k)) {
		if (!emulate_store(k, s, &end))
			return end;
		done(k, s);
	}
	return end;
}

/* The CPU stopped at a store. */
static enum model_end violation(struct work *k, int64_t at)
{
	const struct model_page *p = &k->m->page[at / PAGE_SIZE];
	uint32_t verdict;
	int64_t first;

	k->granted_at = -1;
	if (denied(k->m, at, 1, &first)) {
		verdict = raise(k, KVM_VMI_WRITE, p, at, 0, false);
		if (verdict != KVM_VMI_ALLOW)
			return end_of(verdict);
		k->granted_rule = p->rule;
		k->granted_at = at;
	}
	return emulate(k, at);
}

/* Registers of an instruction that did not happen: as they were. */
static void return_unchanged(struct work *k)
{
	const uint64_t *arg = k->w->arg;

	memset(k->result.known, 0, sizeof(k->result.known));
	switch (k->w->op) {
	case OP_XADD:
	case OP_XCHG:
		returns(k, 0, arg[1], low(ALL, arg[2]));
		break;
	case OP_CMPXCHG:
	case OP_CMPXCHG8B:
		returns(k, 0, arg[3], ALL);
		break;
	case OP_CMPXCHG16B:
		returns(k, 0, arg[3], ALL);
		returns(k, 2, arg[5], ALL);
		break;
	case OP_ENTER:
	case OP_ENTER_NESTED:
		returns(k, 1, arg[1], ALL);
		returns(k, 0, arg[0], ALL);
		break;
	case OP_PUSH:
	case OP_PUSHW:
	case OP_PUSHF:
	case OP_CALL:
		returns(k, 0, arg[0], ALL);
		break;
	default:
		break;
	}
}

struct model_result model_write(struct model *m, const struct guest_write *w)
{
	struct work k = { .m = m, .w = w };
	struct store *s;
	int64_t at;

	k.result.end = MODEL_DONE;
	begin(&k);
	while ((s = peek(&k))) {
		if (stops_at_next(&k, s, &at)) {
			k.result.end = violation(&k, at);
			break;
		}
		done(&k, s);
	}
	if (k.string) {
		returns(&k, 0, k.count, ALL);
		returns(&k, 1, k.di, ALL);
		returns(&k, 2, k.si, ALL);
	} else if (k.result.end != MODEL_DONE) {
		return_unchanged(&k);
	}
	m->n_writes++;
	return k.result;
}

unsigned int model_footprint(const struct model *m, const struct guest_write *w,
			     int64_t *ret_first)
{
	const uint64_t *arg = w->arg;
	unsigned int bytes;

	*ret_first = arg[0] - m->gva;
	switch (w->op) {
	case OP_REP_STOS:
	case OP_REP_MOVS:
		if (arg[4] && arg[3])
			*ret_first -= arg[2] * (arg[3] - 1);
		return arg[2] * arg[3];
	case OP_BTS:
		*ret_first += ((int64_t)arg[1] >> 6) * 8;
		return 8;
	case OP_PUSH:
	case OP_PUSHF:
	case OP_CALL:
	case OP_ENTER:
		bytes = 8;
		break;
	case OP_PUSHW:
		bytes = 2;
		break;
	case OP_ENTER_NESTED:
		bytes = 16;
		break;
	case OP_MOVBE:
	case OP_CMPXCHG8B:
	case OP_FSTP:
		return 8;
	case OP_MOVSS:
		return 4;
	case OP_SGDT:
		return 10;
	case OP_CMPXCHG16B:
	case OP_MOVUPS:
	case OP_MOVDQU:
	case OP_MOVNTDQ:
		return 16;
	case OP_VMOVDQU:
	case OP_VMASKMOV:
		return 32;
	case OP_MOVDIR64B:
		return 64;
	case OP_XSAVE:
		return MODEL_XSAVE;
	default:
		return arg[2];
	}
	*ret_first -= bytes;
	return bytes;
}
