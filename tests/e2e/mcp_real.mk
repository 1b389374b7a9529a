# The MCP client against real servers from npm and PyPI, and against misbehaving ones.
$(O)/test/mcp_real: tests/e2e/mcp_real.c $(call archives,$(call allowed,mcp))
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
.PHONY: mcp-real
mcp-real: $(O)/test/mcp_real
	@tools/fetch-servers
	@$(O)/test/mcp_real
