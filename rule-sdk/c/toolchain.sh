#!/usr/bin/env bash
# Makes sure that there is a C compiler for WebAssembly: zig's, from PyPI, in a folder of the project's own. Nothing else is changed.
#
#   rule-sdk/c/toolchain.sh
#
# Environment:
#   STREAMALERT_C_TOOLCHAIN   the folder [target/toolchains/c of this repository]
#   PYTHON                    [python3]
set -euo pipefail

VERSION=0.17.1
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=${STREAMALERT_C_TOOLCHAIN:-$root/target/toolchains/c}

if [ "$("$folder/ziglang/zig" version 2>/dev/null || true)" = "$VERSION" ]; then
    exit 0
fi
echo "toolchain: zig $VERSION into $folder (413 MB)" >&2
mkdir -p "$folder"
"${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --upgrade --target "$folder" "ziglang==$VERSION"
"$folder/ziglang/zig" version >/dev/null
