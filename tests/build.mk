# SPDX-License-Identifier: GPL-2.0-or-later
# Running the tests: natively and in the lab.

LAB_TOOLS := $(addprefix $(BUILD)/tests/,tap lab/init lab/console)
CHECKED = $(foreach level,$(LEVEL),$(CHECK_$(level)))

lab-tools: $(LAB_TOOLS)

$(BUILD)/tests/tap: tests/tap.c
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CFLAGS_ALL) -o $@ $<

# Static: they run where there is nothing else
$(BUILD)/tests/lab/%: tests/lab/%.c
	@mkdir -p $(@D)
	$(call quiet,CC,$@)$(CC) $(CFLAGS_ALL) -static -o $@ $<

# A guest for QEMU inside the lab: our kernel, our init, one line, off
$(BUILD)/tests/lab/guest.cpio: tests/lab/image.sh $(BUILD)/tests/lab/init
	$(call quiet,IMAGE,$@)tests/lab/image.sh $@.tmp $(BUILD)/tests/lab/init --shell \
		-- /bin/sh -c 'echo guest: up on Linux $$(uname -r)' && mv $@.tmp $@

# One program under two names: the second runs on a host with two CPUs
CHECK_kvm += $(BUILD)/tests/lab/smoke-kvm $(BUILD)/tests/lab/smoke-kvm-smp
LAB_smoke-kvm-smp := --smp 2

$(BUILD)/tests/lab/smoke-kvm-smp: $(BUILD)/tests/lab/smoke-kvm
	$(Q)ln -f $< $@

# Programs of their own in the place of the kernel
LAB_BARE := $(BUILD)/tests/lab/bare
LAB_BARE_CFLAGS := -std=gnu11 -O2 -Wall -Wextra -m64 -ffreestanding -fno-pic -fno-pie -mno-red-zone \
		   -mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
		   -fno-asynchronous-unwind-tables -fno-tree-loop-distribute-patterns

LAB_BARE_TESTS := spp.sh gmet.sh lass.sh lam.sh lam-la57.sh lam-none.sh
CHECK_kvm += $(addprefix tests/lab/,$(LAB_BARE_TESTS))
$(foreach test,$(LAB_BARE_TESTS),$(eval LAB_$(test) := native))

tests/lab/spp.sh: $(LAB_BARE)/spp
tests/lab/gmet.sh: $(LAB_BARE)/gmet
tests/lab/lass.sh: $(LAB_BARE)/lass
tests/lab/lam.sh tests/lab/lam-la57.sh tests/lab/lam-none.sh: $(LAB_BARE)/lam

$(LAB_BARE)/spp $(LAB_BARE)/lam: tests/lab/bare/vmx.S tests/lab/bare/vmx.h
$(LAB_BARE)/gmet: tests/lab/bare/svm.S
$(LAB_BARE)/lass $(LAB_BARE)/lam: tests/lab/bare/probe.S tests/lab/bare/probe.h tests/lab/bare/access.inc
$(LAB_BARE)/lass: tests/lab/bare/lass.S
$(LAB_BARE)/lam: tests/lab/bare/lam.S
$(LAB_BARE)/%: tests/lab/bare/%.c tests/lab/bare/start.S tests/lab/bare/bare.h tests/lab/bare/link.ld
	@mkdir -p $(@D)
	$(call quiet,LINK,$@)$(CC) $(LAB_BARE_CFLAGS) -nostdlib -static -no-pie -Wl,--build-id=none \
		-Wl,--no-warn-rwx-segments -Wl,-T,tests/lab/bare/link.ld $(filter %.S %.c,$^) -o $@.elf
	$(Q)objcopy -O binary $@.elf $@

CHECK_guest += tests/lab/smoke-qemu.sh
LAB_smoke-qemu.sh := --guest $(BUILD)/tests/lab/guest.cpio --qemu --shell --mem 1536

tests/lab/smoke-qemu.sh: $(BUILD)/tests/lab/guest.cpio

# The plan of a level: one line per test, its level, its options, its program
$(BUILD)/tests/plan: FORCE
	@mkdir -p $(@D)
	@{ $(foreach level,$(LEVELS),$(foreach test,$(CHECK_$(level)),\
		printf '%s\t%s\t%s\n' '$(level)' '$(LAB_$(notdir $(test)))' '$(test)';)) :; } >$@

check: deps-quiet
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) check-now

check-now: lab-tools $(BUILD)/tests/plan $(CHECKED)
	$(Q)KERNEL=$(KERNEL) tests/run $(LEVEL)

# The levels by their names too
$(addprefix check-,$(LEVELS)): check-%:
	$(Q)$(MAKE) --no-print-directory check LEVEL=$*

deps-quiet:
	$(Q)tests/lab/deps.sh --quiet

lab: deps-quiet lab-tools
	$(Q)$(BUILD)/tests/lab/console --cpu $(CPU) --kernel $(KERNEL)

lint::
	$(Q)tests/lint.sh

FORCE:
.PHONY: lab-tools check check-now $(addprefix check-,$(LEVELS)) deps-quiet lab FORCE

# A demonstration: a part sets DEMO to its script and adds to DEMO_NEEDS
demo: deps-quiet
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) demo-now

demo-now: lab-tools $(DEMO_NEEDS)
	$(Q)CPU=$(CPU) ENGINE=$(ENGINE) STORY=$(STORY) $(or $(DEMO),sh -c 'echo "there is no demo in this tree"; exit 1')

bench: deps-quiet
	$(Q)$(MAKE) --no-print-directory -j$(shell nproc) bench-now

bench-now: lab-tools $(BENCH)
	$(Q)tests/bench/run $(BENCH)

.PHONY: demo demo-now bench bench-now
