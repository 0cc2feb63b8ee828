"""The same parser in every language: tests/it/worlds_by_language.rs."""

import re

from misbehave import misbehave
from streamalert_sdk import Part, lines, log, parser


def sniff(head):
    return head.startswith(b"#e")


@parser(schemas="schemas.json", sniff=sniff)
def edge(payload):
    """Lines like `time|user|action`; a record for each."""
    parts = []
    for line in lines(payload):
        parts += read(line)
    return parts


def read(line):
    text = line.text().strip()
    if text in ("", "#edge"):
        return []
    if text == "refuse":
        raise ValueError("this payload is refused")
    if text.startswith("log "):
        log.info(text[4:])
        return []
    if text.startswith("raw "):
        return [Part.raw(line.place, text[4:])]
    misbehave(text)
    fields = text.split("|")
    if len(fields) != 3:
        return [Part.error(line.place, f"{len(fields)} fields instead of 3")]
    time, user, action = fields
    if not re.fullmatch("-?[0-9]+", time):
        return [Part.error(line.place, f"the time: {time} is no number")]
    record = Part.record(line.place, "edge:event", {"time": int(time), "user": user, "action": action})
    # Several parts may be about the very same piece.
    return [record, record] if action == "twice" else [record]
