# The official JSON Schema Test Suite as judge of src/schema: `make schema-suite`. Needs pip and, the
# first time, the network. Included by the Makefile, whose variables it uses.
# SUITE_ARGS=-v names each test that fails.
$(O)/test/schema_suite: tests/schema_suite.c $(O)/lib/schema.a $(O)/lib/base.a
	@mkdir -p $(@D)
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< $(O)/lib/schema.a $(O)/lib/base.a $(LIBS)

.PHONY: schema-suite
schema-suite: $(O)/test/schema_suite
	@tools/fetch-schema-suite
	@$< $(SUITE_ARGS) build/schema-suite/suite draft2020-12 draft2019-09 draft7 draft6 draft4
