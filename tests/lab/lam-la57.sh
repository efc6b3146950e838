#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Linear address masking where the CPU has 5-level paging too: bare/lam.c.
exec "$(dirname "$0")/bare/run" intel lam --with la57
