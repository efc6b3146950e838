// SPDX-License-Identifier: GPL-2.0-or-later
/* Changes in the directories of policies. */
#include <fcntl.h>
#include <limits.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "log.h"
#include "manager.h"
#include "policy-watch.h"
#include "util/util.h"

/* So long nothing has happened: editors write in several steps, scp in many. */
#define QUIET_USEC 200000ULL
/* But no longer, whoever goes on writing. */
#define WAIT_MAX_USEC 5000000ULL

#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE | IN_CREATE | \
		 IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

static int on_quiet(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct manager *m = userdata;

	(void)source;
	(void)usec;
	m->policy_watch.since = 0;
	(void)policy_watch_refresh(m);
	policies_look(m);
	manager_set_admission(m);
	return 0;
}

static void wait_for_quiet(struct manager *m)
{
	struct policy_watch *w = &m->policy_watch;
	uint64_t now;

	if (sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0)
		return;
	if (!w->since)
		w->since = now;
	else if (now - w->since > WAIT_MAX_USEC)
		return;
	(void)sd_event_source_set_time(w->quiet, now + QUIET_USEC);
	(void)sd_event_source_set_enabled(w->quiet, SD_EVENT_ONESHOT);
}

/*
 * A new file is read when it is closed; of links, and of files that are whole when they get their
 * name, there is nothing but their making.
 */
static bool is_half(const char *dir, const struct inotify_event *event)
{
	char path[PATH_MAX];
	struct stat st;
	int n;

	if (!(event->mask & IN_CREATE) || !event->len)
		return false;
	n = snprintf(path, sizeof(path), "%s/%s", dir, event->name);
	return n > 0 && (size_t)n < sizeof(path) && lstat(path, &st) >= 0 && S_ISREG(st.st_mode) && !st.st_size;
}

static int on_change(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
	struct manager *m = userdata;
	struct policy_watch *w = &m->policy_watch;

	for (size_t i = 0; i < POLICY_NR_DIRS; i++) {
		if (w->source[i] != source)
			continue;
		if (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) {
			/* Another one may take its place. */
			w->source[i] = sd_event_source_disable_unref(source);
		} else if (is_half(m->options.policy_dirs[i], event)) {
			return 0;
		}
		break;
	}
	/* An overflow of the queue, IN_Q_OVERFLOW, is a change like any other: all is read. */
	wait_for_quiet(m);
	return 0;
}

int policy_watch_refresh(struct manager *m)
{
	struct policy_watch *w = &m->policy_watch;
	int r, added = 0;

	if (!w->quiet) {
		r = sd_event_add_time(m->event, &w->quiet, CLOCK_MONOTONIC, 0, 1000, on_quiet, m);
		if (r >= 0)
			r = sd_event_source_set_enabled(w->quiet, SD_EVENT_OFF);
		if (r < 0) {
			log_error_errno(r, "A timer for policies cannot be set up: %m");
			return 0;
		}
	}
	for (size_t i = 0; i < POLICY_NR_DIRS; i++) {
		if (w->source[i])
			continue;
		r = sd_event_add_inotify(m->event, &w->source[i], m->options.policy_dirs[i], CHANGES,
					 on_change, m);
		if (r >= 0)
			added = 1;
		else if (r != -ENOENT && !w->warned[i])
			log_warning_errno(r, "%s is not watched, ignoring ('merlon policy reload' "
					  "reads it): %m", m->options.policy_dirs[i]);
		w->warned[i] = r < 0 && r != -ENOENT;
	}
	return added;
}

void policy_watch_done(struct policy_watch *w)
{
	for (size_t i = 0; i < POLICY_NR_DIRS; i++)
		w->source[i] = sd_event_source_disable_unref(w->source[i]);
	w->quiet = sd_event_source_disable_unref(w->quiet);
}
