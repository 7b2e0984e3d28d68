# SPDX-License-Identifier: BSD-2-Clause
"""Copies of state records and comparisons, by functions made for each type when first asked for.

They are twenty times as fast as what goes through the fields of any record one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any, TypeVar

R = TypeVar("R")
Values = tuple[Any, ...]
META = "vmmgr"
"""Where the metadata of a record's field has its Spec (manager.bus.record)."""

_copiers: dict[type[Any], Callable[[Any], Any]] = {}
_readers: dict[type[Any], Callable[[Any], Values]] = {}


def clone(record: R) -> R:
    """A copy that shares nothing with the original."""
    kind = type(record)
    copier = _copiers.get(kind)
    if copier is None:
        copier = _copiers[kind] = _copier(kind)
    copied: R = copier(record)
    return copied


def reader(kind: type[Any]) -> Callable[[Any], Values]:
    """A function that gives what is in a record of that type, nested ones unfolded, to compare.

    Byte strings and lists of numbers in it are the record's own.
    """
    found = _readers.get(kind)
    if found is None:
        values = "".join(f"{value}, " for value in _values(kind, "record"))
        found = _readers[kind] = _compiled(f"def made(record):\n return ({values})", {})
    return found


def _values(kind: type[Any], at: str) -> Iterator[str]:
    for item in fields(kind):
        spec, place = item.metadata[META], f"{at}.{item.name}"
        if spec.kind == "record" and spec.item is not None:
            yield from _values(spec.item, place)
        elif spec.kind == "list" and spec.item is not None:
            for index in range(spec.low):
                yield from _values(spec.item, f"{place}[{index}]")
        else:
            yield place


def _copier(kind: type[Any]) -> Callable[[Any], Any]:
    lines = ["def made(old):", " new = make(kind)"]
    for item in fields(kind):
        old = f"old.{item.name}"
        value = {
            "bytes": f"{old}[:]",
            "ints": f"{old}[:]",
            "record": f"clone({old})",
            "list": f"[clone(each) for each in {old}]",
        }.get(item.metadata[META].kind, old)
        lines.append(f" new.{item.name} = {value}")
    names = {"kind": kind, "make": kind.__new__, "clone": clone}
    return _compiled("\n".join([*lines, " return new"]), names)


def _compiled(source: str, names: dict[str, Any]) -> Callable[[Any], Any]:
    exec(source, names)  # noqa: S102  made of names of fields alone
    made: Callable[[Any], Any] = names["made"]
    return made
