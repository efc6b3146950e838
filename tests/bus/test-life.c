// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlond comes and goes: what stays in force, what is found again, and what
 * status says when not all is well.
 */
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"

static struct run r;

static char *state_path(void)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/run/state.json", harness_dir());
	return path;
}

static void write_state(const char *text)
{
	FILE *f = fopen(state_path(), "we");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

/* A boolean of merlond's own time. */
static bool status_has(void *text)
{
	run_merlon(&r, "status", NULL);
	return strstr(r.out, text) != NULL;
}

static bool status_lacks(void *text)
{
	run_merlon(&r, "status", NULL);
	return !strstr(r.out, text);
}

static void killed(void)
{
	run_merlon(&r, "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", "--action=skip", "--on-reset=keep", NULL);
	run_merlon(&r, "protect", "web-1", "--name=ops", "--gpa=0x200080", "--length=128",
		   "--write=deny", "--mode=monitor", NULL);
	ok(harness_kill(SIGKILL) == 128 + SIGKILL, "merlond is killed");
	harness_start_daemon();
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied"), "the denied write stays denied");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "idt", "after a restart the rule has its name");
	ok(strstr(r.out, "gpa 0x1e0000 length 4K") && strstr(r.out, "write -> skip") &&
	   strstr(r.out, "on-reset keep"), "and its contents") || (note("%s", r.out), true);
	ok(strstr(r.out, "ops") && strstr(r.out, "monitor"), "so has the other");
	run_merlon(&r, "protect", "web-1", "--name=third", "--gpa=0x5000", "--length=4K",
		   "--write=deny", NULL);
	ran(&r, 0, "is set", "a new rule gets an id of its own");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied") &&
	   startswith(fake("write 17 0x5000 8"), "ok denied"), "and replaces none");
	run_merlon(&r, "unprotect", "web-1", "third", NULL);
}

static void stopped(void)
{
	_cleanup_free_ char *log = NULL;

	ok(harness_kill(SIGTERM) == 0, "SIGTERM ends merlond");
	log = harness_log();
	ok(strstr(log, "2 rules of 1 VMs stay in force") != NULL, "whose last line says what stays") ||
		(note("%s", log), true);
	run_merlon(&r, "status", NULL);
	ran(&r, 8, "systemctl start merlond", "merlon cannot reach it: 8");
	harness_start_daemon();
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied"), "enforcement went on");
}

static void state_lost(const char *text, const char *what, bool damaged)
{
	harness_kill(SIGKILL);
	write_state(text);
	harness_start_daemon();
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied"), "%s: the write stays denied", what);
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "degraded: orphan-rules", "%s: status exits 3", what);
	ok(strstr(r.out, "orphan rule 1") && strstr(r.out, "'merlon clear'"),
	   "orphans are listed, with what to do") || (note("%s", r.out), true);
	ok(!strstr(r.out, "state-lost") == !damaged, "%s state.json is %sreported", what,
	   damaged ? "" : "not ");
	run_merlon(&r, "status", "--json", NULL);
	ran(&r, 3, "\"degraded\":[\"", "status --json, too");
}

static void states(void)
{
	char bad[160];

	state_lost("{\"version\":1,\"boot-id\":\"00000000-0000-0000-0000-000000000000\",\"vms\":[]}",
		   "another boot's", false);
	state_lost("{\"version\":1,\"boot-id\":", "cut off", true);
	state_lost("[1,2,3]", "foreign", true);
	snprintf(bad, sizeof(bad), "%s.bad", state_path());
	ok(access(bad, F_OK) == 0, "it is set aside as .bad");

	run_merlon(&r, "clear", NULL);
	ran(&r, 0, "dropped", "clear drops orphans");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok allowed"), "they are gone from the kernel");
	ok(eventually(status_lacks, "orphan"), "and status no longer speaks of them");
}

static void resets(void)
{
	run_merlon(&r, "protect", "web-1", "--name=soft", "--gpa=0x6000", "--length=4K",
		   "--write=deny", NULL);
	run_merlon(&r, "protect", "web-1", "--name=hard", "--gpa=0x7000", "--length=4K",
		   "--write=deny", "--on-reset=keep", NULL);
	fake("reset 17");
	ok(startswith(fake("write 17 0x6000 8"), "ok allowed"), "a reset disarms a rule");
	ok(startswith(fake("write 17 0x7000 8"), "ok denied"), "unless it is to be kept");
	ok(eventually(status_has, "disarmed"), "status shows which");
	ok(strstr(r.out, "resets 1") != NULL, "and counts resets");
	run_merlon(&r, "unprotect", "web-1", "--all", NULL);
}

static void floods(void)
{
	run_merlon(&r, "protect", "web-1", "--name=x", "--gpa=0x1000", "--length=4K",
		   "--write=deny", NULL);
	fake("violation 17 0x1000 1 n=60000");
	ok(eventually(status_has, "events lost"), "a flood's lost events are counted");
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "web-1", "and merlond answers");
	run_merlon(&r, "unprotect", "web-1", "--all", NULL);
}

static void other_vms(void)
{
	fake("vm 40 %d pending", (int)vmm_start(0, "late", NULL));
	ok(eventually(status_has, "late"), "a VM that waits for admission is seen");
	run_merlon(&r, "list", "--json", NULL);
	ok(!strstr(r.out, "\"pending\""), "and admitted") || (note("%s", r.out), true);

	fake("vm 41 %d unsupported", (int)vmm_start(0, "sev", NULL));
	ok(eventually(status_has, "unsupported"), "a VM that cannot be protected is shown as that");
	run_merlon(&r, "protect", "sev", "--name=x", "--gpa=0x1000", "--length=4K", "--write=deny",
		   NULL);
	ran(&r, 6, "", "protect of it is 6");

	fake("kill 40");
	run_merlon(&r, "status", "late", NULL);
	ok(strstr(r.out, "dead") != NULL, "a VM that a rule killed is dead") ||
		(note("%s%s", r.out, r.err), true);
	fake("gone 40");
	ok(eventually(status_lacks, "late"), "one that ended is gone");

	fake("control-lost 3");
	fake("vm 42 %d", (int)vmm_start(0, "unheard", NULL));
	ok(eventually(status_has, "unheard"), "lost records do not hide a VM");
}

static void second_daemon(void)
{
	char runtime[128], script[128];
	pid_t pid = fork();

	snprintf(runtime, sizeof(runtime), "--runtime-dir=%s/run2", harness_dir());
	snprintf(script, sizeof(script), "--fake-kernel=%s/script", harness_dir());
	if (pid == 0) {
		freopen("/dev/null", "w", stderr);
		execl(".build/merlond-fake", "merlond-fake", "--bus=system", runtime, script, NULL);
		_exit(99);
	}
	ok(wait_exit(pid, 20) == 1, "a second merlond does not get the name");
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "web-1", "and the first one serves on");
}

static void wrong_usage(void)
{
	static const char *const options[] = { "--admission=ajar", "--frob", "operand" };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		pid_t pid = fork();

		if (pid == 0) {
			freopen("/dev/null", "w", stderr);
			execl(".build/merlond-fake", "merlond-fake", options[i], NULL);
			_exit(99);
		}
		ok(wait_exit(pid, 20) == 2, "merlond %s: exit 2", options[i]);
	}
}

static void no_support(void)
{
	static const char *const verbs[][6] = {
		{ "list" }, { "watch" }, { "clear" }, { "unprotect", "#17", "x" },
		{ "engine", "#17", "software" }, { "isolation", "status" },
		{ "isolation", "kick", "#17", "never" },
		{ "protect", "#17", "--name=x", "--gpa=0x1000", "--length=4K", "--write=deny" },
	};
	char path[128];

	harness_kill(SIGTERM);
	snprintf(path, sizeof(path), "%s/run/fake-kernel.state", harness_dir());
	unlink(path);
	harness_start("absent this kernel has no hooks\n");
	run_merlon(&r, "probe", NULL);
	ran(&r, 6, "cannot protect guests", "probe without support is 6");
	ok(strstr(r.out, "missing") && strstr(r.out, "this kernel has no hooks"),
	   "and says what is missing") || (note("%s", r.out), true);
	ok(strstr(r.out, "isolation    absent: this kernel does not protect guests\n"),
	   "isolation, too") || (note("%s", r.out), true);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *const *v = verbs[i];

		run_merlon(&r, v[0], v[1], v[2], v[3], v[4], v[5], NULL);
		ran(&r, 6, "merlon probe", "%s without support is 6, with a hint", v[0]);
	}
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "degraded: no-kernel-support", "status exits 3");
	run_merlon(&r, "status", "--json", NULL);
	ran(&r, 3, "{\"degraded\":[\"no-kernel-support\"],\"vms\":[]}\n", "as JSON, too");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	killed();
	stopped();
	states();
	resets();
	floods();
	other_vms();
	second_daemon();
	wrong_usage();
	no_support();
	return harness_end();
}
