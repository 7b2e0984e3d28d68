# SPDX-License-Identifier: BSD-2-Clause
"""The machine file as pydantic models: strict, frozen, no unknown keys.

The models know what a value may be; what devices do to each other is the graph's to judge.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from manager.config import values
from manager.config.units import MIB
from manager.config.values import (
    Address,
    Duration,
    FilePath,
    GuestAddress,
    IoPort,
    Name,
    Pattern,
    fault,
)
from manager.config.words import CPU_MODELS


class Table(BaseModel):
    """A table of the machine file. Keys are written with dashes."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=lambda name: name.replace("_", "-"),
    )


class Cpu(Table):
    """The processor."""

    model: Literal[CPU_MODELS] = "qemu64"  # type: ignore[valid-type]


class Memory(Table):
    """RAM."""

    size: values.Memory = 64 * MIB
    """Bytes."""


class Clock(Table):
    """Virtual time."""

    mode: Literal["paced", "virtual"] = "paced"
    epoch: values.Epoch = values.DEFAULT_EPOCH
    """Seconds since 1970-01-01T00:00:00Z that the RTC shows at virtual time 0."""


BootProtocol = Literal["linux16", "linux32", "linux64", "pvh", "multiboot", "multiboot2"]


class Boot(Table):
    """What the machine starts with: exactly one of kernel, image and firmware."""

    kernel: FilePath | None = None
    initrd: FilePath | None = None
    cmdline: str | None = None
    modules: Annotated[tuple[FilePath, ...], Field(strict=False)] = ()
    """Multiboot modules: a path, then what the kernel is told about it."""
    protocol: BootProtocol | None = None
    """How the kernel is entered, where its file leaves a choice."""
    image: FilePath | None = None
    load: GuestAddress | None = None
    entry: GuestAddress | None = None
    bits: Literal[16, 32, 64] | None = None
    firmware: FilePath | None = None
    help: str | None = None
    """What to do when one of the files is missing."""

    @model_validator(mode="after")
    def _one_way(self) -> Boot:
        given = {key: name for key, name in _BOOT_KEYS.items() if key in self.model_fields_set}
        ways = tuple(way for way in ("kernel", "image", "firmware") if way in given)
        if not ways:
            raise fault("VM030", "`[boot]` does not say what to boot", BOOT_HELP)
        if len(ways) > 1:
            names = " and ".join(f"`{way}`" for way in ways)
            help = "keep one; `replace = true` in `[boot]` drops what the extended files have there"
            raise fault("VM031", f"{names} are different ways to boot", help, ways)
        for key, way in given.items():
            if way != ways[0]:
                message = f"`{key}` does not go with `{ways[0]}`"
                raise fault("VM032", message, f"it belongs to `{way}`", (key, ways[0]))
        missing = [key for key in ("load", "entry", "bits") if key not in given]
        if ways[0] == "image" and missing:
            names = ", ".join(f"`{key}`" for key in missing)
            help = "such as load = 0x7c00, entry = 0x7c00, bits = 16"
            raise fault("VM013", f"`image` needs {names} as well", help, ("image",))
        return self


BOOT_HELP = "set one of `kernel`, `image` and `firmware` in `[boot]`"
_BOOT_KEYS = {
    "kernel": "kernel",
    "initrd": "kernel",
    "cmdline": "kernel",
    "modules": "kernel",
    "protocol": "kernel",
    "image": "image",
    "load": "image",
    "entry": "image",
    "bits": "image",
    "firmware": "firmware",
}
"""Each key of `[boot]` and the way to boot that it belongs to."""


class StdioBackend(Table):
    """The terminal or pipe that vmmgr itself runs on."""

    type: Literal["stdio"]


class NullBackend(Table):
    """Nothing: output is dropped (the machine's log keeps it), there is no input."""

    type: Literal["null"]


class PtyBackend(Table):
    """A new pseudo-terminal; `path` becomes a link to it."""

    type: Literal["pty"]
    path: FilePath | None = None


class FileBackend(Table):
    """A file that output is appended to."""

    type: Literal["file"]
    path: FilePath


class _Socket(Table):
    @model_validator(mode="after")
    def _one_end(self) -> _Socket:
        given = tuple(key for key in ("listen", "connect") if getattr(self, key) is not None)
        if len(given) != 1:
            what = "both listens and connects" if given else "neither listens nor connects"
            raise fault("VM022", f"this backend {what}", "set `listen` or `connect`", given)
        return self


class TcpBackend(_Socket):
    """A TCP connection: `listen` or `connect` to HOST:PORT."""

    type: Literal["tcp"]
    listen: Address | None = None
    connect: Address | None = None


class UnixBackend(_Socket):
    """A UNIX stream socket: `listen` at or `connect` to a path."""

    type: Literal["unix"]
    listen: FilePath | None = None
    connect: FilePath | None = None


AnyBackend = Annotated[
    StdioBackend | NullBackend | PtyBackend | FileBackend | TcpBackend | UnixBackend,
    Field(discriminator="type"),
]
Backend = Annotated[
    AnyBackend,
    BeforeValidator(lambda value: {"type": value} if isinstance(value, str) else value),
]


class HostBridgeSlot(Table):
    """The bridge between the CPU and PCI bus 0."""

    device: Literal["hostbridge"]


class LpcSlot(Table):
    """The bridge that `[lpc.*]` devices and the PIRQ router sit in."""

    device: Literal["lpc"]


class UartSlot(Table):
    """A PCI serial port."""

    device: Literal["uart"]
    backend: Backend = Field(default_factory=lambda: NullBackend(type="null"))
    legacy: Literal["com1", "com2"] | None = None


Slot = Annotated[HostBridgeSlot | LpcSlot | UartSlot, Field(discriminator="device")]


class ComPort(Table):
    """A serial port at the place where PCs have it."""

    backend: Backend = Field(default_factory=lambda: NullBackend(type="null"))


class DebugExit(Table):
    """A port that ends the machine when the guest writes to it."""

    port: IoPort = 0xF4


class Lpc(Table):
    """What sits behind the LPC bridge."""

    com1: ComPort | None = None
    com2: ComPort | None = None
    com3: ComPort | None = None
    com4: ComPort | None = None
    debug_exit: DebugExit | None = None

    def ports(self) -> dict[str, ComPort]:
        """The COM ports that the machine has, in order."""
        every = {name: getattr(self, name) for name in ("com1", "com2", "com3", "com4")}
        return {name: port for name, port in every.items() if port is not None}


class Ready(Table):
    """When `up` counts as ready."""

    port: str | None = None
    """The first serial port when it is not given."""
    wait_for: Pattern
    fail_on: Pattern | None = None
    timeout: Duration = 120_000_000_000
    """Nanoseconds."""


class Machine(Table):
    """A machine file, after `extends`, variables and `--set`."""

    format: Literal[1] = Field(default=1, alias="schema")
    name: Name
    cpu: Cpu = Cpu()
    memory: Memory = Memory()
    clock: Clock = Clock()
    boot: Boot
    slots: dict[str, Slot] = {}
    lpc: Lpc = Lpc()
    ready: Ready | None = None


DEVICES: dict[str, type[Table]] = {
    "hostbridge": HostBridgeSlot,
    "lpc": LpcSlot,
    "uart": UartSlot,
}
BACKENDS: dict[str, type[Table]] = {
    "stdio": StdioBackend,
    "null": NullBackend,
    "pty": PtyBackend,
    "file": FileBackend,
    "tcp": TcpBackend,
    "unix": UnixBackend,
}
SECTIONS: dict[str, type[Table]] = {
    "cpu": Cpu,
    "memory": Memory,
    "clock": Clock,
    "boot": Boot,
    "lpc": Lpc,
    "ready": Ready,
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
