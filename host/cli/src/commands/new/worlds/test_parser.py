import json
import unittest

from @ident@_parser import @ident@_parser


class Test(unittest.TestCase):
    def test_a_line_becomes_a_record_or_says_why_not(self):
        good, bad = @ident@_parser(b"17|ada|login\n\nnonsense\n")
        self.assertEqual(json.loads(good.json), {"time": 17, "user": "ada", "action": "login"})
        self.assertEqual((bad.place, bad.reason), (range(14, 22), "1 fields instead of 3"))
