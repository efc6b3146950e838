// SPDX-License-Identifier: GPL-2.0-or-later
/* Streams by themselves: quotas of uids, and a queue's bound to the byte. */
#include <sys/socket.h>

#include "stream.h"
#include "unit.h"

static struct stream_list list;
static sd_event *loop;

static int setup(_unused_ void **state)
{
	return sd_event_new(&loop) < 0;
}

static int teardown(_unused_ void **state)
{
	stream_done(&list);
	loop = sd_event_unref(loop);
	return 0;
}

static void quota(_unused_ void **state)
{
	int fds[STREAM_MAX_UID + 1], more = -1;

	for (int i = 0; i < STREAM_MAX_UID; i++)
		assert_int_equal(stream_open(&list, loop, ":1.1", 1000, 0, &fds[i]), 0);
	/* By the uid, not by the connection. */
	assert_int_equal(stream_open(&list, loop, ":1.2", 1000, 0, &more), -EDQUOT);
	assert_int_equal(more, -1);
	assert_int_equal(stream_open(&list, loop, ":1.3", 1001, 0, &more), 0);
	close(more);
	for (int i = 0; i < STREAM_MAX_UID + 1; i++) {
		assert_int_equal(stream_open(&list, loop, ":1.4", 0, 0, &more), 0);
		close(more);
	}
	stream_close_name(&list, ":1.1");
	assert_int_equal(stream_open(&list, loop, ":1.2", 1000, 0, &more), 0);
	close(more);
	for (int i = 0; i < STREAM_MAX_UID; i++)
		close(fds[i]);
}

static void bound(_unused_ void **state)
{
	struct event event = { .kind = MERLON_EVENT_VM_RESET, .vm = 17 };
	_cleanup_close_ int fd = -EBADF, other = -EBADF;
	char packet[4096];
	uint64_t n = 0;
	ssize_t size;

	assert_int_equal(stream_open(&list, loop, ":1.1", 0, 17, &fd), 0);
	assert_int_equal(stream_open(&list, loop, ":1.1", 0, 18, &other), 0);
	while (!list.lost && n < STREAM_QUEUE_MAX) {
		assert_int_equal(stream_send(&list, &event), 0);
		n++;
	}
	/* An event costs more than its text, and less than 1 KiB. */
	assert_in_range(n, STREAM_QUEUE_MAX / 1024, STREAM_QUEUE_MAX / 64);
	assert_int_equal(list.lost, 1);
	assert_int_equal(stream_send(&list, &event), 0);
	assert_int_equal(list.lost, 2);

	/* Read all; the loss stands at the end. */
	for (uint64_t seen = 0; seen < n - 1 + 2;) {
		while (sd_event_run(loop, 0) > 0)
			;
		size = recv(fd, packet, sizeof(packet) - 1, MSG_DONTWAIT);
		assert_true(size > 0);
		packet[size] = '\0';
		if (seen++ == n)
			assert_non_null(strstr(packet, "\"kind\":\"lost\""));
		else
			assert_null(strstr(packet, "\"kind\":\"lost\""));
	}
	assert_non_null(strstr(packet, "\"count\":2"));
	/* The other filter's reader has its hello and nothing else. */
	assert_true(recv(other, packet, sizeof(packet), MSG_DONTWAIT) > 0);
	assert_int_equal(recv(other, packet, sizeof(packet), MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Nobody reads any more: the stream goes by itself. */
static void hangup(_unused_ void **state)
{
	int fd = -1;

	assert_int_equal(stream_open(&list, loop, ":1.1", 0, 0, &fd), 0);
	assert_int_equal(list.n, 1);
	close(fd);
	for (int i = 0; i < 10 && list.n; i++)
		sd_event_run(loop, 0);
	assert_int_equal(list.n, 0);
}

#define F(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
UNIT_MAIN(F(quota), F(bound), F(hangup))
