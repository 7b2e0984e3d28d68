# SPDX-License-Identifier: BSD-2-Clause
"""The canonical text of a model: one spelling, no `extends`, no variables, paths absolute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from manager.config import units
from manager.config.schema import Machine


def to_toml(model: Machine) -> str:
    """TOML that loads as the same model."""
    return "\n".join(_lines(model)) + "\n"


def to_json(model: Machine) -> dict[str, Any]:
    """The model as JSON values: sizes in bytes, times in ns, `epoch` in seconds since 1970."""
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def _lines(model: Machine) -> Iterator[str]:
    tree = to_json(model)
    yield f"schema = {tree['schema']}"
    yield f"name = {_text(tree['name'])}"
    yield from _table("cpu", tree["cpu"])
    yield from _table("memory", {"size": units.format_size(model.memory.size)})
    moment = datetime.fromtimestamp(model.clock.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield from ("", "[clock]", f"mode = {_text(model.clock.mode)}", f"epoch = {moment}")
    yield from _table("boot", {key: item for key, item in tree["boot"].items() if item != []})
    for slot in sorted(tree["slots"], key=lambda name: [int(part) for part in name.split(".")]):
        yield from _table(f"slots.{slot if slot.isdigit() else _text(slot)}", tree["slots"][slot])
    for name, table in tree["lpc"].items():
        yield from _table(f"lpc.{name}", table)
    if model.ready is not None:
        timeout = units.format_duration(model.ready.timeout)
        yield from _table("ready", {**tree["ready"], "timeout": timeout})


def _table(name: str, table: dict[str, Any]) -> Iterator[str]:
    yield from ("", f"[{name}]")
    for key, value in table.items():
        yield f"{key} = {_value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        if value.keys() == {"type"}:
            return _text(value["type"])
        return f"{{ {', '.join(f'{key} = {_value(item)}' for key, item in value.items())} }}"
    return str(value)


def _text(value: str) -> str:
    """A TOML basic string; JSON's escapes are among TOML's, but TOML wants DEL escaped too."""
    escaped = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return escaped.replace("${", "$${")
