# tutti: one Makefile a person can read. `make help` lists the targets.
#
# VARIANT selects how things are compiled (plain asan ubsan tsan cover fuzz); each has its own folder
# under build/. The layers and what may link with what come from src/LAYERS.

VARIANT ?= plain
CC      ?= gcc
O       := $(if $(filter plain,$(VARIANT)),build,build/$(VARIANT))
OBJ     := $(O)/obj

PKGS    := libuv libcurl libmicrohttpd jansson libfyaml lua5.4 sqlite3 libpcre2-8 libcrypto
WARN    := -Wall -Wextra -Wshadow -Wvla -Wmissing-prototypes -Wstrict-prototypes -Wpointer-arith \
           -Wno-missing-field-initializers            -Wwrite-strings -Wframe-larger-than=4096 -Werror
CFLAGS_plain := -O2
CFLAGS_asan  := -O1 -fsanitize=address -fno-omit-frame-pointer
CFLAGS_ubsan := -O1 -fsanitize=undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
CFLAGS_tsan  := -O1 -fsanitize=thread -fno-omit-frame-pointer
CFLAGS_cover := -O0 --coverage -DCOVERAGE
# Without recovery the sanitizers' own checks are no branches to cover. Tracing integer comparisons found
# no more edges in as many runs of six targets (three seeds each), and took up to a third of the time.
CFLAGS_fuzz  := -O1 -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all -fno-omit-frame-pointer \
                -fno-sanitize-coverage=trace-cmp -fsanitize-coverage-ignorelist=tests/fuzz/ignore
CFLAGS  := -std=gnu17 -g $(CFLAGS_$(VARIANT)) $(WARN) -D_GNU_SOURCE -fPIC -fvisibility=hidden \
           -ffunction-sections -fdata-sections -Isrc -Iinclude
LDFLAGS := $(filter -fsanitize% --coverage,$(CFLAGS_$(VARIANT))) -Wl,--gc-sections
ifneq ($(wildcard /usr/bin/pkg-config),)
CFLAGS  += $(filter-out -I/usr/include,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
FOUND   := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
endif
LIBS    := $(FOUND) -lpthread -lm -ldl

LAYERS  := $(shell awk -F: '!/^\#/ && NF > 1 && $$1 !~ /shared/ {gsub(/ /, "", $$1); print $$1}' src/LAYERS)
FOLDERS := $(foreach f,$(LAYERS),$(if $(wildcard src/$f/*.c src/$f/*/*.c),$f))
sources  = $(filter-out %_test.c,$(wildcard src/$1/*.c src/$1/*/*.c))
tests    = $(wildcard src/$1/*_test.c src/$1/*/*_test.c)
objects  = $(patsubst src/%.c,$(OBJ)/%.o,$1)
# What a folder may link with: itself and what LAYERS allows it, transitively.
allowed  = $(shell awk -F: -v want=$1 '!/^\#/ && NF > 1 {gsub(/ /, "", $$1); up[$$1] = $$2} \
           function visit(f, a, n, i) {if (seen[f]++) return; n = split(up[f], a, " "); \
             for (i = 1; i <= n; i++) visit(a[i]); print f} \
           END {visit(want)}' src/LAYERS)
archives = $(patsubst %,$(O)/lib/%.a,$(filter $(FOLDERS),$1))

.DEFAULT_GOAL := all
.PHONY: all
all: $(if $(wildcard src/cli/main.c),$(O)/tutti $(O)/libtutti.a $(O)/libtutti.so,$(call archives,$(LAYERS)))

# ---- objects, archives, the program and the libraries --------------------------------------------
$(OBJ)/%.o: src/%.c | $(if $(FOUND),,missing)
	@mkdir -p $(@D)
	@echo '  CC   $<'
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

.PHONY: missing
missing:
	@echo 'make: pkg-config does not find all of $(PKGS): tools/deps build installs them' >&2; exit 1

define folder_rules
$(O)/lib/$1.a: $$(call objects,$$(call sources,$1))
	@mkdir -p $$(@D)
	@rm -f $$@
	@$(AR) rcs $$@ $$^

# The one test program of the folder: its tests and a main that calls each file's entry.
$(O)/test/$1_main.c: $$(call tests,$1)
	@mkdir -p $$(@D)
	@{ echo '/* generated */'; for t in $$(notdir $$(basename $$^)); do echo "int $$$$t(void);"; done; \
	   echo 'int main(void) { return 0'; \
	   for t in $$(notdir $$(basename $$^)); do echo " + $$$$t()"; done; echo ' ? 1 : 0; }'; } > $$@
$(O)/test/$1: $(O)/test/$1_main.c $$(call objects,$$(call tests,$1)) $$(call archives,$$(call allowed,$1))
	@echo '  LD   $$@'
	@$(CC) $(CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.c %.o,$$^) -Wl,--start-group $$(filter %.a,$$^) \
	  -Wl,--end-group -lcmocka $(LIBS)
.PHONY: unit-$1
unit-$1: $(O)/test/$1
	@tests/run $(O)/test/$1
endef
$(foreach f,$(FOLDERS),$(eval $(call folder_rules,$f)))

$(O)/tutti: $(OBJ)/cli/main.o $(call archives,$(LAYERS))
	@echo '  LD   $@'
	@$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $< -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(LIBS)

# The library is one relocatable object whose only global names are tutti_*: short internal names
# cannot collide with the host program's.
LIB_OBJECTS = $(foreach f,$(filter-out cli,$(FOLDERS)),$(call objects,$(call sources,$f)))
$(O)/libtutti.o: $(LIB_OBJECTS)
	@$(LD) -r -o $@ $^
	@objcopy --localize-hidden $@
$(O)/libtutti.a: $(O)/libtutti.o
	@rm -f $@
	@$(AR) rcs $@ $<
$(O)/libtutti.so: $(O)/libtutti.o
	@$(CC) $(LDFLAGS) -shared -Wl,-soname,libtutti.so.0 -o $@ $< $(LIBS)

# ---- tests ---------------------------------------------------------------------------------------
TESTED := $(foreach f,$(FOLDERS),$(if $(call tests,$f),$f))
.PHONY: unit test quick asan ubsan tsan valgrind cover long demo install clean help layers
unit: $(patsubst %,$(O)/test/%,$(TESTED))
	@tests/run $(patsubst %,$(O)/test/%,$(TESTED))

# Everything, from a bare machine on. The parts are separate makes, because the packages that the
# first line installs change what this file sees.
test:
	@tools/deps test
	@tools/fetch-servers
	@tests/all schema-suite unit flow replays sagas seeds fakes e2e
quick:
	@tests/all unit flow

asan ubsan tsan:
	@tools/deps san
	@$(MAKE) --no-print-directory VARIANT=$@ SEEDS=300 sanitized
.PHONY: sanitized
sanitized:
	@tests/all unit flow seeds
valgrind:
	@tools/deps san
	@$(MAKE) --no-print-directory -j2 unit-programs $(O)/test/flow $(O)/test/seeds
	@tests/valgrind $(patsubst %,$(O)/test/%,$(TESTED)) '$(O)/test/flow $(sort $(wildcard tests/flow/*.flow))' \
	   '$(O)/test/seeds -n 200 -j 1'
# What takes longer than CI may: about an hour and a half.
long:
	@tools/deps test san fuzz
	@SEEDS=50000 FUZZ_RUNS=2000000 FUZZ_SECONDS=1800 tests/all torture-long stream-long seeds valgrind fuzz
.PHONY: unit-programs
unit-programs: $(patsubst %,$(O)/test/%,$(TESTED))

cover:
	@tools/deps cover
	@$(MAKE) --no-print-directory VARIANT=cover SEEDS=300 sanitized
	@tools/cover build/cover/obj

# ---- for people ----------------------------------------------------------------------------------
demo:
	@tools/deps test
	@tools/fetch-servers
	@$(MAKE) --no-print-directory -j2 build/tutti
	@tools/demo

DESTDIR ?=
PREFIX  ?= /usr/local
install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/include/tutti
	install -s $(O)/tutti $(DESTDIR)$(PREFIX)/bin/tutti
	install -m 644 $(O)/libtutti.a $(DESTDIR)$(PREFIX)/lib/libtutti.a
	install -m 755 $(O)/libtutti.so $(DESTDIR)$(PREFIX)/lib/libtutti.so.0
	ln -sf libtutti.so.0 $(DESTDIR)$(PREFIX)/lib/libtutti.so
	install -m 644 include/tutti/*.h $(DESTDIR)$(PREFIX)/include/tutti
	printf '%s\n' 'Name: tutti' 'Description: agent workflows, durably' 'Version: 0.1.0' \
	  'Libs: -L$(PREFIX)/lib -ltutti' 'Libs.private: $(LIBS)' 'Cflags: -I$(PREFIX)/include' \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/tutti.pc

clean:
	rm -rf build
help:
	@echo 'make            build/tutti, build/libtutti.a, build/libtutti.so'
	@echo 'make demo       install what is missing, build, run a real workflow, kill it, resume it'
	@echo 'make test       install what is missing, build, run every test'
	@echo 'make quick      unit and flow tests only (seconds); unit-FOLDER for one folder'
	@echo 'make lint       layers, style, static analysis'
	@echo 'make asan ubsan tsan valgrind   the tests under the sanitizers'
	@echo 'make fuzz       every parser; FUZZ_RUNS=200000'
	@echo 'make cover      line coverage'
	@echo 'make bench      speed and memory, as ratios'
	@echo 'make long       what takes longer than CI may'
	@echo 'make install    DESTDIR= PREFIX=/usr/local'

layers:
	@tools/layers src

include $(wildcard tests/*.mk tests/*/*.mk tools/*.mk bench/*.mk)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)
