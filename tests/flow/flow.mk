# Flow tests: a spec, scripted peers, the expected journal; then a crash at every commit.
$(O)/test/flow: $(patsubst %,tests/flow/%,flow.c outside.c flowplay.h replays.c replays.h \
  flowfiles.c flowfiles.h world.c world.h) \
  $(call archives,$(filter-out cli,$(LAYERS)))
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -Itests/flow -o $@ $(filter %.c,$^) \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
.PHONY: flow replays
flow: $(O)/test/flow
	@$(O)/test/flow $(sort $(wildcard tests/flow/*.flow))
# Each flow's run is walked again from its journal alone, and comes out the same.
replays: $(O)/test/flow
	@REPLAYS=1 $(O)/test/flow $(sort $(wildcard tests/flow/*.flow))
