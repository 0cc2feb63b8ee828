#!/bin/sh
# Adds the reference data beside the checkout to fuzz/corpus/, which is not kept in the repository. The first byte chooses
# what reads it: see src/.
set -eu
cd "$(dirname "$0")"
data=${1:-../../shared/data}
mkdir -p corpus/formats corpus/classify corpus/convert corpus/unwrap corpus/pieces
if [ ! -d "$data" ]; then
    echo "fuzz/corpus.sh: no reference data in $data; the seeds have to do" >&2
    exit 0
fi
command -v python3 >/dev/null || { echo "fuzz/corpus.sh: no python3; the seeds have to do" >&2; exit 0; }
python3 - "$data" <<'PY'
import base64, hashlib, json, pathlib, sys

data = pathlib.Path(sys.argv[1])


def keep(target, text):
    text = text if isinstance(text, bytes) else text.encode()
    # Longer inputs make fuzzing slow and find no more.
    if len(text) <= 16 << 10:
        name = hashlib.sha1(text).hexdigest()
        pathlib.Path("corpus", target, name).write_bytes(text)


def lines(path):
    path = data / path
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line]


# Letters that choose a parser, and a source with types of that parser.
formats = {"csv": "a", "kv": "f", "syslog": "i"}
sources = {"json": "abcn", "csv": "den", "kv": "gn", "syslog": "ln"}
for vector in lines("streamalert/vectors/parsers.jsonl"):
    text, parser = vector["data"], vector["options"]["parser"]
    if isinstance(text, dict) and "$bytes" in text:
        text = base64.b64decode(text["$bytes"])
    elif not isinstance(text, str):
        text = json.dumps(text)
    text = text if isinstance(text, bytes) else text.encode()
    if parser in formats:
        keep("formats", formats[parser].encode() + text)
    for letter in sources.get(parser, "n"):
        keep("classify", letter.encode() + text)
    keep("pieces", b"aa" + text)
for vector in lines("streamalert/inputs.jsonl"):
    for letter in "abn":
        keep("classify", letter + vector["input"])
for vector in lines("streamalert/vectors/payloads.jsonl"):
    keep("unwrap", "a" + json.dumps({"Records": vector.get("records", [])}))
    for record in vector.get("records", []):
        try:
            body = base64.b64decode(record["kinesis"]["data"])
        except (KeyError, TypeError, ValueError):
            continue
        keep("unwrap", b"b" + body)
        keep("pieces", b"aa" + body)
# One of each kind of log.
seen = set()
for event in lines("panther/events.jsonl"):
    kind = tuple(event["log_types"])
    if kind not in seen:
        seen.add(kind)
        keep("classify", "a" + json.dumps(event["event"]))
PY
