// SPDX-License-Identifier: GPL-2.0-or-later
/* /etc/merlon/merlond.json: merlond's own settings. */
#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "api/names.h"
#include "policy-locate.h"
#include "settings.h"
#include "user.h"
#include "util/escape.h"
#include "util/json.h"
#include "util/parse.h"
#include "util/util.h"

#define MAX_TRUSTED 64
#define MAX_FILE 65536

static const char *const default_trusted[] = { "libvirt-qemu", "qemu" };

struct file {
	const char *path;
	char *text;
	size_t len;
};

/* "FILE:LINE:COL: /path: problem" */
static int fail_at(const struct file *f, const char *path, const char *key, char **reterr,
		   const char *problem)
{
	unsigned int line, column;

	policy_position(f->text, policy_locate(f->text, f->len, path, key, NULL), &line, &column);
	if (asprintf(reterr, "%s:%u:%u: %s: %s", f->path, line, column, *path ? path : "/",
		     problem) < 0)
		*reterr = NULL;
	return *reterr ? -EINVAL : -ENOMEM;
}

static int add_uid(struct settings *s, uid_t uid)
{
	uid_t *trusted = reallocarray(s->trusted, s->n_trusted + 1, sizeof(*trusted));

	if (!trusted)
		return -ENOMEM;
	s->trusted = trusted;
	s->trusted[s->n_trusted++] = uid;
	return 0;
}

/* A user this host does not have is nobody's VMM.  -EAGAIN: nobody can say for now. */
static int add_user(struct settings *s, const char *user)
{
	uint64_t number;
	uid_t uid;
	int r;

	if (isdigit((unsigned char)user[0])) {
		if (parse_u64(user, &number) < 0 || number >= (uid_t)-1)
			return -EINVAL;
		return add_uid(s, (uid_t)number);
	}
	r = user_lookup(user, &uid);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r == -ENOMEM ? r : -EAGAIN;
	return add_uid(s, uid);
}

static int fail_lookup(const char *path, const char *user, char **reterr)
{
	if (asprintf(reterr, "%s: trusted-vmm-users: '%s' cannot be looked up now; tried again each "
		     "half minute", path, user) < 0)
		*reterr = NULL;
	return *reterr ? -EAGAIN : -ENOMEM;
}

static int trust_default(const char *path, struct settings *s, char **reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(default_trusted); i++) {
		int r = add_user(s, default_trusted[i]);

		if (r == -EAGAIN && reterr)
			return fail_lookup(path, default_trusted[i], reterr);
		if (r == -ENOMEM)
			return r;
	}
	return 0;
}

static int read_trusted(const struct file *f, struct json_object *value, struct settings *s,
			char **reterr)
{
	size_t n;

	if (!json_object_is_type(value, json_type_array))
		return fail_at(f, "/trusted-vmm-users", NULL, reterr, "expected an array of users");
	n = json_object_array_length(value);
	if (n > MAX_TRUSTED)
		return fail_at(f, "/trusted-vmm-users", NULL, reterr, "expected at most 64 users");
	for (size_t i = 0; i < n; i++) {
		struct json_object *user = json_object_array_get_idx(value, i);
		char path[64];
		int r = -EINVAL;

		if (json_object_is_type(user, json_type_string) &&
		    json_object_get_string_len(user) > 0)
			r = add_user(s, json_object_get_string(user));
		if (r == -EINVAL) {
			snprintf(path, sizeof(path), "/trusted-vmm-users/%zu", i);
			return fail_at(f, path, NULL, reterr, "expected a user's name or uid");
		}
		if (r == -EAGAIN)
			return fail_lookup(f->path, json_object_get_string(user), reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_settings(const struct file *f, struct json_object *o, struct settings *s,
			 char **reterr)
{
	bool have_trusted = false;
	int r;

	if (!json_object_is_type(o, json_type_object))
		return fail_at(f, "", NULL, reterr, "expected an object");

	json_object_object_foreach(o, key, value) {
		if (streq(key, "trusted-vmm-users")) {
			r = read_trusted(f, value, s, reterr);
			if (r < 0)
				return r;
			have_trusted = true;
		} else if (streq(key, "admission")) {
			int mode = -1;

			if (json_object_is_type(value, json_type_string))
				mode = merlon_admission_from_name(json_object_get_string(value));
			if (mode < 0)
				return fail_at(f, "/admission", NULL, reterr,
					       "expected \"off\", \"open\" or \"closed\"");
			s->admission = (enum kvm_vmi_admission)mode;
			s->admission_said = true;
		} else if (streq(key, "admission-ms")) {
			int64_t ms = 0;

			if (json_object_is_type(value, json_type_int))
				ms = json_object_get_int64(value);
			if (ms < 1 || ms > KVM_VMI_ADMIT_MS_MAX)
				return fail_at(f, "/admission-ms", NULL, reterr,
					       "expected milliseconds, 1 to 60000");
			s->admission_ms = (uint32_t)ms;
		} else if (streq(key, "engine")) {
			int engine = -1;

			if (json_object_is_type(value, json_type_string))
				engine = merlon_engine_from_name(json_object_get_string(value));
			if (engine < 0)
				return fail_at(f, "/engine", NULL, reterr,
					       "expected \"auto\", \"software\" or \"hardware\"");
			s->engine = (enum kvm_vmi_engine)engine;
		} else {
			return fail_at(f, "", key, reterr,
				       "expected trusted-vmm-users, admission, admission-ms or "
				       "engine, got another key");
		}
	}
	return have_trusted ? 0 : trust_default(f->path, s, reterr);
}

/* But for whom to trust. */
static const struct settings defaults = {
	.admission = KVM_VMI_ADMIT_OFF,
	.admission_ms = KVM_VMI_ADMIT_MS_DEFAULT,
	.engine = KVM_VMI_ENGINE_AUTO,
};

int settings_default(struct settings *ret)
{
	struct settings s = defaults;
	int r = trust_default(NULL, &s, NULL);

	if (r < 0) {
		settings_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

/* -ENOENT when there is none. */
static int read_file(struct file *f, char **reterr)
{
	_cleanup_close_ int fd = -EBADF;
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	/* O_NONBLOCK: a FIFO in its place must not stop a root daemon. */
	fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0) {
		int r = -errno;

		if (r != -ENOENT && asprintf(reterr, "%s: cannot be opened: %m", f->path) < 0)
			*reterr = NULL;
		return r;
	}
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != 0 || st.st_mode & (S_IWGRP | S_IWOTH)) {
		if (asprintf(reterr, "%s: expected a regular file owned by root and writable by "
			     "nobody else", f->path) < 0)
			*reterr = NULL;
		return -EPERM;
	}
	text = malloc(MAX_FILE + 1);
	if (!text)
		return -ENOMEM;
	n = read(fd, text, MAX_FILE + 1);
	if (n < 0)
		return -errno;
	if (n > MAX_FILE) {
		if (asprintf(reterr, "%s: expected at most %d bytes", f->path, MAX_FILE) < 0)
			*reterr = NULL;
		return -E2BIG;
	}
	f->text = TAKE_PTR(text);
	f->text[n] = 0;
	f->len = (size_t)n;
	return 0;
}

int settings_load(const char *path, struct settings *ret, char **reterr_message)
{
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_free_ char *text = NULL;
	struct settings s = defaults;
	struct file f = { .path = path };
	int r;

	*reterr_message = NULL;
	r = read_file(&f, reterr_message);
	text = f.text;
	if (r == -ENOENT) {
		o = json_object_new_object();
		if (!o)
			return -ENOMEM;
	} else if (r < 0) {
		return r;
	} else {
		_cleanup_free_ char *problem = NULL;
		size_t offset = 0;
		unsigned int line, column;

		r = policy_check(text, f.len, &offset, &problem);
		if (r == -EINVAL) {
			policy_position(text, offset, &line, &column);
			if (asprintf(reterr_message, "%s:%u:%u: %s", path, line, column,
				     problem) < 0)
				*reterr_message = NULL;
		}
		if (r < 0)
			return r;
		r = json_parse(text, f.len, &o);
		/* It is JSON, and no value: null. */
		if (r == -EINVAL)
			return fail_at(&f, "", NULL, reterr_message, "expected an object");
		if (r < 0)
			return r;
	}
	r = read_settings(&f, o, &s, reterr_message);
	if (r < 0) {
		settings_done(&s);
		return r;
	}
	*ret = s;
	return 0;
}

void settings_done(struct settings *s)
{
	free(s->trusted);
	*s = (struct settings) { 0 };
}

bool settings_trusts(const struct settings *s, uid_t uid)
{
	if (!uid)
		return true;
	for (size_t i = 0; i < s->n_trusted; i++)
		if (s->trusted[i] == uid)
			return true;
	return false;
}
