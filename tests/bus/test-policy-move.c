// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules that move from one policy to another, or get another name: at no time nobody denies
 * their bytes, and what was armed, learned or chosen for them stays.
 */
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

static struct run r;

#define POLICY(rules) "{\"match\":{\"vm\":\"web-*\"},\"rules\":[" rules "]}"
#define BOOT(name, gpa) "{\"name\":\"" name "\",\"gpa\":\"" gpa "\",\"length\":\"4K\"," \
	"\"write\":\"deny\"}"
#define NOW(name, gpa) "{\"name\":\"" name "\",\"gpa\":\"" gpa "\",\"length\":\"4K\"," \
	"\"write\":\"deny\",\"arm\":\"now\"}"
#define CODE(name) "{\"name\":\"" name "\",\"gpa\":\"0x100000\",\"length\":\"16K\"," \
	"\"execute\":\"user\",\"arm\":\"now\"}"

static const char *path_of(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", harness_dir(), file);
	return path;
}

/* Whole at once, so that no look in between sees half of a change of several files. */
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

static const char *calls(uint64_t vm)
{
	return fake("calls %" PRIu64, vm);
}

static void reload(int expected)
{
	run_merlon(&r, "policy", "reload", "--json", NULL);
	ran(&r, expected, "", "policy reload: %d", expected);
}

/* Both files in one look: merlond is stopped while they are written. */
static void put_both(const char *a, const char *b, int expected)
{
	harness_signal(SIGSTOP);
	put("etc/a.json", a);
	put("etc/b.json", b);
	harness_signal(SIGCONT);
	reload(expected);
}

/* Of calls, all of the one kind come before the first of the other. */
static bool all_before(const char *text, const char *first, const char *then)
{
	const char *last = NULL, *p = strstr(text, then);

	for (const char *q = text; (q = strstr(q, first)); q++)
		last = q;
	return last && p && last < p;
}

static void moves(void)
{
	put_both(POLICY(BOOT("text", "0x1000") "," BOOT("idt", "0x2000")),
		 POLICY(NOW("other", "0x9000")), 0);
	run_merlon(&r, "arm", "web-1", "a:text", NULL);
	ok(is_denied(1, 0x1000) && !is_denied(1, 0x2000), "of two rules one is armed");
	calls(1);
	/* From the policy that comes first in order to the other, and back. */
	put_both(POLICY(NOW("more", "0x8000")),
		 POLICY(NOW("other", "0x9000") "," BOOT("text", "0x1000") "," BOOT("idt", "0x2000")), 0);
	ok(all_before(calls(1), "set_access", "clear_rule"),
	   "what comes to any policy is there before anything goes");
	ok(is_denied(1, 0x1000), "a rule that moves to another policy stays armed");
	ok(!is_denied(1, 0x2000), "and one that waits goes on waiting");
	run_merlon(&r, "status", "web-1", NULL);
	ok(strstr(r.out, "b:text") && !strstr(r.out, "a:text"), "it is the other policy's") ||
		(note("%s", r.out), true);
	put_both(POLICY(BOOT("text", "0x1000") "," BOOT("idt", "0x2000")),
		 POLICY(NOW("other", "0x9000")), 0);
	ok(is_denied(1, 0x1000) && !is_denied(1, 0x2000), "also on its way back");
	put_both(POLICY(BOOT("renamed", "0x1000") "," BOOT("idt", "0x2000")),
		 POLICY(NOW("other", "0x9000")), 0);
	ok(is_denied(1, 0x1000), "and under another name");
	put_both(POLICY(BOOT("renamed", "0x3000") "," BOOT("idt", "0x2000")),
		 POLICY(NOW("other", "0x9000") "," BOOT("text", "0x4000")), 0);
	ok(is_denied(1, 0x3000), "of its own name it is armed wherever it reaches");
	ok(!is_denied(1, 0x4000), "what is new in both waits");
	/* Nobody runs into what a guest that boots writes. */
	fake("reset 1");
	put_both(POLICY(BOOT("idt", "0x2000")),
		 POLICY(NOW("other", "0x9000") "," BOOT("renamed", "0x3000")), 0);
	ok(!is_denied(1, 0x3000), "a reset that was not told yet counts");
	run_merlon(&r, "arm", "web-1", NULL);
}

static void failures(void)
{
	put_both(POLICY(NOW("text", "0x1000") "," NOW("gone", "0x5000")),
		 POLICY(NOW("other", "0x9000")), 0);
	ok(is_denied(1, 0x1000) && is_denied(1, 0x5000), "two rules");
	harness_signal(SIGSTOP);
	put("etc/a.json", POLICY(NOW("more", "0x8000")));
	put("etc/b.json", POLICY(NOW("other", "0x9000") "," NOW("text", "0x1000") ","
				 "{\"name\":\"no\",\"gpa\":\"0x7fffffff0000\",\"length\":\"4K\","
				 "\"write\":\"deny\"}"));
	harness_signal(SIGCONT);
	run_merlon(&r, "policy", "diff", NULL);
	ok(strstr(r.err, "stays: what is to take the place cannot be set, see policy 'b'") ||
	   strstr(r.out, "stays: what is to take the place cannot be set, see policy 'b'"),
	   "policy diff says that a rule will stay") || (note("%s%s", r.out, r.err), true);
	reload(1);
	ok(is_denied(1, 0x1000), "what is to move to a policy that fails is not lost");
	ok(strstr(r.out, "stays: what is to take the place cannot be set, see policy 'b'") != NULL,
	   "that is told") || (note("%s", r.out), true);
	ok(is_denied(1, 0x8000) && !is_denied(1, 0x5000), "while the rest of the change is made");
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "vm-unprotected", "Degraded says so");
	put_both(POLICY(NOW("more", "0x8000")),
		 POLICY(NOW("other", "0x9000") "," NOW("text", "0x1000")), 0);
	ok(is_denied(1, 0x1000), "once it can be set it moves");
	run_merlon(&r, "status", NULL);
	ok(strstr(r.out, "vm-unprotected") == NULL, "and nothing is degraded") ||
		(note("%s", r.out), true);
	run_merlon(&r, "status", "web-1", NULL);
	ok(strstr(r.out, "b:text") && !strstr(r.out, "a:text"), "there is one of it") ||
		(note("%s", r.out), true);
}

static void choices(void)
{
	put_both(POLICY(NOW("text", "0x1000")), POLICY(NOW("other", "0x9000")), 0);
	run_merlon(&r, "mode", "web-1", "a:text", "monitor", NULL);
	ran(&r, 0, "monitor", "a mode is chosen for a rule");
	put_both(POLICY(NOW("text", "0x2000")), POLICY(NOW("other", "0x9000")), 0);
	ok(!is_denied(1, 0x2000) && is_denied(1, 0x9000), "it stays when the rule gets another reach");
	run_merlon(&r, "status", "web-1", NULL);
	ok(strstr(r.out, "monitor") != NULL, "and is listed") || (note("%s", r.out), true);
	put_both(POLICY(NOW("more", "0x8000")),
		 POLICY(NOW("other", "0x9000") "," NOW("text", "0x2000")), 0);
	ok(!is_denied(1, 0x2000) && is_denied(1, 0x8000), "and when it moves to another policy");
	run_merlon(&r, "mode", "web-1", "b:text", "enforce", NULL);
	ok(is_denied(1, 0x2000), "until somebody chooses again");
}

/* The rule that was set last. */
static unsigned int newest(void)
{
	const char *text = fake("rules 1"), *last = strrchr(text, ' ');

	return last ? (unsigned int)strtoul(last, NULL, 10) : 0;
}

/* The kernel of the guest executes a page: does the rule claim it? */
static bool is_open(const char *gpa)
{
	return strstr(fake("execute 1 %u %s", newest(), gpa), "No such") != NULL;
}

static void learned(void)
{
	put_both(POLICY(CODE("code")), POLICY(NOW("other", "0x9000")), 0);
	run_merlon(&r, "mode", "web-1", "a:code", "learn", NULL);
	ran(&r, 0, "learn", "a rule learns");
	ok(strstr(fake("execute 1 %u 0x101000", newest()), "learned") != NULL, "a page");
	run_merlon(&r, "mode", "web-1", "a:code", "enforce", NULL);
	ok(is_open("0x101000"), "which is open then");
	ok(!is_open("0x102000"), "its neighbour is not");
	put_both(POLICY(NOW("more", "0x8000")), POLICY(NOW("other", "0x9000") "," CODE("code")), 0);
	run_merlon(&r, "status", "web-1", NULL);
	ok(strstr(r.out, "b:code") && !strstr(r.out, "a:code"), "the rule moves to another policy") ||
		(note("%s", r.out), true);
	ok(is_open("0x101000"), "what it has learned goes with it");
	ok(!is_open("0x102000") && !is_open("0x100000"), "and no more than that");
	calls(1);
	reload(0);
	ok(streq(calls(1), "ok"), "which is no difference to what the policy says");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	mkdir(path_of("etc"), 0755);
	harness_start("");
	vm_add(1, 0, "web-1", NULL);
	moves();
	failures();
	choices();
	learned();
	return harness_end();
}
