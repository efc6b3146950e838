# SPDX-License-Identifier: GPL-2.0-or-later
# Level bpf: one program, which runs inside the lab with all our BPF objects and
# those of this folder beside it.

BPF_TEST_DIR := $(BUILD)/tests/bpf
BPF_TEST := $(BPF_TEST_DIR)/bpf_test
BPF_TEST_SRC := $(wildcard tests/bpf/*.bpf.c)
BPF_TEST_OBJECTS := $(BPF_TEST_SRC:tests/bpf/%.bpf.c=$(BPF_TEST_DIR)/objects/%.bpf.o) \
		    $(BPF_OBJECTS:$(BUILD)/%=$(BPF_TEST_DIR)/objects/%)

CHECK_bpf += $(BPF_TEST)
LAB_bpf_test := --file $(BPF_TEST_DIR)/objects:/lab/bpf

$(BPF_TEST_DIR)/objects/%.bpf.o: tests/bpf/%.bpf.c tests/bpf/fail.bpf.h $(wildcard bpf/*.h) \
				 $(BUILD)/bpftools.mk
	$(call quiet,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(BPF_CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BPF_TEST_DIR)/objects/%.bpf.o: $(BUILD)/%.bpf.o
	@mkdir -p $(@D)
	$(Q)cp $< $@

$(BPF_TEST): tests/bpf/bpf_test.c daemon/pins.c daemon/pins.h $(BPF_SKELETONS) $(BPF_TEST_OBJECTS) bpf/intf.h \
	     $(BUILD)/bpftools.mk
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -isystem kernel/src/include/uapi $(LIBBPF_CFLAGS) -I$(BUILD)/bpf \
		-Idaemon -o $@ $(filter %.c,$^) $(LIBBPF_LIBS)
