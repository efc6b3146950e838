#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has the lab's Intel CPU sub-page write permissions as the architecture
# describes them? A test of the lab: bare/spp.c.
exec "$(dirname "$0")/bare/run" intel spp
