#!/usr/bin/env bash
# Checks infra/: its form, its arguments against the schema of the provider, what is planned against the code, what checkov says, and
# that a log becomes an alert in what is planned. Prints a line for each check. Needs terraform or tofu, go, npm and python3 with venv, and
# for the last one a build (`make guests`); all else is installed below target/infra and target/standins.
#
#   tests/infra.sh                    everything
#   tests/infra.sh wiring             only that a log becomes an alert, and what functions may do for it
#   tests/infra.sh plan FILE [ARG…]   only a plan, as JSON in FILE, with nothing in it unknown; ARG is what `terraform plan` takes, such as
#                                     -var conf=/a/folder -var package=/a/zip, with whole paths [-var-file=tests/minimal.tfvars]
#
# Environment:
#   TERRAFORM  [terraform, else tofu]
#   PYTHON     [python3]
#   CALLS      [target/infra/calls] what other tests recorded of the functions' calls, with STREAMALERT_CALLS
#   CI         with `true`, a tool that is missing is a fault; else what needs it is skipped
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
FOLDER=$ROOT/target/infra
PYTHON=${PYTHON:-python3}
BINDINGS=25.7.0
PROVIDER=6.66.0
CHECKOV=3.3.30
export PYTHONDONTWRITEBYTECODE=1
# Of this run alone: another one may be under way.
TREE=$FOLDER/tree.$$/infra
FAULTS=0

say() { printf 'infra: %s\n' "$*"; }

# Without it there is nothing to check, which CI must not take for good.
missing() {
    if [ "${CI:-}" = true ]; then
        say "FAILED: $*"
        exit 1
    fi
    say "skipped: $*"
}

# A check by its name; what it prints is told in one line, or all of it if it fails.
check() {
    local name=$1 log=$TREE/log
    shift
    if "$@" >"$log" 2>&1; then
        say "ok: $name$(summary "$log")"
    else
        say "FAILED: $name"
        sed 's/^/    /' "$log"
        FAULTS=$((FAULTS + 1))
    fi
}

# The last line that says something.
summary() { sed -n '/^Plan:/p;/^Success!/p;/agree with/p;/are found$/p;/checks passed/p;/left to do$/p' "$1" | tail -n 1 | sed 's/^/: /'; }

TOOL=${TERRAFORM:-$(command -v terraform || command -v tofu || true)}
if [ -z "$TOOL" ]; then
    missing "neither terraform nor tofu is here"
    exit 0
fi
for tool in go npm "$PYTHON"; do
    if ! command -v "$tool" >/dev/null; then
        missing "$tool is not here, without which there is no provider to check with"
        exit 0
    fi
done
mkdir -p "$FOLDER/tree.$$"
WIRED=
# Who is told to end ends what it started.
trap '[ -z "$WIRED" ] || kill "$WIRED" 2>/dev/null || true; rm -rf "$FOLDER/tree.$$"' EXIT

# What the provider takes, as its bindings for npm have it; the provider itself is made of that, and creates nothing.
bindings() {
    local folder=$FOLDER/bindings-$BINDINGS new
    [ ! -e "$folder" ] || return 0
    say "fetching the schema of provider $PROVIDER" >&2
    new=$folder.new.$$
    rm -rf "$new"
    mkdir -p "$new"
    (cd "$new" && npm pack --silent "@cdktn/provider-aws@$BINDINGS" >/dev/null && tar xzf ./*.tgz && rm ./*.tgz)
    mv "$new" "$folder" 2>/dev/null || rm -rf "$new"
}

types() { grep -rhoE '^(resource|data) "aws_[a-z0-9_]+"' --include='*.tf' "$TREE" | sed -E 's/^resource "(.*)"$/\1/; s/^data "(.*)"$/data.\1/' | sort -u; }

provider() {
    local source=$TREE/tests/provider registry place
    types | "$PYTHON" "$source/schema.py" "$FOLDER/bindings-$BINDINGS/package" "$source/schema.json"
    (cd "$source" && go build -trimpath -ldflags '-s -w' -o "$TREE/provider" .)
    for registry in registry.terraform.io registry.opentofu.org; do
        place=$FOLDER/mirror/$registry/hashicorp/aws/$PROVIDER/$(go env GOOS)_$(go env GOARCH)
        mkdir -p "$place"
        # Another run may have it open; of one schema, all are equal.
        cp "$TREE/provider" "$place/new.$$"
        mv "$place/new.$$" "$place/terraform-provider-aws_v$PROVIDER"
    done
    rm "$TREE/provider"
    printf 'provider_installation {\n  filesystem_mirror {\n    path = "%s/mirror"\n  }\n}\ndisable_checkpoint = true\n' "$FOLDER" >"$FOLDER/rc"
}

# A copy, so that nothing is left in the sources. The zip is none: nobody runs it.
tree() {
    cp -r "$ROOT/infra" "$TREE"
    rm -rf "$TREE/.terraform" "$TREE/.terraform.lock.hcl"
    printf 'functions' >"$TREE/tests/bootstrap.zip"
}

run() { (cd "$TREE" && "$TOOL" "$@"); }

plan() { run plan -no-color -input=false -lock=false "-var-file=tests/$1.tfvars" "-out=$TREE/$1.plan"; }

# With everything in it that only AWS would say.
known() {
    STREAMALERT_PLAN=known plan "$1" && run show -json "$TREE/$1.plan" >"$2"
}

ready() {
    tree
    bindings
    provider
    export TF_CLI_CONFIG_FILE=$FOLDER/rc CHECKPOINT_DISABLE=1 TF_IN_AUTOMATION=1
    unset TF_DATA_DIR TF_WORKSPACE TF_CLI_ARGS
    run init -no-color -input=false >"$TREE/log" 2>&1 || {
        cat "$TREE/log"
        say "FAILED: init"
        exit 1
    }
}

WIRING=$ROOT/infra/tests/wiring/wiring.py
MINISTACK=$ROOT/target/standins/ministack-1.5.33/bin/python

# Plans for a configuration of `streamalert init`, to make it on a stand-in. Without what that takes, says so and leaves no plan.
plan_wiring() {
    local work=$TREE/wired lacks architecture=x86_64
    "$ROOT/tests/standins.sh" || {
        missing "the stand-ins of AWS cannot be installed, so the wiring is not tried"
        return 0
    }
    lacks=$("$MINISTACK" "$WIRING" missing)
    if [ -n "$lacks" ]; then
        missing "the wiring is not tried, which needs \`make guests\`: $(echo "$lacks" | tr '\n' ' ')"
        return 0
    fi
    [ "$(uname -m)" = x86_64 ] || architecture=arm64
    mkdir "$work"
    "$MINISTACK" "$WIRING" prepare "$work"
    STREAMALERT_PLAN=known run plan -no-color -input=false -lock=false "-var=conf=$work/wired" "-var=package=$work/bootstrap.zip" \
        "-var=architecture=$architecture" "-var=code_key=$(printf '%064d' 1)" '-var=archive={ partitions = "all" }' "-out=$work/plan" >"$TREE/log" 2>&1 || {
        cat "$TREE/log"
        say "FAILED: the plan of the wiring"
        exit 1
    }
    run show -json "$work/plan" >"$work/plan.json"
}

# Beside the other checks, as it waits most of the time.
begin_wiring() {
    if [ -e "$TREE/wired/plan.json" ]; then
        "$MINISTACK" "$WIRING" run "$TREE/wired" "${CALLS:-$FOLDER/calls}" >"$TREE/wired/told" 2>&1 &
        WIRED=$!
    fi
}

# Whatever it found is told, line by line.
end_wiring() {
    local code=0
    [ -n "$WIRED" ] || return 0
    wait "$WIRED" || code=$?
    WIRED=
    sed 's/^/infra:   /' "$TREE/wired/told"
    if [ "$code" = 0 ]; then
        say "ok: wiring, and permissions from recorded calls"
    else
        say "FAILED: wiring, and permissions from recorded calls"
        FAULTS=$((FAULTS + 1))
    fi
}

if [ "${1:-}" = wiring ]; then
    ready
    plan_wiring
    begin_wiring
    end_wiring
    exit "$FAULTS"
fi

if [ "${1:-}" = plan ]; then
    file=$(realpath -m "$2")
    shift 2
    [ $# -gt 0 ] || set -- -var-file=tests/minimal.tfvars
    ready
    STREAMALERT_PLAN=known run plan -no-color -input=false -lock=false "-out=$TREE/known.plan" "$@" >"$TREE/log" 2>&1 || {
        cat "$TREE/log" >&2
        exit 1
    }
    run show -json "$TREE/known.plan" >"$file.new.$$"
    mv "$file.new.$$" "$file"
    exit 0
fi

# Fails where the rest of the line does not, or does not say this.
refused() {
    local told=$1
    shift
    if "$@" >"$TREE/refused" 2>&1; then
        echo "it was taken"
        return 1
    fi
    # Messages are broken to lines and framed.
    tr -d '│\n' <"$TREE/refused" | tr -s ' ' | grep -qF -- "$told" || {
        cat "$TREE/refused"
        echo "it was refused, but nothing said: $told"
        return 1
    }
}

# Faults that the schema has to find, each by itself in a file of its own.
schema_finds() {
    local count=0 text told
    while IFS='|' read -r told text; do
        printf '%b\n' "$text" >"$TREE/fault.tf"
        refused "$told" run validate -no-color || {
            echo "$text"
            rm "$TREE/fault.tf"
            return 1
        }
        count=$((count + 1))
    done <<'FAULTS'
Unsupported argument|resource "aws_sqs_queue" "x" {\n  nam = "x"\n}
Missing required argument|resource "aws_lambda_function" "x" {\n  function_name = "x"\n}
Incorrect attribute value type|resource "aws_sqs_queue" "x" {\n  visibility_timeout_seconds = ["x"]\n}
Invalid resource type|resource "aws_lambda_functoin" "x" {}
Reference to undeclared resource|resource "aws_sqs_queue" "x" {\n  name = aws_sqs_queue.y.name\n}
Unsupported block type|resource "aws_dynamodb_table" "x" {\n  name = "x"\n  tttl {}\n}
Insufficient rule blocks|resource "aws_s3_bucket_ownership_controls" "x" {\n  bucket = "x"\n}
FAULTS
    rm "$TREE/fault.tf"
    echo "$count faults are found"
}

# Configurations that must not be applied.
configurations_refused() {
    local conf=$TREE/tests/conf-refused
    rm -rf "$conf"
    cp -r "$TREE/tests/conf-full" "$conf"
    # Two clusters hear of the same objects of one bucket.
    sed -i 's/"staging\/"/"prod\/web\/"/; s/"prefixes": \["prod\/web\/"\]/"prefixes": ["prod\/web\/"], "suffix": ".gz"/' "$conf/clusters/staging_two.json"
    refused "Two clusters would hear of the same objects of acme-shared" run plan -no-color -input=false -lock=false -var conf=tests/conf-refused -var package=tests/bootstrap.zip || return 1
    rm -rf "$conf"
    cp -r "$TREE/tests/conf-minimal" "$conf"
    sed -i 's/"acme"/"a-prefix-that-leaves-no-room-for-any-function"/' "$conf/aws.json"
    refused "more than the 64 characters that a function's name may have" run plan -no-color -input=false -lock=false -var conf=tests/conf-refused -var package=tests/bootstrap.zip || return 1
    rm -rf "$conf"
    cp -r "$TREE/tests/conf-full" "$conf"
    sed -i 's/{ "name": "request", "type": "string" }//' "$conf/generated/tables.json"
    refused "The table web_combined has no columns" run plan -no-color -input=false -lock=false -var conf=tests/conf-refused -var package=tests/bootstrap.zip || return 1
    rm -rf "$conf"
    cp -r "$TREE/tests/conf-minimal" "$conf"
    echo '{ "data_sources": { "sqs": { "logs": ["guardduty"] } } }' >"$conf/clusters/Prod EU.json"
    refused "is no name of a function" run plan -no-color -input=false -lock=false -var conf=tests/conf-refused -var package=tests/bootstrap.zip || return 1
    rm -rf "$conf"
    echo "4 faults are found"
}

# Less usual forms of files, which the product takes, too.
configurations_taken() {
    local conf=$TREE/tests/conf-taken
    rm -rf "$conf"
    cp -r "$TREE/tests/conf-minimal" "$conf"
    echo '{ "aws-eventbridge": ["soc"], "slack": ["soc"] }' >"$conf/outputs.json"
    echo '{ "data_sources": { "eventbridge": { "aws.*": ["guardduty"] } } }' >"$conf/clusters/pattern.json"
    STREAMALERT_PLAN=known run plan -no-color -input=false -lock=false -var conf=tests/conf-taken -var package=tests/bootstrap.zip "-out=$TREE/taken.plan" >"$TREE/taken" 2>&1 || {
        cat "$TREE/taken"
        return 1
    }
    # Said, but no reason to stop.
    tr -d '│\n' <"$TREE/taken" | tr -s ' ' | grep -qF "pattern: eventbridge aws.*" || {
        echo "nothing says that nothing comes of a pattern"
        return 1
    }
    run show -json "$TREE/taken.plan" >"$TREE/taken.json"
    grep -qF 'arn:aws:events:eu-west-1:000000000000:event-bus/default' "$TREE/taken.json" || {
        echo "an output that is named in a list may do nothing"
        return 1
    }
    # Clusters and sources whose names are one when they are put together.
    echo '{ "data_sources": { "eventbridge": { "b.c": ["guardduty"], "b-c": ["guardduty"] } } }' >"$conf/clusters/a.json"
    echo '{ "data_sources": { "eventbridge": { "c": ["guardduty"] } } }' >"$conf/clusters/a-b.json"
    STREAMALERT_PLAN=known run plan -no-color -input=false -lock=false -var conf=tests/conf-taken -var package=tests/bootstrap.zip "-out=$TREE/taken.plan" >"$TREE/taken" 2>&1 &&
        run show -json "$TREE/taken.plan" >"$TREE/taken.json" || {
        cat "$TREE/taken"
        return 1
    }
    "$PYTHON" "$TREE/tests/names.py" "$TREE/taken.json" || return 1
    rm -rf "$conf"
}

# Applied, and then nothing is left to do; and taken down again.
applied() {
    local state=$TREE/applied.tfstate
    rm -f "$state" "$state".*
    run apply -no-color -input=false -auto-approve "-state=$state" "-var-file=tests/$1.tfvars" || return 1
    run plan -no-color -input=false -detailed-exitcode "-state=$state" "-var-file=tests/$1.tfvars" || return 1
    run destroy -no-color -input=false -auto-approve "-state=$state" "-var-file=tests/$1.tfvars" || return 1
    echo "nothing was left to do"
}

# The commands of the README, as far as they go without AWS.
by_streamalert() {
    local program=${CARGO_TARGET_DIR:-$ROOT/target}/debug/streamalert work=$FOLDER/tree.$$
    mkdir -p "$work/target/package"
    for architecture in arm64 x86_64; do
        printf 'functions' >"$work/target/package/bootstrap-$architecture.zip"
    done
    in_work() { (cd "$work" && "$program" "$@" --infra infra --tool "$TOOL"); }
    (cd "$ROOT" && "$program" init "$work/acme" --yes) || return 1
    # Whatever others have written there.
    echo 'conf = "nowhere"' >"$work/infra/terraform.tfvars"
    in_work plan --config acme || return 1
    in_work deploy --config acme --yes || return 1
    in_work plan --config acme | tee "$TREE/again" || return 1
    grep -q "nothing to change" "$TREE/again" || return 1
    # The state is of acme, whatever another configuration says.
    (cd "$ROOT" && "$program" init "$work/other" --yes) || return 1
    for command in plan "deploy --yes --lose-data" "destroy --yes other"; do
        # shellcheck disable=SC2086
        refused "works on is of acme" in_work $command --config other || return 1
    done
    # An init that was broken off.
    rm -r "$work/infra/.terraform/providers"
    in_work plan --config acme || return 1
    in_work destroy --config acme --yes acme || return 1
    echo "nothing was left to do"
}

installed_checkov() {
    local folder=$FOLDER/checkov-$CHECKOV new
    [ ! -e "$folder/bin/checkov" ] || return 0
    new=$folder.new.$$
    rm -rf "$new"
    say "installing checkov $CHECKOV" >&2
    "$PYTHON" -m venv "$new" && "$new/bin/python" -m pip install --quiet --disable-pip-version-check "checkov==$CHECKOV" >&2 || {
        rm -rf "$new"
        return 1
    }
    # Its script names the folder it was made in; it is started by python instead.
    "$PYTHON" -c 'import os, sys; os.rename(*sys.argv[1:])' "$new" "$folder" 2>/dev/null || rm -rf "$new"
}

checkov() {
    # It fails where it finds anything, and that is told by what compares it with the exceptions.
    "$FOLDER/checkov-$CHECKOV/bin/python" -m checkov.main --file "$TREE/full.json" --framework terraform_plan --quiet --compact \
        --output json --soft-fail >"$TREE/checkov.json" 2>"$TREE/checkov.log" || {
        cat "$TREE/checkov.log"
        return 1
    }
    "$PYTHON" "$ROOT/infra/tests/checkov.py" "$TREE/checkov.json" "$ROOT/infra/tests/checkov.tsv"
}

ready
say "with $("$TOOL" version | head -n 1) and the schema of provider $PROVIDER"
plan_wiring
begin_wiring
check "format" run fmt -check -recursive -diff
check "validate" run validate -no-color
check "validate: what is wrong is refused" schema_finds
for size in minimal full; do
    check "plan, $size" plan $size
done
check "plan: what is wrong is refused" configurations_refused
check "plan: less usual forms are taken" configurations_taken
check "test" run test -no-color
for size in minimal full; do
    check "apply, plan again, destroy, $size" applied $size
    check "everything known, $size" known $size "$TREE/$size.json"
    check "plan against the code, $size" "$PYTHON" "$ROOT/infra/tests/check.py" "$TREE/$size.json" "$ROOT/infra/tests/conf-$size" "$ROOT"
done
for size in minimal full; do
    check "plan against the code: what is wrong is found, $size" "$PYTHON" "$ROOT/infra/tests/controls.py" "$TREE/$size.json" "$ROOT/infra/tests/conf-$size" "$ROOT"
done
if [ -x "${CARGO_TARGET_DIR:-$ROOT/target}/debug/streamalert" ]; then
    check "init, deploy, destroy by streamalert" by_streamalert
else
    missing "streamalert is not built (\`make dev\`), so it deploys nothing"
fi
if installed_checkov; then
    check "checkov" checkov
else
    missing "checkov $CHECKOV could not be installed"
fi
end_wiring
[ "$FAULTS" = 0 ] || {
    say "$FAULTS checks failed"
    exit 1
}
