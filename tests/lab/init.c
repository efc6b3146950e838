// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The first process of a lab machine, host or guest: mount what programs
 * expect, run the commands of /etc/lab.cmd one after the other, switch off.
 *
 * /etc/lab.cmd holds strings ended by NUL; an empty string ends a command, and
 * a command is a name and then its arguments. What the commands print goes to
 * the report line (the kernel parameter lab.report=, a tty), with a marker line
 * before and after each; what they complain about goes to the console, where
 * the kernel's own messages are. Without a report line all goes to the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define COMMANDS_MAX 65536
#define ARGS_MAX 128

static const struct {
	const char *type, *where, *options;
} mounts[] = {
	{ "proc", "/proc", NULL },
	{ "sysfs", "/sys", NULL },
	{ "devtmpfs", "/dev", NULL },
	{ "devpts", "/dev/pts", "ptmxmode=0666" },
	{ "tmpfs", "/dev/shm", "mode=1777" },
	{ "hugetlbfs", "/dev/hugepages", NULL },
	{ "tmpfs", "/run", "mode=0755" },
	{ "tmpfs", "/tmp", "mode=1777" },
	{ "tmpfs", "/var", "mode=0755" },
	{ "bpf", "/sys/fs/bpf", "mode=0700" },
	{ "cgroup2", "/sys/fs/cgroup", NULL },
	{ "debugfs", "/sys/kernel/debug", NULL },
	{ "tracefs", "/sys/kernel/tracing", NULL },
};

static char cmdline[4096];
static int report = STDOUT_FILENO;

/* A file system the kernel was built without is not an error here. */
static void mount_all(void)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		(void)mkdir(mounts[i].where, 0755);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, MS_NOSUID,
			  mounts[i].options) < 0 && errno != ENODEV && errno != ENOENT &&
		    errno != EBUSY)
			fprintf(stderr, "lab: cannot mount %s on %s: %m\n", mounts[i].type,
				mounts[i].where);
	}
	(void)mkdir("/var/log", 0755);
	(void)mkdir("/var/lib", 0755);
	(void)mkdir("/var/tmp", 01777);
	(void)symlink("/run", "/var/run");
	(void)symlink("/proc/self/fd", "/dev/fd");
	(void)symlink("/proc/self/fd/0", "/dev/stdin");
	(void)symlink("/proc/self/fd/1", "/dev/stdout");
	(void)symlink("/proc/self/fd/2", "/dev/stderr");
}

static void loopback_up(void)
{
	struct ifreq req = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	/* Any family will do, and this one is always there */
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return;
	(void)ioctl(fd, SIOCSIFFLAGS, &req);
	close(fd);
}

static size_t read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return 0;
	while (len < size - 1 && (n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	buf[len] = '\0';
	return len;
}

/* The value of a kernel parameter; NULL if it was not given. */
static const char *parameter(const char *name)
{
	static char value[128];
	size_t len = strlen(name);

	for (const char *p = cmdline; p && *p; p = strchr(p, ' ')) {
		p += strspn(p, " ");
		if (!strncmp(p, name, len) && p[len] == '=') {
			snprintf(value, sizeof(value), "%.*s", (int)strcspn(p + len + 1, " \n"),
				 p + len + 1);
			return value;
		}
	}
	return NULL;
}

/* A serial line that passes bytes on as they are. */
static int open_line(const char *path)
{
	struct termios t;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		fprintf(stderr, "lab: cannot open %s: %m\n", path);
		return -1;
	}
	if (!tcgetattr(fd, &t)) {
		cfmakeraw(&t);
		cfsetspeed(&t, B115200);
		(void)tcsetattr(fd, TCSANOW, &t);
	}
	return fd;
}

static void run_child(char **argv, bool on_console)
{
	setsid();
	if (on_console) {
		int fd = open("/dev/ttyS0", O_RDWR);

		if (fd >= 0) {
			(void)ioctl(fd, TIOCSCTTY, 1);
			(void)dup2(fd, STDIN_FILENO);
			(void)dup2(fd, STDOUT_FILENO);
			(void)dup2(fd, STDERR_FILENO);
		}
	} else {
		int fd = open("/dev/null", O_RDWR);

		(void)dup2(fd, STDIN_FILENO);
		(void)dup2(report, STDOUT_FILENO);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "lab: cannot run %s: %m\n", argv[0]);
	_exit(127);
}

/* Runs one command; its descendants may live on. Returns its exit status. */
static int run(char **argv, bool on_console)
{
	pid_t pid = fork(), dead;
	int status;

	if (pid < 0)
		return 126;
	if (!pid)
		run_child(argv, on_console);
	do
		dead = wait(&status);
	while (dead != pid && (dead >= 0 || errno == EINTR));
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	return WEXITSTATUS(status);
}

/* argv[0] is the section's name, which may hold no space. */
static void run_section(char **argv, bool on_console)
{
	int status;

	dprintf(report, "@lab begin %s\n", argv[0]);
	status = run(argv + 1, on_console);
	/* What an unfinished last line would swallow is worth the empty one. */
	dprintf(report, "\n@lab end %s %d\n", argv[0], status);
}

static void run_all(char *commands, size_t len, bool on_console)
{
	char *argv[ARGS_MAX + 1];
	int argc = 0;

	for (char *p = commands; p < commands + len; p += strlen(p) + 1) {
		if (*p && argc < ARGS_MAX) {
			argv[argc++] = p;
			continue;
		}
		argv[argc] = NULL;
		if (argc >= 2)
			run_section(argv, on_console);
		argc = 0;
	}
}

/* A leak is older than the five seconds that kmemleak asks for. */
static void scan_for_leaks(void)
{
	static char found[65536];
	int fd = open("/sys/kernel/debug/kmemleak", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return;
	for (int i = 0; i < 2; i++) {
		struct timespec wait = { .tv_sec = i ? 1 : 6 };

		(void)nanosleep(&wait, NULL);
		(void)!write(fd, "scan", 4);
	}
	close(fd);
	if (read_file("/sys/kernel/debug/kmemleak", found, sizeof(found)))
		fprintf(stderr, "lab: kmemleak:\n%s\n", found);
	else
		fprintf(stderr, "lab: no leak found\n");
}

static void switch_off(void)
{
	struct timespec drain = { .tv_nsec = 20 * 1000 * 1000 };

	fprintf(stderr, "lab: done\n");
	(void)tcdrain(report);
	(void)tcdrain(STDERR_FILENO);
	/* The line's own buffer; a sleeping second CPU is slow to emulate. */
	(void)nanosleep(&drain, NULL);
	sync();
	(void)reboot(RB_POWER_OFF);
	(void)reboot(RB_AUTOBOOT);
}

int main(void)
{
	static char commands[COMMANDS_MAX];
	bool on_console;
	size_t len;
	int fd;

	if (getpid() != 1) {
		fprintf(stderr, "This is the first process of a lab machine; nothing else runs it.\n");
		return 2;
	}
	mount_all();
	fd = open("/dev/console", O_RDWR | O_NOCTTY);
	if (fd >= 0)
		for (int i = 0; i < 3; i++)
			(void)dup2(fd, i);
	(void)setenv("PATH", "/lab/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	(void)setenv("HOME", "/root", 1);
	(void)setenv("TERM", "vt100", 0);
	(void)setenv("USER", "root", 1);
	(void)setenv("LAB", "1", 1);
	(void)sethostname("lab", 3);
	loopback_up();

	(void)read_file("/proc/cmdline", cmdline, sizeof(cmdline));
	on_console = parameter("lab.shell") != NULL;
	if (parameter("lab.report") && !on_console) {
		fd = open_line(parameter("lab.report"));
		if (fd >= 0)
			report = fd;
	}
	len = read_file("/etc/lab.cmd", commands, sizeof(commands));
	if (!len)
		fprintf(stderr, "lab: /etc/lab.cmd is missing or empty\n");
	run_all(commands, len, on_console);
	scan_for_leaks();
	switch_off();
	for (;;)
		pause();
}
