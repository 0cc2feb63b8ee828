# For the toolchain.sh of languages whose tools come from npm, which source this: installs into the folder $1 what
# toolchain/package-lock.json beside toolchain.sh names; nothing global.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
into=$1

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
