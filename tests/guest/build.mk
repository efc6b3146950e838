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

# What takes longest, at once
demo-emulator:
	$(Q)tests/lab/bochs/build.sh >/dev/null

DEMO := tests/guest/demo.sh $(GUEST_LAB)
DEMO_NEEDS += demo-emulator $(GUEST_TESTS)
.PHONY: demo-emulator
