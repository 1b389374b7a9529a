# Every way in which a run can be undone: failures and cancels, kills at each undo and each commit.
SAGA_STEPS ?= 3
$(O)/test/sagas: tests/flow/sagas.c $(call archives,$(filter-out cli,$(LAYERS)))
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.c,$^) \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
.PHONY: sagas
sagas: $(O)/test/sagas
	@$(O)/test/sagas $(SAGA_STEPS)
