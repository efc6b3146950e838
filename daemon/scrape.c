// SPDX-License-Identifier: GPL-2.0-or-later
/* Metrics over a local socket. */
#include <sys/epoll.h>
#include <sys/socket.h>

#include <systemd/sd-daemon.h>

#include "log.h"
#include "metrics.h"
#include "scrape.h"
#include "util/util.h"

/**
 * struct peer - a connection
 * @request, @n: what was read; @answer, @size, @sent: what is written, NULL while reading
 */
struct peer {
	struct scrape *scrape;
	sd_event_source *io;
	sd_event_source *deadline;
	int fd;
	char request[SCRAPE_REQUEST_MAX + 1];
	size_t n;
	char *answer;
	size_t size;
	size_t sent;
};

struct scrape {
	struct manager *manager;
	sd_event_source *listener;
	sd_event_source *retry;
	int fd;
	struct peer *peers[SCRAPE_MAX];
	size_t n;
};

static void peer_free(struct peer *p)
{
	sd_event_source_disable_unref(p->io);
	sd_event_source_disable_unref(p->deadline);
	if (p->fd >= 0)
		close(p->fd);
	free(p->answer);
	free(p);
}

DEFINE_CLEANUP(struct peer *, peer_free)

static void peer_close(struct peer *p)
{
	struct scrape *s = p->scrape;

	for (size_t i = 0; i < s->n; i++)
		if (s->peers[i] == p) {
			s->peers[i] = s->peers[--s->n];
			break;
		}
	peer_free(p);
	/* There is room for who waits. */
	(void)sd_event_source_set_enabled(s->listener, SD_EVENT_ON);
}

static int answer(struct peer *p, const char *status, const char *type, const char *body)
{
	int n = asprintf(&p->answer,
			 "HTTP/1.0 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
			 "Connection: close\r\n\r\n%s", status, type, strlen(body), body);

	if (n < 0) {
		p->answer = NULL;
		return -ENOMEM;
	}
	p->size = (size_t)n;
	return sd_event_source_set_io_events(p->io, EPOLLOUT);
}

/* The first line decides; what else a client says of itself is not looked at. */
static int on_request(struct peer *p)
{
	static const char plain[] = "text/plain; charset=utf-8";
	_cleanup_free_ char *text = NULL;
	const char *path = startswith(p->request, "GET ");
	int r;

	if (!path)
		return answer(p, "405 Method Not Allowed", plain, "Expected GET /metrics\n");
	if (!startswith(path, "/metrics ") && !startswith(path, "/metrics\r") &&
	    !startswith(path, "/metrics?"))
		return answer(p, "404 Not Found", plain, "Expected GET /metrics\n");
	r = metrics_text(p->scrape->manager, &text);
	if (r < 0)
		return r;
	return answer(p, "200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8",
		      text);
}

static int do_read(struct peer *p)
{
	ssize_t n = recv(p->fd, p->request + p->n, SCRAPE_REQUEST_MAX - p->n, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	p->n += (size_t)n;
	p->request[p->n] = '\0';
	if (strstr(p->request, "\r\n\r\n") || strstr(p->request, "\n\n"))
		return on_request(p);
	if (p->n == SCRAPE_REQUEST_MAX)
		return answer(p, "431 Request Header Fields Too Large",
			      "text/plain; charset=utf-8", "Expected less than 4 KiB\n");
	return 0;
}

/* 1 when all is written. */
static int do_write(struct peer *p)
{
	ssize_t n = send(p->fd, p->answer + p->sent, p->size - p->sent, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	p->sent += (size_t)n;
	return p->sent == p->size;
}

static int on_peer(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct peer *p = userdata;
	int r;

	(void)source;
	(void)fd;
	(void)revents;
	r = p->answer ? do_write(p) : do_read(p);
	if (r != 0)
		peer_close(p);
	return 0;
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata)
{
	(void)source;
	(void)usec;
	peer_close(userdata);
	return 0;
}

static int peer_new(struct scrape *s, int take_fd)
{
	_cleanup_(peer_freep) struct peer *p = calloc(1, sizeof(*p));
	sd_event *event = s->manager->event;
	int r;

	if (!p) {
		close(take_fd);
		return -ENOMEM;
	}
	p->scrape = s;
	p->fd = take_fd;
	r = sd_event_add_io(event, &p->io, p->fd, EPOLLIN, on_peer, p);
	if (r >= 0)
		r = sd_event_add_time_relative(event, &p->deadline, CLOCK_MONOTONIC, SCRAPE_USEC, 0,
					       on_deadline, p);
	if (r < 0)
		return r;
	s->peers[s->n++] = TAKE_PTR(p);
	return 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata)
{
	struct scrape *s = userdata;

	(void)source;
	(void)usec;
	return sd_event_source_set_enabled(s->listener, SD_EVENT_ON);
}

static int on_listener(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	struct scrape *s = userdata;
	int peer;

	(void)revents;
	/* The others wait in the socket's backlog. */
	if (s->n == SCRAPE_MAX)
		return sd_event_source_set_enabled(source, SD_EVENT_OFF);
	peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (peer >= 0) {
		(void)peer_new(s, peer);
	} else if (errno == EMFILE || errno == ENFILE) {
		/* Not a loop that only fails: again in a second. */
		(void)sd_event_source_set_time_relative(s->retry, 1000000);
		(void)sd_event_source_set_enabled(s->retry, SD_EVENT_ONESHOT);
		(void)sd_event_source_set_enabled(source, SD_EVENT_OFF);
	}
	return 0;
}

struct scrape *scrape_free(struct scrape *s)
{
	if (!s)
		return NULL;
	while (s->n)
		peer_free(s->peers[--s->n]);
	sd_event_source_disable_unref(s->listener);
	sd_event_source_disable_unref(s->retry);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
	return NULL;
}

DEFINE_CLEANUP(struct scrape *, scrape_free)

static int find_socket(void)
{
	char **names = NULL;
	int n, found = -EBADF;

	n = sd_listen_fds_with_names(1, &names);
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (found < 0 && streq(names[i], SCRAPE_FD_NAME) &&
		    sd_is_socket(fd, AF_UNIX, SOCK_STREAM, 1) > 0) {
			found = fd;
		} else {
			log_warning("An fd that systemd passed is not a listening socket named "
				    SCRAPE_FD_NAME ", closing it.");
			close(fd);
		}
		free(names[i]);
	}
	free(names);
	return found;
}

int scrape_new(struct manager *m, struct scrape **ret)
{
	_cleanup_(scrape_freep) struct scrape *s = NULL;
	int fd = find_socket(), r;

	*ret = NULL;
	if (fd < 0)
		return 0;
	s = calloc(1, sizeof(*s));
	if (!s) {
		close(fd);
		return log_oom();
	}
	s->manager = m;
	s->fd = fd;
	r = sd_event_add_io(m->event, &s->listener, fd, EPOLLIN, on_listener, s);
	if (r >= 0)
		r = sd_event_add_time_relative(m->event, &s->retry, CLOCK_MONOTONIC, 0, 0, on_retry,
					       s);
	if (r >= 0)
		r = sd_event_source_set_enabled(s->retry, SD_EVENT_OFF);
	if (r < 0)
		return log_error_errno(r, "The socket of metrics cannot be served: %m");
	*ret = TAKE_PTR(s);
	return 0;
}
