// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules that pin bits of registers: set by options, files and D-Bus, met by the guest, kept
 * over merlond's death, refused where they are wrong or the kernel cannot.
 */
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "harness.h"

#define WP	"0x10000"
#define ALL_CR4	"0x300800"		/* SMEP, SMAP, UMIP */
#define SET	"0x300ef0"		/* with those */
#define ALL	"cr0 wp, cr4 smep smap umip, efer nx"

#define MEMORY	"{\"name\":\"a\",\"gpa\":\"0x1000\",\"length\":\"4K\",\"write\":\"deny\"}"

static struct run r;
static char line[65536];

/* The guest loads a register: "allowed", "denied 3". */
static bool loads(const char *reg, const char *old, const char *new, const char *expected)
{
	const char *answer = fake("load 17 %s %s %s", reg, old, new);

	return streq(answer, expected) || (note("%s %s -> %s: %s", reg, old, new, answer), false);
}

/* What the kernel pins for a rule. */
static bool pins(unsigned int rule, const char *expected)
{
	const char *answer = fake("pins 17 %u", rule);

	return streq(answer, expected) || (note("rule %u: %s", rule, answer), false);
}

static bool no_rules(void)
{
	const char *answer = fake("rules 17");

	return streq(answer, "ok") || (note("%s", answer), false);
}

static void restart(void)
{
	harness_kill(SIGKILL);
	harness_start_daemon();
}

static bool status_has(void *text)
{
	run_merlon(&r, "status", NULL);
	return strstr(r.out, text) != NULL;
}

static void unprotect_all(void)
{
	run_merlon(&r, "unprotect", "web-1", "--all", NULL);
}

static void verb(void)
{
	run_merlon(&r, "probe", NULL);
	ran(&r, 0, " pin ", "probe has the word pin");
	ok(strstr(r.out, " cr efer"), "and the kinds of violations") || (note("%s", r.out), true);

	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--cr4=smep,smap,umip", "--efer=nx", "--dry-run",
		   NULL);
	ran(&r, 0, "rule cpu-protections would be set: pin " ALL " -> deny", "pin --dry-run");
	ok(no_rules(), "changes nothing");

	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--cr4", "smep,smap,umip", "--efer=nx",
		   "--on-reset=keep", NULL);
	ran(&r, 0, "web-1 (#17): rule cpu-protections is set: pin " ALL " -> deny (enforce)\n",
	    "pin");
	ok(!strstr(r.out, "device writes"), "says nothing of devices") || (note("%s", r.out), true);
	ok(pins(1, "ok " WP " " ALL_CR4 " 0x800"), "the kernel has the bits");
	ok(!strstr(fake("engine 17"), "settled"), "no engine is settled by it") ||
		(note("%s", fake("engine 17")), true);
	ok(loads("cr4", SET, "0x200ef0", "ok denied 1"), "clearing SMEP is denied");
	ok(loads("cr4", SET, "0x300e70", "ok allowed"), "clearing another bit is not");
	ok(loads("cr4", "0x200ef0", "0x200ef0", "ok allowed"),
	   "nor is leaving SMEP clear where it is not set yet");
	ok(loads("cr0", "0x80050033", "0x80040033", "ok denied 1"), "clearing WP is denied");
	ok(loads("cr0", "0x80050033", "0x80050031", "ok allowed"), "clearing MP is not");
	ok(loads("efer", "0xd01", "0x501", "ok denied 1"), "clearing NX is denied");
	ok(loads("efer", "0xd01", "0xd00", "ok allowed"), "clearing SCE is not");
	ok(startswith(fake("write 17 0x0 8"), "ok allowed"), "memory is as it was");

	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "  cpu-protections  pin " ALL " -> deny  enforce, armed  on-reset keep\n"
		   "    violations 3: denied 3, allowed 0, skipped 0\n",
	    "status lists it");
	ok(!strstr(r.out, "engine ?") && !strstr(r.out, "device"), "without what it has not") ||
		(note("%s", r.out), true);
	run_merlon(&r, "status", "web-1", "--json", NULL);
	ran(&r, 0, "\"name\":\"cpu-protections\",\"id\":1,\"pin\":{\"cr0\":[\"wp\"],"
		   "\"cr4\":[\"smep\",\"smap\",\"umip\"],\"efer\":[\"nx\"]},\"mode\":",
	    "so does its JSON");
	ok(!strstr(r.out, "\"gpa\"") && !strstr(r.out, "\"write\"") &&
	   !strstr(r.out, "device-writes"), "without an address") || (note("%s", r.out), true);

	run_merlon(&r, "pin", "web-1", "--cr0=wp", NULL);
	ran(&r, 1, "already has a rule 'cpu-protections'", "the same name again: 1");
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--name=wp", "--action=kill", "--json", NULL);
	ran(&r, 0, "{\"applied\":[{\"name\":\"wp\",\"id\":2,\"pin\":{\"cr0\":[\"wp\"]},"
		   "\"mode\":\"enforce\",\"action\":\"kill\",\"default\":\"deny\","
		   "\"on-reset\":\"disarm\",\"arm\":\"now\"}]}\n",
	    "another one, in JSON");
	ok(loads("cr0", "0x80050033", "0x80040033", "ok denied 2"), "the stricter rule speaks");
	run_merlon(&r, "unprotect", "web-1", "wp", "--dry-run", NULL);
	ok(pins(2, "ok " WP " 0 0"), "unprotect, dry, drops nothing");
	run_merlon(&r, "unprotect", "web-1", "wp", NULL);
	ran(&r, 0, "dropped wp", "unprotect drops it");
	ok(loads("cr0", "0x80050033", "0x80040033", "ok denied 1"), "and not the other");
	run_merlon(&r, "unprotect", "web-1", "cpu-protections", NULL);
	ok(loads("cr0", "0x80050033", "0x80040033", "ok allowed"), "then WP may be cleared");
}

static void modes(void)
{
	run_merlon(&r, "pin", "web-1", "--cr4=smep", "--name=look", "--mode=monitor", NULL);
	ran(&r, 0, "pin cr4 smep -> deny (monitor)", "pin --mode=monitor");
	ok(startswith(fake("load 17 cr4 0x100000 0"), "ok allowed "), "reports only");
	run_merlon(&r, "mode", "web-1", "look", "enforce", NULL);
	ran(&r, 0, "is enforce", "mode enforce");
	ok(startswith(fake("load 17 cr4 0x100000 0"), "ok denied "),
	   "it denies: what it pins has stayed");
	run_merlon(&r, "mode", "web-1", "look", "learn", NULL);
	ran(&r, 2, "cannot learn: it pins bits of registers, and only a rule of execute learns",
	    "a rule that pins cannot learn: 2");
	fake("reset 17");
	ok(startswith(fake("load 17 cr4 0x100000 0"), "ok allowed"), "a reset disarms it");
	ok(eventually(status_has, "disarmed"), "status says so");
	unprotect_all();
	run_merlon(&r, "pin", "web-1", "--cr4=smep", "--on-reset=keep", NULL);
	fake("reset 17");
	ok(startswith(fake("load 17 cr4 0x100000 0"), "ok denied "), "unless it is to be kept");
	unprotect_all();
}

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	if (f) {
		fputs(text, f);
		fclose(f);
	}
}

static void files(void)
{
	char path[128], option[160], expected[512];

	run_merlon(&r, "protect", "web-1", "--rules=docs/examples/linux-cpu-protections.json",
		   NULL);
	ran(&r, 0, "rule cpu-protections is set: pin " ALL " -> deny",
	    "the policy that is shipped can be set");
	ok(startswith(fake("load 17 efer 0xd01 0x501"), "ok denied "), "and denies");
	unprotect_all();

	snprintf(path, sizeof(path), "%s/rules.json", harness_dir());
	snprintf(option, sizeof(option), "--rules=%s", path);
	write_file(path, "{\"rules\":[" MEMORY ",\n"
			 "{\"name\":\"b\",\"pin\":{\"cr4\":[\"smep\",\"smepp\"]}}]}\n");
	run_merlon(&r, "protect", "web-1", option, NULL);
	snprintf(expected, sizeof(expected),
		 "%s:2:34: /rules/1/pin/cr4/1: expected \"smep\", \"smap\", \"umip\", \"cet\" or "
		 "\"lass\", got \"smepp\"", path);
	ran(&r, 2, expected, "a bit that there is not: file, line, column, and those there are");
	ok(no_rules(), "nothing of the file is set");
	write_file(path, "{\"rules\":[" MEMORY ",\n"
			 "{\"name\":\"b\",\"pin\":{\"cr4\":[\"smep\"]}}]}\n");
	run_merlon(&r, "protect", "web-1", option, NULL);
	ran(&r, 0, "device writes: not enforced", "memory and registers in one file");
	ok(strstr(r.out, "rule a is set: gpa 0x1000 length 4K") &&
	   strstr(r.out, "rule b is set: pin cr4 smep -> deny"), "each in its words") ||
		(note("%s", r.out), true);
	ok(startswith(fake("write 17 0x1000 8"), "ok denied") &&
	   startswith(fake("load 17 cr4 0x100000 0"), "ok denied"), "both are in force");
	unprotect_all();

	/* Half of it fails in the kernel. */
	fake("fail set_pin 38");
	run_merlon(&r, "protect", "web-1", option, NULL);
	ran(&r, 6, "Pinning registers failed: this kernel or VM does not support it",
	    "a kernel without the call: 6");
	ok(no_rules() && startswith(fake("write 17 0x1000 8"), "ok allowed"),
	   "and the rule beside it is taken back");
	fake("fail set_pin 12");
	run_merlon(&r, "pin", "web-1", "--cr0=wp", NULL);
	ran(&r, 1, "out of memory", "a kernel without memory: 1");
	ok(no_rules(), "the rule is taken back");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "no rules", "and merlond has forgotten it");
}

static void refused(void)
{
	run_merlon(&r, "pin", "web-1", NULL);
	ran(&r, 2, "pin needs --cr0, --cr4 or --efer", "no register: 2");
	run_merlon(&r, "pin", "web-1", "--cr4=smep,pae", NULL);
	ran(&r, 2, "merlon: --cr4: expected \"smep\", \"smap\", \"umip\", \"cet\" or \"lass\", got "
		   "\"pae\"", "a bit that cannot be pinned: 2, and the option's name");
	run_merlon(&r, "pin", "web-1", "--cr0=", NULL);
	ran(&r, 2, "merlon: --cr0: expected \"wp\", got \"\"", "an empty list: 2");
	run_merlon(&r, "pin", "web-1", "--cr4=smep,", NULL);
	ran(&r, 2, "--cr4: expected", "a comma too many: 2");
	run_merlon(&r, "pin", "web-1", "--cr4=smep,smap,smep", NULL);
	ran(&r, 2, "merlon: --cr4: expected a bit that is not in the list yet, got \"smep\"",
	    "a bit twice: 2");
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--action=exit", NULL);
	ran(&r, 2, "--action: expected another action", "the VMM is not asked: 2");
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--gpa=0x1000", NULL);
	ran(&r, 2, "no such option: --gpa", "no place: 2");
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--name=a b", NULL);
	ran(&r, 2, "--name: expected a name", "a name that is none: 2");
	run_merlon(&r, "pin", "web-2", "--cr0=wp", NULL);
	ran(&r, 5, "web-2", "no such VM: 5");

	run_merlon(&r, "pin", "web-1", "--cr4=smep,lass", NULL);
	ran(&r, 2, "merlon: --cr4: expected --efi-runtime=no beside \"lass\", got none: "
		   "Linux clears CR4.LASS", "LASS alone is refused, and why: 2");
	ok(!strstr(r.err, "\": \""), "in the words of options") || (note("%s", r.err), true);
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--mode=learn", NULL);
	ran(&r, 2, "merlon: --mode: expected \"enforce\" or \"monitor\" for rule 'cpu-protections', "
		   "which pins bits of registers, got \"learn\": only a rule of execute learns",
	    "bits are not learned: 2");
	run_merlon(&r, "pin", "web-1", "--cr4=smep", "--efi-runtime=no", NULL);
	ran(&r, 2, "--efi-runtime: expected no such word but in a rule that pins \"lass\"",
	    "what only LASS needs is refused without it: 2");
	run_merlon(&r, "pin", "web-1", "--cr4=lass", "--efi-runtime=yes", NULL);
	ran(&r, 2, "--efi-runtime: expected \"no\", got \"yes\"", "another word: 2");
	ok(no_rules(), "nothing of all that was set");
	run_merlon(&r, "pin", "web-1", "--cr4=smep,lass", "--efi-runtime=no", NULL);
	ran(&r, 0, "pin cr4 smep lass -> deny", "LASS with the word it needs");
	run_merlon(&r, "status", "--json", NULL);
	ran(&r, 0, "\"efi-runtime\":\"no\"", "which is listed");
	ok(startswith(fake("load 17 cr4 0x8100000 0x100000"), "ok denied"),
	   "clearing it is denied");
	ok(startswith(fake("load 17 cr4 0x8100200 0x8100000"), "ok allowed"),
	   "clearing another bit is not");
	unprotect_all();

	run_merlon_as(&r, STRANGER, NULL, "pin", "#17", "--cr0=wp", NULL);
	ran(&r, 4, "run merlon as root", "a stranger: 4");
	ok(no_rules(), "has set nothing");
}

/* A method of the VM, whose answer is a string; to be freed with free(). */
static char *call_vm(sd_bus *bus, sd_bus_error *reterr, const char *method, const char *types, ...)
{
	_cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
	const char *text;
	va_list ap;

	sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, MERLON_PATH_VM "/17",
				       MERLON_IFACE_VM, method);
	va_start(ap, types);
	if (*types)
		sd_bus_message_appendv(m, types, ap);
	va_end(ap);
	if (sd_bus_call(bus, m, 0, reterr, &reply) < 0 ||
	    sd_bus_message_read(reply, "s", &text) < 0)
		return strdup("");
	return strdup(text);
}

static void by_bus(void)
{
	static const char rule[] = "{\"name\":\"x\",\"pin\":{\"cr4\":[\"umip\"]}}";
	_cleanup_free_ char *report = NULL, *list = NULL, *policy = NULL, *none = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = connect_bus();

	report = call_vm(bus, NULL, "Protect", "sb", rule, 0);
	ok(startswith(report, "{\"applied\":[{\"name\":\"x\",\"id\":") &&
	   strstr(report, ",\"pin\":{\"cr4\":[\"umip\"]},\"mode\""), "a rule by D-Bus") ||
		(note("%s", report), true);
	list = call_vm(bus, NULL, "ListRules", "");
	ok(strstr(list, "\"pin\":{\"cr4\":[\"umip\"]}") && strstr(list, "\"armed\":true"),
	   "is listed") || (note("%s", list), true);
	policy = call_vm(bus, NULL, "ExportRule", "s", "x");
	ok(strstr(policy, "\"rules\":[{\"name\":\"x\",\"pin\":{\"cr4\":[\"umip\"]},\"action\""),
	   "and exported") || (note("%s", policy), true);
	unprotect_all();

	none = call_vm(bus, &error, "Protect", "sb",
		       "{\"name\":\"x\",\"pin\":{\"cr4\":[\"lass\"]}}", 0);
	ok(sd_bus_error_has_name(&error, MERLON_ERROR_PREFIX "InvalidRule") &&
	   startswith(error.message, "<text>:1:27: /pin/cr4/0: expected \"efi-runtime\": \"no\""),
	   "LASS alone is not taken") || (note("%s%s", none, error.message ?: ""), true);
	ok(no_rules(), "and nothing is set");
}

/* Reads lines until one has @text. */
static bool find_line(int fd, const char *text)
{
	while (read_line(fd, line, sizeof(line), 20))
		if (strstr(line, text))
			return true;
	return false;
}

static bool wait_for_watch(int fd)
{
	for (int i = 0; i < 100; i++) {
		fake("violation 17 0x1000 99");
		if (read_line(fd, line, sizeof(line), 0))
			return true;
		usleep(50000);
	}
	return false;
}

static void events(void)
{
	_cleanup_close_ int fd = -EBADF, json_fd = -EBADF;
	pid_t pid, json_pid;

	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--cr4=smep,smap", "--efer=nx", "--name=cpu",
		   NULL);
	pid = start_merlon(&fd, "watch", NULL);
	ok(wait_for_watch(fd), "watch");
	json_pid = start_merlon(&json_fd, "watch", "--json", NULL);
	ok(wait_for_watch(json_fd), "watch --json");

	fake("load 17 cr4 0x370ef0 0x70ef0");
	ok(find_line(fd, "cr4") &&
	   strstr(line, "#17 web-1 violation deny: cr4 0x370ef0 -> 0x70ef0 without smep smap by "
			"kernel rip 0xffffffff81000000, cpu 0, rule cpu"), "one readable line") ||
		(note("%s", line), true);
	ok(!strstr(line, "gpa"), "without an address") || (note("%s", line), true);
	ok(find_line(json_fd, "\"register\":\"cr4\"") && strstr(line, "\"access\":\"cr\"") &&
	   strstr(line, "\"cleared\":[\"smep\",\"smap\"],\"old\":\"0x370ef0\","
			"\"new\":\"0x70ef0\"") &&
	   strstr(line, "\"rule\":\"cpu\""), "one object") || (note("%s", line), true);
	ok(!strstr(line, "\"gpa\"") && !strstr(line, "\"gva\""), "without an address") ||
		(note("%s", line), true);

	/* Another bit that may be pinned and is not goes with it. */
	fake("load 17 cr4 0x300800 0x200000");
	ok(find_line(json_fd, "\"old\":\"0x300800\"") &&
	   strstr(line, "\"cleared\":[\"smep\",\"umip\"]"),
	   "all that would be cleared is told") || (note("%s", line), true);
	fake("load 17 efer 0xd01 0x501");
	ok(find_line(json_fd, "\"register\":\"efer\"") && strstr(line, "\"access\":\"efer\"") &&
	   strstr(line, "\"cleared\":[\"nx\"]"), "EFER") || (note("%s", line), true);
	fake("load 17 cr0 0x80010001 0x80000001");
	ok(find_line(json_fd, "\"register\":\"cr0\"") && strstr(line, "\"cleared\":[\"wp\"]"),
	   "CR0") || (note("%s", line), true);
	fake("violation 17 0x5000 1");
	ok(find_line(json_fd, "0x5000") && strstr(line, "\"gpa\":\"0x5000\"") &&
	   !strstr(line, "register") && !strstr(line, "cleared") && !strstr(line, "\"old\""),
	   "a violation of memory has no register") || (note("%s", line), true);
	kill(pid, SIGINT);
	kill(json_pid, SIGINT);
	wait_exit(pid, 20);
	wait_exit(json_pid, 20);
	unprotect_all();
}

/* The id of the VM's one rule. */
static unsigned int rule_id(void)
{
	unsigned int id = 0;

	ok(sscanf(fake("rules 17"), "ok %u:", &id) == 1, "the VM has one rule");
	return id;
}

/* Where the kernel refuses: said once, in status as long as it is so. */
static void not_set_again(unsigned int id)
{
	static const char failed[] = "does not pin what it is to, and cannot be set again",
			  done[] = "did not pin what it is to; it has been set again",
			  unknown[] = "what rule", known[] = "is known again";
	unsigned int before = harness_logged(done);

	fake("unpin 17 %u", id);
	fake("fail set_pin 12 3");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 3, "  cpu  pin nothing -> deny", "where that fails, status does not say it does");
	ok(strstr(r.out, "    not pinned: cr0 wp, cr4 smap lass\n"),
	   "but what is asked for") || (note("%s", r.out), true);
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 3, "degraded: vm-unprotected:17", "and that the VM is not protected as was asked");
	run_merlon(&r, "status", "web-1", "--json", NULL);
	ran(&r, 3, "\"pin\":{},\"not-pinned\":{\"cr0\":[\"wp\"],\"cr4\":[\"smap\",\"lass\"]},",
	    "so does its JSON");
	ok(harness_logged(failed) == 1, "three failures are logged once: %u", harness_logged(failed));
	fake("fail set_pin 95 1");
	run_merlon(&r, "status", "web-1", NULL);
	run_merlon(&r, "status", "web-1", NULL);
	ok(harness_logged(failed) == 2, "another failure is, too: %u", harness_logged(failed));
	ok(strstr(r.out, "  cpu  pin cr0 wp, cr4 smap lass -> deny"), "it is tried again") ||
		(note("%s", r.out), true);
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "  cpu  pin cr0 wp, cr4 smap lass -> deny", "until all is well");
	ok(!strstr(r.out, "not pinned") && harness_logged(done) == before + 1, "which is said, too") ||
		(note("%s", r.out), true);

	fake("fail get_pin 12 2");
	run_merlon(&r, "status", "web-1", NULL);
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "  cpu  pin cr0 wp, cr4 smap lass -> deny", "what is not known stays as it was");
	run_merlon(&r, "status", "web-1", NULL);
	ok(harness_logged(unknown) == 2 && harness_logged(known) == 1, "which is logged once, and its end: %u, %u",
	   harness_logged(unknown), harness_logged(known));
}

static bool status_is(int fd, const char *text)
{
	char message[1024], last[1024] = "";
	ssize_t n;

	while ((n = recv(fd, message, sizeof(message) - 1, MSG_DONTWAIT)) > 0) {
		message[n] = 0;
		if (strstr(message, "STATUS="))
			strcpy(last, message);
	}
	return strstr(last, text) || (note("%s", last), false);
}

/* What 'systemctl status' shows. */
static void service_status(void)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	unsigned int id;

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/notify", harness_dir());
	ok(bind(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0, "a service manager");
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--name=cpu", NULL);
	id = rule_id();
	setenv("NOTIFY_SOCKET", sa.sun_path, 1);
	restart();
	unsetenv("NOTIFY_SOCKET");
	run_merlon(&r, "list", NULL);
	ok(status_is(fd, "STATUS=1 VMs, 1 rules."), "is told what there is");
	fake("unpin 17 %u", id);
	fake("fail set_pin 12");
	run_merlon(&r, "status", NULL);
	ok(status_is(fd, "Degraded: vm-unprotected"), "and what was found out by the way");
	run_merlon(&r, "mode", "web-1", "cpu", "monitor", "--dry-run", NULL);
	ok(status_is(fd, "STATUS=1 VMs, 1 rules."), "and its end");
	unprotect_all();
	restart();
}

static void restarts(void)
{
	_cleanup_free_ char *log = NULL;
	unsigned int id;
	char path[160];

	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--cr4=smap,lass", "--efi-runtime=no",
		   "--name=cpu", NULL);
	id = rule_id();
	restart();
	ok(startswith(fake("load 17 cr0 0x80010001 0x80000001"), "ok denied"),
	   "merlond was killed, and WP stays pinned");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "  cpu  pin cr0 wp, cr4 smap lass -> deny  enforce, armed",
	    "it knows the rule again");
	run_merlon(&r, "status", "web-1", "--json", NULL);
	ran(&r, 0, "\"efi-runtime\":\"no\"", "all of it");

	/* Killed after the rule was set, and before what it pins. */
	fake("unpin 17 %u", id);
	ok(pins(id, "ok 0 0 0"), "a rule that pins nothing yet");
	restart();
	ok(pins(id, "ok 0x10000 0x8200000 0"), "does when merlond is back");
	log = harness_log();
	ok(strstr(log, "did not pin what it is to; it has been set again"), "which says so") ||
		(note("%s", log), true);
	not_set_again(id);

	/* Without a name. */
	harness_kill(SIGKILL);
	snprintf(path, sizeof(path), "%s/run/state.json", harness_dir());
	ok(unlink(path) == 0, "the names are lost");
	harness_start_daemon();
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 3, "orphan rule ", "an orphan");
	ok(strstr(r.out, "pin cr0 wp, cr4 smap lass -> deny"), "with what it pins") ||
		(note("%s", r.out), true);
	ok(startswith(fake("load 17 cr0 0x80010001 0x80000001"), "ok denied"), "stays in force");
	run_merlon(&r, "clear", "web-1", NULL);
	ran(&r, 0, "dropped", "until it is cleared");
	ok(startswith(fake("load 17 cr0 0x80010001 0x80000001"), "ok allowed"), "then it is not");
}

/* The kernel tells nothing more of what a dead VM's rules pin. */
static void dead(void)
{
	vm_add(18, 0, "shot", NULL);
	run_merlon(&r, "pin", "shot", "--cr0=wp", "--action=kill", NULL);
	ran(&r, 0, "pin cr0 wp -> kill", "a rule that kills");
	fake("kill 18");
	restart();
	run_merlon(&r, "status", "shot", NULL);
	ran(&r, 0, "#18 shot  dead", "the VM it has killed is no VM that lacks protection");
	run_merlon(&r, "pin", "shot", "--cr4=smep", "--name=late", NULL);
	ran(&r, 5, "is dead", "nor one to protect: 5");
	fake("gone 18");
}

static void older_kernel(void)
{
	run_merlon(&r, "protect", "web-1", "--name=mem", "--gpa=0x1000", "--length=4K",
		   "--write=deny", NULL);
	fake("abi 5");
	restart();
	run_merlon(&r, "probe", NULL);
	ok(r.exit == 0 && !strstr(r.out, " pin ") && !strstr(r.out, "efer"),
	   "probe of an older kernel has not the word pin") || (note("%s", r.out), true);
	run_merlon(&r, "pin", "web-1", "--cr0=wp", NULL);
	ran(&r, 6, "cannot pin bits of registers", "pin is refused: 6");
	ok(strstr(r.err, "(interface 5)") && strstr(r.err, "merlon probe"), "and why") ||
		(note("%s", r.err), true);
	run_merlon(&r, "pin", "web-1", "--cr0=wp", "--dry-run", NULL);
	ran(&r, 6, "", "a dry run, too");
	run_merlon(&r, "status", "web-1", NULL);
	ran(&r, 0, "  mem  gpa 0x1000", "rules of memory are listed as ever");
	ok(startswith(fake("write 17 0x1000 8"), "ok denied"), "and in force");
	unprotect_all();
}

int main(int argc, char **argv)
{
	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	verb();
	modes();
	files();
	refused();
	by_bus();
	events();
	restarts();
	service_status();
	dead();
	older_kernel();
	return harness_end();
}
