#!/usr/bin/env bash
# For every language whose tools are here: the conformance component, which the tests run; the language's own tests of its SDK and of
# the same rule in example-rules/root-login; and what a newcomer does on a machine of their own, from `streamalert new` to an alert.
# A language without tools is passed over, and said so.
#
#   tests/languages.sh build STREAMALERT
#   tests/languages.sh test
#   tests/languages.sh fresh STREAMALERT [LANGUAGE…]
set -euo pipefail

cd "$(dirname "$0")/.."
root=$PWD
step=${1-}
streamalert=${2-}
examples=example-rules/root-login

say() { printf 'languages: %s\n' "$*" >&2; }

fail() {
    say "$*"
    exit 1
}

# Hundredths of a second since the epoch.
now() { printf '%s' "$((${EPOCHREALTIME/[.,]/} / 10000))"; }

seconds() { printf '%d.%02d' "$(($1 / 100))" "$(($1 % 100))"; }

# What a language needs that nothing here installs.
tool_of() {
    case $1 in
    rust) echo cargo ;;
    go) echo go ;;
    tinygo) echo tinygo ;;
    assemblyscript | js | ts) echo node ;;
    python | c) echo python3 ;;
    *) fail "there is no language $1" ;;
    esac
}

there_is() {
    local tool
    tool=$(tool_of "$1")
    command -v "$tool" >/dev/null || {
        say "$1 is passed over: there is no $tool"
        return 1
    }
}

# A command that is silent unless it fails.
quietly() {
    local output
    output=$("$@" 2>&1) || {
        printf '%s\n' "$output" >&2
        return 1
    }
}

build() {
    there_is "$1" || return 0
    local begun out=$root/target/guests/conformance-$1
    begun=$(now)
    mkdir -p "$out"
    case $1 in
    # Its component is a package of the SDK's own module.
    go) (cd rule-sdk/go && go run ./cmd/component -o "$out/conformance.wasm" ./conformance) ;;
    tinygo) (cd rule-sdk/go && go run ./cmd/component -tinygo -o "$out/conformance.wasm" ./conformance) ;;
    *) "$streamalert" build "rule-sdk/$1/conformance" --out "$out" >/dev/null ;;
    esac
    build_worlds "$1"
    say "$1 built in $(seconds $(($(now) - begun))) s"
}

# A parser, publishers and an output, those of them that the language has: the folders of rule-sdk/LANGUAGE/worlds.
build_worlds() {
    local world folder out=$root/target/guests/worlds-$1
    mkdir -p "$out"
    case $1 in
    # One workspace.
    rust) "$streamalert" build rule-sdk/rust/worlds --out "$out" >/dev/null ;;
    go | tinygo)
        local how=()
        [ "$1" = go ] || how=(-tinygo)
        for world in parser publisher output; do
            (cd rule-sdk/go && go run ./cmd/component "${how[@]}" -o "$out/edge_$world.wasm" "./worlds/$world")
        done
        ;;
    # The program would compile each to see whether the host takes it; that takes Python a minute, and the tests do so anyway.
    python)
        for world in parser publisher output; do
            python3 rule-sdk/python/build.py "rule-sdk/python/worlds/$world" --out "$out/edge_$world.wasm" >/dev/null
        done
        ;;
    *)
        for folder in "rule-sdk/$1/worlds"/*/; do
            "$streamalert" build "$folder" --out "$out" >/dev/null
        done
        ;;
    esac
}

# In the SDK's folder, in that of the example or in a new one.
native_test() {
    case $1 in
    rust) cargo test --quiet ;;
    assemblyscript) "$root/rule-sdk/assemblyscript/bin/streamalert-as.mjs" test ;;
    js | ts) "$root/rule-sdk/js/bin/streamalert-js.mjs" test ;;
    python) PYTHONPATH="$root/rule-sdk/python" python3 -m unittest discover ;;
    c) make --silent --file streamalert.mk test ;;
    go) go vet ./... && go test ./... ;;
    esac
}

test_sdk() {
    local language=$1 begun folder
    shift
    there_is "$language" || return 0
    begun=$(now)
    for folder in "$@"; do
        (cd "$folder" && quietly native_test "$language") || fail "the tests in $folder failed"
    done
    say "$language tested in $(seconds $(($(now) - begun))) s"
}

# What a new folder's README says of testing it, from its own text.
as_told() {
    local command
    command=$(sed -n 's/^`\(.*\)` runs it as a plain function.*/\1/p' README.md)
    [ -n "$command" ] || fail "$PWD/README.md does not say how the rule is tested"
    bash -c "set -e; $command"
}

record() {
    cat <<JSON
{"Records": [{"eventVersion": "1.11", "userIdentity": {"type": "IAMUser", "userName": "eve"}, "eventTime": "2026-11-17T11:16:40Z",
 "eventSource": "cloudtrail.amazonaws.com", "eventName": "StopLogging", "awsRegion": "us-east-1", "sourceIPAddress": "203.0.113.66",
 "userAgent": "aws-cli/2", "eventID": "$1", "readOnly": false, "eventType": "AwsApiCall", "recipientAccountId": "111122223333"}]}
JSON
}

# Waits for a text in a file that a process writes, at most so many seconds.
wait_for() {
    local end=$(($(now) + $3 * 100))
    until grep --quiet --fixed-strings -- "$1" "$2" 2>/dev/null; do
        kill -0 "$running" 2>/dev/null || fail "the run has ended: $(cat "$fresh/run.log")"
        [ "$(now)" -lt "$end" ] || fail "after $3 s there is no \`$1\` in $2: $(tail -n 20 "$fresh/run.log")"
        sleep 0.05
    done
}

newcomer() {
    local language=$1 rule=trail_$1 begun folder times="" component
    there_is "$language" || return 0
    begun=$(now)
    local mark=$begun
    lap() {
        times+=", $1 $(seconds $(($(now) - mark)))"
        mark=$(now)
    }
    "$streamalert" new rule "$rule" --lang "$language" --dir "$fresh" >/dev/null
    folder=$fresh/${rule//_/-}
    (cd "$folder" && quietly as_told) || fail "the rule's own test in $folder failed"
    lap "its own test"
    (cd "$folder" && quietly "$streamalert" test) || fail "streamalert test in $folder failed"
    lap "streamalert test"
    (cd "$folder" && quietly "$streamalert" build --out "$fresh/built/$language") || fail "streamalert build in $folder failed"
    lap "build"
    component=$(basename "$fresh/built/$language/"*.wasm)
    cp "$fresh/built/$language/$component" "$fresh/plugins/.$component"
    mv "$fresh/plugins/.$component" "$fresh/plugins/$component"
    wait_for "live: $component" "$fresh/run.log" 180
    lap "live"
    record "fresh-$language" >"$fresh/$language.json"
    mv "$fresh/$language.json" "$fresh/inbox/"
    wait_for "\"rule_name\":\"$rule\"" "$fresh/alerts.jsonl" 30
    lap "alert"
    say "$language from new to alert in $(seconds $(($(now) - begun))) s${times/,/:}"
}

# One process runs all the while; each language's component is dropped into its folder.
fresh() {
    fresh=$root/target/fresh
    rm -rf "$fresh"
    mkdir -p "$fresh/plugins" "$fresh/inbox"
    # What cargo and the like have built already, a second run need not build again.
    export CARGO_TARGET_DIR=$root/target/fresh-cargo
    "$streamalert" run --config conf --plugins "$fresh/plugins" --watch "$fresh/inbox" --data "$fresh/data" --output json \
        >"$fresh/alerts.jsonl" 2>"$fresh/run.log" &
    running=$!
    trap 'kill "$running" 2>/dev/null || true' EXIT
    local language
    for language in "$@"; do
        newcomer "$language"
    done
    kill "$running"
    wait "$running" || fail "the run ended badly: $(tail -n 20 "$fresh/run.log")"
    trap - EXIT
}

case $step in
build)
    for language in rust assemblyscript js python c go tinygo; do
        build "$language"
    done
    ;;
test)
    # Rust's SDK is tested with the workspace.
    CARGO_TARGET_DIR=$root/target/fresh-cargo test_sdk rust $examples/rust
    test_sdk assemblyscript rule-sdk/assemblyscript $examples/assemblyscript
    test_sdk js rule-sdk/js $examples/js
    test_sdk python rule-sdk/python $examples/python
    test_sdk c rule-sdk/c/tests $examples/c
    test_sdk go rule-sdk/go $examples/go
    ;;
fresh)
    shift 2
    [ $# -gt 0 ] || set -- rust assemblyscript go js ts python c
    streamalert=$(realpath "$streamalert")
    fresh "$@"
    ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
