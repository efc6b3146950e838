# SPDX-License-Identifier: GPL-2.0-or-later
# One makefile for all parts: this file has what they share, and each part's
# build.mk adds to it:
#   all::           what plain `make` builds
#   install::       what `make install` puts under $(DESTDIR)
#   lint::          what `make lint` checks
#   CHECK_<level> += PROGRAM         a test (it reports TAP); levels: unit, bus
#                                    (run here), bpf, kvm, guest (run in the lab)
#   LAB_<program's name> := OPTIONS  what tests/lab/run needs for that test
#   BENCH += PROGRAM                 a benchmark (in the lab)

MAKEFLAGS += --no-builtin-rules
.DELETE_ON_ERROR:
.SUFFIXES:

BUILD := .build
PREFIX ?= /usr
DESTDIR ?=
VERSION ?= 0.1

LEVELS := unit bus bpf kvm guest
KERNEL ?= lab
# The checking kernels are for the levels that boot one
LEVEL ?= $(if $(filter debug lockdep,$(KERNEL)),bpf kvm guest,$(LEVELS))
CPU ?= intel
ENGINE ?= sw
STORY ?= subpage

CC := gcc
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
# What is to be tested is built without a warning
WERROR ?= $(filter true 1,$(CI))$(filter check%,$(MAKECMDGOALS))
CFLAGS ?= -O2 -g
CFLAGS_ALL = -std=gnu17 -D_GNU_SOURCE $(WARNINGS) $(if $(WERROR),-Werror) $(CFLAGS)

# make V=1 shows the commands
Q := $(if $(V),,@)
quiet = $(if $(V),,@printf '  %-7s %s\n' '$(1)' '$(2)';)

.DEFAULT_GOAL := all
all::
.PHONY: all

-include kernel/build.mk bpf/build.mk daemon/build.mk cli/build.mk systemd/build.mk
-include $(sort $(wildcard tests/*/build.mk))
include tests/build.mk

install::
	@:

lint::
	@:

clean:
	rm -rf $(BUILD)

# Everything ever fetched and built, for all checkouts of this user
clean-cache:
	rm -rf $${MERLON_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/merlon}

deps:
	$(Q)tests/lab/deps.sh

format:
	$(Q)git ls-files '*.c' '*.h' | grep -v '^kernel/src/' | xargs clang-format-19 -i

help:
	@echo 'make                 build the daemon, the command line and the BPF objects'
	@echo 'make demo            see it work: [CPU=intel|amd] [ENGINE=sw|hw] [STORY=subpage|execute]'
	@echo 'make check           all tests; [LEVEL=unit|bus|bpf|kvm|guest] [KERNEL=lab|lockdep|debug]'
	@echo '                     [APPEND=PARAMETERS] for all hosts, such as kvm.isolation=1'
	@echo 'make fuzz            the fuzzers for longer: [FUZZ_SECONDS=60] each'
	@echo 'make bench           the table of costs, also in $(BUILD)/bench.json'
	@echo 'make bench-native    what merlond costs on this machine; a day of work, compressed: [SOAK=100]'
	@echo 'make kernel          build the kernel of the lab; kernel-CONFIG another config of it,'
	@echo '                     kernel-modules the check that KVM works as modules'
	@echo 'make lab             a shell inside the patched host: [CPU=intel|amd] [KERNEL=CONFIG]'
	@echo 'make install         [DESTDIR=] [PREFIX=$(PREFIX)]'
	@echo 'make lint            scripts, dependencies between parts, kernel style'
	@echo 'make format          clang-format everything outside kernel/src'
	@echo 'make deps            install what building and testing need (as root)'
	@echo 'make clean           remove $(BUILD); clean-cache also what is kept between builds'
	@echo
	@echo 'V=1 shows the commands. MERLON_CACHE=DIR is where downloads and builds are kept;'
	@echo 'KERNEL_TARBALL=FILE and BOCHS_TARBALL=FILE are used instead of downloads.'

.PHONY: install lint clean clean-cache deps format help
