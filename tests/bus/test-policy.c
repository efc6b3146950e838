// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies in directories: which VMs get their rules, what a change of a file touches and
 * what it leaves alone, and what stays in force when a file is broken.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>

#include "harness.h"

static struct run r;

#define WEB "{\"version\":1,\"name\":\"web\",\"match\":{\"vm\":\"web-*\"},\"rules\":["
#define RULE(name, gpa) "{\"name\":\"" name "\",\"gpa\":\"" gpa "\",\"length\":\"4K\"," \
	"\"write\":\"deny\",\"arm\":\"now\"}"
#define SKIP(name, gpa) "{\"name\":\"" name "\",\"gpa\":\"" gpa "\",\"length\":\"4K\"," \
	"\"write\":\"deny\",\"arm\":\"now\",\"action\":\"skip\"}"

static const char *path_of(const char *file)
{
	/* Two of them, for rename(). */
	static char paths[2][256];
	static unsigned int i;

	i = !i;
	snprintf(paths[i], sizeof(paths[i]), "%s/%s", harness_dir(), file);
	return paths[i];
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

struct expectation {
	uint64_t vm;
	uint64_t gpa;
	bool denied;
};

static bool as_expected(void *userdata)
{
	const struct expectation *e = userdata;

	return is_denied(e->vm, e->gpa) == e->denied;
}

static bool becomes(uint64_t vm, uint64_t gpa, bool denied)
{
	struct expectation e = { vm, gpa, denied };

	return eventually(as_expected, &e);
}

static bool status_has(void *text)
{
	run_merlon(&r, "status", NULL);
	return strstr(r.out, text) != NULL;
}

static bool status_lacks(void *text)
{
	return !status_has(text);
}

/* Its log comes by a pipe of its own. */
static bool is_logged_once(void *text)
{
	return harness_logged(text) == 1;
}

static bool is_logged(void *text)
{
	return harness_logged(text) > 0;
}

/* As by inotify, but at once. */
static void reload(int expected)
{
	run_merlon(&r, "policy", "reload", "--json", NULL);
	ran(&r, expected, "", "policy reload: %d", expected);
}

/* Written and read in one go, whatever the machine is busy with: the report is of this change. */
static void load(const char *text, int expected)
{
	put("web.json", text);
	run_merlon(&r, "policy", "load", "--persist", "--json", path_of("web.json"), NULL);
	ran(&r, expected, "", "policy load --persist: %d", expected);
}

/* The calls that change a VM, since the last look. */
static const char *calls(uint64_t vm)
{
	return fake("calls %" PRIu64, vm);
}

static void guests_and_policies(void)
{
	vm_add(1, 0, "web-1", NULL);
	vm_add(2, 0, "db-1", NULL);
	put("etc/web.json", WEB RULE("a", "0x1000") "," RULE("b", "0x2000") "]}");
	ok(becomes(1, 0x1000, true), "a policy that comes after a guest protects it");
	ok(is_denied(1, 0x2000), "with all of its rules");
	ok(!is_denied(1, 0x3000), "the neighbouring page stays writable");
	ok(!is_denied(2, 0x1000), "and so does another VM");
	vm_add(3, 0, "web-3", NULL);
	ok(is_denied(3, 0x1000) && is_denied(3, 0x2000), "a guest that comes after it, too");
	vm_add(4, STRANGER, "web-4", NULL);
	ok(!is_denied(4, 0x1000), "a stranger who calls his VM so does not get it");
	run_merlon(&r, "status", "web-1", NULL);
	ok(strstr(r.out, "web:a") && strstr(r.out, "web:b"), "rules have their policy's name") ||
		(note("%s", r.out), true);
	run_merlon(&r, "policy", "list", NULL);
	ran(&r, 0, "web     in-force", "policy list shows it");
	ok(strstr(r.out, "etc/web.json") != NULL, "and its file") || (note("%s", r.out), true);
	run_merlon(&r, "policy", "list", "--json", NULL);
	ok(strstr(r.out, "\"vms\":[1,3]") != NULL, "and which VMs it is for") ||
		(note("%s", r.out), true);
	fake("vm 5 %d pending", (int)vmm_start(0, "web-5", NULL));
	ok(becomes(5, 0x1000, true), "one that waits for admission gets it");
	ok(streq(calls(5), "ok set_rules:1 set_rules:2 set_access:1 set_access:2 admit:0"),
	   "before it is admitted");
	ok(startswith(fake("admission"), "ok open"), "for a new VM waits while there is a policy");
}

static void differences(void)
{
	char before[8192];

	calls(1), calls(2), calls(3);
	snprintf(before, sizeof(before), "%s", fake("rules 1"));
	put("etc/web.json", WEB RULE("a", "0x1000") "," RULE("b", "0x2000") "]}\n");
	reload(0);
	ok(streq(calls(1), "ok") && streq(calls(3), "ok"),
	   "a file that says the same calls the kernel for nothing");

	put("etc/web.json", WEB RULE("a", "0x1000") "," RULE("c", "0x3000") "]}");
	reload(0);
	ok(is_denied(1, 0x1000) && is_denied(1, 0x3000) && !is_denied(1, 0x2000),
	   "a rule comes, a rule goes, one stays");
	ok(streq(calls(1), "ok set_rules:3 set_access:3 clear_rule:2"),
	   "the one that stays is not touched, and what comes is there before what goes") ||
		(note("%s", fake("rules 1")), true);
	ok(streq(calls(2), "ok"), "nor is another VM");
	ok(startswith(fake("rules 1"), "ok 1:") != NULL, "its id is the same") ||
		(note("was %s, is %s", before, fake("rules 1")), true);

	put("etc/web.json", WEB SKIP("a", "0x1000") "," RULE("c", "0x3000") "]}");
	reload(0);
	ok(streq(calls(1), "ok set_rules:1"), "another action is set in place");
	ok(is_denied(1, 0x1000), "and the page stays protected");

	load(WEB SKIP("a", "0x1000") "," RULE("c", "0x4000") "]}", 0);
	ok(strstr(r.out, "\"changed\":[\"web:c\"]") && strstr(r.out, "\"kept\":1"),
	   "another range is a change of one rule") || (note("%s", r.out), true);
	ok(is_denied(1, 0x4000) && !is_denied(1, 0x3000), "which moves");
	ok(startswith(calls(1), "ok set_rules:") != NULL, "by a rule in its place first");
	run_merlon(&r, "status", "web-1", NULL);
	ok(strstr(r.out, "web:c") && !strstr(r.out, "0x3000"), "of the same name") ||
		(note("%s", r.out), true);
}

static void modes(void)
{
	run_merlon(&r, "mode", "web-1", "web:a", "monitor", NULL);
	ran(&r, 0, "monitor", "a rule's mode is changed by hand");
	calls(1);
	put("etc/web.json", WEB SKIP("a", "0x1000") "," RULE("c", "0x4000") ","
	    RULE("d", "0x5000") "]}");
	reload(0);
	ok(!is_denied(1, 0x1000), "which a policy that says nothing new leaves alone");
	ok(is_denied(1, 0x5000), "while another rule comes");
	put("etc/web.json", "{\"name\":\"web\",\"mode\":\"monitor\",\"match\":{\"vm\":\"web-*\"},"
	    "\"rules\":[" SKIP("a", "0x1000") "," RULE("c", "0x4000") "]}");
	reload(0);
	ok(!is_denied(1, 0x1000) && !is_denied(1, 0x4000) && !is_denied(1, 0x5000),
	   "a policy that monitors lets through");
	put("etc/web.json", WEB RULE("a", "0x1000") "," RULE("c", "0x4000") "]}");
	reload(0);
	ok(is_denied(1, 0x1000) && is_denied(1, 0x4000) && is_denied(3, 0x4000),
	   "one that enforces denies again");
}

static void broken(void)
{
	char degraded[256];

	snprintf(degraded, sizeof(degraded), "policy-invalid:%s", path_of("etc/web.json"));
	calls(1);
	put("etc/web.json", WEB "\n{\"name\":\"a\",\"gpa\":\"0x1001\",\"length\":128,"
	    "\"write\":\"deny\"}]}");
	ok(eventually(status_has, degraded), "a broken file is told in Degraded");
	ok(r.exit == 3, "status exits 3");
	ok(is_denied(1, 0x1000) && is_denied(1, 0x4000), "what was right last stays in force");
	ok(streq(calls(1), "ok"), "untouched");
	ok(eventually(is_logged_once, "etc/web.json:2:19: /rules/0/gpa: expected multiples of 128"),
	   "the log has the place, once") || (note("%s", harness_log()), true);
	run_merlon(&r, "policy", "list", NULL);
	ran(&r, 0, "last-good", "policy list says so");
	ok(strstr(r.out, "etc/web.json:2:19: /rules/0/gpa") != NULL, "and why");
	reload(3);
	vm_add(6, 0, "web-6", NULL);
	ok(is_denied(6, 0x1000), "a new guest gets what was right last, too");

	harness_kill(SIGKILL);
	harness_start_daemon();
	ok(is_denied(1, 0x1000) && is_denied(1, 0x4000), "a restart with a broken file drops nothing");
	vm_add(7, 0, "web-7", NULL);
	ok(is_denied(7, 0x4000), "and uses the copy that was right");
	ok(streq(calls(1), "ok"), "without touching a rule");
	run_merlon(&r, "status", NULL);
	ok(strstr(r.out, degraded) != NULL, "Degraded says so still");

	harness_kill(SIGKILL);
	take("state/last-good/web.json");
	harness_start_daemon();
	ok(is_denied(1, 0x1000) && is_denied(1, 0x4000),
	   "without a copy, what the VMs have stays all the same");
	reload(3);
	ok(is_denied(1, 0x1000) && strstr(r.out, "\"last-good\":false"), "over a reload, too") ||
		(note("%s", r.out), true);

	put("etc/web.json", WEB RULE("a", "0x1000") "," RULE("e", "0x6000") "]}");
	ok(eventually(status_lacks, "policy-invalid"), "a file that is right again counts");
	ok(becomes(1, 0x6000, true) && becomes(1, 0x4000, false), "with what it says now");
	/* More than once if it was looked at while it was being written. */
	ok(eventually(is_logged, "is right again"), "the log says that it is") || (note("%s", harness_log()), true);
	ok(access(path_of("state/last-good/web.json"), F_OK) == 0, "and there is a copy of it");
	/* An editor leaves half a file; nobody has removed a policy. */
	put("etc/new.json", "{\"match\":{\"vm\":\"web-*\"},\"rul");
	ok(eventually(status_has, "policy-invalid"), "one that never was right is no policy");
	run_merlon(&r, "policy", "list", NULL);
	ran(&r, 0, "invalid", "policy list calls it invalid");
	ok(is_denied(1, 0x1000), "others stay in force");
	take("etc/new.json");
	ok(eventually(status_lacks, "policy-invalid"), "it goes with its file");
}

static void unsafe(void)
{
	put("etc/web.json", WEB RULE("a", "0x1000") "]}");
	reload(0);
	chmod(path_of("etc/web.json"), 0666);
	ok(eventually(status_has, "policy-invalid"), "a file that others may write is refused");
	ok(is_denied(1, 0x1000), "what it said before stays");
	chmod(path_of("etc/web.json"), 0644);
	ok(eventually(status_lacks, "policy-invalid"), "until it is root's alone again");
	if (chown(path_of("etc/web.json"), STRANGER, STRANGER) < 0)
		note("chown: %s", strerror(errno));
	ok(eventually(status_has, "policy-invalid"), "so is a stranger's");
	if (chown(path_of("etc/web.json"), 0, 0) < 0)
		note("chown: %s", strerror(errno));
	ok(eventually(status_lacks, "policy-invalid"), "until it is root's");
	if (symlink("web.json", path_of("etc/link.json")) < 0)
		note("symlink: %s", strerror(errno));
	ok(eventually(status_has, "policy-invalid"), "a link is refused");
	take("etc/link.json");
	if (mkfifo(path_of("etc/fifo.json"), 0644) < 0)
		note("mkfifo: %s", strerror(errno));
	reload(3);
	ok(strstr(r.out, "fifo.json: expected a regular file") != NULL, "a FIFO stops nobody");
	take("etc/fifo.json");
	put("etc/.hidden.json", "no JSON");
	put("etc/notes.txt", "no JSON");
	put("etc/web.json.bak", "no JSON");
	reload(0);
	ok(strstr(r.out, "\"policies\":1") != NULL, "other files are none of ours");
	put("etc/b\x1b[31m.json", "{}");
	reload(3);
	ok(strstr(r.out, "b\\\\x1b[31m.json") != NULL, "a file's name is escaped") ||
		(note("%s", r.out), true);
	take("etc/b\x1b[31m.json");
	reload(0);
}

static void precedence(void)
{
	put("lib/web.json", WEB RULE("a", "0xa000") "]}");
	put("run/policy.d/web.json", WEB RULE("a", "0xb000") "]}");
	put("lib/base.json", "{\"match\":{\"vm\":\"web-1\"},\"rules\":[" RULE("a", "0x9000") "]}");
	reload(0);
	ok(is_denied(1, 0x1000) && !is_denied(1, 0xa000) && !is_denied(1, 0xb000),
	   "/etc counts before the others");
	ok(is_denied(1, 0x9000) && !is_denied(3, 0x9000), "a name that is in /usr/lib alone counts");
	take("etc/web.json");
	ok(becomes(1, 0xb000, true) && !is_denied(1, 0x1000), "then /run");
	take("run/policy.d/web.json");
	ok(becomes(1, 0xa000, true) && !is_denied(1, 0xb000), "then /usr/lib");
	if (symlink("/dev/null", path_of("etc/web.json")) < 0)
		note("symlink: %s", strerror(errno));
	ok(becomes(1, 0xa000, false), "a link to /dev/null masks it");
	ok(is_denied(1, 0x9000), "and no other");
	run_merlon(&r, "policy", "list", NULL);
	ran(&r, 0, "masked", "policy list says so");
	take("etc/web.json");
	ok(becomes(1, 0xa000, true), "without the link it is back");
	take("lib/web.json");
	ok(becomes(1, 0xa000, false), "and goes with its last file");
	take("lib/base.json");
	ok(becomes(1, 0x9000, false), "as the other does");
	put("whole.json", "{\"match\":{\"vm\":\"web-1\"},\"rules\":[" RULE("a", "0x9000") "]}");
	ok(link(path_of("whole.json"), path_of("etc/whole.json")) == 0 && becomes(1, 0x9000, true),
	   "a file that is there whole at once is seen, too");
	take("etc/whole.json");
	ok(becomes(1, 0x9000, false), "until it goes");
}

static void loads(void)
{
	put("web.json", WEB RULE("a", "0x1000") "]}");
	run_merlon(&r, "policy", "diff", path_of("web.json"), NULL);
	ran(&r, 0, "+ web:a", "policy diff says what loading would do");
	ok(!is_denied(1, 0x1000), "and does nothing");
	run_merlon(&r, "policy", "load", path_of("web.json"), NULL);
	ran(&r, 0, "+ web:a", "policy load");
	ok(is_denied(1, 0x1000) && access(path_of("run/policy.d/web.json"), F_OK) == 0,
	   "is until the host reboots");
	run_merlon(&r, "policy", "diff", NULL);
	ran(&r, 0, "Nothing would change", "then nothing differs");
	put("web.json", WEB RULE("a", "0x1000") "," RULE("b", "0x2000") "]}");
	run_merlon(&r, "policy", "load", "--persist", path_of("web.json"), NULL);
	ran(&r, 0, "+ web:b", "policy load --persist");
	ok(is_denied(1, 0x2000) && access(path_of("etc/web.json"), F_OK) == 0, "is for good");
	run_merlon(&r, "policy", "load", path_of("web.json"), NULL);
	ran(&r, 1, "--persist", "load below what counts is refused, with what to do");
	run_merlon(&r, "policy", "unload", "web", NULL);
	ran(&r, 1, "--persist", "so is unload");
	ok(is_denied(1, 0x2000), "and changes nothing");
	run_merlon(&r, "policy", "unload", "web", "--persist", "--dry-run", NULL);
	ran(&r, 0, "- web:b", "unload --dry-run says what would go");
	ok(is_denied(1, 0x2000), "and does nothing, too");
	put("lib/web.json", WEB RULE("a", "0xa000") "]}");
	run_merlon(&r, "policy", "unload", "web", "--persist", NULL);
	ran(&r, 0, "- web:a", "unload --persist drops it");
	ok(!is_denied(1, 0x1000) && !is_denied(1, 0xa000), "and hides what a package brings");
	ok(access(path_of("etc/web.json.unloaded"), F_OK) == 0, "the file is kept aside");
	take("etc/web.json"), take("lib/web.json");
	run_merlon(&r, "policy", "unload", "nobody", NULL);
	ran(&r, 5, "No policy 'nobody'", "one that is not there: 5");

	put("web.json", WEB "{\"name\":\"a\",\"gpa\":\"0x1\",\"length\":1,\"write\":\"deny\"}]}");
	run_merlon(&r, "policy", "load", path_of("web.json"), NULL);
	ran(&r, 2, "web.json:1:", "load of a broken file: 2, with the place");
	ok(access(path_of("run/policy.d/web.json"), F_OK) < 0, "nothing is written");
	put("other.json", WEB RULE("a", "0x1000") "]}");
	run_merlon(&r, "policy", "load", path_of("other.json"), NULL);
	ran(&r, 2, "/name: expected \"other\"", "a name that is not the file's: 2");
	run_merlon_as(&r, 0, path_of("other.json"), "policy", "load", "-", NULL);
	ran(&r, 0, "+ web:a", "from stdin it is called as it says");
	run_merlon_as(&r, STRANGER, path_of("other.json"), "policy", "load", "-", NULL);
	ran(&r, 4, "", "a stranger may not load");
	run_merlon(&r, "policy", "unload", "web", NULL);
	ran(&r, 0, "- web:a", "unload takes back what load did");
	ok(!is_denied(1, 0x1000), "in the kernel, too");
}

static void loads_wrongly(void)
{
	static const char *const names[] = { "../x", "a/b", ".x", "-x", "a:b", "x y" };
	static const char text[] = "{\"match\":{\"vm\":\"web-*\"},\"rules\":["
				   RULE("a", "0x1000") "]}";
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_free_ char *large = malloc(MERLON_TEXT_MAX + 2);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
		_cleanup_error_ sd_bus_error gone = SD_BUS_ERROR_NULL;

		sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
				   "LoadPolicy", &error, NULL, "ssbb", names[i], text, 1, 0);
		sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
				   "UnloadPolicy", &gone, NULL, "sbb", names[i], 1, 0);
		ok(sd_bus_error_has_name(&error, SD_BUS_ERROR_INVALID_ARGS) &&
		   sd_bus_error_has_name(&gone, SD_BUS_ERROR_INVALID_ARGS),
		   "no policy is called '%s'", names[i]);
	}
	if (large) {
		_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

		memset(large, ' ', MERLON_TEXT_MAX + 1);
		large[MERLON_TEXT_MAX + 1] = '\0';
		sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
				   "LoadPolicy", &error, NULL, "ssbb", "x", large, 0, 0);
		ok(sd_bus_error_has_name(&error, "org.merlon1.Error.LimitsExceeded"),
		   "nor is one larger than 1 MiB taken");
	}
	reload(0);
	ok(strstr(r.out, "\"policies\":0") != NULL, "nothing of it is there") ||
		(note("%s", r.out), true);
}

/* Without merlond, and by anybody. */
static void checks(void)
{
	put("good.json", "{\"match\":{\"user\":1},\"rules\":[" RULE("a", "0x1000") "]}");
	put("bad.json", "{\"match\":{\"user\":1},\n\"rules\":[" RULE("a", "0x1001") "]}");
	put("later.json", "{\"match\":{\"user\":1},\"require\":true,\"rules\":["
	    RULE("a", "0x1000") "]}");
	run_merlon_as(&r, STRANGER, NULL, "--bus=unix:path=/none", "policy", "check",
		      path_of("good.json"), NULL);
	ran(&r, 0, "good.json: policy good, enforce, 1 rule\n", "policy check of a policy: 0");
	run_merlon_as(&r, STRANGER, NULL, "policy", "check", path_of("bad.json"), NULL);
	ran(&r, 2, "bad.json:2:28: /rules/0/gpa: expected", "of one with an error: 2");
	run_merlon(&r, "policy", "check", path_of("later.json"), NULL);
	ran(&r, 6, "/require: \"require\" is not supported here yet", "with words to come: 6");
	run_merlon(&r, "policy", "check", path_of("none.json"), NULL);
	ran(&r, 1, "cannot open", "of none: 1");
	run_merlon(&r, "policy", "check", NULL);
	ran(&r, 2, "expected a file", "of nothing: 2");
	run_merlon(&r, "policy", "check", "--json", "docs/examples/linux-cpu-protections.json",
		   "docs/examples/kernel-code-integrity.json", NULL);
	ran(&r, 0, "\"name\":\"linux-cpu-protections\"", "what is shipped is right");
	{
		char good[256];

		snprintf(good, sizeof(good), "%s", path_of("good.json"));
		run_merlon(&r, "policy", "check", good, path_of("later.json"), path_of("bad.json"),
			   NULL);
	}
	ran(&r, 2, "good.json: policy good", "of several what is wrong counts");
	run_merlon(&r, "policy", "check", "--json", path_of("good.json"), path_of("bad.json"),
		   "/nonexistent.json", NULL);
	ran(&r, 2, "\"line\":", "--json has the place of an error");
	ok(strstr(r.out, "\"column\":") && strstr(r.out, "\"path\":\"/") &&
	   strstr(r.out, "\"message\":\"expected") && strstr(r.out, "\"valid\":true") &&
	   strstr(r.out, "cannot be read"), "in parts, and each file") || (note("%s", r.out), true);
	run_merlon_as(&r, STRANGER, path_of("good.json"), "policy", "check", "-", NULL);
	ran(&r, 2, "stdin:1:1: expected the key \"name\"", "from stdin a policy says its name");
	run_merlon(&r, "policy", "frob", NULL);
	ran(&r, 2, "expected check, list", "policy takes words it knows");
}

static void boots(void)
{
	put("etc/web.json", WEB "{\"name\":\"text\",\"gpa\":\"0x1000\",\"length\":\"4K\","
	    "\"write\":\"deny\"}," RULE("now", "0x5000") "]}");
	reload(0);
	ok(!is_denied(1, 0x1000), "a rule waits until its guest has booted");
	ok(is_denied(1, 0x5000), "unless it says \"arm\": \"now\"");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 3, "disarmed (at boot)", "status shows which");
	run_merlon(&r, "arm", "web-1", "--dry-run", NULL);
	ran(&r, 0, "rule web:text would be armed", "arm --dry-run says what it would do");
	ok(!is_denied(1, 0x1000), "and does nothing");
	run_merlon(&r, "arm", "web-1", NULL);
	ran(&r, 0, "rule web:text is armed", "arm");
	ok(is_denied(1, 0x1000), "puts it into force");
	ok(!is_denied(3, 0x1000), "for this VM alone");
	run_merlon(&r, "arm", "web-1", NULL);
	ran(&r, 0, "nothing waits", "then nothing waits");
	calls(1);
	put("etc/web.json", WEB "{\"name\":\"text\",\"gpa\":\"0x1000\",\"length\":\"8K\","
	    "\"write\":\"deny\"}," RULE("now", "0x5000") "]}");
	reload(0);
	ok(is_denied(1, 0x1000), "armed, it stays so when its range changes");
	harness_kill(SIGKILL);
	harness_start_daemon();
	ok(is_denied(1, 0x1000) && !is_denied(3, 0x1000), "and over a restart");
	fake("reset 1");
	ok(becomes(1, 0x1000, false), "a reset disarms it");
	reload(0);
	ok(!is_denied(1, 0x1000), "a reload does not arm");
	run_merlon(&r, "arm", "web-1", "web:text", NULL);
	ran(&r, 0, "is armed", "arm of one rule");
	ok(is_denied(1, 0x1000) && !is_denied(1, 0x5000), "and of no other");
	run_merlon(&r, "arm", "web-1", "nothing", NULL);
	ran(&r, 5, "no such rule", "arm of none: 5");
	put("etc/web.json", WEB RULE("text", "0x1000") "," RULE("now", "0x5000") "]}");
	reload(0);
	ok(is_denied(3, 0x1000), "a rule that says \"now\" from now on is armed");
	put("boot.json", "{\"name\":\"x\",\"gpa\":\"0x1000\",\"length\":\"4K\",\"write\":\"deny\","
	    "\"arm\":\"boot\"}");
	run_merlon(&r, "protect", "db-1", "--rules", path_of("boot.json"), NULL);
	ran(&r, 0, "waits to be armed", "protect with \"arm\": \"boot\" waits, too");
	ok(!is_denied(2, 0x1000), "and denies nothing");
	run_merlon(&r, "arm", "db-1", NULL);
	ok(is_denied(2, 0x1000), "until it is armed");
	run_merlon(&r, "unprotect", "db-1", "--all", NULL);
	take("etc/web.json");
	reload(0);
}

static void failures(void)
{
	put("etc/web.json", WEB RULE("a", "0x1000") "]}");
	reload(0);
	fake("fail set_access 12");
	load(WEB RULE("a", "0x2000") "]}", 1);
	ok(strstr(r.err, "VM #1: policy web: Protecting memory") != NULL,
	   "where the kernel refuses a VM, that is told") || (note("%s", r.err), true);
	ok(is_denied(1, 0x1000) && !is_denied(1, 0x2000), "the VM stays as it was");
	ok(is_denied(3, 0x2000) && !is_denied(3, 0x1000), "and others go on");
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "vm-unprotected", "Degraded says so");
	reload(0);
	ok(is_denied(1, 0x2000) && is_denied(3, 0x2000) && !is_denied(1, 0x1000),
	   "the next time it is done");
	run_merlon(&r, "unprotect", "web-1", "web:a", NULL);
	ok(!is_denied(1, 0x2000), "a rule of a policy can be dropped");
	put("etc/web.json", WEB RULE("a", "0x2000") "]}");
	nanosleep(&(struct timespec){ .tv_nsec = 600000000 }, NULL);
	ok(!is_denied(1, 0x2000), "a file that is touched does not bring it back");
	reload(0);
	ok(is_denied(1, 0x2000), "reading the policies again does");
	run_merlon(&r, "protect", "web-1", "--name=web:b", "--gpa=0x7000", "--length=4K",
		   "--write=deny", NULL);
	ran(&r, 2, "expected a name without ':'", "a name that only a policy's rule has is refused");
	ok(!is_denied(1, 0x7000), "and sets nothing");
	run_merlon(&r, "protect", "web-1", "--name=web.b", "--gpa=0x7000", "--length=4K",
		   "--write=deny", NULL);
	ran(&r, 0, "", "its neighbour is not");
	put("etc/web.json", WEB RULE("a", "0x2000") "," RULE("b", "0x8000") "]}");
	reload(0);
	ok(is_denied(1, 0x7000) && is_denied(1, 0x2000) && is_denied(1, 0x8000),
	   "and is not in the policy's way");
	run_merlon(&r, "unprotect", "web-1", "web.b", NULL);
}

/* A queue of inotify has an end: what is behind it was seen by nobody. */
static void overflow(void)
{
	unsigned int max = 16384;
	FILE *f = fopen("/proc/sys/fs/inotify/max_queued_events", "re");

	if (f && fscanf(f, "%u", &max) != 1)
		max = 16384;
	if (f)
		fclose(f);
	if (max > 200000) {
		note("%u events are too many to try", max);
		return;
	}
	harness_signal(SIGSTOP);
	/* Alike events are told once: two files by turns. */
	for (unsigned int i = 0; i < max + 100; i++)
		close(open(path_of(i % 2 ? "etc/x.txt" : "etc/y.txt"),
			   O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	put("etc/late.json", "{\"match\":{\"vm\":\"db-*\"},\"rules\":[" RULE("a", "0x1000") "]}");
	ok(rename(path_of("etc/late.json"), path_of("etc/later.json")) == 0, "more events than fit");
	harness_signal(SIGCONT);
	ok(becomes(2, 0x1000, true), "what was not told is found");
	take("etc/later.json");
	ok(becomes(2, 0x1000, false), "and later changes are told again");
}

static void signals(void)
{
	unsigned int before;

	vm_add(8, 0, "web-8", NULL);
	ok(is_denied(8, 0x2000), "a VM with a policy");
	before = harness_logged("Reloading.");
	run_merlon(&r, "unprotect", "web-8", "web:a", NULL);
	ok(!is_denied(8, 0x2000), "whose rule is dropped");
	harness_signal(SIGHUP);
	ok(becomes(8, 0x2000, true) && harness_logged("Reloading.") == before + 1,
	   "has it again after SIGHUP");
}

static void identities(void)
{
	pid_t pid = vmm_start(0, "web-9", NULL);

	fake("vm 9 %d", (int)pid);
	ok(becomes(9, 0x2000, true), "a VM of a process");
	kill(pid, SIGKILL);
	wait_exit(pid, 20);
	harness_kill(SIGKILL);
	harness_start_daemon();
	run_merlon(&r, "list", "--json", NULL);
	ok(strstr(r.out, "web-9") != NULL, "that is gone has its name after a restart") ||
		(note("%s", r.out), true);
	reload(0);
	ok(is_denied(9, 0x2000), "and keeps its rules");
	ok(is_denied(8, 0x2000), "as others do");
	/* Nor does it get any other way of saying who it is. */
	fake("vm 10 %d", (int)pid);
	put("etc/web.json.new", WEB RULE("a", "0x2000") "]}");
	take("etc/web.json");
	ok(becomes(9, 0x2000, false) && becomes(8, 0x2000, false), "they go with the policy");
	rename(path_of("etc/web.json.new"), path_of("etc/web.json"));
	ok(becomes(8, 0x2000, true) && becomes(9, 0x2000, true),
	   "which comes back for those that it means");
	ok(!is_denied(10, 0x2000), "and not for whom nobody knows");
}

/* What a rule has learned, for the file that it is of. */
static void learned(void)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_bus_ sd_bus *bus = connect_bus();
	const char *text = "";

	put("etc/code.json", "{\"mode\":\"learn\",\"match\":{\"vm\":\"db-1\"},\"rules\":["
	    "{\"name\":\"kernel\",\"gpa\":\"0x0\",\"length\":\"1M\",\"execute\":\"user\"}]}");
	reload(0);
	run_merlon(&r, "status", "db-1", NULL);
	ran(&r, 3, "code:kernel", "a policy that learns");
	if (sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH_VM "/2", MERLON_IFACE_VM,
			       "ExportRule", NULL, &reply, "s", "code:kernel") >= 0)
		sd_bus_message_read(reply, "s", &text);
	ok(strstr(text, "\"name\":\"kernel\"") != NULL, "its rule is exported as its file calls it") ||
		(note("%s", text), true);
	put("etc/code.json", "{\"mode\":\"enforce\",\"match\":{\"vm\":\"db-1\"},\"rules\":["
	    "{\"name\":\"kernel\",\"gpa\":\"0x0\",\"length\":\"1M\",\"execute\":\"user\"}]}");
	calls(2);
	reload(0);
	ok(startswith(calls(2), "ok set_rules:") != NULL, "enforcing, it is the same rule");
	run_merlon(&r, "status", "db-1", NULL);
	ran(&r, 3, "enforce, disarmed (at boot)", "in another mode, and waits still");
	take("etc/code.json");
	reload(0);
	run_merlon(&r, "status", "db-1", NULL);
	ok(!strstr(r.out, "code:kernel"), "and goes with its file");
}

static void owners(void)
{
	run_merlon(&r, "protect", "web-1", "--name=mine", "--gpa=0x2080", "--length=128",
		   "--write=deny", "--action=kill", NULL);
	run_merlon(&r, "owner", "web-1", "0x2080", "--json", NULL);
	ran(&r, 0, "\"rule\":\"mine\"", "owner lists who claims a byte");
	ok(strstr(r.out, "\"rule\":\"web:a\"") != NULL, "all of them") || (note("%s", r.out), true);
	run_merlon(&r, "owner", "web-1", "0x2080", NULL);
	ok(strstr(r.out, "mine  write -> kill  enforce, armed  owns write") != NULL,
	   "the stricter one owns it") || (note("%s", r.out), true);
	run_merlon(&r, "owner", "web-1", "0x2000", NULL);
	ok(strstr(r.out, "web:a  write -> deny  enforce, armed  owns write") != NULL,
	   "the byte beside it belongs to the other") || (note("%s", r.out), true);
	run_merlon(&r, "owner", "web-1", "0x9000", NULL);
	ran(&r, 5, "no rule claims", "what nobody claims: 5");
	run_merlon(&r, "owner", "web-1", "2080", NULL);
	ran(&r, 2, "address", "no address: 2");
	run_merlon(&r, "unprotect", "web-1", "mine", NULL);
}

static void many(void)
{
	struct timespec from, to;
	size_t size;
	char *text;
	FILE *f;

	take("etc/web.json");
	reload(0);
	for (uint64_t i = 0; i < 100; i++) {
		static pid_t pid;

		if (!pid)
			pid = vmm_start(0, "many", NULL);
		fake("vm %" PRIu64 " %d", 1000 + i, (int)pid);
	}
	for (int round = 0; round < 2; round++) {
		f = open_memstream(&text, &size);
		fprintf(f, "{\"match\":{\"vm\":\"many\"},\"rules\":[");
		for (int i = 0; i < 10; i++)
			fprintf(f, "%s{\"name\":\"r%d\",\"gpa\":\"%#x\",\"length\":\"4K\",\"write\":"
				"\"deny\",\"arm\":\"now\"}", i ? "," : "", i,
				0x10000 + 0x1000 * i + (round && i == 9 ? 0x100000 : 0));
		fprintf(f, "]}");
		fclose(f);
		put("etc/many.json", text);
		free(text);
		clock_gettime(CLOCK_MONOTONIC, &from);
		run_merlon(&r, "policy", "reload", "--json", NULL);
		clock_gettime(CLOCK_MONOTONIC, &to);
		note("%s 1000 rules over 100 VMs: %.1f s", round ? "a tenth of" : "all of",
		     (double)(to.tv_sec - from.tv_sec) +
			     (double)(to.tv_nsec - from.tv_nsec) / 1e9);
		ran(&r, 0, "\"policies\":1", "%s", round ? "reload by difference" :
		    "1000 rules over 100 VMs");
	}
	ok(is_denied(1000, 0x10000) && is_denied(1099, 0x119000) && !is_denied(1099, 0x19000),
	   "the first and the last VM have what the file says");
	ok(streq(calls(1050), "ok set_rules:1 set_rules:2 set_rules:3 set_rules:4 set_rules:5 "
		 "set_rules:6 set_rules:7 set_rules:8 set_rules:9 set_rules:10 set_access:1 "
		 "set_access:2 set_access:3 set_access:4 set_access:5 set_access:6 set_access:7 "
		 "set_access:8 set_access:9 set_access:10 set_rules:11 set_access:11 clear_rule:10"),
	   "one rule of ten was touched") || (note("%s", calls(1050)), true);
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	mkdir(path_of("etc"), 0755);
	mkdir(path_of("lib"), 0755);
	mkdir(path_of("run"), 0755);
	mkdir(path_of("run/policy.d"), 0755);
	harness_start("");
	guests_and_policies();
	differences();
	modes();
	broken();
	unsafe();
	precedence();
	loads();
	loads_wrongly();
	checks();
	boots();
	failures();
	owners();
	learned();
	overflow();
	signals();
	identities();
	many();
	return harness_end();
}
