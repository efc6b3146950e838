// SPDX-License-Identifier: GPL-2.0-or-later
/* See harness.h. */
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "harness.h"

#define CHILDREN_MAX 256
#define ARGS_MAX 64
#define VMM_ENV "MERLON_TEST_VMM"

static char dir[64], address[128];
static pid_t bus_pid, daemon_pid;
static int listener = -EBADF;		/* for merlond, as systemd would pass it */
static bool pass_listener;
static pid_t children[CHILDREN_MAX];
static size_t n_children;
static unsigned int points, failed;
static const char *program = ".build/asan/merlond-fake";
static char self[4096], source[4096], merlon[128];

static void die(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void clean_up(void)
{
	/* Only the first process made all of this. */
	static pid_t owner;

	if (!owner) {
		owner = getpid();
		return;
	}
	if (owner != getpid())
		return;
	for (size_t i = 0; i < n_children; i++)
		kill(children[i], SIGKILL);
	for (size_t i = 0; i < n_children; i++)
		waitpid(children[i], NULL, 0);
	if (*dir && !getenv("MERLON_TEST_KEEP"))
		nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_alarm(int signal)
{
	static const char text[] = "Bail out! the test hangs\n";

	(void)signal;
	(void)!write(STDOUT_FILENO, text, sizeof(text) - 1);
	clean_up();
	_exit(1);
}

/* As QEMU would look: its command line is all that merlond reads of it. */
static void be_a_vmm(void)
{
	uid_t uid = (uid_t)strtoul(getenv(VMM_ENV), NULL, 10);

	if (setgroups(0, NULL) < 0 || setresuid(uid, uid, uid) < 0)
		_exit(1);
	/* Afterwards: a change of uid clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)!write(STDOUT_FILENO, "\n", 1);
	close(STDOUT_FILENO);
	for (;;)
		pause();
}

/* A stranger may not be able to enter the folder that this was built in. */
static void copy_merlon(void)
{
	_cleanup_close_ int in = open(".build/asan/merlon", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = -EBADF;
	struct stat st;

	snprintf(merlon, sizeof(merlon), "%s/merlon", dir);
	out = open(merlon, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	if (in < 0 || out < 0 || fstat(in, &st) < 0 || fchmod(out, 0755) < 0)
		die("cannot copy merlon");
	for (off_t left = st.st_size; left > 0;) {
		ssize_t n = sendfile(out, in, NULL, (size_t)left);

		if (n <= 0)
			die("cannot copy merlon");
		left -= n;
	}
}

void harness_init(int argc, char **argv)
{
	ssize_t n;

	(void)argc;
	(void)argv;
	if (getenv(VMM_ENV))
		be_a_vmm();
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (geteuid() != 0) {
		puts("Bail out! the level bus needs root: it acts as root and as a stranger");
		exit(1);
	}
	n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n < 0 || !getcwd(source, sizeof(source)))
		die("cannot find myself");
	if (access("daemon/api/org.merlon1.xml", R_OK) < 0)
		die("tests run in the project's top folder");
	signal(SIGALRM, on_alarm);
	signal(SIGPIPE, SIG_IGN);
	alarm(240);
	clean_up();
	atexit(clean_up);
	unsetenv(MERLON_ENV_BUS);
	unsetenv("NOTIFY_SOCKET");
	strcpy(dir, "/tmp/merlon-bus-XXXXXX");
	if (!mkdtemp(dir) || chmod(dir, 0755) < 0)
		die("cannot make a folder");
	snprintf(address, sizeof(address), "unix:path=%s/bus", dir);
	copy_merlon();
}

const char *harness_dir(void)
{
	return dir;
}

const char *harness_address(void)
{
	return address;
}

/* Remembers a child, so that it dies with us. */
static pid_t add_child(pid_t pid)
{
	if (n_children == CHILDREN_MAX) {
		errno = E2BIG;
		die("too many processes");
	}
	children[n_children++] = pid;
	return pid;
}

static void forget_child(pid_t pid)
{
	for (size_t i = 0; i < n_children; i++)
		if (children[i] == pid) {
			children[i] = children[--n_children];
			return;
		}
}

/*
 * Forks; the child gets @in, @out, @err (-1: /dev/null, but stderr stays), its uid,
 * and dies with us.
 */
static pid_t spawn(char *const argv[], uid_t uid, int in, int out, int err)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (pid)
		return add_child(pid);

	signal(SIGPIPE, SIG_DFL);
	if (in < 0)
		in = open("/dev/null", O_RDONLY);
	if (out < 0)
		out = open("/dev/null", O_WRONLY);
	dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	if (err >= 0)
		dup2(err, STDERR_FILENO);
	if (pass_listener) {
		char self_pid[16];

		snprintf(self_pid, sizeof(self_pid), "%d", (int)getpid());
		setenv("LISTEN_PID", self_pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		setenv("LISTEN_FDNAMES", "metrics", 1);
		if (listener != 3)
			dup2(listener, 3);
		else
			fcntl(3, F_SETFD, 0);
		closefrom(4);
	} else {
		closefrom(3);
	}
	if (uid && (setgroups(0, NULL) < 0 || setresgid(STRANGER, STRANGER, STRANGER) < 0 ||
		    setresuid(uid, uid, uid) < 0))
		_exit(99);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], argv);
	fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
	_exit(99);
}

/* A file of @template with @DIR@ and @SOURCE@ filled in. */
static void write_config(const char *path)
{
	_cleanup_fclose_ FILE *in = fopen("tests/bus/bus.conf.in", "re");
	_cleanup_fclose_ FILE *out = fopen(path, "we");
	char line[1024];

	if (!in || !out)
		die("cannot write the configuration of the bus");
	while (fgets(line, sizeof(line), in)) {
		for (char *p = line; *p;) {
			if (startswith(p, "@DIR@")) {
				fputs(dir, out);
				p += strlen("@DIR@");
			} else if (startswith(p, "@SOURCE@")) {
				fputs(source, out);
				p += strlen("@SOURCE@");
			} else {
				fputc(*p++, out);
			}
		}
	}
}

void harness_start_bus(void)
{
	char config[128], config_arg[160], line[256];
	int fds[2];

	snprintf(config, sizeof(config), "%s/bus.conf", dir);
	snprintf(config_arg, sizeof(config_arg), "--config-file=%s", config);
	write_config(config);
	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	bus_pid = spawn((char *[]){ "dbus-daemon", config_arg, "--nofork", "--nopidfile",
				    "--print-address=1", NULL },
			0, -1, fds[1], -1);
	close(fds[1]);
	if (!read_line(fds[0], line, sizeof(line), 20))
		die("dbus-daemon did not start");
	close(fds[0]);
	setenv("DBUS_SYSTEM_BUS_ADDRESS", address, 1);
}

sd_bus *connect_bus(void)
{
	sd_bus *bus;

	if (sd_bus_new(&bus) < 0 || sd_bus_set_address(bus, address) < 0 ||
	    sd_bus_set_bus_client(bus, 1) < 0 || sd_bus_start(bus) < 0)
		die("cannot connect to the bus");
	return bus;
}

static bool has_owner(void *userdata)
{
	return sd_bus_get_name_creds(userdata, MERLON_BUS_NAME, 0, NULL) >= 0;
}

void harness_listen(int fd)
{
	listener = fd;
}

void harness_program(const char *path)
{
	program = path;
}

pid_t harness_daemon(void)
{
	return daemon_pid;
}

void harness_start_daemon(void)
{
	char runtime[128], script[128], log[128], config[128], policies[256], state[128];
	_cleanup_bus_ sd_bus *bus = connect_bus();
	_cleanup_close_ int err = -EBADF;

	snprintf(log, sizeof(log), "%s/merlond.log", dir);
	snprintf(runtime, sizeof(runtime), "--runtime-dir=%s/run", dir);
	snprintf(script, sizeof(script), "--fake-kernel=%s/script", dir);
	snprintf(config, sizeof(config), "--config=%s/merlond.json", dir);
	snprintf(policies, sizeof(policies), "--policy-dirs=%s/etc:%s/run/policy.d:%s/lib", dir, dir,
		 dir);
	snprintf(state, sizeof(state), "--state-dir=%s/state", dir);
	err = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (err < 0)
		die("cannot write a log");
	pass_listener = listener >= 0;
	daemon_pid = spawn((char *[]){ (char *)program, "--bus=system", runtime, script,
				       config, policies, state, NULL },
			   0, -1, -1, err);
	pass_listener = false;
	if (!eventually(has_owner, bus)) {
		_cleanup_free_ char *text = harness_log();

		note("%s", text ?: "");
		die("merlond did not come up");
	}
}

void harness_start(const char *script)
{
	char path[128];
	FILE *f;

	if (!bus_pid)
		harness_start_bus();
	snprintf(path, sizeof(path), "%s/run", dir);
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		die("cannot make a folder");
	snprintf(path, sizeof(path), "%s/script", dir);
	f = fopen(path, "we");
	if (!f || fputs(script, f) < 0 || fclose(f) != 0)
		die("cannot write the script");
	harness_start_daemon();
}

void harness_signal(int signal)
{
	kill(daemon_pid, signal);
}

int harness_kill(int signal)
{
	int status;

	kill(daemon_pid, signal);
	status = wait_exit(daemon_pid, 20);
	daemon_pid = 0;
	return status;
}

char *harness_log(void)
{
	char path[128], *text = NULL;
	size_t size;
	FILE *f, *m;
	int c;

	snprintf(path, sizeof(path), "%s/merlond.log", dir);
	f = fopen(path, "re");
	m = open_memstream(&text, &size);
	while (f && m && (c = fgetc(f)) != EOF)
		fputc(c, m);
	if (f)
		fclose(f);
	if (m)
		fclose(m);
	return text;
}

unsigned int harness_logged(const char *text)
{
	_cleanup_free_ char *log = harness_log();
	unsigned int n = 0;

	for (const char *p = log; p && (p = strstr(p, text)); p++)
		n++;
	return n;
}

pid_t vmm_start(uid_t uid, const char *name, const char *uuid)
{
	char number[16], byte;
	char *argv[8] = { "qemu-system-x86_64" };
	int n = 1, fds[2];
	pid_t pid;

	if (name) {
		argv[n++] = "-name";
		argv[n++] = (char *)name;
	}
	if (uuid) {
		argv[n++] = "-uuid";
		argv[n++] = (char *)uuid;
	}
	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		snprintf(number, sizeof(number), "%u", uid);
		setenv(VMM_ENV, number, 1);
		dup2(fds[1], STDOUT_FILENO);
		closefrom(3);
		execv(self, argv);
		_exit(99);
	}
	add_child(pid);
	close(fds[1]);
	/* It is what it will be: merlond may look at its command line. */
	if (read(fds[0], &byte, 1) != 1)
		die("a VMM did not start");
	close(fds[0]);
	return pid;
}

static bool vm_is_listed(void *userdata)
{
	_cleanup_message_ sd_bus_message *reply = NULL;
	_cleanup_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
	_cleanup_bus_ sd_bus *bus = connect_bus();
	char what[32];

	snprintf(what, sizeof(what), "#%" PRIu64, *(uint64_t *)userdata);
	return sd_bus_call_method(bus, MERLON_BUS_NAME, MERLON_PATH, MERLON_IFACE_MANAGER,
				  "DescribeVm", &error, &reply, "s", what) >= 0;
}

uint64_t vm_add(uint64_t id, uid_t uid, const char *name, const char *uuid)
{
	pid_t pid = vmm_start(uid, name, uuid);
	const char *answer = fake("vm %" PRIu64 " %d uid=%u", id, (int)pid, uid);

	if (!startswith(answer, "ok") || !eventually(vm_is_listed, &id)) {
		note("%s", answer);
		die("no VM");
	}
	return id;
}

const char *fake(const char *format, ...)
{
	static char answer[65536];
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char line[1024];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line) - 1, format, ap);
	va_end(ap);
	line[n++] = '\n';
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/run/fake-kernel.sock", dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    write(fd, line, (size_t)n) != n)
		die("no played kernel");
	if (!read_line(fd, answer, sizeof(answer), 20))
		die("no answer of the played kernel");
	return answer;
}

bool read_line(int fd, char *line, size_t size, int seconds)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t n = 0;

	while (n < size - 1) {
		if (poll(&p, 1, seconds * 1000) <= 0 || read(fd, line + n, 1) != 1)
			return false;
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

int wait_exit(pid_t pid, int seconds)
{
	int status;

	for (int i = 0; i < seconds * 100; i++) {
		pid_t p = waitpid(pid, &status, WNOHANG);

		if (p == pid) {
			forget_child(pid);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
		}
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	return -1;
}

bool eventually(bool (*condition)(void *), void *userdata)
{
	for (int i = 0; i < 500; i++) {
		if (condition(userdata))
			return true;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
	}
	return false;
}

static void collect(const char *arg, va_list ap, char **argv)
{
	int n = 0;

	argv[n++] = merlon;
	for (; arg && n < ARGS_MAX; arg = va_arg(ap, const char *))
		argv[n++] = (char *)arg;
	argv[n] = NULL;
}

/* Both outputs at once: either may fill its pipe. */
static void read_both(int out, int err, struct run *r)
{
	struct pollfd p[2] = { { .fd = out, .events = POLLIN }, { .fd = err, .events = POLLIN } };
	char *buffer[2] = { r->out, r->err };
	size_t size[2] = { sizeof(r->out), sizeof(r->err) }, n[2] = { 0, 0 };

	while (p[0].fd >= 0 || p[1].fd >= 0) {
		if (poll(p, 2, 60000) <= 0)
			break;
		for (int i = 0; i < 2; i++) {
			char rest[4096];
			bool full = n[i] == size[i] - 1;
			ssize_t k;

			if (!p[i].revents)
				continue;
			k = full ? read(p[i].fd, rest, sizeof(rest)) :
				   read(p[i].fd, buffer[i] + n[i], size[i] - 1 - n[i]);
			if (k <= 0)
				p[i].fd = -1;
			else if (!full)
				n[i] += (size_t)k;
		}
	}
	r->out[n[0]] = '\0';
	r->err[n[1]] = '\0';
}

static void run(struct run *r, uid_t uid, const char *input, char **argv)
{
	_cleanup_close_ int in = input ? open(input, O_RDONLY | O_CLOEXEC) : -EBADF;
	int out[2], err[2];
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		die("pipe");
	pid = spawn(argv, uid, in, out[1], err[1]);
	close(out[1]);
	close(err[1]);
	read_both(out[0], err[0], r);
	close(out[0]);
	close(err[0]);
	r->exit = wait_exit(pid, 60);
	/* Exits 1, as ordinary failures do: make it no code at all. */
	if (strstr(r->err, "Sanitizer") || strstr(r->err, "runtime error"))
		r->exit = -2;
}

void run_merlon(struct run *r, const char *arg, ...)
{
	char *argv[ARGS_MAX + 1];
	va_list ap;

	va_start(ap, arg);
	collect(arg, ap, argv);
	va_end(ap);
	run(r, 0, NULL, argv);
}

void run_merlon_as(struct run *r, uid_t uid, const char *input, const char *arg, ...)
{
	char *argv[ARGS_MAX + 1];
	va_list ap;

	va_start(ap, arg);
	collect(arg, ap, argv);
	va_end(ap);
	run(r, uid, input, argv);
}

pid_t start_merlon(int *ret_out, const char *arg, ...)
{
	char *argv[ARGS_MAX + 1];
	int fds[2];
	va_list ap;
	pid_t pid;

	va_start(ap, arg);
	collect(arg, ap, argv);
	va_end(ap);
	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	pid = spawn(argv, 0, -1, fds[1], -1);
	close(fds[1]);
	*ret_out = fds[0];
	return pid;
}

void note(const char *format, ...)
{
	_cleanup_free_ char *text = NULL;
	char *line, *save = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	for (line = text ? strtok_r(text, "\n", &save) : NULL; line; line = strtok_r(NULL, "\n", &save))
		printf("# %s\n", line);
}

static bool point(bool condition, const char *what, va_list ap)
{
	printf("%sok %u - ", condition ? "" : "not ", ++points);
	vprintf(what, ap);
	putchar('\n');
	failed += !condition;
	return condition;
}

bool ok(bool condition, const char *what, ...)
{
	va_list ap;

	va_start(ap, what);
	point(condition, what, ap);
	va_end(ap);
	return condition;
}

bool ran(const struct run *r, int exit, const char *text, const char *what, ...)
{
	bool good = r->exit == exit && (strstr(r->out, text) || strstr(r->err, text));
	va_list ap;

	va_start(ap, what);
	point(good, what, ap);
	va_end(ap);
	if (!good)
		note("exit %d, expected %d and '%s'\nstdout: %.2000s\nstderr: %.2000s", r->exit, exit,
		     text, r->out, r->err);
	return good;
}

int harness_end(void)
{
	/* A sanitizer's report in the daemon's log is a failure of its own. */
	if (daemon_pid) {
		_cleanup_free_ char *log = NULL;
		int status = harness_kill(SIGTERM);

		log = harness_log();
		if (!ok(status == 0 && log && !strstr(log, "Sanitizer") &&
			!strstr(log, "runtime error"), "merlond ends cleanly"))
			note("exit %d\n%s", status, log ?: "");
	}
	printf("1..%u\n", points);
	return failed > 0;
}
