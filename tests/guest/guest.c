// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What runs in the guest: loads the attackers' kernel modules, says where the
 * pointer is that the one aims at, and where the kernel's code is, and does what it is
 * told on the serial line, a word a line: attack, heal, neighbour, look, nothing, data,
 * alias, user, registers, clear REGISTER BITS, set REGISTER BITS, work, spin, reboot,
 * triple-fault, off.
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
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define LINE "/dev/ttyS0"
#define ROOTKIT "/proc/rootkit"
#define EXPLOIT "/proc/exploit"

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

static bool load_module(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0) {
		printf("guest: %s: %m\n", path);
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

/* "  01000000-01ffffff : Kernel code", to whoever may see it. */
static void say_code(void)
{
	FILE *f = fopen("/proc/iomem", "re");
	unsigned long long first, last;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, ": Kernel code") && sscanf(line, " %llx-%llx", &first, &last) == 2)
			printf("guest: kernel code gpa 0x%llx length 0x%llx\n", first,
			       last + 1 - first);
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
__attribute__((format(printf, 4, 5))) static void tell_module(const char *path, const char *what,
							      const char *done,
							      const char *format, ...)
{
	char command[48];
	va_list ap;
	pid_t pid;
	int status, fd;

	va_start(ap, format);
	vsnprintf(command, sizeof(command), format, ap);
	va_end(ap);
	fflush(NULL);
	pid = fork();
	if (!pid) {
		fd = open(path, O_WRONLY);
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
		printf("guest: %s: %s\n", what, done);
}

/*
 * An attack by way of a page of this process, which executes it first, as it may: then the
 * kernel is to.
 */
static void exploit(const char *how)
{
	static const unsigned char payload[] = { 0xf3, 0x0f, 0x1e, 0xfa, 0xb8, 0x0d, 0x60, 0, 0, 0xc3 };
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED) {
		printf("guest: %s: %m\n", how);
		return;
	}
	memcpy(page, payload, sizeof(payload));
	if (((unsigned int (*)(void))page)() != 0x600d)
		printf("guest: %s: its process itself cannot execute it\n", how);
	tell_module(EXPLOIT, how, "the kernel has executed it", "%s %lx", how, (unsigned long)page);
	munmap(page, 4096);
}

/* Is it one of the words that /proc/cpuinfo has of the first CPU? */
static bool cpu_has(const char *feature)
{
	FILE *f = fopen("/proc/cpuinfo", "re");
	char *line = NULL, *word, *rest;
	bool has = false;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0) {
		if (strncmp(line, "flags", 5))
			continue;
		for (word = strtok_r(line, " \t\n", &rest); word;
		     word = strtok_r(NULL, " \t\n", &rest))
			has = has || !strcmp(word, feature);
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return has;
}

/* What protects the kernel, as its CPU has it, and as it says. */
static void say_registers(void)
{
	FILE *f = fopen(EXPLOIT, "re");
	char text[128] = "";

	if (!f || !fgets(text, sizeof(text), f))
		printf("guest: registers: %m\n");
	else
		printf("guest: registers lass %s, lam %s, %s", cpu_has("lass") ? "yes" : "no",
		       cpu_has("lam") ? "yes" : "no", text);
	if (f)
		fclose(f);
}

/* What programs do: processes, files, pipes, signals, code that they make themselves. */
static void work(void)
{
	unsigned int i, done = 0;
	char text[64];
	int fds[2], status;
	FILE *f;

	for (i = 0; i < 8; i++) {
		pid_t pid;

		if (pipe(fds) < 0)
			break;
		fflush(NULL);
		pid = fork();
		if (!pid) {
			if (dup2(fds[1], STDOUT_FILENO) >= 0)
				execl("/lab/bin/guest", "guest", "hello", NULL);
			_exit(1);
		}
		close(fds[1]);
		f = fdopen(fds[0], "re");
		if (f && fgets(text, sizeof(text), f) && !strcmp(text, "hello\n"))
			done++;
		if (f)
			fclose(f);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			break;
		f = fopen("/tmp-work", "w+e");
		if (f && fprintf(f, "%u", i) > 0 && !fseek(f, 0, SEEK_SET) && fgets(text, 64, f))
			done++;
		if (f)
			fclose(f);
		(void)unlink("/tmp-work");
		pid = fork();
		if (!pid)
			for (;;)
				pause();
		if (!kill(pid, SIGTERM) && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status))
			done++;
		(void)is_listed(getpid());
	}
	printf("guest: work: %u of %u done\n", done, 3 * 8);
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
		tell_module(ROOTKIT, "attack", "written", "hook %d", secret);
		look();
	} else if (!strcmp(command, "heal")) {
		tell_module(ROOTKIT, "heal", "written", "unhook");
		look();
	} else if (!strcmp(command, "neighbour")) {
		tell_module(ROOTKIT, "neighbour", "written", "neighbour");
	} else if (!strcmp(command, "look")) {
		look();
	} else if (!strcmp(command, "nothing") || !strcmp(command, "data")) {
		tell_module(EXPLOIT, command, "the kernel has executed it", "%s", command);
	} else if (!strcmp(command, "alias") || !strcmp(command, "user")) {
		exploit(command);
	} else if (!strcmp(command, "registers")) {
		say_registers();
	} else if (!strncmp(command, "clear ", 6) || !strncmp(command, "set ", 4)) {
		tell_module(EXPLOIT, command, "done", "%s", command);
	} else if (!strcmp(command, "work")) {
		work();
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

int main(int argc, char **argv)
{
	char command[64];
	FILE *line;

	/* As a program that work() starts. */
	if (argc > 1)
		return puts(argv[1]) < 0;
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
	if (secret < 0 || !load_module("/lab/rootkit.ko") || !load_module("/lab/exploit.ko"))
		return 1;
	say_where();
	say_code();
	look();
	printf("guest: ready\n");
	while (fgets(command, sizeof(command), line)) {
		command[strcspn(command, "\r\n")] = '\0';
		if (*command)
			obey(command);
	}
	return 0;
}
