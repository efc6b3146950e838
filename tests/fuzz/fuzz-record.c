// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * inventory.c: what comes from the rings, of programs of another make.  Whatever is in a
 * record, each line of the log and each packet of a stream is text that a terminal may be
 * shown, a packet is one JSON object, and a record is not read beyond its end.
 *
 * The input is records, each after its size in two bytes, the lower one first.
 */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <systemd/sd-event.h>

#include "fuzz.h"
#include "inventory.h"
#include "log.h"
#include "util/json.h"

static char dir[] = "/tmp/merlon-fuzz.XXXXXX";
static char path[sizeof(dir) + 32];
static struct manager *manager;
static sd_event *loop;
static int reader;

/* In the place of log.c: nothing is shown, all of it is looked at. */
void log_open(bool debug)
{
	(void)debug;
}

bool log_is_journal(void)
{
	return false;
}

void log_line(int level, const char *format, ...)
{
	char line[4096];
	va_list args;
	int n;

	(void)level;
	va_start(args, format);
	n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	HOLDS(n >= 0 && (size_t)n < sizeof(line));
	for (const char *c = line; *c; c++)
		HOLDS(*c >= ' ' && *c <= '~');
}

static void finish(void)
{
	static const char *const files[] = { "script", "lock", "state.json", "fake-kernel.sock",
					     "fake-kernel.state", "state.json.bad" };

	if (reader > 0)
		close(reader);
	manager_free(manager);
	sd_event_unref(loop);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

/* A host with two VMs; process 1 is not a VMM, and has a name for merlond to find. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct manager_options options = { .admission = -1 };
	FILE *script;

	(void)argc;
	(void)argv;
	HOLDS(mkdtemp(dir));
	HOLDS(atexit(finish) == 0);
	snprintf(path, sizeof(path), "%s/script", dir);
	script = fopen(path, "we");
	HOLDS(script);
	HOLDS(fprintf(script, "vm 17 1\nvm 18 1 uid=65534\norphan 17 3 256\n"
		      "cpu 17 0 0x80000011 0x20 0xd01\n") > 0);
	HOLDS(fclose(script) == 0);
	options.script = strdup(path);
	options.runtime_dir = options.bpffs_dir = options.state_dir = dir;
	options.config = "/nonexistent/merlond.json";
	for (size_t i = 0; i < POLICY_NR_DIRS; i++)
		options.policy_dirs[i] = "/nonexistent/policy.d";
	HOLDS(sd_event_default(&loop) >= 0);
	HOLDS(manager_new(&options, loop, &manager) == 0);
	HOLDS(manager_start(manager) == 0);
	HOLDS(manager->kernel && manager->vms.n == 2);
	HOLDS(stream_open(&manager->streams, loop, ":1.1", 0, 0, &reader) == 0);
	return 0;
}

static void read_stream(void)
{
	static char packet[65536];
	ssize_t n;

	while ((n = recv(reader, packet, sizeof(packet), MSG_DONTWAIT)) > 0) {
		_cleanup_json_ struct json_object *o = NULL;

		HOLDS(json_parse(packet, (size_t)n, &o) == 0);
		HOLDS(json_object_is_type(o, json_type_object));
		for (ssize_t i = 0; i < n; i++)
			HOLDS(packet[i] >= ' ' && packet[i] <= '~');
	}
	HOLDS(n < 0 && errno == EAGAIN);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	while (size >= 2) {
		size_t n = (size_t)(data[0] | data[1] << 8);
		struct merlon_record *record;

		data += 2;
		size -= 2;
		if (n > size)
			n = size;
		/* The rings give nothing that is shorter than a head. */
		if (n >= sizeof(*record)) {
			record = malloc(n);
			HOLDS(record);
			memcpy(record, data, n);
			inventory_on_record(record, n, manager);
			free(record);
		}
		data += n;
		size -= n;
	}
	while (sd_event_run(loop, 0) > 0)
		read_stream();
	read_stream();
	inventory_sweep(manager);
	return 0;
}
