// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon events: what merlond writes to a journald of this test's own, read back. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "harness.h"

#define JOURNALD "/lib/systemd/systemd-journald"
#define MACHINE_ID "/etc/machine-id"

static struct run r;
static pid_t journald;

/* Where the host's journal, and what is in it, is out of sight. */
static bool hide_journal(void)
{
	struct stat st;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/run", "tmpfs", 0, "mode=755") < 0 ||
	    mount("tmpfs", "/var/log", "tmpfs", 0, "mode=755") < 0 ||
	    mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0 ||
	    mkdir("/run/log", 0755) < 0 || mkdir("/run/log/journal", 0755) < 0)
		return false;
	/* A machine that was never booted has none. */
	if (stat(MACHINE_ID, &st) < 0 || st.st_size == 0) {
		FILE *f = fopen("/run/machine-id", "we");

		if (!f || fputs("9f1c0f6a5b7e4a5f8d3c2b1a09f8e7d6\n", f) < 0 || fclose(f) != 0)
			return false;
		if (mount("/run/machine-id", MACHINE_ID, NULL, MS_BIND, NULL) < 0)
			return false;
	}
	return true;
}

static bool has_socket(void *userdata)
{
	(void)userdata;
	return access("/run/systemd/journal/socket", F_OK) == 0 &&
	       access("/run/systemd/journal/stdout", F_OK) == 0;
}

static void start_journald(void)
{
	journald = fork();
	if (journald == 0) {
		int null = open("/dev/null", O_RDWR);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execl(JOURNALD, JOURNALD, (char *)NULL);
		_exit(99);
	}
	ok(journald > 0 && eventually(has_socket, NULL), "a journald of our own");
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

static bool has(void *text)
{
	run_merlon(&r, "events", NULL);
	return r.exit == 0 && strstr(r.out, text);
}

static unsigned int lines(void)
{
	unsigned int n = 0;

	for (const char *p = r.out; *p; p++)
		n += *p == '\n';
	return n;
}

static void without(void)
{
	run_merlon(&r, "events", NULL);
	ran(&r, 1, "no journal", "without a journal it says so");
	ok(strstr(r.err, "merlon watch") != NULL, "and what can be done");
}

static void shows(void)
{
	_cleanup_json_ struct json_object *o = NULL;

	fake("violation 17 0x1e0088 1");
	ok(eventually(has, "gpa 0x1e0088"), "an event from the journal") ||
		(note("%s%s", r.out, r.err), true);
	ok(strstr(r.out, "#17") && strstr(r.out, "web-1") && strstr(r.out, "#18"), "of all VMs") ||
		(note("%s", r.out), true);
	run_merlon(&r, "events", "--kind=violation", "--json", NULL);
	ok(lines() == 1 && json_parse(r.out, strlen(r.out), &o) >= 0 &&
	   json_get_u64(o, "vm", 0) == 17 && streq(json_get_string(o, "name", ""), "web-1") &&
	   streq(json_get_string(o, "gpa", ""), "0x1e0088") &&
	   streq(json_get_string(o, "rule", ""), "idt") &&
	   json_object_object_get_ex(o, "user", NULL) && strlen(json_get_string(o, "boot", "")) == 32 &&
	   strchr(json_get_string(o, "realtime", ""), 'T'), "as JSON, with its types") ||
		(note("%s", r.out), true);
}

static void chooses(void)
{
	run_merlon(&r, "events", "web-1", NULL);
	ok(r.exit == 0 && strstr(r.out, "web-1") && !strstr(r.out, "#18"), "one VM, by its name") ||
		(note("%s%s", r.out, r.err), true);
	run_merlon(&r, "events", "#18", NULL);
	ok(r.exit == 0 && strstr(r.out, "#18") && !strstr(r.out, "web-1"), "or its id") ||
		(note("%s%s", r.out, r.err), true);
	run_merlon(&r, "events", "--rule=idt", NULL);
	ok(r.exit == 0 && strstr(r.out, "idt") && !strstr(r.out, "vm-created"), "one rule") ||
		(note("%s", r.out), true);
	run_merlon(&r, "events", "--rule=none", NULL);
	ok(r.exit == 0 && !*r.out, "and none of another");
	run_merlon(&r, "events", "-n", "1", NULL);
	ok(r.exit == 0 && lines() == 1 && strstr(r.out, "0x1e0088"), "the last one") ||
		(note("%s", r.out), true);
	run_merlon(&r, "events", "--lines=2", "--kind=vm-created", NULL);
	ok(r.exit == 0 && lines() == 2 && strstr(r.out, "#17") && strstr(r.out, "#18"),
	   "the last two of a kind") || (note("%s", r.out), true);
	run_merlon(&r, "events", "--since=-1h", NULL);
	ok(r.exit == 0 && strstr(r.out, "0x1e0088"), "of the last hour");
	run_merlon(&r, "events", "--until=-1h", NULL);
	ok(r.exit == 0 && !*r.out, "and none from before it") || (note("%s", r.out), true);
	run_merlon(&r, "events", "--since=@4102444800", NULL);
	ok(r.exit == 0 && !*r.out, "nor from the future");
}

/* A stranger's entry, made to look like merlond's. */
static void forged(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setresuid(STRANGER, STRANGER, STRANGER) < 0)
			_exit(1);
		_exit(sd_journal_send("MESSAGE=x", "MESSAGE_ID=5a1cdfb0eec948cea546a9ed9a5434c9",
				      "MERLON_KIND=violation", "MERLON_VM=17", "MERLON_NAME=web-1",
				      "MERLON_GPA=0xbad000", "MERLON_RULE=idt", (char *)NULL) < 0);
	}
	ok(wait_exit(pid, 20) == 0, "a stranger writes an entry like merlond's");
	fake("violation 17 0x1e0090 1");
	ok(eventually(has, "0x1e0090"), "one of merlond's that came later is there");
	ok(!strstr(r.out, "0xbad000"), "and the stranger's is not") || (note("%s", r.out), true);
	run_merlon_as(&r, STRANGER, NULL, "events", NULL);
	ran(&r, 4, "group systemd-journal", "who may not read the journal is told what it takes");
}

static void follows(void)
{
	_cleanup_close_ int out = -EBADF;
	char line[4096] = "";
	bool seen = false;
	pid_t pid;

	pid = start_merlon(&out, "events", "-f", "--kind=violation", NULL);
	ok(read_line(out, line, sizeof(line), 20) && strstr(line, "0x1e0088"), "-f begins with the last");
	fake("violation 17 0x1e00a0 1");
	while (!seen && read_line(out, line, sizeof(line), 30))
		seen = strstr(line, "0x1e00a0") != NULL;
	ok(seen, "and goes on with those to come");
	kill(pid, SIGINT);
	ok(wait_exit(pid, 20) == 130, "until SIGINT, which is 130");
}

static void usage(void)
{
	static const char *const bad[] = {
		"--since=soon", "--since=-5x", "--until=2026-02-31", "--since=25:00", "--lines=0",
		"--lines=x", "--kind=odd", "--since=-", "--since=@", "--since=2026-01-01 10",
	};
	static const char *const good[] = {
		"--since=2026-01-01", "--since=2026-01-01 10:11", "--since=2026-01-01 10:11:12",
		"--since=00:00", "--since=today", "--since=yesterday", "--since=-90s", "--since=@1",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		run_merlon(&r, "events", bad[i], NULL);
		ran(&r, 2, "expected", "%s is refused", bad[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		run_merlon(&r, "events", good[i], NULL);
		ran(&r, 0, "", "%s is taken", good[i]);
	}
	run_merlon(&r, "events", "-f", "--until=now", NULL);
	ran(&r, 2, "--until", "to the end of time and not further");
	run_merlon(&r, "events", "--since=now", "--until=-1h", NULL);
	ran(&r, 2, "before --since", "an end before the beginning");
	run_merlon(&r, "events", "--host=a", NULL);
	ran(&r, 2, "not for --host", "the journal is this host's");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	if (!ok(hide_journal(), "the host's journal is out of sight"))
		return harness_end();
	without();
	start_journald();
	be_a_service();
	harness_start("");
	vm_add(17, 0, "guest=web-1", NULL);
	vm_add(18, 0, "%n\x1b\n", NULL);
	run_merlon(&r, "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", NULL);
	shows();
	chooses();
	forged();
	follows();
	usage();
	kill(journald, SIGTERM);
	(void)wait_exit(journald, 20);
	return harness_end();
}
