// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whatever anybody sends: every method that merlond says it has, called with arguments of
 * other types, wrong texts, on objects that are not, in each state that it may be in.  Each
 * call gets one answer, and merlond is none the worse for it.
 */
#include <inttypes.h>
#include <signal.h>

#include "caller.h"
#include "fake-polkit.h"

#define MESSAGES 250		/* of each method in each of the four states */
#define IN_FLIGHT 16		/* fewer than merlond lets a user have */
#define METHODS_MAX 128

static struct method {
	char interface[64];
	char name[64];
	char types[32];
} methods[METHODS_MAX];
static size_t n_methods;

static unsigned int in_flight, answers, successes;
static uint64_t seed = 88172645463325252;

/* Xorshift: the same numbers each time. */
static unsigned int number(unsigned int below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned int)(seed >> 32) % below;
}

static void copy_until(char *to, size_t size, const char *from, char end)
{
	size_t n = strcspn(from, (char[]){ end, 0 });

	snprintf(to, size, "%.*s", (int)n, from);
}

/* What the object at @path says of itself, as far as it is ours. */
static void find_methods(sd_bus *bus, const char *path)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	char interface[64] = "";
	const char *xml, *at;

	if (sd_bus_call_method(bus, MERLON_BUS_NAME, path, "org.freedesktop.DBus.Introspectable",
			       "Introspect", NULL, &reply, NULL) < 0 ||
	    sd_bus_message_read(reply, "s", &xml) < 0)
		return;
	for (at = strchr(xml, '<'); at; at = strchr(at + 1, '<')) {
		struct method *m = n_methods ? &methods[n_methods - 1] : NULL;
		const char *value;

		value = startswith(at, "<interface name=\"");
		if (value)
			copy_until(interface, sizeof(interface), value, '"');
		if (!startswith(interface, "org.merlon1."))
			continue;
		value = startswith(at, "<method name=\"");
		if (value && n_methods < METHODS_MAX) {
			m = &methods[n_methods++];
			strcpy(m->interface, interface);
			copy_until(m->name, sizeof(m->name), value, '"');
		}
		value = startswith(at, "<arg type=\"");
		if (value && m && memmem(at, strcspn(at, ">"), "direction=\"in\"", 14)) {
			size_t used = strlen(m->types);

			copy_until(m->types + used, sizeof(m->types) - used, value, '"');
		}
	}
}

static const char *text(void)
{
	static const char *const texts[] = {
		"", "17", "#17", "#18", "#0", "#99999999999999999999", "web-1", "web-2", "{}", "{", "[]",
		"null", "true", "\"\"", "{\"vm\":17}", "{\"vm\":-1}", "{\"vm\":1e300}", "{\"vm\":null}",
		"{\"vm\":[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]}", "\x7f", "\x01\x1b[2J", "\xc3\xa9",
		"../../etc/passwd", "%n%s%s%s", "0x1000", "0xfffffffffffffffff", "-1", " ", "\n", "deny",
		"allow", "enforce", "learn", "monitor", "always", "never", "hardware", "idt", "a:b", ":",
		"{\"name\":\"x\",\"gpa\":\"0x9000\",\"length\":\"4K\",\"write\":\"deny\"}",
		"{\"name\":\"x\",\"gpa\":\"0x9001\",\"length\":\"4K\",\"write\":\"deny\"}",
		"{\"name\":\"x\",\"name\":\"x\"}", "{\"rules\":[]}", "{\"rules\":[{}]}", "{\"rules\":{}}",
		"{\"name\":\"p\",\"match\":{\"vm\":\"*\"},\"rules\":[{\"name\":\"r\",\"gpa\":0,\"length\":"
		"\"all\",\"execute\":\"user\"}]}", "{\"\\u0000\":1}", "1.2.3", "17.0.1", "17.0.",
	};
	static char made[MERLON_TEXT_MAX + 2];
	size_t n;

	switch (number(8)) {
	case 0:
		/* Bytes that a D-Bus string may hold, JSON's own among them often. */
		n = 1 + number(64);
		for (size_t i = 0; i < n; i++)
			made[i] = number(3) ? "{}[]\":,0x\\9a"[number(12)] : (char)(1 + number(126));
		made[n] = 0;
		return made;
	case 1:
		/* Now and then more than merlond takes. */
		n = number(64) ? 300 + number(5000) : sizeof(made) - 1;
		memset(made, "a{[\" 1"[number(6)], n);
		made[n] = 0;
		return made;
	default:
		return texts[number(ARRAY_SIZE(texts))];
	}
}

static int append(sd_bus_message *m, char type)
{
	switch (type) {
	case 's':
		return sd_bus_message_append(m, "s", text());
	case 'o':
		return sd_bus_message_append(m, "o", number(2) ? "/" : MERLON_PATH_VM "/17");
	case 'g':
		return sd_bus_message_append(m, "g", "a{sv}");
	case 'b':
		return sd_bus_message_append(m, "b", (int)number(2));
	case 'y':
		return sd_bus_message_append(m, "y", (int)number(256));
	case 'u':
		return sd_bus_message_append(m, "u", number(4) ? number(100) : UINT32_MAX);
	case 'x':
	case 't':
		return sd_bus_message_append(m, (char[]){ type, 0 },
					     number(4) ? (uint64_t)number(1U << 20) : UINT64_MAX);
	case 'd':
		return sd_bus_message_append(m, "d", 0.0 / (number(2) - 0.0));
	case 'v':
		return sd_bus_message_append(m, "v", "s", text());
	case 'A':
		return sd_bus_message_append(m, "as", 2, text(), "x");
	case 'D':
		return sd_bus_message_append(m, "a{sv}", 1, "vm", "t", (uint64_t)17);
	default:
		return sd_bus_message_append(m, "(sb)", text(), 1);
	}
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *reterr)
{
	(void)userdata;
	(void)reterr;
	in_flight--;
	answers++;
	successes += !sd_bus_message_get_error(reply);
	return 0;
}

static bool wait_below(sd_bus *bus, unsigned int most)
{
	while (in_flight > most) {
		int r = sd_bus_process(bus, NULL);

		if (r < 0 || (r == 0 && sd_bus_wait(bus, 20000000) <= 0))
			return false;
	}
	return true;
}

static int send_one(sd_bus *bus, const struct method *method)
{
	static const char *const paths[] = {
		MERLON_PATH, MERLON_PATH_VM "/17", MERLON_PATH_VM "/18", MERLON_PATH_VM "/99", MERLON_PATH_VM,
		MERLON_PATH_VM "/x", MERLON_PATH_VM "/17/18", "/", MERLON_PATH_VM "/99999999999999999999",
	};
	static const char types[] = "sogbyuxtdvADS";
	_cleanup_message_ sd_bus_message *m = NULL;
	const char *path = streq(method->interface, MERLON_IFACE_VM) ? paths[1] : paths[0];
	int r;

	if (!number(8))
		path = paths[number(ARRAY_SIZE(paths))];
	r = sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, path, method->interface,
					   method->name);
	/* Most have the types that are expected, for it is then that texts are read. */
	if (number(4)) {
		for (const char *t = method->types; r >= 0 && *t; t++)
			r = append(m, *t);
	} else {
		for (unsigned int n = number(5); r >= 0 && n; n--)
			r = append(m, types[number(sizeof(types) - 1)]);
	}
	if (r >= 0)
		r = sd_bus_call_async(bus, NULL, m, on_answer, NULL, 200000000);
	return r;
}

/* Each method, @MESSAGES times; how many were answered as having been done. */
static unsigned int send_all(sd_bus *bus, const char *state)
{
	unsigned int sent = 0;
	bool answered = true;

	answers = successes = in_flight = 0;
	for (size_t i = 0; answered && i < n_methods; i++)
		for (unsigned int j = 0; answered && j < MESSAGES; j++) {
			if (send_one(bus, &methods[i]) < 0) {
				note("%s cannot be sent", methods[i].name);
				continue;
			}
			sent++;
			in_flight++;
			answered = wait_below(bus, IN_FLIGHT - 1);
		}
	answered = answered && wait_below(bus, 0);
	ok(answered && answers == sent && sent >= n_methods * MESSAGES * 9 / 10,
	   "%s: each of %u calls of %zu methods got its answer", state, sent, n_methods);
	note("%u were done", successes);
	return successes;
}

static bool serves(sd_bus *root)
{
	return sd_bus_call_method(root, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER, "Probe",
				  NULL, NULL, NULL) >= 0;
}

int main(int argc, char **argv)
{
	_cleanup_bus_ sd_bus *root = NULL, *stranger = NULL;
	struct run r;

	harness_init(argc, argv);
	harness_start("absent not this one\n");
	root = connect_bus();
	stranger = connect_as(STRANGER);
	find_methods(root, MERLON_PATH);
	find_methods(root, MERLON_PATH_VM "/17");
	ok(n_methods >= 20, "merlond tells its methods: %zu", n_methods);
	send_all(root, "root, a kernel that cannot protect");
	ok(serves(root), "merlond serves");
	ok(harness_kill(SIGTERM) == 0, "and ends cleanly");

	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, STRANGER, "web-2", NULL);
	run_merlon(&r, "protect", "#17", "--name=idt", "--gpa=0x1000", "--length=4096", "--write=deny",
		   NULL);
	ran(&r, 0, "", "a rule");
	ok(!send_all(stranger, "a stranger, who is refused"), "nothing was done for him");
	ok(startswith(fake("write 17 0x1000 8"), "ok denied"), "the rule is in force");
	polkit_start();
	polkit_say("yes");
	ok(send_all(stranger, "a stranger, who is let in") > 0, "some was done for him");
	ok(serves(root), "merlond serves root beside");
	fake("kill 17");
	fake("gone 18");
	send_all(root, "root, VMs that are dead and gone");
	ok(serves(root), "merlond serves");
	return harness_end();
}
