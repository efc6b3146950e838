# SPDX-License-Identifier: GPL-2.0-or-later
# merlon, the command line; what it shares with the daemon is daemon/api and
# daemon/util and nothing else.

CLI_SRC := $(wildcard cli/*.c)
CLI_OBJ := $(CLI_SRC:%.c=$(BUILD)/%.o)

all:: $(BUILD)/merlon

$(BUILD)/cli/%.o: cli/%.c
	$(call quiet,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_ALL) -DMERLON_VERSION='"$(VERSION)"' -Idaemon -Icli -MMD -MP -c -o $@ $<

# Of the daemon's library only what judges the text of a policy
$(BUILD)/merlon: $(CLI_OBJ) $(DAEMON_LIB) $(MERLON_COMMON_LIB)
	$(call quiet,LD,$@)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -ljson-c -lsystemd

install:: $(BUILD)/merlon
	$(Q)install -D -m 755 $(BUILD)/merlon $(DESTDIR)$(PREFIX)/bin/merlon
	$(Q)install -D -m 644 cli/merlon.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/merlon
	$(Q)install -D -m 644 docs/merlon.1 $(DESTDIR)$(PREFIX)/share/man/man1/merlon.1
	$(Q)install -D -m 644 docs/merlond.8 $(DESTDIR)$(PREFIX)/share/man/man8/merlond.8
	$(Q)install -D -m 644 docs/merlon-stream.7 \
		$(DESTDIR)$(PREFIX)/share/man/man7/merlon-stream.7
	$(Q)install -D -m 644 docs/merlon-policy.5 \
		$(DESTDIR)$(PREFIX)/share/man/man5/merlon-policy.5
	$(Q)install -D -m 644 docs/policy.schema.json \
		$(DESTDIR)$(PREFIX)/share/merlon/policy.schema.json
	$(Q)install -d -m 755 $(DESTDIR)$(PREFIX)/lib/merlon/policy.d
	$(Q)install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/doc/merlon/examples docs/examples/*.json

-include $(CLI_OBJ:.o=.d)
