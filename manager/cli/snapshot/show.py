# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr snapshot show`: what a snapshot holds, as text or JSON or a machine file."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from manager.bus.record import Plain
from manager.cli.output import print_json, size
from manager.cli.snapshot.words import about, amount, bits, cpus, described, registers
from manager.text.shown import shown

if TYPE_CHECKING:
    from manager.snapshot.read import Snapshot


def show(args: argparse.Namespace) -> int:
    """Carry out `snapshot show`. Raises VmmgrError."""
    from manager.cli.snapshot.refs import find_snapshot
    from manager.snapshot.read import open_snapshot

    opened = open_snapshot(find_snapshot(args.path))
    if args.config:
        from manager.cli.snapshot.config import machine_file

        print(machine_file(opened), end="")
    elif args.json:
        print_json(as_json(opened), indented=True)
    else:
        print("\n".join(map(shown, as_text(opened))))
    return 0


VERBS = {"show": show}


def as_json(opened: Snapshot) -> dict[str, Any]:
    """The whole snapshot except RAM; byte strings become hexadecimal."""
    manifest = opened.manifest.to_plain()
    return {
        "schema": 1,
        "path": str(opened.directory),
        "id": opened.id.hex(),
        "format": f"{opened.preamble.major}.{opened.preamble.minor}",
        **{key: jsonable(item) for key, item in manifest.items()},
        "images": dict(opened.images),
        "cpus": cpus(opened),
        "ram_bytes": opened.ram_size,
        "ram_bytes_on_disk": opened.ram_on_disk,
        "disk_bytes_on_disk": opened.disks_on_disk,
        "devices": {
            device: {
                "type": state.chunk.type,
                "version": state.chunk.version,
                "fields": jsonable(state.fields),
                "described": opened.schema(state.chunk.type).get("fields", {}),
            }
            for device, state in opened.states.items()
        },
        "unknown_chunks": [entry.id for entry in opened.unknown],
    }


def jsonable(value: Plain) -> Any:
    """A plain value as JSON has it."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list):
        return [jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: jsonable(item) for key, item in value.items()}
    return value


def as_text(opened: Snapshot) -> Iterator[str]:
    """The same for people, a line at a time."""
    from manager.machine.places import rows
    from manager.snapshot import runs

    header, manifest = opened.header, opened.manifest
    yield f"snapshot  {opened.directory}"
    yield f"id        {opened.id.hex()}"
    for parent in manifest.parents:
        yield f"parent    {parent.id.hex()}"
    yield f"machine   {header.machine}, saved by vmmgr {header.writer}"
    yield f"at        {header.virtual_time} ns, {header.executed} bytes of code executed"
    yield f"identity  {header.identity_hash}"
    yield f"config    {header.full_hash}"
    yield from (f"{name:<9} {words}" for name, words in rows(cpus(opened)))
    yield f"RAM       {size(opened.ram_size)}, {size(opened.ram_on_disk)} on disk"
    for region in manifest.ram:
        end = region.base + region.length - 1
        yield f"          {region.base:#012x}-{end:#012x}  {region.file} at {region.offset:#x}"
        if region.delta:
            pages = runs.count(region.runs)
            yield f"{'':>37} {pages} pages of it in {region.delta} at {region.delta_offset:#x}"
    for disk in manifest.disks:
        base = f"an image, {bytes(disk.head.base).hex()}" if disk.head.base else "zeros"
        yield f"disk      {disk.head.id}, {size(disk.head.size)}, over {base}"
        for layer in disk.layers:
            yield f"          {size(runs.size(layer.runs))} in {layer.file}"
    for key, digest in opened.images.items():
        yield f"booted    {key} {digest}"
    for entry in opened.unknown:
        yield f"unknown   {entry.id}: {entry.kind}, {entry.stored} bytes"
    kinds, schema = _kinds(opened), described(opened)
    for device, state in opened.states.items():
        kind = state.chunk.type
        yield ""
        yield f"{device}: {kind}, version {state.chunk.version}"
        if line := about(kinds.get(device, ""), kind, state.fields):
            yield f"  {_short(kind)} {device}: {line}"
        if kind == "cpu.x86":
            yield from (f"  {line}" for line in registers(state.fields, schema(kind)))
        yield from _fields(state.fields, schema(kind), "  ")


def _kinds(opened: Snapshot) -> dict[str, str]:
    """Device id -> kind, as far as the snapshot's configuration tells."""
    config = opened.manifest.config
    devices = config.get("devices") if isinstance(config, dict) else None
    return {
        str(node.get("id")): str(node.get("type"))
        for node in (devices if isinstance(devices, list) else ())
        if isinstance(node, dict)
    }


def _short(kind: str) -> str:
    return "uart" if "uart" in kind else kind


def _fields(fields: dict[str, Plain], schema: dict[str, Any], indent: str) -> Iterator[str]:
    described = schema.get("fields")
    for name, value in sorted(fields.items()):
        entry = described.get(name) if isinstance(described, dict) else None
        entry = entry if isinstance(entry, dict) else {}
        item = entry.get("item")
        inner = item if isinstance(item, dict) else {}
        doc = f"  # {entry['doc']!s}" if entry.get("doc") else ""
        nested = value if isinstance(value, list) else [value]
        if any(isinstance(part, dict) for part in nested):
            for number, part in enumerate(nested):
                label = f"{name}[{number}]" if isinstance(value, list) else name
                yield f"{indent}{label}:{doc}"
                if isinstance(part, dict):
                    yield from _fields(part, inner, indent + "  ")
        else:
            names = bits(entry.get("names"), value)
            text = amount(value, str(entry.get("unit", ""))) + (f" {names}" if names else "")
            yield f"{indent}{name} = {text}{doc}"
