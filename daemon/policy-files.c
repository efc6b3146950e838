// SPDX-License-Identifier: GPL-2.0-or-later
/* The directories of policies. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "policy-files.h"
#include "policy.h"
#include "util/escape.h"
#include "util/file.h"

#define SUFFIX ".json"

void policy_file_done(struct policy_file *file)
{
	free(file->path);
	free(file->error);
	free(file->text);
	*file = (struct policy_file) {};
}

void policy_files_done(struct policy_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		policy_file_done(&files->files[i]);
	free(files->files);
	*files = (struct policy_files) {};
}

static bool has_name(const struct policy_files *files, const char *name)
{
	for (size_t i = 0; *name && i < files->n; i++)
		if (streq(files->files[i].name, name))
			return true;
	return false;
}

static int set_error(struct policy_file *file, const char *problem, int error)
{
	if (error == -E2BIG)
		return asprintf(&file->error, "%s: %s: expected at most %u bytes", file->path,
				problem, MERLON_TEXT_MAX) < 0 ? -ENOMEM : 0;
	/* Of what is not allowed the errno says nothing. */
	if (error == -EPERM || error == -ELOOP || !error)
		return asprintf(&file->error, "%s: %s", file->path, problem) < 0 ? -ENOMEM : 0;
	return asprintf(&file->error, "%s: %s: %s", file->path, problem, strerror(-error)) < 0 ?
		       -ENOMEM : 0;
}

/* What is there under that name; -ENOENT: nothing any more. */
static int read_one(int dirfd, const char *dir, const char *base, struct policy_file *file)
{
	_cleanup_free_ char *shown = escape_bytes(base, strlen(base));
	const char *problem = NULL;
	int r;

	if (!shown || asprintf(&file->path, "%s/%s", dir, shown) < 0) {
		file->path = NULL;
		return -ENOMEM;
	}
	if (!file->name[0])
		return set_error(file, "expected a file name of A-Z a-z 0-9 _ . - and not . - "
				 "first, at most 64 before " SUFFIX, 0);
	if (file_is_mask(dirfd, base)) {
		file->masked = true;
		return 0;
	}
	r = file_read_owned(dirfd, base, MERLON_TEXT_MAX, &file->text, &file->len, &problem);
	if (r == -ENOENT || r == -ENOMEM)
		return r;
	return r < 0 ? set_error(file, problem, r) : 0;
}

int policy_file_read(const char *dir, enum policy_dir which, const char *name,
		     struct policy_file *ret)
{
	struct policy_file file = { .dir = which };
	_cleanup_close_ int dirfd = -EBADF;
	char base[NAME_MAX + 1];
	const char *problem;
	int r;

	dirfd = file_open_dir(dir, &problem);
	if (dirfd < 0)
		return dirfd;
	snprintf(file.name, sizeof(file.name), "%s", name);
	snprintf(base, sizeof(base), "%s" SUFFIX, name);
	r = read_one(dirfd, dir, base, &file);
	if (r < 0) {
		policy_file_done(&file);
		return r;
	}
	*ret = file;
	return 0;
}

static int add_file(struct policy_files *files, int dirfd, const char *dir, enum policy_dir which,
		    const char *base)
{
	struct policy_file file = { .dir = which }, *grown;
	int r;

	r = policy_name_of_file(base, file.name);
	if (r == -ENOENT || r == -ENOMEM)
		return r == -ENOENT ? 0 : r;
	if (has_name(files, file.name))
		return 0;
	if (files->n >= POLICY_MAX)
		return -ENOSPC;
	r = read_one(dirfd, dir, base, &file);
	if (r >= 0) {
		grown = reallocarray(files->files, files->n + 1, sizeof(*grown));
		if (grown) {
			files->files = grown;
			files->files[files->n++] = file;
			return 0;
		}
		r = -ENOMEM;
	}
	policy_file_done(&file);
	return r == -ENOENT ? 0 : r;
}

static int read_dir(struct policy_files *files, const char *path, enum policy_dir which,
		    const char **reterr_problem)
{
	_cleanup_close_ int dirfd = -EBADF;
	struct dirent *entry;
	DIR *dir;
	int fd, r = 0;

	dirfd = file_open_dir(path, reterr_problem);
	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	*reterr_problem = "cannot be read";
	/* The stream owns its fd. */
	fd = fcntl(dirfd, F_DUPFD_CLOEXEC, 3);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	for (errno = 0; r >= 0 && (entry = readdir(dir)); errno = 0)
		r = add_file(files, dirfd, path, which, entry->d_name);
	if (r >= 0 && errno)
		r = -errno;
	if (r == -ENOSPC)
		*reterr_problem = "there are more than 1000 policies";
	closedir(dir);
	return r;
}

static int by_name(const void *a, const void *b)
{
	const struct policy_file *x = a, *y = b;

	return strcmp(x->name, y->name) ?: strcmp(x->path, y->path);
}

int policy_files_read(const char *const dirs[static POLICY_NR_DIRS], struct policy_files *ret,
		      const char **reterr_dir, const char **reterr_problem)
{
	_cleanup_(policy_files_done) struct policy_files files = {};
	int r;

	for (int i = 0; i < POLICY_NR_DIRS; i++) {
		r = read_dir(&files, dirs[i], i, reterr_problem);
		if (r < 0) {
			*reterr_dir = dirs[i];
			return r;
		}
	}
	if (files.n)
		qsort(files.files, files.n, sizeof(*files.files), by_name);
	*ret = files;
	files = (struct policy_files) {};
	return 0;
}

static int open_dir(const char *dir)
{
	const char *problem;

	return file_open_dir(dir, &problem);
}

static void base_of(const char *name, char base[static NAME_MAX + 1])
{
	snprintf(base, NAME_MAX + 1, "%s" SUFFIX, name);
}

/* The first file brings the directory with it. */
static int make_dir(const char *dir)
{
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	return open_dir(dir);
}

int policy_file_write(const char *dir, const char *name, const char *text, size_t len)
{
	_cleanup_close_ int dirfd = make_dir(dir);
	char base[NAME_MAX + 1];

	if (dirfd < 0)
		return dirfd;
	base_of(name, base);
	return file_replace(dirfd, base, text, len, 0644);
}

bool policy_file_exists(const char *dir, const char *name)
{
	_cleanup_close_ int dirfd = open_dir(dir);
	char base[NAME_MAX + 1];
	struct stat st;

	base_of(name, base);
	return dirfd >= 0 && fstatat(dirfd, base, &st, AT_SYMLINK_NOFOLLOW) >= 0;
}

int policy_file_set_aside(const char *dir, const char *name)
{
	_cleanup_close_ int dirfd = open_dir(dir);
	char base[NAME_MAX + 1], aside[NAME_MAX + 16];

	if (dirfd < 0)
		return dirfd;
	base_of(name, base);
	snprintf(aside, sizeof(aside), "%s.unloaded", base);
	/* Of a mask there is nothing to keep. */
	if (file_is_mask(dirfd, base))
		return unlinkat(dirfd, base, 0) < 0 ? -errno : 0;
	return renameat(dirfd, base, dirfd, aside) < 0 ? -errno : 0;
}

int policy_file_restore(const char *dir, const char *name)
{
	_cleanup_close_ int dirfd = open_dir(dir);
	char base[NAME_MAX + 1], aside[NAME_MAX + 16];

	if (dirfd < 0)
		return dirfd;
	base_of(name, base);
	snprintf(aside, sizeof(aside), "%s.unloaded", base);
	return renameat(dirfd, aside, dirfd, base) < 0 ? -errno : 0;
}

int policy_file_remove(const char *dir, const char *name)
{
	_cleanup_close_ int dirfd = open_dir(dir);
	char base[NAME_MAX + 1];

	if (dirfd < 0)
		return dirfd;
	base_of(name, base);
	return unlinkat(dirfd, base, 0) < 0 ? -errno : 0;
}

int policy_file_mask(const char *dir, const char *name)
{
	_cleanup_close_ int dirfd = make_dir(dir);
	char base[NAME_MAX + 1];

	if (dirfd < 0)
		return dirfd;
	base_of(name, base);
	return symlinkat("/dev/null", dirfd, base) < 0 ? -errno : 0;
}
