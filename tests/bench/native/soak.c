// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A day's work, compressed: events, reloads of policies that change, VMs that come and go,
 * clients that connect and die.  merlond's memory is to stay as it is, without a descriptor
 * or a rule gone, and what readers have had and lost is what there was.
 */
#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "native.h"

#define EVENTS 10000		/* of a round, as the others */
#define RELOADS 100
#define VMS 10
#define CLIENTS 2
#define FIRST_VM 100
#define SETTLED 10		/* rounds */

#define RULE(n, gpa) "{\"name\":\"r" n "\",\"gpa\":\"" gpa "\",\"length\":4096,\"write\":\"deny\"," \
		     "\"arm\":\"now\"}"
#define POLICY(action, more) "{\"name\":\"day\",\"match\":{\"vm\":\"vm-*\"},\"rules\":[" \
			     RULE("1", "0x10000") "," RULE("2", "0x20000") ",{\"name\":\"r3\"," \
			     "\"gpa\":\"0x30000\",\"length\":4096,\"write\":\"deny\",\"arm\":\"now\"," \
			     "\"action\":\"" action "\"}" more "]}"

static uint64_t proportional_set_size(void)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[64], line[256];
	uint64_t kb = 0;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)harness_daemon());
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %" SCNu64, &kb) == 1)
			break;
	return kb;
}

static size_t descriptors(void)
{
	char path[64];
	size_t n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)harness_daemon());
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static bool call_reload(sd_bus *bus)
{
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

	if (sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
			       "ReloadPolicies", &error, NULL, "b", 0) >= 0)
		return true;
	note("ReloadPolicies: %s", error.message ?: "?");
	return false;
}

/* Another action, and another rule, each time. */
static bool reload(sd_bus *bus, unsigned int turn)
{
	static const char *const texts[] = {
		POLICY("deny", ""), POLICY("kill", ""), POLICY("deny", "," RULE("4", "0x40000")),
		POLICY("kill", "," RULE("5", "0x50000")),
	};
	_cleanup_fclose_ FILE *f = NULL;
	char path[128], tmp[140];

	snprintf(path, sizeof(path), "%s/etc/day.json", harness_dir());
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	f = fopen(tmp, "we");
	if (!f || fputs(texts[turn % ARRAY_SIZE(texts)], f) < 0 || fflush(f) != 0 ||
	    rename(tmp, path) < 0)
		return false;
	return call_reload(bus);
}

static unsigned int rules_of(sd_bus *bus, const char *path)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_json_ struct json_object *o = NULL;
	const char *text;

	if (sd_bus_call_method(bus, MERLON_BUS_NAME, path, MERLON_IFACE_VM, "ListRules", NULL, &reply,
			       NULL) < 0 || sd_bus_message_read(reply, "s", &text) < 0 ||
	    json_parse(text, strlen(text), &o) < 0)
		return 0;
	return (unsigned int)json_object_array_length(o);
}

/* VMs come, get their policy's rules, and go. */
static bool come_and_go(sd_bus *bus, uint64_t first)
{
	pid_t pid[VMS];
	char path[64], name[32];
	bool right = true;

	for (unsigned int i = 0; i < VMS; i++) {
		snprintf(name, sizeof(name), "vm-%u", i);
		pid[i] = vmm_start(0, name, NULL);
		fake("vm %" PRIu64 " %d uid=0", first + i, (int)pid[i]);
	}
	right = call_reload(bus);
	for (unsigned int i = 0; i < VMS; i++) {
		snprintf(path, sizeof(path), MERLON_PATH_VM "/%" PRIu64, first + i);
		right = rules_of(bus, path) >= 3 && right;
		/* The played kernel remembers calls until it is asked. */
		fake("calls %" PRIu64, first + i);
		fake("gone %" PRIu64, first + i);
		kill(pid[i], SIGKILL);
		(void)wait_exit(pid[i], 20);
	}
	return right;
}

/* They leave without a word. */
static bool connect_and_die(void)
{
	for (unsigned int i = 0; i < CLIENTS; i++) {
		sd_bus *bus = connect_bus();
		int fd = native_subscribe(bus);

		if (fd < 0 || sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH,
						 MERLON_IFACE_MANAGER, "Watch", NULL, NULL, "s",
						 "{}") < 0)
			return false;
		close(fd);
		sd_bus_close(bus);
		sd_bus_unref(bus);
	}
	return true;
}

/* One reader keeps up, one is slow: it reads what is left for it at the end of a round. */
static void flood(int quick, struct native_had *had, uint64_t *sent)
{
	for (unsigned int n = 0; n < EVENTS; n += NATIVE_WINDOW) {
		native_fill(NATIVE_WINDOW);
		*sent += NATIVE_WINDOW;
		while (had->violations + had->lost < *sent)
			native_read(quick, had, true);
	}
}

/* What one reader has had and lost is what the other has had. */
static void catch_up(int slow_fd, struct native_had *slow, const struct native_had *quick)
{
	while (slow->violations + slow->others + slow->lost < quick->violations + quick->others)
		native_read(slow_fd, slow, true);
}

void native_soak(unsigned int rounds)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	struct native_had quick = { 0 }, slow = { 0 };
	uint64_t sent = 0, pss, low = UINT64_MAX, high = 0;
	int quick_fd = native_subscribe(bus), slow_fd = native_subscribe(bus);
	size_t fds = 0;
	unsigned int turn = 0;
	char path[128];
	bool reloaded = true, protected = true, served = true, leaked = false;

	snprintf(path, sizeof(path), "%s/etc", harness_dir());
	(void)mkdir(path, 0755);
	for (unsigned int i = 0; i < rounds; i++) {
		flood(quick_fd, &quick, &sent);
		for (unsigned int j = 0; j < RELOADS; j++)
			reloaded = reload(bus, turn++) && reloaded;
		protected = come_and_go(bus, FIRST_VM + (uint64_t)i * VMS) && protected;
		served = connect_and_die() && served;
		/* The slow one too: what waits for it is memory. */
		native_read(quick_fd, &quick, false);
		catch_up(slow_fd, &slow, &quick);
		harness_signal(SIGUSR2);
		/* It has dealt with the signal when it answers. */
		reloaded = call_reload(bus) && reloaded;
		native_read(quick_fd, &quick, false);
		pss = proportional_set_size();
		/* Until all of it has been used for once, it grows. */
		if (i < SETTLED || i < rounds / 10)
			continue;
		if (pss < low)
			low = pss;
		if (pss > high)
			high = pss;
		if (!fds)
			fds = descriptors();
		leaked = leaked || descriptors() > fds;
		if (i % 10 == 0)
			note("round %u of %u: %" PRIu64 " KiB", i, rounds, pss);
	}
	ok(reloaded, "%u reloads of policies", turn);
	ok(protected, "%u VMs came, were protected, and went", rounds * VMS);
	ok(served, "%u clients connected and died", rounds * CLIENTS);
	ok(quick.violations == sent && !quick.lost,
	   "the quick reader had all of %" PRIu64 " events: %" PRIu64 ", lost %" PRIu64, sent,
	   quick.violations, quick.lost);
	ok(slow.lost && slow.violations + slow.others + slow.lost ==
	   quick.violations + quick.others,
	   "the slow one had %" PRIu64 " of all that, and was told of %" PRIu64 " lost",
	   slow.violations + slow.others, slow.lost);
	ok(rules_of(bus, MERLON_PATH_VM "/17") == 1, "the rule of before is there");
	ok(!leaked, "no descriptor was leaked");
	ok(high && high * 20 <= low * 21, "memory stays within 5 %%: %" PRIu64 " to %" PRIu64 " KiB", low,
	   high);
	native_figure("n.soak.pss", (double)high * 1024, "bytes", NULL);
	close(quick_fd);
	close(slow_fd);
}
