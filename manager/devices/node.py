# SPDX-License-Identifier: BSD-2-Clause
"""A device kind as a declaration: what its table says, what it claims, how it is built.

A kind is a subclass of DeviceNode, and an instance of it is one device of a graph. It is light:
what executes for a guest is in a module of its own, which `build` imports. docs/devices.md shows
how to write one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from manager.devices.claims import PORTS, Claims, PciAddress, end_id
from manager.devices.host import Backend, HostResource
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services

_FACT, _ON_HOST = "vmmgr.fact", "vmmgr.on-host"
PCI_BUS, LPC_BUS = "PCI bus 0", "LPC bus"


class Place(NamedTuple):
    """Where a table of the machine file, or the board, puts a device."""

    id: str
    """Its path in the machine file ("slots.4", "lpc.com1"), or "board.pic" and the like."""
    parent: str | None = None
    """The id of the bridge whose bus it sits on; None for the board itself."""
    address: PciAddress | None = None

    @property
    def name(self) -> str:
        """The last part of the id, such as "com1"."""
        return self.id.partition(".")[2]


def fact(default: Any = MISSING) -> Any:
    """A field of a kind of its own that the guest can see.

    It is part of the machine's identity. A field that has its default is left out there, so a new
    one changes no identity hash of old machine files.
    """
    return field(default=default, kw_only=True, metadata={_FACT: True})


def on_host(default: Any = None) -> Any:
    """A field of a kind of its own about the host's side, which the guest cannot see.

    It is a value of a frozen dataclass (a HostResource, if there can be conflicts), text or a
    number, and never part of the machine's identity.
    """
    return field(default=default, kw_only=True, metadata={_ON_HOST: True})


@dataclass(frozen=True, slots=True)
class SerialEnd:
    """A serial port of a device, and what it has on the host."""

    node: DeviceNode
    backend: Backend
    name: str = ""
    """The port's own, of a device that has several."""

    @property
    def id(self) -> str:
        """Its path in the machine file: the device's, or that of its own table."""
        return end_id(self.node.id, self.name)

    @property
    def key(self) -> tuple[str, ...]:
        """Where `backend` stands below the device's table."""
        return (PORTS, self.name, "backend") if self.name else ("backend",)

    @property
    def port_name(self) -> str:
        """What users call it: com1..com4, or its id."""
        return self.id.removeprefix("lpc.")

    @property
    def com_port(self) -> str | None:
        """The COM port (com1..com4) that a guest finds there, if it is one."""
        return self.node.com_port

    @property
    def address(self) -> PciAddress | None:
        """The device's place on PCI bus 0, if it has one."""
        return self.node.address


class DeviceNode(Claims):
    """One device: where it sits, what it claims. Subclasses are device kinds.

    The first three fields are a Place, so that `cls(*place, ports=...)` makes a node.
    """

    __slots__ = ()

    TYPE: ClassVar[str] = ""
    """The kind's name in the graph and in snapshots."""
    SECTION: ClassVar[str] = "board"
    """Where it may sit: "slots" (PCI), "lpc", or "board", which has no table."""
    NAMES: ClassVar[Mapping[str, str]] = {}
    """What machine files call it, if not TYPE, and for [lpc.NAME] what the schema says of each."""
    LABEL: ClassVar[str] = ""
    """What messages call a part of the board, such as "the timer"."""
    BUS: ClassVar[str] = ""
    """The bus that it is the bridge to: PCI_BUS or LPC_BUS."""
    FILE: ClassVar[Path | None] = None
    """The file of a kind that a machine file names by its file; set when it is loaded."""
    CODE: ClassVar[str] = ""
    """The hash of the file of a kind that is not vmmgr's, which is part of the identity."""

    @classmethod
    def table(cls) -> type[Any] | None:
        """The keys of its table in a machine file, a pydantic model; None when it has none.

        For a slot that is a manager.config.table.SlotTable, else a Table. Where the model is
        imported from a module of its own, nothing that runs machines has to import pydantic.
        """
        return None

    @classmethod
    def claim(cls, table: Any, place: Place) -> Self:
        """The node for a checked table (None on the board): all that the device will use."""
        return cls(*place)

    def in_machine(self, name: str) -> Self:
        """The same device in the machine of that name, from which it may have a number made."""
        return self

    def known_to_firmware(self) -> Self:
        """The same device as PC firmware expects it, in a machine that starts with firmware."""
        return self

    def boot_paths(self) -> dict[str, str]:
        """What firmware can boot from here: its name in `boot-order`, and where firmware finds it.

        That is a path of OpenFirmware's below the PCI bus, as QEMU's "bootorder" file has it.
        """
        return {}

    def build(self, board: Services) -> Device[Any]:
        """The device, wired to its board. All places and numbers come from this node."""
        raise NotImplementedError(f"{type(self).__name__} has no build()")

    @staticmethod
    def about(state: Mapping[str, Any]) -> str:
        """One line on a saved state, for `snapshot show`; empty when there is nothing to add."""
        return ""

    def keys(self) -> dict[str, Any]:
        """The keys of its table that make this node, but for `device` and `backend`.

        Those that have the name of a fact, and its disks; a kind that has others says so.
        """
        own = self.properties.keys() - {"multifunction", "code"}
        facts = {name.replace("_", "-"): self.properties[name] for name in sorted(own)}
        return facts | {use.key: use.name for use in self.disks}

    @property
    def type(self) -> str:
        """The kind's name."""
        return self.TYPE

    @property
    def file(self) -> Path | None:
        """The Python file that the kind is in, if a machine file names it by that."""
        return self.FILE

    @property
    def reads(self) -> Mapping[Path, str]:
        """Files of the host that it is built from, and what to do where one is not there."""
        return {}

    @property
    def serial_ends(self) -> tuple[SerialEnd, ...]:
        """Its serial ports: the one that `backend` is for, unless the kind has several."""
        return () if self.backend is None else (SerialEnd(self, self.backend),)

    @property
    def properties(self) -> dict[str, int | str | bool]:
        """The facts that are the kind's own, by name; those that have their default left out."""
        found = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if _FACT in item.metadata and value != item.default:
                found[item.name] = value
        if self.multifunction:
            found["multifunction"] = True
        if self.CODE:
            found["code"] = self.CODE
        return found

    @property
    def com_port(self) -> str | None:
        """The COM port (com1..com4) that a guest finds at its ports, if it is one."""
        return None

    @property
    def host_side(self) -> dict[str, Any]:
        """The fields of the kind's own about the host, by name, without those at their default."""
        own = (item for item in fields(self) if _ON_HOST in item.metadata)
        found = {item.name: (getattr(self, item.name), item.default) for item in own}
        return {name: value for name, (value, default) in found.items() if value != default}

    @property
    def host_resources(self) -> dict[str, HostResource]:
        """All that the device has on the host, by the name of its field."""
        every = {"backend": self.backend, **self.host_side}
        return {name: item for name, item in every.items() if isinstance(item, HostResource)}

    @property
    def pirq_routing(self) -> tuple[int, ...]:
        """The ISA interrupts that PIRQ A, B, ... are routed to; empty for what is no router."""
        return ()


def facts_of(kind: type[DeviceNode]) -> frozenset[str]:
    """The names of a kind's own facts."""
    own = (item.name for item in fields(kind) if _FACT in item.metadata)
    return frozenset((*own, "multifunction"))
