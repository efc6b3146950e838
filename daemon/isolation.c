// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's address-space isolation as merlond tells of it. */
#include <time.h>

#include "bus-fault.h"
#include "inventory.h"
#include "isolation.h"
#include "log.h"
#include "util/json.h"

/* More places of a VM than any kernel has are not asked for. */
#define MAX_PLACES 256

/* A word, or the number of a newer kernel that has none. */
static const char *word_or_number(const char *word, unsigned int number, char buffer[static 16])
{
	if (!streq(word, "?"))
		return word;
	snprintf(buffer, 16, "%u", number);
	return buffer;
}

static const char *kick_word(uint32_t reasons)
{
	if (!(reasons & KVM_ISOLATION_KICK_ALWAYS))
		return MERLON_KICK_NEVER;
	return (reasons & KVM_ISOLATION_KICK_ALWAYS) == KVM_ISOLATION_KICK_ALWAYS ?
		       MERLON_KICK_ALWAYS : MERLON_KICK_SOME;
}

/* Why a host does not isolate, and what to do; NULL if it does. */
static const char *why_not(int r, const struct kvm_isolation_host *host,
			   char buffer[static 160])
{
	if (r == -ENOSYS)
		return "this kernel is built without it";
	if (r < 0) {
		snprintf(buffer, 160, "the kernel does not tell: %s", strerror(-r));
		return buffer;
	}
	if (host->on)
		return NULL;
	if (host->refused[0]) {
		snprintf(buffer, 160, "KVM refuses it: %.*s", (int)sizeof(host->refused),
			 host->refused);
		return buffer;
	}
	return "KVM was loaded without kvm.isolation=1";
}

static int host_word(struct json_object *o, const struct manager *m)
{
	struct kvm_isolation_host host = { 0 };
	const char *state = MERLON_ISOLATION_ON, *why;
	char buffer[160];
	int r = -ENOSYS;

	if (m->kernel)
		r = m->kernel->ops->isolation_host(m->kernel, &host);
	/* What else is missing says more of such a host. */
	why = m->kernel ? why_not(r, &host, buffer) : "this kernel does not protect guests";
	if (r < 0)
		state = MERLON_ISOLATION_ABSENT;
	else if (!host.on)
		state = host.refused[0] ? MERLON_ISOLATION_REFUSED : MERLON_ISOLATION_OFF;
	r = json_add_string(o, "state", state);
	if (r >= 0 && why)
		r = json_add_string(o, "why", why);
	if (r >= 0 && !why)
		r = json_add_string(o, "kick", kick_word(host.kick));
	return r;
}

int isolation_host_to_json(struct json_object *o, const struct manager *m)
{
	_cleanup_json_ struct json_object *host = json_object_new_object();
	int r = host ? host_word(host, m) : -ENOMEM;

	return r < 0 ? r : json_add(o, "isolation", TAKE_PTR(host));
}

/* "key": {word: count...} of those that are not 0. */
static int add_counts(struct json_object *o, const char *key, const __u64 *counts, unsigned int n,
		      const char *(*word)(unsigned int))
{
	_cleanup_json_ struct json_object *object = json_object_new_object();
	int r = object ? 0 : -ENOMEM;
	char buffer[16];

	for (unsigned int i = 0; r >= 0 && i < n; i++)
		if (counts[i])
			r = json_add_u64(object, word_or_number(word(i), i, buffer), counts[i]);
	return r < 0 ? r : json_add(o, key, TAKE_PTR(object));
}

/*
 * Of the exits that neither are interrupts of the host nor block: how many there were, and
 * how many of them the restricted page table was enough for.
 */
static void count_settled(const struct kvm_isolation_stats *s, uint64_t *ret_settled,
			  uint64_t *ret_all)
{
	uint64_t inside = 0, outside = 0;

	for (size_t i = 0; i < KVM_ISOLATION_MAX_EXITS; i++) {
		inside += s->inside[i];
		if (i != KVM_ISOLATION_EXIT_INTERRUPT && i != KVM_ISOLATION_EXIT_HLT)
			outside += s->outside[i];
	}
	*ret_settled = inside;
	*ret_all = inside + outside;
}

static int add_stats(struct json_object *o, const struct kvm_isolation_stats *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{ "windows", s->windows }, { "faults", s->faults }, { "no-place", s->no_place },
		{ "pauses", s->pauses }, { "kicks", s->kicks }, { "waits", s->waits },
		{ "refused", s->refused }, { "mapped-bytes", s->mapped_bytes },
		{ "table-bytes", s->table_bytes },
	};
	uint64_t settled, all;
	int r = 0;

	count_settled(s, &settled, &all);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(numbers); i++)
		r = json_add_u64(o, numbers[i].key, numbers[i].value);
	if (r >= 0)
		r = json_add_u64(o, "settled", settled);
	if (r >= 0)
		r = json_add_u64(o, "settled-of", all);
	if (r >= 0)
		r = json_add_string(o, "kick", kick_word(s->kick));
	if (r >= 0)
		r = add_counts(o, "left", s->left, KVM_ISOLATION_MAX_REASONS,
			       merlon_isolation_reason_name);
	if (r >= 0)
		r = add_counts(o, "inside", s->inside, KVM_ISOLATION_MAX_EXITS,
			       merlon_isolation_exit_name);
	if (r >= 0)
		r = add_counts(o, "outside", s->outside, KVM_ISOLATION_MAX_EXITS,
			       merlon_isolation_exit_name);
	return r;
}

static int by_count(const void *a, const void *b)
{
	const struct kvm_isolation_place *p = a, *q = b;

	return (p->count < q->count) - (p->count > q->count);
}

/* A VM's places, those with the most accesses first: how many. */
static size_t read_places(const struct manager *m, const struct vm *vm,
			  struct kvm_isolation_place places[static MAX_PLACES])
{
	size_t n = 0;

	while (n < MAX_PLACES &&
	       m->kernel->ops->isolation_place(m->kernel, vm->info.id, (uint32_t)n,
					       &places[n]) >= 0)
		n++;
	qsort(places, n, sizeof(*places), by_count);
	return n;
}

static int add_places(struct json_object *o, const struct manager *m, const struct vm *vm)
{
	_cleanup_json_ struct json_object *array = json_object_new_array();
	struct kvm_isolation_place places[MAX_PLACES];
	size_t n = read_places(m, vm, places);
	int r = array ? 0 : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		_cleanup_json_ struct json_object *place = json_object_new_object();

		r = place ? json_add_hex(place, "ip", places[i].ip) : -ENOMEM;
		if (r >= 0)
			r = json_add_hex(place, "address", places[i].address);
		if (r >= 0)
			r = json_add_u64(place, "count", places[i].count);
		if (r >= 0)
			r = json_append(array, TAKE_PTR(place));
	}
	return r < 0 ? r : json_add(o, "places", TAKE_PTR(array));
}

int isolation_describe(struct manager *m, const struct vm *vm, char **ret, sd_bus_error *reterr)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	struct kvm_isolation_stats stats;
	int r, got;

	if (!o)
		return -ENOMEM;
	got = m->kernel->ops->isolation_stats(m->kernel, vm->info.id, &stats);
	if (got < 0 && got != -EOPNOTSUPP && got != -ENOSYS)
		return bus_fault_errno(reterr, got, "Reading its isolation");
	r = json_add_bool(o, "isolated", got >= 0);
	if (r >= 0 && got >= 0)
		r = add_stats(o, &stats);
	if (r >= 0 && got >= 0)
		r = add_places(o, m, vm);
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

static int kick_report(const char *word, bool dry_run, char **ret)
{
	_cleanup_json_ struct json_object *o = json_object_new_object();
	_cleanup_json_ struct json_object *choice = json_object_new_object();
	int r;

	if (!o || !choice)
		return -ENOMEM;
	r = json_add_string(choice, "kick", word);
	if (r >= 0)
		r = json_add(o, dry_run ? "would-set" : "set", TAKE_PTR(choice));
	return r < 0 ? r : json_text(o, JSON_ONE_LINE, ret);
}

static int fail_kick(const struct manager *m, int r, sd_bus_error *reterr)
{
	struct kvm_isolation_host host = { 0 };
	const char *why;
	char buffer[160];

	if (r != -EOPNOTSUPP && r != -ENOSYS)
		return bus_fault_errno(reterr, r, "Choosing when to kick siblings");
	r = m->kernel->ops->isolation_host(m->kernel, &host);
	why = why_not(r, &host, buffer);
	return bus_fault(reterr, MERLON_E_NOT_SUPPORTED, "This VM is not isolated: %s",
			 why ?: "it was created without");
}

int isolation_choose_kick(struct manager *m, const struct vm *vm, const char *word, bool dry_run,
			  char **ret_report, sd_bus_error *reterr)
{
	_cleanup_free_ char *report = NULL;
	struct kvm_isolation_stats stats;
	bool always = streq(word, MERLON_KICK_ALWAYS);
	int r;

	if (!always && !streq(word, MERLON_KICK_NEVER))
		return sd_bus_error_set(reterr, SD_BUS_ERROR_INVALID_ARGS,
					"Expected when to kick siblings: never or always");
	r = m->kernel->ops->isolation_stats(m->kernel, vm->info.id, &stats);
	if (r < 0)
		return fail_kick(m, r, reterr);
	r = kick_report(word, dry_run, &report);
	if (r < 0)
		return r;
	if (!dry_run) {
		r = m->kernel->ops->isolation_set_kick(m->kernel, vm->info.id,
						       always ? KVM_ISOLATION_KICK_ALWAYS :
								KVM_ISOLATION_KICK_NEVER);
		if (r < 0)
			return fail_kick(m, r, reterr);
		log_info("VM #%llu: siblings are kicked: %s.", (unsigned long long)vm->info.id,
			 word);
	}
	*ret_report = TAKE_PTR(report);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

/* Windows left unexpectedly since they were told of last, and why: words in @reasons. */
static uint64_t count_new(const struct vm_isolation *v, const struct kvm_isolation_stats *s,
			  char *reasons, size_t size)
{
	uint64_t n = 0;
	size_t len = 0;

	*reasons = 0;
	for (unsigned int i = 0; i < KVM_ISOLATION_NR_REASONS; i++) {
		if (!merlon_isolation_is_unexpected(i) || s->left[i] <= v->told[i])
			continue;
		n += s->left[i] - v->told[i];
		if (len < size)
			len += (size_t)snprintf(reasons + len, size - len, "%s%s", len ? " " : "",
						merlon_isolation_reason_name(i));
	}
	return n;
}

static void tell(struct manager *m, struct vm *vm, const struct kvm_isolation_stats *s)
{
	struct event event = { .kind = MERLON_EVENT_ISOLATION_LEFT };
	struct kvm_isolation_place places[MAX_PLACES];
	struct vm_isolation *v = &vm->isolation;
	uint64_t now = now_ns();
	char reasons[128];

	event.count = count_new(v, s, reasons, sizeof(reasons));
	if (!event.count || (v->told_at && now - v->told_at < ISOLATION_EVENT_NS))
		return;
	event.reasons = reasons;
	if (s->left[KVM_ISOLATION_FAULT] > v->told[KVM_ISOLATION_FAULT] &&
	    read_places(m, vm, places)) {
		event.ip = places[0].ip;
		event.address = places[0].address;
	}
	memcpy(v->told, s->left, sizeof(v->told));
	v->told_at = now;
	v->unlogged += event.count;
	if (!v->logged_at || now - v->logged_at >= ISOLATION_LOG_NS) {
		log_warning("VM #%llu: %llu windows of isolation left for: %s (see 'merlon "
			    "isolation status').", (unsigned long long)vm->info.id,
			    (unsigned long long)v->unlogged, reasons);
		v->logged_at = now;
		v->unlogged = 0;
	}
	inventory_emit(m, vm, &event);
}

bool isolation_look(struct manager *m)
{
	struct kvm_isolation_stats stats;
	struct kvm_isolation_host host;

	if (m->kernel->ops->isolation_host(m->kernel, &host) < 0 || !host.on)
		return false;
	for (size_t i = 0; i < m->vms.n; i++) {
		struct vm *vm = m->vms.vms[i];

		if (m->kernel->ops->isolation_stats(m->kernel, vm->info.id, &stats) >= 0)
			tell(m, vm, &stats);
	}
	return true;
}
