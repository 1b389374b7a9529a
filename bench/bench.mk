# Speed and memory as ratios in one run.
$(O)/bench/stub: bench/stub.c
	@mkdir -p $(@D)
	@$(CC) -std=gnu17 -O2 -g -D_GNU_SOURCE -o $@ $< -lpthread
$(O)/bench/bare: bench/bare.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -o $@ $< $(LIBS)
.PHONY: bench
bench:
	@tools/deps bench
	@$(MAKE) --no-print-directory $(O)/tutti $(O)/bench/stub $(O)/bench/bare
	@python3 bench/run.py $(BENCH)
