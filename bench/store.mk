# The store alone: commits/s next to fdatasync/s. `make bench-store`.
$(O)/bench/store: bench/store.c $(call archives,$(call allowed,store))
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
.PHONY: bench-store
bench-store: $(O)/bench/store
	@$<
