// SPDX-License-Identifier: GPL-2.0-or-later
/* merlon metrics: what merlond counts, as OpenMetrics text. */
#include <fcntl.h>

#include "bus.h"
#include "format.h"
#include "util/file.h"
#include "verb.h"

static const char *arg_textfile;

static const struct option_row options[] = {
	{ .name = "textfile", .value = "FILE", .string = &arg_textfile,
	  .help = "write it to a file of node_exporter's, which ends in .prom" },
	{}
};

/* node_exporter reads *.prom alone, and may do so at any time: the file is whole or as it was. */
static enum merlon_exit check_textfile(const char *path)
{
	const char *name = strrchr(path, '/');
	size_t len;

	name = name ? name + 1 : path;
	len = strlen(name);
	if (len > strlen(".prom") && name[0] != '.' &&
	    streq(name + len - strlen(".prom"), ".prom"))
		return MERLON_EXIT_OK;
	fail("--textfile=%s: expected a file whose name ends in .prom", path);
	fail_hint("node_exporter reads no others of its directory");
	return MERLON_EXIT_USAGE;
}

/*
 * Prometheus's text format 0.0.4, which node_exporter parses, takes OpenMetrics' lines but for
 * the last one, which is a comment to it, and the types it does not know.
 */
static int write_text(FILE *f, const char *text)
{
	static const char info[] = " info";

	while (*text) {
		size_t len = strcspn(text, "\n");

		if (startswith(text, "# TYPE ") && len > strlen(info) &&
		    strncmp(text + len - strlen(info), info, strlen(info)) == 0)
			fprintf(f, "%.*s_info gauge\n", (int)(len - strlen(info)), text);
		else if (startswith(text, "# TYPE ") && len > strlen(" counter") &&
			 strncmp(text + len - strlen(" counter"), " counter", 8) == 0)
			fprintf(f, "%.*s_total counter\n", (int)(len - strlen(" counter")), text);
		else if (startswith(text, "# TYPE ") || !startswith(text, "# "))
			fprintf(f, "%.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	return ferror(f) ? -ENOMEM : 0;
}

static enum merlon_exit write_textfile(const char *path, const char *text)
{
	const char *name = strrchr(path, '/');
	_cleanup_free_ char *dir = name ? strndup(path, (size_t)(name - path) + 1) : strdup(".");
	_cleanup_free_ char *converted = NULL;
	_cleanup_close_ int dirfd = -EBADF;
	size_t size = 0;
	FILE *f = open_memstream(&converted, &size);
	int r;

	if (!f)
		return fail_memory();
	r = write_text(f, text);
	if (fclose(f) != 0 || r < 0 || !dir)
		return fail_memory();
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dirfd < 0 ? -errno :
	    file_replace(dirfd, name ? name + 1 : path, converted, size, 0644);
	if (r >= 0)
		return MERLON_EXIT_OK;
	fail("%s cannot be written: %s", path, strerror(-r));
	fail_hint("the directory has to be there; it is that of node_exporter's "
		  "--collector.textfile.directory");
	return MERLON_EXIT_FAILED;
}

static enum merlon_exit run(_unused_ char **operands)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_json_ struct json_object *o = NULL;
	_cleanup_bus_ sd_bus *bus = NULL;
	enum merlon_exit e;
	const char *text;

	if (arg_textfile) {
		e = check_textfile(arg_textfile);
		if (e != MERLON_EXIT_OK)
			return e;
	}
	e = bus_connect(&bus);
	if (e == MERLON_EXIT_OK)
		e = bus_call(bus, MERLON_PATH, MERLON_IFACE_MANAGER, "Metrics", NULL, &reply, "");
	if (e != MERLON_EXIT_OK)
		return e;
	if (sd_bus_message_read(reply, "s", &text) < 0)
		return bus_bad_reply("Metrics");
	if (arg_textfile)
		return write_textfile(arg_textfile, text);
	if (arg_json) {
		o = json_object_new_object();
		if (!o || json_add_string(o, "openmetrics", text) < 0)
			return fail_memory();
		return print_json(o);
	}
	fputs(text, stdout);
	return MERLON_EXIT_OK;
}

const struct verb verb_metrics = {
	.name = "metrics",
	.operands = "",
	.help = "Print what merlond counts, for Prometheus",
	.options = options,
	.details = "OpenMetrics text, as merlond-metrics.socket serves it. With --json one object\n"
		   "that has the text as \"openmetrics\". With --textfile it goes to a file, which\n"
		   "node_exporter may read at any time, in Prometheus's older text format.",
	.run = run,
};
