# SPDX-License-Identifier: GPL-2.0-only
# The kernel's part of the makefile; the work is done by the scripts here.

KERNEL_CONFIGS := lab lam debug lockdep modules vanilla-lab vanilla-lam vanilla-debug vanilla-lockdep

kernel: kernel-lab

$(addprefix kernel-,$(KERNEL_CONFIGS)): kernel-%:
	$(Q)kernel/build.sh $*

$(BUILD)/bpftools.mk: kernel/bpftools.sh kernel/BASE kernel/workbench.sh
	$(Q)kernel/bpftools.sh $@

# Made on demand, but not for goals that may run before `make deps` has
NO_BPFTOOLS := help clean clean-cache deps format lint lab lab-tools demo bench check $(addprefix check-,$(LEVELS)) \
	       kernel $(addprefix kernel-,$(KERNEL_CONFIGS))
ifneq ($(filter-out $(NO_BPFTOOLS),$(or $(MAKECMDGOALS),all)),)
-include $(BUILD)/bpftools.mk
endif

.PHONY: kernel $(addprefix kernel-,$(KERNEL_CONFIGS))

CHECK_kvm += kernel/check.sh
LAB_check.sh := native
