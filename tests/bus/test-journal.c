// SPDX-License-Identifier: GPL-2.0-or-later
/* merlond as a service: its entries at a socket in the place of the journal's. */
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "harness.h"

#define ID_VIOLATION "5a1cdfb0eec948cea546a9ed9a5434c9"

static char entry[65536];
static int journal = -EBADF;

/* In a mount namespace of our own: the host's journal gets nothing of this. */
static bool replace_journal(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX,
				  .sun_path = "/run/systemd/journal/socket" };
	int size = 1 << 20;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 || mkdir("/run/systemd", 0755) < 0 ||
	    mkdir("/run/systemd/journal", 0755) < 0)
		return false;
	journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(journal, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	return journal >= 0 && bind(journal, (struct sockaddr *)&sa, sizeof(sa)) == 0;
}

/* What systemd tells a service whose stderr is the journal. */
static void be_a_service(void)
{
	char path[128], value[64];
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	snprintf(path, sizeof(path), "%s/merlond.log", harness_dir());
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	snprintf(value, sizeof(value), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", value, 1);
}

/* The next entry; its fields are lines, as none of ours has a newline in it. */
static bool next(int ms)
{
	struct pollfd p = { .fd = journal, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return false;
	n = recv(journal, entry, sizeof(entry) - 1, 0);
	entry[n < 0 ? 0 : n] = '\0';
	return n > 0;
}

static bool find(const char *text, int ms)
{
	while (next(ms))
		if (strstr(entry, text))
			return true;
	return false;
}

static void flood(void)
{
	unsigned int n = 0;

	fake("violation 18 0x2000 1 n=10000");
	while (next(1500))
		n += strstr(entry, "MERLON_VM=18\n") && strstr(entry, ID_VIOLATION);
	/* Another entry may have come free while it ran. */
	ok(n >= 1 && n <= 25, "of 10,000 violations of one VM few have an entry: %u", n);
	fake("violation 17 0x3000 1");
	ok(find("MERLON_GPA=0x3000\n", 20000) && strstr(entry, "MERLON_VM=17\n"),
	   "the other VM has its own");
	fake("gone 18");
	ok(find("MERLON_FOLDED=", 20000) && strstr(entry, "MERLON_VM=18\n"),
	   "those without one are counted") || (note("%s", entry), true);
}

/* Nobody reads the socket: its queue is full, and merlond goes on. */
static void stuck(void)
{
	struct run r;

	while (next(200))
		;
	for (int i = 0; i < 100; i++) {
		vm_add(100 + (uint64_t)i, 0, NULL, NULL);
		fake("violation %d 0x4000 1 n=25", 100 + i);
	}
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "degraded: journal-lost", "journald takes nothing: merlond goes on, and says so");
	while (next(200))
		;
	fake("violation 17 0x5000 1");
	ok(find("MERLON_GPA=0x5000\n", 20000), "when journald reads again it gets entries") ||
		(note("%s", entry), true);
	/* With the tick: each half minute. */
	ok(find("MESSAGE=No longer degraded: journal-lost.\n", 100000), "and the reason goes");
}

int main(int argc, char **argv)
{
	struct run r;

	harness_init(argc, argv);
	if (!ok(replace_journal(), "a socket in the journal's place"))
		return harness_end();
	be_a_service();
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, 0, "%n\x1b\n", NULL);
	ok(find("MERLON_KIND=vm-created\n", 20000) && strstr(entry, "MERLON_VM=17\n") &&
	   strstr(entry, "MERLON_VM_NAME=web-1\n"), "an entry for a new VM") ||
		(note("%s", entry), true);
	ok(find("MERLON_VM=18\n", 20000) && strstr(entry, "MERLON_VM_NAME=%n\\x1b\\x0a\n"),
	   "a stranger's name is escaped, and no format") || (note("%s", entry), true);
	run_merlon(&r, "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", NULL);
	ok(find("MERLON_KIND=rule-set\n", 20000) && strstr(entry, "MERLON_RULE=idt\n"), "of a rule");
	fake("violation 17 0x1e0088 1");
	ok(find("MESSAGE_ID=" ID_VIOLATION "\n", 20000) &&
	   strstr(entry, "MERLON_GPA=0x1e0088\n") && strstr(entry, "MERLON_RULE=idt\n") &&
	   strstr(entry, "PRIORITY=4\n"), "of a violation") || (note("%s", entry), true);
	ok(!harness_logged("0x1e0088"), "which is no line of the log as well");
	/* Losses are looked for a second later. */
	fake("violation 17 0x9000 1 n=3 less=8");
	ok(find("MERLON_REASON=events-lost\n", 20000) && strstr(entry, "MERLON_DEGRADED=1\n") &&
	   strstr(entry, "MESSAGE_ID=79f16b983e5a4145986ac4a7ac3bd3fe\n"),
	   "of a reason for Degraded") || (note("%s", entry), true);
	flood();
	stuck();
	return harness_end();
}
