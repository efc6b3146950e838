// SPDX-License-Identifier: GPL-2.0-or-later
/* Output that is longer than the terminal goes to a pager. */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format.h"
#include "pager.h"
#include "terminal.h"

void pager_begin(struct pager *p)
{
	*p = (struct pager) { .file = -EBADF, .terminal = -EBADF };
	if (!on_terminal() || fflush(stdout) != 0)
		return;
	p->file = memfd_create("merlon", MFD_CLOEXEC);
	p->terminal = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	p->is_on = p->file >= 0 && p->terminal >= 0 && dup2(p->file, STDOUT_FILENO) >= 0;
	if (p->is_on)
		return;
	/* Without, it is printed as it comes. */
	if (p->file >= 0)
		close(p->file);
	if (p->terminal >= 0)
		close(p->terminal);
}

/*
 * What the user has chosen; NULL: none. Who came by sudo may have been given merlon alone:
 * then no program of his choice runs as root.
 */
static const char *find_pager(void)
{
	const char *pager = getenv("MERLON_PAGER") ?: getenv("PAGER");

	if (!pager || getenv("SUDO_UID"))
		pager = "less";
	return !*pager || streq(pager, "cat") ? NULL : pager;
}

static size_t count_lines(int fd)
{
	char buffer[16384];
	size_t lines = 0;
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			lines += buffer[i] == '\n';
		at += n;
	}
	return lines;
}

/* To the terminal; how much of it got there is for main() to tell. */
static void copy(int fd)
{
	char buffer[16384];
	off_t at = 0;
	ssize_t n;

	while ((n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		fwrite(buffer, 1, (size_t)n, stdout);
		at += n;
	}
}

/* False if there was no such program. */
static bool run_pager(const char *pager, int fd)
{
	int status = 0;
	pid_t pid;

	if (lseek(fd, 0, SEEK_SET) < 0)
		return false;
	pid = fork();
	if (pid < 0)
		return false;
	if (pid == 0) {
		if (dup2(fd, STDIN_FILENO) < 0)
			_exit(127);
		/* One screen is left as it is, colours are shown, and no shell runs as root. */
		setenv("LESS", "FRSXMK", 0);
		setenv("LESSSECURE", "1", 1);
		setenv("LESSCHARSET", "utf-8", 0);
		execlp("sh", "sh", "-c", pager, (char *)NULL);
		_exit(127);
	}
	/* Ctrl-C is for the pager. */
	(void)signal(SIGINT, SIG_IGN);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	(void)signal(SIGINT, SIG_DFL);
	return !WIFEXITED(status) || (WEXITSTATUS(status) != 127 && WEXITSTATUS(status) != 126);
}

void pager_end(struct pager *p)
{
	const char *pager = find_pager();

	if (p->is_on) {
		fflush(stdout);
		(void)dup2(p->terminal, STDOUT_FILENO);
		/* The line of the shell's prompt is one of the terminal's. */
		if (!pager || count_lines(p->file) < terminal_lines() ||
		    !run_pager(pager, p->file))
			copy(p->file);
		close(p->file);
		close(p->terminal);
	}
	*p = (struct pager) {};
}
