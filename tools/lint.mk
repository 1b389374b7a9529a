# What a machine can judge of the code: layers, style, and clang-tidy on what has changed.
# LINT_FILES= narrows the last one: make analyze LINT_FILES=src/base/err.c
LINT_FILES ?= $(foreach f,$(FOLDERS),$(call sources,$f))

.PHONY: lint symbols analyze
lint:
	@tools/deps lint
	@status=0; for part in layers tidy symbols analyze; do \
	    $(MAKE) --no-print-directory $$part || status=1; done; exit $$status

tidy:
	@tools/tidy
	@tools/cases

# Needs the archives; they are built by whatever compiler the machine has.
symbols: $(call archives,$(LAYERS))
	@tools/layers --symbols $(O)/lib

analyze:
	@tools/analyze --cache build/tidy $(LINT_FILES) -- $(CFLAGS)
