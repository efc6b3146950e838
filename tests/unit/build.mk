# SPDX-License-Identifier: GPL-2.0-or-later
# Unit tests: each tests/unit/test-X.c becomes .build/unit/test-X, a TAP producer.
# Everything in it, the code under test included, is compiled a second time with
# ASan and UBSan.

UNIT_SAN := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
UNIT_CFLAGS = $(CFLAGS_ALL) -O1 -Idaemon -Icli -Ikernel/src/include/uapi -Itests/unit $(UNIT_SAN)

# What needs a kernel, or is a main(), is for the levels bus and bpf.
UNIT_LIB_SRC := $(filter-out daemon/main.c daemon/kernel-%.c, \
	$(wildcard daemon/*.c)) $(wildcard daemon/util/*.c) $(wildcard daemon/api/*.c) \
	cli/format.c cli/terminal.c
UNIT_LIB_OBJ := $(UNIT_LIB_SRC:%.c=$(BUILD)/unit/%.o)
UNIT_LIB := $(BUILD)/unit/libmerlond.a
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test-*.c))

CHECK_unit += $(UNIT_TESTS)

$(BUILD)/unit/%.o: %.c
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(UNIT_CFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_LIB): $(UNIT_LIB_OBJ)
	$(call quiet,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(UNIT_TESTS): $(BUILD)/unit/%: $(BUILD)/unit/tests/unit/%.o $(UNIT_LIB)
	$(call quiet,LD,$@)
	$(Q)$(CC) $(UNIT_SAN) -o $@ $< $(UNIT_LIB) -lcmocka -ljson-c -lsystemd

-include $(UNIT_LIB_OBJ:.o=.d) $(UNIT_TESTS:$(BUILD)/unit/%=$(BUILD)/unit/tests/unit/%.d)
