"""What every SDK has to pass: see rule-sdk/conformance/README.md."""

from streamalert_sdk import Finding, contains, equals, exists, helpers, log, lookup, prefix, rule, suffix

#: Bytes of a text that are shown whole, and characters of a longer one.
TEXT_MAX = 64
HEAD = 16


@rule(logs=["test:edge"])
def edge_reads(record):
    """Reads every path that the record names."""
    return Finding("reads", context={path: looked(record, path) for path in record.texts("want")})


def looked(record, path):
    number, positive = record.int(path), record.uint(path)
    return {
        "text": shown(record.text(path)),
        "int": None if number is None else str(number),
        "uint": None if positive is None else str(positive),
        "float": record.float(path),
        "bool": record.bool(path),
        "len": record.len(path),
        "exists": record.exists(path),
        "is_null": record.is_null(path),
    }


def shown(text):
    size = len(text.encode()) if text is not None else 0
    return text if size <= TEXT_MAX else f"{text[:HEAD]}…{size}"


@rule(logs=["test:edge"])
def edge_all(record):
    """Reports every row."""
    return True


@rule(logs=["test:edge"])
def edge_error(record):
    """Fails on demand."""
    if record.is_("mode", "error"):
        raise ValueError("asked to fail")
    return record.is_("mode", "ok")


@rule(logs=["test:edge"])
def edge_trap(record):
    """Breaks on demand."""
    mode = record.text_or("mode", "")
    if mode == "trap":
        return [mode][len(mode)]
    if mode == "overflow":
        return deeper(record) + 1
    while mode == "loop":
        pass
    kept = []
    while mode == "alloc":
        kept.append(bytearray(1 << 20))
    return mode == "ok"


def deeper(record):
    return deeper(record) + 1


@rule(logs=["test:edge"])
def edge_log(record):
    """Writes to the log."""
    log.debug("debug")
    log.info("info")
    log.warn("warn")
    log.error("error")
    for line in range(record.int("flood") or 0):
        log.info(f"line {line}")
    return record.is_("mode", "ok")


@rule(logs=["test:edge"])
def edge_lookup(record):
    """Looks things up."""
    asked = {"hit": ("owners", "alice"), "miss": ("owners", "nobody"), "no_table": ("none", "x")}
    return Finding(context={name: lookup.get(table, key) for name, (table, key) in asked.items()})


@rule(
    logs=["test:edge"],
    when=[
        equals("kind", ["login", "logout"]),
        equals("code", [401, 403]),
        equals("flag", True),
        prefix("agent", ["aws-cli", "Boto"]),
        suffix("host", ".example.com"),
        contains("command", ["-enc", "-nop"]),
        exists("detail.error"),
    ],
)
def edge_when(record):
    """Is asked about few records."""
    return True


@rule(logs=["test:edge"])
def edge_finding(record):
    """Says all that a finding can say."""
    return Finding(
        "Title é 日本",
        severity="critical",
        dedup_key="key é",
        context={"nested": {"list": [1, "two", None, True, 0.5]}, "text": "é"},
        outputs=["pagerduty:soc"],
    )


@rule(
    logs=["test:edge"],
    datatypes=["sourceAddress"],
    outputs=["slack:security", "pagerduty:soc"],
    publishers="add_record",
    severity="high",
    merge={"by": ["user", "host"], "minutes": 30, "on": "event", "first": "send", "max": 20},
    context={"team": "cloud"},
    tags=["one", "two"],
    references=["https://example.com/é"],
)
def edge_options(record):
    """Declares all that can be declared."""
    return False


@rule(logs=["test:edge"])
def edge_helpers(record):
    """Calls helpers."""
    return Finding(context={"results": [call(*asked) for asked in record.items("calls")]})


def call(name, *arguments):
    return getattr(helpers, name)(*arguments)
