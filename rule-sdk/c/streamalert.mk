# What a folder of rules in C does: its own streamalert.mk names the SDK and includes this file.
#
#   make -f streamalert.mk          builds the component
#   make -f streamalert.mk test     runs tests/*.c and test_*.c on this machine, without WebAssembly

SA_SDK := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
SA_ZIG := $(or $(STREAMALERT_C_TOOLCHAIN),$(SA_SDK)/../../target/toolchains/c)
SA_RULES := $(filter-out test_%,$(wildcard *.c))
SA_TESTS := $(wildcard tests/*.c test_*.c)

export ZIG_GLOBAL_CACHE_DIR = $(abspath $(SA_ZIG))/cache
export ZIG_LOCAL_CACHE_DIR = $(abspath $(SA_ZIG))/cache

.PHONY: build test

build:
	$(SA_SDK)/build.sh .

test:
	@$(SA_SDK)/toolchain.sh
	@mkdir -p target/tests
	@set -e; for test in $(SA_TESTS); do \
		program=target/tests/$$(basename $$test .c); \
		$(SA_ZIG)/ziglang/zig cc -std=gnu17 -g -O1 -fsanitize=undefined -Wall -Wextra -I$(SA_SDK) -o $$program \
			$$test $(SA_RULES) $(SA_SDK)/streamalert.c $(SA_SDK)/helpers.c; \
		./$$program; echo "$$test: ok"; \
	done
