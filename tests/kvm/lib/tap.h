/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Test cases and their results in TAP (Test Anything Protocol).  Each case runs
 * in a process of its own under a time limit, so that one which hangs or dies
 * costs only itself.
 */
#ifndef KVM_TEST_TAP_H
#define KVM_TEST_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/**
 * struct test_case - one line of TAP
 * @name: without its suite's name
 * @run: returns when done; fails by the macros below
 * @arg: handed to @run, for cases that differ by a number only
 */
struct test_case {
	const char *name;
	void (*run)(uintptr_t arg);
	uintptr_t arg;
};

/**
 * struct test_suite - the cases of one file
 * @name: one word
 * @cases: ends with a case without a name
 * @setup: before the first case, in the parent; a reason to skip the whole suite, or NULL
 * @after: after each case, in the parent: undo what outlives a case that failed
 */
struct test_suite {
	const char *name;
	const struct test_case *cases;
	const char *(*setup)(void);
	void (*after)(void);
};

/** struct test_options - what the command line chose */
struct test_options {
	uint64_t seed;
	bool long_run;
	unsigned int case_seconds;
	unsigned int batch;		/* the only one to run, from 1; 0 = all */
};

extern struct test_options test_options;

/**
 * tap_run - run suites and print TAP
 * @suites: ends with NULL
 * @filters: "suite" or "suite.case"; all cases if @n_filters is 0
 * @n_filters: entries of @filters
 *
 * Returns 0 if no case failed, 1 otherwise.
 */
int tap_run(const struct test_suite *const *suites, char *const *filters, int n_filters);

/** tap_list - print the names of all cases, one a line */
void tap_list(const struct test_suite *const *suites);

/** tap_note - print a diagnostic line */
void tap_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For the macros below: record a failure; end the case; end it as skipped. */
void tap_fail(const char *file, int line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void tap_abort(void) __attribute__((noreturn));
void tap_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/** test_random - a number that repeats with the seed */
uint64_t test_random(void);

/* Say what is wrong and go on. */
#define expect(condition, format, ...)						\
	({									\
		bool holds_ = (condition);					\
										\
		if (!holds_)							\
			tap_fail(__FILE__, __LINE__, "%s: " format, #condition,	\
				 ##__VA_ARGS__);				\
		holds_;								\
	})

/* Say what is wrong and end the case: what follows would make no sense. */
#define require(condition, format, ...)						\
	do {									\
		if (!expect(condition, format, ##__VA_ARGS__))			\
			tap_abort();						\
	} while (0)

#define expect_eq(a, b)								\
	({									\
		unsigned long long a_ = (a), b_ = (b);				\
										\
		if (a_ != b_)							\
			tap_fail(__FILE__, __LINE__, "%s is %llu (0x%llx), not %llu (0x%llx)", \
				 #a, a_, a_, b_, b_);				\
		a_ == b_;							\
	})

#define require_eq(a, b)							\
	do {									\
		if (!expect_eq(a, b))						\
			tap_abort();						\
	} while (0)

#endif /* KVM_TEST_TAP_H */
