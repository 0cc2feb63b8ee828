#!/usr/bin/env bash
# Builds the conformance component of every language whose tools are here, for the tests. A language without tools is passed over,
# and said so.
#
#   tests/languages.sh STREAMALERT
set -euo pipefail

cd "$(dirname "$0")/.."
streamalert=$1

say() { printf 'languages: %s\n' "$*" >&2; }

build() {
    local language=$1 tool=$2
    command -v "$tool" >/dev/null || {
        say "$language is passed over: there is no $tool"
        return 0
    }
    local begun=$SECONDS
    "$streamalert" build "rule-sdk/$language/conformance" --out "target/guests/conformance-$language" >/dev/null
    say "$language built in $((SECONDS - begun)) s"
}

build rust cargo
build assemblyscript node
build js node
build python python3
# Its component is a package of the SDK's own module.
if command -v go >/dev/null && [ -d rule-sdk/go/conformance ]; then
    begun=$SECONDS
    mkdir -p target/guests/conformance-go
    (cd rule-sdk/go && go run ./cmd/component -o ../../target/guests/conformance-go/conformance.wasm ./conformance)
    say "go built in $((SECONDS - begun)) s"
else
    say "go is passed over: there is no go"
fi
if [ -d rule-sdk/c/conformance ]; then build c python3; fi
