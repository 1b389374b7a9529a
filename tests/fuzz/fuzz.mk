# Fuzzing the parsers: `make fuzz` builds every tests/fuzz/NAME_fuzz.c with libFuzzer, ASan and UBSan and
# runs each FUZZ_RUNS times or FUZZ_SECONDS long, whichever ends first. FUZZ='sse yaml' narrows it;
# FUZZ_SEED=N repeats a run. What a target may link with follows from the folders it includes.
FUZZ_RUNS    ?= 200000
FUZZ_SECONDS ?= 120
FUZZ_SEED    ?= 0
FUZZ         ?= $(sort $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c)))

.PHONY: fuzz fuzz-run
fuzz:
	@tools/deps fuzz
	@$(MAKE) --no-print-directory VARIANT=fuzz CC=clang fuzz-run

ifeq ($(VARIANT),fuzz)
fuzz_folders = $(shell sed -n 's|^\#include "\([a-z]*\)/.*|\1|p' tests/fuzz/$1_fuzz.c | sort -u)
fuzz_archives = $(call archives,$(sort $(foreach f,$(call fuzz_folders,$1),$(call allowed,$f))))
define fuzz_rule
$(O)/fuzz/$1: tests/fuzz/$1_fuzz.c $$(call fuzz_archives,$1)
	@mkdir -p $$(@D)
	@echo '  FUZZ $$<'
	@$$(CC) $$(CFLAGS) -fsanitize=fuzzer -o $$@ $$< -Wl,--gc-sections \
	    -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LIBS)
endef
$(foreach f,$(FUZZ),$(eval $(call fuzz_rule,$f)))

# With -k a target that does not build costs only itself: run counts it as failed.
fuzz-run:
	@$(MAKE) --no-print-directory -k VARIANT=fuzz CC=clang $(patsubst %,$(O)/fuzz/%,$(FUZZ)) || true
	@FUZZ_RUNS=$(FUZZ_RUNS) FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_SEED=$(FUZZ_SEED) \
	    tests/fuzz/run $(patsubst %,$(O)/fuzz/%,$(FUZZ))
endif
