#!/usr/bin/env bash
# Builds the C files of a folder, but for those of tests, into one component: rules, or what SA_WORLD in its streamalert.mk says.
#
#   rule-sdk/c/build.sh FOLDER [--out OUT.wasm]     [FOLDER/target/plugins/<name of the folder>.wasm]
#
# Environment: CFLAGS, what the compiler is told besides.
set -euo pipefail

sdk=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$sdk/../.." && pwd)
[ $# -ge 1 ] || { sed -n '2,6s/^# \{0,1\}//p' "$0" >&2; exit 2; }
folder=$(cd "$1" && pwd)
name=$(basename "$folder")
out=$folder/target/plugins/${name//-/_}.wasm
if [ "${2:-}" = --out ]; then
    out=$3
fi

world=$(sed -n 's/^SA_WORLD *:*= *//p' "$folder/streamalert.mk" 2>/dev/null | tail -n 1)
world=${world:-rule}
case $world in
rule | parser | publisher) ;;
*)
    echo "build: $folder/streamalert.mk: SA_WORLD $world is none of rule, parser, publisher" >&2
    exit 2
    ;;
esac

"$sdk/toolchain.sh"
toolchain=${STREAMALERT_C_TOOLCHAIN:-$root/target/toolchains/c}
export ZIG_GLOBAL_CACHE_DIR=$toolchain/cache ZIG_LOCAL_CACHE_DIR=$toolchain/cache

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mapfile -t sources < <(find "$folder" -name '*.c' -not -name 'test_*' -not -path "$folder/target/*" -not -path "$folder/tests/*" | LC_ALL=C sort)
[ ${#sources[@]} -gt 0 ] || { echo "build: there is no C file in $folder" >&2; exit 1; }
# Recursion of some thousand calls: a quarter of a MiB of stack lies below all else, so that what goes beyond is a trap. Names of
# functions stay, so that a fault can be told with its place; paths of this machine do not.
# shellcheck disable=SC2086
"$toolchain/ziglang/zig" cc -target wasm32-wasi -mexec-model=reactor -std=gnu17 -O2 -g0 -Wall -Wextra \
    "-ffile-prefix-map=$folder=." "-ffile-prefix-map=$sdk=streamalert" -I"$sdk" "-DSA_WORLD_${world^^}" ${CFLAGS:-} \
    -Wl,-z,stack-size=262144 -o "$work/core.wasm" \
    "$sdk/streamalert.c" "$sdk/helpers.c" "${sources[@]}"
mkdir -p "$(dirname "$out")"
python3 "$sdk/component.py" "$work/core.wasm" "$out" "$world"
