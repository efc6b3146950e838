#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Has the lab's AMD CPU the Guest Mode Execute Trap as the architecture
# describes it? A test of the lab: bare/gmet.c.
exec "$(dirname "$0")/bare/run" amd gmet
