# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot show` and `vmmgr snapshot verify`: look into a snapshot without its machine.

Needs neither the machine file nor the CPU engine: names, units and meanings of all fields are in
the snapshot.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.bus.record import NEVER, Plain

if TYPE_CHECKING:
    from manager.snapshot import Snapshot

_SHOWN_BYTES = 32
_SHOWN_ITEMS = 16


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `snapshot` and its verbs to the command line."""
    parser = subparsers.add_parser("snapshot", help="look into snapshots and check them")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    show = verbs.add_parser("show", help="print what a snapshot holds, field by field")
    show.set_defaults(run=run)
    verify = verbs.add_parser("verify", help="check every byte of a snapshot, RAM included")
    verify.set_defaults(run=run)
    for verb in (show, verify):
        verb.add_argument("path", type=Path, help="a snapshot's directory")
        verb.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Carry out `snapshot show` or `snapshot verify`; raises SnapshotCorruptError."""
    from manager import snapshot

    if args.verb == "verify":
        checked = snapshot.verify(args.path)
        files = len(checked.manifest.objects) + 1
        if args.json:
            summary = {"schema": 1, "ok": True, "files": files, "ram_bytes": checked.ram_size}
            print(json.dumps(summary))
        else:
            print(f"{checked.directory}: ok, {files} files, {size(checked.ram_size)} of RAM")
        return 0
    opened = snapshot.open(args.path)
    if args.json:
        print(json.dumps(as_json(opened), indent=2))
    else:
        print("\n".join(as_text(opened)))
    return 0


def size(count: int) -> str:
    """A number of bytes for people.

    >>> size(256 << 20), size(5000)
    ('256 MiB', '4.883 KiB')
    """
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.4g} {unit}"
        amount /= 1024
    return f"{amount:.4g} GiB"


def as_json(opened: Snapshot) -> dict[str, Any]:
    """The whole snapshot except RAM; byte strings become hexadecimal."""
    manifest = opened.manifest.to_plain()
    tree: dict[str, Any] = {
        "schema": 1,
        "path": str(opened.directory),
        "format": f"{opened.preamble.major}.{opened.preamble.minor}",
        **{key: _jsonable(manifest[key]) for key in ("header", "identity", "config", "ram")},
        "ram_bytes": opened.ram_size,
        "ram_bytes_on_disk": opened.ram_on_disk,
        "devices": {
            device: {
                "type": state.chunk.type,
                "version": state.chunk.version,
                "fields": _jsonable(state.fields),
                "described": opened.schema(state.chunk.type).get("fields", {}),
            }
            for device, state in opened.states.items()
        },
        "unknown_chunks": [entry.id for entry in opened.unknown],
    }
    return tree


def _jsonable(value: Plain) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    return value


def as_text(opened: Snapshot) -> Iterator[str]:
    """The same for people, a line at a time."""
    header = opened.header
    yield f"snapshot  {opened.directory}"
    yield f"machine   {header.machine}, saved by vmmgr {header.writer}"
    yield f"at        {header.virtual_time} ns, {header.executed} bytes of code executed"
    yield f"identity  {header.identity_hash}"
    yield f"config    {header.full_hash}"
    on_disk = size(opened.ram_on_disk)
    yield f"RAM       {size(opened.ram_size)}, {on_disk} on disk"
    for region in opened.manifest.ram:
        end = region.base + region.length - 1
        yield f"          {region.base:#012x}-{end:#012x}  {region.file} at {region.offset:#x}"
    for entry in opened.unknown:
        yield f"unknown   {entry.id}: {entry.kind}, {entry.stored} bytes"
    for device, state in opened.states.items():
        yield ""
        yield f"{device}: {state.chunk.type}, version {state.chunk.version}"
        yield from _fields(state.fields, opened.schema(state.chunk.type), "  ")


def _fields(fields: dict[str, Plain], schema: dict[str, Plain], indent: str) -> Iterator[str]:
    described = schema.get("fields")
    for name, value in sorted(fields.items()):
        about = described.get(name) if isinstance(described, dict) else None
        about = about if isinstance(about, dict) else {}
        item = about.get("item")
        doc = f"  # {about['doc']!s}" if about.get("doc") else ""
        nested = value if isinstance(value, list) else [value]
        if any(isinstance(part, dict) for part in nested):
            for number, part in enumerate(nested):
                label = f"{name}[{number}]" if isinstance(value, list) else name
                yield f"{indent}{label}:{doc}"
                if isinstance(part, dict):
                    yield from _fields(part, item if isinstance(item, dict) else {}, indent + "  ")
        else:
            yield f"{indent}{name} = {_value(value, str(about.get('unit', '')))}{doc}"


def _value(value: Plain, unit: str = "") -> str:
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, int):
        if unit == "ns" and value == NEVER:
            return "never"
        return f"{value} {unit}" if unit else f"{value:#x}"
    if isinstance(value, bytes):
        more = f"... ({len(value)} bytes)" if len(value) > _SHOWN_BYTES else ""
        return (value[:_SHOWN_BYTES].hex(" ") or "empty") + more
    if isinstance(value, list):
        more = f", ... ({len(value)})" if len(value) > _SHOWN_ITEMS else ""
        return "[" + ", ".join(_value(item, unit) for item in value[:_SHOWN_ITEMS]) + more + "]"
    return repr(value)
