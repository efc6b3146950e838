// SPDX-License-Identifier: GPL-2.0-or-later
/* Lines of the log where a journald that is stuck does not take them. */
#include <sys/socket.h>
#include <sys/stat.h>

#include "log.h"
#include "unit.h"

static char got[1 << 20];

static size_t receive(int fd)
{
	size_t n = 0;
	ssize_t r;

	while (n < sizeof(got) - 1 &&
	       (r = recv(fd, got + n, sizeof(got) - 1 - n, MSG_DONTWAIT)) > 0)
		n += (size_t)r;
	got[n] = '\0';
	return n;
}

/* More than the socket holds: this returns, where a write that waits would not. */
static void stuck(_unused_ void **state)
{
	int fds[2], saved = dup(STDERR_FILENO);
	char stream[64];
	struct stat st;

	assert_true(saved >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	assert_true(dup2(fds[0], STDERR_FILENO) >= 0);
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_open(false);
	alarm(60);
	log_info("first");
	for (int i = 0; i < 100000; i++)
		log_warning("line %d", i);
	alarm(0);
	assert_true(receive(fds[1]) > 1000);
	assert_int_equal(strncmp(got, "<6>first\n<4>line 0\n<4>line 1\n", 29), 0);
	assert_null(strstr(got, "line 99999\n"));
	/* It reads again: what comes is on a line of its own. */
	log_info("again");
	receive(fds[1]);
	assert_non_null(strstr(got, "<6>again\n"));
	assert_true(got[0] == '<' || got[0] == '\n');
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(fds[0]);
	close(fds[1]);
	unsetenv("JOURNAL_STREAM");
	log_open(false);
}

UNIT_MAIN(cmocka_unit_test(stuck))
