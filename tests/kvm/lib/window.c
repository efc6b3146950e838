// SPDX-License-Identifier: GPL-2.0-or-later
/* A VM's windows of isolation, by the files that a test kernel has in debugfs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vcpu.h"
#include "window.h"

#define PARAMETER	"/sys/module/kvm/parameters/isolation"

void window_set_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	require(fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value), "%s: %m",
		path);
	close(fd);
}

char window_parameter(void)
{
	char c = 0;
	int fd = open(PARAMETER, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, &c, 1) != 1)
		c = 0;
	close(fd);
	return c;
}

bool window_is_on(void)
{
	return window_parameter() == 'Y';
}

void window_file(struct vm *vm, const char *name, char *path, size_t size)
{
	snprintf(path, size, "/sys/kernel/debug/kvm/%d-%d/%s", getpid(), vm->fd, name);
}

const char *window_report(struct vm *vm)
{
	static char text[16384];
	char path[128];
	size_t n;
	FILE *f;

	window_file(vm, "isolation", path, sizeof(path));
	f = fopen(path, "re");
	require(f, "%s: %m", path);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	return text;
}

uint64_t window_count(struct vm *vm, const char *name)
{
	const char *line = window_report(vm);
	size_t length = strlen(name);

	while (line && (strncmp(line, name, length) || line[length] != ' ')) {
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	require(line, "no %s in the report", name);
	return strtoull(line + length, NULL, 10);
}

void window_note_places(struct vm *vm)
{
	const char *line = window_report(vm);

	for (; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL)
		if (!strncmp(line, "place ", 6))
			tap_note("%.*s", (int)strcspn(line, "\n"), line);
}

int window_ask(struct vm *vm, const char *what)
{
	char path[128];
	int fd, r = 0;

	window_file(vm, "isolation_probe", path, sizeof(path));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	require(fd >= 0, "%s: %m", path);
	if (write(fd, what, strlen(what)) < 0)
		r = errno;
	close(fd);
	return r;
}

const char *window_answer(struct vm *vm)
{
	static char text[32];
	char path[128];
	ssize_t n;
	int fd;

	window_file(vm, "isolation_probe", path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	require(fd >= 0, "%s: %m", path);
	n = read(fd, text, sizeof(text) - 1);
	require(n > 0, "%s: %m", path);
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	close(fd);
	return text;
}

struct vm *window_vm(unsigned int vcpus)
{
	struct vm_options options = { .vcpus = vcpus, .flags = VM_IRQCHIP };

	return vm_new(&options);
}

void window_work(struct vcpu *v, unsigned int rounds)
{
	struct run r;

	while (rounds--) {
		r = vcpu_op(v, OP_CPUID, 0);
		require(r.end == RUN_DONE && r.ret[0], "%s", run_text(&r));
		require_done(vcpu_op(v, OP_STORE, GUEST_ARENA, rounds, 8));
		require_done(vcpu_op(v, OP_IPI_SELF, GUEST_VECTOR_EVENT));
		require_done(vcpu_op(v, OP_LOAD_CR8, rounds & 7));
	}
}

void window_reset(void)
{
	static const char *const files[][2] = {
		{ WINDOW_TRACING "/events/kvm/enable", "0" },
		{ WINDOW_TRACING "/events/enable", "0" },
		{ WINDOW_TRACING "/kprobe_events", "\n" },
		{ WINDOW_TRACING "/trace", "\n" },
		{ "/sys/module/kvm/parameters/isolation_fault_stack", "0" },
		{ "/sys/module/kvm/parameters/isolation_kick", "0" },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		int fd = open(files[i][0], O_WRONLY | O_TRUNC | O_CLOEXEC);

		if (fd < 0)
			continue;
		if (write(fd, files[i][1], strlen(files[i][1])) < 0)
			tap_note("%s: %s", files[i][0], strerror(errno));
		close(fd);
	}
}
