// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What runs in the guest: loads the attacker's kernel module, says where the
 * pointer is that it aims at, and does what it is told on the serial line, a
 * word a line: attack, heal, neighbour, look, spin, reboot, triple-fault, off.
 * Every answer is one line that begins with "guest: ".
 */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LINE "/dev/ttyS0"
#define MODULE "/lab/rootkit.ko"
#define ROOTKIT "/proc/rootkit"

/* The process that the attacker wants hidden. */
static pid_t secret;

static void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("guest: %s: %m\n", path);
	if (fd >= 0)
		close(fd);
}

static bool load_module(void)
{
	int fd = open(MODULE, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0) {
		printf("guest: " MODULE ": %m\n");
		return false;
	}
	close(fd);
	return true;
}

static void say_where(void)
{
	FILE *f = fopen(ROOTKIT, "re");
	char text[128] = "";

	if (!f || !fgets(text, sizeof(text), f))
		printf("guest: " ROOTKIT ": %m\n");
	else
		printf("guest: target %s", text);
	if (f)
		fclose(f);
}

/* What ps does: reads the directory. The kernel's own lists know better. */
static bool is_listed(pid_t pid)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	bool found = false;
	char name[16];

	snprintf(name, sizeof(name), "%d", pid);
	while (dir && (e = readdir(dir)))
		found = found || !strcmp(e->d_name, name);
	if (dir)
		closedir(dir);
	return found;
}

static void look(void)
{
	printf("guest: /proc %s process %d\n", is_listed(secret) ? "shows" : "hides", secret);
}

/*
 * The module acts in a process of its own: where the kernel stops that, it kills
 * the process, and nothing else.
 */
__attribute__((format(printf, 2, 3))) static void tell_module(const char *what, const char *format,
							      ...)
{
	char command[32];
	va_list ap;
	pid_t pid;
	int status, fd;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fd = open(ROOTKIT, O_WRONLY);
		_exit(fd < 0 || write(fd, command, strlen(command)) < 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		printf("guest: %s: %m\n", what);
	else if (WIFSIGNALED(status))
		printf("guest: %s: the kernel killed it (signal %d) and lives on\n", what,
		       WTERMSIG(status));
	else if (WEXITSTATUS(status))
		printf("guest: %s: nothing has changed, without an error\n", what);
	else
		printf("guest: %s: written\n", what);
}

/* A CPU that is in the middle of something when a reset comes. */
static void spin(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (!pid)
		for (;;)
			(void)getppid();
	printf("guest: spin: %s\n", pid > 0 ? "busy" : "no process");
}

/* How: "kbd", the reset line of the keyboard controller, or "triple", a fault. */
static void restart(const char *how)
{
	write_text("/sys/kernel/reboot/type", how);
	printf("guest: restart: %s\n", how);
	fflush(NULL);
	(void)reboot(RB_AUTOBOOT);
}

static void obey(const char *command)
{
	if (!strcmp(command, "attack")) {
		tell_module("attack", "hook %d", secret);
		look();
	} else if (!strcmp(command, "heal")) {
		tell_module("heal", "unhook");
		look();
	} else if (!strcmp(command, "neighbour")) {
		tell_module("neighbour", "neighbour");
	} else if (!strcmp(command, "look")) {
		look();
	} else if (!strcmp(command, "spin")) {
		spin();
	} else if (!strcmp(command, "reboot")) {
		restart("kbd");
	} else if (!strcmp(command, "triple-fault")) {
		restart("triple");
	} else if (!strcmp(command, "off")) {
		exit(0);
	} else {
		printf("guest: '%s' is no command\n", command);
	}
	fflush(NULL);
}

static FILE *open_line(void)
{
	FILE *f = fopen(LINE, "re");
	struct termios t;

	if (!f || tcgetattr(fileno(f), &t) < 0)
		return NULL;
	t.c_lflag &= ~ECHO;
	(void)tcsetattr(fileno(f), TCSANOW, &t);
	return f;
}

int main(void)
{
	char command[64];
	FILE *line;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* As on any distribution; the lab's hosts are stricter */
	write_text("/proc/sys/kernel/panic_on_oops", "0");
	line = open_line();
	if (!line) {
		printf("guest: " LINE ": %m\n");
		return 1;
	}
	secret = fork();
	if (!secret)
		for (;;)
			pause();
	if (secret < 0 || !load_module())
		return 1;
	say_where();
	look();
	printf("guest: ready\n");
	while (fgets(command, sizeof(command), line)) {
		command[strcspn(command, "\r\n")] = '\0';
		if (*command)
			obey(command);
	}
	return 0;
}
