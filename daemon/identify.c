// SPDX-License-Identifier: GPL-2.0-or-later
/* Who a VM is, as far as its process says. */
#include <ctype.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/syscall.h>

#include "identify.h"
#include "util/escape.h"
#include "util/util.h"

/* A VMM's command line; libvirt's have some 10 KiB.  What is beyond is not read. */
#define CMDLINE_MAX 131072

static int read_at(int dir, const char *name, char *buf, size_t size, size_t *ret_len)
{
	_cleanup_close_ int fd = -EBADF;
	size_t len = 0;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (len < size - 1) {
		ssize_t n = read(fd, buf + len, size - 1 - len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		if (!n)
			break;
		len += n;
	}
	buf[len] = 0;
	*ret_len = len;
	return 0;
}

/* Field 22 of /proc/PID/stat, in clock ticks since boot. */
static int read_start(int dir, unsigned long long *ret)
{
	char buf[1024], *p;
	size_t len;
	int r, i;

	r = read_at(dir, "stat", buf, sizeof(buf), &len);
	if (r < 0)
		return r;
	/* The name in field 2 may have blanks and brackets; no later field has. */
	p = strrchr(buf, ')');
	for (i = 2; p && i < 22; i++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", ret) != 1)
		return -EBADMSG;
	return 0;
}

static int same_process(int dir, int pidfd, uint64_t start_time)
{
	unsigned long long ticks;
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	r = read_start(dir, &ticks);
	if (r < 0)
		return r == -ENOENT ? -ESRCH : r;
	if (ticks != start_time / (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK)))
		return -ESRCH;
	if (poll(&p, 1, 0) != 0)
		return -ESRCH;
	return 0;
}

/*
 * The value of -name, read as QEMU does: "web-1" or "guest=web-1", other words
 * after commas, ",," for a comma.
 */
static void take_name(const char *value, struct identity *ret)
{
	_cleanup_free_ char *name = NULL, *escaped = NULL;
	const char *p = value;
	size_t n = 0;

	ret->name[0] = 0;
	name = malloc(strlen(value) + 1);
	if (!name)
		return;
	for (;;) {
		const char *guest = startswith(p, "guest=");
		/* Only the first word may go without a key. */
		bool is_name = guest || (p == value && p[strcspn(p, "=,")] != '=');
		size_t k = 0;

		if (guest)
			p = guest;
		for (; *p && (*p != ',' || p[1] == ','); p++) {
			if (is_name)
				name[k++] = *p;
			if (*p == ',')
				p++;
		}
		if (is_name)
			n = k;
		if (!*p)
			break;
		p++;
	}
	/* A cut name could be somebody else's: too long is no name. */
	if (!n || n > MERLON_NAME_MAX)
		return;
	escaped = escape_bytes(name, n);
	if (escaped)
		snprintf(ret->name, sizeof(ret->name), "%s", escaped);
}

static void take_uuid(const char *value, struct identity *ret)
{
	char uuid[37];
	size_t i;

	ret->uuid[0] = 0;
	for (i = 0; i < 36; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? value[i] != '-' : !isxdigit((unsigned char)value[i]))
			return;
		uuid[i] = (char)tolower((unsigned char)value[i]);
	}
	if (value[36])
		return;
	uuid[36] = 0;
	memcpy(ret->uuid, uuid, sizeof(uuid));
}

void identify_cmdline(const char *cmdline, size_t len, struct identity *ret)
{
	const char *p = cmdline, *end = cmdline + len;
	const char *option = NULL;
	bool named = false, numbered = false;

	ret->name[0] = ret->uuid[0] = 0;
	/* The last byte is a zero, unless the text was cut: then the last word is none. */
	while (p < end) {
		const char *stop = memchr(p, 0, end - p);

		if (!stop)
			break;
		if (option) {
			/*
			 * The first of each: a manager of VMs has them first, and behind them what
			 * a tenant may choose, such as the guest kernel's command line.
			 */
			if (streq(option, "name") && !named) {
				take_name(p, ret);
				named = true;
			} else if (streq(option, "uuid") && !numbered) {
				take_uuid(p, ret);
				numbered = true;
			}
			option = NULL;
		} else if (p[0] == '-') {
			const char *word = p + 1 + (p[1] == '-');

			if (streq(word, "name") || streq(word, "uuid"))
				option = word;
		}
		p = stop + 1;
	}
}

void identify_cgroup(const char *text, struct identity *ret)
{
	_cleanup_free_ char *copy = NULL, *escaped = NULL;
	char *line, *save = NULL, *part, *save2 = NULL;

	ret->unit[0] = 0;
	copy = strdup(text);
	if (!copy)
		return;
	for (line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		const char *path = startswith(line, "0::");

		if (!path)
			continue;
		for (part = strtok_r(line + 3, "/", &save2); part;
		     part = strtok_r(NULL, "/", &save2)) {
			size_t n = strlen(part);

			if ((n > 8 && streq(part + n - 8, ".service")) ||
			    (n > 6 && streq(part + n - 6, ".scope"))) {
				/* systemd's own escapes (\x2d) are text here and stay so. */
				escaped = escape_bytes(part, n);
				if (escaped && strlen(escaped) < sizeof(ret->unit))
					strcpy(ret->unit, escaped);
				return;
			}
		}
		return;
	}
}

int identify_process(uint32_t pid, uint64_t start_time, struct identity *ret)
{
	_cleanup_close_ int pidfd = -EBADF, dir = -EBADF;
	_cleanup_free_ char *buf = NULL;
	struct identity id = { 0 };
	char path[32];
	size_t len;
	int r;

	if (!pid)
		return -ESRCH;
	pidfd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (pidfd < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/%u", pid);
	dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? -ESRCH : -errno;
	r = same_process(dir, pidfd, start_time);
	if (r < 0)
		return r;

	buf = malloc(CMDLINE_MAX);
	if (!buf)
		return -ENOMEM;
	r = read_at(dir, "cmdline", buf, CMDLINE_MAX, &len);
	if (r < 0)
		return r;
	identify_cmdline(buf, len, &id);
	/* No cgroups, no unit. */
	if (read_at(dir, "cgroup", buf, CMDLINE_MAX, &len) >= 0)
		identify_cgroup(buf, &id);

	r = same_process(dir, pidfd, start_time);
	if (r < 0)
		return r;
	*ret = id;
	return 0;
}
