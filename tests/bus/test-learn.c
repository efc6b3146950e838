// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules that learn: set, watched, exported and enforced; what is learned outlives
 * merlond, and what a VM has learned ends with it.
 */
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static struct run r;

/* The guest's kernel executes a page: "learned", "denied", or an error where no rule is. */
static bool executes(unsigned int vm, unsigned int rule, const char *gpa, const char *expected)
{
	const char *answer = fake("execute %u %u %s", vm, rule, gpa);

	return (strstr(answer, expected) != NULL) || (note("%s: %s", gpa, answer), false);
}

static bool answers(unsigned int n)
{
	char expected[16];

	snprintf(expected, sizeof(expected), "ok %u", n);
	return streq(fake("answers"), expected) || (note("%s", fake("answers")), false);
}

static void restart(void)
{
	harness_kill(SIGKILL);
	harness_start_daemon();
}

static bool no_answers(_unused_ void *userdata)
{
	return streq(fake("answers"), "ok 0");
}

static void modes(void)
{
	run_merlon(&r, "protect", "web-1", "--name=code", "--gpa=0x0", "--length=all",
		   "--execute=user", "--mode=learn", NULL);
	ran(&r, 0, "execute user only -> deny (learn)", "protect sets a rule that learns");
	ok(strstr(r.out, "gpa 0x0 length 65536G, 17179869184 frames"),
	   "of all that the guest can address") || (note("%s", r.out), true);
	ok(answers(1), "the kernel has been told") ;
	ok(executes(17, 1, "0x5000", "learned"), "a page is learned");
	ok(executes(17, 1, "0x5000", "No such"), "and is no longer the rule's");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "learned 1", "status tells how many");
	ok(strstr(r.out, "learn, "), "and the mode") || (note("%s", r.out), true);

	restart();
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "learn, ", "it still learns after merlond was killed");
	ok(executes(17, 1, "0x9000", "learned"), "and has learned one more");

	run_merlon(&r, "mode", "web-1", "code", "enforce", "--dry-run", NULL);
	ran(&r, 0, "would be enforce", "mode, dry");
	ok(executes(17, 1, "0xa000", "learned"), "changes nothing then");
	run_merlon(&r, "mode", "web-1", "code", "enforce", NULL);
	ran(&r, 0, "web-1 (#17): the mode of rule code is enforce", "mode enforce");
	ok(executes(17, 1, "0xb000", "denied"), "a new page is denied");
	ok(executes(17, 1, "0x9000", "No such"), "a page that was learned is not");
	ok(answers(0), "nothing is left in the kernel");
	run_merlon(&r, "mode", "web-1", "code", "monitor", "--json", NULL);
	ran(&r, 0, "\"mode\":\"monitor\"", "mode monitor");
	ok(strstr(fake("rules 17"), " 1:1:"), "the rule is told so") ;
	run_merlon(&r, "mode", "web-1", "code", "learn", NULL);
	ran(&r, 0, "is learn", "mode learn again");
	ok(strstr(fake("rules 17"), " 1:0:"), "it does not only report");
	ok(executes(17, 1, "0xb000", "learned"), "and learns");

	run_merlon(&r, "mode", "web-1", "code", "Learn", NULL);
	ran(&r, 2, "expected enforce, monitor or learn", "another word: 2");
	run_merlon(&r, "mode", "web-1", "nothing", "learn", NULL);
	ran(&r, 5, "has no such rule", "another rule: 5");
	run_merlon(&r, "protect", "web-1", "--name=data", "--gpa=0x100000", "--length=4K",
		   "--write=deny", NULL);
	run_merlon(&r, "mode", "web-1", "data", "learn", NULL);
	ran(&r, 2, "cannot learn: expected a rule of execute 'user'", "a rule of another kind: 2");
	run_merlon(&r, "unprotect", "web-1", "data", NULL);
	run_merlon_as(&r, STRANGER, NULL, "mode", "web-1", "code", "enforce", NULL);
	ran(&r, 4, "", "a stranger may not: 4");
	ok(answers(1), "and has changed nothing");
}

static void exports(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	const char *text = "";

	ok(sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH_VM "/17", MERLON_IFACE_VM,
			      "ExportRule", &error, &reply, "s", "code") >= 0 &&
	   sd_bus_message_read(reply, "s", &text) >= 0, "a rule is exported");
	ok(strstr(text, "\"except\":[{\"gpa\":\"0x5000\",\"length\":4096},"
			"{\"gpa\":\"0x9000\",\"length\":12288}]"),
	   "with what it has learned, neighbours in one") || (note("%s", text), true);
	ok(strstr(text, "\"mode\":\"enforce\""), "as a policy that enforces");
	reply = sd_bus_message_unref(reply);
	ok(sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH_VM "/17", MERLON_IFACE_VM,
			      "ExportRule", &error, &reply, "s", "nothing") < 0 &&
	   streq(error.name, MERLON_ERROR_PREFIX "NoSuchRule"), "another rule is not");
	fake("reset 17");
	run_merlon(&r, "mode", "web-1", "code", "enforce", NULL);
	ran(&r, 0, "is enforce", "mode enforce, of a rule that a reset has disarmed");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 3, "enforce, disarmed", "does not arm it");
	run_merlon(&r, "unprotect", "web-1", "code", NULL);
	ran(&r, 0, "", "unprotect");
	ok(answers(0), "ends learning");
}

/* Many exceptions: more than one batch of the kernel's, and more than one call's reading. */
static void many(void)
{
	char path[128];
	bool all = true;
	FILE *f;

	snprintf(path, sizeof(path), "%s/many.json", harness_dir());
	f = fopen(path, "we");
	fprintf(f, "{\"rules\":[{\"name\":\"many\",\"gpa\":\"0x0\",\"length\":\"all\","
		   "\"execute\":\"user\",\"except\":[");
	for (unsigned int i = 0; i < 1500; i++)
		fprintf(f, "%s{\"gpa\":\"0x%x\",\"length\":4096}", i ? "," : "", i * 0x3000);
	fprintf(f, "]}]}\n");
	fclose(f);
	run_merlon(&r, "protect", "web-1", "--rules", path, NULL);
	ran(&r, 0, "rule many is set", "a rule with 1500 exceptions");
	for (unsigned int i = 0; i < 1500; i++) {
		char gpa[32];

		snprintf(gpa, sizeof(gpa), "0x%x", i * 0x3000);
		all = all && strstr(fake("execute 17 3 %s", gpa), "No such") &&
		      strstr(fake("execute 17 3 0x%x", i * 0x3000 + 0x1000), "denied");
	}
	ok(all, "each of them holds, and each of its neighbours");
	restart();
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "except 1500 ranges", "merlond knows of them when it comes back");
	run_merlon(&r, "learn", "web-1", "--name=many", "--for=1", "--json", NULL);
	ran(&r, 0, "{\"gpa\":\"0x1191000\",\"length\":4096}]", "all of them are exported");
	run_merlon(&r, "unprotect", "web-1", "many", NULL);
}

static void verb(void)
{
	char path[128], option[160], line[4096] = "";
	struct stat st;
	int out;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/learned.json", harness_dir());
	snprintf(option, sizeof(option), "--output=%s", path);
	run_merlon(&r, "learn", "web-1", "--dry-run", NULL);
	ran(&r, 0, "would learn", "learn, dry");
	ok(answers(0), "changes nothing");
	run_merlon(&r, "learn", "web-1", "--for=0", NULL);
	ran(&r, 2, "--for: expected seconds above 0", "no time: 2");
	run_merlon(&r, "learn", "web-1", "--for=1", "--json", NULL);
	ran(&r, 0, "\"name\":\"kernel-code\"", "learn prints a policy");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "no rules", "and leaves no rule behind");

	pid = start_merlon(&out, "learn", "web-1", option, "--enforce", NULL);
	for (int i = 0; i < 100 && !answers(1); i++)
		usleep(50000);
	ok(strstr(fake("execute 17 5 0x7000"), "learned") != NULL, "a page while it waits") ||
		(note("%s", fake("rules 17")), true);
	kill(pid, SIGINT);
	ok(wait_exit(pid, 10) == 0, "Ctrl-C ends it well");
	ok(!read_line(out, line, sizeof(line), 1), "nothing goes to stdout then") ||
		(note("%s", line), true);
	close(out);
	ok(stat(path, &st) == 0 && st.st_size > 0, "the file is there");
	ok(strstr(fake("execute 17 5 0x8000"), "denied") != NULL, "with --enforce the rule stays");
	run_merlon(&r, "unprotect", "web-1", "kernel-code", NULL);
	run_merlon(&r, "protect", "web-1", "--rules", path, NULL);
	ran(&r, 0, "rule kernel-code is set", "what was written can be set");
	ok(strstr(fake("execute 17 6 0x7000"), "No such") != NULL, "with what was learned") ||
		(note("%s", fake("rules 17")), true);
	run_merlon(&r, "learn", "web-1", "--output=/no/such/place", "--for=1", NULL);
	ran(&r, 1, "/no/such/place", "a file that cannot be written: 1");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "enforce, ", "the rule that was there is as before");
	run_merlon(&r, "unprotect", "web-1", "--all", NULL);

	run_merlon(&r, "learn", "web-1", "--for=1", "--output=/dev/null", NULL);
	ok(r.exit == 0 && stat("/dev/null", &st) == 0 && S_ISCHR(st.st_mode),
	   "a device is written to, not replaced") || (note("%s", r.err), true);
	pid = start_merlon(&out, "learn", "web-1", "--json", NULL);
	for (int i = 0; i < 100 && !answers(1); i++)
		usleep(50000);
	harness_kill(SIGKILL);
	ok(wait_exit(pid, 3) == -1, "merlond's death does not end it");
	harness_start_daemon();
	ok(strstr(fake("execute 17 8 0x7000"), "learned") != NULL, "a page when it is back") ||
		(note("%s", fake("rules 17")), true);
	kill(pid, SIGINT);
	ok(wait_exit(pid, 10) == 0, "then Ctrl-C ends it well");
	ok(read_line(out, line, sizeof(line), 1) && strstr(line, "0x7000"), "with that page") ||
		(note("%s", line), true);
	close(out);
	pid = start_merlon(&out, "learn", "web-1", NULL);
	for (int i = 0; i < 100 && !answers(1); i++)
		usleep(50000);
	fake("reset 17");
	ok(wait_exit(pid, 10) == 1, "a reset ends it, and says so");
	close(out);
	run_merlon(&r, "unprotect", "web-1", "--all", NULL);
}

/* What learned is gone, and what it has left behind has been forgotten by everybody. */
static void left_over(void)
{
	char cookie[32] = "";

	harness_kill(SIGKILL);
	harness_start_daemon();
	fake("answer 4711");
	ok(answers(1), "an answer for a rule that there is not");
	restart();
	ok(answers(0), "is gone when merlond comes back");

	run_merlon(&r, "protect", "web-1", "--name=again", "--gpa=0x0", "--length=all",
		   "--execute=user", NULL);
	ok(sscanf(fake("rules 17"), "ok %*u:%*u:%*u:%31s", cookie) == 1, "a rule that enforces");
	run_merlon(&r, "unprotect", "web-1", "again", NULL);
	fake("answer 0x%s", cookie);
	run_merlon(&r, "protect", "web-1", "--name=again", "--gpa=0x0", "--length=all",
		   "--execute=user", NULL);
	ok(answers(0), "does not learn because one of its name did");
	run_merlon(&r, "unprotect", "web-1", "again", NULL);

	run_merlon(&r, "protect", "web-1", "--name=all", "--gpa=0x0", "--length=all",
		   "--write=deny", NULL);
	ok(r.exit != 0 && strstr(r.err, "more than 64 MiB"),
	   "all of memory cannot be protected from writes in one call") ||
		(note("%s%s", r.out, r.err), true);
}

static void ends(void)
{
	run_merlon(&r, "protect", "web-1", "--name=code", "--gpa=0x0", "--length=all",
		   "--execute=user", "--mode=learn", NULL);
	ok(answers(1), "a rule learns");
	harness_kill(SIGKILL);
	harness_start_daemon();
	fake("gone 17");
	ok(eventually(no_answers, NULL), "until its VM ends");

	fake("fail set_answer 28");
	vm_add(18, 0, "web-2", NULL);
	run_merlon(&r, "protect", "web-2", "--name=code", "--gpa=0x0", "--length=all",
		   "--execute=user", "--mode=learn", NULL);
	ok(r.exit != 0, "without room for it there is no rule") || (note("%s", r.out), true);
	run_merlon(&r, "status", "web-2", NULL);
	ran(&r, 0, "no rules", "at all");
	fake("abi 4");
	restart();
	run_merlon(&r, "protect", "web-2", "--name=code", "--gpa=0x0", "--length=all",
		   "--execute=user", "--mode=learn", NULL);
	ran(&r, 6, "cannot learn", "an older kernel cannot: 6");
	run_merlon(&r, "mode", "web-2", "code", "enforce", NULL);
	ran(&r, 6, "cannot change a rule's mode", "nor change a mode: 6");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	modes();
	exports();
	many();
	verb();
	left_over();
	ends();
	return harness_end();
}
