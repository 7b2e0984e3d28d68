# SPDX-License-Identifier: BSD-2-Clause
"""The canonical text of a model: one spelling, no `extends`, no variables, paths absolute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from manager.config import units
from manager.config.lab_tables import LabTable
from manager.config.labs import LoadedLab
from manager.config.load import LoadedModel
from manager.config.scan import KeyPath
from manager.config.schema import MachineTable
from manager.config.sections import FAIR, CpuTable
from manager.errors import UsageError
from manager.lazy import dataclass
from manager.text.quoting import UnquotableError, quoted

DEFAULT = "default"
_MARGIN = 48
"""The column of an origin, unless the line is longer."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the canonical text, and which part of the model it is about, if any."""

    text: str
    path: KeyPath = ()


def to_toml(model: MachineTable | LabTable) -> str:
    """TOML that loads as the same model."""
    return "".join(f"{line.text}\n" for line in lines(model))


def to_json(model: MachineTable | LabTable) -> dict[str, Any]:
    """The model as JSON values: sizes in bytes, times in ns, `epoch` in seconds since 1970.

    A loss is in LOSS_UNIT, a bandwidth in bits a second.
    """
    return model.model_dump(mode="json", by_alias=True, exclude_none=True)


def with_origins(loaded: LoadedModel | LoadedLab) -> str:
    """The same TOML; a comment on each line says where the value came from."""
    text = ""
    for line in lines(loaded.model):
        comment = f"  # {quoted(origin(loaded, line.path), 'comment')}" if line.path else ""
        text += f"{line.text:<{_MARGIN if comment else 0}}{comment}\n"
    return text


def origins_to_json(loaded: LoadedModel | LoadedLab) -> dict[str, dict[str, Any]]:
    """Each effective value by its dotted key: what it is, and where it came from."""
    found = {}
    for line in lines(loaded.model):
        _, equals, value = line.text.partition(" = ")
        if line.path and equals:
            key = ".".join(_key(str(part)) for part in line.path)
            found[key] = {"value": value, "origin": origin(loaded, line.path)}
    return found


def origin(loaded: LoadedModel | LoadedLab, path: KeyPath) -> str:
    """The file and line that `path` came from, the `--set` it came from, or "default"."""
    if path not in loaded.origins.places:
        return DEFAULT
    span = loaded.origins.key_span(path)
    if span.file == "--set":
        return f"--set {span.text}"
    return f"{span.file}:{span.line}"


def lines(model: MachineTable | LabTable) -> Iterator[Line]:
    """The canonical text, line by line."""
    return _lab(model) if isinstance(model, LabTable) else _machine(model)


def _lab(model: LabTable) -> Iterator[Line]:
    tree = to_json(model)
    for key in ("schema", "name", "allow"):
        if tree[key] != []:
            yield Line(f"{key} = {_value(tree[key])}", (key,))
    for name, machine in sorted(tree["machines"].items()):
        yield from _table(("machines", name), {k: i for k, i in machine.items() if i != {}})
    for name, link in sorted(model.links.items()):
        shown = {
            "latency": units.format_duration(link.latency),
            "bandwidth": units.format_rate(link.bandwidth),
            "loss": _Literal(units.format_loss(link.loss)),
        }
        yield from _table(("links", name), {**tree["links"][name], **shown})
    for name, cable in sorted(model.cables.items()):
        latency = units.format_duration(cable.latency)
        yield from _table(("cables", name), {**tree["cables"][name], "latency": latency})


def _machine(model: MachineTable) -> Iterator[Line]:
    tree = to_json(model)
    for key in ("schema", "name", "allow"):
        if tree[key] != []:
            yield Line(f"{key} = {_value(tree[key])}", (key,))
    yield from _table(("cpu",), {**tree["cpu"], **_turns(model.cpu)})
    yield from _table(("memory",), {"size": units.format_size(model.memory.size)})
    moment = datetime.fromtimestamp(model.clock.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    yield from _table(("clock",), {**tree["clock"], "epoch": _Literal(moment)})
    yield from _table(("boot",), {key: item for key, item in tree["boot"].items() if item != []})
    for name, disk in sorted(tree["disks"].items()):
        size = model.disks[name].size
        shown = {"size": units.format_size(size)} if size is not None else {}
        yield from _table(("disks", name), {**disk, **shown})
    for name, share in sorted(tree["shares"].items()):
        yield from _table(("shares", name), share)
    for slot in sorted(tree["slots"], key=lambda name: [int(part) for part in name.split(".")]):
        yield from _table(("slots", slot), tree["slots"][slot])
    for name, table in tree["lpc"].items():
        yield from _table(("lpc", name), table)
    if model.ready is not None:
        timeout = units.format_duration(model.ready.timeout)
        yield from _table(("ready",), {**tree["ready"], "timeout": timeout})
    rewind = units.format_duration(model.record.rewind)
    yield from _table(("record",), {**tree["record"], "rewind": rewind})
    if model.gdb is not None:
        yield from _table(("gdb",), tree["gdb"])
    for name in ("debug", "sandbox"):
        yield from _table((name,), {key: i for key, i in tree[name].items() if i != []})


def _turns(cpu: CpuTable) -> dict[str, Any]:
    """How CPUs share time, as a machine file has it."""
    schedule: Any = FAIR
    if (seeded := cpu.schedule).seed is not None:
        jitter = units.format_duration(seeded.jitter)
        schedule = {"seed": seeded.seed, "jitter": jitter, "tear": seeded.tear}
    return {"quantum": units.format_duration(cpu.quantum), "schedule": schedule}


class _Literal(str):
    """What stands in the text without quotes."""


def _table(path: KeyPath, table: dict[str, Any]) -> Iterator[Line]:
    yield Line("")
    yield Line(f"[{'.'.join(_key(str(part)) for part in path)}]", path if len(path) > 1 else ())
    for key, value in table.items():
        yield Line(f"{key} = {_value(value)}", (*path, key))


def _key(name: str) -> str:
    return quoted(name, "toml-key")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        if value.keys() == {"type"}:
            return _text(value["type"])
        pairs = (f"{_key(str(key))} = {_value(item)}" for key, item in value.items())
        return f"{{ {', '.join(pairs)} }}"
    return str(value)


def _text(value: str) -> str:
    try:
        return quoted(value, "toml")
    except UnquotableError as error:
        raise UsageError(f"{value!r} cannot be written: {error}") from None
