import unittest

from @ident@_output import @ident@_output
from streamalert_sdk import FakeHttp, Parcel, delivered, retry

ALERT = {"title": "Root logged in", "severity": "high"}
SETTINGS = {"url": "https://service.example/hook", "team": "soc"}


class Test(unittest.TestCase):
    def test_an_alert_is_posted_to_the_team(self):
        http = FakeHttp().answer(200)
        self.assertEqual(@ident@_output(Parcel.sample(@ident@_output, ALERT, SETTINGS), http), delivered())
        body = http.requests[0].body_json()
        self.assertEqual((body["title"], body["severity"], body["team"]), ("Root logged in", "high", "soc"))

    def test_a_busy_service_is_asked_again(self):
        http = FakeHttp().answer(503, "busy").header("Retry-After", "30")
        outcome = @ident@_output(Parcel.sample(@ident@_output, ALERT, SETTINGS), http)
        self.assertEqual(outcome, retry("answered 503 Service Unavailable: busy").after(30))
