// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Another user of the host (nobody): receives nothing, learns nothing, changes
 * nothing, and cannot make root believe anything.
 */
#include <grp.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness.h"

static int to_parent = -1, from_parent = -1;

/* In the stranger: a result for the parent's TAP. */
_printf_(2, 3) static void tell(bool good, const char *format, ...)
{
	va_list ap;

	dprintf(to_parent, "%c ", good ? '1' : '0');
	va_start(ap, format);
	vdprintf(to_parent, format, ap);
	va_end(ap);
	dprintf(to_parent, "\n");
}

/* Waits for the parent to come to the same point. */
static void meet(void)
{
	char byte;

	dprintf(to_parent, "=\n");
	if (read(from_parent, &byte, 1) != 1)
		_exit(1);
}

/* What the bus driver itself sends is about connections, and public. */
static unsigned int count_received(sd_bus *bus)
{
	unsigned int n = 0;
	int r;

	/* A round trip: what was sent to us before is here now. */
	sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus", "GetId", NULL, NULL, "");
	for (;;) {
		_cleanup_message_ sd_bus_message *m = NULL;

		r = sd_bus_process(bus, &m);
		if (r <= 0)
			return n;
		if (m && sd_bus_message_get_sender(m) &&
		    !streq(sd_bus_message_get_sender(m), "org.freedesktop.DBus")) {
			tell(false, "got %s from %s", sd_bus_message_get_member(m) ?: "a message",
			     sd_bus_message_get_sender(m));
			n++;
		}
	}
}

static void call(sd_bus *bus, const char *path, const char *interface, const char *method,
		 const char *types, ...)
{
	_cleanup_message_ sd_bus_message *m = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	/* Who may look may not change, one day: it is asked for what the method does. */
	const char *what = streq(method, "Protect") || streq(method, "Unprotect") ||
			   streq(method, "SetEngine") || streq(method, "ClearAll") ||
			   streq(method, "SetIsolationKick") || streq(method, "ReloadPolicies") ||
			   streq(method, "LoadPolicy") || streq(method, "UnloadPolicy") ||
			   streq(method, "Arm") ?
			   "Only root may change" : "Only root may learn";
	va_list ap;
	int r;

	sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, path, interface, method);
	va_start(ap, types);
	if (*types)
		sd_bus_message_appendv(m, types, ap);
	va_end(ap);
	r = sd_bus_call(bus, m, 0, &error, NULL);
	/* The bus lets it through and merlond refuses: the policy names this method. */
	tell(r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED) &&
		     strstr(error.message, what),
	     "%s.%s is refused by merlond: %s", interface, method, error.message ?: "(it worked)");
}

static void call_everything(sd_bus *bus)
{
	static const char rule[] =
		"{\"name\":\"x\",\"gpa\":\"0x9000\",\"length\":\"4K\",\"write\":\"deny\"}";
	static const char manager[] = MERLON_IFACE_MANAGER, vm[] = MERLON_IFACE_VM;
	static const char path[] = MERLON_PATH_VM "/17";

	call(bus, MERLON_PATH, manager, "ListVms", "");
	call(bus, MERLON_PATH, manager, "DescribeVm", "s", "web-1");
	call(bus, MERLON_PATH, manager, "Probe", "");
	call(bus, MERLON_PATH, manager, "Metrics", "");
	call(bus, MERLON_PATH, manager, "Watch", "s", "{}");
	call(bus, MERLON_PATH, manager, "Subscribe", "s", "{}");
	call(bus, MERLON_PATH, manager, "Unwatch", "");
	call(bus, MERLON_PATH, manager, "ClearAll", "b", 0);
	call(bus, MERLON_PATH, manager, "ClearAll", "b", 1);
	call(bus, MERLON_PATH, manager, "ReloadPolicies", "b", 0);
	call(bus, MERLON_PATH, manager, "ReloadPolicies", "b", 1);
	call(bus, MERLON_PATH, manager, "ListPolicies", "");
	call(bus, MERLON_PATH, manager, "LoadPolicy", "ssbb", "x", rule, 0, 0);
	call(bus, MERLON_PATH, manager, "LoadPolicy", "ssbb", "x", rule, 1, 1);
	call(bus, MERLON_PATH, manager, "UnloadPolicy", "sbb", "x", 1, 0);
	call(bus, path, vm, "Describe", "");
	call(bus, path, vm, "Protect", "sb", rule, 0);
	call(bus, path, vm, "Protect", "sb", rule, 1);
	call(bus, path, vm, "Unprotect", "sb", "idt", 0);
	call(bus, path, vm, "Unprotect", "sb", "", 0);
	call(bus, path, vm, "SetEngine", "sb", "software", 0);
	call(bus, path, vm, "SetEngine", "sb", "software", 1);
	call(bus, path, vm, "Arm", "sb", "", 0);
	call(bus, path, vm, "Arm", "sb", "idt", 1);
	call(bus, path, vm, "Owner", "s", "0x1000");
	call(bus, path, vm, "ListRules", "");
	call(bus, path, vm, "Isolation", "");
	call(bus, path, vm, "SetIsolationKick", "sb", "always", 0);
	call(bus, path, vm, "SetIsolationKick", "sb", "always", 1);
}

/* The same call passes without one, and is merlond's to refuse. */
static void with_fd(sd_bus *bus)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, "org.freedesktop.DBus.Peer",
				   "Ping", &error, NULL, "h", STDIN_FILENO);

	tell(r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED),
	     "a file descriptor does not pass the bus: %s", error.message ?: "(it worked)");
}

static void refused(sd_bus *bus, const char *path, const char *interface, const char *method)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	int r = sd_bus_call_method(bus, MERLON_BUS_NAME, path, interface, method, &error, NULL, "");

	/* By the bus: what its policy does not name does not even reach merlond. */
	tell(r < 0 && sd_bus_error_has_name(&error, SD_BUS_ERROR_ACCESS_DENIED),
	     "%s.%s does not pass the bus: %s", interface, method, error.message ?: "(it worked)");
}

static void look_at(sd_bus *bus, const char *path)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *xml = "";
	int r;

	r = sd_bus_call_method(bus, MERLON_BUS_NAME, path, "org.freedesktop.DBus.Introspectable",
			       "Introspect", &error, &reply, "");
	if (r >= 0)
		sd_bus_message_read(reply, "s", &xml);
	tell(!strstr(xml, "web-1") && !strstr(xml, "idt") && !strstr(xml, "node name=\"17\""),
	     "%s tells nothing of a VM", path);
}

/* Rules of VM 17 are disarmed: that may be known, and not which VM it is. */
static void degraded(sd_bus *bus)
{
	_cleanup_message_ sd_bus_message *value = NULL;
	bool reason = false, detail = false;
	const char *word;

	if (sd_bus_get_property(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER, "Degraded",
				NULL, &value, "as") >= 0 &&
	    sd_bus_message_enter_container(value, 'a', "s") >= 0)
		while (sd_bus_message_read(value, "s", &word) > 0) {
			reason |= streq(word, "vm-unprotected");
			detail |= strpbrk(word, ":/0123456789") != NULL;
		}
	tell(reason && !detail, "Degraded gives reasons, without VMs or files");
}

static void look_around(sd_bus *bus)
{
	static const char *const properties[] = { "Version", "Features", "Degraded" };
	static const char *const paths[] = { "/", "/org", MERLON_PATH, MERLON_PATH_VM,
					     MERLON_PATH_VM "/17", MERLON_PATH_VM "/99" };
	_cleanup_message_ sd_bus_message *reply = NULL;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(properties); i++) {
		_cleanup_message_ sd_bus_message *value = NULL;

		r = sd_bus_get_property(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
					properties[i], NULL, &value, i ? "as" : "s");
		tell(r >= 0, "property %s is anybody's to read", properties[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		look_at(bus, paths[i]);
	r = sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH_VM "/17",
			       "org.freedesktop.DBus.Properties", "GetAll", NULL, &reply, "s",
			       MERLON_IFACE_VM);
	tell(r < 0 || (sd_bus_message_enter_container(reply, 'a', "{sv}") >= 0 &&
		       sd_bus_message_at_end(reply, false) > 0), "a VM has no properties");
	degraded(bus);
	with_fd(bus);
	refused(bus, MERLON_PATH, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
	refused(bus, "/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
	refused(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "NoSuchMethod");
	refused(bus, MERLON_PATH_VM "/17", MERLON_IFACE_VM, "NoSuchMethod");
	refused(bus, MERLON_PATH, "org.example.Other", "ListVms");
	r = sd_bus_set_property(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER, "Version",
				NULL, "s", "9");
	tell(r < 0, "no property can be set");
	r = sd_bus_request_name(bus, MERLON_BUS_NAME, SD_BUS_NAME_REPLACE_EXISTING);
	tell(r < 0, "the name cannot be taken");
}

/* An Event that says it comes from /org/merlon1, straight to a watcher of root's. */
static void forge(sd_bus *bus)
{
	static const char json[] = "{\"vm\":17,\"seq\":1,\"kind\":\"violation\",\"gpa\":\"0xf04ced\"}";
	char name[16];

	for (int i = 0; i < 100; i++) {
		_cleanup_message_ sd_bus_message *m = NULL;

		snprintf(name, sizeof(name), ":1.%d", i);
		if (sd_bus_message_new_signal(bus, &m, MERLON_PATH, MERLON_IFACE_MANAGER,
					      "Event") >= 0 &&
		    sd_bus_message_append(m, "ttss", (uint64_t)17, (uint64_t)1, "violation",
					  json) >= 0 &&
		    sd_bus_message_set_destination(m, name) >= 0)
			sd_bus_send(bus, m, NULL);
	}
	sd_bus_flush(bus);
	sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus", "GetId", NULL, NULL, "");
}

static void be_a_stranger(void)
{
	static const char *const rules[] = { "", "type='signal'", "interface='org.merlon1.Manager'",
					     "eavesdrop='true'", "eavesdrop='true',type='signal'" };
	_cleanup_bus_ sd_bus *bus = NULL;

	if (setgroups(0, NULL) < 0 || setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
	    setresuid(STRANGER, STRANGER, STRANGER) < 0)
		_exit(1);
	bus = connect_bus();
	/* Rules that the bus refuses are as good: nothing comes of them. */
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++)
		sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
				   "org.freedesktop.DBus", "AddMatch", NULL, NULL, "s", rules[i]);
	sd_bus_call_method(bus, "org.freedesktop.DBus", "/org/freedesktop/DBus",
			   "org.freedesktop.DBus.Monitoring", "BecomeMonitor", NULL, NULL, "asu", 0,
			   0);
	meet();
	/* Meanwhile root watches, rules are set, guests misbehave. */
	meet();
	tell(count_received(bus) == 0, "a stranger with match rule '' receives nothing");
	call_everything(bus);
	look_around(bus);
	meet();
	tell(count_received(bus) == 0, "nor after all of that");
	forge(bus);
	meet();
	_exit(0);
}

/* Takes the stranger's results until it waits for us. */
static bool follow(int fd)
{
	char line[4096];

	while (read_line(fd, line, sizeof(line), 30)) {
		if (line[0] == '=')
			return true;
		ok(line[0] == '1', "%s", line + 2);
	}
	return ok(false, "the stranger came to his end");
}

static void with_merlon(void)
{
	static const char *const verbs[][6] = {
		{ "probe" }, { "list" }, { "status" }, { "status", "#17" }, { "clear" },
		{ "unprotect", "#17", "idt" }, { "watch", "--count=1" }, { "watch", "#17" },
		{ "isolation", "status" }, { "isolation", "status", "#17" },
		{ "isolation", "kick", "#17", "always" }, { "engine", "#17" }, { "engine", "#17", "software" }, { "pin", "#17", "--cr0=wp" },
		{ "protect", "#17", "--name=x", "--gpa=0x9000", "--length=4K", "--write=deny" },
	};
	struct run r;

	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		const char *const *v = verbs[i];

		run_merlon_as(&r, STRANGER, NULL, v[0], v[1], v[2], v[3], v[4], v[5], NULL);
		ran(&r, 4, "run merlon as root", "merlon %s by a stranger: 4", v[0]);
		ok(!strstr(r.out, "web-1") && !strstr(r.err, "web-1"), "which tells nothing");
	}
}

int main(int argc, char **argv)
{
	int results[2], go[2], fd;
	char line[4096];
	pid_t pid, watch;
	struct run r;

	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	fake("isolation on");
	fake("isolated 17");
	if (pipe(results) < 0 || pipe(go) < 0)
		return 1;
	pid = fork();
	if (pid < 0)
		return 1;
	if (pid == 0) {
		to_parent = results[1];
		from_parent = go[0];
		be_a_stranger();
	}
	close(results[1]);
	close(go[0]);

	follow(results[0]);
	watch = start_merlon(&fd, "watch", "--json", NULL);
	run_merlon(&r, "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", NULL);
	ran(&r, 0, "is set", "root protects a VM");
	for (int i = 0; i < 100; i++) {
		fake("violation 17 0x1e0000 1");
		if (read_line(fd, line, sizeof(line), 0))
			break;
		usleep(50000);
	}
	ok(strstr(line, "\"vm\":17") != NULL, "root's watch gets events");
	fake("reset 17");
	(void)!write(go[1], "", 1);

	follow(results[0]);
	(void)!write(go[1], "", 1);
	follow(results[0]);
	ok(startswith(fake("write 17 0x9000 8"), "ok allowed") &&
	   startswith(fake("rules 17"), "ok 1:"), "the kernel has root's rule and no other");

	(void)!write(go[1], "", 1);
	follow(results[0]);
	fake("violation 17 0xe0d 1");
	while (read_line(fd, line, sizeof(line), 20) && !strstr(line, "0xe0d"))
		if (strstr(line, "0xf04ced"))
			break;
	ok(strstr(line, "0xe0d") != NULL, "root's watch does not believe a forged event");
	kill(watch, SIGINT);
	ok(wait_exit(watch, 20) == 130, "and lives on");
	(void)!write(go[1], "", 1);
	waitpid(pid, NULL, 0);

	with_merlon();
	ok(startswith(fake("rules 17"), "ok 1:"), "the rule is still there");
	ok(startswith(fake("engine 17"), "ok auto "), "and nobody chose an engine");
	ok(streq(fake("kick 17"), "ok 0"), "nor when siblings are kicked");
	return harness_end();
}
