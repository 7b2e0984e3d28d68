# SPDX-License-Identifier: BSD-2-Clause
"""The JSON Schema for editors: current, complete, and right about the files we ship."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import tomli

from manager.config.json_schema import lab_schema, machine_schema

ROOT = Path(__file__).parents[3]
SHIPPED = sorted(
    path
    for folder in ("machines", "examples", "manager/config/templates")
    for path in (ROOT / folder).rglob("*.toml")
)
SCHEMA = machine_schema()
LAB_SCHEMA = lab_schema()
BOOT = '[boot]\nkernel = "k"\n'


def plain(value: Any) -> Any:
    """TOML's values as JSON's."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.isoformat() if isinstance(value, (date, datetime, time)) else value


def faults(text: str) -> list[str]:
    schema = LAB_SCHEMA if "[machines." in text else SCHEMA
    validator = jsonschema.Draft7Validator(schema)
    return [error.json_path for error in validator.iter_errors(plain(tomli.loads(text)))]


def test_committed_schema_is_current() -> None:
    """To update it: `vmmgr schema > docs/machine.schema.json`."""
    assert json.loads((ROOT / "docs/machine.schema.json").read_text()) == SCHEMA
    assert json.loads((ROOT / "docs/lab.schema.json").read_text()) == LAB_SCHEMA


def test_it_is_valid_draft_07_without_references() -> None:
    for schema in (SCHEMA, LAB_SCHEMA):
        jsonschema.Draft7Validator.check_schema(schema)
        assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
        assert "$ref" not in json.dumps(schema)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_file_is_valid_and_names_the_schema(path: Path) -> None:
    text = path.read_text()
    assert faults(text) == []
    first = text.partition("\n")[0]
    assert first.startswith("#:schema ") or path.parent.name != "machines"
    if first.startswith("#:schema "):
        schema = path.parent / first.removeprefix("#:schema ")
        kind = "lab" if "[machines." in text else "machine"
        assert schema.resolve() == ROOT / f"docs/{kind}.schema.json"


def properties(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        for name, item in schema.get("properties", {}).items():
            yield f"{path}.{name}", item
        for key, item in schema.items():
            yield from properties(item, f"{path}.{key}")
    elif isinstance(schema, list):
        for index, item in enumerate(schema):
            yield from properties(item, f"{path}[{index}]")


def test_every_key_is_described_with_an_example() -> None:
    found = list(properties(SCHEMA))
    assert len(found) > 60
    bare = [
        path
        for path, item in found
        if not item.get("description")
        or not ("examples" in item or "const" in item or item.get("type") == "object")
    ]
    assert bare == []


@pytest.mark.parametrize(
    "text",
    [
        '[memory]\nsize = "256M"',
        "[memory]\nsize = 268435456",
        '[memory]\nsize = "${size}"',
        "[clock]\nepoch = 2024-01-01T00:00:00Z",
        '[ready]\nwait-for = "x"\ntimeout = "1.5s"',
        '[slots.4]\ndevice = "uart"\nbackend = "pty"\nreplace = true\n[slots.4.1]\ndevice = "uart"',
        '[slots."4.1"]\ndevice = "uart"\nbackend = { type = "pipe", path = "link" }',
        '[lpc.com1]\nbackend = { type = "tcp", listen = "127.0.0.1:${port}" }\npace = "baud"',
        'extends = "a.toml"\n[vars]\na = "b"\n[x-own]\nanything = [1]',
        'extends = ["a.toml"]\nallow = ["VM101"]',
    ],
)
def test_what_the_format_allows_is_valid(text: str) -> None:
    assert faults(text) == []


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('[memory]\nsize = "256MB"', "$.memory.size"),
        ("[memory]\nsize = 1", "$.memory.size"),
        ('[memory]\nsizes = "1M"', "$.memory"),
        ('[clock]\nmode = "fast"', "$.clock.mode"),
        ('[slots.32]\ndevice = "uart"', "$.slots"),
        ('[slots.4]\ndevice = "disk"', "$.slots['4']"),
        ('[ready]\nwait-for = "x"\ntimeout = 5', "$.ready.timeout"),
        ('[lpc.com1]\nbackend = "tcp"', "$.lpc.com1.backend"),
        ('[lpc.com1]\nbackend = { type = "tcp", listen = "4555" }', "$.lpc.com1.backend"),
        ("colour = 1", "$"),
    ],
)
def test_what_the_format_refuses_is_marked(text: str, place: str) -> None:
    assert set(faults(text)) == {place}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("loss = 2", "$.links.lan.loss"),
        ('bandwidth = "1 GBit"', "$.links.lan.bandwidth"),
        ('latency = "5"', "$.links.lan.latency"),
        ("speed = 1", "$.links.lan"),
    ],
)
def test_what_a_lab_file_may_not_have_is_marked(text: str, place: str) -> None:
    lab = '[machines.one]\nfile = "one.toml"\nset = { a = "b" }\n[links.lan]\n'
    assert faults(lab) == faults(f'{lab}bandwidth = "${{fast}}"\nloss = 0.5') == []
    assert faults(lab + text) == [place]
