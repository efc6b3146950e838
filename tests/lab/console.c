// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A lab host on this terminal: make a pseudo terminal for the emulated serial
 * line, start tests/lab/run --interactive on it, copy bytes both ways until the
 * host switches off. Ctrl-] ends it at once. Works with pipes too, so a script
 * can talk to the host.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define ESCAPE 0x1d /* Ctrl-] */

static struct termios saved;
static bool have_saved;

static void restore(void)
{
	if (have_saved)
		(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
}

static void go_raw(void)
{
	struct termios raw;

	if (tcgetattr(STDIN_FILENO, &saved) < 0)
		return;
	have_saved = true;
	atexit(restore);
	raw = saved;
	cfmakeraw(&raw);
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &raw);
}

/* The pseudo terminal's slave is kept open here: the emulator comes and goes. */
static int open_pty(const char **ret_name, int *ret_slave)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave;
	struct termios raw;

	if (fd < 0 || grantpt(fd) < 0 || unlockpt(fd) < 0 || !(*ret_name = ptsname(fd)))
		return -1;
	slave = open(*ret_name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -1;
	if (!tcgetattr(slave, &raw)) {
		cfmakeraw(&raw);
		(void)tcsetattr(slave, TCSANOW, &raw);
	}
	*ret_slave = slave;
	return fd;
}

static pid_t start(const char *self, int argc, char **argv, const char *tty)
{
	static char runner[4096];
	char *args[argc + 3];
	int n = 0;
	pid_t pid;

	/* .build/tests/lab/console -> tests/lab/run */
	snprintf(runner, sizeof(runner), "%.*s../../../tests/lab/run",
		 (int)(strrchr(self, '/') ? strrchr(self, '/') + 1 - self : 0), self);
	args[n++] = runner;
	args[n++] = (char *)"--interactive";
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	args[n] = NULL;
	pid = fork();
	if (!pid) {
		int null = open("/dev/null", O_RDONLY);

		/* Its own group, to end the runner and the emulator together */
		(void)setpgid(0, 0);
		(void)dup2(null, STDIN_FILENO);
		(void)setenv("LAB_TTY", tty, 1);
		execv(runner, args);
		fprintf(stderr, "console: cannot run %s: %m\n", runner);
		_exit(127);
	}
	if (pid > 0)
		(void)setpgid(pid, pid);
	return pid;
}

static bool write_all(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		buf += n;
		len -= n;
	}
	return true;
}

/* Returns false when the user wants to leave. */
static bool from_user(struct pollfd *user, int pty)
{
	char buf[256];
	ssize_t n = read(user->fd, buf, sizeof(buf));

	if (n <= 0) {
		user->fd = -1; /* the end of a script; let the host finish it */
		return true;
	}
	if (have_saved && memchr(buf, ESCAPE, n))
		return false;
	return write_all(pty, buf, n);
}

static void to_user(int pty)
{
	char buf[4096];
	ssize_t n = read(pty, buf, sizeof(buf));

	if (n > 0)
		(void)write_all(STDOUT_FILENO, buf, n);
}

int main(int argc, char **argv)
{
	struct pollfd fds[2];
	const char *tty;
	int pty, slave, status;
	pid_t pid;

	pty = open_pty(&tty, &slave);
	if (pty < 0) {
		fprintf(stderr, "console: cannot make a pseudo terminal: %m\n");
		return 1;
	}
	pid = start(argv[0], argc, argv, tty);
	if (pid < 0) {
		fprintf(stderr, "console: cannot start the runner: %m\n");
		return 1;
	}
	fprintf(stderr, "console: starting; Ctrl-] ends it, 'exit' switches the host off\n");
	go_raw();
	fds[0] = (struct pollfd){ .fd = STDIN_FILENO, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = pty, .events = POLLIN };
	for (;;) {
		int n = poll(fds, 2, 200);

		if (n > 0 && fds[1].revents)
			to_user(pty);
		if (n > 0 && fds[0].revents && !from_user(&fds[0], pty)) {
			(void)kill(-pid, SIGTERM);
			break;
		}
		if (!n && waitpid(pid, &status, WNOHANG) == pid)
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
	}
	(void)waitpid(pid, &status, 0);
	return 0;
}
