# SPDX-License-Identifier: GPL-2.0-or-later
# Tests of KVM with tiny guests: one static program, which runs inside the lab.
# Needs gcc for the program and the guest, clang and libbpf for its BPF object.

KVM_TEST_DIR := $(BUILD)/tests/kvm
KVM_TEST := $(KVM_TEST_DIR)/kvm_test
KVM_SMP_TEST := $(KVM_TEST_DIR)/kvm_smp_test
KVM_SPP_TEST := $(KVM_TEST_DIR)/kvm_spp_test
KVM_APICV_TEST := $(KVM_TEST_DIR)/kvm_apicv_test
KVM_AVX512_TEST := $(KVM_TEST_DIR)/kvm_avx512_test

# The guest's program has no C library, no vector registers and no red zone.
# It runs in either half of the address space, wherever that is linked for.
KVM_GUEST_CFLAGS := -m64 -ffreestanding -fpie -fvisibility=hidden -mno-red-zone -mgeneral-regs-only \
		    -fno-stack-protector -fcf-protection=none -fno-asynchronous-unwind-tables \
		    -fno-tree-loop-distribute-patterns
KVM_GUEST_LDFLAGS := -m64 -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,norelro \
		     -Wl,--no-warn-rwx-segments -Wl,-T,tests/kvm/guest/link.ld
KVM_TEST_CFLAGS = -fno-pie -Wno-missing-field-initializers -Itests/kvm -I$(KVM_TEST_DIR) \
		  -isystem kernel/src/include/uapi $(LIBBPF_CFLAGS)

KVM_GUEST_OBJECTS := $(patsubst tests/kvm/%,$(KVM_TEST_DIR)/%.o,\
		       $(wildcard tests/kvm/guest/*.c tests/kvm/guest/*.S))
KVM_TEST_OBJECTS := $(patsubst tests/kvm/%,$(KVM_TEST_DIR)/%.o,\
		      $(filter-out %.bpf.c,$(wildcard tests/kvm/*.c)) \
		      $(wildcard tests/kvm/lib/*.c tests/kvm/lib/*.S))
KVM_TEST_HEADERS := $(wildcard tests/kvm/*.h tests/kvm/lib/*.h tests/kvm/guest/*.h)

# One program under several names: what it runs by default depends on the name.
LAB_kvm_smp_test := --smp 2
LAB_kvm_spp_test := intel --append kvm_intel.spp=1
# Where it cannot be.
KVM_NOSPP_TESTS := $(addprefix $(KVM_TEST_DIR)/kvm_nospp_,pml_test eptad_test tdp_mmu_test)
LAB_kvm_nospp_pml_test := intel --append kvm_intel.spp=1 --append kvm_intel.pml=0
LAB_kvm_nospp_eptad_test := intel --append kvm_intel.spp=1 --append kvm_intel.eptad=0
LAB_kvm_nospp_tdp_mmu_test := intel --append kvm_intel.spp=1 --append kvm.tdp_mmu=0
# Who may execute: where the CPU does not tell user mode from the kernel; by the older MMU.
KVM_EXECUTE_TESTS := $(addprefix $(KVM_TEST_DIR)/kvm_execute_,mbec_test gmet_test tdp_mmu_test)
LAB_kvm_execute_mbec_test := intel --append kvm_intel.mbec=0
LAB_kvm_execute_gmet_test := amd --append kvm_amd.gmet=0
LAB_kvm_execute_tdp_mmu_test := --append kvm.tdp_mmu=0
# What linear addresses mean, for guests whose page tables are the CPU's or KVM's.
KVM_LINEAR_TESTS := $(addprefix $(KVM_TEST_DIR)/kvm_linear_,test shadow_test)
LAB_kvm_linear_test := intel
LAB_kvm_linear_shadow_test := intel --append kvm_intel.ept=0
# The same with 5-level paging, of the guest alone and of the host too.
KVM_LA57_TESTS := $(addprefix $(KVM_TEST_DIR)/kvm_la57_,test shadow_test host_test)
LAB_kvm_la57_test := intel --with la57 --append no5lvl
LAB_kvm_la57_shadow_test := intel --with la57 --append no5lvl --append kvm_intel.ept=0
LAB_kvm_la57_host_test := intel --with la57
# Address-space isolation, where kernel pages are global in the TLB, and where they are not.
KVM_ISOLATION_TESTS := $(addprefix $(KVM_TEST_DIR)/kvm_isolation_,test smp_test pti_test hrtimer_test ept_test \
						   npt_test)
LAB_kvm_isolation_test := --append kvm.isolation=1 --append pti=off
LAB_kvm_isolation_smp_test := --smp 2 --append kvm.isolation=1 --append pti=off
LAB_kvm_isolation_pti_test := --append kvm.isolation=1 --append pti=on
# Where the CPU has no timer for guests, as on AMD.
LAB_kvm_isolation_hrtimer_test := intel --append kvm.isolation=1 --append kvm_intel.preemption_timer=0
# Where it is refused.
LAB_kvm_isolation_ept_test := intel --append kvm.isolation=1 --append kvm_intel.ept=0
LAB_kvm_isolation_npt_test := amd --append kvm.isolation=1 --append kvm_amd.npt=0
# Where there are instructions that KVM does not know.
LAB_kvm_avx512_test := intel --model corei7_skylake_x
# Where L1 is offered posted interrupts; and an L2 runs while its pages are protected.
LAB_kvm_apicv_test := --smp 2 --append kvm_intel.enable_apicv=1

KVM_NAMES := $(KVM_SMP_TEST) $(KVM_SPP_TEST) $(KVM_NOSPP_TESTS) $(KVM_EXECUTE_TESTS)
KVM_NAMES += $(KVM_LINEAR_TESTS) $(KVM_LA57_TESTS)
KVM_NAMES += $(KVM_ISOLATION_TESTS)
KVM_NAMES += $(KVM_AVX512_TEST) $(KVM_APICV_TEST)
CHECK_kvm += $(KVM_TEST) $(KVM_NAMES)

# The kernel's own test of the VMM's calls, built by the kernel's rules
KVM_SELFTEST := $(KVM_TEST_DIR)/spp_test
CHECK_kvm += $(KVM_SELFTEST)

$(KVM_SELFTEST): FORCE
	$(Q)tests/build-selftest.sh lab kvm x86/spp_test $@

kvm-test: $(KVM_TEST) $(KVM_NAMES)
.PHONY: kvm-test

$(KVM_TEST_DIR)/guest/%.o: tests/kvm/guest/% $(KVM_TEST_HEADERS) tests/kvm/build.mk
	@mkdir -p $(@D)
	$(call quiet,GUEST,$@)$(CC) $(CFLAGS_ALL) $(KVM_GUEST_CFLAGS) -c $< -o $@

$(KVM_TEST_DIR)/guest.elf: $(KVM_GUEST_OBJECTS) tests/kvm/guest/link.ld
	$(call quiet,GUEST,$@)$(CC) $(KVM_GUEST_LDFLAGS) $(KVM_GUEST_OBJECTS) -o $@

$(KVM_TEST_DIR)/guest.bin: $(KVM_TEST_DIR)/guest.elf
	$(Q)objcopy -O binary -j .image $< $@

$(KVM_TEST_DIR)/lib/image.S.o: $(KVM_TEST_DIR)/guest.bin

$(KVM_TEST_DIR)/vmi_test.bpf.o: tests/kvm/vmi_test.bpf.c tests/kvm/vmi_calls.h bpf/kvm_vmi_bpf.h \
				tests/kvm/build.mk $(BUILD)/bpftools.mk
	@mkdir -p $(@D)
	$(call quiet,BPF,$@)$(BPF_CLANG) $(BPF_CFLAGS) -Itests/kvm $(LIBBPF_CFLAGS) -c $< -o $@

$(KVM_TEST_DIR)/vmi_test.skel.h: $(KVM_TEST_DIR)/vmi_test.bpf.o
	$(call quiet,SKEL,$@)$(BPFTOOL) gen skeleton $< name vmi_test_bpf > $@

$(KVM_TEST_DIR)/lib/vmi.c.o: $(KVM_TEST_DIR)/vmi_test.skel.h

$(KVM_TEST_DIR)/isolation_test.bpf.o: tests/kvm/isolation_test.bpf.c tests/kvm/isolation_calls.h \
				      bpf/kvm_isolation_bpf.h bpf/kvm_vmi_bpf.h tests/kvm/build.mk \
				      $(BUILD)/bpftools.mk
	@mkdir -p $(@D)
	$(call quiet,BPF,$@)$(BPF_CLANG) $(BPF_CFLAGS) -Itests/kvm $(LIBBPF_CFLAGS) -c $< -o $@

$(KVM_TEST_DIR)/isolation_test.skel.h: $(KVM_TEST_DIR)/isolation_test.bpf.o
	$(call quiet,SKEL,$@)$(BPFTOOL) gen skeleton $< name isolation_test_bpf > $@

$(KVM_TEST_DIR)/isolation.c.o $(KVM_TEST_DIR)/disturb.c.o: $(KVM_TEST_DIR)/isolation_test.skel.h

$(KVM_TEST_DIR)/%.S.o: tests/kvm/%.S tests/kvm/build.mk
	@mkdir -p $(@D)
	$(call quiet,AS,$@)$(CC) -DGUEST_IMAGE='"$(KVM_TEST_DIR)/guest.bin"' -c $< -o $@

$(KVM_TEST_DIR)/%.c.o: tests/kvm/%.c $(KVM_TEST_HEADERS) tests/kvm/build.mk
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CFLAGS_ALL) $(KVM_TEST_CFLAGS) -c $< -o $@

$(KVM_TEST): $(KVM_TEST_OBJECTS)
	$(call quiet,LINK,$@)$(CC) -static -no-pie -s $(KVM_TEST_OBJECTS) $(LIBBPF_LIBS) -lpthread -o $@

$(KVM_NAMES): $(KVM_TEST)
	$(Q)ln -f $< $@
