# SPDX-License-Identifier: GPL-2.0-or-later
# Bus tests: tests/bus/test-X.c becomes .build/bus/test-X, a TAP producer that
# runs merlond-fake and merlon, both built with ASan and UBSan.

BUS_TESTS := $(patsubst tests/bus/%.c,$(BUILD)/bus/%,$(wildcard tests/bus/test-*.c))
BUS_HELPERS := $(addprefix $(BUILD)/bus/,harness.o caller.o fake-polkit.o reader.o)
BUS_RUNS := $(BUILD)/asan/merlond-fake $(BUILD)/asan/merlon

CHECK_bus += $(BUS_TESTS) tests/bus/manual.sh

tests/bus/manual.sh: $(BUILD)/merlon $(BUILD)/merlond-fake

$(BUILD)/asan/cli/%.o: cli/%.c
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) $(UNIT_SAN) -O1 -DMERLON_VERSION='"$(VERSION)"' -Idaemon -Icli \
		-MMD -MP -c -o $@ $<

$(BUILD)/asan/merlon: $(CLI_SRC:%.c=$(BUILD)/asan/%.o) $(BUILD)/asan/libmerlond.a
	$(call quiet,LD,$@)
	$(Q)$(CC) $(UNIT_SAN) -o $@ $^ -ljson-c -lsystemd

$(BUILD)/bus/%.o: tests/bus/%.c
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -Idaemon -Itests/bus -MMD -MP -c -o $@ $<

$(BUS_TESTS): $(BUILD)/bus/%: $(BUILD)/bus/%.o $(BUS_HELPERS) $(MERLON_COMMON_LIB) \
	      | $(BUS_RUNS)
	$(call quiet,LD,$@)
	$(Q)$(CC) -o $@ $(filter %.o %.a,$^) -ljson-c -lsystemd

-include $(wildcard $(BUILD)/bus/*.d $(BUILD)/asan/cli/*.d)
