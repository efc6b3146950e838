# SPDX-License-Identifier: GPL-2.0-or-later
# merlond; the same with a played kernel for tests (merlond-fake, and once more
# with ASan and UBSan: asan/merlond-fake); and two libraries: libmerlon-common.a,
# which the command line links too, and libmerlond.a, all of the daemon but
# main.c and the two kernels.

DAEMON_CFLAGS = $(CFLAGS_ALL) -DMERLON_VERSION='"$(VERSION)"' -Idaemon -Ikernel/src/include/uapi \
		-MMD -MP
DAEMON_HARDENING := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
DAEMON_ASAN := -O1 -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
DAEMON_LIBS := -lsystemd -ljson-c

COMMON_SRC := $(wildcard daemon/util/*.c daemon/api/*.c)
DAEMON_SRC := $(filter-out daemon/main.c daemon/kernel-%.c,$(wildcard daemon/*.c))

MERLON_COMMON_LIB := $(BUILD)/libmerlon-common.a
DAEMON_LIB := $(BUILD)/libmerlond.a

all:: $(BUILD)/merlond
daemon: $(BUILD)/merlond
.PHONY: daemon

$(BUILD)/daemon/%.o: daemon/%.c
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(DAEMON_CFLAGS) $(DAEMON_HARDENING) -c -o $@ $<

$(BUILD)/asan/daemon/%.o: daemon/%.c
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(DAEMON_CFLAGS) $(DAEMON_ASAN) -c -o $@ $<

# The only file that includes skeletons
$(BUILD)/daemon/kernel-bpf.o: DAEMON_CFLAGS += $(LIBBPF_CFLAGS) -I$(BUILD)/bpf
$(BUILD)/daemon/kernel-bpf.o: $(BPF_SKELETONS)

$(MERLON_COMMON_LIB): $(COMMON_SRC:%.c=$(BUILD)/%.o)
$(DAEMON_LIB): $(DAEMON_SRC:%.c=$(BUILD)/%.o)
$(BUILD)/asan/libmerlond.a: $(patsubst %.c,$(BUILD)/asan/%.o,$(DAEMON_SRC) $(COMMON_SRC))
$(MERLON_COMMON_LIB) $(DAEMON_LIB) $(BUILD)/asan/libmerlond.a:
	$(call quiet,AR,$@)
	$(Q)rm -f $@
	$(Q)$(AR) rcs $@ $^

$(BUILD)/merlond: $(BUILD)/daemon/main.o $(BUILD)/daemon/kernel-bpf.o $(DAEMON_LIB) \
		  $(MERLON_COMMON_LIB)
	$(call quiet,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -Wl,-z,relro,-z,now -o $@ $^ $(LIBBPF_LIBS) $(DAEMON_LIBS)

# The played kernel
KERNEL_FAKE := kernel-fake.o kernel-fake-command.o kernel-fake-isolation.o kernel-fake-model.o

$(BUILD)/merlond-fake: $(addprefix $(BUILD)/daemon/,main.o $(KERNEL_FAKE)) $(DAEMON_LIB) \
		       $(MERLON_COMMON_LIB)
	$(call quiet,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -pie -o $@ $^ $(DAEMON_LIBS)

$(BUILD)/asan/merlond-fake: $(addprefix $(BUILD)/asan/daemon/,main.o $(KERNEL_FAKE)) \
			    $(BUILD)/asan/libmerlond.a
	$(call quiet,LD,$@)
	$(Q)$(CC) $(LDFLAGS) $(DAEMON_ASAN) -o $@ $^ $(DAEMON_LIBS)

-include $(wildcard $(BUILD)/daemon/*.d $(BUILD)/daemon/*/*.d $(BUILD)/asan/daemon/*.d \
		    $(BUILD)/asan/daemon/*/*.d)
