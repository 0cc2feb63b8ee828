#!/usr/bin/env python3
"""Makes a component of a core module that was built with this SDK.

    component.py CORE.wasm OUT.wasm [WORLD]

All components of a world (rule, parser, publisher) are alike but for the core module of the author, so its envelope is made once
(rule-sdk/go/internal/envelope), and the author's module is put into the place of the model in it.
"""

import sys
from pathlib import Path

ENVELOPES = Path(__file__).resolve().parent.parent / "go/internal/envelope"
MODULE_HEADER = b"\0asm\x01\0\0\0"
COMPONENT_HEADER = b"\0asm\x0d\0\x01\0"
# Sections: of a component, and of a core module.
CORE_MODULE = 1
CUSTOM, IMPORTS, EXPORTS = 0, 2, 7


def number(data, at):
    """An unsigned LEB128, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def written(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])


def name(data, at):
    length, at = number(data, at)
    return data[at : at + length].decode(), at + length


def sections(data):
    """Each section: its id, where it begins, where its contents begin and end."""
    at = len(MODULE_HEADER)
    while at < len(data):
        size, contents = number(data, at + 1)
        yield data[at], at, contents, contents + size
        at = contents + size


def interface(module):
    """Functions it imports, and names it exports."""
    imports, exports = [], set()
    for kind, _, at, _ in sections(module):
        if kind == IMPORTS:
            count, at = number(module, at)
            for _ in range(count):
                source, at = name(module, at)
                item, at = name(module, at)
                if module[at] != 0:
                    raise ValueError(f"imports {source} {item}, which is no function")
                _, at = number(module, at + 1)
                imports.append(f"{source} {item}")
        elif kind == EXPORTS:
            count, at = number(module, at)
            for _ in range(count):
                item, at = name(module, at)
                _, at = number(module, at + 1)
                exports.add(item)
    return imports, exports


def stripped(core):
    """Without what debuggers read. Names of functions stay: a fault is told with them."""
    kept = [core[: len(MODULE_HEADER)]]
    for kind, start, contents, end in sections(core):
        if kind != CUSTOM or name(core, contents)[0] == "name":
            kept.append(core[start:end])
    return b"".join(kept)


def wrap(core, world):
    if not core.startswith(MODULE_HEADER):
        raise ValueError("it is no core module of WebAssembly")
    core = stripped(core)
    envelope = (ENVELOPES / f"{world}.envelope").read_bytes()
    if not envelope.startswith(COMPONENT_HEADER):
        raise ValueError(f"{world}.envelope is no component")
    start, contents, end = next(
        (start, contents, end) for kind, start, contents, end in sections(envelope) if kind == CORE_MODULE
    )
    known, needed = interface(envelope[contents:end])
    imports, exports = interface(core)
    wrong = [f"imports {item}, which no {world} has" for item in imports if item not in known]
    wrong += [f"does not export {item}" for item in sorted(needed - exports)]
    if wrong:
        raise ValueError("; ".join(wrong))
    return envelope[:start] + bytes([CORE_MODULE]) + written(len(core)) + core + envelope[end:]


def main():
    if len(sys.argv) not in (3, 4):
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        Path(sys.argv[2]).write_bytes(wrap(Path(sys.argv[1]).read_bytes(), *(sys.argv[3:] or ["rule"])))
    except (ValueError, OSError, IndexError) as error:
        print(f"component: {sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
