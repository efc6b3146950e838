// SPDX-License-Identifier: GPL-2.0-or-later
/* Pinned bits that a CPU of the guest leaves clear: event, status, log. */
#include <signal.h>
#include <unistd.h>

#include "harness.h"

#define WP	"0x10000"
#define SMEP	"0x100000"
#define SMEP_SMAP "0x300000"
#define UMIP	"0x800"
#define NX	"0x800"

static struct run r;
static char line[65536];

static bool find_line(int fd, const char *text)
{
	while (read_line(fd, line, sizeof(line), 20))
		if (strstr(line, text))
			return true;
	return false;
}

static pid_t start_watch(int *ret_fd, const char *option)
{
	pid_t pid = start_merlon(ret_fd, "watch", "#17", option, NULL);
	bool told = false;

	for (int i = 0; i < 100 && !told; i++) {
		fake("violation 17 0x1000 99");
		told = read_line(*ret_fd, line, sizeof(line), 0);
		usleep(told ? 0 : 50000);
	}
	ok(told, "watch %s", option ?: "");
	return pid;
}

static bool status_has(const void *text)
{
	run_merlon(&r, "status", "web-1", NULL);
	return r.exit == 0 && strstr(r.out, text);
}

static bool status_will_have(void *text)
{
	return status_has(text);
}

static bool status_lacks(void *text)
{
	return !status_has(text) && r.exit == 0;
}

static void events(void)
{
	_cleanup_close_ int fd = -EBADF, json_fd = -EBADF;
	pid_t pid = start_watch(&fd, NULL), json_pid = start_watch(&json_fd, "--json");

	fake("unpinned 17 1 " WP " " SMEP_SMAP " " NX);
	ok(find_line(fd, " unpinned ") &&
	   strstr(line, "#17 web-1 unpinned cpu 1 has clear cr0 wp cr4 smep smap efer nx, "
			"rules all some"), "a readable line") || (note("%s", line), true);
	ok(find_line(json_fd, "\"unpinned\"") &&
	   strstr(line, "\"vcpu\":1,\"cr0\":[\"wp\"],\"cr4\":[\"smep\",\"smap\"],\"efer\":[\"nx\"],"
			"\"rules\":[\"all\",\"some\"]}"), "one object") || (note("%s", line), true);
	fake("unpinned 17 0 0 " UMIP " 0");
	ok(find_line(json_fd, "\"unpinned\"") &&
	   strstr(line, "\"vcpu\":0,\"cr4\":[\"umip\"],\"rules\":[\"some\"]}"),
	   "registers and rules that it is not about are left out") || (note("%s", line), true);
	fake("violation 17 0x5000 1");
	ok(find_line(json_fd, "0x5000") && !strstr(line, "\"rules\""),
	   "a violation has nothing of it") || (note("%s", line), true);
	fake("unpinned 17 2 0 " SMEP " 0");
	ok(find_line(fd, "cpu 2 has clear cr4 smep, rules all"), "the next one comes, too") ||
		(note("%s", line), true);

	ok(harness_logged("VM #17: cpu 1 runs and has pinned bits clear: cr0 wp, cr4 smep smap, efer nx "
		  "(rules all some)") == 1, "the log has it");
	ok(harness_logged("cpu 0 runs and has pinned bits clear: cr4 umip (rules some)") == 1,
	   "and what is new later");
	ok(harness_logged("cpu 2 runs") == 0, "but the same bit of another CPU only in events");
	kill(pid, SIGINT);
	kill(json_pid, SIGINT);
	wait_exit(pid, 20);
	wait_exit(json_pid, 20);
}

static void status(void)
{
	ok(status_has("    left clear on cpu 1: cr0 wp, cr4 smep smap, efer nx\n"
		      "    left clear on cpu 2: cr4 smep\n"), "status lists them") ||
		(note("%s", r.out), true);
	ok(strstr(r.out, "  some  pin cr4 smap umip -> deny") &&
	   strstr(r.out, "    left clear on cpu 1: cr4 smap\n"
			 "    left clear on cpu 0: cr4 umip\n"), "each rule's own") ||
		(note("%s", r.out), true);
	ok(!strstr(strstr(r.out, "  mem  ") ?: "left", "left"), "and none of a rule of memory") ||
		(note("%s", r.out), true);
	run_merlon(&r, "status", "web-1", "--json", NULL);
	ran(&r, 0, "\"left-clear\":[{\"vcpu\":1,\"cr4\":[\"smap\"]},"
		   "{\"vcpu\":0,\"cr4\":[\"umip\"]}],\"armed\":true", "so does its JSON");

	/* The guest has set some of them after all. */
	fake("cpu 17 1 0x80000011 0x100000 0x500");
	fake("cpu 17 2 0x80010011 0x300800 0xd00");
	ok(status_has("    left clear on cpu 1: cr0 wp, cr4 smap, efer nx\n") &&
	   !strstr(r.out, "cpu 2"), "what is set meanwhile is not listed") ||
		(note("%s", r.out), true);
	/* Registers of a nested guest say nothing. */
	fake("cpu 17 1 0x80010011 0x300800 0xd00 nested");
	ok(status_has("    left clear on cpu 1: cr0 wp, cr4 smap, efer nx\n"),
	   "while a nested guest runs, it stays as it was") || (note("%s", r.out), true);
	fake("cpu 17 1 0x80010011 0x300800 0xd00");
	fake("fail regs 110");
	ok(status_has("    left clear on cpu 1: cr0 wp, cr4 smap, efer nx\n"),
	   "so it does if the CPU does not answer") || (note("%s", r.out), true);
	ok(status_has("  all  pin") && !strstr(r.out, "cpu 1:"), "then all are set") ||
		(note("%s", r.out), true);
	ok(strstr(r.out, "left clear on cpu 0: cr4 umip"), "but for those of another CPU") ||
		(note("%s", r.out), true);
}

static void forgotten(void)
{
	unsigned int before = harness_logged("cpu 0 runs");

	run_merlon(&r, "unprotect", "web-1", "some", NULL);
	ok(status_has("  all  pin") && !strstr(r.out, "left clear"),
	   "bits that nobody pins any more are not listed") || (note("%s", r.out), true);
	fake("unpinned 17 0 0 " SMEP " 0");
	ok(eventually(status_will_have, "left clear on cpu 0: cr4 smep"), "those that somebody pins are") ||
		(note("%s", r.out), true);
	ok(harness_logged("cpu 0 runs") == before, "and not logged again");
	fake("reset 17");
	ok(eventually(status_lacks, "left clear"), "a reset forgets them") ||
		(note("%s", r.out), true);
	fake("unpinned 17 0 0 " SMEP " 0");
	ok(eventually(status_will_have, "left clear on cpu 0: cr4 smep"), "after which they come again") ||
		(note("%s", r.out), true);
	ok(harness_logged("cpu 0 runs") == before + 1, "in the log, too");
}

static bool flood_status_has(void *text)
{
	run_merlon(&r, "status", "flood", NULL);
	return strstr(r.out, text) != NULL;
}

/* A guest makes them: they have no more than the VM's share, and are counted. */
static void floods(void)
{
	vm_add(20, 0, "flood", NULL);
	run_merlon(&r, "pin", "flood", "--cr0=wp", "--name=wp", NULL);
	fake("unpinned 20 0 " WP " 0 0 n=100");
	ok(eventually(flood_status_has, "left clear on cpu 0: cr0 wp"), "a hundred of them") ||
		(note("%s", r.out), true);
	ok(!strstr(r.out, "events lost"), "are not lost") || (note("%s", r.out), true);
	fake("unpinned 20 0 " WP " 0 0 n=60000");
	ok(eventually(flood_status_has, "events lost"), "of a flood some are, and counted") ||
		(note("%s", r.out), true);
	ok(harness_logged("VM #20: cpu 0 runs") == 1, "the log has one");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--cr4=smep,smap", "--efer=nx", "--name=all",
		   "--on-reset=keep", NULL);
	run_merlon(&r, "pin", "web-1", "--cr4=smap,umip", "--name=some", NULL);
	run_merlon(&r, "protect", "web-1", "--name=mem", "--gpa=0x1000", "--length=4K",
		   "--write=deny", "--on-reset=keep", NULL);
	events();
	status();
	forgotten();
	floods();
	return harness_end();
}
