// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon watch: lines, JSON, filters, its ways to end, and merlond going away. */
#include <signal.h>
#include <sys/ioctl.h>

#include "harness.h"

static char line[65536];

/*
 * watch says nothing when it has subscribed: give it events until the first one
 * comes out.  False if none did.
 */
static bool wait_for_watch(int fd)
{
	static unsigned int frame = 0x1000;
	char gpa[32];

	/* An address of its own: what is left of an earlier wait is not an answer. */
	snprintf(gpa, sizeof(gpa), "0x%x", frame++ << 12);
	for (int i = 0; i < 100; i++) {
		for (unsigned int vm = 17; vm <= 18; vm++)
			fake("violation %u %s 1", vm, gpa);
		while (read_line(fd, line, sizeof(line), 0))
			if (strstr(line, gpa))
				return true;
		usleep(50000);
	}
	return false;
}

/* Reads lines until one has @text. */
static bool find_line(int fd, const char *text)
{
	while (read_line(fd, line, sizeof(line), 20))
		if (strstr(line, text))
			return true;
	return false;
}

static void lines(void)
{
	_cleanup_close_ int fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", NULL);

	ok(wait_for_watch(fd), "watch prints events");
	fake("violation 17 0x1e0088 1");
	ok(find_line(fd, "0x1e0088") && strstr(line, "#17 web-1 violation deny: write") &&
	   strstr(line, "rule idt"), "one readable line for an event") || (note("%s", line), true);
	fake("violation 18 0x7000 1");
	ok(find_line(fd, "0x7000") && strstr(line, "#18"), "of every VM");
	kill(pid, SIGINT);
	ok(wait_exit(pid, 20) == 130, "Ctrl-C: exit 130");
}

static void json(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_close_ int fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "--json", NULL);

	ok(wait_for_watch(fd), "watch --json prints events");
	fake("violation 17 0x1e0090 1");
	ok(find_line(fd, "0x1e0090") && json_parse(line, strlen(line), &o) == 0 &&
	   json_get_u64(o, "vm", 0) == 17 && streq(json_get_string(o, "name", ""), "web-1") &&
	   streq(json_get_string(o, "kind", ""), "violation") &&
	   streq(json_get_string(o, "access", ""), "write") &&
	   streq(json_get_string(o, "gpa", ""), "0x1e0090") &&
	   streq(json_get_string(o, "rule", ""), "idt") && json_get_u64(o, "rule-id", 0) == 1 &&
	   streq(json_get_string(o, "verdict", ""), "deny") && json_get_u64(o, "seq", 0) > 0 &&
	   json_get_u64(o, "time", 0) > 0, "one object on a line") || (note("%s", line), true);
	fake("reset 18");
	ok(find_line(fd, "\"vm-reset\"") && strstr(line, "\"generation\":1"), "a reset");
	kill(pid, SIGTERM);
	ok(wait_exit(pid, 20) == 130, "SIGTERM ends it as Ctrl-C does");
}

/* What an older program has left in the ring has not all that a violation has. */
static void older(void)
{
	_cleanup_close_ int fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "#19", "--json", NULL);
	bool told = false;
	struct run r;

	for (int i = 0; i < 100 && !told; i++) {
		fake("violation 19 0x1000 1");
		told = read_line(fd, line, sizeof(line), 0);
		usleep(told ? 0 : 50000);
	}
	ok(told, "watch of another VM");
	fake("violation 19 0xbad000 1 n=3 less=8");
	fake("violation 19 0x1008 1");
	told = false;
	do {
		if (!read_line(fd, line, sizeof(line), 20))
			break;
		told |= strstr(line, "0xbad000") != NULL;
	} while (!strstr(line, "0x1008"));
	ok(strstr(line, "0x1008") && !told, "records that are too short are not read") ||
		(note("%s", line), true);
	ok(find_line(fd, "\"lost\"") && strstr(line, "\"count\":3"), "but told as lost") ||
		(note("%s", line), true);
	run_merlon(&r, "status", "#19", NULL);
	ran(&r, 3, "events lost 3", "and counted");
	fake("violation 19 0x1010 1");
	ok(find_line(fd, "0x1010"), "one as long as it is to be");
	run_merlon(&r, "status", "#19", NULL);
	ran(&r, 3, "events lost 3", "is not");
	kill(pid, SIGTERM);
	wait_exit(pid, 20);
	fake("gone 19");
}

static void count(void)
{
	_cleanup_close_ int fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "#17", "--count=3", NULL);
	int n = 1;

	ok(wait_for_watch(fd), "watch VM --count");
	fake("violation 18 0xbad000 1 n=50");
	fake("violation 17 0x1000 1 n=10");
	while (read_line(fd, line, sizeof(line), 20)) {
		n++;
		if (strstr(line, "0xbad000"))
			n = 100;
	}
	ok(wait_exit(pid, 20) == 0 && n == 3, "ends after so many, of this VM alone: %d", n);
}

static void restart(void)
{
	_cleanup_close_ int fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "web-1", "--json", NULL);
	struct run r;

	ok(wait_for_watch(fd), "watch web-1");
	harness_kill(SIGKILL);
	run_merlon(&r, "list", NULL);
	ran(&r, 8, "systemctl start merlond", "without merlond: 8, with a hint");
	harness_start_daemon();
	ok(wait_for_watch(fd), "watch goes on when merlond is back");
	fake("violation 17 0x1e0098 1");
	ok(find_line(fd, "0x1e0098") && strstr(line, "\"rule\":\"idt\""),
	   "and merlond still knows the rule's name") || (note("%s", line), true);

	fake("gone 17");
	ok(find_line(fd, "\"vm-destroyed\""), "the VM's end is an event");
	ok(wait_exit(pid, 20) == 0, "after which nothing more can come: exit 0");
}

/* A watcher that was stopped, as Ctrl-Z does, costs nobody else anything. */
static void stopped(void)
{
	_cleanup_close_ int fd = -EBADF, other = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "--json", NULL), reader;
	bool again = false;
	struct run r;

	ok(wait_for_watch(fd), "a watcher that will stop");
	kill(pid, SIGSTOP);
	fake("violation 18 0x2000 1 n=15000");
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "#18", "while it is stopped, merlond answers");
	reader = start_merlon(&other, "watch", "--json", NULL);
	ok(wait_for_watch(other), "and another watcher gets events");
	kill(reader, SIGKILL);
	(void)wait_exit(reader, 20);
	kill(pid, SIGCONT);
	ok(find_line(fd, "\"lost\"") && strstr(line, "\"count\":"),
	   "when it goes on, it hears what it missed") || (note("%s", line), true);
	/* What is left of the flood may be too much for it once more. */
	for (int i = 0; i < 20 && !again; i++) {
		fake("violation 18 0x3008 1");
		for (int n = 0; n < 5000 && !again && read_line(fd, line, sizeof(line), 1); n++)
			again = strstr(line, "0x3008");
	}
	ok(again, "and then events again");
	kill(pid, SIGTERM);
	ok(wait_exit(pid, 20) == 130, "until it ends");
}

/* A reader that does not read: the pipe is full, and Ctrl-C works all the same. */
static void unread(void)
{
	_cleanup_close_ int fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "--json", NULL);
	int waiting = 0;

	ok(wait_for_watch(fd), "a watcher that nobody will read");
	for (int i = 0; i < 100 && waiting < 60000; i++) {
		fake("violation 18 0x2000 1 n=100");
		usleep(20000);
		ioctl(fd, FIONREAD, &waiting);
	}
	ok(waiting >= 60000, "fills its pipe: %d bytes", waiting);
	kill(pid, SIGTERM);
	ok(wait_exit(pid, 20) == 128 + SIGTERM, "and is ended by a signal");
}

/* A bus lets a connection have 512 matches, merlond too: it must not need one for each. */
static void crowd(void)
{
	enum { WATCHERS = 600 };
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus *watchers[WATCHERS];
	unsigned int n = 0;
	struct run r;
	int got = 0;

	for (unsigned int i = 0; i < WATCHERS; i++) {
		watchers[i] = connect_bus();
		n += sd_bus_call_method(watchers[i], MERLON_BUS_NAME, MERLON_PATH,
					MERLON_IFACE_MANAGER, "Watch", &error, NULL, "s", "{}") >= 0;
	}
	ok(n == WATCHERS, "%u connections watch: %s", n, error.message ?: "");
	fake("violation 17 0xc0de000 1");
	for (unsigned int i = 0; i < 200 && !got; i++) {
		sd_bus_message *m = NULL;

		while (sd_bus_process(watchers[WATCHERS - 1], &m) > 0 && !got) {
			got = m && sd_bus_message_is_signal(m, MERLON_IFACE_MANAGER, "Event");
			m = sd_bus_message_unref(m);
		}
		if (!got)
			(void)sd_bus_wait(watchers[WATCHERS - 1], 100000);
	}
	ok(got, "and the last of them has an event");
	for (unsigned int i = 0; i < WATCHERS; i++)
		sd_bus_flush_close_unref(watchers[i]);
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "web-1", "they leave, merlond does not");
}

static void no_bus(void)
{
	struct run r;

	run_merlon(&r, "watch", "#17", NULL);
	ran(&r, 5, "17", "watch of no such VM is 5");
	run_merlon(&r, "watch", "--bus=unix:path=/nonexistent", NULL);
	ran(&r, 8, "", "watch without a bus is 8");
}

int main(int argc, char **argv)
{
	struct run r;

	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, 0, "other", NULL);
	vm_add(19, 0, "older", NULL);
	run_merlon(&r, "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", NULL);
	lines();
	json();
	older();
	count();
	stopped();
	unread();
	crowd();
	restart();
	no_bus();
	return harness_end();
}
