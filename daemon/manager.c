// SPDX-License-Identifier: GPL-2.0-or-later
/* merlond itself: start, timers, rings, what is wrong, end. */
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <systemd/sd-daemon.h>

#include "engine.h"
#include "inventory.h"
#include "isolation.h"
#include "journal-socket.h"
#include "log.h"
#include "manager.h"
#include "pinning.h"
#include "state.h"
#include "util/util.h"

/* How often the kernel is enumerated although nothing happened. */
#define TICK_USEC 30000000ULL
/* How long after events came their losses are looked for. */
#define LOST_USEC 1000000ULL
/* How often counters of isolation are looked at, where there is any. */
#define ISOLATION_USEC 1000000ULL
/* Records taken in one turn of the loop, so that the bus and timers have theirs. */
#define DRAIN_MAX 256
/* What these records may become in one turn: a message to each watcher, a packet to each stream. */
#define TURN_MAX 4096
/* So many of the smallest records are the whole of the events ring. */
#define RING_RECORDS (MERLON_EVENTS_BYTES / sizeof(struct merlon_record))

/*
 * A VM that waits for admission goes before everything; of its records there are as many as
 * there are VMs.  All else has the same priority, 0, and what has waited longest its turn:
 * one message of the bus, some records, some packets to each stream.
 */
#define PRIORITY_CONTROL	(-10)

size_t manager_count_rules(const struct manager *m)
{
	size_t n = 0;

	for (size_t i = 0; i < m->vms.n; i++)
		n += m->vms.vms[i]->n_rules;
	return n;
}

void manager_sweep_soon(struct manager *m)
{
	m->sweep_after = RING_RECORDS;
	(void)sd_event_source_set_enabled(m->sweep, SD_EVENT_ONESHOT);
}

int manager_save(struct manager *m)
{
	int r = state_save(m->options.runtime_dir, &m->vms);

	if (r < 0)
		return log_error_errno(r, "%s/" MERLON_STATE_FILE " cannot be written: %m",
				       m->options.runtime_dir);
	m->unsaved = false;
	return 0;
}

void manager_set_degraded(struct manager *m, enum merlon_degraded reason, bool on)
{
	unsigned int bit = 1U << reason;

	if (on == !!(m->degraded & bit))
		return;
	m->degraded ^= bit;
	if (log_is_journal() && journal_degraded(journal_socket_send, reason, on) >= 0)
		return;
	if (on)
		log_warning("Degraded: %s.", merlon_degraded_name(reason));
	else
		log_notice("No longer degraded: %s.", merlon_degraded_name(reason));
}

/* @detail: NULL for none */
static int add_text(char ***strv, size_t *n, enum merlon_degraded reason, const char *detail)
{
	char **grown = reallocarray(*strv, *n + 2, sizeof(*grown));
	char *s = NULL;

	if (!grown)
		return -ENOMEM;
	*strv = grown;
	if (asprintf(&s, "%s%s%s", merlon_degraded_name(reason), detail ? ":" : "",
		     detail ? detail : "") < 0)
		return -ENOMEM;
	grown[(*n)++] = s;
	grown[*n] = NULL;
	return 0;
}

static int add_reason(char ***strv, size_t *n, enum merlon_degraded reason, const struct vm *vm)
{
	char id[24];

	if (vm)
		snprintf(id, sizeof(id), "%llu", (unsigned long long)vm->info.id);
	return add_text(strv, n, reason, vm ? id : NULL);
}

/* "policy-invalid:FILE" of each file that is broken. */
static int add_invalid(char ***strv, size_t *n, const struct policies *p)
{
	int r = 0;

	if (p->dir_error)
		r = add_text(strv, n, MERLON_DEGRADED_POLICY_INVALID, p->dir_error);
	for (size_t i = 0; r >= 0 && i < p->n; i++)
		if (p->entries[i].error)
			r = add_text(strv, n, MERLON_DEGRADED_POLICY_INVALID, p->entries[i].path);
	return r;
}

static bool vm_unprotected(const struct vm *vm)
{
	if (vm->policy_failed && !(vm->info.flags & KVM_VMI_VM_DEAD))
		return true;
	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i].info.rule.flags & KVM_VMI_RULE_DISARMED ||
		    !pinning_is_whole(vm, &vm->rules[i]))
			return true;
	return false;
}

static bool vm_has_orphans(const struct vm *vm)
{
	for (size_t i = 0; i < vm->n_rules; i++)
		if (vm->rules[i].orphan)
			return true;
	return false;
}

int manager_degraded(const struct manager *m, char ***ret)
{
	char **strv = calloc(1, sizeof(*strv));
	bool orphans = false;
	size_t n = 0;
	int r = strv ? 0 : -ENOMEM;

	for (unsigned int i = 0; r >= 0 && i < MERLON_DEGRADED_MAX; i++)
		if (m->degraded & 1U << i)
			r = add_reason(&strv, &n, (enum merlon_degraded)i, NULL);
	for (size_t i = 0; r >= 0 && m->kernel && i < m->vms.n; i++) {
		const struct vm *vm = m->vms.vms[i];

		if (vm_unprotected(vm))
			r = add_reason(&strv, &n, MERLON_DEGRADED_VM_UNPROTECTED, vm);
		if (r >= 0 && vm->info.flags & KVM_VMI_VM_EXPIRED)
			r = add_reason(&strv, &n, MERLON_DEGRADED_ADMISSION_EXPIRED, vm);
		orphans |= vm_has_orphans(vm);
	}
	if (r >= 0)
		r = add_invalid(&strv, &n, &m->policies);
	if (r >= 0 && orphans)
		r = add_reason(&strv, &n, MERLON_DEGRADED_ORPHAN_RULES, NULL);
	if (r < 0) {
		while (n)
			free(strv[--n]);
		free(strv);
		return r;
	}
	*ret = strv;
	return 0;
}

int manager_degraded_bits(const struct manager *m, unsigned int *ret)
{
	unsigned int bits = 0;
	char **reasons;
	int r;

	r = manager_degraded(m, &reasons);
	if (r < 0)
		return r;
	for (char **s = reasons; *s; s++) {
		int reason = merlon_degraded_from_value(*s);

		if (reason >= 0)
			bits |= 1U << reason;
		free(*s);
	}
	free(reasons);
	*ret = bits;
	return 0;
}

/* Everybody may read it, as 'systemctl status' shows it: no details. */
void manager_notify_status(struct manager *m)
{
	char status[sizeof(m->status)];
	const char *before = " Degraded:";
	unsigned int degraded = 0;
	size_t len = 0;

	if (m->kernel)
		len = (size_t)snprintf(status, sizeof(status), "%zu VMs, %zu rules.", m->vms.n,
				       manager_count_rules(m));
	else
		len = (size_t)snprintf(status, sizeof(status), "Nothing is protected.");
	(void)manager_degraded_bits(m, &degraded);
	for (unsigned int i = 0; i < MERLON_DEGRADED_MAX && len < sizeof(status); i++) {
		if (!(degraded & 1U << i))
			continue;
		len += (size_t)snprintf(status + len, sizeof(status) - len, "%s %s", before,
					merlon_degraded_name((enum merlon_degraded)i));
		before = ",";
	}
	if (streq(status, m->status))
		return;
	memcpy(m->status, status, sizeof(status));
	(void)sd_notifyf(0, "STATUS=%s", status);
}

static void check_control_lost(struct manager *m)
{
	uint64_t lost;

	if (m->kernel->ops->control_lost(m->kernel, &lost) < 0 || lost == m->control_lost)
		return;
	log_warning("%llu records of VMs were lost; looking at the kernel instead.",
		    (unsigned long long)(lost - m->control_lost));
	m->control_lost = lost;
	inventory_reconcile(m);
}

static int on_control(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct manager *m = userdata;
	int r;

	(void)source;
	(void)fd;
	(void)revents;
	r = m->kernel->ops->drain(m->kernel, KERNEL_RING_CONTROL, DRAIN_MAX);
	if (r < 0)
		log_error_errno(r, "The control ring cannot be read: %m");
	inventory_settle(m);
	manager_notify_status(m);
	check_control_lost(m);
	return 0;
}

/* Some records, of which each is for every reader; whether there may be more. */
static bool drain_events(struct manager *m)
{
	size_t readers = m->watches.n + m->streams.n;
	unsigned int max = readers < TURN_MAX / DRAIN_MAX ? DRAIN_MAX :
			   (unsigned int)(TURN_MAX / readers) + 1;
	int n;

	n = m->kernel->ops->drain(m->kernel, KERNEL_RING_EVENTS, max);
	if (n < 0)
		log_error_errno(n, "The events ring cannot be read: %m");
	else
		m->sweep_after -= m->sweep_after < (size_t)n ? m->sweep_after : (size_t)n;
	if (n > 0 && sd_event_source_get_enabled(m->lost_timer, NULL) == 0) {
		(void)sd_event_source_set_time_relative(m->lost_timer, LOST_USEC);
		(void)sd_event_source_set_enabled(m->lost_timer, SD_EVENT_ONESHOT);
	}
	return n >= 0 && (unsigned int)n >= max;
}

/*
 * The bus does not stop it: what cannot be written is counted, by the watcher that it was for.
 */
static int on_events(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	(void)source;
	(void)fd;
	(void)revents;
	(void)drain_events(userdata);
	return 0;
}

static int on_lost_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)usec;
	if (m->kernel)
		inventory_tell_lost(m);
	if (m->bus && watch_tell_lost(&m->watches, m->bus)) {
		(void)sd_event_source_set_time_relative(source, LOST_USEC);
		(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	}
	return 0;
}

/* KVM's parameter is read when it is loaded, so elsewhere there is seldom a reason to ask. */
static int on_isolation_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;
	bool on = m->kernel && isolation_look(m);

	(void)usec;
	(void)sd_event_source_set_time_relative(source, on ? ISOLATION_USEC : TICK_USEC);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int on_sweep(sd_event_source *source, void *userdata)
{
	struct manager *m = userdata;
	size_t rules = manager_count_rules(m);

	/* Until the ring has nothing that was in it when they ended. */
	if (m->kernel && m->sweep_after && drain_events(m) && m->sweep_after)
		return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	inventory_sweep(m);
	if (rules != manager_count_rules(m))
		(void)manager_save(m);
	manager_notify_status(m);
	return 0;
}

static int watch_ring(struct manager *m, enum kernel_ring ring, sd_event_io_handler_t handler,
		      int64_t priority)
{
	int fd, r;

	fd = m->kernel->ops->ring_fd(m->kernel, ring);
	if (fd < 0)
		return fd;
	r = sd_event_add_io(m->event, &m->ring[ring], fd, EPOLLIN, handler, m);
	if (r >= 0)
		r = sd_event_source_set_priority(m->ring[ring], priority);
	return r;
}

static void drop_kernel(struct manager *m)
{
	for (size_t i = 0; i < KERNEL_NR_RINGS; i++)
		m->ring[i] = sd_event_source_disable_unref(m->ring[i]);
	m->kernel = kernel_close(m->kernel);
}

static int open_kernel(struct manager *m, struct kernel_missing *reterr_missing)
{
	const struct kernel_setup setup = {
		.bpffs_dir = m->options.bpffs_dir,
		.runtime_dir = m->options.runtime_dir,
		.script = m->options.script,
		.event = m->event,
		.on_record = inventory_on_record,
		.userdata = m,
	};

	return kernel_backend.open(&setup, &m->kernel, reterr_missing);
}

/*
 * The command line counts, then the settings; what nobody could read changes nothing.  Where
 * neither says a word, a new VM waits for the policies there are.
 */
static int set_admission(struct manager *m)
{
	enum kvm_vmi_admission mode = m->settings.admission;

	if (m->options.admission >= 0)
		mode = (enum kvm_vmi_admission)m->options.admission;
	else if (m->degraded & 1U << MERLON_DEGRADED_SETTINGS_INVALID)
		return 0;
	else if (!m->settings.admission_said && policies_enforce(&m->policies))
		mode = KVM_VMI_ADMIT_OPEN;
	m->admission = mode;
	return m->kernel->ops->set_admission(m->kernel, mode, m->settings.admission_ms);
}

void manager_set_admission(struct manager *m)
{
	int r = m->kernel ? set_admission(m) : 0;

	if (r < 0)
		log_error_errno(r, "Admission cannot be set: %m");
}

/* Takes hold of the kernel if it can protect; otherwise says once why it cannot. */
static void try_kernel(struct manager *m)
{
	struct kernel_missing missing = { 0 };
	int r;

	r = open_kernel(m, &missing);
	if (r >= 0) {
		r = m->kernel->ops->caps(m->kernel, &m->caps);
		if (r >= 0)
			r = m->kernel->ops->control_lost(m->kernel, &m->control_lost);
		if (r >= 0)
			r = watch_ring(m, KERNEL_RING_CONTROL, on_control, PRIORITY_CONTROL);
		if (r >= 0)
			r = watch_ring(m, KERNEL_RING_EVENTS, on_events, SD_EVENT_PRIORITY_NORMAL);
		if (r >= 0)
			r = set_admission(m);
		if (r < 0) {
			snprintf(missing.what, sizeof(missing.what), "kernel-call");
			snprintf(missing.why, sizeof(missing.why),
				 "KVM answers calls with an error: %s", strerror(-r));
			snprintf(missing.remedy, sizeof(missing.remedy),
				 "see the kernel's log; run merlond as root");
			drop_kernel(m);
		}
	}
	if (r < 0) {
		if (!streq(missing.why, m->missing.why))
			log_warning("This kernel does not protect VMs: %s", missing.why);
		m->missing = missing;
		manager_set_degraded(m, MERLON_DEGRADED_NO_KERNEL_SUPPORT, true);
		manager_notify_status(m);
		return;
	}
	m->missing = (struct kernel_missing) { 0 };
	manager_set_degraded(m, MERLON_DEGRADED_NO_KERNEL_SUPPORT, false);
	engine_check_default(m);
	inventory_reconcile(m);
}

static int on_tick(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)usec;
	if (!m->kernel) {
		try_kernel(m);
	} else {
		check_control_lost(m);
		/* What nobody could say may be known by now. */
		if (m->settings_passing)
			manager_reload(m);
		else
			inventory_reconcile(m);
		/* A directory that is new is read, and what has failed is tried again. */
		if (policy_watch_refresh(m) || policies_passing(&m->policies))
			policies_look(m);
		policies_retry(m);
		manager_set_admission(m);
		m->lost_recently = false;
		inventory_tell_lost(m);
		for (size_t i = 0; i < m->vms.n; i++)
			inventory_tell_folded(m->vms.vms[i]);
		(void)watch_tell_lost(&m->watches, m->bus);
		if (!m->lost_recently)
			manager_set_degraded(m, MERLON_DEGRADED_EVENTS_LOST, false);
		if (!m->journal_failed)
			manager_set_degraded(m, MERLON_DEGRADED_JOURNAL_LOST, false);
		m->journal_failed = false;
		manager_notify_status(m);
	}
	(void)sd_event_source_set_time_relative(source, TICK_USEC);
	(void)sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
	return 0;
}

static int add_timer(struct manager *m, sd_event_source **ret, uint64_t usec,
		     sd_event_time_handler_t handler, bool on)
{
	int r;

	r = sd_event_add_time_relative(m->event, ret, CLOCK_MONOTONIC, usec, 0, handler, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(*ret, on ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
	return r;
}

static int add_timers(struct manager *m)
{
	int r;

	r = add_timer(m, &m->tick, TICK_USEC, on_tick, true);
	if (r >= 0)
		r = add_timer(m, &m->lost_timer, LOST_USEC, on_lost_timer, false);
	if (r >= 0)
		r = add_timer(m, &m->isolation_timer, ISOLATION_USEC, on_isolation_timer, true);
	if (r >= 0)
		r = sd_event_add_defer(m->event, &m->sweep, on_sweep, m);
	if (r >= 0)
		r = sd_event_source_set_enabled(m->sweep, SD_EVENT_OFF);
	return r;
}

/* One merlond at a time: two would undo each other's rules. */
static int take_lock(struct manager *m)
{
	_cleanup_close_ int dirfd = -EBADF, fd = -EBADF;
	struct stat st;

	if (mkdir(m->options.runtime_dir, 0755) < 0 && errno != EEXIST)
		return log_error_errno(-errno, "%s cannot be created: %m (merlond runs as root)",
				       m->options.runtime_dir);
	dirfd = open(m->options.runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (dirfd < 0 || fstat(dirfd, &st) < 0)
		return log_error_errno(-errno, "%s cannot be used: %m", m->options.runtime_dir);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH)) {
		log_error("%s must belong to merlond's user and be writable by nobody else.",
			  m->options.runtime_dir);
		return -EPERM;
	}
	fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return log_error_errno(-errno, "%s/lock cannot be opened: %m",
				       m->options.runtime_dir);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EWOULDBLOCK)
			log_error("Another merlond is running; 'merlon clear' talks to it.");
		else
			log_error_errno(-errno, "%s/lock cannot be locked: %m",
					m->options.runtime_dir);
		return -errno;
	}
	m->lock_fd = TAKE_FD(fd);
	return 0;
}

/*
 * Settings with any error are refused whole and the last good ones stay; at start
 * these are the defaults, for a typo must not leave the host without merlond.
 */
static void load_settings(struct manager *m)
{
	_cleanup_free_ char *message = NULL;
	struct settings settings;
	int r;

	r = settings_load(m->options.config, &settings, &message);
	if (r < 0) {
		log_error("Settings: %s", message ? message : strerror(-r));
	} else {
		settings_done(&m->settings);
		m->settings = settings;
	}
	m->settings_passing = r == -EAGAIN;
	manager_set_degraded(m, MERLON_DEGRADED_SETTINGS_INVALID, r < 0);
}

DEFINE_CLEANUP(struct manager *, manager_free)

int manager_new(const struct manager_options *options, sd_event *event, struct manager **ret)
{
	_cleanup_(manager_freep) struct manager *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return log_oom();
	m->options = *options;
	m->lock_fd = -EBADF;
	m->event = sd_event_ref(event);
	/* With a file that is wrong they are what counts. */
	r = settings_default(&m->settings);
	if (r < 0)
		return log_oom();
	load_settings(m);
	r = take_lock(m);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(m);
	return 0;
}

struct manager *manager_free(struct manager *m)
{
	if (!m)
		return NULL;
	sd_bus_slot_unref(m->manager_slot);
	sd_bus_slot_unref(m->vm_slot);
	auth_done(&m->auth);
	unread_done(&m->unread);
	peers_done(&m->peers);
	watch_done(&m->watches);
	stream_done(&m->streams);
	sd_event_source_disable_unref(m->tick);
	sd_event_source_disable_unref(m->lost_timer);
	sd_event_source_disable_unref(m->isolation_timer);
	sd_event_source_disable_unref(m->sweep);
	policy_watch_done(&m->policy_watch);
	drop_kernel(m);
	policies_done(&m->policies);
	vm_table_done(&m->vms);
	settings_done(&m->settings);
	sd_bus_flush_close_unref(m->bus);
	sd_event_unref(m->event);
	if (m->lock_fd >= 0)
		close(m->lock_fd);
	free(m);
	return NULL;
}

int manager_start(struct manager *m)
{
	int r;

	r = add_timers(m);
	if (r < 0)
		return log_error_errno(r, "Timers cannot be set up: %m");
	r = state_load(m->options.runtime_dir, &m->vms);
	if (r == -EBADMSG) {
		log_error("%s/" MERLON_STATE_FILE " is damaged: set aside as .bad, rules are "
			  "read from the kernel.", m->options.runtime_dir);
		manager_set_degraded(m, MERLON_DEGRADED_STATE_LOST, true);
	} else if (r < 0) {
		log_error_errno(r, "%s/" MERLON_STATE_FILE " cannot be read: %m",
				m->options.runtime_dir);
		manager_set_degraded(m, MERLON_DEGRADED_STATE_LOST, true);
	}
	/* Before the VMs are found: what each of them gets is known then. */
	(void)policy_watch_refresh(m);
	(void)policies_reload(m, false, NULL);
	try_kernel(m);
	return 0;
}

void manager_reload(struct manager *m)
{
	load_settings(m);
	(void)policy_watch_refresh(m);
	if (!m->kernel) {
		(void)policies_reload(m, false, NULL);
		try_kernel(m);
		return;
	}
	engine_check_default(m);
	/* First who the VMs are, which the settings decide too, then what they get. */
	inventory_reconcile(m);
	(void)policies_reload(m, false, NULL);
	manager_set_admission(m);
}

static int clear_vms(struct kernel *k, size_t *ret_vms)
{
	struct kvm_vmi_vm_info info;
	uint64_t after = 0;
	size_t n = 0;
	int r, failed = 0;

	while ((r = k->ops->vm_next(k, after, &info)) >= 0) {
		after = info.id;
		if (!info.rules)
			continue;
		r = k->ops->clear_rule(k, info.id, 0);
		if (r < 0 && r != -ENOENT && r != -ESRCH && r != -EIO)
			failed = log_error_errno(r, "VM #%llu: rules cannot be dropped: %m",
						 (unsigned long long)info.id);
		else
			n++;
	}
	*ret_vms = n;
	return r == -ESRCH ? failed : log_error_errno(r, "VMs cannot be listed: %m");
}

int manager_clear(struct manager *m)
{
	struct kernel_missing missing = { 0 };
	size_t n = 0;
	int r;

	r = open_kernel(m, &missing);
	if (r < 0) {
		log_error("This kernel does not protect VMs: %s", missing.why);
		return r;
	}
	r = m->kernel->ops->set_admission(m->kernel, KVM_VMI_ADMIT_OFF, 0);
	if (r < 0)
		return log_error_errno(r, "Admission cannot be switched off: %m");
	r = clear_vms(m->kernel, &n);
	if (r < 0)
		return r;
	r = m->kernel->ops->remove(m->kernel);
	if (r < 0)
		return log_error_errno(r, "Programs and pins cannot be removed: %m");
	r = manager_save(m);
	if (r < 0)
		return r;
	log_info("Rules of %zu VMs dropped, programs and pins removed; nothing is protected.", n);
	return 0;
}
