// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Many random writes of all kinds to random sub-pages under random maps, each
 * compared with a model (lib/model.h): all of memory, what the guest is told, its
 * registers, and every violation.
 *
 * Writes come in batches: memory, map and writes of a batch depend on its number and
 * the seed alone.  One that fails is repeated write by write, so that the first
 * one that is wrong can be told; --batch=N with the same seed runs it alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest/writes.h"
#include "lib/attempt.h"
#include "lib/model.h"
#include "suites.h"

#define RULE_DENY	61
#define RULE_SKIP	62
#define RULE_ALLOW	63

#define BATCH		128
#define TABLE		GUEST_SCRATCH_BASE
#define WINDOW		(GUEST_ARENA + 0x100000UL)
#define SOURCE		(GUEST_ARENA + 0x180000UL)
#define SOURCE_FRAME	(GUEST_ARENA + 15 * PAGE_SIZE)

/* What a case does with its writes. */
struct flavour {
	unsigned int writes;	/* ten times as many with --long */
	unsigned int rules;	/* bitmap: of RULE_DENY + n */
	uint32_t answer;	/* of a program, 0 = none */
	bool user;
};

enum { DENY_ONLY = 1, SKIP_ONLY = 2, ALLOW_ONLY = 4, ANY = 7 };

static const struct flavour flavours[] = {
	{ 30000, DENY_ONLY },
	{ 10000, DENY_ONLY, .user = true },
	{ 15000, ALLOW_ONLY },
	{ 10000, SKIP_ONLY },
	{ 15000, ANY },
	{ 10000, DENY_ONLY, KVM_VMI_ALLOW },
	{ 10000, DENY_ONLY, KVM_VMI_SKIP },
};

struct differential {
	const struct flavour *flavour;
	struct vm *vm;
	struct vcpu *vcpu;
	uint64_t id;
	uint32_t features;
	uint64_t seed;
	uint64_t random;
	struct model model;
	struct guest_write write[BATCH];
	struct model_result result[BATCH];
	unsigned int n;
	unsigned int batch;
	unsigned long ends[3], violations;
};

/* What is written with, and how often of all. */
static const struct kind {
	enum guest_op op;
	unsigned int weight;
	unsigned int align;
	unsigned int features;
} kinds[] = {
	{ OP_STORE, 24 },
	{ OP_MOVBE, 2 },
	{ OP_ADD, 6 },
	{ OP_LOCK_ADD, 5 },
	{ OP_XADD, 6 },
	{ OP_XCHG, 6 },
	{ OP_CMPXCHG, 7 },
	{ OP_CMPXCHG8B, 4 },
	{ OP_CMPXCHG16B, 3, 16 },
	{ OP_BTS, 4 },
	{ OP_REP_STOS, 9 },
	{ OP_REP_MOVS, 9 },
	{ OP_PUSH, 4 },
	{ OP_PUSHW, 2 },
	{ OP_CALL, 3 },
	{ OP_PUSHF, 2 },
	{ OP_ENTER, 2 },
	{ OP_ENTER_NESTED, 2 },
	{ OP_MOVUPS, 4, 0, 1 },
	{ OP_MOVDQU, 2, 0, 1 },
	{ OP_MOVNTDQ, 2, 16, 1 },
	{ OP_MOVSS, 2, 0, 1 },
	{ OP_VMOVDQU, 4, 0, 2 },
	{ OP_VMASKMOV, 2, 0, 2 },
	{ OP_MOVDIR64B, 2, 64, 8 },
	{ OP_FSTP, 2 },
	{ OP_SGDT, 2 },
	{ OP_XSAVE, 2, 64, 4 },
};

static uint64_t next(struct differential *d)
{
	d->random ^= d->random << 13;
	d->random ^= d->random >> 7;
	d->random ^= d->random << 17;
	return d->random;
}

/* From 0 to @n - 1 */
static unsigned int choose(struct differential *d, unsigned int n)
{
	return (next(d) >> 16) % n;
}

static const struct kind *choose_kind(struct differential *d)
{
	unsigned int i, sum = 0, at;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		sum += kinds[i].weight;
	at = choose(d, sum);
	for (i = 0; at >= kinds[i].weight; i++)
		at -= kinds[i].weight;
	return &kinds[i];
}

/* Most of what matters is at edges. */
static unsigned int choose_offset(struct differential *d)
{
	unsigned int at = choose(d, MODEL_SIZE);

	switch (choose(d, 4)) {
	case 0:
		return (at & ~(PAGE_SIZE - 1)) + PAGE_SIZE - 40 + choose(d, 48);
	case 1:
	case 2:
		return (at & ~(SUBPAGE - 1)) + SUBPAGE - 20 + choose(d, 24);
	default:
		return at;
	}
}

static uint32_t choose_mask(struct differential *d)
{
	switch (choose(d, 5)) {
	case 0:
		return next(d);
	case 1:
		return next(d) & next(d) & next(d);
	case 2:
		return ~(1U << choose(d, 32));
	case 3:
		return 1U << choose(d, 32);
	default:
		return ~(next(d) & next(d) & next(d));
	}
}

/*
 * Where a rule lets the guest on, what can neither be emulated nor stepped opens the page:
 * see unemulatable.
 */
static bool would_open(struct differential *d, const struct guest_write *w)
{
	const struct model *m = &d->model;
	unsigned int bytes;
	int64_t first, page;

	if (model_steps(m, w->op))
		return false;
	bytes = model_footprint(m, w, &first);
	if (model_emulates(w->op) && first / m->lock_line == (first + bytes - 1) / m->lock_line)
		return false;
	for (page = first / PAGE_SIZE; page <= (first + (int64_t)bytes - 1) / (int64_t)PAGE_SIZE; page++)
		if (model_restricted(m, page) && m->page[page].action == KVM_VMI_ALLOW)
			return true;
	return false;
}

static bool choose_write(struct differential *d, struct guest_write *w)
{
	const struct kind *kind = choose_kind(d);
	unsigned int size = 1 << choose(d, 4), bytes;
	struct model *m = &d->model;
	uint64_t *arg = w->arg;
	int64_t first;

	memset(w, 0, sizeof(*w));
	if ((d->features & kind->features) != kind->features)
		return false;
	w->op = kind->op;
	arg[0] = m->gva + choose_offset(d);
	if (kind->align)
		arg[0] &= ~(kind->align - 1UL);
	arg[1] = next(d);
	arg[2] = size;
	switch (w->op) {
	case OP_BTS:
		arg[1] = choose(d, 1024) - 512UL;
		break;
	case OP_REP_MOVS:
		arg[1] = m->source_gva + PAGE_SIZE / 2 + choose(d, 1024);
		/* fallthrough */
	case OP_REP_STOS:
		arg[3] = choose(d, 24);
		arg[4] = choose(d, 2);
		break;
	case OP_CMPXCHG16B:
		arg[4] = next(d);
		break;
	default:
		break;
	}
	bytes = model_footprint(m, w, &first);
	if (first < 0 || first + bytes > (int64_t)MODEL_SIZE || would_open(d, w))
		return false;
	/* Compared with what is there, three times in four. */
	if (w->op == OP_CMPXCHG || w->op == OP_CMPXCHG8B || w->op == OP_CMPXCHG16B) {
		memcpy(&arg[3], m->memory + first, bytes < 8 ? bytes : 8);
		if (w->op == OP_CMPXCHG16B)
			memcpy(&arg[5], m->memory + first + 8, 8);
		if (!choose(d, 4))
			arg[3] ^= 1UL << choose(d, 8);
	}
	return true;
}

static void choose_map(struct differential *d)
{
	static const uint32_t actions[] = { KVM_VMI_DENY, KVM_VMI_SKIP, KVM_VMI_ALLOW };
	struct kvm_vmi_range set[MODEL_PAGES], old[MODEL_PAGES];
	unsigned int i, n = 0, n_old = 0, rule;

	for (i = 0; i < MODEL_PAGES; i++) {
		struct model_page *p = &d->model.page[i];

		if (p->rule)
			old[n_old++] = (struct kvm_vmi_range){
				.gfn = GFN(p->gpa), .nr = 1, .rule = p->rule,
			};
		p->rule = 0;
		p->allowed = MODEL_OPEN;
		if (!choose(d, 4))
			continue;
		do {
			rule = choose(d, ARRAY_SIZE(actions));
		} while (!(d->flavour->rules >> rule & 1));
		p->rule = RULE_DENY + rule;
		p->action = actions[rule];
		p->allowed = choose_mask(d);
		set[n++] = (struct kvm_vmi_range){
			.gfn = GFN(p->gpa), .nr = 1, .rule = p->rule, .write = p->allowed,
			.rights = KVM_VMI_RIGHT_ALL,
		};
	}
	if (n_old)
		require_eq(vmi_clear(d->id, old, n_old), 0);
	if (n)
		require_eq(vmi_set(d->id, set, n), 0);
}

static void fill_memory(struct differential *d)
{
	unsigned int i;

	for (i = 0; i < MODEL_SIZE; i += 8) {
		uint64_t value = next(d);

		memcpy(d->model.memory + i, &value, 8);
	}
	for (i = 0; i < MODEL_PAGES; i++)
		memcpy(vm_hva(d->vm, d->model.page[i].gpa), d->model.memory + i * PAGE_SIZE,
		       PAGE_SIZE);
}

/* A batch's beginning: the same each time for the same number. */
static void begin_batch(struct differential *d, unsigned int batch)
{
	d->batch = batch;
	d->random = d->seed + batch * 0x9e3779b97f4a7c15UL ?: 1;
	d->n = 0;
	d->model.n_events = 0;
	d->model.n_writes = 0;
	choose_map(d);
	fill_memory(d);
	vmi_log_clear();
}

/* Add up to @n writes and what becomes of them. */
static void add_writes(struct differential *d, unsigned int n)
{
	while (n) {
		struct guest_write *w = &d->write[d->n];

		/* A string may meet a violation at each element. */
		if (d->model.n_events > MODEL_EVENTS - 64)
			return;
		if (!choose_write(d, w))
			continue;
		d->result[d->n] = model_write(&d->model, w);
		d->n++;
		n--;
	}
}

static void carry_out(struct differential *d, unsigned int from, unsigned int n)
{
	struct guest_write *table = vm_hva(d->vm, TABLE);

	memcpy(table, &d->write[from], n * sizeof(*table));
	require_done(vcpu_op(d->vcpu, OP_WRITES, TABLE, n));
	memcpy(&d->write[from], table, n * sizeof(*table));
}

static bool result_is(const struct guest_write *w, const struct model_result *r)
{
	unsigned int i;

	if (r->end == MODEL_DENIED ? w->vector != VECTOR_GP || w->error || w->faults != 1 ||
				     w->fault_rip != w->insn :
				     w->vector != GUEST_NO_FAULT || w->faults)
		return false;
	for (i = 0; i < 4; i++)
		if ((w->ret[i] ^ r->ret[i]) & r->known[i])
			return false;
	return true;
}

/* Where memory is not as it must be: offset in the window, or -1 */
static int64_t wrong_byte(struct differential *d)
{
	unsigned int i, page;

	for (page = 0; page < MODEL_PAGES; page++) {
		const uint8_t *p = vm_hva(d->vm, d->model.page[page].gpa);

		if (!memcmp(p, d->model.memory + page * PAGE_SIZE, PAGE_SIZE))
			continue;
		for (i = 0; p[i] == d->model.memory[page * PAGE_SIZE + i]; i++)
			;
		return page * PAGE_SIZE + i;
	}
	return -1;
}

static bool event_is(struct differential *d, const struct vmi_record *r,
		     const struct model_event *e)
{
	uint32_t flags = (e->length ? KVM_VMI_V_EMULATED : 0) |
			 (d->flavour->user ? KVM_VMI_V_USER : 0);

	/* The linear address is not always told, and the length by the emulator only. */
	return r && r->v.kind == e->kind && r->verdict == e->verdict && r->v.rule == e->rule &&
	       r->v.gpa == e->gpa && r->v.length == e->length &&
	       r->v.rip == d->write[e->write].insn &&
	       (r->v.flags & (KVM_VMI_V_EMULATED | KVM_VMI_V_USER)) == flags &&
	       (!(r->v.flags & KVM_VMI_V_GVA) || r->v.gva == e->gva);
}

/* The first violation that is not as it must be, or -1 */
static int wrong_event(struct differential *d)
{
	unsigned int i, n = vmi_log_violations(d->id);

	for (i = 0; i < d->model.n_events; i++)
		if (!event_is(d, vmi_log_violation(d->id, i), &d->model.event[i]))
			return i;
	return n > i ? (int)i : -1;
}

static void describe(struct differential *d, unsigned int i)
{
	static const char *const ends[] = { "done", "denied", "skipped" };
	const struct guest_write *w = &d->write[i];
	const struct model_result *r = &d->result[i];
	unsigned int page, bytes, n;
	int64_t first;

	bytes = model_footprint(&d->model, w, &first);
	tap_note("  batch %u write %u: operation %u, window offset %#llx, %u bytes", d->batch, i,
		 w->op, (unsigned long long)first, bytes);
	tap_note("  arguments %#llx %#llx %#llx %#llx %#llx %#llx",
		 (unsigned long long)w->arg[0], (unsigned long long)w->arg[1],
		 (unsigned long long)w->arg[2], (unsigned long long)w->arg[3],
		 (unsigned long long)w->arg[4], (unsigned long long)w->arg[5]);
	for (page = 0; page < MODEL_PAGES; page++)
		tap_note("  page %u: gpa %#llx allowed %#x rule %u", page,
			 (unsigned long long)d->model.page[page].gpa, d->model.page[page].allowed,
			 d->model.page[page].rule);
	tap_note("  must be %s", ends[r->end]);
	for (n = 0; n < 4; n++)
		if (r->known[n])
			tap_note("  ret%u must be %#llx (mask %#llx), is %#llx", n,
				 (unsigned long long)r->ret[n], (unsigned long long)r->known[n],
				 (unsigned long long)w->ret[n]);
	tap_note("  vector %#x error %#x faults %u instruction %#llx fault at %#llx", w->vector,
		 w->error, w->faults, (unsigned long long)w->insn,
		 (unsigned long long)w->fault_rip);
}

/* Is all as the model says, of the writes from @from on?  @tell: else say what is not. */
static bool check(struct differential *d, unsigned int from, bool tell)
{
	const struct model_event *e;
	int64_t byte = wrong_byte(d);
	int event = wrong_event(d);
	unsigned int i;

	for (i = from; i < d->n && result_is(&d->write[i], &d->result[i]); i++)
		;
	if (byte < 0 && event < 0 && i == d->n)
		return true;
	if (!tell)
		return false;
	if (i < d->n) {
		expect(false, "another result");
		describe(d, i);
	} else {
		describe(d, d->n - 1);
	}
	if (byte >= 0)
		expect(false, "window offset %#llx is %#x not %#x", (unsigned long long)byte,
		       ((uint8_t *)vm_hva(d->vm, d->model.page[byte / PAGE_SIZE].gpa))[byte % PAGE_SIZE],
		       d->model.memory[byte]);
	if (event >= 0) {
		e = &d->model.event[event];
		expect(false, "violation %u is %s", event,
		       vmi_violation_text(vmi_log_violation(d->id, event)));
		if ((unsigned int)event < d->model.n_events)
			tap_note("  must be kind %u verdict %u rule %u gpa %#llx gva %#llx length %u, of write %u",
				 e->kind, e->verdict, e->rule, (unsigned long long)e->gpa,
				 (unsigned long long)e->gva, e->length, e->write);
	}
	return false;
}

/* Find out which write of a batch is the first that is wrong. */
static void find(struct differential *d, unsigned int batch, unsigned int n)
{
	unsigned int i;

	begin_batch(d, batch);
	for (i = 0; i < n; i++) {
		add_writes(d, 1);
		carry_out(d, i, 1);
		if (!check(d, i, true))
			return;
	}
	expect(false, "batch %u went wrong as a whole, but not write by write", batch);
}

static bool run_batch(struct differential *d, unsigned int batch, unsigned int n)
{
	unsigned int i;

	begin_batch(d, batch);
	add_writes(d, n);
	carry_out(d, 0, d->n);
	for (i = 0; i < d->n; i++)
		d->ends[d->result[i].end]++;
	d->violations += d->model.n_events;
	if (check(d, 0, false))
		return true;
	n = d->n;
	check(d, 0, true);
	find(d, batch, n);
	return false;
}

/* Do compare-and-exchanges over two cache lines of one page raise #AC on this host? */
static bool split_locks_are_detected(void)
{
	char line[8192];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	require(f, "/proc/cpuinfo");
	while (!found && fgets(line, sizeof(line), f))
		found = strstr(line, " split_lock_detect");
	fclose(f);
	return found;
}

static enum model_engine engine(void)
{
	struct kvm_vmi_caps caps;

	require_eq(vmi_caps(&caps), 0);
	return caps.features & KVM_VMI_CAP_SUBPAGE_HW ? ENGINE_SPP : ENGINE_SOFTWARE;
}

/* What the CPU leaves in memory that the model has to be told, from where nothing is denied. */
static void learn(struct differential *d)
{
	struct model *m = &d->model;
	uint8_t *p = vm_hva(d->vm, m->page[0].gpa);
	struct guest_write w[] = {
		{ .op = OP_VMASKMOV, .arg = { m->gva, 1 } },
		{ .op = OP_FSTP, .arg = { m->gva } },
		{ .op = OP_XSAVE, .arg = { m->gva } },
		{ .op = OP_CALL, .arg = { m->gva + MODEL_XSAVE + 8 } },
	};
	unsigned int i;

	memset(p, 0, PAGE_SIZE);
	for (i = 0; i < ARRAY_SIZE(w); i++) {
		if ((w[i].op == OP_VMASKMOV && !(d->features & 2)) ||
		    (w[i].op == OP_XSAVE && !(d->features & 4)))
			continue;
		d->write[0] = w[i];
		carry_out(d, 0, 1);
		require(d->write[0].vector == GUEST_NO_FAULT, "operation %u", w[i].op);
		if (w[i].op == OP_VMASKMOV)
			memset(p, 0, 32);
	}
	memcpy(m->xsave, p, sizeof(m->xsave));
	m->call_pushes = *(uint64_t *)(p + MODEL_XSAVE);
	require_eq(m->call_pushes, d->write[0].insn + 5);
	m->xmm0[0] = d->features & 2 ? 1 : 0;
	m->xmm0[1] = m->xmm0[0];
}

static void start(struct differential *d, const struct flavour *flavour)
{
	/* Neighbours in the guest are none in physical memory. */
	static const unsigned int frames[MODEL_PAGES] = { 5, 2, 3, 9, 7, 12 };
	struct model *m = &d->model;
	unsigned int i;

	memset(d, 0, sizeof(*d));
	d->flavour = flavour;
	d->seed = test_random();
	d->vm = vmi_new(NULL, &d->id);
	d->vcpu = d->vm->vcpu[0];
	/* #GP comes on another stack, or it could not come at all. */
	vcpu_set_ist(d->vcpu, VECTOR_GP, 2);
	d->features = vcpu_features(d->vcpu);
	m->engine = engine();
	m->steps_all = vmi_steps_events();
	m->answer = flavour->answer;
	m->lock_line = split_locks_are_detected() ? 64 : PAGE_SIZE;
	m->gva = WINDOW;
	m->gdt_base = d->vcpu->block + GUEST_GDT;
	for (i = 0; i < MODEL_PAGES; i++) {
		m->page[i].gpa = GUEST_ARENA + frames[i] * PAGE_SIZE;
		m->page[i].allowed = MODEL_OPEN;
		vm_map(d->vm, WINDOW + i * PAGE_SIZE, m->page[i].gpa, 1, PTE_DEFAULT);
	}
	m->source_gva = SOURCE;
	m->source = vm_hva(d->vm, SOURCE_FRAME);
	vm_map(d->vm, SOURCE, SOURCE_FRAME, 1, PTE_DEFAULT);
	for (i = 0; i < PAGE_SIZE; i += 8)
		*(uint64_t *)vm_hva(d->vm, SOURCE_FRAME + i) = test_random();
	vmi_rule(d->id, RULE_DENY, KVM_VMI_DENY, 0);
	vmi_rule(d->id, RULE_SKIP, KVM_VMI_SKIP, 0);
	vmi_rule(d->id, RULE_ALLOW, KVM_VMI_ALLOW, 0);
	learn(d);
	if (flavour->user)
		d->vcpu->cpu->flags |= GUEST_F_USER;
	if (flavour->answer)
		require_eq(vmi_attach(flavour->answer), 0);
}

static void test_writes(uintptr_t n)
{
	const struct flavour *flavour = &flavours[n];
	unsigned int batch = test_options.batch, writes = 0;
	unsigned int goal = test_options.long_run ? 10 * flavour->writes : flavour->writes;
	static struct differential d;

	start(&d, flavour);
	if (batch) {
		run_batch(&d, batch, BATCH);
		writes = d.n;
	}
	for (batch = 1; !test_options.batch && writes < goal; batch++) {
		unsigned int left = goal - writes;

		if (!run_batch(&d, batch, left < BATCH ? left : BATCH))
			break;
		writes += d.n;
	}
	tap_note("  %u writes: %lu done, %lu denied, %lu skipped; %lu violations", writes,
		 d.ends[MODEL_DONE], d.ends[MODEL_DENIED], d.ends[MODEL_SKIPPED], d.violations);
	if (flavour->answer)
		vmi_detach();
	vm_free(d.vm);
}

static const struct test_case cases[] = {
	{ "deny", test_writes, 0 },
	{ "deny-user", test_writes, 1 },
	{ "allow", test_writes, 2 },
	{ "skip", test_writes, 3 },
	{ "any", test_writes, 4 },
	{ "program-allow", test_writes, 5 },
	{ "program-skip", test_writes, 6 },
	{ }
};

const struct test_suite suite_differential = {
	.name = "differential",
	.cases = cases,
	.setup = vmi_setup,
};
