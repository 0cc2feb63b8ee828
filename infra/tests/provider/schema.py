#!/usr/bin/env python3
"""What the provider `aws` of Terraform takes, read from the bindings that npm has of it (@cdktn/provider-aws, MPL-2.0).

    schema.py BINDINGS OUT < NAMES

BINDINGS is the unpacked package, NAMES are resource types and `data.` types, one a line. Writes for each its attributes with type,
and whether they are required, optional or computed, and its blocks with their nesting.
"""

import json
import re
import sys
from pathlib import Path

PRIMITIVE = {"string": "string", "number": "number", "boolean": "bool", "any": "string"}
CONTAINED = {
    "stringList": "string", "numberList": "number", "booleanList": "bool",
    "stringMap": ["map", "string"], "numberMap": ["map", "number"], "booleanMap": ["map", "bool"], "anyMap": ["map", "string"],
    "stringMapList": ["map", "string"], "stringListMap": ["map", ["list", "string"]],
}
GETTER = {
    "String": "string", "Number": "number", "Boolean": "bool", "List": ["list", "string"], "NumberList": ["list", "number"],
    "StringMap": ["map", "string"], "NumberMap": ["map", "number"], "BooleanMap": ["map", "bool"], "AnyMap": ["map", "string"],
}
ENTRY = re.compile(
    r"^ +(\w+): \{\n +value: (.*),\n +isBlock: (true|false),\n +type: \"(\w+)\",\n +storageClassType: \"(\w+)\",", re.M
)
FLAGS = re.compile(r"^ +// (\w+) - computed: (true|false), optional: (true|false), required: (true|false)\n(.*\n.*\n)", re.M)
MAPPER = re.compile(r"(\w+)ToHclTerraform")


def flags_of(text):
    """Of each attribute: computed, optional, required, and the type of what is only computed."""
    found = {}
    for name, computed, optional, required, after in FLAGS.findall(text):
        getter = re.search(r"get(\w+)Attribute\('", after)
        found[name] = {
            "computed": computed == "true",
            "optional": optional == "true",
            "required": required == "true",
            "getter": GETTER.get(getter.group(1)) if getter else None,
        }
    return found


class Bindings:
    def __init__(self, text):
        text = text.split("//# sourceMappingURL")[0]
        self.mappers = dict(
            re.findall(r"^function (\w+)ToHclTerraform\(struct\) \{\n(.*?)^\}", text, re.M | re.S)
        )
        classes = re.split(r"^class (\w+) extends ([\w.]+) \{", text, flags=re.M)
        self.classes = {name: body for name, _, body in zip(classes[1::3], classes[2::3], classes[3::3])}
        self.main = next(
            body for base, body in zip(classes[2::3], classes[3::3])
            if base in ("cdktn.TerraformResource", "cdktn.TerraformDataSource", "cdktn.TerraformProvider")
        )

    def block(self, entries, flags):
        attributes, blocks = {}, {}
        for name, value, is_block, kind, storage in ENTRY.findall(entries):
            flag = flags.get(name, {"computed": False, "optional": True, "required": False})
            if is_block == "true":
                mapper = next((m for m in MAPPER.findall(value) if m in self.mappers), None)
                if mapper is None:
                    raise SystemExit(f"{name}: no mapper in {value}")
                output = mapper[0].upper() + mapper[1:] + "OutputReference"
                inner = self.block(self.mappers[mapper], flags_of(self.classes.get(output, "")))
                single = name == "timeouts"
                blocks[name] = {
                    "nesting": "single" if single else ("set" if kind == "set" else "list"),
                    "min": 1 if flag["required"] else 0,
                    # What the bindings do not map over may be there once.
                    "max": 1 if "listMapper" not in value and not single else 0,
                    "block": inner,
                }
                continue
            if storage in PRIMITIVE:
                type_ = PRIMITIVE[storage] if kind == "simple" else [kind, PRIMITIVE[storage]]
            elif storage in CONTAINED:
                type_ = CONTAINED[storage] if kind in ("simple", "map") else [kind, CONTAINED[storage]]
            else:
                raise SystemExit(f"{name}: unknown type {storage}")
            if kind == "map" and storage in ("stringMap", "numberMap", "booleanMap", "anyMap"):
                type_ = CONTAINED[storage]
            attributes[name] = {
                "type": type_, "required": flag["required"], "optional": flag["optional"], "computed": flag["computed"],
            }
        for name, flag in flags.items():
            if name not in attributes and name not in blocks and flag["getter"]:
                attributes[name] = {
                    "type": flag["getter"], "required": False, "optional": False, "computed": True,
                }
        return {"attributes": attributes, "blocks": blocks}

    def all(self):
        body = self.main.split("synthesizeHclAttributes() {")
        return self.block(body[1] if len(body) > 1 else "", flags_of(body[0]))


def folder(name):
    kind = name.removeprefix("data.")
    words = kind.removeprefix("aws_").replace("_", "-")
    return ("data-aws-" if name.startswith("data.") else "") + words


def main():
    bindings, out = Path(sys.argv[1]), Path(sys.argv[2])
    wanted = sorted(set(sys.stdin.read().split()))
    document = {"resources": {}, "data": {}}
    provider = Bindings((bindings / "lib/provider/index.js").read_text()).all()
    for attribute in provider["attributes"].values():
        attribute.update(required=False, optional=True, computed=False)
    document["provider"] = provider
    missing = []
    for name in wanted:
        path = bindings / "lib" / folder(name) / "index.js"
        if not path.is_file():
            missing.append(name)
            continue
        text = path.read_text()
        document["version"] = re.search(r"providerVersion: '([\d.]+)'", text).group(1)
        place = document["data"] if name.startswith("data.") else document["resources"]
        place[name.removeprefix("data.")] = Bindings(text).all()
    if missing:
        raise SystemExit("the provider has no " + ", ".join(missing))
    out.write_text(json.dumps(document, indent=1, sort_keys=True))
    count = len(document["resources"]) + len(document["data"])
    print(f"provider aws {document['version']}: {count} of its types", file=sys.stderr)


main()
