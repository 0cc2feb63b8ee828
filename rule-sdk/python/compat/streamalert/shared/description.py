"""What the docstring of a rule says, field by field."""

import re
from collections import OrderedDict

#: `label: text`, but no URL.
_LABEL = re.compile(r"^(?!https?:)([A-Za-z0-9_&\- ]{1,20}):(.*)$")
_AUTHORS = ("author", "maintainer")


class RuleDescriptionParser:
    @classmethod
    def parse(cls, rule_description):
        """Fields by their labels in lower case; what stands before the first is `description`."""
        fields = OrderedDict()
        label, lines = "description", []

        def keep():
            if any(lines) or label != "description":
                fields[label] = cls._joined(lines)

        for line in (rule_description or "").strip().split("\n"):
            line = line.strip()
            found = _LABEL.match(line)
            if found:
                keep()
                label, lines = found.group(1).strip().lower(), [found.group(2).strip()]
            else:
                lines.append(line)
        keep()
        return fields

    @classmethod
    def present(cls, rule_description):
        """Author, description, and a dict of all other fields."""
        presented = {"author": "", "description": "", "fields": OrderedDict()}
        for label, text in cls.parse(rule_description).items():
            if label in _AUTHORS:
                presented["author"] = text
            elif label == "description":
                presented["description"] = text
            else:
                presented["fields"][label] = text
        return presented

    @staticmethod
    def _joined(lines):
        """Lines go on after a space; a URL that was broken, after nothing; after an empty line, on a new one."""
        text, blank = "", False
        for line in lines:
            if not line:
                blank = bool(text)
                continue
            if text:
                goes_on = re.search(r"https?://\S*$", text) and not blank and line.startswith("/")
                text += "\n" if blank else "" if goes_on else " "
            text += line
            blank = False
        return text
