# The two commands of the README, and what they are made of.
#
#   make demo    builds everything, runs the example rules over the sample logs, shows the alerts
#   make test    builds everything, runs every test
#   make search  builds streamalert-search, which `streamalert search` needs
#   make bench   figures, as ratios to CPython's json.loads (needs python3)
#   make infra   checks the infrastructure, and what functions may do in it (needs terraform or tofu, go, npm)
#   make lint    formatting and lints
#   make fuzz    every fuzz target for SECONDS (600), up to the first finding (needs nightly and cargo-fuzz)

TARGET := $(or $(CARGO_TARGET_DIR),target)
DEV := $(TARGET)/debug/streamalert
RELEASE := $(TARGET)/release/streamalert
# Which calls of AWS the functions made in tests.
CALLS := $(abspath target/infra/calls)
BENCHES := $(foreach bench,throughput classifier alerts delivery languages search,--bench $(bench))

.PHONY: demo search test infra bench lint fuzz guests toolchain release dev standins

demo: toolchain release
	$(RELEASE) build example-rules --out plugins
	rm -rf target/demo
	$(RELEASE) run --config conf --plugins plugins --input samples --data target/demo

# Benchmarks are tried, each part once: else they break unnoticed, since figures are seldom taken.
test: guests standins
	tests/languages.sh test
	tests/languages.sh fresh $(DEV)
	tests/readmes.py $(DEV)
	rm -rf $(CALLS)
	STREAMALERT_CALLS=$(CALLS) cargo test --workspace --quiet
	cargo test --workspace --quiet $(BENCHES)
	cd example-rules && cargo test --quiet
	$(DEV) test example-rules --no-build --plugins target/guests/example-rules
	CALLS=$(CALLS) tests/infra.sh

infra: guests standins
	CALLS=$(CALLS) tests/infra.sh

bench: guests
	cargo bench --workspace $(BENCHES)

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	cd example-rules && cargo fmt --all --check && cargo clippy --all-targets --quiet -- -D warnings
	cd tests/bench-rules && cargo fmt --all --check
	cd tests/bad-guests && cargo fmt --all --check
	cd rule-sdk/rust/conformance && cargo fmt --check
	cd fuzz && cargo fmt --check

SECONDS ?= 600

fuzz:
	fuzz/corpus.sh
	set -e; for target in formats classify convert unwrap pieces; do \
		cargo +nightly fuzz run --fuzz-dir fuzz $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(SECONDS) -rss_limit_mb=2048 -timeout=10; \
	done

# Every component that tests and benchmarks load.
guests: toolchain dev
	$(DEV) build example-rules --out target/guests/example-rules
	$(DEV) build tests/bench-rules --out target/guests/bench-rules
	tests/languages.sh build $(DEV)
	CARGO_TARGET_DIR=$(abspath target/guests/build) tests/bad-guests/build.sh

# Servers that stand in for AWS. Where they cannot be had, tests that ask for them are skipped, but in CI.
standins:
	tests/standins.sh || [ "$$CI" != true ]

toolchain:
	rule-sdk/rust/toolchain.sh

# Always the whole workspace: of other sets of crates the features differ, and cargo builds the sandbox anew.
dev:
	cargo build --quiet --workspace --bins --tests

release:
	cargo build --release --workspace --bin streamalert

search: toolchain
	cargo build --release --workspace --bin streamalert --bin streamalert-search
