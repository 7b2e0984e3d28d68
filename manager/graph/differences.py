# SPDX-License-Identifier: BSD-2-Clause
"""How two identities differ, in the words of the machine file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from manager.config.units import format_duration, format_loss, format_rate, show_size
from manager.devices.registry import short_name
from manager.lazy import dataclass

_UNITS = {"latency": format_duration, "bandwidth": format_rate, "loss": format_loss}
"""How what is about wires is shown."""
_HEX = {"ports", "memory", "bars", "memory_bars", "load", "entry", "port"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a saved and a current identity differ; str() is one line about it."""

    kind: Literal["missing", "extra", "moved", "changed"]
    """missing: only in the saved one; extra: only in the current one."""
    subject: str
    """The device or setting: "slots.4 (uart)", "memory.size"."""
    saved: Any = None
    """The old place of what moved, the old value of what changed."""
    current: Any = None

    def __str__(self) -> str:
        return self.render()

    def render(self, saved: str = "the snapshot", current: str = "the machine file") -> str:
        """One line, with names for the two sides."""
        if self.kind == "missing":
            return f"{self.subject}: only in {saved}"
        if self.kind == "extra":
            return f"{self.subject}: only in {current}"
        if self.kind == "moved":
            return f"{self.subject} moved to {self.current}"
        before, after = self.values()
        return f"{self.subject}: {before} in {saved}, {after} in {current}"

    def values(self) -> tuple[str, str]:
        """The old and the new value of what changed, for reading."""
        return _show(self.subject, self.saved), _show(self.subject, self.current)


def differences(saved: Mapping[str, Any], current: Mapping[str, Any]) -> list[Difference]:
    """All differences between two results of `identity`; empty when they are equal.

    Settings come first, then devices in the order of the saved machine, then new ones.
    """
    found = []
    for key in _keys(saved, current):
        if key != "devices":
            found += list(_changes(key, saved.get(key), current.get(key)))
    old, new = saved.get("devices", {}), current.get("devices", {})
    gone = [id for id in old if id not in new]
    added = [id for id in new if id not in old]
    for id in old:
        if id in gone:
            target = _moved_to(id, old, new, added)
            if target is not None:
                added.remove(target)
                found.append(Difference("moved", _called(id, old[id]), id, target))
            else:
                found.append(Difference("missing", _called(id, old[id])))
        else:
            found += list(_device_changes(id, old[id], new[id]))
    return found + [Difference("extra", _called(id, new[id])) for id in added]


def _keys(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys([*one, *two]))


def _called(id: str, device: Mapping[str, Any]) -> str:
    return f"{id} ({short_name(str(device.get('type')))})"


def _moved_to(
    id: str, old: Mapping[str, Any], new: Mapping[str, Any], added: list[str]
) -> str | None:
    """A new device of the same type."""
    kind = old[id].get("type")
    return next((other for other in added if new[other].get("type") == kind), None)


def _device_changes(
    id: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Difference]:
    if old.get("type") != new.get("type"):
        yield Difference("changed", id, old.get("type"), new.get("type"))
        return
    for key in _keys(old, new):
        yield from _changes(f"{id}.{key}", old.get(key), new.get(key))


def _changes(subject: str, old: Any, new: Any) -> Iterator[Difference]:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in _keys(old, new):
            yield from _changes(f"{subject}.{key}", old.get(key), new.get(key))
    elif old != new or type(old) is not type(new):
        yield Difference("changed", subject, old, new)


def _show(subject: str, value: Any) -> str:
    """A value as a machine file or a datasheet would have it."""
    key = subject.rpartition(".")[2]
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if subject.rpartition(": ")[2] == "memory.size" and isinstance(value, int):
        return show_size(value)
    if key in _UNITS and isinstance(value, int):
        return _UNITS[key](value)
    if isinstance(value, Mapping) and {"base", "length"} <= value.keys():
        return f"{value['base']:#x}-{value['base'] + value['length'] - 1:#x}"
    if isinstance(value, Mapping):
        return ", ".join(
            f"{name} {_show(f'{subject}.{name}', item)}" for name, item in value.items()
        )
    if isinstance(value, list):
        return ", ".join(_show(subject, item) for item in value) or "none"
    if isinstance(value, int) and (key in _HEX or ".pci." in subject):
        return f"{value:#x}"
    return f'"{value}"' if key in ("cmdline", "modules") else str(value)
