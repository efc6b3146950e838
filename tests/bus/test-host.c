// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * merlon --host: with an ssh of our own in PATH, which leads hosts that are there to the
 * bus of this test, and writes down what it was called with.
 */
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

static struct run r;

static void write_text(const char *name, const char *text, mode_t mode)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", harness_dir(), name);
	f = fopen(path, "we");
	if (f) {
		fputs(text, f);
		fclose(f);
		(void)chmod(path, mode);
	}
}

/* a, b and root@c:22 are there; "down" is not; of "old" nobody knows merlon. */
static void make_ssh(void)
{
	char path[4096], dir[256];

	snprintf(dir, sizeof(dir), "%s/bin", harness_dir());
	(void)mkdir(dir, 0755);
	write_text("bin/ssh",
		   "#!/bin/sh\n"
		   "echo \"$*\" >>${0%/*}/../ssh.log\n"
		   "while [ \"$1\" != -- ]; do shift; done\n"
		   "host=$2\n"
		   "shift 2\n"
		   "case $host in\n"
		   "down) printf 'ssh: connect to host down: \\033[31mrefused\\n' >&2; exit 255 ;;\n"
		   "old) echo 'sh: merlon: not found' >&2; exit 127 ;;\n"
		   "liar) echo '{\"kind\":\"violation\"'; exit 0 ;;\n"
		   "esac\n"
		   "[ \"$1\" = merlon ] && { shift; exec ${0%/*}/../merlon \"$@\"; }\n"
		   "exec \"$@\" -p \"$DBUS_SYSTEM_BUS_ADDRESS\"\n",
		   0755);
	snprintf(path, sizeof(path), "%s:%s", dir, getenv("PATH") ?: "/usr/bin:/bin");
	setenv("PATH", path, 1);
	unsetenv("SYSTEMD_SSH");
}

static char *ssh_log(void)
{
	char path[256], *text = NULL;
	size_t size = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/ssh.log", harness_dir());
	f = fopen(path, "re");
	if (f) {
		(void)!getdelim(&text, &size, '\0', f);
		fclose(f);
	}
	return text;
}

static unsigned int lines_of(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

static void names(void)
{
	static const char *const bad[] = {
		"", ",", "a,", "a,,b", "-oProxyCommand=x", "root@-x", "a b", "a;id", "$(id)", "a/b",
		"a@b@c", "a:", "a:x", "a:123456", "a,a", "\xff", "a\nb", "@a",
	};
	_cleanup_free_ char *log = NULL;
	char option[64], long_name[512], list[4096] = "--host=h";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(option, sizeof(option), "--host=%s", bad[i]);
		run_merlon(&r, "list", option, NULL);
		ran(&r, 2, "--host: expected", "a host that is none is refused (%zu)", i);
		run_merlon(&r, "watch", option, NULL);
		ran(&r, 2, "--host: expected", "by watch, too (%zu)", i);
	}
	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	memcpy(long_name, "--host=", 7);
	run_merlon(&r, "list", long_name, NULL);
	ran(&r, 2, "--host: expected", "a name longer than names are");
	for (size_t i = 0, n = strlen(list); i < 1024; i++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, ",h");
	run_merlon(&r, "list", list, NULL);
	ran(&r, 2, "at most 1024 hosts, got 1025", "more hosts than are taken");
	run_merlon(&r, "list", "--host=a", "--bus=session", NULL);
	ran(&r, 2, "--bus does not go with --host", "a bus here and a host there");
	run_merlon(&r, "learn", "web-1", "--host=a", NULL);
	ran(&r, 2, "not for --host", "learn is not for --host");
	run_merlon(&r, "policy", "check", "x.json", "--host=a", NULL);
	ran(&r, 2, "check without --host", "nor is policy check");
	log = ssh_log();
	ok(!log || !*log, "for none of these was ssh called") || (note("%s", log), true);
}

static void several(void)
{
	_cleanup_json_ struct json_object *first = NULL, *second = NULL;
	_cleanup_free_ char *log = NULL;
	struct json_object *result = NULL;
	const char *a, *b, *newline;

	run_merlon(&r, "list", "--host=a,root@c:22", NULL);
	a = strstr(r.out, "a:\n");
	b = strstr(r.out, "root@c:22:\n");
	ok(r.exit == 0 && a && b && a < b && strstr(a, "web-1") < b && strstr(b, "web-1"),
	   "a heading for each host, in their order") || (note("%s%s", r.out, r.err), true);
	log = ssh_log();
	ok(log && strstr(log, "-- a systemd-stdio-bridge") && strstr(log, "-p 22"),
	   "ssh gets fixed words") || (note("%s", log), true);

	run_merlon(&r, "list", "--host=b,down,a", "--json", NULL);
	ok(r.exit == 7 && lines_of(r.out) == 3, "one host fails: 7, and a line of each") ||
		(note("%d %s%s", r.exit, r.out, r.err), true);
	newline = strchr(r.out, '\n');
	if (newline && json_parse(r.out, (size_t)(newline - r.out), &first) >= 0)
		json_object_object_get_ex(first, "result", &result);
	ok(streq(json_get_string(first, "host", ""), "b") && json_get_u64(first, "exit", 99) == 0 &&
	   json_object_array_length(result) == 1, "what a host has answered is its result");
	newline = newline ? newline + 1 : "";
	(void)json_parse(newline, strcspn(newline, "\n"), &second);
	ok(streq(json_get_string(second, "host", ""), "down") &&
	   json_get_u64(second, "exit", 0) == 8 &&
	   strstr(json_get_string(second, "error", ""), "refused") &&
	   !json_object_object_get_ex(second, "result", NULL), "or there is its error");
	ok(strstr(r.err, "down: ") && !strchr(r.err, '\x1b') && !strstr(r.err, "merlon: merlon"),
	   "which people get, too, and no terminal is driven by") || (note("%s", r.err), true);

	run_merlon(&r, "status", "no-such", "--host=a,b", NULL);
	ran(&r, 7, "b: No VM", "an error of each host");
	run_merlon(&r, "list", "--host=down", NULL);
	ran(&r, 7, "refused", "one host that fails is 7, too");
	run_merlon(&r, "mode", "web-1", "x", "loud", "--host=a,b", NULL);
	ran(&r, 2, "expected enforce", "what is wrong on all is wrong usage");
	run_merlon(&r, "list", "-q", "--host=a", NULL);
	ok(r.exit == 0 && !*r.out && !*r.err, "-q prints nothing");
}

static void changes(void)
{
	char file[256];

	snprintf(file, sizeof(file), "%s/fleet.json", harness_dir());
	write_text("fleet.json",
		   "{ \"version\": 1, \"name\": \"fleet\", \"match\": { \"vm\": \"web-*\" }, \"rules\": [\n"
		   "  { \"name\": \"idt\", \"gpa\": \"0x1e0000\", \"length\": \"4K\", \"write\": \"deny\","
		   " \"arm\": \"now\" } ] }\n", 0644);
	run_merlon(&r, "policy", "load", file, "--host=a", "--dry-run", NULL);
	ran(&r, 0, "+ fleet:idt", "policy load --host --dry-run");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok allowed"), "changes nothing");
	run_merlon_as(&r, 0, file, "policy", "load", "-", "--host=a,b", NULL);
	ran(&r, 0, "+ fleet:idt", "the text from here is loaded there, stdin for all");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok denied") &&
	   startswith(fake("write 17 0x1e1000 8"), "ok allowed"), "and is in force");
	run_merlon(&r, "policy", "unload", "fleet", "--host=a,down", NULL);
	ran(&r, 7, "refused", "and unloaded on the one that answers");
	ok(startswith(fake("write 17 0x1e0000 8"), "ok allowed"), "and is not any more");
}

static void watch(void)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_close_ int out = -EBADF;
	char line[4096] = "";
	pid_t pid;

	pid = start_merlon(&out, "watch", "web-1", "--kind=violation", "--host=a", "--count=1",
			   "--json", NULL);
	/* Until it listens there is nobody to tell. */
	for (int i = 0; i < 40 && !*line; i++) {
		fake("violation 17 0x%x 1", 0x5000 + i);
		if (!read_line(out, line, sizeof(line), 1))
			*line = '\0';
	}
	(void)json_parse(line, strlen(line), &o);
	ok(streq(json_get_string(o, "host", ""), "a") &&
	   streq(json_get_string(o, "kind", ""), "violation") && json_get_u64(o, "vm", 0) == 17,
	   "watch --host has events of the host") || (note("%s", line), true);
	ok(wait_exit(pid, 20) == 0, "and ends after --count");

	close(out);
	pid = start_merlon(&out, "watch", "--kind=violation", "--host=down,b", NULL);
	*line = '\0';
	for (int i = 0; i < 40 && !*line; i++) {
		fake("violation 17 0x%x 1", 0x6000 + i);
		if (!read_line(out, line, sizeof(line), 1))
			*line = '\0';
	}
	ok(startswith(line, "b: ") && strstr(line, "gpa 0x60"), "people get lines, of those left") ||
		(note("%s", line), true);
	kill(pid, SIGINT);
	ok(wait_exit(pid, 20) == 130, "SIGINT ends it with 130");

	run_merlon(&r, "watch", "--host=down,old", NULL);
	ran(&r, 7, "old: sh: merlon: not found", "watch of hosts that fail is 7");
	ok(strstr(r.err, "down: ssh: connect") && !strchr(r.err, '\x1b'), "with each one's error");
	run_merlon(&r, "watch", "--host=liar", NULL);
	ran(&r, 7, "liar: answered", "what is no event is an error");
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	make_ssh();
	harness_start("");
	vm_add(17, 0, "guest=web-1", NULL);
	names();
	several();
	changes();
	watch();
	return harness_end();
}
