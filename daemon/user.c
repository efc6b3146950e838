// SPDX-License-Identifier: GPL-2.0-or-later
/* Users of this host. */
#include <pwd.h>
#include <unistd.h>

#include "user.h"
#include "util/util.h"

/* A line of passwd; some directories have long ones. */
#define ENTRY_MAX (1U << 20)

int user_lookup(const char *name, uid_t *ret)
{
	size_t size = 4096;

	for (;;) {
		_cleanup_free_ char *buf = malloc(size);
		struct passwd pw, *found = NULL;
		int error;

		if (!buf)
			return -ENOMEM;
		error = getpwnam_r(name, &pw, buf, size, &found);
		if (found) {
			*ret = pw.pw_uid;
			return 0;
		}
		if (error == ERANGE && size < ENTRY_MAX) {
			size *= 4;
			continue;
		}
		/* What getpwnam(3) says stands for "not found", beside 0. */
		switch (error) {
		case 0:
		case ENOENT:
		case ESRCH:
		case EBADF:
		case EPERM:
			return -ENOENT;
		default:
			return -error;
		}
	}
}
