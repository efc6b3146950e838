// SPDX-License-Identifier: GPL-2.0-or-later
/* One user's VMs, however many, leave room for those of others. */
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>

#include "harness.h"

#define OF_USER 512	/* MERLON_MAX_VMS / 8 */

static struct run r;

static const char *path_of(const char *file)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", harness_dir(), file);
	return path;
}

static bool is_denied(uint64_t vm, uint64_t gpa)
{
	return startswith(fake("write %" PRIu64 " %#" PRIx64 " 8", vm, gpa), "ok denied");
}

static void put(const char *file, const char *text)
{
	FILE *f = fopen(path_of(file), "we");

	if (!f || fputs(text, f) < 0 || fclose(f) != 0)
		note("cannot write %s", path_of(file));
	chmod(path_of(file), 0644);
}

static bool has_vm(void *id)
{
	run_merlon(&r, "list", NULL);
	return strstr(r.out, id) != NULL;
}

static bool lacks_reason(void *reason)
{
	run_merlon(&r, "status", NULL);
	return !strstr(r.out, reason);
}

/* So many VMs of one user are there when merlond starts. */
static char *crowd(pid_t pid)
{
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);

	for (unsigned int i = 1; i <= OF_USER; i++)
		fprintf(f, "vm %u %d uid=%d\n", 1000 + i, (int)pid, STRANGER);
	fclose(f);
	return text;
}

static void vms(pid_t pid)
{
	ok(eventually(has_vm, "1512"), "so many VMs of one user are managed");
	fake("vm 2000 %d uid=%d", (int)pid, STRANGER);
	vm_add(2001, 0, "later", NULL);
	ok(!has_vm("2000"), "one more is not");
	ok(is_denied(2001, 0x100000), "one of another user is");
	run_merlon(&r, "status", NULL);
	ran(&r, 3, "vms-unmanaged", "Degraded says so");
	ok(harness_logged("uid 65534 has more than 512 VMs") == 1, "and the log, once");
	fake("gone 1512");
	harness_signal(SIGHUP);
	ok(eventually(has_vm, "2000"), "when there is room it is managed");
	ok(is_denied(2000, 0x100000), "and protected");
	ok(eventually(lacks_reason, "vms-unmanaged"), "and nobody is left out") ||
		(note("%s", r.out), true);
}

int main(int argc, char **argv)
{
	_cleanup_free_ char *script = NULL;
	pid_t pid;

	harness_init(argc, argv);
	mkdir(path_of("etc"), 0755);
	put("etc/small.json", "{\"match\":{\"trust\":\"any\"},\"rules\":[{\"name\":\"a\","
	    "\"gpa\":\"0x100000\",\"length\":\"4K\",\"write\":\"deny\",\"arm\":\"now\"}]}");
	pid = vmm_start(STRANGER, "small", NULL);
	script = crowd(pid);
	harness_start(script);
	vms(pid);
	return harness_end();
}
