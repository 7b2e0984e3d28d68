# SPDX-License-Identifier: BSD-2-Clause
"""The machine file as pydantic models: strict, frozen, no unknown keys.

The models know what a value may be; what devices do to each other is the graph's to judge.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from manager.config.backends import BACKENDS, Backend, NullBackend
from manager.config.debugger import Gdb
from manager.config.sections import BOOT_HELP, Boot, Clock, Cpu, Debug, Memory, Ready, Record
from manager.config.table import Table
from manager.config.values import IoPort, LintCode, Name

__all__ = ["BACKENDS", "BOOT_HELP", "DEVICES", "Lpc", "Machine", "Table", "table_at"]

Pace = Literal["host", "baud"]
_BACKEND: Any = Field(
    default_factory=lambda: NullBackend(type="null"),
    description="The host's side of the port.",
    examples=["stdio", {"type": "tcp", "listen": "127.0.0.1:4555"}],
)
_PACE: Any = Field(
    default="host",
    description='"host": bytes go as fast as the host takes them. "baud": each takes as much '
    "virtual time as the divisor and the frame format say.",
    examples=["baud"],
)


class HostBridgeSlot(Table):
    """The bridge between the CPU and PCI bus 0."""

    device: Literal["hostbridge"] = Field(description="What sits in the slot.")


class LpcSlot(Table):
    """The bridge that `[lpc.*]` devices and the PIRQ router sit in."""

    device: Literal["lpc"] = Field(description="What sits in the slot.")


class UartSlot(Table):
    """A PCI serial port."""

    device: Literal["uart"] = Field(description="What sits in the slot.")
    backend: Backend = _BACKEND
    pace: Pace = _PACE
    legacy: Literal["com1", "com2"] | None = Field(
        default=None,
        description="Deprecated: put the port where this COM port would be.",
        examples=["com1"],
    )


Slot = Annotated[HostBridgeSlot | LpcSlot | UartSlot, Field(discriminator="device")]


class ComPort(Table):
    """A serial port at the place where PCs have it."""

    backend: Backend = _BACKEND
    pace: Pace = _PACE


class DebugExit(Table):
    """A port that ends the machine when the guest writes to it: exit status (value << 1) | 1."""

    port: IoPort = Field(default=0xF4, description="The I/O port.", examples=[0xF4])


class Lpc(Table):
    """What sits behind the LPC bridge."""

    com1: ComPort | None = Field(default=None, description="Ports 0x3f8-0x3ff, IRQ 4.")
    com2: ComPort | None = Field(default=None, description="Ports 0x2f8-0x2ff, IRQ 3.")
    com3: ComPort | None = Field(default=None, description="Ports 0x3e8-0x3ef, IRQ 4.")
    com4: ComPort | None = Field(default=None, description="Ports 0x2e8-0x2ef, IRQ 3.")
    debug_exit: DebugExit | None = Field(
        default=None, description="A port that ends the machine when the guest writes to it."
    )

    def ports(self) -> dict[str, ComPort]:
        """The COM ports that the machine has, in order."""
        every = {name: getattr(self, name) for name in ("com1", "com2", "com3", "com4")}
        return {name: port for name, port in every.items() if port is not None}


class Machine(Table):
    """A machine file, after `extends`, variables and `--set`."""

    format: Literal[1] = Field(
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
    cpu: Cpu = Field(default_factory=Cpu, description="The processor.")
    memory: Memory = Field(default_factory=Memory, description="RAM.")
    clock: Clock = Field(default_factory=Clock, description="Virtual time.")
    boot: Boot = Field(description="What the machine starts with.")
    slots: dict[str, Slot] = Field(
        default={},
        description='The devices on PCI bus 0, by slot number; "4.1" is slot 4, function 1.',
        examples=[{"4": {"device": "uart"}}],
    )
    lpc: Lpc = Field(default_factory=Lpc, description="What sits behind the LPC bridge.")
    ready: Ready | None = Field(default=None, description="When `up` counts as ready.")
    record: Record = Field(default_factory=Record, description="What is recorded of a run.")
    gdb: Gdb | None = Field(default=None, description="Where gdb may connect to.")
    debug: Debug = Field(default_factory=Debug, description="Help for debugging a guest.")


DEVICES: dict[str, type[Table]] = {
    "hostbridge": HostBridgeSlot,
    "lpc": LpcSlot,
    "uart": UartSlot,
}
SECTIONS: dict[str, type[Table]] = {
    "cpu": Cpu,
    "memory": Memory,
    "clock": Clock,
    "boot": Boot,
    "lpc": Lpc,
    "ready": Ready,
    "record": Record,
    "gdb": Gdb,
    "debug": Debug,
}


def table_at(tree: Any, path: tuple[str | int, ...]) -> type[Table] | None:
    """The model of the table at `path`; `tree` decides which device or backend it is."""
    for key in path:
        tree = tree[key]
    match path:
        case ():
            return Machine
        case (str() as section,):
            return SECTIONS.get(section)
        case ("slots", _):
            return DEVICES.get(tree["device"])
        case ("lpc", "debug-exit"):
            return DebugExit
        case ("lpc", _):
            return ComPort
        case (*_, "backend"):
            return BACKENDS.get(tree["type"])
    return None
