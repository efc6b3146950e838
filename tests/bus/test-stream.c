// SPDX-License-Identifier: GPL-2.0-or-later
/* Subscribe: what a stream carries, whom it costs what, and when it ends. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "reader.h"

#define VMS 10
#define FIRST_VM 21

static pid_t merlond;

/* What a reader has had. */
struct had {
	unsigned int violations;
	unsigned int others;
	uint64_t lost;
	uint64_t seq[VMS];	/* the next one's, by the VM */
	bool disorder;		/* one came twice, or out of order, or was skipped */
};

static void take(struct had *had)
{
	_cleanup_json_ struct json_object *o = NULL;
	uint64_t vm, seq;

	if (json_parse(packet, strlen(packet), &o) < 0) {
		had->disorder = true;
		return;
	}
	vm = json_get_u64(o, "vm", 99);
	seq = json_get_u64(o, "seq", 0);
	if (streq(json_get_string(o, "kind", ""), "lost") && vm == 0) {
		had->lost += json_get_u64(o, "count", 0);
		/* They stand where they were: nobody knows the next number now. */
		memset(had->seq, 0, sizeof(had->seq));
	} else if (streq(json_get_string(o, "kind", ""), "violation") && vm >= FIRST_VM &&
		   vm < FIRST_VM + VMS) {
		uint64_t *expected = &had->seq[vm - FIRST_VM];

		had->disorder |= *expected && *expected != seq;
		*expected = seq + 1;
		had->violations++;
	} else {
		had->others++;
	}
}

/* Reads until so many violations were there or lost, or nothing comes for some time. */
static void read_until(int fd, struct had *had, uint64_t n)
{
	while (had->violations + had->lost < n && reader_next(fd, 20000) > 0)
		take(had);
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;
	char path[64];
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", merlond);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static bool has_fds(void *userdata)
{
	return count_fds() <= *(unsigned int *)userdata;
}

static void one(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_close_ int all = reader_open(bus, "{}"), other = reader_open(bus, "{\"vm\":22}");
	_cleanup_json_ struct json_object *o = NULL;
	int type = 0;
	socklen_t size = sizeof(type);

	ok(all >= 0 && other >= 0, "a connection may have two streams");
	getsockopt(all, SOL_SOCKET, SO_TYPE, &type, &size);
	ok(type == SOCK_SEQPACKET, "sockets of packets");
	ok(reader_next(all, 20000) > 0 && json_parse(packet, strlen(packet), &o) == 0 &&
	   streq(json_get_string(o, "stream", ""), "org.merlon1.events") &&
	   json_get_u64(o, "version", 0) == 1 && json_get_u64(o, "vm", 99) == 0 &&
	   json_get_array(o, "kinds") && strstr(packet, "\"violation\""), "the first is a hello") ||
		(note("%s", packet), true);
	ok(reader_next(other, 20000) > 0 && strstr(packet, "\"vm\":22"), "which says the filter");

	fake("violation 21 0x21000 1");
	fake("violation 22 0x22000 1");
	ok(reader_next(all, 20000) > 0 && strstr(packet, "\"0x21000\"") && strstr(packet, "\"vm\":21"),
	   "an event");
	ok(reader_next(all, 20000) > 0 && strstr(packet, "\"0x22000\""), "and the next, in order");
	ok(reader_next(all, 200) == -1, "once");
	ok(reader_next(other, 20000) > 0 && strstr(packet, "\"0x22000\""), "the filter: this VM's");
	ok(reader_next(other, 200) == -1, "and no other's");

	ok(send(all, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE, "nobody may write to it");
	fake("violation 21 0x21008 1");
	ok(reader_next(all, 20000) > 0 && strstr(packet, "\"0x21008\""), "it goes on all the same");
}

static void refused(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();

	ok(reader_open(bus, "{\"vm\":99}") < 0 && strstr(packet, "NoSuchVm"), "of no such VM");
	ok(reader_open(bus, "[]") < 0 && strstr(packet, "InvalidArgs"), "of what is no filter");
}

static void name_leaves(void)
{
	sd_bus *bus = connect_bus();
	_cleanup_bus_ sd_bus *stays = connect_bus();
	_cleanup_close_ int fd = reader_open(bus, "{}"), other = reader_open(stays, "{}");

	ok(reader_next(fd, 20000) > 0 && reader_next(other, 20000) > 0, "two connections' streams");
	sd_bus_flush_close_unref(bus);
	ok(reader_next(fd, 20000) == 0, "one ends when its connection leaves, whoever still has it");
	fake("violation 21 0x21010 1");
	ok(reader_next(other, 20000) > 0 && strstr(packet, "\"0x21010\""), "the other does not");
}

static void flood(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_close_ int fast = reader_open(bus, "{}"), stopped = reader_open(bus, "{}");
	struct had a = {}, b = {};
	unsigned long before, after;
	unsigned int sent = 0;

	ok(reader_next(fast, 20000) > 0 && reader_next(stopped, 20000) > 0, "a reader, and one that stops");
	before = merlond_resident();
	for (int round = 0; round < 10; round++)
		for (int vm = 0; vm < VMS; vm++) {
			fake("violation %d 0x2000 1 n=1000", FIRST_VM + vm);
			sent += 1000;
			read_until(fast, &a, sent);
		}
	after = merlond_resident();
	ok(a.violations == 100000 && a.lost == 0 && !a.disorder,
	   "the reader has each of 100,000 events once, in order: %u, lost %" PRIu64,
	   a.violations, a.lost);
	ok(after < before + 16384, "merlond's memory does not grow: %lu to %lu KiB", before, after);
	read_until(stopped, &b, sent);
	ok(b.lost > 0 && b.violations > 0 && b.violations + b.lost == 100000 && !b.disorder,
	   "the other is told exactly what it lost: %u and %" PRIu64, b.violations, b.lost);
	fake("violation 21 0x2008 1");
	read_until(stopped, &b, sent + 1);
	ok(b.violations + b.lost == sent + 1 && strstr(packet, "\"0x2008\""), "and gets events again");
}

static void come_and_go(void)
{
	unsigned int before = count_fds();
	unsigned int opened = 0;

	for (int i = 0; i < 200; i++) {
		sd_bus *bus = connect_bus();
		int fd = reader_open(bus, "{}");

		opened += fd >= 0;
		/* Some let go of the stream, some of the connection. */
		if (i % 2) {
			close(fd);
			sd_bus_flush_close_unref(bus);
		} else {
			sd_bus_flush_close_unref(bus);
			close(fd);
		}
	}
	ok(opened == 200, "200 subscribers come and go");
	ok(eventually(has_fds, &before), "and merlond has no more fds than before: %u", before);
}

static void limit(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	unsigned int before = count_fds();
	static int fds[1025];
	int n = 0;

	while (n < 1025 && (fds[n] = reader_open(bus, "{}")) >= 0)
		n++;
	ok(n == 1024 && strstr(packet, "LimitsExceeded") && strstr(packet, "1024 streams"),
	   "1,024 streams and no more: %d, %s", n, n < 1025 ? packet : "");
	while (n)
		close(fds[--n]);
	ok(eventually(has_fds, &before), "which are closed with their readers");
	fds[0] = reader_open(bus, "{}");
	ok(fds[0] >= 0, "and then there is room again");
	close(fds[0]);
}

static void restart(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_close_ int fd = reader_open(bus, "{}");

	ok(reader_next(fd, 20000) > 0, "a stream");
	harness_kill(SIGKILL);
	ok(reader_next(fd, 20000) == 0, "ends with merlond");
	harness_start_daemon();
}

int main(int argc, char **argv)
{
	struct rlimit files = { 8192, 8192 };

	harness_init(argc, argv);
	setrlimit(RLIMIT_NOFILE, &files);
	/* Freed memory is to be free, or a flood would look like a leak. */
	setenv("ASAN_OPTIONS", "quarantine_size_mb=1", 1);
	harness_start("");
	for (uint64_t i = 0; i < VMS; i++)
		vm_add(FIRST_VM + i, 0, NULL, NULL);
	merlond = merlond_pid();
	one();
	refused();
	name_leaves();
	flood();
	come_and_go();
	limit();
	restart();
	return harness_end();
}
