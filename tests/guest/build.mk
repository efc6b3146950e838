# SPDX-License-Identifier: GPL-2.0-or-later
# Real guests: Linux under QEMU on the lab's host, with merlond at work. And the
# demonstration, which is one of the tests, told.

GUEST_DIR := $(BUILD)/tests/guest
GUEST_NEEDS := $(addprefix $(GUEST_DIR)/,guest.cpio bzImage await) $(BUILD)/merlond $(BUILD)/merlon

# Asks the kernel's build each time what has changed
$(GUEST_DIR)/stamp: FORCE
	$(Q)tests/guest/build-guest.sh $(GUEST_DIR)

$(GUEST_DIR)/bzImage $(GUEST_DIR)/rootkit.ko $(GUEST_DIR)/exploit.ko: $(GUEST_DIR)/stamp
	@:

$(GUEST_DIR)/guest $(GUEST_DIR)/await: $(GUEST_DIR)/%: tests/guest/%.c
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CFLAGS_ALL) -static -o $@ $<

$(GUEST_DIR)/guest.cpio: tests/lab/image.sh $(BUILD)/tests/lab/init $(GUEST_DIR)/guest \
			 $(GUEST_DIR)/rootkit.ko $(GUEST_DIR)/exploit.ko
	$(call quiet,IMAGE,$@)tests/lab/image.sh $@.tmp $(BUILD)/tests/lab/init \
		--file $(GUEST_DIR)/rootkit.ko:/lab/rootkit.ko \
		--file $(GUEST_DIR)/exploit.ko:/lab/exploit.ko --program $(GUEST_DIR)/guest \
		-- /lab/bin/guest && mv $@.tmp $@

GUEST_LAB := --mem 1536 --qemu --bus --shell --program $(BUILD)/merlond:/usr/bin/merlond \
	     --program $(BUILD)/merlon:/usr/bin/merlon --program $(GUEST_DIR)/await:/usr/bin/await \
	     --file tests/guest/lib.sh:/lab/guest/lib.sh \
	     --file systemd/org.merlon1.conf:/usr/share/dbus-1/system.d/org.merlon1.conf \
	     --file $(GUEST_DIR)/bzImage:/lab/guest/bzImage \
	     --file $(GUEST_DIR)/guest.cpio:/lab/guest/initramfs.cpio
GUEST_TESTS := $(addprefix tests/guest/,story.sh story-execute.sh reboot.sh admission.sh pin.sh)

CHECK_guest += $(GUEST_TESTS) $(GUEST_DIR)/story-hardware.sh
$(GUEST_TESTS): $(GUEST_NEEDS)
$(foreach test,$(GUEST_TESTS),$(eval LAB_$(notdir $(test)) := $(GUEST_LAB)))

# The story again, where the CPU checks sub-pages: one script under two names
LAB_story-hardware.sh := intel $(GUEST_LAB) --append kvm_intel.spp=1
$(GUEST_DIR)/story-hardware.sh: tests/guest/story.sh $(GUEST_NEEDS)
	$(Q)cp $< $@

# Where the CPU separates linear addresses
LAB_linear.sh := intel $(GUEST_LAB)
CHECK_guest += tests/guest/linear.sh
tests/guest/linear.sh: $(GUEST_NEEDS)

# The kernel's own test of address masking, in a kernel that offers it to its programs;
# one script under four names
GUEST_LAM := $(GUEST_DIR)/lam
LAM_LAB := intel --mem 1536 --qemu --shell --program $(GUEST_DIR)/await:/usr/bin/await \
	   --file tests/guest/lib.sh:/lab/guest/lib.sh --file $(GUEST_LAM)/bzImage:/lab/guest/lam/bzImage \
	   --file $(GUEST_LAM)/guest.cpio:/lab/guest/lam/initramfs.cpio \
	   --program $(GUEST_LAM)/lam
LAM_NEEDS := $(GUEST_DIR)/await $(GUEST_LAM)/bzImage $(GUEST_LAM)/guest.cpio
LAM_TESTS := tests/guest/lam-selftest.sh $(addprefix $(GUEST_DIR)/lam-selftest-,shadow.sh la57.sh bare.sh)
LAB_lam-selftest.sh := $(LAM_LAB)
LAB_lam-selftest-shadow.sh := $(LAM_LAB) --append kvm_intel.ept=0
LAB_lam-selftest-la57.sh := $(LAM_LAB) --with la57 --append no5lvl
LAB_lam-selftest-bare.sh := $(LAM_LAB) --kernel $(GUEST_LAM)/bzImage
CHECK_guest += $(LAM_TESTS)

tests/guest/lam-selftest.sh: $(LAM_NEEDS)

$(GUEST_DIR)/lam-selftest-%.sh: tests/guest/lam-selftest.sh $(LAM_NEEDS)
	$(Q)cp $< $@

$(GUEST_LAM)/lam: FORCE
	$(Q)tests/build-selftest.sh lam x86 lam_64 $@

# The selftest's build has brought the kernel up to date
$(GUEST_LAM)/bzImage: $(GUEST_LAM)/lam
	$(Q)cp "$$(kernel/build.sh --print-dir lam)/bzImage" $@

# 0x3f: all of it but what wants a device with shared virtual memory
$(GUEST_LAM)/guest.cpio: tests/lab/image.sh $(BUILD)/tests/lab/init $(GUEST_LAM)/lam
	$(call quiet,IMAGE,$@)tests/lab/image.sh $@.tmp $(BUILD)/tests/lab/init \
		--program $(GUEST_LAM)/lam -- /lab/bin/lam -t 0x3f && mv $@.tmp $@

# Where what runs around their entry is isolated
LAB_isolation.sh := $(GUEST_LAB) --append kvm.isolation=1
CHECK_guest += tests/guest/isolation.sh
tests/guest/isolation.sh: $(GUEST_NEEDS)

# What takes longest, at once
demo-emulator:
	$(Q)tests/lab/bochs/build.sh >/dev/null

DEMO := tests/guest/demo.sh $(GUEST_LAB)
DEMO_NEEDS += demo-emulator $(GUEST_TESTS)
.PHONY: demo-emulator
