# SPDX-License-Identifier: BSD-2-Clause
"""The machine file as pydantic models: strict, frozen, no unknown keys.

The models check single values; conflicts between devices are found in the graph. The
tables of devices are those of their kinds (manager.devices.registry).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, ValidationError
from pydantic_core import PydanticCustomError, PydanticKnownError

from manager.config.backends import BACKENDS
from manager.config.boot import BootTable
from manager.config.debugger import GdbTable
from manager.config.disks import DiskName, DiskTable
from manager.config.networks import NETWORKS
from manager.config.sections import (
    ClockTable,
    CpuTable,
    DebugTable,
    MemoryTable,
    ReadyTable,
    RecordTable,
    SandboxTable,
)
from manager.config.shares import ShareName, ShareTable
from manager.config.table import DeviceTable, SlotTable, Table
from manager.config.values import LintCode, Name, exactly
from manager.devices import own, registry
from manager.devices.node import DeviceNode
from manager.lazy import dataclass

_LPC_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_NOT_A_TABLE = PydanticKnownError("dict_type")


@dataclass(frozen=True, slots=True)
class _Named:
    """A table of [lpc] on its way to its kind, which its name says."""

    name: str
    table: dict[str, Any]


def _with_names(tables: Any) -> Any:
    if not isinstance(tables, dict):
        return tables
    return {
        name: _Named(name, table) if isinstance(table, dict) else table
        for name, table in sorted(tables.items())
    }


def bare(value: Any) -> Any:
    """What stands in the file, of what was on its way to a kind."""
    return value.table if isinstance(value, _Named) else value


def _slot(table: Any) -> Any:
    """A table of [slots], checked by the kind that its `device` names."""
    if not isinstance(table, dict):
        raise _NOT_A_TABLE
    if "device" not in table:
        raise PydanticKnownError("union_tag_not_found", {"discriminator": "device"})
    return _validate(slot_kind, table["device"], table)


def _lpc(entry: Any) -> Any:
    """A table of [lpc], checked by the kind that its name stands for."""
    if not isinstance(entry, _Named):
        raise _NOT_A_TABLE
    if "device" in entry.table and _LPC_NAME.fullmatch(entry.name):
        return _validate(own_lpc_kind, entry.table["device"], entry.table)
    kind = lpc_kind(entry.name)
    if kind is None:
        raise PydanticKnownError("extra_forbidden")
    return table_of(kind).model_validate(entry.table)


def _validate(
    find: Callable[[object], type[DeviceNode] | None], device: object, table: dict[str, Any]
) -> Any:
    """`table`, checked by the kind that its `device` names.

    Whatever a kind that is not vmmgr's raises is an error that points into its file.
    """
    try:
        kind = find(device)
        if kind is None:
            tag = {"discriminator": "device", "tag": str(device), "expected_tags": ""}
            raise PydanticKnownError("union_tag_invalid", tag)
        return table_of(kind).model_validate(table)
    except (PydanticKnownError, ValidationError):
        raise
    except own.KindError as error:
        raise _in_file(error.fault, error.help) from None
    except Exception as error:
        there = own.blame(error)
        if there is None:
            raise
        raise _in_file(there, own.DOCUMENTATION) from None


def _in_file(there: own.Fault, help: str) -> PydanticCustomError:
    """VM029, with the place in the Python file in its context."""
    context = {"message": there.message, "help": help, "at": (), "there": there}
    return PydanticCustomError("VM029", "{message}", context)


def slot_kind(device: object) -> type[DeviceNode] | None:
    """The kind of device that a slot's `device` names, if there is one."""
    return _kind(device, "slots")


def lpc_kind(name: str) -> type[DeviceNode] | None:
    """The kind of device that is in [lpc.NAME], if there is one."""
    return _kind(name, "lpc")


def own_lpc_kind(device: object) -> type[DeviceNode] | None:
    """The kind that the `device` of an [lpc] table names: only one that is not vmmgr's."""
    kind = _kind(device, "lpc")
    return kind if kind is not None and kind.CODE else None


def _kind(name: object, section: str) -> type[DeviceNode] | None:
    if not isinstance(name, str):
        return None
    try:
        kind = registry.find(name)
    except registry.UnknownKindError:
        return None
    # "pci-uart" is a kind, but machine files say "uart".
    known = bool(kind.CODE) or name in (kind.NAMES or (kind.TYPE,))
    return kind if known and section == kind.SECTION else None


def table_of(kind: type[DeviceNode]) -> type[BaseModel]:
    """The model of a kind's table."""
    if kind.SECTION == "slots":
        return kind.table() or SlotTable
    return kind.table() or (DeviceTable if kind.CODE else Table)


def device_table(section: str, name: str, table: Any) -> type[BaseModel] | None:
    """The model of `table`, which is [slots.NAME] or [lpc.NAME], if there is such a device."""
    device = table.get("device")
    try:
        if section == "slots":
            kind = slot_kind(device)
        else:
            kind = own_lpc_kind(device) if device is not None else lpc_kind(name)
        return table_of(kind) if kind is not None else None
    except Exception:  # in a file that is not ours: the check of the table tells of it
        return None


Slot = Annotated[Any, AfterValidator(_slot)]
LpcTables = Annotated[dict[str, Annotated[Any, AfterValidator(_lpc)]], BeforeValidator(_with_names)]


class MachineTable(Table):
    """A machine file, after `extends`, variables and `--set`."""

    format: Annotated[Literal[1], BeforeValidator(exactly)] = Field(
        default=1,
        alias="schema",
        description="The version of the machine-file format.",
        examples=[1],
    )
    name: Name = Field(
        description="The machine's name: a-z, 0-9 and -; the file's stem when it is not given.",
        examples=["demo"],
    )
    allow: Annotated[tuple[LintCode, ...], Field(strict=False)] = Field(
        default=(),
        description="Warnings not to report; `vmmgr explain CODE` tells what they mean.",
        examples=[["VM101"]],
    )
    cpu: CpuTable = Field(default_factory=CpuTable, description="The processors.")
    memory: MemoryTable = Field(default_factory=MemoryTable, description="RAM.")
    clock: ClockTable = Field(default_factory=ClockTable, description="Virtual time.")
    boot: BootTable = Field(description="What the machine starts with.")
    disks: dict[DiskName, DiskTable] = Field(
        default={},
        description="Disks by name; devices in slots name the one that they are for.",
        examples=[{"root": {"image": "debian.img"}}],
    )
    shares: dict[ShareName, ShareTable] = Field(
        default={},
        description="Folders of the host by name, for the guest to see as files; devices in slots "
        "name the one that they are for.",
        examples=[{"src": {"folder": "src"}}],
    )
    slots: dict[str, Slot] = Field(
        default={},
        description='The devices on PCI bus 0, by slot number; "4.1" is slot 4, function 1.',
        examples=[{"4": {"device": "uart"}}],
    )
    lpc: LpcTables = Field(default={}, description="What sits behind the LPC bridge.")
    ready: ReadyTable | None = Field(default=None, description="When `up` counts as ready.")
    record: RecordTable = Field(
        default_factory=RecordTable, description="What is recorded of a run."
    )
    gdb: GdbTable | None = Field(default=None, description="Where gdb may connect to.")
    debug: DebugTable = Field(default_factory=DebugTable, description="Help for debugging a guest.")
    sandbox: SandboxTable = Field(
        default_factory=SandboxTable, description="What the machine's process gives up."
    )


SECTIONS: dict[str, type[Table]] = {
    "cpu": CpuTable,
    "memory": MemoryTable,
    "clock": ClockTable,
    "boot": BootTable,
    "ready": ReadyTable,
    "record": RecordTable,
    "gdb": GdbTable,
    "debug": DebugTable,
    "sandbox": SandboxTable,
}

BY_TYPE: Mapping[str, Mapping[str, type[BaseModel]]] = {"backend": BACKENDS, "network": NETWORKS}
"""Tables whose `type` says what they may have, by the key that they stand at."""


def table_at(tree: Any, path: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model of the table at `path`; `tree` decides which device or backend it is."""
    for key in path:
        tree = tree[key]
    match path:
        case ():
            return MachineTable
        case (str() as section,):
            return SECTIONS.get(section)
        case ("slots" | "lpc" as section, str() as name):
            return device_table(section, name, tree)
        case ("disks", _):
            return DiskTable
        case ("shares", _):
            return ShareTable
        case (*_, "backend" | "network" as key) if isinstance(tree, dict):
            return BY_TYPE[key].get(str(tree.get("type")))
    return None
