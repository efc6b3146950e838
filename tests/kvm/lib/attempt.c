// SPDX-License-Identifier: GPL-2.0-or-later
/* Checking one store, or one violation, against what must be. */
#include <errno.h>
#include <string.h>

#include "attempt.h"

static const char *const outcomes[] = {
	[ATTEMPT_DENIED] = "denied",
	[ATTEMPT_LANDS] = "carried out",
	[ATTEMPT_VANISHES] = "skipped",
	[ATTEMPT_KILLS] = "the end of the VM",
};

static bool run_is(const struct run *r, enum attempt outcome)
{
	switch (outcome) {
	case ATTEMPT_DENIED:
		return r->end == RUN_DONE && r->vector == VECTOR_GP && !r->error &&
		       r->faults == 1 && r->fault_rip == r->insn;
	case ATTEMPT_KILLS:
		return r->end == RUN_ERROR && r->err == EIO;
	default:
		return r->end == RUN_DONE && r->vector == GUEST_NO_FAULT;
	}
}

bool attempt_store(struct vcpu *vcpu, uint64_t gpa, unsigned int size, enum attempt outcome,
		   const char *file, int line)
{
	uint64_t before = 0, after = 0, value = test_random();
	uint8_t *p = vm_hva(vcpu->vm, gpa);
	bool same, stored;
	struct run r;

	memcpy(&before, p, size);
	while (!memcmp(&before, &value, size))
		value++;
	r = vcpu_op(vcpu, OP_STORE, gpa, value, size);
	memcpy(&after, p, size);
	same = !memcmp(&before, &after, size);
	stored = !memcmp(&value, &after, size);
	if (run_is(&r, outcome) && (outcome == ATTEMPT_LANDS ? stored : same))
		return true;
	tap_fail(file, line, "store of %u bytes at %#llx is not %s: memory %s; %s", size,
		 (unsigned long long)gpa, outcomes[outcome],
		 same ? "unchanged" : stored ? "changed" : "garbled", run_text(&r));
	return false;
}

bool check_violation(uint64_t id, unsigned int n, const struct violation_match *m,
		     const char *file, int line)
{
	const struct vmi_record *r = vmi_log_violation(id, n);

	if (r && (!m->kind || r->v.kind == m->kind) && (!m->rule || r->v.rule == m->rule) &&
	    (!m->verdict || r->verdict == m->verdict) && (!m->gpa || r->v.gpa == m->gpa) &&
	    (r->v.flags & m->flags_set) == m->flags_set && !(r->v.flags & m->flags_clear))
		return true;
	tap_fail(file, line,
		 "violation %u is not kind %u verdict %u rule %u gpa %#llx flags +%#x -%#x but: %s",
		 n, m->kind, m->verdict, m->rule, (unsigned long long)m->gpa, m->flags_set,
		 m->flags_clear, vmi_violation_text(r));
	return false;
}
