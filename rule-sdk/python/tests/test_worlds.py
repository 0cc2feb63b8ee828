"""Parsers, publishers and outputs as plain functions."""

import unittest

from streamalert_sdk import (
    Alert,
    Failure,
    FakeHttp,
    Fault,
    Parcel,
    Part,
    Request,
    Response,
    RuleError,
    Setting,
    Settings,
    Target,
    Url,
    accepted,
    answer,
    delivered,
    escape_html,
    lines,
    output,
    parser,
    percent,
    plain,
    publisher,
    reject,
    retry,
    shorten,
)
from streamalert_sdk.delivery import OUTPUTS
from streamalert_sdk.parsing import PARSERS
from streamalert_sdk.publishing import PUBLISHERS


class Declared(unittest.TestCase):
    def setUp(self):
        for declared in (PARSERS, PUBLISHERS, OUTPUTS):
            self.addCleanup(declared.__setitem__, slice(None), list(declared))


class Parsing(Declared):
    def test_lines_know_their_place(self):
        for payload, expected in (
            (b"", []),
            (b"a", [("a", 0)]),
            (b"a\nbc\r\n\nd", [("a", 0), ("bc", 2), ("", 6), ("d", 7)]),
            (b"\n\r\n", [("", 0), ("", 1)]),
            (b"\xff\xe2\x82", [("\ufffd\ufffd", 0)]),
        ):
            self.assertEqual([(line.text(), line.place.start) for line in lines(payload)], expected)

    def test_what_is_declared_is_kept(self):
        @parser(schemas={"a:b": {}}, takes="whole", sniff=bool, name="other")
        def one(payload):
            """Says é."""

        kept = PARSERS[-1]
        told = (kept.name, kept.description, kept.schemas, kept.takes)
        self.assertEqual(told, ("other", "Says é.", '{"a:b":{}}', "whole"))
        self.assertIs(kept.parse, one)

    def test_mistakes_are_told_at_once(self):
        with self.assertRaises(RuleError) as told:
            parser(schemas="nowhere.json", takes="line", sniff=1)(lambda payload: [])
        for part in ("`takes` is one of lines, whole", "`sniff` takes a function", "nowhere.json: No such file"):
            self.assertIn(part, str(told.exception))
        with self.assertRaises(RuleError) as told:
            output(settings=["url"], hosts="a", rate=0, validate=1)(lambda parcel, http: None)
        for part in ("`settings` takes a list", "`hosts` takes a list", "`rate` takes", "`validate` takes"):
            self.assertIn(part, str(told.exception))

    def test_parts_are_records_or_reasons(self):
        place = range(1, 3)
        record = Part.record(place, "a:b", {"n": 2**63 - 1, "t": "é"})
        self.assertEqual(record.json, '{"n":9223372036854775807,"t":"é"}')
        self.assertEqual((Part.error(place, "why").json, Part.error(place, "why").reason), (None, "why"))
        self.assertEqual(repr(Part.error(place, "why")), "Part.error(range(1, 3), 'why')")
        with self.assertRaises(TypeError):
            Part.record(place, "a:b", ["no object"])
        with self.assertRaises(TypeError):
            Part.raw((1, 3), "{}")


class Publishing(Declared):
    def test_an_alert_says_nothing_where_there_is_nothing(self):
        said = {"rule_name": "r", "title": "", "severity": "HIGH", "tags": ["a", 1]}
        alert = Alert({**said, "created": "2026-01-02T03:04:05Z"})
        self.assertEqual((alert.title, alert.severity, alert.created_at, alert.tags), ("r", "high", 1767323045, ["a"]))
        nothing = Alert()
        self.assertEqual((nothing.title, nothing.severity, nothing.created_at), ("", "medium", None))
        self.assertEqual((nothing.record, nothing.context, nothing.source.object), (None, {}, ""))
        self.assertFalse(nothing.staged)

    def test_a_target_is_a_service_and_a_descriptor(self):
        target = Target("slack:sec:ops")
        self.assertEqual((target.service, target.descriptor, target.magic("text")), ("slack", "sec:ops", "@slack.text"))

    def test_names_are_those_of_functions_unless_they_are_given(self):
        @publisher
        def one(alert, publication, target):
            """First."""

        @publisher(name="two")
        def other(alert, publication, target):
            """Second."""

        kept = [(one.name, one.description) for one in PUBLISHERS[-2:]]
        self.assertEqual(kept, [("one", "First."), ("two", "Second.")])


def no_x(settings):
    return [Fault("team", "there is none")] if settings.get("team") == "x" else None


class Delivering(Declared):
    def pager(self):
        settings = [Setting.secret("url", ""), Setting.plain("team", "").optional()]

        @output(settings=settings, hosts=["{url}"], validate=no_x)
        def pager(parcel, http):
            """Rings."""
            body = {"text": parcel.alert.title, "to": parcel.setting("team")}
            first = accepted(http.send(Request.post(parcel.required("url")).json(body)))
            return delivered((first.json() or {}).get("id"))

        return pager

    def test_an_output_is_run_against_a_script(self):
        pager = self.pager()
        http = FakeHttp().answer(503, "busy").header("Retry-After", "30").json(200, {"id": "A-1"})
        http.fail("timeout").fail("forbidden")
        parcel = Parcel.sample(pager, {"title": "Look"}, {"url": " https://a.example ", "team": ""})
        self.assertEqual(pager(parcel, http), retry("answered 503 Service Unavailable: busy").after(30))
        self.assertEqual(pager(parcel, http), delivered("A-1"))
        self.assertEqual(pager(parcel, http), retry("the time for the delivery is up"))
        self.assertEqual(pager(parcel, http), reject("the host is not permitted"))
        self.assertEqual((http.left, http.requests[0].body_json()), (0, {"text": "Look", "to": None}))
        with self.assertRaises(AssertionError):
            pager(parcel, http)

    def test_settings_are_checked_and_not_shown(self):
        pager = self.pager()

        def faults(**given):
            return [(fault.setting, fault.message) for fault in pager.validate(given)]

        self.assertEqual(faults(), [("url", "is required")])
        self.assertEqual(faults(url="https://a", team="x"), [("team", "there is none")])
        self.assertEqual(faults(url="a", team="x"), [("url", "is no URL: it begins with neither https:// nor http://")])
        self.assertEqual(repr(Settings({"token": "hunter2"})), "Settings(token)")
        self.assertEqual(repr(Request.post("https://a.example/hunter2")), "POST a.example (0 bytes)")

    def test_publishers_speak_to_outputs_in_keys_nobody_is_shown(self):
        parcel = Parcel.sample(self.pager())
        parcel.publication.update({"@pager.text": "Look!", "@pager.none": None, "@slack.text": "Look, Slack!"})
        self.assertEqual((parcel.magic_text("text"), parcel.magic("none")), ("Look!", None))
        self.assertEqual((parcel.magic_of("slack", "text"), parcel.output), ("Look, Slack!", "pager:sample"))
        self.assertFalse([key for key in parcel.shown() if key.startswith("@")])

    def test_answers_are_read_by_their_status(self):
        def read(status, body):
            return answer(Response(status, [("RETRY-after", "7")], body.encode()))

        self.assertEqual(read(204, ""), delivered())
        self.assertEqual(
            read(429, "slow\x1b[2J down\r\n"), retry("answered 429 Too Many Requests: slow[2J down").after(7)
        )
        self.assertEqual(read(599, ""), retry("answered 599").after(7))
        self.assertEqual(read(302, ""), reject("answered 302 Found"))
        self.assertEqual(read(400, "ä" * 5000), reject(f"answered 400 Bad Request: {'ä' * 299}…"))
        self.assertEqual(answer(Failure("broken", "no")), retry("no"))
        self.assertEqual(delivered().progress("x").after(1), delivered())

    def test_a_service_says_in_two_ways_how_long_to_wait(self):
        date = "Wed, 21 Oct 2026 07:28:00 GMT"

        def wait(after, date=None):
            headers = [("Retry-After", after), *([("Date", date)] if date else [])]
            return Response(429, headers).retry_after

        self.assertEqual([wait(" 30 "), wait("0.3"), wait("9" * 400), wait("-5")], [30, 1, 2**32 - 1, None])
        self.assertEqual([wait("soon", date), wait("NaN"), Response(429).retry_after], [None, None, None])
        self.assertEqual(wait("Wed, 21 Oct 2026 07:30:00 GMT", date), 120)
        self.assertEqual(wait("Wed, 21 Oct 2026 07:20:00 GMT", date), 0)
        self.assertIsNone(wait("Wed, 21 Oct 2026 07:30:00 GMT"))

    def test_requests_are_built_in_a_chain(self):
        request = Request.post("https://a.example/x?y=1").query("q", "a b").json([1]).basic("ada", "pä:ss")
        request.form({"a": "1&2", "b": "ü"})
        self.assertEqual((request.url, request.body_text()), ("https://a.example/x?y=1&q=a%20b", "a=1%262&b=%C3%BC"))
        self.assertEqual(request.header_value("authorization"), "Basic YWRhOnDDpDpzcw==")
        self.assertEqual(request.header_value("CONTENT-TYPE"), "application/x-www-form-urlencoded")
        self.assertEqual(len(request.headers), 2)


class Texts(unittest.TestCase):
    def test_urls_come_apart_or_say_why_not(self):
        url = Url("HTTP://[2001:DB8::1]:80?a=b")
        self.assertEqual((url.host, url.port, url.path, url.is_https), ("[2001:db8::1]", 80, "/", False))
        self.assertEqual(Url("https://Example.com:8443/hook#x").origin, "https://example.com:8443")
        for text in ("slack.com", "https://a b", "https://u:p@a", "https:///a", "https://a:b", "https://a:0"):
            with self.assertRaises(ValueError, msg=text):
                Url(text)
        for text in ("https://.a", "https://a:65536", "https://a:1٣", "https://a<b", "ftp://a"):
            with self.assertRaises(ValueError, msg=text):
                Url(text)

    def test_texts_fit_into_what_a_service_takes(self):
        self.assertEqual((shorten("Grüße", 5), shorten("Grüße", 4)), ("Grüße", "Grü…"))
        self.assertEqual((shorten("Grüße", 6, "bytes"), shorten("😀😀", 3, "utf16")), ("Gr…", "😀…"))
        self.assertEqual((shorten("ab", 1), shorten("abcd", 1, "bytes"), shorten("ab", 0)), ("…", "a", ""))
        self.assertEqual((shorten("e\u0301e\u0301e\u0301", 4), shorten("👋🏽👋🏽", 3)), ("e\u0301…", "👋🏽…"))
        self.assertEqual(shorten("a👨\u200d👩\u200d👧bcd", 4), "a…")
        self.assertEqual(plain("a\r\nb\x1b[2J\u202ec"), "a b[2Jc")
        self.assertEqual(percent("a b/ü?!*"), "a%20b%2F%C3%BC%3F%21%2A")
        self.assertEqual(escape_html("<a href='x'>&\0\n"), "&lt;a href=&#39;x&#39;&gt;&amp;\n")
