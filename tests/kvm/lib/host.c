// SPDX-License-Identifier: GPL-2.0-or-later
/* Swap, KSM, huge pages and KVM's statistics, by way of sysfs, procfs, debugfs. */
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <time.h>
#include <unistd.h>

#include "host.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define SWAP_BYTES	(32UL << 20)
#define PAGEMAP_PRESENT	(1ULL << 63)

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static long read_number(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	return n > 0 ? strtol(text, NULL, 10) : -1;
}

/* What mkswap(8) writes: a first page with version, size and signature. */
static bool make_swap(const char *device)
{
	union {
		uint8_t bytes[PAGE_SIZE];
		struct {
			uint8_t boot[1024];
			uint32_t version, last_page, bad_pages;
		} head;
	} page = { };
	int fd = open(device, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	page.head.version = 1;
	page.head.last_page = SWAP_BYTES / PAGE_SIZE - 1;
	memcpy(page.bytes + PAGE_SIZE - 10, "SWAPSPACE2", 10);
	ok = write(fd, &page, PAGE_SIZE) == PAGE_SIZE;
	return !close(fd) && ok;
}

void host_swap_on(void)
{
	char line[256];
	FILE *f = fopen("/proc/swaps", "re");
	bool have;

	have = f && fgets(line, sizeof(line), f) && fgets(line, sizeof(line), f);
	if (f)
		fclose(f);
	if (have)
		return;
	snprintf(line, sizeof(line), "%lu", SWAP_BYTES);
	if (!write_file("/sys/block/zram0/disksize", line))
		tap_skip("no zram to swap to: %s", strerror(errno));
	require(make_swap("/dev/zram0") && !swapon("/dev/zram0", 0), "swapon: %s",
		strerror(errno));
}

bool host_is_resident(void *p)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;
	ssize_t n;

	require(fd >= 0, "/proc/self/pagemap: %s", strerror(errno));
	n = pread(fd, &entry, 8, (uintptr_t)p / PAGE_SIZE * 8);
	close(fd);
	return n == 8 && entry & PAGEMAP_PRESENT;
}

bool host_swap_out(void *p, uint64_t size)
{
	int i;

	for (i = 0; i < 20; i++) {
		if (madvise(p, size, MADV_PAGEOUT))
			return false;
		if (!host_is_resident(p))
			return true;
	}
	return false;
}

void host_merge_always(bool on)
{
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", on ? "1" : "20");
	write_file("/sys/kernel/mm/ksm/run", on ? "1" : "0");
}

bool host_merge(void *p, unsigned int pages)
{
	const struct timespec t = { .tv_nsec = 20000000 };
	long before = read_number("/sys/kernel/mm/ksm/pages_sharing"), now = before;
	int i;

	if (before < 0 || madvise(p, pages * PAGE_SIZE, MADV_MERGEABLE))
		return false;
	write_file("/sys/kernel/mm/ksm/sleep_millisecs", "1");
	write_file("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	write_file("/sys/kernel/mm/ksm/run", "1");
	for (i = 0; i < 100 && now < before + (long)pages - 1; i++) {
		nanosleep(&t, NULL);
		now = read_number("/sys/kernel/mm/ksm/pages_sharing");
	}
	write_file("/sys/kernel/mm/ksm/run", "0");
	return now >= before + (long)pages - 1;
}

bool host_collapse(void *p)
{
	return !madvise(p, HUGE_SIZE, MADV_COLLAPSE);
}

bool host_nx_huge_pages(const char *value)
{
	return write_file("/sys/module/kvm/parameters/nx_huge_pages", value);
}

bool host_force_emulation(bool on)
{
	return write_file("/sys/module/kvm/parameters/force_emulation_prefix", on ? "1" : "0");
}

static bool is_on(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char c = 'N';

	if (fd < 0)
		return false;
	if (read(fd, &c, 1) != 1)
		c = 'N';
	close(fd);
	return c == 'Y' || c == '1';
}

bool host_has_tdp(void)
{
	unsigned int a, b, c, d;

	/* Both are there, built in. */
	__cpuid(0, a, b, c, d);
	return is_on(b == signature_INTEL_ebx ? "/sys/module/kvm_intel/parameters/ept" :
						"/sys/module/kvm_amd/parameters/npt");
}

bool host_scans_for_leaks(void)
{
	return !access("/sys/kernel/debug/kmemleak", F_OK);
}

long host_stat(struct vm *vm, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%d-%d/%s", getpid(), vm->fd, name);
	return read_number(path);
}

bool host_has_flag(const char *flag)
{
	char line[8192], word[64];
	bool found = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	require(f, "/proc/cpuinfo: %m");
	snprintf(word, sizeof(word), " %s ", flag);
	while (!found && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = ' ';
		found = !strncmp(line, "flags", 5) && strstr(line, word);
	}
	fclose(f);
	return found;
}
