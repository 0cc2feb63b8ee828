#!/bin/sh
# Builds the bad guests into target/guests/bad-guests of the repository, where the tests look for them.
#
# Needs the standard library for wasm32-unknown-unknown: `rustup target add wasm32-unknown-unknown`, or a sysroot that has
# it, named by WASM_SYSROOT. The linker that makes components comes with rustc.
set -eu
cd "$(dirname "$0")"
host=$(rustc -vV | sed -n 's/^host: //p')
PATH=$(rustc --print sysroot)/lib/rustlib/$host/bin:$PATH
export PATH CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld
[ -z "${WASM_SYSROOT:-}" ] || export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--sysroot $WASM_SYSROOT"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-../../target/guests/build}"
cargo build --release --examples --target wasm32-unknown-unknown
out=../../target/guests/bad-guests
mkdir -p "$out"
cp "$CARGO_TARGET_DIR"/wasm32-unknown-unknown/release/examples/[a-z]*.wasm "$out"
# cargo leaves a second copy of each, with a hash in its name.
rm -f "$out"/*-????????????????.wasm
ls "$out"
