# The real program against its peers: `make e2e`. E2E='tests/e2e/test_runs.py ...' narrows it to some
# files. mcp_real.c is the tool server client alone, against real servers.
E2E ?= $(if $(wildcard build/npm/.stamp),$(O)/test/mcp_real) $(sort $(wildcard tests/e2e/test_*.py))

$(O)/test/mcp_real: tests/e2e/mcp_real.c $(call archives,$(call allowed,mcp) net)
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

.PHONY: e2e
e2e: all $(filter-out %.py,$(E2E))
	@TUTTI=$(O)/tutti tests/e2e/run.py $(E2E)

# A million items, killed five times on the way.
.PHONY: stream-long
stream-long: all
	@BATCH_ITEMS=1000000 TUTTI=$(O)/tutti tests/e2e/run.py tests/e2e/test_batch.py
