// SPDX-License-Identifier: GPL-2.0-or-later
/* Bad input on each method: a precise error, and nothing changed. */
#include "harness.h"

#define MEGABYTE (1 << 20)
#define VM_PATH MERLON_PATH_VM "/17"

static sd_bus *bus;

/* Calls with arguments as in sd_bus_call_method(), expects an error of this name. */
_printf_(5, 0) static void fails(const char *path, const char *interface, const char *method,
				 const char *error_name, const char *what, const char *types, ...)
{
	_cleanup_message_ sd_bus_message *m = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	bool printable = true;
	va_list ap;
	int r;

	sd_bus_message_new_method_call(bus, &m, MERLON_BUS_NAME, path, interface, method);
	va_start(ap, types);
	r = sd_bus_message_appendv(m, types, ap);
	va_end(ap);
	if (r >= 0)
		r = sd_bus_call(bus, m, 0, &error, NULL);
	for (const char *p = error.message ?: ""; *p; p++)
		printable = printable && *p >= 0x20 && *p < 0x7f;
	if (!ok(r < 0 && sd_bus_error_has_name(&error, error_name) && printable &&
		error.message && *error.message && strlen(error.message) < 1024,
		"%s: %s", method, what))
		note("%s: %.1000s", error.name ?: "(no error)", error.message ?: "");
}

#define manager_fails(method, error, what, ...) \
	fails(MERLON_PATH, MERLON_IFACE_MANAGER, method, error, what, __VA_ARGS__)
#define vm_fails(method, error, what, ...) \
	fails(VM_PATH, MERLON_IFACE_VM, method, error, what, __VA_ARGS__)
#define E(name) MERLON_ERROR_PREFIX name
#define INVALID_ARGS "org.freedesktop.DBus.Error.InvalidArgs"

static bool lives(void)
{
	_cleanup_message_ sd_bus_message *reply = NULL;

	return sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER, "Probe",
				  NULL, &reply, "") >= 0;
}

static void megabytes(void)
{
	static const unsigned char fill[] = { 'A', '{', '[', '"', '\\', '\x1b', '\n', '%', ' ' };
	_cleanup_free_ char *text = malloc(MEGABYTE + 2);

	for (size_t i = 0; i < ARRAY_SIZE(fill); i++) {
		char what[64];

		snprintf(what, sizeof(what), "1 MiB of byte 0x%02x", fill[i]);
		memset(text, fill[i], MEGABYTE);
		text[MEGABYTE] = '\0';
		manager_fails("DescribeVm", E("LimitsExceeded"), what, "s", text);
		manager_fails("Watch", E("LimitsExceeded"), what, "s", text);
		vm_fails("Protect", E("InvalidRule"), what, "sb", text, 0);
		vm_fails("Unprotect", E("LimitsExceeded"), what, "sb", text, 0);
		vm_fails("SetEngine", E("LimitsExceeded"), what, "sb", text, 0);
		text[MEGABYTE] = fill[i];
		text[MEGABYTE + 1] = '\0';
		vm_fails("Protect", E("LimitsExceeded"), "and one byte more", "sb", text, 0);
	}
	ok(lives(), "merlond answers after megabytes");
}

/* Methods without a string get what they do not expect, too. */
static void wrong_types(void)
{
	_cleanup_free_ char *text = calloc(1, MEGABYTE);

	memset(text, 'x', MEGABYTE - 1);
	manager_fails("ListVms", INVALID_ARGS, "a megabyte for no argument", "s", text);
	manager_fails("Probe", INVALID_ARGS, "a megabyte for no argument", "s", text);
	manager_fails("Unwatch", INVALID_ARGS, "a megabyte for no argument", "s", text);
	manager_fails("ClearAll", INVALID_ARGS, "a megabyte for a boolean", "s", text);
	vm_fails("Describe", INVALID_ARGS, "a megabyte for no argument", "s", text);
	vm_fails("ListRules", INVALID_ARGS, "a megabyte for no argument", "s", text);
	manager_fails("DescribeVm", INVALID_ARGS, "a number for a name", "t", (uint64_t)17);
	vm_fails("Protect", INVALID_ARGS, "no dry_run", "s", "{}");
	vm_fails("Unprotect", INVALID_ARGS, "no arguments", "");
	vm_fails("SetEngine", INVALID_ARGS, "no dry_run", "s", "auto");
	vm_fails("SetEngine", INVALID_ARGS, "a number for a word", "ub", 1U, 0);
}

static void unknown_vms(void)
{
	static const char *const whats[] = { "", "#", "#0", "#99", "99", "-1", "#-1", "#17x", "0x11",
					     "#18446744073709551616", "web-", "web-1 ", "%n%s",
					     "00000000-0000-0000-0000-000000000000", "\x1b[2J", "\n" };

	for (size_t i = 0; i < ARRAY_SIZE(whats); i++)
		manager_fails("DescribeVm", E("NoSuchVm"), i < 14 ? whats[i] : "(escapes)", "s",
			      whats[i]);
	fails(MERLON_PATH_VM "/99", MERLON_IFACE_VM, "Describe", E("NoSuchVm"),
	      "an object that is not there", "");
	fails(MERLON_PATH_VM "/99", MERLON_IFACE_VM, "Protect", E("NoSuchVm"),
	      "an object that is not there", "sb", "{}", 0);
}

static void engines(void)
{
	static const char *const bad[] = { "", "AUTO", "sw", "software\n", "page", "?", "%n%s" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vm_fails("SetEngine", INVALID_ARGS, bad[i], "sb", bad[i], 0);
		vm_fails("SetEngine", INVALID_ARGS, "the same, dry", "sb", bad[i], 1);
	}
	vm_fails("SetEngine", E("EngineSettled"), "of a VM that was protected", "sb", "auto", 0);
	fails(MERLON_PATH_VM "/20", MERLON_IFACE_VM, "SetEngine", E("NotSupported"),
	      "hardware that is not there", "sb", "hardware", 0);
	fails(MERLON_PATH_VM "/99", MERLON_IFACE_VM, "SetEngine", E("NoSuchVm"),
	      "an object that is not there", "sb", "software", 0);
	ok(streq(fake("engine 17"), "ok auto software settled") &&
	   streq(fake("engine 20"), "ok auto software"), "and all is as it was");
}

static void filters(void)
{
	static const char *const bad[] = { "", "x", "[]", "null", "17", "{\"vm\":null}",
					   "{\"vm\":true}", "{\"vm\":1.5}", "{\"vm\":[17]}",
					   "{\"x\":1}", "{\"vm\":17,\"x\":1}", "{\"vm\":17" };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		manager_fails("Watch", INVALID_ARGS, bad[i], "s", bad[i]);
	manager_fails("Watch", E("NoSuchVm"), "of no such VM", "s", "{\"vm\":99}");
	manager_fails("Watch", E("NoSuchVm"), "of no such name", "s", "{\"vm\":\"none\"}");
	manager_fails("Watch", E("NoSuchVm"), "of a negative id", "s", "{\"vm\":-1}");
	manager_fails("Watch", E("AmbiguousName"), "of a name that two have", "s",
		      "{\"vm\":\"twin\"}");
}

static void rules(void)
{
#define RULE(name, gpa, length) \
	"{\"name\":\"" name "\",\"gpa\":\"" gpa "\",\"length\":" length ",\"write\":\"deny\"}"
	static const struct {
		const char *text, *error, *what;
	} cases[] = {
		{ "", "InvalidRule", "nothing" },
		{ "{}", "InvalidRule", "an empty object" },
		{ RULE("a", "0x1080", "1"), "InvalidRule", "unaligned" },
		{ RULE("a", "0x1000", "0"), "InvalidRule", "empty" },
		{ RULE("a", "0xffffffffffffff80", "256"), "InvalidRule", "overflowing" },
		{ RULE("a", "0x10000000000000", "128"), "InvalidRule", "beyond any CPU" },
		{ RULE("a", "0x10000000000", "128"), "InvalidRule", "beyond the guest's MAXPHYADDR" },
		{ RULE("a", "0xffffffff80", "256"), "InvalidRule", "across the guest's MAXPHYADDR" },
		{ RULE("a b", "0x1000", "128"), "InvalidRule", "a name with a blank" },
		{ RULE("\\u001b[2J", "0x1000", "128"), "InvalidRule", "a name with ESC" },
		{ RULE("\\n", "0x1000", "128"), "InvalidRule", "a name with a newline" },
		{ RULE("\xc3\xbf", "0x1000", "128"), "InvalidRule", "a name beyond ASCII" },
		{ "{\"rules\":[" RULE("a", "0x1000", "128") "," RULE("a", "0x2000", "128") "]}",
		  "InvalidRule", "one name twice" },
		{ "{\"rules\":[" RULE("a", "0x1000", "128") "," RULE("idt", "0x2000", "128") "]}",
		  "RuleExists", "a name that exists" },
		{ RULE("a", "0x1000", "128,\"action\":\"hold\""), "NotSupported", "a word not built" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char name[64];

		snprintf(name, sizeof(name), MERLON_ERROR_PREFIX "%s", cases[i].error);
		vm_fails("Protect", name, cases[i].what, "sb", cases[i].text, 0);
		vm_fails("Protect", name, "the same, dry", "sb", cases[i].text, 1);
	}
	ok(startswith(fake("rules 17"), "ok 1:") && !strchr(fake("rules 17") + 3, ' '), "the kernel has the one rule it had");
	ok(startswith(fake("write 17 0x1000 128"), "ok allowed") &&
	   startswith(fake("write 17 0x1e0000 8"), "ok denied"), "and its map is as it was");

	vm_fails("Unprotect", E("NoSuchRule"), "no such rule", "sb", "none", 0);
	vm_fails("Unprotect", E("NoSuchRule"), "ESC for a name", "sb", "\x1b[2J", 0);
}

/* The limit of a VM's rules, met in one call that must then leave none. */
static void too_many(void)
{
	_cleanup_free_ char *text = NULL, *name = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("{\"rules\":[", f);
	for (int i = 0; i < 4096; i++)
		fprintf(f, "%s{\"name\":\"r%d\",\"gpa\":\"0x%x\",\"length\":128,\"write\":\"deny\"}",
			i ? "," : "", i, 0x100000 + i * 128);
	fputs("]}", f);
	fclose(f);
	vm_fails("Protect", E("LimitsExceeded"), "4096 rules beside one", "sb", text, 0);
	ok(startswith(fake("write 17 0x100000 128"), "ok allowed"), "and set none of them");

	name = calloc(1, 4097);
	memset(name, 'n', 4096);
	vm_fails("Unprotect", E("LimitsExceeded"), "a name of 4 KiB", "sb", name, 0);
	manager_fails("DescribeVm", E("LimitsExceeded"), "a name of 4 KiB", "s", name);
}

static void kernel_errors(void)
{
	static const char rule[] = RULE("k", "0x7000", "128");

	fake("fail set_rules 12");
	vm_fails("Protect", E("KernelError"), "no memory for a rule", "sb", rule, 0);
	fake("fail set_access 12");
	vm_fails("Protect", E("KernelError"), "no memory for its ranges", "sb", rule, 0);
	ok(startswith(fake("write 17 0x7000 8"), "ok allowed") && !strchr(fake("rules 17") + 3, ' '),
	   "then the rule is gone as a whole");
	ok(sd_bus_call_method(bus, MERLON_BUS_NAME, VM_PATH, MERLON_IFACE_VM, "Protect", NULL, NULL,
			      "sb", rule, 0) >= 0, "the next try works");
	ok(startswith(fake("write 17 0x7000 8"), "ok denied"), "and protects");
}

/* Names are bytes from a stranger: they break no list and no terminal. */
static void names(void)
{
	static char long_name[4097];
	struct run r;

	memset(long_name, 'x', 4096);
	vm_add(30, STRANGER, "web\xff", NULL);
	vm_add(31, STRANGER, "\x1b[31mred\x1b]0;title\x07", NULL);
	vm_add(32, STRANGER, "two\nlines", NULL);
	vm_add(33, STRANGER, long_name, NULL);
	vm_add(34, STRANGER, "%n%n%s", NULL);
	vm_add(35, STRANGER, "\"quo'te\\", NULL);
	vm_add(36, STRANGER, "", NULL);

	run_merlon(&r, "list", NULL);
	ran(&r, 0, "web\\xff", "a name of \\xff is listed");
	ok(strstr(r.out, "\\x1b[31mred\\x1b]0;title\\x07") && !strchr(r.out, '\x1b'), "ESC is");
	ok(strstr(r.out, "two\\x0alines") != NULL, "a newline is");
	ok(!strstr(r.out, "xxxxxxxx"), "4 KiB is no name");
	ok(strstr(r.out, "%n%n%s") != NULL, "%%n is");
	ok(strstr(r.out, "\"quo'te\\x5c") != NULL, "quotes are");
	run_merlon(&r, "list", "--json", NULL);
	ran(&r, 0, "\"#17\"" + 4, "as JSON, too");
	for (const char *p = r.out; *p; p++)
		if ((*p < 0x20 && *p != '\n') || *p >= 0x7f) {
			ok(false, "JSON is ASCII");
			break;
		}
	run_merlon(&r, "status", "web\xff", NULL);
	ran(&r, 0, "#30", "the shell's bytes find it");
	run_merlon(&r, "status", "web\\xff", NULL);
	ran(&r, 0, "#30", "and so does what list printed");
	run_merlon(&r, "status", "two\nlines", NULL);
	ran(&r, 0, "#32", "a name with a newline, too");
	run_merlon(&r, "status", long_name, NULL);
	ok(r.exit == 5 || r.exit == 1, "a name of 4 KiB is not found: %d", r.exit);
}

static void twins(void)
{
	struct run r;

	manager_fails("DescribeVm", E("AmbiguousName"), "a name that two have", "s", "twin");
	run_merlon(&r, "status", "twin", NULL);
	ran(&r, 5, "#20", "merlon names the ids");
	ok(strstr(r.err, "#21") != NULL, "of both");
	run_merlon(&r, "protect", "twin", "--name=x", "--gpa=0x1000", "--length=4K", "--write=deny",
		   NULL);
	ran(&r, 5, "#21", "merlon protect refuses to guess");
	run_merlon(&r, "protect", "#21", "--name=x", "--gpa=0x1000", "--length=4K", "--write=deny",
		   NULL);
	ran(&r, 0, "#21", "an id is never ambiguous");
	ok(startswith(fake("write 20 0x1000 8"), "ok allowed"), "and means that VM alone");
}

/* Files for --rules. */
static void files(void)
{
	char path[128], option[160];
	struct run r;
	FILE *f;

	snprintf(path, sizeof(path), "%s/bad", harness_dir());
	snprintf(option, sizeof(option), "--rules=%s", path);
	f = fopen(path, "we");
	fwrite("{}\0", 1, 3, f);
	fclose(f);
	run_merlon(&r, "protect", "#17", option, NULL);
	ran(&r, 2, "zero bytes", "a file with zero bytes");
	f = fopen(path, "we");
	fputs("{\"name\":\"\xff\"}", f);
	fclose(f);
	run_merlon(&r, "protect", "#17", option, NULL);
	ran(&r, 2, "UTF-8", "a file that is not UTF-8");
	f = fopen(path, "we");
	for (int i = 0; i <= MEGABYTE; i++)
		fputc(' ', f);
	fclose(f);
	run_merlon(&r, "protect", "#17", option, NULL);
	ran(&r, 1, "at most 1048576 bytes", "a file of more than 1 MiB");
	run_merlon(&r, "protect", "#17", "--rules=/dev/zero", NULL);
	ran(&r, 1, "at most 1048576 bytes", "a file without an end");
	run_merlon(&r, "protect", "#17", "--rules=/tmp", NULL);
	ran(&r, 1, "/tmp", "a folder");
	run_merlon(&r, "protect", "#17", "--rules=/dev/null", NULL);
	ran(&r, 2, "/dev/null:1:1: expected a value", "an empty file");
}

int main(int argc, char **argv)
{
	struct run r;

	harness_init(argc, argv);
	harness_start("");
	fake("vm 17 %d maxphyaddr=40", (int)vmm_start(0, "web-1", NULL));
	vm_add(20, 0, "twin", NULL);
	vm_add(21, STRANGER, "twin", NULL);
	bus = connect_bus();
	run_merlon(&r, "protect", "#17", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", NULL);
	unknown_vms();
	wrong_types();
	engines();
	filters();
	rules();
	too_many();
	kernel_errors();
	megabytes();
	names();
	twins();
	files();
	ok(lives(), "merlond is still there");
	sd_bus_flush_close_unref(bus);
	return harness_end();
}
