/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries to the journal without waiting for it: sd_journal_sendv(3) does, when journald is
 * stuck and its queue is full, and with it all of merlond would.
 */
#ifndef MERLON_JOURNAL_SOCKET_H
#define MERLON_JOURNAL_SOCKET_H

#include <sys/uio.h>

/**
 * journal_socket_send() - an entry
 * @iov: fields, "NAME=value", any bytes in the value
 * @n: how many
 *
 * As journald's native protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL) has it, in one
 * datagram: a field is its name, "=" and value, and a newline, or where the value has
 * newlines, its name, a newline, its length in 8 bytes, little endian, value and a newline.
 *
 * Return: 0; -EAGAIN if there is no room for it now; -EMSGSIZE if it is more than a datagram
 * holds; -EINVAL for a field without a name; another negative errno.
 */
int journal_socket_send(const struct iovec *iov, int n);

#endif
