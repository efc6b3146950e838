// SPDX-License-Identifier: GPL-2.0-or-later
/* merlond: arguments, event loop, sd_notify. */
#include <getopt.h>
#include <signal.h>
#include <time.h>

#include <systemd/sd-bus.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "api/version.h"
#include "log.h"
#include "manager-bus.h"
#include "manager.h"
#include "scrape.h"
#include "util/util.h"

#define EXIT_USAGE 2

static const char *arg_bus = "system";
static bool arg_clear;
static bool arg_debug;
static struct manager_options arg_options = {
	.runtime_dir = MERLON_RUNTIME_DIR,
	.bpffs_dir = MERLON_BPFFS_DIR,
	.config = "/etc/merlon/merlond.json",
	.policy_dirs = { MERLON_POLICY_ETC, MERLON_POLICY_RUN, MERLON_POLICY_LIB },
	.state_dir = MERLON_STATE_DIR,
	.admission = -1,
};

static void help(FILE *f)
{
	fprintf(f,
		"Usage: merlond [OPTIONS]\n"
		"Protects the memory of KVM guests from outside; 'merlon' talks to it.\n\n"
		"      --bus=BUS          system, session, or an address (default: system, or\n"
		"                         what " MERLON_ENV_BUS " says)\n"
		"      --admission=MODE   off, open or closed: what a new VM waits for\n"
		"      --clear            drop every rule, programs and pins, and exit\n"
		"      --config=FILE      settings (default: %s)\n"
		"      --policy-dirs=DIRS policies: three directories with ':' between them, that\n"
		"                         which counts first at first (default: %s:%s:%s)\n"
		"      --state-dir=DIR    policies as they last were right (default: %s)\n"
		"      --runtime-dir=DIR  names of rules (default: %s)\n"
		"      --bpffs=DIR        pins (default: %s)\n"
		"      --debug            say more\n"
		"      --help, --version\n", arg_options.config, arg_options.policy_dirs[0],
		arg_options.policy_dirs[1], arg_options.policy_dirs[2], arg_options.state_dir,
		arg_options.runtime_dir, arg_options.bpffs_dir);
	if (kernel_backend.script_option)
		fprintf(f, "      --fake-kernel=FILE script of the kernel that is played\n");
}

/* Cuts @value into its directories. */
static int parse_policy_dirs(char *value)
{
	for (size_t i = 0; i < POLICY_NR_DIRS; i++) {
		arg_options.policy_dirs[i] = strsep(&value, ":");
		if (!arg_options.policy_dirs[i] || !*arg_options.policy_dirs[i])
			break;
		if (i == POLICY_NR_DIRS - 1 && !value)
			return 0;
	}
	fprintf(stderr, "merlond: --policy-dirs: expected three directories with ':' between them\n");
	return -EINVAL;
}

/* 1: go on, 0: done, negative: wrong usage. */
static int parse_arguments(int argc, char **argv)
{
	enum { OPT_BUS = 256, OPT_ADMISSION, OPT_CLEAR, OPT_CONFIG, OPT_POLICY, OPT_STATE, OPT_RUNTIME, OPT_BPFFS,
	       OPT_DEBUG, OPT_HELP, OPT_VERSION, OPT_SCRIPT };
	static const struct option options[] = {
		{ "bus", required_argument, NULL, OPT_BUS },
		{ "bus-address", required_argument, NULL, OPT_BUS },
		{ "admission", required_argument, NULL, OPT_ADMISSION },
		{ "clear", no_argument, NULL, OPT_CLEAR },
		{ "config", required_argument, NULL, OPT_CONFIG },
		{ "policy-dirs", required_argument, NULL, OPT_POLICY },
		{ "state-dir", required_argument, NULL, OPT_STATE },
		{ "runtime-dir", required_argument, NULL, OPT_RUNTIME },
		{ "bpffs", required_argument, NULL, OPT_BPFFS },
		{ "debug", no_argument, NULL, OPT_DEBUG },
		{ "help", no_argument, NULL, OPT_HELP },
		{ "version", no_argument, NULL, OPT_VERSION },
		{ "fake-kernel", required_argument, NULL, OPT_SCRIPT },
		{ 0 }
	};
	const char *env = getenv(MERLON_ENV_BUS);
	int c;

	if (env && *env)
		arg_bus = env;
	while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0) {
		switch (c) {
		case OPT_BUS:
			arg_bus = optarg;
			break;
		case OPT_ADMISSION:
			arg_options.admission = merlon_admission_from_name(optarg);
			if (arg_options.admission < 0) {
				fprintf(stderr, "merlond: --admission=%s: expected off, open or "
					"closed\n", optarg);
				return -EINVAL;
			}
			break;
		case OPT_CLEAR:
			arg_clear = true;
			break;
		case OPT_CONFIG:
			arg_options.config = optarg;
			break;
		case OPT_POLICY:
			if (parse_policy_dirs(optarg) < 0)
				return -EINVAL;
			break;
		case OPT_STATE:
			arg_options.state_dir = optarg;
			break;
		case OPT_RUNTIME:
			arg_options.runtime_dir = optarg;
			break;
		case OPT_BPFFS:
			arg_options.bpffs_dir = optarg;
			break;
		case OPT_DEBUG:
			arg_debug = true;
			break;
		case 'h':
		case OPT_HELP:
			help(stdout);
			return 0;
		case OPT_VERSION:
			puts("merlond " MERLON_VERSION);
			return 0;
		case OPT_SCRIPT:
			if (kernel_backend.script_option) {
				arg_options.script = optarg;
				break;
			}
			fprintf(stderr, "merlond: --fake-kernel is for the test build only\n");
			return -EINVAL;
		default:
			return -EINVAL;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "merlond: %s: expected options only\n", argv[optind]);
		return -EINVAL;
	}
	return 1;
}

static int connect_bus(sd_bus **ret)
{
	_cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
	int r;

	if (streq(arg_bus, "system")) {
		r = sd_bus_open_system(&bus);
	} else if (streq(arg_bus, "session")) {
		r = sd_bus_open_user(&bus);
	} else {
		r = sd_bus_new(&bus);
		if (r >= 0)
			r = sd_bus_set_address(bus, arg_bus);
		if (r >= 0)
			r = sd_bus_set_bus_client(bus, 1);
		if (r >= 0)
			r = sd_bus_start(bus);
	}
	if (r < 0)
		return log_error_errno(r, "The bus (%s) cannot be reached: %m", arg_bus);
	*ret = TAKE_PTR(bus);
	return 0;
}

static int on_hangup(sd_event_source *source, const struct signalfd_siginfo *info, void *userdata)
{
	struct timespec now = { 0 };

	(void)source;
	(void)info;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu",
			 (unsigned long long)now.tv_sec * 1000000ULL +
			 (unsigned long long)now.tv_nsec / 1000);
	log_info("Reloading.");
	manager_reload(userdata);
	(void)sd_notify(0, "READY=1");
	return 0;
}

static int setup_loop(struct manager *m)
{
	sigset_t mask;
	int r;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
		return -errno;
	r = sd_event_add_signal(m->event, NULL, SIGTERM, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGINT, NULL, NULL);
	if (r >= 0)
		r = sd_event_add_signal(m->event, NULL, SIGHUP, on_hangup, m);
	/* WatchdogSec= of the unit; the loop pings only while it turns. */
	if (r >= 0)
		r = sd_event_set_watchdog(m->event, 1);
	if (r >= 0)
		r = sd_bus_attach_event(m->bus, m->event, SD_EVENT_PRIORITY_NORMAL);
	if (r >= 0)
		r = sd_bus_set_exit_on_disconnect(m->bus, 1);
	return r;
}

DEFINE_CLEANUP(struct scrape *, scrape_free)

static int serve(struct manager *m)
{
	_cleanup_(scrape_freep) struct scrape *scrape = NULL;
	int r;

	r = connect_bus(&m->bus);
	if (r < 0)
		return r;
	r = setup_loop(m);
	if (r >= 0)
		r = manager_bus_publish(m);
	if (r < 0)
		return log_error_errno(r, "The event loop cannot be set up: %m");
	r = manager_start(m);
	if (r >= 0)
		r = scrape_new(m, &scrape);
	if (r < 0)
		return r;
	/* Last: whoever is started by this name's activation finds everything there. */
	r = sd_bus_request_name(m->bus, MERLON_BUS_NAME, 0);
	if (r < 0)
		return log_error_errno(r, "The name " MERLON_BUS_NAME " cannot be had on the bus "
				       "(it needs root and its bus policy): %m");
	log_info("merlond " MERLON_VERSION " is ready (kernel: %s).",
		 m->kernel ? kernel_backend.name : "no support");
	(void)sd_notify(0, "READY=1");
	r = sd_event_loop(m->event);
	(void)sd_notify(0, "STOPPING=1");
	if (r < 0)
		return log_error_errno(r, "The event loop failed: %m");
	if (r > 0) {
		/* A failure, so that systemd starts us again. */
		log_error("The bus is gone.");
		return -ECONNRESET;
	}
	return 0;
}

int main(int argc, char **argv)
{
	_cleanup_(sd_event_unrefp) sd_event *event = NULL;
	struct manager *m = NULL;
	size_t vms, rules;
	int r;

	r = parse_arguments(argc, argv);
	if (r <= 0)
		return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
	log_open(arg_debug);
	r = sd_event_default(&event);
	if (r < 0) {
		log_error_errno(r, "No event loop: %m");
		return EXIT_FAILURE;
	}
	r = manager_new(&arg_options, event, &m);
	if (r < 0)
		return EXIT_FAILURE;
	r = arg_clear ? manager_clear(m) : serve(m);
	vms = m->vms.n;
	rules = manager_count_rules(m);
	manager_free(m);
	if (!arg_clear && rules)
		log_info("merlond ends; %zu rules of %zu VMs stay in force ('merlond --clear' "
			 "drops them).", rules, vms);
	else if (!arg_clear)
		log_info("merlond ends; no rules are in force.");
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
