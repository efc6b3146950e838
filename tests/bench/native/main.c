// SPDX-License-Identifier: GPL-2.0-or-later
/* native_bench [events | calls | soak [ROUNDS]]: figures, and whether accounts are right. */
#include <inttypes.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "native.h"

/* Figures of a machine are only worth something with its name. */
static void print_machine(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/cpuinfo", "re");
	_cleanup_free_ char *line = NULL;
	struct utsname u;
	size_t size = 0;

	while (f && getline(&line, &size, f) > 0)
		if (startswith(line, "model name")) {
			note("%.*s", (int)strcspn(line, "\n"), line);
			break;
		}
	if (uname(&u) == 0)
		note("%ld CPUs, Linux %s", sysconf(_SC_NPROCESSORS_ONLN), u.release);
}

void native_figure(const char *name, double value, const char *unit, const char *aim)
{
	printf("# bench %s %.0f %s%s%s\n", name, value, unit, aim ? " " : "", aim ?: "");
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : NULL;
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 100;

	harness_init(argc, argv);
	/* Whoever runs benchmarks decides how long they may take. */
	alarm(0);
	print_machine();
	native_start();
	if (!what || streq(what, "events"))
		native_events();
	if (!what || streq(what, "calls"))
		native_calls();
	if (!what || streq(what, "soak"))
		native_soak(rounds);
	return harness_end();
}
