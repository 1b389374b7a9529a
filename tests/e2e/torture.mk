# Kills a working tutti at random, on this disk; `make long` does it with KILLS=2000.
KILLS ?= 300
.PHONY: torture
torture: $(O)/tutti
	@mkdir -p $(O)/torture
	@$(O)/tutti torture --kills $(KILLS) --store $(O)/torture
