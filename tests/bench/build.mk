# SPDX-License-Identifier: GPL-2.0-or-later
# The benchmarks: one static program over the library and the guest of tests/kvm.

KVM_BENCH_DIR := $(BUILD)/tests/bench
KVM_BENCH := $(KVM_BENCH_DIR)/kvm_bench

KVM_BENCH_OBJECTS := $(patsubst tests/bench/%,$(KVM_BENCH_DIR)/%.o,\
		       $(filter-out %.bpf.c,$(wildcard tests/bench/*.c))) \
		     $(patsubst tests/kvm/%,$(BUILD)/tests/kvm/%.o,\
		       $(wildcard tests/kvm/lib/*.c tests/kvm/lib/*.S))
KVM_BENCH_HEADERS := $(wildcard tests/bench/*.h tests/kvm/*.h tests/kvm/lib/*.h \
		       tests/kvm/guest/*.h)

BENCH += $(KVM_BENCH)

kvm-bench: $(KVM_BENCH)
.PHONY: kvm-bench

$(KVM_BENCH_DIR)/verdict.bpf.o: tests/bench/verdict.bpf.c bpf/kvm_vmi_bpf.h tests/bench/build.mk \
				$(BUILD)/bpftools.mk
	@mkdir -p $(@D)
	$(call quiet,BPF,$@)$(BPF_CLANG) $(BPF_CFLAGS) $(LIBBPF_CFLAGS) -c $< -o $@

$(KVM_BENCH_DIR)/verdict.skel.h: $(KVM_BENCH_DIR)/verdict.bpf.o
	$(call quiet,SKEL,$@)$(BPFTOOL) gen skeleton $< name verdict_bpf > $@

$(KVM_BENCH_DIR)/violation.c.o: $(KVM_BENCH_DIR)/verdict.skel.h

$(KVM_BENCH_DIR)/%.c.o: tests/bench/%.c $(KVM_BENCH_HEADERS) tests/bench/build.mk
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CFLAGS_ALL) $(KVM_TEST_CFLAGS) -I$(KVM_BENCH_DIR) -c $< -o $@

$(KVM_BENCH): $(KVM_BENCH_OBJECTS)
	$(call quiet,LINK,$@)$(CC) -static -no-pie -s $(KVM_BENCH_OBJECTS) $(LIBBPF_LIBS) -lpthread -o $@

# The native bench: merlond as it is shipped, with a played kernel whose events ring is a
# real one
NATIVE_DIR := $(KVM_BENCH_DIR)/native
NATIVE_CFLAGS = $(CFLAGS_ALL) -Idaemon -Itests/bus -Itests/bench/native -Ibpf -I$(NATIVE_DIR) \
		-Ikernel/src/include/uapi $(LIBBPF_CFLAGS) -MMD -MP
NATIVE_OBJECTS := $(patsubst tests/bench/native/%.c,$(NATIVE_DIR)/%.o,\
		    $(filter-out %.bpf.c %/kernel-ring.c,$(wildcard tests/bench/native/*.c)))

$(NATIVE_DIR)/fill.bpf.o: tests/bench/native/fill.bpf.c tests/bench/native/fill.h $(wildcard bpf/*.h) \
			  $(BUILD)/bpftools.mk
	@mkdir -p $(@D)
	$(call quiet,BPF,$@)$(BPF_CLANG) $(BPF_CFLAGS) $(LIBBPF_CFLAGS) -Itests/bench/native -c $< -o $@

$(NATIVE_DIR)/fill.skel.h: $(NATIVE_DIR)/fill.bpf.o
	$(call quiet,SKEL,$@)$(BPFTOOL) gen skeleton $< name fill_bpf > $@

$(NATIVE_DIR)/native.o: $(NATIVE_DIR)/fill.skel.h

$(NATIVE_DIR)/%.o: tests/bench/native/%.c $(BUILD)/bpftools.mk
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(NATIVE_CFLAGS) -c $< -o $@

# The played kernel under another name: kernel-ring.c stands before it
$(NATIVE_DIR)/played.o: $(BUILD)/daemon/kernel-fake.o
	@mkdir -p $(@D)
	$(Q)objcopy --redefine-sym kernel_backend=played_backend $< $@

$(BUILD)/merlond-ring: $(NATIVE_DIR)/kernel-ring.o $(NATIVE_DIR)/played.o \
		       $(addprefix $(BUILD)/daemon/,main.o $(filter-out kernel-fake.o,$(KERNEL_FAKE))) \
		       $(DAEMON_LIB) $(MERLON_COMMON_LIB)
	$(call quiet,LD,$@)$(CC) $(LDFLAGS) -pie -o $@ $^ $(LIBBPF_LIBS) $(DAEMON_LIBS)

$(NATIVE_DIR)/native_bench: $(NATIVE_OBJECTS) $(BUILD)/bus/harness.o $(MERLON_COMMON_LIB)
	$(call quiet,LD,$@)$(CC) -o $@ $^ $(LIBBPF_LIBS) -ljson-c -lsystemd

# As root; SOAK is how much of the day's work is done, in hundredths
SOAK ?= 100

bench-native: deps-quiet
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) $(BUILD)/merlond-ring $(BUILD)/asan/merlon \
		$(NATIVE_DIR)/native_bench
	$(Q)$(NATIVE_DIR)/native_bench events
	$(Q)$(NATIVE_DIR)/native_bench calls
	$(Q)$(NATIVE_DIR)/native_bench soak $(SOAK)

.PHONY: bench-native

-include $(wildcard $(NATIVE_DIR)/*.d)
