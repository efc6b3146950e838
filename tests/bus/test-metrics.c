// SPDX-License-Identifier: GPL-2.0-or-later
/* Metrics: OpenMetrics to the letter, what they count, and the socket of scrapers. */
#include <ctype.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "harness.h"

static char page[1 << 16];

static const char *skip_name(const char *p)
{
	if (!isalpha((unsigned char)*p) && *p != '_')
		return NULL;
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return p;
}

static const char *skip_labels(const char *p)
{
	do {
		p = skip_name(p + 1);
		if (!p || *p++ != '=' || *p++ != '"')
			return NULL;
		for (; *p && *p != '"'; p++)
			if (*p == '\\' && !strchr("\\\"n", *++p))
				return NULL;
		if (*p++ != '"')
			return NULL;
	} while (*p == ',');
	return *p == '}' ? p + 1 : NULL;
}

/*
 * The grammar, as strict as its text: TYPE begins a family, each family once, its samples
 * behind it with the suffix of its type, no blank line, "# EOF" and nothing after it.
 */
static bool is_openmetrics(const char *text)
{
	_cleanup_free_ char *copy = strdup(text), *seen = strdup("\n");
	char family[128] = "", type[32] = "", other[128], *save = NULL, *next;
	bool ended = false;

	if (!*text || text[strlen(text) - 1] != '\n')
		return false;
	for (char *line = copy; line && *line; line = next) {
		const char *p, *rest;

		save = strchr(line, '\n');
		if (!save || ended)
			return false;
		*save = '\0';
		next = save + 1;
		if (streq(line, "# EOF")) {
			ended = true;
		} else if (startswith(line, "# TYPE ")) {
			char *grown = NULL, mark[140];

			if (sscanf(line, "# TYPE %127s %31s", family, type) != 2 ||
			    (!streq(type, "counter") && !streq(type, "gauge") &&
			     !streq(type, "info")))
				return false;
			snprintf(mark, sizeof(mark), "\n%s\n", family);
			if (strstr(seen, mark) || asprintf(&grown, "%s%s\n", seen, family) < 0)
				return false;
			free(seen);
			seen = grown;
		} else if (startswith(line, "# HELP ")) {
			if (sscanf(line, "# HELP %127s", other) != 1 || !streq(other, family))
				return false;
		} else {
			rest = startswith(line, family);
			p = skip_name(line);
			if (!*family || !rest || !p)
				return false;
			rest = streq(type, "counter") ? startswith(rest, "_total") :
			       streq(type, "info") ? startswith(rest, "_info") : rest;
			if (rest != p || (*p == '{' && !(p = skip_labels(p))) || *p++ != ' ' ||
			    !*p || p[strspn(p, "0123456789")])
				return false;
		}
	}
	return ended;
}

/* A parser that takes everything would find nothing. */
static void strictness(void)
{
	static const char *const bad[] = {
		"", "# EOF", "# TYPE a gauge\na 1\n", "a 1\n# EOF\n", "# TYPE a counter\na 1\n# EOF\n",
		"# TYPE a gauge\na{b=\"\"c\"} 1\n# EOF\n", "# TYPE a gauge\n\na 1\n# EOF\n",
		"# TYPE a gauge\na{b=\"\\x\"} 1\n# EOF\n", "# TYPE a gauge\na 1\n# EOF\nx\n",
		"# TYPE a gauge\na 1\n# TYPE a gauge\n# EOF\n", "# TYPE a gauge\na x\n# EOF\n",
	};
	bool refused = true;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (is_openmetrics(bad[i])) {
			note("%s", bad[i]);
			refused = false;
		}
	ok(refused, "the test's parser refuses what is none");
	ok(is_openmetrics("# TYPE a gauge\n# HELP a A.\na{b=\"\\\"c\\n\",d=\"\"} 1\n# EOF\n"),
	   "and takes what is one");
}

static int dial(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/metrics", harness_dir());
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int listen_there(void)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/metrics", harness_dir());
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || listen(fd, 64) < 0)
		return -1;
	return fd;
}

/* All of the answer into page; false if it did not end in time. */
static bool answer(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;
	ssize_t k;

	do {
		if (poll(&p, 1, ms) <= 0)
			return false;
		k = recv(fd, page + n, sizeof(page) - 1 - n, 0);
		n += k > 0 ? (size_t)k : 0;
		page[n] = '\0';
	} while (k > 0);
	return true;
}

static bool get(const char *request)
{
	_cleanup_close_ int fd = dial();

	return fd >= 0 && send(fd, request, strlen(request), MSG_NOSIGNAL) > 0 && answer(fd, 20000);
}

static void scrape(void)
{
	_cleanup_free_ char *big = malloc(5000);
	const char *body;
	int idle[8];

	ok(get("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") && startswith(page, "HTTP/1.0 200 ") &&
	   strstr(page, "application/openmetrics-text; version=1.0.0"), "the socket answers GET") ||
		(note("%s", page), true);
	body = strstr(page, "\r\n\r\n");
	ok(body && is_openmetrics(body + 4), "with metrics");
	ok(get("GET / HTTP/1.0\r\n\r\n") && startswith(page, "HTTP/1.0 404 "), "404 for others");
	ok(get("POST /metrics HTTP/1.0\r\n\r\n") && startswith(page, "HTTP/1.0 405 "), "405");
	memset(big, 'x', 4999);
	memcpy(big, "GET /metrics ", 13);
	big[4096] = '\0';
	ok(get(big) && startswith(page, "HTTP/1.0 431 "), "431 for what is too long");

	/* As many as may be, who say nothing; the next one waits for them to be sent away. */
	for (int i = 0; i < 8; i++)
		idle[i] = dial();
	ok(get("GET /metrics HTTP/1.0\r\n\r\n") && startswith(page, "HTTP/1.0 200 "),
	   "connections that say nothing do not keep others out for long");
	ok(answer(idle[0], 1000) && !*page, "for they are closed");
	for (int i = 0; i < 8; i++)
		close(idle[i]);
}

static bool read_page(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	size_t n = f ? fread(page, 1, sizeof(page) - 1, f) : 0;

	page[n] = '\0';
	return f;
}

/* For node_exporter: whole or not at all, under names that it reads. */
static void textfile(struct run *r)
{
	char path[128], option[160], other[160];
	struct stat st;

	snprintf(path, sizeof(path), "%s/merlon.prom", harness_dir());
	snprintf(option, sizeof(option), "--textfile=%s", path);
	run_merlon(r, "metrics", option, NULL);
	ok(r->exit == 0 && !*r->out && read_page(path), "metrics --textfile writes a file") ||
		(note("%s", r->err), true);
	ok(strstr(page, "# TYPE merlon_vm_violations_total counter\n") &&
	   strstr(page, "\nmerlon_vm_violations_total{vm=\"17\"} 3\n") &&
	   strstr(page, "# TYPE merlon_vm_info gauge\nmerlon_vm_info{") &&
	   strstr(page, "# TYPE merlon_vms gauge\nmerlon_vms 2\n"), "with samples and their types") ||
		(note("%s", page), true);
	ok(!strstr(page, "# EOF") && !strstr(page, " info\n"), "and nothing of OpenMetrics alone");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0644, "for everybody to read");
	run_merlon(r, "metrics", option, NULL);
	ok(r->exit == 0, "and again in its place");

	snprintf(other, sizeof(other), "--textfile=%s/merlon.txt", harness_dir());
	run_merlon(r, "metrics", other, NULL);
	ran(r, 2, "ends in .prom", "another name: 2");
	run_merlon(r, "metrics", "--textfile=.prom", NULL);
	ran(r, 2, "ends in .prom", "nor one that is nothing else");
	snprintf(other, sizeof(other), "--textfile=%s/none/x.prom", harness_dir());
	run_merlon(r, "metrics", other, NULL);
	ran(r, 1, "cannot be written", "a directory that is not there: 1");
	run_merlon_as(r, STRANGER, NULL, "metrics", option, NULL);
	ran(r, 4, "", "a stranger: 4");
	ok(read_page(path) && strstr(page, "merlon_vms 2\n"), "and the file is as it was");
}

int main(int argc, char **argv)
{
	struct run *r = calloc(1, sizeof(*r));
	_cleanup_bus_ sd_bus *bus = NULL;
	int fd;

	harness_init(argc, argv);
	strictness();
	fd = listen_there();
	ok(fd >= 0, "a socket as systemd would make it");
	harness_listen(fd);
	harness_start("");
	vm_add(17, 0, "web-1", NULL);
	vm_add(18, 0, "a\"b\\c\n", NULL);
	run_merlon(r, "protect", "web-1", "--name=idt", "--gpa=0x1e0000", "--length=4K",
		   "--write=deny", NULL);
	fake("violation 17 0x1e0088 1 n=3");
	run_merlon(r, "metrics", NULL);
	ran(r, 0, "merlon_vm_violations_total{vm=\"17\"} 3\n", "merlon metrics counts violations");
	ok(is_openmetrics(r->out), "in OpenMetrics") || (note("%s", r->out), true);
	ran(r, 0, "merlon_vm_rules{vm=\"17\"} 1\n", "rules");
	ran(r, 0, "merlon_vm_rules{vm=\"18\"} 0\n", "of each VM");
	ran(r, 0, "merlon_vms 2\n", "VMs");
	ran(r, 0, "merlon_degraded{reason=\"vm-unprotected\"} 0\n", "no reason for Degraded");
	/* The name is escaped as names are, and then as labels are. */
	ran(r, 0, "{vm=\"18\",name=\"a\\\"b\\\\x5cc\\\\x0a\",trusted=\"1\"} 1\n", "names, escaped") ||
		(note("%s", r->out), true);
	fake("reset 17");
	fake("violation 18 0x2000 1 n=3 less=8");
	for (int i = 0; i < 100; i++) {
		run_merlon(r, "metrics", NULL);
		if (strstr(r->out, "merlon_vm_events_lost_total{vm=\"18\"} 3\n") &&
		    strstr(r->out, "merlon_vm_resets_total{vm=\"17\"} 1\n"))
			break;
		usleep(50000);
	}
	ran(r, 0, "merlon_vm_events_lost_total{vm=\"18\"} 3\n", "losses");
	ran(r, 0, "merlon_degraded{reason=\"vm-unprotected\"} 1\n", "and a reset that disarmed");
	textfile(r);
	run_merlon(r, "metrics", "--json", NULL);
	ran(r, 0, "\"openmetrics\"", "as JSON");
	scrape();
	free(r);
	return harness_end();
}
