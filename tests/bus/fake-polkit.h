/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A polkit for tests: has its name on the test's bus, says what it is told to,
 * and remembers what it was asked.  A process of its own.
 */
#ifndef MERLON_FAKE_POLKIT_H
#define MERLON_FAKE_POLKIT_H

/* Starts it, saying "no" until told otherwise. */
void polkit_start(void);

/* Kills it, and returns when its name is gone. */
void polkit_stop(void);

/**
 * polkit_say() - its answer from now on, and to those that it has held back
 * @answer: "yes", "no", "challenge" (no, but a password would do), "never" (it holds
 *	them back), "error", "nonsense" (a reply that is none), or "web-1" (yes to what is
 *	about a VM of that trusted name, no to the rest)
 */
void polkit_say(const char *answer);

/**
 * polkit_told() - what it was asked since the last time
 *
 * Return: a static buffer, a line each: "check KIND NAME ACTION FLAGS CANCELLATION" and
 * " key=value" for each detail, or "cancel CANCELLATION".
 */
const char *polkit_told(void);

/* How many questions it holds back. */
unsigned int polkit_held(void);

#endif
