# SPDX-License-Identifier: GPL-2.0-or-later
# Fuzzers: tests/fuzz/fuzz-X.c becomes .build/fuzz/fuzz-X, with libFuzzer, ASan and UBSan
# in it and in all of the daemon.  The level unit runs each over its corpus and a bounded
# number of inputs made from that; `make fuzz` goes on for longer.

FUZZ_CLANG ?= $(firstword $(shell command -v clang-19 clang))
FUZZ_SECONDS ?= 60
FUZZ_CFLAGS = $(CFLAGS_ALL) -O1 -Idaemon -Ikernel/src/include/uapi -Itests/fuzz \
	      -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FUZZ_LIB_SRC := $(DAEMON_SRC) $(COMMON_SRC) $(KERNEL_FAKE:%.o=daemon/%.c)
FUZZ_LIB_OBJ := $(FUZZ_LIB_SRC:%.c=$(BUILD)/fuzz/%.o)
FUZZ_LIB := $(BUILD)/fuzz/libmerlond.a
FUZZERS := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard tests/fuzz/fuzz-*.c))

CHECK_unit += tests/fuzz/run.sh

tests/fuzz/run.sh: $(FUZZERS)

$(BUILD)/fuzz/%.o: %.c
	$(call quiet,FUZZCC,$@)
	@mkdir -p $(@D)
	$(Q)$(FUZZ_CLANG) $(FUZZ_CFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(FUZZ_LIB): $(FUZZ_LIB_OBJ)
	$(call quiet,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(FUZZERS): $(BUILD)/fuzz/%: $(BUILD)/fuzz/tests/fuzz/%.o $(FUZZ_LIB)
	$(call quiet,LD,$@)
	$(Q)$(FUZZ_CLANG) -fsanitize=fuzzer,address,undefined -o $@ $< $(FUZZ_LIB) -ljson-c -lsystemd

# What they find beside the corpus is kept in .build/fuzz/found
fuzz: deps-quiet
	$(Q)$(MAKE) --no-print-directory $(FUZZERS)
	$(Q)tests/fuzz/run.sh --seconds $(FUZZ_SECONDS)

.PHONY: fuzz

-include $(FUZZ_LIB_OBJ:.o=.d) $(FUZZERS:$(BUILD)/fuzz/%=$(BUILD)/fuzz/tests/fuzz/%.d)
