import unittest

from root_login import root_login
from streamalert_sdk import Record


class RootLogin(unittest.TestCase):
    def test_failed_logins_are_no_finding(self):
        for answer, found in (("Success", True), ("Failure", False)):
            record = Record.from_json({"responseElements": {"ConsoleLogin": answer}})
            self.assertEqual(root_login(record), found)
