// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that a root daemon may believe. */
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "util/util.h"
#include "util/file.h"

/* Root's, and nobody else may write it. */
static bool is_roots(const struct stat *st)
{
	return st->st_uid == 0 && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

int file_open_dir(const char *path, const char **reterr_problem)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		*reterr_problem = "cannot be opened";
		return -errno;
	}
	if (!is_roots(&st)) {
		*reterr_problem = "expected a directory owned by root and writable by nobody else";
		return -EPERM;
	}
	return TAKE_FD(fd);
}

int file_read_owned(int dirfd, const char *name, size_t max, char **ret, size_t *ret_len,
		    const char **reterr_problem)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	size_t len = 0;
	ssize_t n;

	fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		*reterr_problem = errno == ELOOP ? "expected a regular file, got a symbolic link "
						   "(only one to /dev/null has a meaning)" :
						   "cannot be opened";
		return -errno;
	}
	if (fstat(fd, &st) < 0) {
		*reterr_problem = "cannot be read";
		return -errno;
	}
	if (!S_ISREG(st.st_mode) || !is_roots(&st)) {
		*reterr_problem = "expected a regular file owned by root and writable by nobody else";
		return -EPERM;
	}
	if (st.st_size < 0 || (size_t)st.st_size > max) {
		*reterr_problem = "is too large";
		return -E2BIG;
	}
	/* One more, to see that it has not grown. */
	text = malloc((size_t)st.st_size + 2);
	if (!text) {
		*reterr_problem = "no memory";
		return -ENOMEM;
	}
	while (len < (size_t)st.st_size + 1) {
		n = read(fd, text + len, (size_t)st.st_size + 1 - len);
		if (n < 0) {
			*reterr_problem = "cannot be read";
			return -errno;
		}
		if (!n)
			break;
		len += (size_t)n;
	}
	if (len > (size_t)st.st_size) {
		*reterr_problem = "is being written";
		return -EAGAIN;
	}
	text[len] = '\0';
	*ret = TAKE_PTR(text);
	*ret_len = len;
	return 0;
}

bool file_is_mask(int dirfd, const char *name)
{
	char target[16];
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target));

	return n == (ssize_t)strlen("/dev/null") && memcmp(target, "/dev/null", (size_t)n) == 0;
}

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

int file_replace(int dirfd, const char *name, const char *text, size_t len, mode_t mode)
{
	_cleanup_close_ int fd = -EBADF;
	char tmp[NAME_MAX + 1];
	int r;

	r = snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
	if (r < 0 || (size_t)r >= sizeof(tmp))
		return -ENAMETOOLONG;
	if (unlinkat(dirfd, tmp, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = openat(dirfd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	/* Whatever the umask. */
	if (r >= 0 && fchmod(fd, mode) < 0)
		r = -errno;
	if (r >= 0 && fsync(fd) < 0)
		r = -errno;
	if (r >= 0 && renameat(dirfd, tmp, dirfd, name) < 0)
		r = -errno;
	if (r < 0) {
		(void)unlinkat(dirfd, tmp, 0);
		return r;
	}
	(void)fsync(dirfd);
	return 0;
}
