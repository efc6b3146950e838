// SPDX-License-Identifier: GPL-2.0-or-later
/* The policies that were last right. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include "last-good.h"
#include "policy.h"
#include "util/file.h"

#define DIRECTORY "last-good"

static int open_dir(const char *state_dir, bool make)
{
	char path[PATH_MAX];
	const char *problem;
	int r;

	r = snprintf(path, sizeof(path), "%s/" DIRECTORY, state_dir);
	if (r < 0 || (size_t)r >= sizeof(path))
		return -ENAMETOOLONG;
	if (make && mkdir(state_dir, 0755) < 0 && errno != EEXIST)
		return -errno;
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	return file_open_dir(path, &problem);
}

static int read_at(int dirfd, const char *name, char **ret, size_t *ret_len)
{
	char base[NAME_MAX + 1];
	const char *problem;

	snprintf(base, sizeof(base), "%s.json", name);
	return file_read_owned(dirfd, base, MERLON_TEXT_MAX, ret, ret_len, &problem);
}

int last_good_save(const char *state_dir, const char *name, const char *text, size_t len)
{
	_cleanup_close_ int dirfd = open_dir(state_dir, true);
	_cleanup_free_ char *old = NULL;
	char base[NAME_MAX + 1];
	size_t old_len;

	if (dirfd < 0)
		return dirfd;
	if (read_at(dirfd, name, &old, &old_len) >= 0 && old_len == len &&
	    memcmp(old, text, len) == 0)
		return 0;
	snprintf(base, sizeof(base), "%s.json", name);
	return file_replace(dirfd, base, text, len, 0600);
}

int last_good_read(const char *state_dir, const char *name, char **ret, size_t *ret_len)
{
	_cleanup_close_ int dirfd = open_dir(state_dir, false);

	return dirfd < 0 ? dirfd : read_at(dirfd, name, ret, ret_len);
}

int last_good_remove(const char *state_dir, const char *name)
{
	_cleanup_close_ int dirfd = open_dir(state_dir, false);
	char base[NAME_MAX + 1];

	if (dirfd < 0)
		return dirfd == -ENOENT ? 0 : dirfd;
	snprintf(base, sizeof(base), "%s.json", name);
	return unlinkat(dirfd, base, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int last_good_each(const char *state_dir, int (*found)(const char *name, void *userdata),
		   void *userdata)
{
	int dirfd = open_dir(state_dir, false), r = 0;
	DIR *dir = dirfd < 0 ? NULL : fdopendir(dirfd);
	char name[MERLON_NAME_MAX + 1];
	struct dirent *entry;

	if (!dir) {
		if (dirfd >= 0)
			close(dirfd);
		return 0;
	}
	while (r >= 0 && (entry = readdir(dir)))
		if (policy_name_of_file(entry->d_name, name) >= 0)
			r = found(name, userdata);
	closedir(dir);
	return r;
}

struct sweep {
	const char *state_dir;
	bool (*wanted)(const char *name, void *userdata);
	void *userdata;
};

static int sweep_one(const char *name, void *userdata)
{
	const struct sweep *s = userdata;

	if (!s->wanted(name, s->userdata))
		(void)last_good_remove(s->state_dir, name);
	return 0;
}

void last_good_sweep(const char *state_dir, bool (*wanted)(const char *name, void *userdata),
		     void *userdata)
{
	struct sweep s = { state_dir, wanted, userdata };

	(void)last_good_each(state_dir, sweep_one, &s);
}
