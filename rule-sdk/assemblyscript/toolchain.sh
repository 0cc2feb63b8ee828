#!/usr/bin/env bash
# Makes sure that rules in AssemblyScript can be built: the compiler, and the tools that make a component of its module.
#
#   rule-sdk/assemblyscript/toolchain.sh
#
# Installs from npm into target/toolchains/assemblyscript of this checkout (315 MB, some seconds), or into
# $STREAMALERT_AS_TOOLCHAIN; nothing global. Versions are those of toolchain/package-lock.json.
set -euo pipefail

sdk=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source "$sdk/../npm-toolchain.sh" "${STREAMALERT_AS_TOOLCHAIN:-$sdk/../../target/toolchains/assemblyscript}"
