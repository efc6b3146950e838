// SPDX-License-Identifier: GPL-2.0-or-later
/* Keeps the table of VMs like the kernel's. */
#include <time.h>

#include "claims.h"
#include "inventory.h"
#include "journal-socket.h"
#include "learn.h"
#include "log.h"
#include "registers.h"
#include "ruleset.h"
#include "unpinned.h"
#include "util/util.h"

static unsigned long long id_of(const struct vm *vm)
{
	return vm->info.id;
}

static uint64_t now_boottime(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_BOOTTIME, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

void inventory_tell_folded(struct vm *vm)
{
	if (log_is_journal() && journal_folded(journal_socket_send, &vm->journal, vm->info.id,
					       vm->identity.name) < 0)
		log_warning("VM #%llu: the journal takes no entry.", id_of(vm));
}

void inventory_emit(struct manager *m, struct vm *vm, struct event *event)
{
	int r = 0;

	event->vm = vm->info.id;
	event->name = vm->identity.name;
	if (!event->time)
		event->time = now_boottime();
	/* Others than violations have no number of their own: that of the last one. */
	if (event->kind != MERLON_EVENT_VIOLATION)
		event->seq = vm->last_seq;
	/* It counts what it does not take: no line for each failure. */
	if (log_is_journal())
		r = journal_event(journal_socket_send, vm->known ? &vm->journal :
				    &m->stranger_journal, event);
	if (r < 0) {
		m->journal_failed = true;
		manager_set_degraded(m, MERLON_DEGRADED_JOURNAL_LOST, true);
	}
	r = stream_send(&m->streams, event);
	if (r < 0)
		log_warning_errno(r, "An event of VM #%llu did not reach a stream, ignoring: %m",
				  id_of(vm));
	if (!m->bus)
		return;
	r = watch_send(&m->watches, m->bus, event);
	if (r < 0)
		log_warning_errno(r, "An event of VM #%llu did not reach a watcher, ignoring: %m",
				  id_of(vm));
}

void inventory_emit_rule(struct manager *m, struct vm *vm, enum merlon_event_kind kind,
			 uint32_t id, const char *name)
{
	struct event event = { .kind = kind, .rule = name, .rule_id = id };

	inventory_emit(m, vm, &event);
}

static void emit_kind(struct manager *m, struct vm *vm, enum merlon_event_kind kind,
		      uint64_t time)
{
	struct event event = {
		.kind = kind,
		.time = time,
		.pid = vm->info.pid,
		.uid = vm->info.uid,
		.generation = vm->info.generation,
	};

	inventory_emit(m, vm, &event);
}

static void identify(struct manager *m, struct vm *vm)
{
	int r;

	vm->trusted = settings_trusts(&m->settings, vm->info.uid);
	if (vm->identified)
		return;
	r = identify_process(vm->info.pid, vm->info.start_time, &vm->identity);
	if (r < 0 && r != -ESRCH) {
		/* Tried again when reconciling. */
		log_warning_errno(r, "VM #%llu: process %u cannot be asked for a name: %m",
				  id_of(vm), vm->info.pid);
		return;
	}
	vm->identified = true;
	/* Asked for once: whatever the process says later, it is who it was. */
	m->unsaved = true;
}

static void admit(struct manager *m, struct vm *vm)
{
	int r;

	if (!(vm->info.flags & KVM_VMI_VM_PENDING))
		return;
	/*
	 * Nobody runs without what a policy says, if that is what was asked for; nor who is not
	 * known, for then nobody knows what they say of him.
	 */
	if ((vm->policy_failed || !vm->identified) && m->admission == KVM_VMI_ADMIT_CLOSED)
		return;
	r = m->kernel->ops->admit(m->kernel, id_of(vm));
	if (r < 0 && r != -ESRCH)
		log_error_errno(r, "VM #%llu cannot be admitted: %m", id_of(vm));
	else
		vm->info.flags &= ~KVM_VMI_VM_PENDING;
}

/* False if what the VM has is not known. */
static bool reconcile_rules(struct manager *m, struct vm *vm, bool *changed)
{
	int r = ruleset_reconcile(m, vm);

	if (r > 0)
		*changed = true;
	else if (r < 0 && r != -ESRCH)
		log_error_errno(r, "VM #%llu: rules cannot be read: %m", id_of(vm));
	return r >= 0 || r == -ESRCH;
}

/* Whoever is not trusted leaves room for others. */
static bool has_too_many(const struct manager *m, uid_t uid)
{
	size_t n = 0;

	if (settings_trusts(&m->settings, uid))
		return false;
	for (size_t i = 0; i < m->vms.n; i++)
		n += m->vms.vms[i]->known && m->vms.vms[i]->info.uid == uid;
	return n >= INVENTORY_MAX_OF_USER;
}

/* Once for as long as that is so. */
static int refuse(struct manager *m, const struct kvm_vmi_vm_info *info, int error)
{
	if (!(m->degraded & 1U << MERLON_DEGRADED_VMS_UNMANAGED))
		log_error_errno(error, "VM #%llu is not managed, nor are others: uid %u has more than "
				"%u VMs, or all together more than %u: %m",
				(unsigned long long)info->id, info->uid, INVENTORY_MAX_OF_USER,
				MERLON_MAX_VMS);
	manager_set_degraded(m, MERLON_DEGRADED_VMS_UNMANAGED, true);
	return error;
}

/* What the kernel says of a VM, into the table; 1 if it is one to reckon with from now on. */
static int upsert(struct manager *m, const struct kvm_vmi_vm_info *info, uint64_t time,
		  struct vm **ret)
{
	struct vm *vm = vm_table_find(&m->vms, info->id);
	struct merlon_vm_counters c;
	bool found, was_identified;
	int r;

	if (!vm) {
		if (has_too_many(m, info->uid))
			return refuse(m, info, -ENOSPC);
		vm = vm_new(info->id);
		if (!vm)
			return log_oom();
		r = vm_table_add(&m->vms, vm);
		if (r < 0) {
			vm_free(vm);
			return r == -ENOSPC ? refuse(m, info, r) :
			       log_error_errno(r, "VM #%llu is not managed: %m",
					       (unsigned long long)info->id);
		}
	}
	found = !vm->known;
	vm->info = *info;
	vm->known = true;
	vm->seen = true;
	was_identified = vm->identified;
	identify(m, vm);
	if (found) {
		/* Counted by the kernel and never told: merlond was not there. */
		if (m->kernel->ops->counters(m->kernel, info->id, &c) >= 0 &&
		    info->violations > c.seen)
			vm->missed = info->violations - c.seen;
		log_info("VM #%llu: pid %u, uid %u, name '%s'%s.", id_of(vm), info->pid, info->uid,
			 vm->identity.name, vm->trusted ? "" : " (a claim)");
		emit_kind(m, vm, MERLON_EVENT_VM_CREATED, time);
	}
	/* Before it runs, and beside the rules that it has already. */
	if (found || (!was_identified && vm->identified)) {
		bool changed = false;

		if (reconcile_rules(m, vm, &changed))
			vm->policy_due = true;
		else
			vm->policy_failed = true;
		/* With those that merlond has not set itself. */
		if (found && vm->policy_due)
			claims_mend(m, vm);
		m->unsaved |= changed;
	}
	*ret = vm;
	return found;
}

void inventory_settle(struct manager *m)
{
	bool due = false;

	for (size_t i = 0; i < m->vms.n; i++)
		due |= m->vms.vms[i]->policy_due;
	if (due)
		policies_apply_new(m);
	for (size_t i = 0; i < m->vms.n; i++)
		if (m->vms.vms[i]->known && !m->vms.vms[i]->gone)
			admit(m, m->vms.vms[i]);
	/* Unless that was done with the names of rules. */
	if (m->unsaved)
		(void)manager_save(m);
}

void inventory_reconcile(struct manager *m)
{
	struct kvm_vmi_vm_info info;
	bool changed = false, complete = true, ended = false, all = true;
	uint64_t after = 0;
	struct vm *vm;
	int r;

	for (size_t i = 0; i < m->vms.n; i++)
		m->vms.vms[i]->seen = false;
	for (;;) {
		r = m->kernel->ops->vm_next(m->kernel, after, &info);
		if (r < 0)
			break;
		if (info.id <= after) {
			r = -EBADMSG;
			break;
		}
		after = info.id;
		r = upsert(m, &info, 0, &vm);
		all &= r != -ENOSPC;
		if (r < 0 || !reconcile_rules(m, vm, &changed))
			complete = false;
	}
	if (r == -ESRCH && all)
		manager_set_degraded(m, MERLON_DEGRADED_VMS_UNMANAGED, false);
	if (r != -ESRCH) {
		log_error_errno(r, "VMs cannot be listed: %m");
	} else {
		for (size_t i = 0; i < m->vms.n; i++) {
			vm = m->vms.vms[i];
			if (vm->seen)
				continue;
			changed |= vm->n_rules > 0;
			vm->gone = true;
			ended = true;
		}
		if (ended)
			manager_sweep_soon(m);
		if (complete)
			learn_sweep(m);
	}
	m->unsaved |= changed;
	inventory_settle(m);
	manager_notify_status(m);
}

/* What is lost by now and was not told. */
static void tell_lost(struct manager *m, struct vm *vm)
{
	struct event event = { .kind = MERLON_EVENT_LOST };

	vm->lost = vm->missed + vm->dropped;
	if (vm->lost <= vm->lost_told)
		return;
	event.count = vm->lost - vm->lost_told;
	log_warning("VM #%llu: %llu events were lost; enforcement is not affected.", id_of(vm),
		    (unsigned long long)event.count);
	vm->lost_told = vm->lost;
	m->lost_recently = true;
	manager_set_degraded(m, MERLON_DEGRADED_EVENTS_LOST, true);
	inventory_emit(m, vm, &event);
}

void inventory_sweep(struct manager *m)
{
	for (size_t i = m->vms.n; i-- > 0;) {
		struct vm *vm = m->vms.vms[i];

		if (!vm->gone)
			continue;
		tell_lost(m, vm);
		if (vm->known) {
			log_info("VM #%llu ended.", id_of(vm));
			emit_kind(m, vm, MERLON_EVENT_VM_DESTROYED, 0);
		}
		inventory_tell_folded(vm);
		for (size_t j = 0; j < vm->n_rules; j++)
			if (vm->rules[j].rule.learn)
				(void)learn_end(m->kernel, vm->rules[j].info.rule.cookie);
		vm_table_remove(&m->vms, vm->info.id);
	}
}

int inventory_refresh(struct manager *m, struct vm *vm)
{
	struct kvm_vmi_vm_info info;
	struct merlon_vm_counters c;
	int r;

	r = m->kernel->ops->vm_info(m->kernel, vm->info.id, &info);
	if (r < 0)
		return r;
	vm->info = info;
	r = m->kernel->ops->counters(m->kernel, vm->info.id, &c);
	if (r < 0)
		return r;
	vm->dropped = c.lost + c.dropped;
	vm->lost = vm->missed + vm->dropped;
	return 0;
}

void inventory_tell_lost(struct manager *m)
{
	for (size_t i = 0; i < m->vms.n; i++)
		if (inventory_refresh(m, m->vms.vms[i]) >= 0)
			tell_lost(m, m->vms.vms[i]);
}

/* The last that the kernel says of them: it has forgotten the VM. */
static void on_counters(struct manager *m, const struct merlon_counters_record *record)
{
	struct vm *vm = vm_table_find(&m->vms, record->head.vm);

	if (vm)
		vm->dropped = record->counters.lost + record->counters.dropped;
}

static void on_vm_record(struct manager *m, const struct merlon_vm_record *record)
{
	struct kvm_vmi_vm_info info;
	bool changed = false;
	struct vm *vm;

	vm = vm_table_find(&m->vms, record->head.vm);
	if (record->head.kind == MERLON_RECORD_VM_DESTROYED) {
		if (!vm)
			return;
		vm->info = record->info;
		vm->info.flags |= KVM_VMI_VM_DEAD;
		vm->gone = true;
		/* After the events ring: a killed VM's last violation wants its names. */
		manager_sweep_soon(m);
		return;
	}
	/* The record may be older than the VM's end, or than this daemon. */
	if (m->kernel->ops->vm_info(m->kernel, record->head.vm, &info) < 0)
		return;
	if (upsert(m, &info, record->head.time, &vm) < 0)
		return;
	if (record->head.kind == MERLON_RECORD_VM_RESET) {
		log_info("VM #%llu was reset.", id_of(vm));
		unpinned_forget(vm);
		emit_kind(m, vm, MERLON_EVENT_VM_RESET, record->head.time);
		reconcile_rules(m, vm, &changed);
		if (changed)
			(void)manager_save(m);
	}
	manager_notify_status(m);
}

static void on_notice(struct manager *m, const struct merlon_notice_record *record)
{
	struct vm *vm = vm_table_find(&m->vms, record->head.vm);
	struct vm_rule *rule;

	if (!vm)
		return;
	switch (record->head.kind) {
	case MERLON_RECORD_VM_ADMITTED:
		vm->info.flags &= ~KVM_VMI_VM_PENDING;
		emit_kind(m, vm, MERLON_EVENT_VM_ADMITTED, record->head.time);
		break;
	case MERLON_RECORD_VM_EXPIRED:
		vm->info.flags = (vm->info.flags & ~KVM_VMI_VM_PENDING) | KVM_VMI_VM_EXPIRED;
		log_warning("VM #%llu was not admitted in time.", id_of(vm));
		emit_kind(m, vm, MERLON_EVENT_ADMISSION_EXPIRED, record->head.time);
		break;
	case MERLON_RECORD_VM_KILLED:
		vm->info.flags |= KVM_VMI_VM_DEAD;
		log_warning("VM #%llu was killed by a rule.", id_of(vm));
		emit_kind(m, vm, MERLON_EVENT_VM_KILLED, record->head.time);
		break;
	case MERLON_RECORD_RULE_DISARMED: {
		struct event event = {
			.kind = MERLON_EVENT_RULE_DISARMED,
			.time = record->head.time,
			.rule = vm_rule_name(vm, record->detail),
			.rule_id = record->detail,
		};

		rule = vm_find_rule(vm, record->detail);
		if (rule)
			rule->info.rule.flags |= KVM_VMI_RULE_DISARMED;
		inventory_emit(m, vm, &event);
		break;
	}
	default:
		break;
	}
	manager_notify_status(m);
}

/* One past the verdicts stands for what none of them did: the page was opened. */
static const char *verdict_name(uint32_t verdict)
{
	return verdict == KVM_VMI_NR_VERDICTS ? "opened" : merlon_verdict_name(verdict);
}

/* What a violation tells of a register; @words lives as long as the event. */
static void tell_register(const struct kvm_vmi_violation *v, struct event *event,
			  char words[static REGISTERS_WORDS_MAX])
{
	int reg = merlon_register_from_number(v->reg);

	if (v->kind != KVM_VMI_CR && v->kind != KVM_VMI_EFER)
		return;
	words[0] = 0;
	event->reg = reg < 0 ? "?" : merlon_register_name((enum merlon_register)reg);
	event->cleared = reg < 0 ? words : registers_words((enum merlon_register)reg,
							   v->old & ~v->new, words);
	event->old_value = v->old;
	event->new_value = v->new;
}

static void on_violation(struct manager *m, const struct merlon_violation_record *record)
{
	const struct kvm_vmi_violation *v = &record->v;
	struct vm stranger = { .info.id = record->head.vm };
	struct vm *vm = vm_table_find(&m->vms, record->head.vm);
	struct event event = {
		.kind = MERLON_EVENT_VIOLATION,
		.seq = record->head.seq,
		.time = record->head.time,
		.access = merlon_access_name(v->kind),
		.verdict = verdict_name(record->verdict),
		.gpa = v->gpa,
		.gva = v->gva,
		.tag = v->tag,
		.rip = v->rip,
		.cr3 = v->cr3,
		.length = v->length,
		.rule_id = v->rule,
		.vcpu = v->vcpu_id,
		.gva_valid = v->flags & KVM_VMI_V_GVA,
		.tag_valid = v->flags & KVM_VMI_V_TAG,
		.user = v->flags & KVM_VMI_V_USER,
		.nested = v->flags & KVM_VMI_V_NESTED,
		.vectoring = v->flags & KVM_VMI_V_VECTORING,
		.emulated = v->flags & KVM_VMI_V_EMULATED,
		.monitor = v->flags & KVM_VMI_V_MONITOR,
		.bad_verdict = v->flags & KVM_VMI_V_BAD_VERDICT,
	};
	char words[REGISTERS_WORDS_MAX];

	if (!vm)
		vm = &stranger;
	tell_register(v, &event, words);
	event.rule = vm_rule_name(vm, v->rule);
	if (record->head.seq > vm->last_seq)
		vm->last_seq = record->head.seq;
	inventory_emit(m, vm, &event);
}

static size_t record_size(unsigned int kind)
{
	switch (kind) {
	case MERLON_RECORD_VM_CREATED:
	case MERLON_RECORD_VM_RESET:
	case MERLON_RECORD_VM_DESTROYED:
		return sizeof(struct merlon_vm_record);
	case MERLON_RECORD_VM_ADMITTED:
	case MERLON_RECORD_VM_EXPIRED:
	case MERLON_RECORD_VM_KILLED:
	case MERLON_RECORD_RULE_DISARMED:
		return sizeof(struct merlon_notice_record);
	case MERLON_RECORD_VIOLATION:
		return sizeof(struct merlon_violation_record);
	case MERLON_RECORD_UNPINNED:
		return sizeof(struct merlon_unpinned_record);
	case MERLON_RECORD_VM_COUNTERS:
		return sizeof(struct merlon_counters_record);
	default:
		return sizeof(struct merlon_record);
	}
}

/*
 * Of an older program, from before ours took its place.  What it lacks is not to be made up,
 * so a violation is lost; enumeration makes up for the others.
 */
static void on_short(struct manager *m, const struct merlon_record *record)
{
	struct vm *vm = vm_table_find(&m->vms, record->vm);

	if (vm && record->kind == MERLON_RECORD_VIOLATION)
		vm->missed++;
}

void inventory_on_record(const struct merlon_record *record, size_t size, void *userdata)
{
	struct manager *m = userdata;

	if (size < record_size(record->kind)) {
		on_short(m, record);
		return;
	}
	switch (record->kind) {
	case MERLON_RECORD_VM_CREATED:
	case MERLON_RECORD_VM_RESET:
	case MERLON_RECORD_VM_DESTROYED:
		on_vm_record(m, (const struct merlon_vm_record *)record);
		break;
	case MERLON_RECORD_VM_ADMITTED:
	case MERLON_RECORD_VM_EXPIRED:
	case MERLON_RECORD_VM_KILLED:
	case MERLON_RECORD_RULE_DISARMED:
		on_notice(m, (const struct merlon_notice_record *)record);
		break;
	case MERLON_RECORD_VIOLATION:
		on_violation(m, (const struct merlon_violation_record *)record);
		break;
	case MERLON_RECORD_UNPINNED:
		unpinned_on_record(m, (const struct merlon_unpinned_record *)record);
		break;
	case MERLON_RECORD_VM_COUNTERS:
		on_counters(m, (const struct merlon_counters_record *)record);
		break;
	default:
		log_debug("A record of unknown kind %u, ignoring.", record->kind);
		break;
	}
}
