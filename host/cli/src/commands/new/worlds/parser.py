"""The parser @ident@."""

from streamalert_sdk import Part, lines, parser


@parser(schemas="schemas.json", name="@ident@")
def @ident@_parser(payload):
    """Lines like `time|user|action`; a record for each.

    This text is what `streamalert inspect` shows: say what the parser reads, and what it makes of it.
    """
    # A blank line means nothing and is in no part.
    return [part(line) for line in lines(payload) if line.bytes.strip()]


def part(line):
    try:
        return Part.record(line.place, "@ident@:event", event(line.text()))
    except ValueError as error:
        # Becomes a dead letter with these bytes.
        return Part.error(line.place, str(error))


def event(line):
    fields = [field.strip() for field in line.split("|")]
    if len(fields) != 3:
        raise ValueError(f"{len(fields)} fields instead of 3")
    time, user, action = fields
    if not time.isdecimal():
        raise ValueError(f"the time: {time} is no number")
    return {"time": int(time), "user": user, "action": action}
