# SPDX-License-Identifier: BSD-2-Clause
"""The fields of a record, one by one, and other values that each may have."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from manager.bus.record import Record, Spec, spec_of


def leaves(record: Record, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every field of a record and of the records in it."""
    for item in fields(record):
        value = getattr(record, item.name)
        here = (*path, item.name)
        if isinstance(value, Record):
            yield from leaves(value, here)
        elif isinstance(value, list) and value and isinstance(value[0], Record):
            for index, part in enumerate(value):
                yield from leaves(part, (*here, index))
        elif isinstance(value, list):
            for index in range(len(value)):
                yield (*here, index)
        else:
            yield here


def holder(record: Record, path: tuple[str | int, ...]) -> tuple[Any, str | int, Spec]:
    """What holds the field at `path`, its key there, and the field's Spec."""
    at: Any = record
    spec: Spec | None = None
    for step in path[:-1]:
        if isinstance(step, str):
            spec = _spec(at, step)
            at = getattr(at, step)
        else:
            at = at[step]
    last = path[-1]
    if isinstance(last, str):
        spec = _spec(at, last)
    assert spec is not None
    return at, last, spec


def value_at(record: Record, path: tuple[str | int, ...]) -> Any:
    """The value of the field at `path`."""
    at, key, _ = holder(record, path)
    return at[key] if isinstance(key, int) else getattr(at, key)


def put_at(record: Record, path: tuple[str | int, ...], value: Any) -> None:
    """Set the field at `path`."""
    at, key, _ = holder(record, path)
    if isinstance(key, int):
        at[key] = value
    else:
        setattr(at, key, value)


def _spec(record: Record, name: str) -> Spec:
    return next(spec_of(item) for item in fields(record) if item.name == name)


def other_values(value: Any, spec: Spec) -> Iterator[Any]:
    """Other values that the field may hold by its Spec, likely ones first."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int):
        low, high = (0, spec.high) if spec.kind == "ints" else (spec.low, spec.high)
        for other in (value ^ 1, value + 1, value - 1, value ^ 2, value ^ 4, high, low):
            if other != value and low <= other <= high:
                yield other
    elif isinstance(value, bytearray):
        if len(value) < spec.high:
            yield value + b"\x01"
        for at in range(len(value)):
            yield value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
        if len(value) > spec.low:
            yield value[:-1]
    elif isinstance(value, str):
        yield value[:-1] if len(value) == spec.high else value + "x"
