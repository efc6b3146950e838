// SPDX-License-Identifier: GPL-2.0-or-later
/* The directory of pins. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include "pins.h"
#include "util/util.h"

static bool on_bpffs(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) >= 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* A bpffs mounted by hand is open to everybody: what is there may be a trap. */
static int open_own(int parent, const char *name, const char **reterr_why)
{
	_cleanup_close_ int fd = -EBADF;
	struct stat st;

	*reterr_why = "the directory of pins cannot be made";
	if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	*reterr_why = "the directory of pins cannot be opened";
	fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!on_bpffs(fd)) {
		*reterr_why = "the directory of pins is not on a bpffs";
		return -ENOTDIR;
	}
	if (st.st_uid != 0 || (st.st_mode & 07777) != 0700) {
		*reterr_why = "the directory of pins is not root's alone (expected owner root, "
			      "mode 0700)";
		return -EPERM;
	}
	return TAKE_FD(fd);
}

static int open_parent(const char *dir, char **ret_name)
{
	_cleanup_free_ char *copy = strdup(dir), *name = NULL;
	char *slash;
	int fd;

	if (!copy)
		return -ENOMEM;
	slash = strrchr(copy, '/');
	if (!slash || slash == copy || !slash[1])
		return -EINVAL;
	name = strdup(slash + 1);
	if (!name)
		return -ENOMEM;
	*slash = 0;
	fd = open(copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_name = TAKE_PTR(name);
	return fd;
}

int pins_open(const char *dir, const char *layout, const char **reterr_why)
{
	_cleanup_close_ int parent = -EBADF, top = -EBADF;
	_cleanup_free_ char *name = NULL;

	*reterr_why = "the directory above that of pins cannot be opened";
	parent = open_parent(dir, &name);
	if (parent < 0)
		return parent;
	if (!on_bpffs(parent)) {
		*reterr_why = "no bpffs is mounted where pins belong";
		return -ENOTDIR;
	}
	top = open_own(parent, name, reterr_why);
	if (top < 0)
		return top;
	return open_own(top, layout, reterr_why);
}

int pins_remove(int fd, const char *dir, const char *layout)
{
	_cleanup_close_ int parent = -EBADF, top = -EBADF;
	_cleanup_free_ char *name = NULL;
	struct dirent *entry;
	DIR *d;
	int copy, r = 0;

	copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = copy >= 0 ? fdopendir(copy) : NULL;
	if (!d) {
		r = -errno;
		if (copy >= 0)
			close(copy);
		return r;
	}
	while ((entry = readdir(d)))
		if (entry->d_name[0] != '.' && unlinkat(fd, entry->d_name, 0) < 0)
			r = -errno;
	closedir(d);
	if (r < 0)
		return r;

	parent = open_parent(dir, &name);
	if (parent < 0)
		return parent;
	top = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (top < 0)
		return -errno;
	if (unlinkat(top, layout, AT_REMOVEDIR) < 0)
		return -errno;
	/* Another layout's directory may be there still. */
	if (unlinkat(parent, name, AT_REMOVEDIR) < 0 && errno != ENOTEMPTY)
		return -errno;
	return 0;
}
