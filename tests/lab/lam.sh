#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has the lab's Intel CPU linear address masking as the architecture describes it?
# A test of the lab: bare/lam.c.
exec "$(dirname "$0")/bare/run" intel lam
