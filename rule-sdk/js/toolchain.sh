#!/usr/bin/env bash
# Makes sure that rules in JavaScript can be built: a bundler, and QuickJS as a component.
#
#   rule-sdk/js/toolchain.sh
#
# Installs from npm into target/toolchains/js of this checkout (50 MB, some seconds), or into
# $STREAMALERT_JS_TOOLCHAIN; nothing global. Versions are those of toolchain/package-lock.json.
set -euo pipefail

sdk=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$sdk/../npm-toolchain.sh" "${STREAMALERT_JS_TOOLCHAIN:-$sdk/../../target/toolchains/js}"
