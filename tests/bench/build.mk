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
