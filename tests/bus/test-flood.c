// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Floods, of guests and of strangers: who reads gets everything or is told exactly what it
 * lost, whatever others do; nothing grows.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "caller.h"
#include "reader.h"

#define VMS 10
#define FIRST_VM 21
#define MILLION 1000000ULL

static const char manager[] = MERLON_IFACE_MANAGER;

/* What a reader has had, by signals or by a stream. */
struct had {
	uint64_t events;	/* but "lost" */
	uint64_t lost_by_kernel;
	uint64_t lost_by_reader;
	uint64_t ended;		/* VMs */
	uint64_t late;		/* violations of a VM of whose end it knew */
	bool gone[VMS];
};

static uint64_t sum(const struct had *had)
{
	return had->events + had->lost_by_kernel + had->lost_by_reader;
}

static void take(struct had *had, const char *json)
{
	_cleanup_json_ struct json_object *o = NULL;
	uint64_t vm, count;
	const char *kind;

	if (json_parse(json, strlen(json), &o) < 0)
		return;
	vm = json_get_u64(o, "vm", 99);
	kind = json_get_string(o, "kind", "");
	count = json_get_u64(o, "count", 0);
	if (streq(kind, "lost")) {
		*(vm ? &had->lost_by_kernel : &had->lost_by_reader) += count;
		return;
	}
	had->events++;
	if (vm < FIRST_VM || vm >= FIRST_VM + VMS)
		return;
	if (streq(kind, "vm-destroyed")) {
		had->gone[vm - FIRST_VM] = true;
		had->ended++;
	} else if (had->gone[vm - FIRST_VM]) {
		had->late++;
	}
}

static void read_stream(int fd, struct had *had, uint64_t until, int ms)
{
	while (sum(had) < until && reader_next(fd, ms) > 0)
		take(had, packet);
}

/* Signals; a watcher that reads answers merlond's pings by that. */
static void read_signals(sd_bus *bus, struct had *had, uint64_t until, int ms)
{
	while (sum(had) < until) {
		_cleanup_message_ sd_bus_message *m = NULL;
		int r = sd_bus_process(bus, &m);
		const char *kind, *json;
		uint64_t vm, seq;

		if (r < 0 || (r == 0 && sd_bus_wait(bus, (uint64_t)ms * 1000) <= 0))
			return;
		if (m && sd_bus_message_is_signal(m, manager, "Event") &&
		    sd_bus_message_read(m, "ttss", &vm, &seq, &kind, &json) >= 0)
			take(had, json);
	}
}

static sd_bus *watcher(uid_t uid, const char *filter)
{
	sd_bus *bus = connect_as(uid);
	struct call call;

	ok(call_now(bus, &call, MERLON_PATH, manager, "Watch", "s", filter), "Watch");
	return bus;
}

static bool exact(const struct had *had, uint64_t n, const char *who)
{
	return ok(sum(had) == n, "%s: %" PRIu64 " events, %" PRIu64 " lost by the kernel, %"
		  PRIu64 " by itself are %" PRIu64 " exactly", who, had->events,
		  had->lost_by_kernel, had->lost_by_reader, n);
}

/* A million violations of VMs that then end. */
static void million(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_bus_ sd_bus *fast_bus = watcher(0, "{}"), *slow_bus = watcher(0, "{}");
	_cleanup_close_ int fast = reader_open(bus, "{}"), slow = reader_open(bus, "{}");
	struct had a = {}, b = {}, c = {}, d = {};
	unsigned long before, after;

	ok(reader_next(fast, 20000) > 0 && reader_next(slow, 20000) > 0, "streams");
	before = merlond_resident();
	for (int round = 0; round < 20; round++)
		for (int vm = FIRST_VM; vm < FIRST_VM + VMS; vm++) {
			fake("violation %d 0x2000 1 n=5000", vm);
			read_stream(fast, &a, MILLION, 0);
			read_signals(fast_bus, &b, MILLION, 0);
		}
	after = merlond_resident();
	/* With the counters that say what was lost: that is told before the end. */
	for (int vm = FIRST_VM; vm < FIRST_VM + VMS; vm++)
		fake("gone %d", vm);
	read_stream(fast, &a, MILLION + VMS, 20000);
	exact(&a, MILLION + VMS, "a stream that is read");
	ok(!a.late, "the end of a VM is the last that is told of it");
	read_signals(fast_bus, &b, MILLION + VMS, 20000);
	exact(&b, MILLION + VMS, "a watcher that reads");
	ok(b.lost_by_kernel + b.lost_by_reader > 0 && b.events > VMS, "of both kinds");
	read_stream(slow, &c, MILLION + VMS, 20000);
	exact(&c, MILLION + VMS, "a stream that was not read before");
	ok(c.lost_by_reader > 0, "which lost some by itself");
	read_signals(slow_bus, &d, MILLION + VMS, 20000);
	exact(&d, MILLION + VMS, "a watcher that did not read before");
	ok(d.lost_by_reader > 0 && d.events >= 4096, "which lost some by itself");
	ok(after < before + 65536, "merlond's memory is bounded: %lu to %lu KiB", before, after);
	for (uint64_t vm = FIRST_VM; vm < FIRST_VM + VMS; vm++)
		vm_add(vm, 0, NULL, NULL);
}

/* A command for the played kernel, for fake_done(): its answer is waited for later. */
static int fake_later(const char *command)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/fake-kernel.sock", harness_dir());
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    write(fd, command, strlen(command)) != (ssize_t)strlen(command))
		note("no played kernel: %m");
	/* It reads until there is nothing more. */
	shutdown(fd, SHUT_WR);
	return fd;
}

static void fake_done(int take_fd)
{
	char answer[64] = "";

	if (!read_line(take_fd, answer, sizeof(answer), 20) || !startswith(answer, "ok"))
		note("the played kernel: %s", answer);
	close(take_fd);
}

/* merlond finds out by itself, and not by a record, that a VM has ended: its events come first. */
static void end_found(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_close_ int fd = reader_open(bus, "{}");
	pid_t merlond = merlond_pid();
	struct had had = {};
	int later[3];

	ok(reader_next(fd, 20000) > 0, "a stream");
	kill(merlond, SIGSTOP);
	later[0] = fake_later("violation 21 0x2000 1 n=2000\n");
	later[1] = fake_later("gone 21\n");
	later[2] = fake_later("control-lost 1\n");
	kill(merlond, SIGCONT);
	read_stream(fd, &had, 2001, 20000);
	ok(sum(&had) == 2001 && had.ended == 1 && !had.late,
	   "a VM's last events come before its end: %" PRIu64 ", %" PRIu64 " after", sum(&had),
	   had.late);
	for (int i = 0; i < 3; i++)
		fake_done(later[i]);
	vm_add(21, 0, NULL, NULL);
}

/* Calls that nobody answers: so many as one connection gets into the bus. */
static void flood_of_calls(void)
{
	enum { CALLS = 100000 };
	_cleanup_bus_ sd_bus *bus = connect_bus(), *stranger = connect_as(STRANGER);
	_cleanup_close_ int fd = reader_open(bus, "{}");
	int later, again;
	pid_t merlond = merlond_pid();
	struct call last;
	bool good = true;

	ok(reader_next(fd, 20000) > 0, "a stream");
	kill(merlond, SIGSTOP);
	for (int i = 0; i < CALLS; i++) {
		_cleanup_message_ sd_bus_message *m = NULL;

		good &= sd_bus_message_new_method_call(stranger, &m, MERLON_BUS_NAME, MERLON_PATH,
						       "org.freedesktop.DBus.Peer", "Ping") >= 0 &&
			sd_bus_message_set_expect_reply(m, 0) >= 0 &&
			sd_bus_send(stranger, m, NULL) >= 0;
	}
	call_start(stranger, &last, false, MERLON_PATH, "org.freedesktop.DBus.Peer", "Ping", "");
	ok(good && sd_bus_flush(stranger) >= 0, "a stranger calls %d times", CALLS);
	later = fake_later("violation 22 0x5000 1\n");
	again = fake_later("vm 40 1\n");
	kill(merlond, SIGCONT);
	ok(reader_next(fd, 60000) > 0 && strstr(packet, "0x5000") &&
	   reader_next(fd, 60000) > 0 && strstr(packet, "\"vm-created\""),
	   "an event and a new VM are told of") || (note("%s", packet), true);
	while (sd_bus_process(stranger, NULL) > 0)
		;
	ok(!last.done, "before all of them are served");
	ok(call_wait(stranger, &last, 60), "as they are in the end");
	fake_done(later);
	fake_done(again);
	fake("gone 40");
}

/* By Unwatch and Watch nobody gets more unread events, nor by many connections. */
static void windows(void)
{
	enum { CONNECTIONS = 6 };
	_cleanup_bus_ sd_bus *root = watcher(0, "{\"vm\": 23}");
	sd_bus *buses[CONNECTIONS];
	struct had had = {}, of_root = {};
	struct call call;

	for (int i = 0; i < CONNECTIONS; i++)
		buses[i] = watcher(0, "{\"vm\": 23}");
	for (int round = 0; round < 3; round++) {
		fake("violation 23 0x2000 1 n=6000");
		read_signals(root, &of_root, 6000 * (uint64_t)(round + 1), 20000);
		/* Calls without an answer, for who waits for that answers pings. */
		for (int i = 0; i < 2; i++) {
			_cleanup_message_ sd_bus_message *m = NULL;

			sd_bus_message_new_method_call(buses[0], &m, MERLON_BUS_NAME, MERLON_PATH,
						       manager, i ? "Watch" : "Unwatch");
			if (i)
				sd_bus_message_append(m, "s", "{\"vm\": 23}");
			sd_bus_message_set_expect_reply(m, 0);
			sd_bus_send(buses[0], m, NULL);
		}
		sd_bus_flush(buses[0]);
		/* merlond has both: it answers in order. */
		call_now(root, &call, MERLON_PATH, manager, "ListVms", "");
	}
	exact(&of_root, 18000, "a neighbour that reads");
	/* Where an allowance came back by Unwatch, it would be three times as much. */
	read_signals(buses[0], &had, UINT64_MAX, 2000);
	ok(had.events > 0 && had.events <= 4096 + 512, "unread stays unread by Unwatch: %" PRIu64,
	   had.events);
	for (int i = 0; i < CONNECTIONS; i++)
		sd_bus_flush_close_unref(buses[i]);
}

static void introspect(sd_bus *bus, int n)
{
	for (int i = 0; i < n; i++) {
		_cleanup_message_ sd_bus_message *m = NULL;
		uint64_t cookie;

		sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, MERLON_PATH,
					       "org.freedesktop.DBus.Introspectable", "Introspect");
		/* Without a cookie it would say that it wants no answer. */
		sd_bus_send(bus, m, &cookie);
	}
	sd_bus_flush(bus);
}

/*
 * Two connections that call and do not read: more answers than the bus takes from merlond,
 * 127 MiB, if it gave them all.  One that reads has each of its answers, however many.
 */
static void answers_unread(void)
{
	enum { ROUNDS = 400, CALLS = 100 };
	_cleanup_bus_ sd_bus *root = connect_bus(), *reads = connect_as(STRANGER);
	sd_bus *stuck[] = { connect_as(STRANGER), connect_as(STRANGER) };
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_close_ int fd = reader_open(root, "{}");
	unsigned int served = 0, of_reader = 0;
	const char *xml = "";
	struct call call;

	ok(reader_next(fd, 20000) > 0, "a stream");
	for (int i = 0; i < ROUNDS; i++) {
		introspect(stuck[i % 2], CALLS);
		if (!call_now(root, &call, MERLON_PATH, manager, "ListVms", ""))
			break;
		served++;
		of_reader += sd_bus_call_method(reads, MERLON_BUS_NAME, MERLON_PATH,
						"org.freedesktop.DBus.Introspectable", "Introspect",
						NULL, reply ? NULL : &reply, "") >= 0;
	}
	if (reply)
		sd_bus_message_read(reply, "s", &xml);
	ok(strlen(xml) * ROUNDS * CALLS > 133169152UL, "%zu bytes, %d times", strlen(xml),
	   ROUNDS * CALLS);
	ok(served == ROUNDS, "while answers are not read root is served: %u times", served);
	ok(of_reader == ROUNDS, "and a user who reads: %u times", of_reader);
	fake("violation 24 0x6000 1");
	ok(reader_next(fd, 20000) > 0 && strstr(packet, "0x6000"), "events come");
	/* Until what waited has its answers the bus lets it make no more calls. */
	for (int i = 0; i < 500; i++) {
		if (call_now(stuck[0], &call, MERLON_PATH, "org.freedesktop.DBus.Peer", "Ping", ""))
			break;
		usleep(20000);
	}
	ok(!*call.name, "who reads in the end is served again: %s", call.message);
	for (int i = 0; i < 2; i++)
		sd_bus_flush_close_unref(stuck[i]);
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	/* Freed memory is to be free, or a flood would look like a leak. */
	setenv("ASAN_OPTIONS", "quarantine_size_mb=1", 1);
	harness_start("");
	for (uint64_t i = 0; i < VMS; i++)
		vm_add(FIRST_VM + i, 0, NULL, NULL);
	million();
	end_found();
	flood_of_calls();
	windows();
	answers_unread();
	return harness_end();
}
