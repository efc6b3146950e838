// SPDX-License-Identifier: GPL-2.0-or-later
/* identify.c: names out of command lines and units out of cgroups. */
#include <signal.h>
#include <sys/wait.h>

#include "identify.h"
#include "unit.h"

#define CMDLINE(...) cmdline((const char *const[]){ "qemu-system-x86_64", __VA_ARGS__, NULL })

static struct identity id;

/* The command line as /proc gives it. */
static void cmdline(const char *const *words)
{
	static char buf[16384];
	size_t len = 0;

	for (; *words; words++) {
		size_t n = strlen(*words) + 1;

		memcpy(buf + len, *words, n);
		len += n;
	}
	memset(&id, 0x55, sizeof(id));
	identify_cmdline(buf, len, &id);
}

static void names(_unused_ void **state)
{
	CMDLINE("-name", "web-1");
	assert_string_equal(id.name, "web-1");
	assert_string_equal(id.uuid, "");
	CMDLINE("-name", "web-1,debug-threads=on");
	assert_string_equal(id.name, "web-1");
	CMDLINE("-m", "128", "-name", "guest=web-1,debug-threads=on", "-S");
	assert_string_equal(id.name, "web-1");
	CMDLINE("-name", "debug-threads=on,guest=web-1");
	assert_string_equal(id.name, "web-1");
	CMDLINE("--name", "web-1");
	assert_string_equal(id.name, "web-1");
	CMDLINE("-name", "a", "-name", "b");
	assert_string_equal(id.name, "a");
	/* What looks like an option is the value of another, and a tenant's. */
	CMDLINE("-name", "a", "-uuid", "11111111-2222-3333-4444-555555555555", "-append", "-name",
		"-uuid", "99999999-2222-3333-4444-555555555555");
	assert_string_equal(id.name, "a");
	assert_string_equal(id.uuid, "11111111-2222-3333-4444-555555555555");
	CMDLINE("-name", "guest=a,,b,process=x");
	assert_string_equal(id.name, "a,b");
	CMDLINE("-name", "a,,b=c");
	assert_string_equal(id.name, "a,b=c");
}

static void no_names(_unused_ void **state)
{
	CMDLINE("-m", "128");
	assert_string_equal(id.name, "");
	CMDLINE("-name");
	assert_string_equal(id.name, "");
	CMDLINE("-name", "");
	assert_string_equal(id.name, "");
	CMDLINE("-name", "process=x");
	assert_string_equal(id.name, "");
	CMDLINE("-name", "guest=");
	assert_string_equal(id.name, "");
	CMDLINE("-names", "x", "name", "y", "-append", "-name x");
	assert_string_equal(id.name, "");
	/* A word that was cut off is none. */
	identify_cmdline("-name\0web", 9, &id);
	assert_string_equal(id.name, "");
	identify_cmdline("", 0, &id);
	assert_string_equal(id.name, "");
}

static void names_from_strangers(_unused_ void **state)
{
	char long_name[65 + 1];

	CMDLINE("-name", "we\xff" "b\x1b[0m\n%n\"\\");
	assert_string_equal(id.name, "we\\xffb\\x1b[0m\\x0a%n\"\\x5c");
	memset(long_name, '\xff', 64);
	long_name[64] = 0;
	CMDLINE("-name", long_name);
	assert_int_equal(strlen(id.name), 4 * 64);
	memset(long_name, 'a', 65);
	long_name[65] = 0;
	CMDLINE("-name", long_name);
	assert_string_equal(id.name, "");
}

static void uuids(_unused_ void **state)
{
	CMDLINE("-uuid", "11111111-2222-3333-4444-5555555555AF", "-name", "x");
	assert_string_equal(id.uuid, "11111111-2222-3333-4444-5555555555af");
	assert_string_equal(id.name, "x");
	CMDLINE("-uuid", "11111111-2222-3333-4444-55555555555");
	assert_string_equal(id.uuid, "");
	CMDLINE("-uuid", "11111111-2222-3333-4444-5555555555555");
	assert_string_equal(id.uuid, "");
	CMDLINE("-uuid", "11111111x2222-3333-4444-555555555555");
	assert_string_equal(id.uuid, "");
	CMDLINE("-uuid", "");
	assert_string_equal(id.uuid, "");
}

static void unit(const char *text, const char *expected)
{
	identify_cgroup(text, &id);
	assert_string_equal(id.unit, expected);
}

static void units(_unused_ void **state)
{
	unit("0::/system.slice/web.service\n", "web.service");
	unit("0::/machine.slice/machine-qemu\\x2d1\\x2dweb.scope/libvirt/emulator\n",
	     "machine-qemu\\x5cx2d1\\x5cx2dweb.scope");
	unit("12:cpu:/a.service\n0::/user.slice/session-2.scope\n", "session-2.scope");
	unit("12:cpu:/a.service\n", "");
	unit("0::/\n", "");
	unit("0::/.service/.scope\n", "");
	unit("", "");
}

static uint64_t start_of(pid_t pid)
{
	char path[64], buf[1024], *p;
	unsigned long long ticks = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	assert_non_null(f);
	assert_non_null(fgets(buf, sizeof(buf), f));
	fclose(f);
	p = strrchr(buf, ')');
	for (int i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	assert_non_null(p);
	assert_int_equal(sscanf(p, " %llu", &ticks), 1);
	return ticks * 10000000ULL;
}

static void processes(_unused_ void **state)
{
	struct identity got = { .name = "untouched" };
	uint64_t start;
	pid_t pid;

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	start = start_of(pid);
	assert_int_equal(identify_process((uint32_t)pid, start + 10000000ULL, &got), -ESRCH);
	assert_int_equal(identify_process((uint32_t)pid, start - 1, &got), -ESRCH);
	assert_string_equal(got.name, "untouched");
	assert_int_equal(identify_process(0, 0, &got), -ESRCH);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(identify_process((uint32_t)pid, start, &got), -ESRCH);
	assert_string_equal(got.name, "untouched");

	assert_int_equal(identify_process((uint32_t)getpid(), start_of(getpid()) + 9999999, &got),
			 0);
	assert_string_equal(got.name, "");
}

UNIT_MAIN(T(names), T(no_names), T(names_from_strangers), T(uuids), T(units), T(processes))
