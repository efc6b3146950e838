/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For programs that must be refused: what the verifier is to say about them.  The
 * loader reads the section; libbpf passes it over.
 */
#ifndef MERLON_FAIL_BPF_H
#define MERLON_FAIL_BPF_H

#include "kvm_vmi_bpf.h"

#define EXPECT_LOG(text) \
	const char expected_text[] SEC("expected_log") __attribute__((used)) = (text)

char LICENSE[] SEC("license") = "GPL";

#endif
