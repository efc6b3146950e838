// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * daemon/api/org.merlon1.xml is what merlond introspects to, member by member;
 * and the bus policy names exactly its methods.
 */
#include <ctype.h>

#include "harness.h"

#define ITEMS_MAX 512

/* One line for each element, in the order of the text. */
struct items {
	char *lines[ITEMS_MAX];
	size_t n;
};

static void items_done(struct items *items)
{
	for (size_t i = 0; i < items->n; i++)
		free(items->lines[i]);
	items->n = 0;
}

/* The value of an attribute in a tag's text, "" if it has none. */
static void attribute(const char *tag, size_t len, const char *name, char *value, size_t size)
{
	const char *end = tag + len;
	size_t n = strlen(name);

	*value = '\0';
	for (const char *p = tag; p + n + 2 < end; p++)
		if (isspace((unsigned char)p[0]) && strncmp(p + 1, name, n) == 0 &&
		    p[n + 1] == '=' && p[n + 2] == '"') {
			const char *from = p + n + 3;
			const char *to = memchr(from, '"', (size_t)(end - from));

			if (to && (size_t)(to - from) < size) {
				memcpy(value, from, (size_t)(to - from));
				value[to - from] = '\0';
			}
			return;
		}
}

/* Elements of XML as D-Bus uses it: no entities, no CDATA, nothing hostile. */
static void read_items(const char *xml, const char *interface, struct items *items)
{
	char inside[128] = "", member[128] = "";

	for (const char *p = strchr(xml, '<'); p; p = strchr(p + 1, '<')) {
		static const char *const kinds[] = { "interface", "method", "signal", "property",
						     "arg", "annotation" };
		char name[128], type[64], direction[64], access[64], value[64];
		const char *end;

		if (startswith(p, "<!--")) {
			p = strstr(p, "-->");
			if (!p)
				return;
			continue;
		}
		end = strchr(p, '>');
		if (!end)
			return;
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			size_t len = (size_t)(end - p);
			const char *rest = startswith(p + 1, kinds[i]);

			if (!rest || !strchr(" \t\n>", *rest))
				continue;
			attribute(p, len, "name", name, sizeof(name));
			attribute(p, len, "type", type, sizeof(type));
			attribute(p, len, "direction", direction, sizeof(direction));
			attribute(p, len, "access", access, sizeof(access));
			attribute(p, len, "value", value, sizeof(value));
			if (i == 0) {
				strcpy(inside, name);
				strcpy(member, "");
			} else if (i < 4) {
				strcpy(member, name);
			}
			if (!streq(inside, interface) || items->n == ITEMS_MAX)
				continue;
			if (asprintf(&items->lines[items->n], "%s: %s %s %s %s %s %s", member,
				     kinds[i], name, type, direction, access, value) > 0)
				items->n++;
		}
		p = end;
	}
}

static char *read_file(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char *text = calloc(1, 1 << 20);

	if (f && text)
		(void)!fread(text, 1, (1 << 20) - 1, f);
	return text;
}

static char *introspect(sd_bus *bus, const char *path)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	const char *xml = "";

	if (sd_bus_call_method(bus, MERLON_BUS_NAME, path, "org.freedesktop.DBus.Introspectable",
			       "Introspect", NULL, &reply, "") >= 0)
		sd_bus_message_read(reply, "s", &xml);
	return strdup(xml);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Members may stand in another order; arguments may not, so those carry a number. */
static void number_arguments(struct items *items)
{
	unsigned int number = 0;

	for (size_t i = 0; i < items->n; i++) {
		char *numbered;

		number = strstr(items->lines[i], ": arg ") ? number + 1 : 0;
		if (number && asprintf(&numbered, "%s (%u)", items->lines[i], number) > 0) {
			free(items->lines[i]);
			items->lines[i] = numbered;
		}
	}
	qsort(items->lines, items->n, sizeof(*items->lines), by_text);
}

static void compare(sd_bus *bus, const char *path, const char *interface)
{
	_cleanup_free_ char *written = read_file("daemon/api/org.merlon1.xml");
	_cleanup_free_ char *running = introspect(bus, path);
	struct items a = {}, b = {};
	bool same;

	read_items(written, interface, &a);
	read_items(running, interface, &b);
	number_arguments(&a);
	number_arguments(&b);
	ok(a.n > 10, "the XML describes %s (%zu elements)", interface, a.n);
	same = a.n == b.n;
	for (size_t i = 0; same && i < a.n; i++)
		same = streq(a.lines[i], b.lines[i]);
	if (!ok(same, "merlond introspects %s as the XML has it", interface)) {
		for (size_t i = 0; i < a.n; i++)
			note("written %s", a.lines[i]);
		for (size_t i = 0; i < b.n; i++)
			note("running %s", b.lines[i]);
	}
	items_done(&a);
	items_done(&b);
}

static bool has_comment_before(const char *xml, const char *element)
{
	const char *p = strstr(xml, element), *from = xml, *comment = NULL;

	while (p && (from = strstr(from, "-->")) && from < p)
		comment = from++;
	return comment && strspn(comment + 3, " \t\n") == (size_t)(p - comment - 3);
}

/* A method without a word about it is not documented. */
static void documented(void)
{
	_cleanup_free_ char *xml = read_file("daemon/api/org.merlon1.xml");
	struct items items = {};
	unsigned int bare = 0;

	read_items(xml, MERLON_IFACE_MANAGER, &items);
	read_items(xml, MERLON_IFACE_VM, &items);
	for (size_t i = 0; i < items.n; i++) {
		char member[128], kind[32], name[128], element[512];

		if (sscanf(items.lines[i], "%127[^:]: %31s %127s", member, kind, name) != 3)
			continue;
		if (streq(kind, "method") || streq(kind, "signal") || streq(kind, "property")) {
			snprintf(element, sizeof(element), "<%s name=\"%s\"", kind, name);
			if (!has_comment_before(xml, element)) {
				note("%s %s", kind, name);
				bare++;
			}
		}
		if (streq(kind, "arg")) {
			snprintf(element, sizeof(element), "@%s: ", name);
			if (!strstr(xml, element)) {
				note("argument %s of %s", name, member);
				bare++;
			}
		}
	}
	ok(bare == 0, "the XML says something of each member and argument");
	items_done(&items);
}

static void properties(sd_bus *bus)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	unsigned int n = 0;
	const char *name;

	ok(sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, "org.freedesktop.DBus.Properties",
			      "GetAll", NULL, &reply, "s", MERLON_IFACE_MANAGER) >= 0,
	   "GetAll of the manager");
	sd_bus_message_enter_container(reply, 'a', "{sv}");
	while (sd_bus_message_enter_container(reply, 'e', "sv") > 0) {
		sd_bus_message_read(reply, "s", &name);
		n += streq(name, "Version") || streq(name, "Features") || streq(name, "Degraded") ?
			     1 : 100;
		sd_bus_message_skip(reply, "v");
		sd_bus_message_exit_container(reply);
	}
	ok(n == 3, "properties are Version, Features and Degraded, no others");
}

/* The stranger's test shows that what it does not name does not pass. */
static void policy(void)
{
	_cleanup_free_ char *xml = read_file("daemon/api/org.merlon1.xml");
	_cleanup_free_ char *text = read_file("systemd/org.merlon1.conf");
	struct items items = {};
	unsigned int missing = 0;

	read_items(xml, MERLON_IFACE_MANAGER, &items);
	read_items(xml, MERLON_IFACE_VM, &items);
	for (size_t i = 0; i < items.n; i++) {
		char kind[32], name[128], quoted[160];

		if (sscanf(items.lines[i], "%*[^:]: %31s %127s", kind, name) != 2 ||
		    !streq(kind, "method"))
			continue;
		snprintf(quoted, sizeof(quoted), "send_member=\"%s\"", name);
		if (!strstr(text, quoted)) {
			note("the policy does not name %s", name);
			missing++;
		}
	}
	ok(missing == 0, "the bus policy names each method of the XML");
	items_done(&items);
}

int main(int argc, char **argv)
{
	_cleanup_bus_ sd_bus *bus = NULL;

	harness_init(argc, argv);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	bus = connect_bus();
	compare(bus, MERLON_PATH, MERLON_IFACE_MANAGER);
	compare(bus, MERLON_PATH_VM "/17", MERLON_IFACE_VM);
	documented();
	properties(bus);
	policy();
	return harness_end();
}
