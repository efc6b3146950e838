// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * While polkit thinks: others are served, callers and VMs may go, polkit itself may,
 * time runs out; and how much may wait for one user.
 */
#include <inttypes.h>
#include <signal.h>

#include "caller.h"
#include "fake-polkit.h"

/* A second stranger, daemon: the bus lets nobody in who is not in /etc/passwd. */
#define OTHER 1
#define BURST 100

static const char manager[] = MERLON_IFACE_MANAGER, vm[] = MERLON_IFACE_VM;
static const char rule[] =
	"{\"name\":\"x\",\"gpa\":\"0x9000\",\"length\":\"4K\",\"write\":\"deny\"}";
static struct call call, late[BURST];

static bool list(sd_bus *bus)
{
	return call_now(bus, &call, MERLON_PATH, manager, "ListVms", "");
}

static void start_list(sd_bus *bus, struct call *c)
{
	call_start(bus, c, false, MERLON_PATH, manager, "ListVms", "");
}

static void start_describe(sd_bus *bus, struct call *c, const char *what)
{
	call_start(bus, c, false, MERLON_PATH, manager, "DescribeVm", "s", what);
}

static bool holds(void *userdata)
{
	return polkit_held() == *(unsigned int *)userdata;
}

/* Polkit has so many questions that it does not answer. */
static bool wait_held(unsigned int n)
{
	return eventually(holds, &n);
}

static bool kernel_has_no(void *userdata)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	struct call c;

	call_now(bus, &c, MERLON_PATH, manager, "DescribeVm", "s", userdata);
	return streq(c.name, "NoSuchVm");
}

/* The VM ends, and merlond has heard of it. */
static void vm_end(uint64_t id)
{
	char what[32];

	fake("gone %" PRIu64, id);
	snprintf(what, sizeof(what), "#%" PRIu64, id);
	ok(eventually(kernel_has_no, what), "VM %s ends", what);
}

static void blocks_nobody(sd_bus *root, sd_bus *stranger)
{
	polkit_say("never");
	start_list(stranger, &late[0]);
	ok(wait_held(1), "polkit thinks");
	ok(list(root), "root is served meanwhile");
	ok(!late[0].done, "and the stranger is not");
	polkit_say("yes");
	ok(call_wait(stranger, &late[0], 20) && !*late[0].name, "until polkit has decided");
}

static void caller_leaves(void)
{
	sd_bus *one = connect_as(STRANGER), *two = connect_as(STRANGER);
	const char *name, *told, *at;
	char expected[96], asked[96];
	unsigned int n = 0;

	polkit_say("never");
	polkit_told();
	start_list(one, &late[0]);
	wait_held(1);
	start_list(two, &late[1]);
	ok(wait_held(2), "two callers wait");
	sd_bus_get_unique_name(one, &name);
	snprintf(asked, sizeof(asked), "check system-bus-name %s org.merlon1.list 0 ", name);
	at = strstr(polkit_told(), asked);
	at = at ? at + strlen(asked) : "?";
	snprintf(expected, sizeof(expected), "cancel %.*s\n", (int)strcspn(at, "\n"), at);
	late[0].slot = sd_bus_slot_unref(late[0].slot);
	sd_bus_flush_close_unref(one);
	for (told = polkit_told(); !*told && n < 500; told = polkit_told(), n++)
		usleep(20000);
	ok(streq(told, expected), "one leaves the bus: its question is withdrawn, and no other") ||
		(note("%sinstead of %s", told, expected), true);
	polkit_say("yes");
	ok(call_wait(two, &late[1], 20) && !*late[1].name, "the other is let in");
	ok(streq(polkit_told(), ""), "and nothing more is withdrawn");
	sd_bus_flush_close_unref(two);
}

/* Who leaves gets nothing for it: polkit has his questions still, until it answers. */
static void left_counts(sd_bus *root)
{
	sd_bus *one = connect_as(STRANGER), *two = connect_as(STRANGER);
	static char told[65536];
	unsigned int n = 0, withdrawn = 0;

	polkit_say("never");
	polkit_told();
	for (int i = 0; i < 8; i++)
		start_list(one, &late[i]);
	ok(wait_held(8), "8 questions of a connection wait");
	for (int i = 0; i < 8; i++)
		late[i].slot = sd_bus_slot_unref(late[i].slot);
	sd_bus_flush_close_unref(one);
	for (n = 0; n < 500 && withdrawn < 8; n++) {
		snprintf(told, sizeof(told), "%s", polkit_told());
		for (const char *p = told; (p = strstr(p, "cancel ")); p++)
			withdrawn++;
		usleep(20000);
	}
	ok(withdrawn == 8, "it leaves, and they are withdrawn: %u", withdrawn);
	list(two);
	failed_as(&call, "LimitsExceeded", "8 polkit checks", "but count until polkit has answered");
	ok(list(root), "root is served");
	polkit_say("yes");
	for (n = 0; n < 500 && !list(two); n++)
		usleep(20000);
	ok(!*call.name, "then there is room again");
	sd_bus_flush_close_unref(two);
}

/* "He has left", says somebody who is not the bus. */
static void forged_leaving(sd_bus *stranger)
{
	_cleanup_bus_ sd_bus *other = connect_as(OTHER), *root = connect_bus();
	_cleanup_message_ sd_bus_message *m = NULL, *owner = NULL;
	const char *name, *merlond = "";
	int r;

	polkit_say("never");
	start_list(stranger, &late[0]);
	ok(wait_held(1), "a call waits");
	sd_bus_get_unique_name(stranger, &name);
	sd_bus_call_method(root, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus", "GetNameOwner", NULL, &owner, "s",
			   MERLON_BUS_NAME);
	sd_bus_message_read(owner, "s", &merlond);
	r = sd_bus_message_new_signal(other, &m, "/org/freedesktop/DBus", "org.freedesktop.DBus",
				      "NameOwnerChanged");
	if (r >= 0)
		r = sd_bus_message_append(m, "sss", name, name, "");
	if (r >= 0)
		r = sd_bus_message_set_destination(m, merlond);
	if (r >= 0)
		r = sd_bus_send(other, m, NULL);
	ok(r >= 0, "somebody says that its caller has left");
	/* merlond has that before this. */
	call_now(other, &call, "/", "org.freedesktop.DBus.Peer", "Ping", "");
	polkit_say("yes");
	ok(call_wait(stranger, &late[0], 20) && !*late[0].name, "which nobody believes: it is let in");
}

/* What waits is not long: a text's size is looked at before anybody is asked. */
static void long_texts(sd_bus *stranger)
{
	_cleanup_free_ char *text = malloc(MERLON_TEXT_MAX + 2);

	memset(text, ' ', MERLON_TEXT_MAX + 1);
	text[MERLON_TEXT_MAX + 1] = '\0';
	polkit_say("yes");
	polkit_told();
	call_now(stranger, &call, MERLON_PATH_VM "/17", vm, "Protect", "sb", text, 1);
	failed_as(&call, "LimitsExceeded", "more than 1048576 bytes", "a text is too long");
	ok(streq(polkit_told(), ""), "which polkit is not asked about");
	text[MERLON_TEXT_MAX] = '\0';
	call_now(stranger, &call, MERLON_PATH_VM "/17", vm, "Protect", "sb", text, 1);
	failed_as(&call, "InvalidRule", "", "one that is not is read");
	ok(strstr(polkit_told(), "org.merlon1.manage") != NULL, "if polkit says so");
}

static void many_checks(sd_bus *root, sd_bus *stranger)
{
	_cleanup_bus_ sd_bus *second = connect_as(STRANGER), *other = connect_as(OTHER);
	bool good = true;

	polkit_say("never");
	for (int i = 0; i < 5; i++)
		start_list(stranger, &late[i]);
	wait_held(5);
	for (int i = 5; i < 8; i++)
		start_list(second, &late[i]);
	ok(wait_held(8), "8 questions about a user wait");
	list(second);
	failed_as(&call, "LimitsExceeded", "8 polkit checks",
		  "the ninth is refused, whatever connection it is from");
	list(stranger);
	failed_as(&call, "LimitsExceeded", "8 polkit checks", "of this one, too");
	start_list(other, &late[8]);
	ok(wait_held(9), "another user's waits");
	ok(list(root), "and root is let in");
	polkit_say("yes");
	for (int i = 0; i < 9; i++) {
		sd_bus *bus = i < 5 ? stranger : i < 8 ? second : other;

		good &= call_wait(bus, &late[i], 20) && !*late[i].name;
	}
	ok(good, "all nine are let in");
	ok(list(stranger), "and there is room again");
}

/* The first users of every /etc/passwd, and nobody. */
static void many_users(sd_bus *root, sd_bus *stranger)
{
	static struct call calls[8][8];
	sd_bus *users[8];
	unsigned int in = 0;

	polkit_say("never");
	for (uid_t i = 0; i < 8; i++) {
		users[i] = connect_as(1 + i);
		for (int j = 0; j < 8; j++)
			start_list(users[i], &calls[i][j]);
	}
	ok(wait_held(64), "64 questions about 8 users wait");
	list(stranger);
	failed_as(&call, "LimitsExceeded", "There are 64 polkit checks", "more are refused");
	ok(list(root), "and root is let in");
	polkit_say("yes");
	for (int i = 0; i < 8; i++) {
		for (int j = 0; j < 8; j++)
			in += call_wait(users[i], &calls[i][j], 20) && !*calls[i][j].name;
		sd_bus_flush_close_unref(users[i]);
	}
	ok(in == 64 && list(stranger), "then they are let in, and there is room again");
}

static pid_t pid_of_merlond(sd_bus *bus)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	uint32_t pid = 0;

	sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus", "GetConnectionUnixProcessID", NULL, &reply, "s",
			   MERLON_BUS_NAME);
	sd_bus_message_read(reply, "u", &pid);
	return (pid_t)pid;
}

/* So many calls at once that merlond has them all before it knows whose they are. */
static void burst(sd_bus *bus, pid_t merlond)
{
	kill(merlond, SIGSTOP);
	for (int i = 0; i < BURST; i++)
		start_list(bus, &late[i]);
	/* A round trip: the bus has them. */
	sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus", "GetId", NULL, NULL, "");
	kill(merlond, SIGCONT);
}

static void many_calls(sd_bus *root)
{
	_cleanup_bus_ sd_bus *stranger = connect_as(STRANGER), *fast = connect_as(0);
	unsigned int calls = 0, checks = 0, in = 0, base;
	pid_t merlond = pid_of_merlond(root);

	polkit_say("never");
	burst(stranger, merlond);
	ok(wait_held(8), "a burst of calls: 8 questions");
	for (int i = 0; i < BURST; i++) {
		/* Those that are not refused are answered by nobody yet. */
		call_wait(stranger, &late[i], i == 0 ? 2 : 0);
		if (!late[i].done || !streq(late[i].name, "LimitsExceeded"))
			continue;
		calls += strstr(late[i].message, "64 calls") != NULL;
		checks += strstr(late[i].message, "8 polkit checks") != NULL;
	}
	ok(calls == BURST - 64 && checks == 64 - 8, "%u are too many calls, %u too many checks",
	   calls, checks);
	polkit_say("yes");
	for (int i = 0; i < BURST; i++)
		in += call_wait(stranger, &late[i], 20) && !*late[i].name;
	ok(in == 8, "the 8 are let in");

	burst(fast, merlond);
	in = 0;
	call_wait(fast, &late[0], 20);
	base = late[0].order;
	for (unsigned int i = 0; i < BURST; i++)
		in += call_wait(fast, &late[i], 20) && !*late[i].name && late[i].order == base + i;
	ok(in == BURST, "root's calls are not counted, and served in their order");
}

/* More than 128 at once, most of them without an answer, so that the bus has no limit for them. */
static void many_unknown(sd_bus *root)
{
	_cleanup_bus_ sd_bus *stranger = connect_as(STRANGER), *other = connect_as(OTHER);
	pid_t merlond = pid_of_merlond(root);
	unsigned int refused = 0;

	polkit_say("yes");
	kill(merlond, SIGSTOP);
	for (int i = 0; i < 120; i++) {
		_cleanup_message_ sd_bus_message *m = NULL;

		sd_bus_message_new_method_call(stranger, &m, MERLON_BUS_NAME, MERLON_PATH, manager,
					       "ListVms");
		sd_bus_message_set_expect_reply(m, 0);
		sd_bus_send(stranger, m, NULL);
	}
	for (int i = 0; i < 20; i++)
		start_list(stranger, &late[i]);
	/* A round trip: the bus has them. */
	sd_bus_call_method(stranger, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus", "GetId", NULL, NULL, "");
	start_list(other, &late[20]);
	sd_bus_flush(other);
	kill(merlond, SIGCONT);
	for (int i = 0; i < 20; i++)
		refused += call_wait(stranger, &late[i], 20) &&
			   streq(late[i].name, "LimitsExceeded") &&
			   strstr(late[i].message, "not told yet");
	ok(refused == 12, "of 140 calls 128 wait until it is known whose they are: %u refused",
	   refused);
	ok(call_wait(other, &late[20], 20) && !*late[20].name, "another connection's is served");
	ok(list(stranger), "and then this one's are");
}

static void vm_goes(sd_bus *stranger)
{
	polkit_say("never");
	start_describe(stranger, &late[0], "web-1");
	start_describe(stranger, &late[1], "#17");
	call_start(stranger, &late[2], false, MERLON_PATH_VM "/17", vm, "Protect", "sb", rule, 0);
	call_start(stranger, &late[3], false, MERLON_PATH, manager, "Watch", "s",
		   "{\"vm\": \"web-1\"}");
	start_describe(stranger, &late[4], "web-2");
	call_start(stranger, &late[5], false, MERLON_PATH_VM "/18", vm, "Protect", "sb", rule, 0);
	start_describe(stranger, &late[6], "web-3");
	start_describe(stranger, &late[7], "web-2");
	ok(wait_held(8), "calls about VMs wait");
	vm_end(17);
	vm_add(19, 0, "web-1", NULL);
	vm_add(20, 0, "web-3", NULL);
	polkit_say("yes");
	for (int i = 0; i < 8; i++)
		call_wait(stranger, &late[i], 20);
	failed_as(&late[0], "NoSuchVm", "any more", "its name is another VM's by now: refused");
	failed_as(&late[1], "NoSuchVm", "No VM '#17'", "its id is nobody's");
	failed_as(&late[2], "NoSuchVm", "No VM '#17'", "nor is its object");
	failed_as(&late[3], "NoSuchVm", "any more", "nor are events of its successor to be had");
	ok(!*late[4].name && !*late[5].name && !*late[7].name, "a VM that stays is as it was");
	failed_as(&late[6], "NoSuchVm", "any more", "one that came is not the one that was meant");
	ok(startswith(fake("write 18 0x9000 8"), "ok denied"), "what was let in was done");
	ok(startswith(fake("write 19 0x9000 8"), "ok allowed"), "what was not was not");
	ok(call_now(stranger, &call, MERLON_PATH, manager, "DescribeVm", "s", "web-1"),
	   "the new one has its name");

	polkit_say("never");
	start_describe(stranger, &late[0], "web-1");
	wait_held(1);
	vm_add(21, STRANGER, "web-1", NULL);
	polkit_say("yes");
	call_wait(stranger, &late[0], 20);
	failed_as(&late[0], "AmbiguousName", "#19, #21", "a name of two VMs is neither's");
	vm_end(21);
}

static void polkit_goes(sd_bus *stranger)
{
	polkit_say("never");
	start_list(stranger, &late[0]);
	wait_held(1);
	polkit_stop();
	ok(call_wait(stranger, &late[0], 20), "polkit dies: the call ends");
	failed_as(&late[0], "Timeout", "did not answer", "and is refused");
	polkit_start();
	polkit_say("yes");
	ok(list(stranger), "polkit is there again: let in");
}

static void time_runs(sd_bus *root, sd_bus *stranger)
{
	const char *told;
	time_t begin;

	polkit_say("never");
	polkit_told();
	call_start(stranger, &late[0], false, MERLON_PATH, manager, "ListVms", "");
	call_start(stranger, &late[1], true, MERLON_PATH, manager, "Probe", "");
	wait_held(2);
	begin = time(NULL);
	ok(call_wait(stranger, &late[0], 40), "polkit never answers: the call ends");
	failed_as(&late[0], "Timeout", "did not answer", "and is refused, after %d s",
		  (int)(time(NULL) - begin));
	told = polkit_told();
	ok(strstr(told, "\ncancel merlon-") != NULL, "the question is withdrawn") ||
		(note("%s", told), true);
	ok(!late[1].done, "one where somebody may be typing has more time");
	ok(list(root), "root is served");
	polkit_say("yes");
	ok(call_wait(stranger, &late[1], 20) && !*late[1].name, "and is let in");
}

static void many_watches(void)
{
	sd_bus *watchers[18], *watcher_of_root[18];
	unsigned int in = 0, of_root = 0;

	polkit_say("yes");
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
		watchers[i] = connect_as(STRANGER);
		in += call_now(watchers[i], &call, MERLON_PATH, manager, "Watch", "s", "{}");
		if (i == 16)
			failed_as(&call, "LimitsExceeded", "16 watching connections",
				  "a 17th connection may not watch");
	}
	for (size_t i = 0; i < ARRAY_SIZE(watcher_of_root); i++) {
		watcher_of_root[i] = connect_as(0);
		of_root += call_now(watcher_of_root[i], &call, MERLON_PATH, manager, "Watch", "s",
				    "{}");
	}
	ok(in == 16 && of_root == 18, "16 of a user's do, and all of root's");
	sd_bus_flush_close_unref(watchers[0]);
	/* merlond hears of it in its own time. */
	for (int i = 0; i < 250; i++) {
		if (call_now(watchers[17], &call, MERLON_PATH, manager, "Watch", "s", "{}"))
			break;
		usleep(20000);
	}
	ok(!*call.name, "when one leaves there is room");
	for (size_t i = 0; i < ARRAY_SIZE(watchers); i++) {
		if (i)
			sd_bus_flush_close_unref(watchers[i]);
		sd_bus_flush_close_unref(watcher_of_root[i]);
	}
}

int main(int argc, char **argv)
{
	sd_bus *root, *stranger;

	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, 0, "web-2", NULL);
	root = connect_as(0);
	stranger = connect_as(STRANGER);
	polkit_start();

	blocks_nobody(root, stranger);
	caller_leaves();
	left_counts(root);
	forged_leaving(stranger);
	long_texts(stranger);
	many_checks(root, stranger);
	many_users(root, stranger);
	many_calls(root);
	many_unknown(root);
	vm_goes(stranger);
	polkit_goes(stranger);
	many_watches();
	time_runs(root, stranger);

	/* It ends with a call that waits, and leaks nothing. */
	polkit_say("never");
	start_list(stranger, &late[0]);
	ok(wait_held(1), "merlond is ended while polkit thinks");
	if (harness_end())
		return 1;
	sd_bus_flush_close_unref(stranger);
	sd_bus_flush_close_unref(root);
	return 0;
}
