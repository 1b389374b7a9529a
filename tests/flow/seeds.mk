# Random definitions in random worlds, under virtual time: make seeds SEEDS=10000 FIRST=1 JOBS=2
SEEDS ?= 10000
FIRST ?= 1
JOBS  ?= 2
SEEDS_C := $(addprefix tests/flow/,seeds.c seedrun.c seedaudit.c seedplan.c seedlaw.c \
  seedqueue.c seedsession.c chaos.c)
$(O)/test/seeds: $(SEEDS_C) $(wildcard tests/flow/*.h) $(call archives,$(filter-out cli,$(LAYERS)))
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -Itests/flow -o $@ $(filter %.c,$^) \
	  -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)
.PHONY: seeds
seeds: $(O)/test/seeds
	@$(O)/test/seeds -f $(FIRST) -n $(SEEDS) -j $(JOBS)
