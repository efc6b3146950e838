// SPDX-License-Identifier: GPL-2.0-or-later
/* KVM's address-space isolation: status, probe, when siblings are kicked, events. */
#include <signal.h>
#include <unistd.h>

#include "harness.h"

static struct run r;
static char line[65536];

static bool find_line(int fd, const char *text, int seconds)
{
	while (read_line(fd, line, sizeof(line), seconds))
		if (strstr(line, text))
			return true;
	return false;
}

/* An address of this kernel and its name; false if they are not for us. */
static bool any_symbol(unsigned long long *address, char name[static 128])
{
	_cleanup_fclose_ FILE *f = fopen("/proc/kallsyms", "re");
	char text[1024], type;

	while (f && fgets(text, sizeof(text), f))
		if (sscanf(text, "%llx %c %127s", address, &type, name) == 3 && type == 'T' &&
		    *address && !strchr(text, '['))
			return true;
	return false;
}

static void hosts(void)
{
	fake("isolation absent");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "isolation    absent: this kernel is built without it\n", "absent: probe");
	run_merlon(&r, "isolation", "status", NULL);
	ran(&r, 0, "host: absent: this kernel is built without it\n", "absent: status");
	ok(strstr(r.out, "web-1 (#17): not isolated\n") && strstr(r.out, "other (#18): not isolated\n"),
	   "absent: nor is any VM");
	run_merlon(&r, "isolation", "kick", "other", "always", NULL);
	ran(&r, 6, "not isolated: this kernel is built without it", "absent: kick: 6");
	fake("isolation refused no PCID on this CPU");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "isolation    refused: KVM refuses it: no PCID on this CPU\n",
	    "refused: probe says why");
	fake("isolation off");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "isolation    off: KVM was loaded without kvm.isolation=1\n",
	    "off: probe says what to do");
	run_merlon(&r, "isolation", "status", "other", "--json", NULL);
	ran(&r, 0, "{\"host\":{\"state\":\"off\",\"why\":\"KVM was loaded without kvm.isolation=1\"},"
		   "\"vms\":[{\"isolated\":false,\"id\":18,\"name\":\"other\"}]}\n", "off: JSON");
	/* merlond looks by itself, too. */
	fake("fail isolation_host 1 100");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "isolation    absent: the kernel does not tell: Operation not permitted\n",
	    "a kernel that does not tell");
	fake("fail isolation_host 1 0");
	fake("isolation on");
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "isolation    on, siblings of new VMs are kicked: never\n", "on: probe");
	run_merlon(&r, "probe", "--json", NULL);
	ran(&r, 0, "\"isolation\":{\"state\":\"on\",\"kick\":\"never\"}", "on: JSON");
	run_merlon(&r, "isolation", "kick", "other", "always", NULL);
	ran(&r, 6, "not isolated: it was created without", "on: a VM from before: 6");
	run_merlon(&r, "isolation", "kick", "web-1", "always", NULL);
	ran(&r, 0, "siblings are kicked: always", "on: one that is isolated");
}

static void counters(void)
{
	fake("isolated 17");
	run_merlon(&r, "isolation", "status", "web-1", NULL);
	ran(&r, 0, "web-1 (#17):\n  windows   0\n", "a VM that has not run has no share");
	fake("isolated 17 windows 1200");
	fake("isolated 17 left 0 1100");	/* end */
	fake("isolated 17 left 7 100");		/* timer */
	fake("isolated 17 inside 8 970");	/* cpuid */
	fake("isolated 17 inside 10 5");	/* wrmsr */
	fake("isolated 17 outside 1 5000");	/* interrupt */
	fake("isolated 17 outside 2 7000");	/* hlt */
	fake("isolated 17 outside 5 25");	/* io */
	fake("isolated 17 mapped 1048576");
	fake("isolated 17 table 65536");
	fake("isolated 17 kicks 3");
	fake("isolated 17 waits 4");
	run_merlon(&r, "isolation", "status", "web-1", NULL);
	ran(&r, 0, "web-1 (#17):\n  windows   1200; of 1000 exits, 97.5% settled inside\n"
		   "  left      end 1100, timer 100\n"
		   "  inside    cpuid 970, wrmsr 5\n"
		   "  outside   interrupt 5000, hlt 7000, io 25\n"
		   "  siblings  never, 3 kicks, 4 entries put off\n"
		   "  memory    1M, table 64K, 0 runs without for want of it\n"
		   "  faults    0 accesses to what is not mapped\n",
	    "status; the share is of what neither blocks nor is the host's") ||
		(note("%s", r.out), true);
	ok(!strstr(r.out, "other") && !strstr(r.out, "MISSING"), "and nothing else");
	fake("isolated 17 left 12 6");
	run_merlon(&r, "isolation", "status", "web-1", "--json", NULL);
	ran(&r, 0, "\"settled\":975,\"settled-of\":1000,\"kick\":\"never\","
		   "\"left\":{\"end\":1100,\"timer\":100,\"12\":6},", "what a newer kernel has is a number");
	run_merlon(&r, "isolation", "status", NULL);
	ok(strstr(r.out, "web-1 (#17):\n  windows   1200;") && strstr(r.out, "other (#18): not isolated\n"),
	   "status of all VMs") || (note("%s", r.out), true);
}

static void places(void)
{
	unsigned long long address = 0;
	char name[128], wanted[256];
	bool named = any_symbol(&address, name);
	size_t longest = 0;

	fake("isolated 19 place 0x1000 0x2000 7");
	for (int i = 0; i < 70; i++)
		fake("isolated 19 place %#x 0x5000 2", 0x10000 + 16 * i);
	fake("isolated 19 place %#llx 0x3000 900", named ? address + 1 : 0x4000);
	for (unsigned int i = 0; i < 13; i++)
		fake("isolated 19 outside %u 18446744073709551", i);
	run_merlon(&r, "isolation", "status", "#19", NULL);
	ran(&r, 0, "         7  by  0x1000\n            at  0x2000\n",
	    "what has no name is a number") || (note("%s", r.out), true);
	ok(strstr(r.out, "and 54 more places") && strstr(r.out, "of places not kept"),
	   "a terminal gets those with the most");
	for (char *p = r.out, *end; (end = strchr(p, '\n')); p = end + 1)
		if ((size_t)(end - p) > longest)
			longest = (size_t)(end - p);
	ok(longest > 0 && longest <= 80, "and no line of more than 80 (%zu)", longest) ||
		(note("%s", r.out), true);

	/* The played kernel has no room for this one: a VM of its own. */
	fake("isolated 20 place %#llx 0x3000 900", named ? address + 1 : 0x4000);
	fake("isolated 20 place 0x1000 0x2000 901");
	snprintf(wanted, sizeof(wanted), named ? "       900  by  %s+0x1\n" : "by  0x4000\n",
		 name);
	run_merlon(&r, "isolation", "status", "#20", NULL);
	ran(&r, 0, wanted, "%s", named ? "what has a name has it" : "names are not for us") ||
		(note("%s", r.out), true);
	ok(strstr(r.out, "       901") < strstr(r.out, "       900"), "the most come first");
	snprintf(wanted, sizeof(wanted),
		 named ? "\"address\":\"0x3000\",\"count\":900,\"symbol\":\"%s+0x1\"}" :
			 "\"address\":\"0x3000\",\"count\":900}", name);
	run_merlon(&r, "isolation", "status", "#20", "--json", NULL);
	ran(&r, 0, wanted, "in JSON, too") || (note("%s", r.out), true);
	ok(strstr(r.out, "{\"ip\":\"0x1000\",\"address\":\"0x2000\",\"count\":901}"),
	   "without a name where there is none");
}

static void kicks(void)
{
	run_merlon(&r, "isolation", "kick", "web-1", "always", "--dry-run", NULL);
	ran(&r, 0, "web-1 (#17): siblings would be kicked: always\n", "a dry run");
	ok(streq(fake("kick 17"), "ok 0"), "changes nothing");
	run_merlon(&r, "isolation", "kick", "web-1", "always", NULL);
	ran(&r, 0, "web-1 (#17): siblings are kicked: always\n", "always");
	ok(streq(fake("kick 17"), "ok 0x1ff"), "for each reason");
	run_merlon(&r, "isolation", "status", "web-1", NULL);
	ran(&r, 0, "  siblings  always, ", "status says so");
	run_merlon(&r, "isolation", "kick", "web-1", "never", "--json", NULL);
	ran(&r, 0, "{\"set\":{\"kick\":\"never\"}}\n", "never");
	ok(streq(fake("kick 17"), "ok 0"), "for none");
	fake("kick 17 0x2");
	run_merlon(&r, "isolation", "status", "web-1", NULL);
	ran(&r, 0, "  siblings  some, ", "what a program has chosen is shown");
	fake("fail isolation_set_kick 1");
	run_merlon(&r, "isolation", "kick", "web-1", "always", NULL);
	ran(&r, 1, "Choosing when to kick siblings failed", "a kernel that does not want to: 1");
	ok(streq(fake("kick 17"), "ok 0x2"), "leaves it as it was");
}

static void bad_input(void)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = connect_bus();

	run_merlon(&r, "isolation", NULL);
	ran(&r, 2, "an operand is missing", "nothing: 2");
	run_merlon(&r, "isolation", "show", NULL);
	ran(&r, 2, "expected status or kick, got show", "another word: 2");
	run_merlon(&r, "isolation", "kick", "web-1", NULL);
	ran(&r, 2, "expected a VM and never or always", "kick without a word: 2");
	run_merlon(&r, "isolation", "kick", "web-1", "some", NULL);
	ran(&r, 2, "expected never or always, got some", "kick with another: 2");
	run_merlon(&r, "isolation", "status", "web-1", "web-2", NULL);
	ran(&r, 2, "expected one VM, got web-2", "status of two: 2");
	run_merlon(&r, "isolation", "status", "nobody", NULL);
	ran(&r, 5, "No VM 'nobody'", "status of none: 5");
	run_merlon(&r, "isolation", "kick", "nobody", "never", NULL);
	ran(&r, 5, "No VM 'nobody'", "kick of none: 5");
	ok(sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH_VM "/17", MERLON_IFACE_VM,
			      "SetIsolationKick", &error, NULL, "sb", "some", 0) < 0 &&
	   sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS), "nor does merlond take it");
	ok(streq(fake("kick 17"), "ok 0x2"), "nothing has changed");
}

static void events(void)
{
	_cleanup_close_ int fd = -EBADF, json_fd = -EBADF;
	pid_t pid = start_merlon(&fd, "watch", "#21", NULL);
	pid_t json_pid = start_merlon(&json_fd, "watch", "#21", "--json", NULL);

	for (int i = 0; i < 100; i++) {
		fake("violation 21 0x1000 99");
		if (find_line(fd, "violation", 0) && find_line(json_fd, "violation", 1))
			break;
		usleep(50000);
	}
	/* What is normal is no event. */
	fake("isolated 21 left 0 1000");
	fake("isolated 21 left 7 1000");
	fake("isolated 21 left 8 1000");
	ok(!find_line(fd, "isolation-left", 3), "windows that end as they should are no event");

	fake("isolated 21 place 0x4000 0x6000 1");
	fake("isolated 21 place 0x1000 0x2000 3");
	fake("isolated 21 left 1 4");
	ok(find_line(fd, "isolation-left", 10) &&
	   strstr(line, "#21 leaver isolation-left 4 windows left: fault, most by ip 0x1000 at 0x2000"),
	   "those that are left unexpectedly are") || (note("%s", line), true);
	ok(find_line(json_fd, "isolation-left", 10) &&
	   strstr(line, "\"reasons\":[\"fault\"],\"count\":4,\"ip\":\"0x1000\",\"address\":\"0x2000\"}"),
	   "one object") || (note("%s", line), true);

	/* However many, and whenever: one event, with their count. */
	for (int i = 0; i < 20; i++) {
		fake("isolated 21 left 2 50");
		fake("isolated 21 left 4 1");
		usleep(100000);
	}
	ok(find_line(fd, "isolation-left", 10) &&
	   strstr(line, "1020 windows left: debug bug") && !strstr(line, "most by"),
	   "many are one event") || (note("%s", line), true);
	ok(!find_line(fd, "isolation-left", 7), "and told once");
	ok(harness_logged("VM #21: 4 windows of isolation left for: fault") == 1, "the log has the first");
	ok(harness_logged("VM #21: ") - harness_logged("VM #21: pid") == 1, "and no more in this minute");
	ok(harness_logged("VM #17: 6 windows") == 0, "what merlond has no word for it does not judge");

	fake("gone 21");
	ok(wait_exit(pid, 20) == 0 && wait_exit(json_pid, 20) == 0, "the VM ends");
	run_merlon(&r, "isolation", "status", "#21", NULL);
	ran(&r, 5, "No VM '#21'", "and has no status: 5");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("isolation on\n");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, 0, "other", NULL);
	counters();
	vm_add(19, 0, "places", NULL);
	vm_add(20, 0, "named", NULL);
	places();
	kicks();
	bad_input();
	vm_add(21, 0, "leaver", NULL);
	fake("isolated 21");
	events();
	/* Last: what is off is looked at seldom. */
	hosts();
	return harness_end();
}
