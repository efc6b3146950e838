// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Who may call what: root everything, others what polkit says, each method by the
 * action that merlond(8) gives; and what polkit is told.
 */
#include <fcntl.h>

#include "caller.h"
#include "fake-polkit.h"

#define UUID "a1b2c3d4-0000-4000-8000-000000000001"

static const char manager[] = MERLON_IFACE_MANAGER, vm[] = MERLON_IFACE_VM;
static const char web_1[] = MERLON_PATH_VM "/17", web_2[] = MERLON_PATH_VM "/18";
static const char rule[] =
	"{\"name\":\"x\",\"gpa\":\"0x9000\",\"length\":\"4K\",\"write\":\"deny\"}";
static struct call call;

static char *read_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = calloc(1, 65536);

	if (!f || !text || fread(text, 1, 65535, f) == 0) {
		puts("Bail out! cannot read the project's files");
		exit(1);
	}
	return text;
}

static bool list(sd_bus *bus)
{
	return call_now(bus, &call, MERLON_PATH, manager, "ListVms", "");
}

static bool describe(sd_bus *bus, const char *what)
{
	return call_now(bus, &call, MERLON_PATH, manager, "DescribeVm", "s", what);
}

static bool protect(sd_bus *bus, const char *path, bool dry_run)
{
	return call_now(bus, &call, path, vm, "Protect", "sb", rule, dry_run);
}

/* Polkit was asked once since the last time, this way. */
static void asked(sd_bus *bus, const char *action, unsigned int flags, const char *details)
{
	const char *told = polkit_told(), *name = "", *at;
	char expected[256];

	sd_bus_get_unique_name(bus, &name);
	snprintf(expected, sizeof(expected), "check system-bus-name %s %s %u merlon-", name, action,
		 flags);
	at = startswith(told, expected);
	/* The number of the question, then details to the line's end, then nothing. */
	at = at ? at + strspn(at, "0123456789") : NULL;
	if (!ok(at && startswith(at, details) && streq(at + strlen(details), "\n"),
		"polkit is asked: %s, flags %u, details%s", action, flags,
		*details ? details : " (none)"))
		note("told: %s", told);
}

static void without(sd_bus *root, sd_bus *stranger)
{
	list(stranger);
	failed_as(&call, "AccessDenied", "Only root may learn of VMs and their protection: polkit",
		  "without polkit a stranger is refused");
	protect(stranger, web_1, false);
	failed_as(&call, "AccessDenied", "Only root may change the protection of VMs: polkit",
		  "and told what for");
	ok(list(root) && protect(root, web_1, true), "root is let in");
}

static void says_yes(sd_bus *root, sd_bus *stranger)
{
	static const char details_1[] = " id=17 name=web-1 name-trusted=true uuid=" UUID
					" uid=0 unit=";
	const char *told;

	polkit_say("yes");
	polkit_told();
	ok(list(root) && protect(root, web_1, true), "root is let in with polkit, too");
	ok(streq(polkit_told(), ""), "which is not asked about root");

	ok(list(stranger), "polkit says yes: a stranger is let in");
	asked(stranger, "org.merlon1.list", 0, "");
	ok(protect(stranger, web_1, false), "and changes rules");
	told = polkit_told();
	ok(strstr(told, " org.merlon1.manage 0 ") && strstr(told, details_1),
	   "polkit is told about which VM") || (note("%s", told), true);
	ok(startswith(fake("write 17 0x9000 8"), "ok denied"), "the rule is the kernel's");
	ok(call_now(stranger, &call, web_1, vm, "Unprotect", "sb", "x", 0) &&
	   startswith(fake("write 17 0x9000 8"), "ok allowed"), "and is dropped again");
	polkit_told();

	ok(describe(stranger, "web-2"), "a stranger may name a VM");
	told = polkit_told();
	ok(strstr(told, " org.merlon1.list 0 ") &&
	   strstr(told, " id=18 name=web-2 name-trusted=false uuid= uid=65534 unit="),
	   "a name that its VMM's user made up is told as that") || (note("%s", told), true);
	call_now(stranger, &call, MERLON_PATH, manager, "Watch", "s", "{\"vm\": 17}");
	ok(strstr(polkit_told(), details_1), "the VM of a filter is told");
	call_now(stranger, &call, MERLON_PATH, manager, "Unwatch", "");
	ok(strstr(polkit_told(), details_1), "and when that is ended");
	describe(stranger, "nowhere");
	failed_as(&call, "NoSuchVm", "No VM 'nowhere'", "who is let in hears of no such VM");
	asked(stranger, "org.merlon1.list", 0, "");
	call_now(stranger, &call, MERLON_PATH, manager, "ClearAll", "b", 1);
	asked(stranger, "org.merlon1.manage", 0, "");
}

static void says_no(sd_bus *root, sd_bus *stranger)
{
	char first[sizeof(call.message)];

	polkit_say("no");
	list(stranger);
	failed_as(&call, "AccessDenied", "does not let you learn", "polkit says no: refused");
	protect(stranger, web_1, false);
	failed_as(&call, "AccessDenied", "does not let you change", "and from changing anything");
	ok(startswith(fake("write 17 0x9000 8"), "ok allowed"), "nothing has changed");
	ok(list(root), "root is let in");
	describe(stranger, "web-1");
	strcpy(first, call.message);
	describe(stranger, "nowhere");
	ok(streq(call.name, "AccessDenied") && streq(call.message, first),
	   "who is refused does not hear which VMs there are");
	call_now(stranger, &call, MERLON_PATH_VM "/99", vm, "Describe", "");
	ok(streq(call.name, "AccessDenied") && streq(call.message, first), "nor by their paths");
}

static void asks_for_password(sd_bus *stranger)
{
	polkit_say("challenge");
	polkit_told();
	list(stranger);
	failed_as(&call, "InteractiveAuthorizationRequired", "you have to authenticate",
		  "a password would do, and the call allows none");
	asked(stranger, "org.merlon1.list", 0, "");
	call_start(stranger, &call, true, MERLON_PATH, manager, "ListVms", "");
	call_wait(stranger, &call, 20);
	failed_as(&call, "InteractiveAuthorizationRequired", "", "nobody is there to ask");
	asked(stranger, "org.merlon1.list", 1, "");
	polkit_say("yes");
	call_start(stranger, &call, true, MERLON_PATH, manager, "ListVms", "");
	ok(call_wait(stranger, &call, 20) && !*call.name, "somebody typed it");
	asked(stranger, "org.merlon1.list", 1, "");
}

static void says_nonsense(sd_bus *root, sd_bus *stranger)
{
	polkit_say("error");
	list(stranger);
	failed_as(&call, "AccessDenied", "could not tell", "polkit fails: refused");
	polkit_say("nonsense");
	list(stranger);
	failed_as(&call, "AccessDenied", "could not tell", "polkit answers nonsense: refused");
	ok(list(root), "root is let in");
}

/* A grant for one VM, as an administrator's rule makes it. */
static void one_vm(sd_bus *stranger)
{
	const char *kind = "";
	uint64_t id = 0, seq;
	bool got = false;

	polkit_say("web-1");
	ok(describe(stranger, "web-1"), "let in to one VM: its description");
	describe(stranger, "web-2");
	failed_as(&call, "AccessDenied", "", "and not another's");
	list(stranger);
	failed_as(&call, "AccessDenied", "", "nor all of them");
	ok(protect(stranger, web_1, true), "its rules");
	protect(stranger, web_2, true);
	failed_as(&call, "AccessDenied", "", "and not another's");
	call_now(stranger, &call, MERLON_PATH, manager, "Watch", "s", "{}");
	failed_as(&call, "AccessDenied", "", "not the events of all");
	call_now(stranger, &call, MERLON_PATH, manager, "Watch", "s", "{\"vm\": \"web-2\"}");
	failed_as(&call, "AccessDenied", "", "nor another's");
	ok(call_now(stranger, &call, MERLON_PATH, manager, "Watch", "s", "{\"vm\": \"web-1\"}"),
	   "but its own");
	fake("violation 18 0x1000 1");
	fake("violation 17 0x2000 1");
	for (int i = 0; i < 400 && !got; i++) {
		_cleanup_message_ sd_bus_message *m = NULL;

		if (sd_bus_process(stranger, &m) == 0)
			sd_bus_wait(stranger, 50000);
		if (!m || !sd_bus_message_is_signal(m, manager, "Event"))
			continue;
		got = true;
		sd_bus_message_read(m, "tts", &id, &seq, &kind);
	}
	ok(got && id == 17 && streq(kind, "violation"), "which come, and no others");
	ok(call_now(stranger, &call, MERLON_PATH, manager, "Unwatch", ""), "and can be ended");
	call_now(stranger, &call, MERLON_PATH, manager, "Unwatch", "");
	failed_as(&call, "AccessDenied", "", "who watches nothing has nothing to end");
}

/* merlon itself: a password may be asked for where there is a terminal. */
static void with_merlon(void)
{
	int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	char path[64] = "";
	struct run r;

	if (terminal < 0 || grantpt(terminal) < 0 || unlockpt(terminal) < 0 ||
	    ptsname_r(terminal, path, sizeof(path)) != 0) {
		ok(false, "there are terminals");
		return;
	}
	polkit_say("challenge");
	polkit_told();
	run_merlon_as(&r, STRANGER, NULL, "list", NULL);
	ran(&r, 4, "pkttyagent", "merlon by a stranger: 4, and how to get in");
	ok(strstr(polkit_told(), " org.merlon1.list 0 ") != NULL,
	   "without a terminal nobody is to be asked");
	run_merlon_as(&r, STRANGER, path, "list", NULL);
	ran(&r, 4, "pkttyagent", "at a terminal without an agent: the same");
	ok(strstr(polkit_told(), " org.merlon1.list 1 ") != NULL, "but somebody could be");
	polkit_say("yes");
	run_merlon_as(&r, STRANGER, path, "list", NULL);
	ran(&r, 0, "web-1", "polkit says yes: 0");
	polkit_say("no");
	polkit_told();
	run_merlon_as(&r, STRANGER, path, "list", NULL);
	ran(&r, 4, "AUTHORISATION", "polkit says no: 4, and where to read on");
	polkit_told();
	run_merlon_as(&r, 0, path, "list", NULL);
	ran(&r, 0, "web-1", "by root: 0");
	ok(streq(polkit_told(), ""), "and nobody was asked");
	close(terminal);
}

/* Calls a method of the XML with arguments that change nothing. */
static void call_member(sd_bus *bus, const char *interface, const char *method, const char *types)
{
	const char *path = streq(interface, vm) ? web_1 : MERLON_PATH;

	if (streq(types, ""))
		call_now(bus, &call, path, interface, method, types);
	else if (streq(types, "s"))
		call_now(bus, &call, path, interface, method, types, "{}");
	else if (streq(types, "b"))
		call_now(bus, &call, path, interface, method, types, 1);
	else if (streq(types, "sb"))
		call_now(bus, &call, path, interface, method, types, "{}", 1);
	else if (streq(types, "sbb"))
		call_now(bus, &call, path, interface, method, types, "{}", 0, 1);
	else if (streq(types, "ssbb"))
		call_now(bus, &call, path, interface, method, types, "", "{}", 0, 1);
	else if (streq(types, "ssb"))
		call_now(bus, &call, path, interface, method, types, "{}", "{}", 1);
	else
		ok(false, "%s.%s(%s) can be called", interface, method, types);
}

/* The action under which merlond(8) lists a method. */
static const char *documented(const char *manual, const char *method)
{
	static const char *const actions[] = { "org.merlon1.list", "org.merlon1.manage" };
	char head[64], line[512];

	for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
		const char *at, *word;
		size_t n = strlen(method);

		snprintf(head, sizeof(head), "\n.B %s\n", actions[i]);
		at = strstr(manual, head);
		if (!at)
			continue;
		at += strlen(head);
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(at, "\n"), at);
		for (word = strstr(line, method); word; word = strstr(word + 1, method))
			if ((word == line || word[-1] == ' ') && strchr(",", word[n]))
				return actions[i];
	}
	return "(no action)";
}

/* The direction of an argument of the XML, and its type. */
static const char *way_of(const char *line, char name[64], char type[16], char way[16])
{
	static const char format[] =
		" <arg name=\"%63[^\"]\" type=\"%15[^\"]\" direction=\"%15[^\"]\"";

	return sscanf(line, format, name, type, way) == 3 ? way : "";
}

static void walk(sd_bus *root, sd_bus *stranger, bool with_polkit)
{
	_cleanup_free_ char *xml = read_file("daemon/api/org.merlon1.xml");
	_cleanup_free_ char *manual = read_file("docs/merlond.8");
	char interface[64] = "", method[64] = "", types[16] = "", name[64], type[16], way[16];
	char *save = NULL, expected[128];
	unsigned int n = 0;

	for (char *line = strtok_r(xml, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		sscanf(line, " <interface name=\"%63[^\"]\"", interface);
		if (sscanf(line, " <method name=\"%63[^\"]\"", method) == 1)
			types[0] = '\0';
		if (*method && streq(way_of(line, name, type, way), "in"))
			strncat(types, type, sizeof(types) - strlen(types) - 1);
		if (!*method || !strstr(line, "</method>"))
			continue;
		n++;
		if (!with_polkit) {
			call_member(stranger, interface, method, types);
			failed_as(&call, "AccessDenied", "Only root may",
				  "%s.%s is not for a stranger", interface, method);
		} else {
			polkit_say("no");
			polkit_told();
			call_member(stranger, interface, method, types);
			failed_as(&call, "AccessDenied", "Polkit does not let you",
				  "%s.%s is refused if polkit says so", interface, method);
			snprintf(expected, sizeof(expected), " %s 0 merlon-",
				 documented(manual, method));
			ok(strstr(polkit_told(), expected) != NULL,
			   "asked for the action of merlond(8)");
			polkit_say("yes");
			call_member(stranger, interface, method, types);
			ok(call.done && !streq(call.name, "AccessDenied"),
			   "and let in if polkit says so");
		}
		call_member(root, interface, method, types);
		ok(call.done && !streq(call.name, "AccessDenied"), "as root is");
		method[0] = '\0';
	}
	ok(n >= 15, "%u methods were tried", n);
}

int main(int argc, char **argv)
{
	sd_bus *root, *stranger;

	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", UUID);
	vm_add(18, STRANGER, "web-2", NULL);
	root = connect_as(0);
	stranger = connect_as(STRANGER);

	without(root, stranger);
	walk(root, stranger, false);
	polkit_start();
	says_yes(root, stranger);
	says_no(root, stranger);
	asks_for_password(stranger);
	says_nonsense(root, stranger);
	one_vm(stranger);
	with_merlon();
	walk(root, stranger, true);
	polkit_say("yes");
	ok(list(stranger), "a stranger is in");
	polkit_stop();
	without(root, stranger);
	polkit_start();
	polkit_say("yes");
	ok(list(stranger), "when polkit is back, he is again");

	sd_bus_flush_close_unref(stranger);
	sd_bus_flush_close_unref(root);
	return harness_end();
}
