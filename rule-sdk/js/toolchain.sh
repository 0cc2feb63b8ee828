#!/usr/bin/env bash
# Makes sure that rules in JavaScript can be built: a bundler, and QuickJS as a component.
#
#   rule-sdk/js/toolchain.sh
#
# Installs from npm into target/toolchains/js of this checkout (50 MB, some seconds), or into
# $STREAMALERT_JS_TOOLCHAIN; nothing global. Versions are those of toolchain/package-lock.json.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
into=${STREAMALERT_JS_TOOLCHAIN:-$here/../../target/toolchains/js}

say() { printf 'toolchain: %s\n' "$*" >&2; }
command -v node >/dev/null && command -v npm >/dev/null || {
    say "there is no node with npm; install Node.js 20 or later from https://nodejs.org, then run this again"
    exit 1
}

mkdir -p "$into"
if cmp -s "$here/toolchain/package-lock.json" "$into/installed-lock.json"; then
    say "nothing to do"
    exit 0
fi
cp "$here/toolchain/package.json" "$here/toolchain/package-lock.json" "$into/"
(cd "$into" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2)
cp "$here/toolchain/package-lock.json" "$into/installed-lock.json"
say "done: $(cd "$into" && pwd)"
