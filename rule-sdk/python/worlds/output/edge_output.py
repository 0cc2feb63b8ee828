"""The same output in every language: tests/it/worlds_by_language.rs."""

from misbehave import misbehave
from streamalert_sdk import Fault, Request, Setting, accepted, answer, delivered, log, output, reject, retry, shorten


def check(settings):
    team = settings.get("team")
    return [Fault("team", "begins with #")] if team and not team.startswith("#") else []


@output(
    settings=[
        Setting.secret("url", "Where to ring"),
        Setting.secret("token", "Who we are").optional(),
        Setting.plain("team", "Whom to ring").optional(),
    ],
    hosts=["{url}"],
    rate=2.5,
    idempotent=True,
    validate=check,
)
def edge(parcel, http):
    """Rings whoever is on call"""
    title = parcel.alert.title
    misbehave(title)
    if title == "reject":
        return reject("nobody is on call")
    if title == "not now":
        return retry("nobody is awake").after(7).progress(f"{parcel.progress or ''}+")
    url, token = parcel.required("url"), parcel.setting("token") or "none"
    body = {
        "text": shorten(title, 20),
        "once": parcel.idempotency_key,
        "attempt": parcel.attempt,
        "now": parcel.now,
        "team": parcel.setting("team"),
        "magic": parcel.magic_text("text"),
        "shown": sorted(parcel.shown()),
        "output": parcel.output,
    }
    request = Request.post(url).query("q", "a b&ü").bearer(token).json(body)
    if title != "in two steps":
        return answer(http.send(request))
    number = accepted(http.send(request)).json()["id"]
    log.info(f"the token is {token}")
    accepted(http.send(Request.get(f"{url}/{number}").header("X-Step", "2")))
    return delivered(f"case {number}")
