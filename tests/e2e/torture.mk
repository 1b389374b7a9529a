# Kills a working tutti at random, on this disk: 5 to 10 times a second. Its last line counts checks.
# The effects are the program again, so a copy runs: a build meanwhile must not replace it.
KILLS ?= 300
.PHONY: torture torture-long
torture: $(O)/tutti
	@mkdir -p $(O)/torture
	@cp $(O)/tutti $(O)/torture/tutti
	@$(O)/torture/tutti torture --kills $(KILLS) --store $(O)/torture
torture-long:
	@$(MAKE) --no-print-directory torture KILLS=2000
