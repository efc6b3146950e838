// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Files of policies that go, or cannot be read: rules go when the whole new set is right, or
 * when somebody says so, and no sooner.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

static struct run r;

#define POLICY(vm, gpa) "{\"match\":{\"vm\":\"" vm "\"},\"rules\":[{\"name\":\"a\",\"gpa\":\"" gpa \
	"\",\"length\":\"4K\",\"write\":\"deny\",\"arm\":\"now\"}]}"

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

static void take(const char *file)
{
	unlink(path_of(file));
}

static bool is_denied(uint64_t vm, uint64_t gpa)
{
	return startswith(fake("write %" PRIu64 " %#" PRIx64 " 8", vm, gpa), "ok denied");
}

static void reload(int expected)
{
	run_merlon(&r, "policy", "reload", "--json", NULL);
	ran(&r, expected, "", "policy reload: %d", expected);
}

static void restart(void)
{
	harness_kill(SIGKILL);
	harness_start_daemon();
}

static void vanished(void)
{
	put("etc/a.json", POLICY("web-*", "0x1000"));
	put("etc/c.json", POLICY("web-*", "0x3000"));
	reload(0);
	ok(is_denied(1, 0x1000) && is_denied(1, 0x3000), "two policies");
	/* Half of a rename, with merlond looking. */
	harness_signal(SIGSTOP);
	take("etc/a.json");
	put("etc/b.json", "{\"match\":{\"vm\":\"web-*\"},\"rul");
	put("etc/c.json", POLICY("web-*", "0x4000"));
	harness_signal(SIGCONT);
	reload(3);
	ok(is_denied(1, 0x1000), "a file that goes while another is broken takes nothing with it");
	ok(is_denied(1, 0x4000) && !is_denied(1, 0x3000), "what is right counts all the same");
	run_merlon(&r, "policy", "list", NULL);
	ran(&r, 0, "a.json: is gone; its rules stay until all other policies are right",
	    "policy list says why it is there");
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "policy-invalid", "Degraded says so");
	vm_add(2, 0, "web-2", NULL);
	ok(is_denied(2, 0x1000), "a new guest gets it, too");
	restart();
	ok(is_denied(1, 0x1000) && is_denied(2, 0x1000), "over a restart, too");
	vm_add(3, 0, "web-3", NULL);
	ok(is_denied(3, 0x1000) && is_denied(3, 0x4000), "a guest that comes then gets it from the copy");
	put("etc/b.json", POLICY("db-*", "0x2000"));
	reload(0);
	ok(!is_denied(1, 0x1000) && !is_denied(3, 0x1000), "when all are right its rules go");
	ok(is_denied(1, 0x4000) && is_denied(3, 0x4000), "and no others");
	ok(access(path_of("state/last-good/a.json"), F_OK) < 0 &&
	   access(path_of("state/last-good/b.json"), F_OK) == 0, "as does its copy alone");
}

static void said(void)
{
	put("lib/a.json", POLICY("web-*", "0x1000"));
	put("run/policy.d/d.json", POLICY("web-*", "0x5000"));
	reload(0);
	put("etc/b.json", "{");
	reload(3);
	ok(is_denied(1, 0x1000) && is_denied(1, 0x5000), "policies beside a broken one");
	if (symlink("/dev/null", path_of("etc/a.json")) < 0)
		note("symlink: %s", strerror(errno));
	reload(3);
	ok(!is_denied(1, 0x1000), "a mask counts at once");
	ok(is_denied(1, 0x5000), "and for its name alone");
	run_merlon(&r, "policy", "unload", "d", NULL);
	ran(&r, 3, "", "policy unload, beside a broken one");
	ok(!is_denied(1, 0x5000), "so does unload");
	restart();
	vm_add(4, 0, "web-4", NULL);
	ok(!is_denied(4, 0x5000) && is_denied(4, 0x4000), "also for guests after a restart");
	take("etc/a.json");
	take("lib/a.json");
	put("etc/b.json", POLICY("db-*", "0x2000"));
	reload(0);
}

static void unreadable(void)
{
	/* Others may write it: nobody knows who has. */
	chmod(path_of("etc"), 0777);
	restart();
	ok(is_denied(1, 0x4000), "a directory that is not root's alone takes no rule away");
	vm_add(5, 0, "web-5", NULL);
	ok(is_denied(5, 0x4000), "a guest that comes gets what was right last");
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "policy-invalid", "Degraded says so");
	run_merlon(&r, "policy", "list", NULL);
	ran(&r, 0, "last-good", "policy list says so");
	reload(3);
	ok(is_denied(1, 0x4000) && is_denied(5, 0x4000), "over a reload, too");
	chmod(path_of("etc"), 0755);
	put("etc/c.json", POLICY("web-*", "0x6000"));
	reload(0);
	ok(is_denied(5, 0x6000) && !is_denied(5, 0x4000), "once it can be read its files count");
	run_merlon(&r, "policy", "list", NULL);
	ok(!strstr(r.out, "last-good"), "and nothing else");
}

static void whole(void)
{
	/* What is no file is not removed. */
	mkdir(path_of("run/policy.d/c.json"), 0755);
	run_merlon(&r, "policy", "unload", "c", "--persist", NULL);
	ran(&r, 1, "policy.d: Is a directory", "an unload that fails says where");
	ok(access(path_of("etc/c.json"), F_OK) == 0 &&
	   access(path_of("etc/c.json.unloaded"), F_OK) < 0, "and leaves all files");
	ok(is_denied(1, 0x6000), "and rules");
	rmdir(path_of("run/policy.d/c.json"));
	put("run/policy.d/e.json", POLICY("web-*", "0x7000"));
	put("lib/e.json", POLICY("web-*", "0x8000"));
	reload(0);
	run_merlon(&r, "policy", "unload", "e", "--dry-run", "--json", NULL);
	ok(strstr(r.out, "\"changed\":[\"e:a\"]") && strstr(r.out, "\"dropped\":[]"),
	   "unload --dry-run knows what is below") || (note("%s", r.out), true);
	ok(is_denied(1, 0x7000), "and does nothing");
	run_merlon(&r, "policy", "unload", "e", "--json", NULL);
	ok(strstr(r.out, "\"changed\":[\"e:a\"]") && strstr(r.out, "\"dropped\":[]"),
	   "unload says the same") || (note("%s", r.out), true);
	ok(is_denied(1, 0x8000) && !is_denied(1, 0x7000), "and does it");
	run_merlon(&r, "policy", "unload", "e", "--persist", "--dry-run", "--json", NULL);
	ok(strstr(r.out, "\"dropped\":[\"e:a\"]") != NULL, "for good, it would be dropped") ||
		(note("%s", r.out), true);
	run_merlon(&r, "policy", "unload", "e", "--persist", NULL);
	ran(&r, 0, "", "policy unload --persist");
	ok(!is_denied(1, 0x8000), "and is");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	mkdir(path_of("etc"), 0755);
	mkdir(path_of("lib"), 0755);
	mkdir(path_of("run"), 0755);
	mkdir(path_of("run/policy.d"), 0755);
	harness_start("");
	vm_add(1, 0, "web-1", NULL);
	vanished();
	said();
	unreadable();
	whole();
	return harness_end();
}
