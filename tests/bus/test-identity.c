// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who a VM is when merlond was restarted meanwhile, and what its rules claim when merlond died
 * while it set them.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness.h"

static struct run r;

#define POLICY(vm, gpa) "{\"match\":{\"vm\":\"" vm "\"},\"rules\":[{\"name\":\"a\",\"gpa\":\"" gpa \
	"\",\"length\":\"8K\",\"write\":\"deny\",\"arm\":\"now\"}]}"

static const char *path_of(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", harness_dir(), file);
	return path;
}

static void put(const char *file, const char *text)
{
	FILE *f = fopen(path_of(file), "we");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		note("cannot write %s", path_of(file));
	chmod(path_of(file), 0644);
}

static bool is_denied(uint64_t vm, uint64_t gpa)
{
	return startswith(fake("write %" PRIu64 " %#" PRIx64 " 8", vm, gpa), "ok denied");
}

static void restart(void)
{
	harness_kill(SIGKILL);
	harness_start_daemon();
}

static bool is_listed(void *name)
{
	run_merlon(&r, "list", NULL);
	return strstr(r.out, name) != NULL;
}

/* A VMM that becomes another program, in the same process: /proc tells its new words. */
static pid_t changing_vmm(int *ret_go)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		dup2(fds[0], 0);
		close(fds[1]);
		execl("/bin/sh", "sh", "-c", "read x; exec sh -c 'read x' -name db-1 -uuid "
		      "22222222-0000-4000-8000-000000000000", "-name", "web-1", NULL);
		_exit(99);
	}
	close(fds[0]);
	*ret_go = fds[1];
	/* Until it is the shell that was asked for. */
	for (;;) {
		char path[64];
		FILE *f;
		bool there = false;

		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		f = fopen(path, "re");
		if (f) {
			there = fgetc(f) == 's' && fgetc(f) == 'h' && fgetc(f) == '\n';
			fclose(f);
		}
		if (there)
			break;
		usleep(1000);
	}
	return pid;
}

static bool has_changed(void *pid)
{
	char path[64], words[256] = "";
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)(intptr_t)pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	n = fread(words, 1, sizeof(words) - 1, f);
	fclose(f);
	return memmem(words, n, "db-1", 4) && !memmem(words, n, "exec", 4);
}

static void names(void)
{
	int go = -1;
	pid_t pid;

	put("etc/web.json", POLICY("web-*", "0x1000"));
	put("etc/db.json", POLICY("db-*", "0x8000"));
	run_merlon(&r, "policy", "reload", NULL);
	pid = changing_vmm(&go);
	fake("vm 1 %d", (int)pid);
	ok(eventually(is_listed, "web-1"), "a VM") || (note("%s", r.out), true);
	ok(is_denied(1, 0x1000) && !is_denied(1, 0x8000), "has its policy");
	if (write(go, "x\n", 2) != 2)
		note("the VMM is not told");
	ok(eventually(has_changed, (void *)(intptr_t)pid), "its VMM calls it otherwise");
	restart();
	run_merlon(&r, "list", NULL);
	ok(strstr(r.out, "web-1") && !strstr(r.out, "db-1"), "it is who it was after a restart") ||
		(note("%s", r.out), true);
	run_merlon(&r, "policy", "reload", NULL);
	ok(is_denied(1, 0x1000) && !is_denied(1, 0x8000), "and has the same policy");
	vm_add(2, 0, "db-1", NULL);
	ok(is_denied(2, 0x8000) && !is_denied(2, 0x1000), "while who really is the other has its own");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(go);
	restart();
	run_merlon(&r, "list", NULL);
	ok(strstr(r.out, "web-1") != NULL, "also when its process is gone") ||
		(note("%s", r.out), true);
}

static void hollow(void)
{
	run_merlon(&r, "protect", "db-1", "--name=mine", "--gpa=0x20080", "--length=256",
		   "--write=deny", NULL);
	ok(is_denied(2, 0x20080), "a rule of nobody's policy");
	fake("unclaim 1 1");
	fake("unclaim 2 2");
	ok(!is_denied(1, 0x1000) && !is_denied(2, 0x20080), "rules that claim nothing");
	restart();
	ok(is_denied(1, 0x1000) && is_denied(1, 0x2000), "a policy's is mended at start");
	ok(is_denied(2, 0x20080) && is_denied(2, 0x20100) && !is_denied(2, 0x20000),
	   "so is another, as it was");
	ok(harness_logged("did not claim what it is to") == 2, "which is logged") ||
		(note("%s", harness_log()), true);
	fake("calls 1");
	restart();
	ok(streq(fake("calls 1"), "ok"), "what is whole is not touched");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	mkdir(path_of("etc"), 0755);
	harness_start("");
	names();
	hollow();
	return harness_end();
}
