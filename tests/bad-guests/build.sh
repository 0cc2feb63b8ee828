#!/bin/sh
# Builds the bad guests into target/guests/bad-guests of the repository, where the tests look for them.
#
# Needs the standard library for wasm32-unknown-unknown: rule-sdk/rust/toolchain.sh sees to it. The linker that makes
# components comes with rustc.
set -eu
cd "$(dirname "$0")"
host=$(rustc -vV | sed -n 's/^host: //p')
PATH=$(rustc --print sysroot)/lib/rustlib/$host/bin:$PATH
export PATH CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-component-ld
if ! ls "$(rustc --print target-libdir --target wasm32-unknown-unknown)"/libstd-*.rlib >/dev/null 2>&1; then
    version=$(rustc -vV | sed -n 's/^release: //p')
    sysroot=${STREAMALERT_WASM_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/streamalert/wasm-sysroot-$version}
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--sysroot $sysroot"
fi
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-../../target/guests/build}"
cargo build --release --examples --target wasm32-unknown-unknown
out=../../target/guests/bad-guests
mkdir -p "$out"
cp "$CARGO_TARGET_DIR"/wasm32-unknown-unknown/release/examples/[a-z]*.wasm "$out"
# cargo leaves a second copy of each, with a hash in its name.
rm -f "$out"/*-????????????????.wasm
ls "$out"
