/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of the lab's CPUs share, which run in the place of the kernel:
 * start.S brings them to 64-bit mode, with the first GiB mapped one to one.
 */
#ifndef BARE_H
#define BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE	     4096UL
#define PAGE_ALIGNED __attribute__((aligned(4096)))

/* start.S; the tables are the PML4, the PDPT and the PD */
extern const uint64_t gdt[];
extern uint64_t page_tables[3][512];
void main(void);

static unsigned int points, failures;

static inline void outb(uint16_t port, uint8_t value)
{
	asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static inline uint64_t rdmsr(uint32_t index)
{
	uint32_t lo, hi;

	asm volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index));
	return (uint64_t)hi << 32 | lo;
}

static inline void wrmsr(uint32_t index, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(index), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

/* One of the lab's serial lines: the report, and the console */
#define REPORT	0x2f8
#define CONSOLE 0x3f8

static inline void serial_init(uint16_t port)
{
	outb(port + 3, 0x80);
	outb(port, 1);
	outb(port + 1, 0);
	outb(port + 3, 3);
}

static inline void put(uint16_t port, const char *text)
{
	for (; *text; text++) {
		while (!(inb(port + 5) & 0x20))
			;
		outb(port, *text);
	}
}

static inline void put_hex(uint16_t port, uint64_t value)
{
	char digits[19] = "0x";
	int i;

	for (i = 0; i < 16; i++)
		digits[2 + i] = "0123456789abcdef"[value >> (60 - i * 4) & 15];
	put(port, digits);
}

static inline void put_number(uint16_t port, unsigned int value)
{
	char digits[12];
	char *p = digits + sizeof(digits) - 1;

	*p = 0;
	do {
		*--p = '0' + value % 10;
		value /= 10;
	} while (value);
	put(port, p);
}

static inline void put_pair(const char *what, uint64_t value)
{
	put(REPORT, what);
	put_hex(REPORT, value);
}

/* One line of TAP */
static inline bool report(bool ok, const char *name)
{
	put(REPORT, ok ? "ok " : "not ok ");
	put_number(REPORT, ++points);
	put(REPORT, " - ");
	put(REPORT, name);
	put(REPORT, "\n");
	failures += !ok;
	return ok;
}

static inline void begin(const char *test)
{
	serial_init(REPORT);
	serial_init(CONSOLE);
	put(REPORT, "@lab begin ");
	put(REPORT, test);
	put(REPORT, "\nTAP version 13\n");
}

/* The plan, then switch off */
static inline void end(const char *test)
{
	static const char word[] = "Shutdown";
	unsigned int i;

	put(REPORT, "1..");
	put_number(REPORT, points);
	put(REPORT, "\n@lab end ");
	put(REPORT, test);
	put(REPORT, failures ? " 1\n" : " 0\n");
	put(CONSOLE, "lab: done\n");
	while (!(inb(REPORT + 5) & 0x40) || !(inb(CONSOLE + 5) & 0x40))
		;
	for (i = 0; word[i]; i++)
		outb(0x8900, word[i]);
}

#endif
