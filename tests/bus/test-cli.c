// SPDX-License-Identifier: GPL-2.0-or-later
/* Each verb of merlon on a merlond with a played kernel: what works, and its exit codes. */
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

#define WEB "web-1"
#define WEB_UUID "8e6b5c2e-0d3c-4b51-9f0e-4a1c7e2d9b11"

static struct run r;

/* The run's output, parsed; NULL if it is not JSON on exactly one line. */
static struct json_object *json_of(const struct run *run)
{
	struct json_object *o = NULL;
	size_t n = strlen(run->out);

	if (!n || strchr(run->out, '\n') != run->out + n - 1)
		return NULL;
	return json_parse(run->out, n, &o) < 0 ? NULL : o;
}

static void probe(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct json_object *kernel = NULL;

	run_merlon(&r, "probe", NULL);
	ran(&r, 0, "protects guests", "probe says what the host can do");
	run_merlon(&r, "probe", "--json", NULL);
	o = json_of(&r);
	json_object_object_get_ex(o, "kernel", &kernel);
	ok(json_get_bool(kernel, "patched", false), "probe --json is JSON");
	run_merlon(&r, "probe", "-q", NULL);
	ok(r.exit == 0 && !*r.out, "probe -q prints nothing");
}

static void list(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct json_object *vm;

	run_merlon(&r, "list", NULL);
	ran(&r, 0, "no VMs", "list without VMs");
	run_merlon(&r, "list", "--json", NULL);
	ran(&r, 0, "[]\n", "list --json without VMs");
	run_merlon(&r, "status", NULL);
	ran(&r, 0, "no VMs", "status without VMs");

	vm_add(17, 0, "guest=" WEB ",debug-threads=on", WEB_UUID);
	vm_add(18, STRANGER, "other", NULL);
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "#17", "list shows a VM");
	ok(strstr(r.out, WEB) && !strstr(r.out, WEB " (claimed)"), "root's name is trusted");
	ok(strstr(r.out, "other (claimed)") != NULL, "a stranger's name is marked");

	run_merlon(&r, "list", "--json", NULL);
	o = json_of(&r);
	vm = json_object_is_type(o, json_type_array) ? json_object_array_get_idx(o, 0) : NULL;
	ok(json_get_u64(vm, "id", 0) == 17 && streq(json_get_string(vm, "name", ""), WEB) &&
	   streq(json_get_string(vm, "uuid", ""), WEB_UUID) &&
	   streq(json_get_string(vm, "state", ""), "running") &&
	   json_get_bool(vm, "name-trusted", false), "list --json describes the VM");
	ok(json_object_array_length(o) == 2, "list --json has both VMs");
}

static void naming(void)
{
	run_merlon(&r, "status", WEB, NULL);
	ran(&r, 0, "no rules", "a VM by its name");
	run_merlon(&r, "status", "#17", NULL);
	ran(&r, 0, WEB, "a VM by #id");
	run_merlon(&r, "status", "17", NULL);
	ran(&r, 0, WEB, "a VM by id");
	run_merlon(&r, "status", WEB_UUID, NULL);
	ran(&r, 0, WEB, "a VM by uuid");
	run_merlon(&r, "status", "nobody-has-this", NULL);
	ran(&r, 5, "merlon list", "no such VM is 5, with a hint");
	run_merlon(&r, "status", "#99", NULL);
	ran(&r, 5, "99", "no such id is 5");
}

static void protect(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct json_object *rules, *rule;

	run_merlon(&r, "protect", WEB, "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", "--dry-run", NULL);
	ran(&r, 0, "would be set", "protect --dry-run");
	run_merlon(&r, "status", WEB, NULL);
	ran(&r, 0, "no rules", "a dry run changed nothing");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok allowed"), "nor in the kernel");

	/* Digits as people copy them, values apart. */
	run_merlon(&r, "protect", WEB, "--name", "idt", "--gpa", "0x1E0000", "--length", "4K",
		   "--write", "deny", NULL);
	ran(&r, 0, "is set", "protect");
	ok(strstr(r.out, "device writes: not enforced") != NULL, "protect says what is not enforced");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied"), "the kernel denies the write");
	ok(startswith(fake("write 17 0x1e1000 8"), "ok allowed"), "and not its neighbour");

	run_merlon(&r, "protect", WEB, "--name=sub", "--gpa=0x200080", "--length=128",
		   "--write=deny", "--action=skip", "--default=allow", "--on-reset=keep",
		   "--page-table", "--json", NULL);
	o = json_of(&r);
	rules = json_get_array(o, "applied");
	rule = rules ? json_object_array_get_idx(rules, 0) : NULL;
	ok(r.exit == 0 && streq(json_get_string(rule, "name", ""), "sub") &&
	   streq(json_get_string(rule, "gpa", ""), "0x200080") &&
	   json_get_u64(rule, "length", 0) == 128 && json_get_u64(rule, "frames", 0) == 1 &&
	   streq(json_get_string(rule, "engine", ""), "software") &&
	   streq(json_get_string(rule, "action", ""), "skip") &&
	   streq(json_get_string(rule, "device-writes", ""), "not enforced"),
	   "protect --json tells the rule") || (note("%s%s", r.out, r.err), true);
	ok(startswith(fake("write 17 0x200080 128"), "ok denied"), "the sub-page is denied");
	ok(startswith(fake("write 17 0x200000 128"), "ok allowed") &&
	   startswith(fake("write 17 0x200100 128"), "ok allowed"), "its neighbours are not");

	run_merlon(&r, "protect", WEB, "--name=idt", "--gpa=0x3000", "--length=4K",
		   "--write=deny", NULL);
	ran(&r, 1, "idt", "a name that exists is refused");
	ok(startswith(fake("write 17 0x3000 8"), "ok allowed"), "and changed nothing");

	run_merlon(&r, "protect", WEB, "--name=look", "--gpa=0x5000", "--length=4K",
		   "--write=deny", "--mode=monitor", NULL);
	ran(&r, 0, "(monitor)", "protect --mode=monitor");
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void protect_by_file(void)
{
	char path[128], option[160], expected[512];

	snprintf(path, sizeof(path), "%s/rules.json", harness_dir());
	snprintf(option, sizeof(option), "--rules=%s", path);

	write_file(path, "{ \"version\": 1, \"match\": { \"vm\": \"none-such\" },\n"
			 "  \"rules\": [\n"
			 "    { \"name\": \"f1\", \"gpa\": \"0x10000\", \"length\": \"4K\", \"write\": \"deny\" },\n"
			 "    { \"name\": \"f2\", \"gpa\": \"0x2000000\", \"length\": \"2M\", \"write\": \"deny\" } ] }\n");
	run_merlon(&r, "protect", WEB, option, "--dry-run", NULL);
	ran(&r, 0, "f2", "protect --rules --dry-run");
	run_merlon(&r, "protect", WEB, option, NULL);
	ran(&r, 0, "length 2M, 512 frames", "protect --rules sets all of them");
	ok(startswith(fake("write 17 0x10000 8"), "ok denied") &&
	   startswith(fake("write 17 0x21ffff8 8"), "ok denied") &&
	   startswith(fake("write 17 0x2200000 8"), "ok allowed"), "and the kernel has them");

	run_merlon_as(&r, 0, path, "unprotect", WEB, "f1", NULL);
	run_merlon_as(&r, 0, path, "protect", WEB, "--rules=-", NULL);
	ran(&r, 1, "f2", "rules from stdin; one of them exists");
	ok(startswith(fake("write 17 0x10000 8"), "ok allowed"), "then none of them is set");

	write_file(path, "{ \"rules\": [\n"
			 "    { \"name\": \"g1\", \"gpa\": \"0x30000\", \"length\": \"4K\", \"write\": \"deny\" },\n"
			 "    { \"name\": \"g2\", \"gpa\": \"0x400e0\", \"length\": 16, \"write\": \"deny\" } ] }\n");
	run_merlon(&r, "protect", WEB, option, NULL);
	snprintf(expected, sizeof(expected),
		 "%s:3:28: /rules/1/gpa: expected multiples of 128 bytes, got gpa 0x400e0 length "
		 "0x10; the aligned range around it is gpa 0x40080 length 0x80", path);
	ran(&r, 2, expected, "an unaligned range: file, line, column, and what would do");
	ok(startswith(fake("write 17 0x30000 8"), "ok allowed"), "and its good neighbour is not set");

	write_file(path, "{\"name\":\"h\",\"symbol\":\"sys_call_table\",\"length\":4096,\"write\":\"deny\"}");
	run_merlon(&r, "protect", WEB, option, NULL);
	ran(&r, 6, ":1:22: /symbol: \"symbol\" is not supported here", "a word not built yet is 6");

	run_merlon(&r, "protect", WEB, "--rules=/nonexistent", NULL);
	ran(&r, 1, "/nonexistent", "no such file");
	run_merlon(&r, "protect", WEB, option, "--name=x", NULL);
	ran(&r, 2, "--rules", "a file and options");
	run_merlon(&r, "protect", WEB, "--name=x", NULL);
	ran(&r, 2, "--gpa", "an option is missing");
	run_merlon(&r, "protect", WEB, "--name=x", "--gpa=0x3000", "--length=4K", "--write=maybe", NULL);
	ran(&r, 2, "--write: expected \"allow\" or \"deny\", got \"maybe\"",
	    "errors name the option that was wrong");
	run_merlon(&r, "protect", WEB, "--name=x", "--gpa=0x3000", "--length=4K", "--write=deny",
		   "--action=hold", NULL);
	ran(&r, 6, "--action: \"hold\" is not supported here", "an action not built yet is 6");
	run_merlon(&r, "protect", WEB, "--name=asks-vmm", "--gpa=0x3000", "--length=4K",
		   "--write=deny", "--action=exit", NULL);
	ran(&r, 0, "", "the VMM may be asked");
	run_merlon(&r, "unprotect", WEB, "asks-vmm", NULL);
	ran(&r, 0, "", "and not any more");
	run_merlon(&r, "protect", WEB, "--name=heap", "--gpa=0x4000000", "--length=1G",
		   "--execute=user", NULL);
	ran(&r, 0, "execute user only -> deny", "a gigabyte that user mode alone may execute");
	run_merlon(&r, "status", WEB, NULL);
	ran(&r, 0, "execute user only -> deny", "status says so");
	ok(startswith(fake("write 17 0x4000000 8"), "ok allowed"), "it may be written");
	run_merlon(&r, "unprotect", WEB, "heap", NULL);
	ran(&r, 0, "", "and executed by all again");
	run_merlon(&r, "protect", WEB, "--name=hidden", "--gpa=0x3000", "--length=4K",
		   "--write=deny", "--read=deny", NULL);
	ran(&r, 0, "read, write -> deny", "a page that may be executed and not read");
	run_merlon(&r, "status", WEB, NULL);
	ran(&r, 0, "read, write -> deny", "status says so");
	run_merlon(&r, "unprotect", WEB, "hidden", NULL);
	ran(&r, 0, "", "and read again");
	run_merlon(&r, "protect", WEB, "--name=hidden", "--gpa=0x3000", "--length=4K",
		   "--read=deny", NULL);
	ran(&r, 2, "", "what cannot be read cannot be written");
	run_merlon(&r, "protect", WEB, "--name=hidden", "--gpa=0x3000", "--length=4K",
		   "--read=deny", "--execute=none", NULL);
	ran(&r, 2, "merlon: expected --write=deny beside --read=deny",
	    "nor where nobody executes it");
	run_merlon(&r, "protect", WEB, "--name=x", "--gpa=0x3080", "--length=4K", "--execute=none",
		   NULL);
	ran(&r, 2, "--gpa: expected whole frames", "execution is of whole frames");
	run_merlon(&r, "protect", WEB, "--name=x", "--gpa=0xffffffffff000", "--length=4K",
		   "--write=deny", NULL);
	ran(&r, 2, "", "beyond the guest's physical addresses");
	run_merlon(&r, "protect", "#99", "--name=x", "--gpa=0x3000", "--length=4K", "--write=deny", NULL);
	ran(&r, 5, "", "protect of no such VM");
}

static void status(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	struct json_object *vms, *rules;
	const char *monitor;

	fake("write 17 0x1e0000 8");
	run_merlon(&r, "status", WEB, NULL);
	ran(&r, 0, "idt", "status lists rules");
	ok(strstr(r.out, "violations 2: denied 2"), "with what they met") || (note("%s", r.out), true);
	ok(strstr(r.out, "device writes: not enforced"), "and what is not enforced");
	monitor = strstr(r.out, "look");
	ok(monitor && strstr(monitor, "monitor"), "a monitoring rule is shown as that");

	run_merlon(&r, "status", "--json", NULL);
	o = json_of(&r);
	vms = json_get_array(o, "vms");
	rules = vms ? json_get_array(json_object_array_get_idx(vms, 0), "rules") : NULL;
	ok(json_get_array(o, "degraded") && rules && json_object_array_length(rules) == 4,
	   "status --json has VMs with rules") || (note("%s", r.out), true);
}

static void unprotect(void)
{
	run_merlon(&r, "unprotect", WEB, "idt", "--dry-run", NULL);
	ran(&r, 0, "would drop idt", "unprotect --dry-run");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied"), "a dry run changed nothing");
	run_merlon(&r, "unprotect", WEB, "idt", NULL);
	ran(&r, 0, "dropped idt", "unprotect");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok allowed"), "the write is allowed again");
	ok(startswith(fake("write 17 0x200080 8"), "ok denied"), "another rule stays");
	run_merlon(&r, "unprotect", WEB, "idt", NULL);
	ran(&r, 5, "merlon status", "no such rule is 5, with a hint");
	run_merlon(&r, "unprotect", WEB, NULL);
	ran(&r, 2, "--all", "unprotect needs a name");
	run_merlon(&r, "unprotect", WEB, "", NULL);
	ran(&r, 5, "--all", "an empty name is not all of them");
	ok(startswith(fake("write 17 0x200080 8"), "ok denied"), "and dropped none");
	run_merlon(&r, "unprotect", WEB, "sub", "--all", NULL);
	ran(&r, 2, "not both", "a name and --all");
	run_merlon(&r, "unprotect", WEB, "--all", "--json", NULL);
	ran(&r, 0, "\"removed\":[", "unprotect --all --json");
	ok(startswith(fake("write 17 0x200080 8"), "ok allowed"), "dropped all of them");
	run_merlon(&r, "unprotect", WEB, "--all", NULL);
	ran(&r, 0, "no rules", "unprotect --all without rules");
}

static void protect_some(void)
{
	run_merlon(&r, "protect", WEB, "--name=a", "--gpa=0x1000", "--length=4K", "--write=deny", NULL);
	run_merlon(&r, "protect", "#18", "--name=b", "--gpa=0x1000", "--length=4K", "--write=deny", NULL);
	fake("orphan 18 77 0x40");
}

static void clear(void)
{
	protect_some();
	run_merlon(&r, "clear", "--dry-run", NULL);
	ran(&r, 0, "would drop a", "clear --dry-run");
	ok(startswith(fake("write 17 0x1000 8"), "ok denied"), "a dry run changed nothing");
	run_merlon(&r, "clear", WEB, NULL);
	ran(&r, 0, "dropped a", "clear VM");
	ok(startswith(fake("write 17 0x1000 8"), "ok allowed") &&
	   startswith(fake("write 18 0x1000 8"), "ok denied"), "of that VM only");
	run_merlon(&r, "clear", "--json", NULL);
	ran(&r, 0, "\"cleared\":[", "clear --json");
	ok(startswith(fake("write 18 0x1000 8"), "ok allowed") &&
	   startswith(fake("write 18 0x40000 8"), "ok allowed"), "drops orphans, too");
	run_merlon(&r, "clear", NULL);
	ran(&r, 0, "no rules", "clear without rules");
}

static void usage(void)
{
	static const struct {
		const char *args[4];
		int exit;
		const char *text;
	} cases[] = {
		{ { "--help" }, 0, "Verbs:" },
		{ { "-h" }, 0, "Exit codes:" },
		{ { "--version" }, 0, "merlon " },
		{ { "protect", "--help" }, 0, "--on-reset=WHAT" },
		{ { NULL }, 2, "a verb is missing" },
		{ { "frobnicate" }, 2, "no such verb: frobnicate" },
		{ { "list", "x" }, 2, "one operand too many: x" },
		{ { "list", "--frob" }, 2, "no such option: --frob" },
		{ { "list", "-j" }, 2, "no such option: -j" },
		{ { "list", "--json=yes" }, 2, "an option without a value" },
		{ { "protect" }, 2, "an operand is missing" },
		{ { "protect", "x", "--name" }, 2, "an option needs its value" },
		{ { "list", "--dry-run" }, 2, "no such option: --dry-run" },
		{ { "list", "--bus=a", "--bus=b" }, 2, "an option is given twice" },
		{ { "watch", "--count=0" }, 2, "--count: expected a number above 0" },
		{ { "watch", "--count=x" }, 2, "--count: expected a number above 0" },
		{ { "status", "\x1b[31m\xff", "\n" }, 2, "\\x0a" },
		{ { "list", "--bus=unix:path=/nonexistent" }, 8, "cannot connect to D-Bus" },
		{ { "list", "--bus=nonsense" }, 8, "cannot connect to D-Bus" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *const *a = cases[i].args;

		run_merlon(&r, a[0], a[1], a[2], a[3], NULL);
		ran(&r, cases[i].exit, cases[i].text, "merlon %s %s", a[0] ?: "",
		    i == 16 ? "(escapes)" : a[0] && a[1] ? a[1] : "");
	}
}

static void escapes(void)
{
	run_merlon(&r, "status", "\x1b[31mred\xff\n", NULL);
	ran(&r, 5, "\\x1b[31mred\\xff\\x0a", "what the user typed is escaped, too");
	ok(!strchr(r.err, '\x1b') && !strchr(r.err, '\xff'), "nothing raw gets through");
}

/* Does this print a colour when stdout is a terminal? */
static bool colored(const char *before, const char *option)
{
	char command[512], out[4096] = "";
	FILE *f;

	snprintf(command, sizeof(command),
		 "TERM=xterm %s script -qec '%s/merlon list --bus=%s %s' /dev/null </dev/null",
		 before, harness_dir(), harness_address(), option);
	f = popen(command, "r");
	if (f) {
		(void)!fread(out, 1, sizeof(out) - 1, f);
		pclose(f);
	}
	if (!strstr(out, "web-1"))
		note("%s: %s", command, out);
	return strchr(out, '\x1b') != NULL;
}

static void colors(void)
{
	ok(colored("", ""), "colours on a terminal");
	ok(!colored("", "--no-color"), "not with --no-color");
	ok(!colored("NO_COLOR=1", ""), "nor with NO_COLOR");
	ok(colored("NO_COLOR=", ""), "an empty NO_COLOR does not count");
	ok(!colored("", "--json"), "never in JSON");
	run_merlon(&r, "list", NULL);
	ok(!strchr(r.out, '\x1b'), "nor in a pipe");
}

/* What merlon prints on a terminal with these variables. */
static const char *on_terminal(const char *variables, const char *arguments)
{
	static char out[65536];
	char command[1024];
	size_t n = 0;
	FILE *f;

	snprintf(command, sizeof(command),
		 "TERM=dumb %s timeout 60 script -qec '%s/merlon %s --bus=%s' /dev/null </dev/null", variables,
		 harness_dir(), arguments, harness_address());
	f = popen(command, "r");
	if (f) {
		n = fread(out, 1, sizeof(out) - 1, f);
		pclose(f);
	}
	out[n] = '\0';
	return out;
}

static void terminals(void)
{
	char less[128], variables[256];
	const char *out;

	vm_add(19, 0, "a-name-that-is-longer-than-most-names-of-vms-are", NULL);
	out = on_terminal("COLUMNS=72", "list");
	ok(strstr(out, "a-na") && strstr(out, "...") && !strstr(out, "vms-are"),
	   "a name gives way on a narrow terminal") || (note("%s", out), true);
	ok(strstr(out, "web-1") && strstr(out, "VIOLATIONS"), "short ones and all else do not");
	out = on_terminal("COLUMNS=300", "list");
	ok(strstr(out, "vms-are") != NULL, "it is whole on a wide one") || (note("%s", out), true);
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "vms-are", "and in a pipe");

	out = on_terminal("LINES=10 PAGER=\"sed s/^/paged:/\"", "isolation status");
	ok(!strstr(out, "paged:"), "what fits is not paged") || (note("%s", out), true);
	for (uint64_t id = 30; id < 42; id++)
		fake("vm %d %d uid=0", (int)id, (int)getpid());
	out = on_terminal("LINES=10 PAGER=\"sed s/^/paged:/\"", "status");
	ok(strstr(out, "paged:") && strstr(out, "web-1"), "what does not, is") ||
		(note("%s", out), true);
	out = on_terminal("LINES=10 PAGER=\"sed s/^/paged:/\"", "status --no-pager");
	ok(!strstr(out, "paged:") && strstr(out, "web-1"), "but for --no-pager");
	out = on_terminal("LINES=10 PAGER=\"sed s/^/paged:/\"", "status --json");
	ok(!strstr(out, "paged:") && strstr(out, "web-1"), "and for JSON");
	out = on_terminal("LINES=10 MERLON_PAGER=cat PAGER=\"sed s/^/paged:/\"", "status");
	ok(!strstr(out, "paged:") && strstr(out, "web-1"), "MERLON_PAGER counts first");
	out = on_terminal("LINES=10 PAGER=/nonexistent", "status");
	ok(strstr(out, "web-1") != NULL, "a pager that is not there loses nothing") ||
		(note("%s", out), true);
	/* The real one would wait for a key. */
	snprintf(less, sizeof(less), "%s/less", harness_dir());
	write_file(less, "#!/bin/sh\nsed s/^/secure$LESSSECURE:/\n");
	(void)chmod(less, 0755);
	snprintf(variables, sizeof(variables),
		 "LINES=10 SUDO_UID=1000 PATH=%s:$PATH PAGER=\"sed s/^/paged:/\"", harness_dir());
	out = on_terminal(variables, "status");
	ok(!strstr(out, "paged:") && strstr(out, "secure1:") && strstr(out, "web-1"),
	   "who came by sudo chooses no program that root runs") || (note("%s", out), true);
}

/* Into a reader that leaves at once. */
static void pipes(void)
{
	char command[512], out[4096] = "";
	FILE *f;

	snprintf(command, sizeof(command),
		 "{ (trap '' PIPE; sleep 1; %s/merlon status --bus=%s; echo exit $? >&2) | true; } 2>&1",
		 harness_dir(), harness_address());
	f = popen(command, "r");
	if (f) {
		(void)!fread(out, 1, sizeof(out) - 1, f);
		pclose(f);
	}
	ok(streq(out, "exit 1\n"), "a reader that has left is no news, nor success") ||
		(note("%s", out), true);
}

/* Each verb says that merlond is not there, and what to do; and of a VM, that it is not. */
static void errors(void)
{
	static const char *const verbs[][4] = {
		{ "probe" }, { "list" }, { "status" }, { "status", "web-1" }, { "watch" },
		{ "watch", "web-1", "--json" }, { "unprotect", "web-1", "x" }, { "clear" },
		{ "clear", "web-1" }, { "mode", "web-1", "x", "monitor" }, { "learn", "web-1" },
		{ "arm", "web-1" }, { "engine", "web-1" }, { "engine", "web-1", "auto" },
		{ "owner", "web-1", "0x1000" }, { "explain", "web-1", "0x1000" },
		{ "pin", "web-1", "--cr0=wp" }, { "isolation", "status" }, { "policy", "list" },
		{ "isolation", "kick", "web-1", "never" }, { "policy", "reload" }, { "policy", "diff" },
		{ "policy", "unload", "x" }, { "metrics" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *const *v = verbs[i];
		const char *name[4] = { v[0], v[1], v[2], v[3] };
		bool of_vm = false;

		for (size_t j = 0; j < ARRAY_SIZE(name); j++)
			if (name[j] && streq(name[j], "web-1")) {
				name[j] = "not-there";
				of_vm = true;
			}
		if (!of_vm)
			continue;
		run_merlon(&r, name[0], name[1], name[2], name[3], NULL);
		ran(&r, 5, "merlon list", "%s of a VM that is not there: 5, and a hint", v[0]);
	}
	harness_kill(SIGTERM);
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *const *v = verbs[i];

		run_merlon(&r, v[0], v[1], v[2], v[3], NULL);
		ran(&r, 8, "systemctl start merlond", "%s without merlond: 8, and a hint", v[0]);
	}
	harness_start_daemon();
	run_merlon(&r, "list", NULL);
	ran(&r, 0, "web-1", "and with it again all is well");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	usage();
	probe();
	list();
	naming();
	protect();
	protect_by_file();
	status();
	unprotect();
	clear();
	escapes();
	colors();
	terminals();
	pipes();
	errors();
	return harness_end();
}
