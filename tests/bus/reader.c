// SPDX-License-Identifier: GPL-2.0-or-later
/* See reader.h. */
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include "reader.h"

char packet[65536];

int reader_open(sd_bus *bus, const char *filter)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	int fd, r;

	r = sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
			       "Subscribe", &error, &reply, "s", filter);
	if (r < 0 || sd_bus_message_read(reply, "h", &fd) < 0) {
		snprintf(packet, sizeof(packet), "%s: %s", error.name ?: "?", error.message ?: "?");
		return -1;
	}
	return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

ssize_t reader_next(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return -1;
	n = recv(fd, packet, sizeof(packet) - 1, 0);
	if (n >= 0)
		packet[n] = '\0';
	return n;
}

pid_t merlond_pid(void)
{
	_cleanup_bus_ sd_bus *bus = connect_bus();
	sd_bus_creds *creds = NULL;
	pid_t pid = -1;

	if (sd_bus_get_name_creds(bus, MERLON_BUS_NAME, SD_BUS_CREDS_PID, &creds) >= 0)
		sd_bus_creds_get_pid(creds, &pid);
	sd_bus_creds_unref(creds);
	return pid;
}

unsigned long merlond_resident(void)
{
	unsigned long size = 0, rss = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", merlond_pid());
	f = fopen(path, "re");
	if (!f || fscanf(f, "%lu %lu", &size, &rss) != 2)
		rss = 0;
	if (f)
		fclose(f);
	return rss * 4;
}
