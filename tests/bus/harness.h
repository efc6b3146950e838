/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A system bus of our own, merlond with a played kernel on it, processes that
 * look like VMMs, and TAP.  Everything is in one new folder under /tmp and dies
 * with the test.  Needs root: the tests act as root and as a stranger.
 */
#ifndef MERLON_HARNESS_H
#define MERLON_HARNESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <systemd/sd-bus.h>

#include "api/names.h"
#include "util/json.h"
#include "util/util.h"

#define STRANGER 65534		/* nobody */

#define _cleanup_bus_ _cleanup_(sd_bus_flush_close_unrefp)
#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)
#define _cleanup_error_ _cleanup_(sd_bus_error_free)

/* The first line of each test's main(): becomes a VMM if it is to be one. */
void harness_init(int argc, char **argv);

/* The bus alone, without merlond. */
void harness_start_bus(void);

/**
 * harness_start() - the bus, and merlond on it
 * @script: lines for the fake kernel, "" for a kernel without VMs
 */
void harness_start(const char *script);

/* A listening socket that merlond gets when it starts, named "metrics". */
void harness_listen(int fd);

/* Another merlond than .build/asan/merlond-fake, which has a played kernel too. */
void harness_program(const char *path);

/* merlond's process. */
pid_t harness_daemon(void);

/* merlond alone; the played kernel keeps what it had, see harness_kill(). */
void harness_start_daemon(void);

/* A signal that merlond does not die of. */
void harness_signal(int signal);

/* SIGKILL, or any other signal, and waits for its end; its exit status. */
int harness_kill(int signal);

/* The folder; ADDRESS of the bus. */
const char *harness_dir(void);
const char *harness_address(void);

/* What merlond has logged so far; to be freed with free(). */
char *harness_log(void);

/* How often merlond has logged @text. */
unsigned int harness_logged(const char *text);

/* Prints the plan; the exit status of main(). */
int harness_end(void);

/**
 * vmm_start() - a process that looks like a VMM to merlond
 * @uid: it runs as
 * @name: its -name, NULL for none; any bytes but zero
 * @uuid: its -uuid, NULL for none
 */
pid_t vmm_start(uid_t uid, const char *name, const char *uuid);

/**
 * vm_add() - a VM in the played kernel, of a VMM process of its own
 *
 * Return: the VM's id, when merlond has seen it.
 */
uint64_t vm_add(uint64_t id, uid_t uid, const char *name, const char *uuid);

/* A command for the played kernel; its answer, in a static buffer. */
_printf_(1, 2) const char *fake(const char *format, ...);

/* What a run of merlon left. */
struct run {
	int exit;
	char out[65536];
	char err[16384];
};

/* merlon with these arguments, NULL-terminated, as root. */
void run_merlon(struct run *r, const char *arg, ...) __attribute__((__sentinel__));

/* The same as @uid, and with a file for its standard input. */
void run_merlon_as(struct run *r, uid_t uid, const char *input, const char *arg, ...)
	__attribute__((__sentinel__));

/* A merlon in the background: its pid, and an fd of its standard output. */
pid_t start_merlon(int *ret_out, const char *arg, ...) __attribute__((__sentinel__));

/* Reads up to a newline or @seconds; false at the end or when nothing came. */
bool read_line(int fd, char *line, size_t size, int seconds);

/* Exit status of a process, 128 + signal if it was killed, -1 after @seconds. */
int wait_exit(pid_t pid, int seconds);

/* A connection to the bus, as root. */
sd_bus *connect_bus(void);

/* Waits until @condition or 10 s; for what merlond does in its own time. */
bool eventually(bool (*condition)(void *), void *userdata);

/* TAP. */
_printf_(2, 3) bool ok(bool condition, const char *what, ...);
_printf_(1, 2) void note(const char *format, ...);

/* The run ended with this code, and its output or error has this text ("" for any). */
_printf_(4, 5) bool ran(const struct run *r, int exit, const char *text, const char *what, ...);

#endif
