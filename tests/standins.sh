#!/usr/bin/env bash
# Installs the servers that stand in for AWS in tests, each in a python environment of its own below target/standins. Nothing is
# done where they are.
#
#   tests/standins.sh
#
# Environment:
#   PYTHON  [python3]; with the module venv, which Debian keeps in python3-venv
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
FOLDER=$ROOT/target/standins
PYTHON=${PYTHON:-python3}

say() { printf 'stand-ins: %s\n' "$*" >&2; }

# One environment each: ministack pins a botocore that moto's boto3 would replace.
install() {
    local folder=$FOLDER/$1 package=$2
    [ ! -e "$folder/bin/python" ] || return 0
    say "installing $package"
    local new=$folder.new.$$
    rm -rf "$new"
    mkdir -p "$FOLDER"
    # Not every python can make environments.
    "$PYTHON" -m venv "$new" || {
        rm -rf "$new"
        say "$PYTHON cannot make a virtual environment; install python3 and python3-venv"
        exit 1
    }
    "$new/bin/python" -m pip install --quiet --disable-pip-version-check "$package" >&2 || {
        rm -rf "$new"
        say "pip could not install $package; look at the lines above"
        exit 1
    }
    # Whole or not at all: another test run may be looking, or may have been faster. The servers are started as
    # `python -m …`, so it does not matter that the scripts in bin/ name the folder as it was called before.
    "$PYTHON" -c 'import os, sys; os.rename(*sys.argv[1:])' "$new" "$folder" 2>/dev/null || rm -rf "$new"
}

install ministack-1.5.33 'ministack==1.5.33'
install moto-5.2.5 'moto[server]==5.2.5'
