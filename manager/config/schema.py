# SPDX-License-Identifier: BSD-2-Clause
"""The machine file as pydantic models: strict, frozen, no unknown keys.

The models know what a value may be; what devices do to each other is the graph's to judge.
Custom errors have a diagnostic code as their type, the message and the remedy in their context.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    model_validator,
)
from pydantic_core import PydanticCustomError

from manager.config import units
from manager.config.units import GIB, MIB
from manager.config.words import CPU_MODELS

NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
MAX_MEMORY = 3 * GIB
"""RAM is one piece below the PCI hole."""
PAGE = 4096
DEFAULT_EPOCH = 1_704_067_200
"""2024-01-01T00:00:00Z."""


def fault(code: str, message: str, help: str = "", at: tuple[str, ...] = ()) -> PydanticCustomError:
    """An error that carries its diagnostic; `at` are the keys of this table to point to."""
    return PydanticCustomError(
        code,
        "{message}",
        {"message": message, "help": help, "at": at},
    )


def _name(text: str) -> str:
    if NAME.fullmatch(text) is None:
        rule = "a name is made of a-z, 0-9 and -, and begins with a letter or a digit"
        raise fault("VM014", f'"{text}" is not a name for a machine', f"{rule}; set `name`")
    return text


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return units.parse_size(value)
    except ValueError as error:
        help = 'write a number and K, M or G, such as "256M", or a number of bytes'
        raise fault("VM015", str(error), help) from None


def _memory(size: int) -> int:
    if not MIB <= size <= MAX_MEMORY:
        allowed = f"from {units.show_size(MIB)} to {units.show_size(MAX_MEMORY)}"
        raise fault("VM014", f"a machine cannot have {units.show_size(size)} of memory", allowed)
    if size % PAGE:
        raise fault("VM014", f"{size} bytes are not a whole number of 4 KiB pages")
    return size


def _duration(value: object) -> object:
    if not isinstance(value, str):
        raise fault("VM016", "a duration is a string with a unit", 'such as "120s" or "500ms"')
    try:
        return units.parse_duration(value)
    except ValueError as error:
        help = 'write a number and ns, us, ms, s, m or h, such as "120s"'
        raise fault("VM016", str(error), help) from None


def _epoch(value: object) -> object:
    if not isinstance(value, datetime):
        example = "such as 2024-01-01T00:00:00Z, without quotation marks"
        raise fault("VM011", "`epoch` is a date with a time", example)
    if value.tzinfo is None:
        raise fault("VM014", "`epoch` does not say which time zone it is in", "add Z for UTC")
    if value.microsecond or not 1970 <= value.astimezone(UTC).year <= 2099:
        raise fault("VM014", "the clock cannot show this", "whole seconds, years 1970 to 2099")
    return int(value.timestamp())


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise fault("VM017", f"not a regular expression: {error}") from None
    return text


_HOST_PORT = re.compile(r"(?:[^\s:\[\]/]*|\[[0-9A-Fa-f:.%a-z]+\]):([0-9]{1,5})")


def _address(text: str) -> str:
    match = _HOST_PORT.fullmatch(text)
    if match is None or int(match[1]) > 0xFFFF:
        help = 'write "HOST:PORT", such as "127.0.0.1:4555" or "[::1]:4555"'
        raise fault("VM021", f'"{text}" is not a network address', help)
    return text


def _io_port(port: int) -> int:
    if not 0 <= port <= 0xFFFF:
        raise fault("VM014", f"{port} is not an I/O port", "I/O ports are 0 to 0xffff")
    return port


def _guest_address(address: int) -> int:
    if not 0 <= address < MAX_MEMORY:
        raise fault("VM033", f"{address:#x} is outside of any memory a machine can have")
    return address


Text = Annotated[str, Strict()]
Size = Annotated[int, BeforeValidator(_size)]
Duration = Annotated[int, BeforeValidator(_duration)]
"""Nanoseconds."""
Pattern = Annotated[str, AfterValidator(_pattern)]
Address = Annotated[str, AfterValidator(_address)]
IoPort = Annotated[int, AfterValidator(_io_port)]
GuestAddress = Annotated[int, AfterValidator(_guest_address)]


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

    size: Annotated[Size, AfterValidator(_memory)] = 64 * MIB
    """Bytes."""


class Clock(Table):
    """Virtual time."""

    mode: Literal["paced", "virtual"] = "paced"
    epoch: Annotated[int, BeforeValidator(_epoch)] = DEFAULT_EPOCH
    """Seconds since 1970-01-01T00:00:00Z that the RTC shows at virtual time 0."""


class Boot(Table):
    """What the machine starts with: exactly one of kernel, image and firmware."""

    kernel: str | None = None
    initrd: str | None = None
    cmdline: str | None = None
    modules: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    """Multiboot modules: a path, then what the kernel is told about it."""
    image: str | None = None
    load: GuestAddress | None = None
    entry: GuestAddress | None = None
    bits: Literal[16, 32, 64] | None = None
    firmware: str | None = None
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
    path: str | None = None


class FileBackend(Table):
    """A file that output is appended to."""

    type: Literal["file"]
    path: str


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
    listen: str | None = None
    connect: str | None = None


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
    name: Annotated[str, AfterValidator(_name)]
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
