# SPDX-License-Identifier: GPL-2.0-only
# BPF objects and their skeletons.  Needs clang, and libbpf's headers and bpftool
# (kernel/bpftools.sh finds or makes them); no kernel tree.

BPF_CLANG ?= $(firstword $(shell command -v clang-19 clang))
BPF_CFLAGS = -std=gnu17 -g -O2 -Wall -Wextra -Wno-unused-parameter -Wshadow \
	     $(if $(WERROR),-Werror) -target bpf -mcpu=v3 $(LIBBPF_CFLAGS) -Ibpf

BPF_SRC := $(wildcard bpf/*.bpf.c)
BPF_OBJECTS := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/%.bpf.o)
BPF_SKELETONS := $(BPF_SRC:bpf/%.bpf.c=$(BUILD)/bpf/%.skel.h)

all:: $(BPF_OBJECTS)
bpf: $(BPF_OBJECTS)
.PHONY: bpf

$(BPF_OBJECTS): $(BUILD)/%.bpf.o: bpf/%.bpf.c $(wildcard bpf/*.h) $(BUILD)/bpftools.mk
	$(call quiet,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) $(BPF_CFLAGS) -c -o $@.tmp $<
	$(Q)$(BPFTOOL) gen object $@ $@.tmp
	@rm -f $@.tmp

$(BPF_SKELETONS): $(BUILD)/bpf/%.skel.h: $(BUILD)/%.bpf.o
	$(call quiet,SKEL,$@)
	@mkdir -p $(@D)
	$(Q)$(BPFTOOL) gen skeleton $< name $*_bpf >$@
