#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A CPU without linear address masking takes none of its bits: bare/lam.c.
exec "$(dirname "$0")/bare/run" intel lam --without lam
