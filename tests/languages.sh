#!/usr/bin/env bash
# For every language whose tools are here: the conformance component, which the tests run, or the language's own tests of its SDK
# and of the same rule in example-rules/root-login. A language without tools is passed over, and said so.
#
#   tests/languages.sh build STREAMALERT
#   tests/languages.sh test
set -euo pipefail

cd "$(dirname "$0")/.."
root=$PWD
step=$1
streamalert=${2-}

say() { printf 'languages: %s\n' "$*" >&2; }

# Its component is a package of the SDK's own module.
build_go() {
    mkdir -p target/guests/conformance-go
    (cd rule-sdk/go && go run ./cmd/component -o "$root/target/guests/conformance-go/conformance.wasm" ./conformance)
}

build_other() {
    "$streamalert" build "rule-sdk/$1/conformance" --out "target/guests/conformance-$1" >/dev/null
}

# In the SDK's folder and in that of the example.
test_in() {
    case $1 in
    assemblyscript) "$root/rule-sdk/assemblyscript/bin/streamalert-as.mjs" test ;;
    js) "$root/rule-sdk/js/bin/streamalert-js.mjs" test ;;
    python) PYTHONPATH="$root/rule-sdk/python" python3 -m unittest discover ;;
    c) make --silent --file streamalert.mk test ;;
    go) go vet ./... && go test ./... ;;
    esac
}

run() {
    local language=$1 tool=$2 tests=$3
    command -v "$tool" >/dev/null || {
        say "$language is passed over: there is no $tool"
        return 0
    }
    local begun=$SECONDS
    if [ "$step" = build ]; then
        if [ "$language" = go ]; then build_go; else build_other "$language"; fi
        say "$language built in $((SECONDS - begun)) s"
        return 0
    fi
    local folder output
    for folder in $tests; do
        output=$(cd "$folder" && test_in "$language" 2>&1) || {
            printf '%s\n' "$output" >&2
            say "the tests in $folder failed"
            exit 1
        }
    done
    say "$language tested in $((SECONDS - begun)) s"
}

examples=example-rules/root-login
# Rust is tested with the workspace.
[ "$step" = test ] || run rust cargo ""
run assemblyscript node "rule-sdk/assemblyscript $examples/assemblyscript"
run js node "rule-sdk/js $examples/js"
run python python3 "rule-sdk/python $examples/python"
run c python3 "rule-sdk/c/tests $examples/c"
run go go "rule-sdk/go $examples/go"
