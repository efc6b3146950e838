// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon explain, compared with what the played kernel does at the same byte. */
#include "harness.h"

static struct run r;

static struct json_object *explain(const char *address)
{
	struct json_object *o = NULL;

	run_merlon(&r, "explain", "web-1", address, "--json", NULL);
	(void)json_parse(r.out, strlen(r.out), &o);
	return o;
}

static const char *verdict(struct json_object *o, const char *access)
{
	struct json_object *a = NULL;

	json_object_object_get_ex(o, access, &a);
	return json_get_string(a, "verdict", "?");
}

static struct json_object *rule(struct json_object *o, size_t i)
{
	struct json_object *rules = json_get_array(o, "rules");

	return rules ? json_object_array_get_idx(rules, i) : NULL;
}

static void nothing(void)
{
	_cleanup_json_ struct json_object *o = explain("0x1e0000");

	ok(r.exit == 0 && streq(verdict(o, "write"), "none") && streq(verdict(o, "read"), "none") &&
	   streq(verdict(o, "execute-user"), "none") && streq(verdict(o, "execute-kernel"), "none"),
	   "without rules all goes through") || (note("%s%s", r.out, r.err), true);
	run_merlon(&r, "explain", "web-1", "0x1e0000", NULL);
	ran(&r, 0, "no rule is about it", "and people are told so");
}

static void subpages(void)
{
	_cleanup_json_ struct json_object *in = NULL, *beside = NULL;

	run_merlon(&r, "protect", "web-1", "--name=ops", "--gpa=0x1e0080", "--length=256",
		   "--write=deny", "--action=kill", NULL);
	in = explain("0x1e0088");
	ok(streq(verdict(in, "write"), "kill") && streq(verdict(in, "read"), "none") &&
	   json_get_u64(in, "sub-page", 9) == 1 && streq(json_get_string(in, "frame", ""), "0x1e0") &&
	   streq(json_get_string(rule(in, 0), "write-map", ""), "0xfffffff9") &&
	   streq(json_get_string(rule(in, 0), "engine", ""), "software"),
	   "a byte of a sub-page that is denied") || (note("%s%s", r.out, r.err), true);
	beside = explain("0x1e0180");
	ok(streq(verdict(beside, "write"), "none"), "its neighbour in the frame is not") ||
		(note("%s", r.out), true);
	ok(startswith(fake("write 17 0x1e0180 8"), "ok allowed"), "nor by the kernel");
	run_merlon(&r, "explain", "web-1", "0x1e0088", NULL);
	ran(&r, 0, "sub-pages denied: 1-2\n", "which sub-pages, in words");
	ok(strstr(r.out, "a write kills the VM (rule ops)") && strstr(r.out, "a read goes through"),
	   "and what it comes to") || (note("%s", r.out), true);

	run_merlon(&r, "mode", "web-1", "ops", "monitor", NULL);
	run_merlon(&r, "explain", "web-1", "0x1e0088", NULL);
	ran(&r, 0, "a write goes through, and is reported (rule ops)", "a mode counts");
	ok(startswith(fake("write 17 0x1e0088 8"), "ok allowed"), "as in the kernel");
}

static void execution(void)
{
	_cleanup_json_ struct json_object *o = NULL;

	run_merlon(&r, "protect", "web-1", "--name=heap", "--gpa=0x400000", "--length=4K",
		   "--execute=user", NULL);
	o = explain("0x400010");
	ok(streq(verdict(o, "execute-kernel"), "deny") && streq(verdict(o, "execute-user"), "none") &&
	   streq(verdict(o, "write"), "none"), "who may execute, and who not") ||
		(note("%s", r.out), true);
}

static void arming(void)
{
	_cleanup_json_ struct json_object *before = NULL, *after = NULL;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/boot.json", harness_dir());
	f = fopen(path, "we");
	if (f) {
		fputs("{ \"version\": 1, \"name\": \"boot\", \"match\": { \"vm\": \"web-*\" }, \"rules\": [\n"
		      "{ \"name\": \"text\", \"gpa\": \"0x800000\", \"length\": \"4K\", \"write\": \"deny\" } ] }\n",
		      f);
		fclose(f);
	}
	run_merlon(&r, "policy", "load", path, NULL);
	before = explain("0x800000");
	ok(streq(verdict(before, "write"), "none") &&
	   strstr(json_get_string(rule(before, 0), "why", ""), "booted") &&
	   streq(json_get_string(rule(before, 0), "policy", ""), "boot") &&
	   strstr(json_get_string(rule(before, 0), "file", ""), "boot.json"),
	   "a rule that waits, and of which file it is") || (note("%s", r.out), true);
	run_merlon(&r, "explain", "web-1", "0x800000", NULL);
	ran(&r, 0, "not armed: it waits until the guest has booted", "in words");
	run_merlon(&r, "arm", "web-1", NULL);
	after = explain("0x800000");
	ok(streq(verdict(after, "write"), "deny") && !json_get_string(rule(after, 0), "why", NULL),
	   "and when it is armed") || (note("%s", r.out), true);
}

static void errors(void)
{
	run_merlon(&r, "explain", "web-1", "1e0000", NULL);
	ran(&r, 2, "expected an address", "an address without 0x");
	run_merlon(&r, "explain", "none", "0x1000", NULL);
	ran(&r, 5, "merlon list", "no such VM, and what to do");
	run_merlon(&r, "explain", "web-1", NULL);
	ran(&r, 2, "an operand is missing", "no address");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "guest=web-1", NULL);
	nothing();
	subpages();
	execution();
	arming();
	errors();
	return harness_end();
}
