"""A plan as `terraform show -json` has it, with nothing in it unknown."""

import json
import re
from pathlib import Path

# Of the installation in the plan; others are made of it by another prefix.
PREFIX = "wired"


def renamed(text, prefix):
    """What is said of the installation, of another one."""
    return re.sub(rf'(?<![a-z0-9-]){PREFIX}(?=[-_./"\\])', prefix, text)


class Plan:
    def __init__(self, resources):
        self.resources = resources

    @staticmethod
    def read(path):
        found = []
        stack = [json.loads(Path(path).read_text())["planned_values"]["root_module"]]
        while stack:
            module = stack.pop()
            found += module.get("resources", [])
            stack += module.get("child_modules", [])
        return Plan(found)

    def replaced(self, old, new):
        return Plan(json.loads(json.dumps(self.resources).replace(old, new)))

    def renamed(self, prefix):
        return Plan(json.loads(renamed(json.dumps(self.resources), prefix)))

    def of(self, kind, has=""):
        return [one for one in self.resources if one["type"] == kind and has in one["address"]]

    def one(self, kind, has=""):
        found = self.of(kind, has)
        if len(found) != 1:
            raise SystemExit(f"the plan has {len(found)} {kind} {has}, and one was looked for")
        return found[0]

    def remove(self, kind, has=""):
        self.resources.remove(self.one(kind, has))

    def functions(self):
        """Values of each function, by what it is called behind PREFIX-streamalert-."""
        return {one["values"]["function_name"].split("-streamalert-", 1)[1]: one["values"] for one in self.of("aws_lambda_function")}

    def policies(self):
        """Statements by the name of the role."""
        all_ = {}
        for one in self.of("aws_iam_role_policy"):
            all_.setdefault(one["values"]["role"], []).extend(json.loads(one["values"]["policy"])["Statement"])
        return all_
