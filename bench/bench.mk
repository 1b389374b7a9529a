# Speed and memory as ratios in one run.
$(O)/bench/stub: bench/stub.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -o $@ $< -lpthread
$(O)/bench/bare: bench/bare.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -o $@ $< $(LIBS)
$(O)/bench/mcpbare: bench/mcpbare.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -o $@ $<
$(O)/bench/mcp: bench/mcpbench.c $(call archives,$(call allowed,mcp))
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
$(O)/bench/http: bench/httpbench.c $(call archives,$(call allowed,net))
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
.PHONY: bench
bench:
	@tools/deps bench
	@tools/fetch-servers
	@$(MAKE) --no-print-directory $(addprefix $(O)/,tutti bench/stub bench/bare bench/mcp bench/mcpbare)
	@python3 bench/run.py $(BENCH)
