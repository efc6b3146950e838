# SPDX-License-Identifier: GPL-2.0-or-later
# The unit, the bus policy, actions of polkit, activation by the bus, directories.

SYSTEMD_UNIT := $(BUILD)/merlond.service

all:: $(SYSTEMD_UNIT)

$(SYSTEMD_UNIT): systemd/merlond.service.in Makefile
	@mkdir -p $(@D)
	$(call quiet,GEN,$@)sed 's|@PREFIX@|$(PREFIX)|' $< >$@

install:: $(SYSTEMD_UNIT) $(BUILD)/merlond
	$(Q)install -D -m 755 $(BUILD)/merlond $(DESTDIR)$(PREFIX)/sbin/merlond
	$(Q)install -D -m 644 $(SYSTEMD_UNIT) $(DESTDIR)$(PREFIX)/lib/systemd/system/merlond.service
	$(Q)install -D -m 644 systemd/merlond-metrics.socket \
		$(DESTDIR)$(PREFIX)/lib/systemd/system/merlond-metrics.socket
	$(Q)install -D -m 644 systemd/org.merlon1.conf \
		$(DESTDIR)$(PREFIX)/share/dbus-1/system.d/org.merlon1.conf
	$(Q)install -D -m 644 systemd/org.merlon1.policy \
		$(DESTDIR)$(PREFIX)/share/polkit-1/actions/org.merlon1.policy
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/merlon/examples docs/examples/*.rules
	$(Q)install -D -m 644 systemd/org.merlon1.service \
		$(DESTDIR)$(PREFIX)/share/dbus-1/system-services/org.merlon1.service
	$(Q)install -D -m 644 systemd/merlon.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/merlon.conf
	$(Q)install -D -m 644 daemon/api/org.merlon1.xml \
		$(DESTDIR)$(PREFIX)/share/dbus-1/interfaces/org.merlon1.xml
	$(Q)install -D -m 644 systemd/merlon.catalog \
		$(DESTDIR)$(PREFIX)/lib/systemd/catalog/merlon.catalog

CHECK_unit += systemd/check.sh
systemd/check.sh: $(SYSTEMD_UNIT) $(BUILD)/merlond
