import unittest

from @ident@_publisher import @ident@_publisher
from streamalert_sdk import Alert, Target


class Test(unittest.TestCase):
    def test_a_line_takes_the_place_of_the_record(self):
        alert = Alert({"title": "Root logged in", "severity": "high"})
        after = @ident@_publisher(alert, {"id": "1", "record": {"a": 1}}, Target("slack:security"))
        self.assertEqual(after, {"id": "1", "@slack.text": "Root logged in (high)"})
