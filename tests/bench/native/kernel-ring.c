// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A backend for the native bench, in merlond-ring only: the played kernel, but its events
 * ring is a real one, which another process finds by the number in RUNTIME_DIR/ring and
 * fills.  SIGUSR2 gives free memory back, so that what is left is what merlond needs.
 */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "kernel.h"
#include "log.h"

extern const struct kernel_backend played_backend;

static struct kernel_setup setup;
static struct ring_buffer *ring;
static const struct kernel_ops *played;
static struct kernel_ops ops;

static int on_sample(void *ctx, void *data, size_t size)
{
	(void)ctx;
	setup.on_record(data, size, setup.userdata);
	return 0;
}

static int ring_fd(struct kernel *k, enum kernel_ring which)
{
	return which == KERNEL_RING_EVENTS ? ring_buffer__epoll_fd(ring) : played->ring_fd(k, which);
}

static int drain(struct kernel *k, enum kernel_ring which, unsigned int max)
{
	return which == KERNEL_RING_EVENTS ? ring_buffer__consume_n(ring, max) :
	       played->drain(k, which, max);
}

static void ring_close(struct kernel *k)
{
	ring_buffer__free(ring);
	played->close(k);
}

static int on_trim(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
	(void)source;
	(void)si;
	(void)userdata;
	(void)malloc_trim(0);
	return 0;
}

static int tell_ring(int fd)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	char path[256];
	FILE *f;
	int r;

	r = bpf_map_get_info_by_fd(fd, &info, &len);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "%s/ring", setup.runtime_dir);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	r = fprintf(f, "%u\n", info.id) < 0 ? -EIO : 0;
	return fclose(f) != 0 ? -errno : r;
}

static int ring_open(const struct kernel_setup *s, struct kernel **ret,
		     struct kernel_missing *reterr_missing)
{
	struct kernel *k;
	sigset_t set;
	int fd, r;

	setup = *s;
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "events", 0, 0, MERLON_EVENTS_BYTES, NULL);
	if (fd < 0) {
		snprintf(reterr_missing->what, sizeof(reterr_missing->what), "bpf");
		snprintf(reterr_missing->why, sizeof(reterr_missing->why),
			 "A ring buffer cannot be made: %s", strerror(-fd));
		return fd;
	}
	ring = ring_buffer__new(fd, on_sample, NULL, NULL);
	r = ring ? tell_ring(fd) : -errno;
	close(fd);
	if (r < 0)
		return r;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	r = sd_event_add_signal(s->event, NULL, SIGUSR2, on_trim, NULL);
	if (r < 0)
		return r;
	r = played_backend.open(s, &k, reterr_missing);
	if (r < 0)
		return r;
	played = k->ops;
	ops = *played;
	ops.close = ring_close;
	ops.ring_fd = ring_fd;
	ops.drain = drain;
	k->ops = &ops;
	*ret = k;
	return 0;
}

const struct kernel_backend kernel_backend = {
	.name = "ring",
	.script_option = true,
	.open = ring_open,
};
