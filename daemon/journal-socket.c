// SPDX-License-Identifier: GPL-2.0-or-later
/* journald's socket. */
#include <endian.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "journal-socket.h"
#include "util/util.h"

static int put(FILE *f, const struct iovec *field)
{
	const char *text = field->iov_base;
	const char *equals = memchr(text, '=', field->iov_len);
	size_t name, len;
	uint64_t size;

	if (!equals || equals == text)
		return -EINVAL;
	name = (size_t)(equals - text);
	len = field->iov_len - name - 1;
	if (!memchr(equals + 1, '\n', len)) {
		fwrite(text, 1, field->iov_len, f);
	} else {
		size = htole64(len);
		fwrite(text, 1, name, f);
		fputc('\n', f);
		fwrite(&size, sizeof(size), 1, f);
		fwrite(equals + 1, 1, len, f);
	}
	fputc('\n', f);
	return 0;
}

int journal_socket_send(const struct iovec *iov, int n)
{
	const struct sockaddr_un sa = { .sun_family = AF_UNIX,
					.sun_path = "/run/systemd/journal/socket" };
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -EBADF;
	size_t size = 0;
	int r = 0;
	FILE *f;

	f = open_memstream(&text, &size);
	if (!f)
		return -ENOMEM;
	for (int i = 0; r >= 0 && i < n; i++)
		r = put(f, &iov[i]);
	if (fclose(f) != 0)
		return -ENOMEM;
	if (r < 0)
		return r;
	/* Anew each time: there are few entries, and journald may have been, too. */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 ||
	    sendto(fd, text, size, MSG_DONTWAIT | MSG_NOSIGNAL,
		   (const struct sockaddr *)&sa, sizeof(sa)) < 0)
		return -errno;
	return 0;
}
