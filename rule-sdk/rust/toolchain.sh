#!/usr/bin/env bash
# Makes sure that rules in Rust can be built for WebAssembly with the rustc that is installed.
#
#   rule-sdk/rust/toolchain.sh
#
# 1. rustc has the target already, or an earlier run of this script made it: nothing to do.
# 2. `rustup target add wasm32-unknown-unknown`: the ordinary way.
# 3. Where rustup cannot fetch it, the standard library is built from its sources, once, into a folder of its own. The sources
#    are rustup's component rust-src, or Debian's package rust-src of exactly this version. Takes a minute; installs nothing,
#    and changes neither rustc's folders nor apt's.
#
# Environment:
#   STREAMALERT_WASM_SYSROOT    the folder for 3; `streamalert build` looks at the same variable
#                               [${XDG_CACHE_HOME:-$HOME/.cache}/streamalert/wasm-sysroot-<rustc version>]
#   RUST_LIBRARY                an unpacked `library` folder of the Rust sources of this version, instead of fetching one
#   STREAMALERT_RUSTUP_SECONDS  how long rustup may try; 0: do not ask it [120]
#   STREAMALERT_RUST_SRC_SUITE  the Debian suite to look for rust-src in [trixie-backports]
#   RUSTC, CARGO                [rustc, cargo]
set -euo pipefail

TARGET=wasm32-unknown-unknown
RUSTC=${RUSTC:-rustc}
CARGO=${CARGO:-cargo}
SUITE=${STREAMALERT_RUST_SRC_SUITE:-trixie-backports}

say() { printf 'toolchain: %s\n' "$*" >&2; }
fail() {
    say "$@"
    exit 1
}
has_std() { compgen -G "$1/libstd-*.rlib" >/dev/null; }

command -v "$RUSTC" >/dev/null || fail "there is no rustc; install Rust from https://rustup.rs, then run this again"
command -v "$CARGO" >/dev/null || fail "there is no cargo; install Rust from https://rustup.rs, then run this again"
about=$("$RUSTC" -vV)
version=$(sed -n 's/^release: //p' <<<"$about")
host=$(sed -n 's/^host: //p' <<<"$about")
commit=$(sed -n 's/^commit-hash: //p' <<<"$about")
rustc_sysroot=$("$RUSTC" --print sysroot)
sysroot=${STREAMALERT_WASM_SYSROOT:-${XDG_CACHE_HOME:-$HOME/.cache}/streamalert/wasm-sysroot-$version}

finished() {
    has_std "$sysroot/lib/rustlib/$TARGET/lib" && [ "$(cat "$sysroot/rustc-version" 2>/dev/null)" = "$("$RUSTC" -V)" ]
}

if has_std "$("$RUSTC" --print target-libdir --target $TARGET)"; then
    say "rustc $version has $TARGET: nothing to do"
    exit 0
fi
if finished; then
    say "rustc $version has $TARGET in $sysroot: nothing to do"
    exit 0
fi

# The ordinary way. Without a network rustup tries for long.
seconds=${STREAMALERT_RUSTUP_SECONDS:-120}
if [ "$seconds" != 0 ] && command -v rustup >/dev/null; then
    say "rustup target add $TARGET"
    bounded=()
    command -v timeout >/dev/null && bounded=(timeout "$seconds")
    if "${bounded[@]}" rustup target add $TARGET >&2 && has_std "$("$RUSTC" --print target-libdir --target $TARGET)"; then
        say "done: rustc $version has $TARGET"
        exit 0
    fi
    say "rustup could not; building the standard library from its sources instead"
fi

work=$(mktemp -d)
trap 'rm -rf "$work" "$sysroot.new.$$"' EXIT
# apt's download user must be able to look into it.
chmod 755 "$work"

# Where Debian's packages come from here, by the system's own sources: deb822 files first, then the old list.
debian_mirror() {
    local found
    found=$(cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk '
        /^URIs:/ { uri = $2 }
        /^Suites:/ { if ($0 !~ /security/ && uri ~ /debian/ && uri !~ /security/) { print uri; exit } }' || true)
    [ -n "$found" ] || found=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk '
        $1 == "deb" { for (i = 2; i <= NF; i++) if ($i ~ /:\// && $i !~ /security/) { print $i; exit } }' || true)
    printf '%s' "$found"
}

# Debian's rust-src of exactly this version, through apt with a source list and state of its own.
fetch_debian_source() {
    local mirror key package
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
        fail "no sources of the standard library: run \`rustup component add rust-src\`, or set RUST_LIBRARY to the \`library\` folder of the Rust $version sources"
    mirror=$(debian_mirror)
    [ -n "$mirror" ] || fail "apt's sources name no Debian mirror; set RUST_LIBRARY to the \`library\` folder of the Rust $version sources"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    [ -e "$key" ] || fail "$key is missing; install debian-archive-keyring"
    mkdir -p "$work/apt/lists/partial" "$work/apt/cache/archives/partial" "$work/deb"
    chmod -R a+rX "$work/apt" "$work/deb"
    printf 'deb [signed-by=%s] %s %s main\n' "$key" "$mirror" "$SUITE" >"$work/apt/sources.list"
    local apt=(-qq -o Dir::Etc::sourcelist="$work/apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
        -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o Acquire::Languages=none)
    [ "$(id -u)" != 0 ] || apt+=(-o APT::Sandbox::User=root)
    say "looking for rust-src $version in Debian's $SUITE"
    apt-get "${apt[@]}" update >&2 || fail "apt could not read $SUITE from $mirror"
    package=$(apt-cache "${apt[@]}" madison rust-src | awk -v v="$version" '$3 ~ "^" v "[+-]" { print $3; exit }')
    [ -n "$package" ] ||
        fail "Debian's $SUITE has no rust-src $version; set STREAMALERT_RUST_SRC_SUITE to one that has, or RUST_LIBRARY to the \`library\` folder of the Rust $version sources"
    say "fetching rust-src $package"
    (cd "$work/deb" && apt-get "${apt[@]}" download "rust-src=$package" >&2)
    dpkg-deb --fsys-tarfile "$work"/deb/rust-src_*.deb | tar -x -C "$work" "./usr/src/rustc-$version/library"
    library=$work/usr/src/rustc-$version/library
}

library=${RUST_LIBRARY:-$rustc_sysroot/lib/rustlib/src/rust/library}
if [ ! -f "$library/std/Cargo.toml" ]; then
    [ -z "${RUST_LIBRARY:-}" ] || fail "RUST_LIBRARY is $RUST_LIBRARY, which has no std/Cargo.toml; it must be the folder \`library\` of the Rust sources"
    fetch_debian_source
fi

say "building the standard library for $TARGET from $library"
mkdir -p "$work/crate/src"
printf '[package]\nname = "wasm_sysroot"\nversion = "0.1.0"\nedition = "2024"\n[workspace]\n' >"$work/crate/Cargo.toml"
echo '#![no_std]' >"$work/crate/src/lib.rs"
(
    cd "$work/crate"
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS CARGO_BUILD_TARGET
    # Bitcode, so that rules can be built with lto; a path that is the same on every machine, since panics name it.
    export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C embed-bitcode=yes --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}/registry=/registry --remap-path-prefix=$library=/rustc/$commit/library"
    # The stable compiler builds its own library only if told that it bootstraps.
    export RUSTC_BOOTSTRAP=1 __CARGO_TESTS_ONLY_SRC_ROOT="$library" CARGO_TARGET_DIR="$work/target"
    "$CARGO" build -q --release --target $TARGET -Zbuild-std=std,panic_abort
) || fail "cargo could not build the standard library; the errors are above"

new=$sysroot.new.$$
libraries=$new/lib/rustlib/$TARGET/lib
mkdir -p "$libraries"
cp "$work"/target/$TARGET/release/deps/lib*.rlib "$libraries/"
rm -f "$libraries"/libwasm_sysroot*
# Procedural macros and the linker run on this machine: they are rustc's own.
ln -s "$rustc_sysroot/lib/rustlib/$host" "$new/lib/rustlib/$host"
"$RUSTC" -V >"$new/rustc-version"
# Whole or not at all: another build may be looking.
rm -rf "$sysroot"
mv "$new" "$sysroot" 2>/dev/null || finished || fail "could not move the finished library to $sysroot"
say "done: $sysroot ($(du -sh "$sysroot/lib/rustlib/$TARGET/lib" | cut -f1))"
