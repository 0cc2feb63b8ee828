#!/usr/bin/env bash
# Builds the Runtime Interface Emulator of AWS Lambda below target/standins, for the benchmark of cold starts. Needs go.
set -euo pipefail

ROOT=$(cd "$(dirname "$0")/.." && pwd)
FOLDER=$ROOT/target/standins
VERSION=v0.0.0-20261030222936-bef5c4ba774d
MODULE=github.com/aws/aws-lambda-runtime-interface-emulator
PROGRAM=$FOLDER/aws-lambda-rie-$VERSION

[ ! -e "$PROGRAM" ] || exit 0
command -v go >/dev/null || {
    echo "the Runtime Interface Emulator is built with go, which is not here" >&2
    exit 1
}
mkdir -p "$FOLDER/rie"
cd "$FOLDER/rie"
[ -e go.mod ] || go mod init rie
go get -tool "$MODULE/cmd/aws-lambda-rie@$VERSION"
go build -trimpath -ldflags '-s -w' -o "$PROGRAM.new" "$MODULE/cmd/aws-lambda-rie"
mv "$PROGRAM.new" "$PROGRAM"
