// SPDX-License-Identifier: GPL-2.0-or-later
/* See native.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "fill.h"
#include "fill.skel.h"
#include "native.h"

#define VM 17

static struct fill_bpf *skel;
static struct fill fill;

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_ring(void)
{
	_cleanup_fclose_ FILE *f = NULL;
	char path[128];
	uint32_t id;
	int fd;

	snprintf(path, sizeof(path), "%s/run/ring", harness_dir());
	f = fopen(path, "re");
	if (!f || fscanf(f, "%" SCNu32, &id) != 1)
		die("merlond has told no ring");
	fd = bpf_map_get_fd_by_id(id);
	if (fd < 0)
		die("merlond's ring cannot be had");
	return fd;
}

void native_start(void)
{
	struct run r;
	int fd;

	harness_program(".build/merlond-ring");
	harness_start("");
	vm_add(VM, 0, "bench", NULL);
	run_merlon(&r, "protect", "bench", "--name=idt", "--gpa=0x1000", "--length=128",
		   "--write=deny", NULL);
	if (r.exit)
		die(r.err);

	fd = open_ring();
	skel = fill_bpf__open();
	if (!skel || bpf_map__reuse_fd(skel->maps.events, fd) < 0 || fill_bpf__load(skel) < 0)
		die("the program that fills the ring");
	close(fd);

	fill.first = 1;
	fill.record = (struct merlon_violation_record) {
		.head = {
			.size = sizeof(fill.record),
			.kind = MERLON_RECORD_VIOLATION,
			.vm = VM,
			.time = 1,
		},
		.verdict = KVM_VMI_DENY,
		.v = {
			.gpa = 0x1008,
			.gva = 0xffffffff82001008,
			.rip = 0xffffffff81000000,
			.cr3 = 0x2000,
			.rule = 1,
			.length = 8,
			.kind = KVM_VMI_WRITE,
			.flags = KVM_VMI_V_GVA | KVM_VMI_V_EMULATED,
			.action = KVM_VMI_DENY,
		},
	};
}

uint64_t native_cpu(void)
{
	struct timespec ts;
	clockid_t clock;

	if (clock_getcpuclockid(harness_daemon(), &clock) != 0 || clock_gettime(clock, &ts) < 0)
		die("merlond's CPU time");
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void native_fill(uint64_t n)
{
	/* What a SYSCALL program writes into its context comes back in ctx_in. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &fill, .ctx_size_in = sizeof(fill));

	while (n) {
		fill.nr = n;
		if (bpf_prog_test_run_opts(bpf_program__fd(skel->progs.fill_events), &opts) < 0)
			die("filling the ring");
		fill.first += fill.stored;
		n -= fill.stored;
		if (n)
			usleep(1000);
	}
}

int native_subscribe(sd_bus *bus)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	int fd;

	if (sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER, "Subscribe",
			       &error, &reply, "s", "{}") < 0 ||
	    sd_bus_message_read(reply, "h", &fd) < 0)
		die(error.message ?: "Subscribe");
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void native_read(int fd, struct native_had *had, bool wait)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	static char packet[65536];
	ssize_t n;

	if (wait && poll(&p, 1, 60000) <= 0)
		die("nothing comes out of the stream");
	while ((n = recv(fd, packet, sizeof(packet) - 1, MSG_DONTWAIT)) > 0) {
		const char *count;

		packet[n] = 0;
		if (strstr(packet, "\"kind\":\"violation\"")) {
			had->violations++;
		} else if (strstr(packet, "\"kind\":\"lost\"")) {
			count = strstr(packet, "\"count\":");
			had->lost += count ? strtoull(count + strlen("\"count\":"), NULL, 10) : 0;
		} else {
			had->others++;
		}
	}
	if (!n)
		die("the stream ended");
}
