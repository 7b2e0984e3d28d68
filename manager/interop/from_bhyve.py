# SPDX-License-Identifier: BSD-2-Clause
"""bhyve's settings as a machine file."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import PurePosixPath

from manager.config.sections import CPUS_MAX
from manager.config.units import MIB, format_size
from manager.config.values import MAX_MEMORY, PAGE
from manager.errors import UsageError
from manager.interop import vmrun
from manager.interop.bhyve_argv import KEXEC, parse_argv
from manager.interop.bhyve_cards import CARDS, keys
from manager.interop.bhyve_config import Settings, expand, parse
from manager.interop.translation import Translation, comments
from manager.names import NAME
from manager.text.quoting import UnquotableError, quoted

DEFAULT_MEMORY = "256M"
"""What bhyve gives a guest by default."""
NOT_NEEDED = {
    "acpi_tables": "there are always ACPI tables",
    "destroy_on_poweroff": "nothing is left to destroy",
    "memory.guest_in_core": "core dumps are the host's business",
    "memory.wired": "-S as it is today: guest memory is not wired",
    "x86.vmexit_on_hlt": "an idle guest takes no CPU time as it is",
    "x86.vmexit_on_pause": "a guest that spins in PAUSE costs little as it is",
    "x86.mptable": "there is no MP table",
}
"""What changes nothing here, and why."""
_SIZE = re.compile(r"([0-9]{1,20})([kKmMgGtT]?)[bB]?")
_COUNT = re.compile(r"[0-9]{1,5}")
_UNITS = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_PCI = re.compile(r"pci\.([0-9]{1,5})\.([0-9]{1,5})\.([0-9]{1,5})\.(.+)")
_NMDM = re.compile(r"/dev/nmdm([\w.-]*)([AB])")
_PORT = re.compile(r"[0-9]{1,5}")
_HERE = re.compile(r"127\..*|localhost")
_SLOTS, _FUNCTIONS = 32, 8
_GDB_ADDRESS = "127.0.0.1"
"""Where bhyve's gdb server listens when nobody says."""
LEGACY = ("com1", "com2")
"""What the first and the second uart of the old `-S SLOT,uart` became."""


def import_argv(text: str) -> Translation:
    """The machine file of a bhyve or vmrun.sh command line. Raises UsageError."""
    try:
        words = shlex.split(text.replace("\\\n", " "), comments=True)
    except ValueError as error:
        raise UsageError(f"the command line cannot be parsed: {error}") from None
    while words and PurePosixPath(words[0]).name in ("sudo", "doas", "sh"):
        words.pop(0)
    lost: list[str] = []
    program = PurePosixPath(words[0]).name if words else ""
    if program == "vmrun.sh":
        words, lost = vmrun.to_bhyve(words[1:])
    elif program in ("bhyve", "xhyve"):
        words = words[1:]
    return translate(parse_argv(words, xhyve=program == "xhyve"), lost)


def import_config(text: str, where: str) -> Translation:
    """The machine file of a bhyve configuration file. Raises UsageError."""
    return translate(parse(text, where), [])


def translate(settings: Settings, lost: list[str]) -> Translation:
    """The machine file of some settings; every one of them is in it, or in `lost`."""
    return _Importer(expand(settings), lost).translation()


class _Importer:
    def __init__(self, settings: Settings, lost: list[str]) -> None:
        self.left = settings
        """What has not been read yet."""
        self.lost = list(lost)
        self.lines: list[str] = []
        self._taken: dict[str, str] = {}
        """Ends on the host that only one port can have, and which one has them."""
        self._legacies: dict[str, str] = {}
        """COM ports that are PCI uarts, and where those are."""

    def translation(self) -> Translation:
        name = self._name()
        memory = format_size(_memory(self.left.pop("memory.size", DEFAULT_MEMORY)))
        self._table("memory", f"size = {_toml(memory)}")
        self._boot()
        has_lpc = self._slots()
        self._com_ports(has_lpc)
        self._gdb()
        if self._flag("x86.strictio"):
            self._table("debug", "strict-io = true")
        self._cpu()
        self._clock()
        for key, value in self.left.items():
            reason = NOT_NEEDED.get(key, "there is nothing like it here")
            self.lost.append(f"{key}={value}: {reason}")
        head = ["# A machine that was bhyve's."]
        head += comments(self.lost, "What bhyve was told, and this file does not say:")
        text = "\n".join([*head, "schema = 1", f"name = {_toml(name)}", *self.lines])
        return Translation(text + "\n", self.lost)

    def _table(self, heading: str, *lines: str) -> None:
        self.lines += ["", f"[{heading}]", *lines]

    def _flag(self, key: str) -> bool:
        return self.left.pop(key, "false").lower() in ("true", "yes", "on", "1")

    def _name(self) -> str:
        given = self.left.pop("name", "imported")
        name = re.sub(r"[^a-z0-9-]+", "-", given.lower()).strip("-")[:64] or "imported"
        if NAME.fullmatch(given) is None:
            self.lost.append(f"name={given}: here it is {name}")
        return name

    def _boot(self) -> None:
        rom = self.left.pop("lpc.bootrom", None) or self.left.pop("bootrom", None)
        if rom is not None:
            self._table("boot", f"firmware = {_toml(rom)}")
            return
        kernel, initrd, cmdline = (self.left.pop(name, "") for name in KEXEC)
        if kernel:
            keys = {"kernel": kernel, "initrd": initrd, "cmdline": cmdline}
            self._table("boot", *(f"{key} = {_toml(text)}" for key, text in keys.items() if text))
            return
        help = "bhyve was given no boot ROM: bhyveload or grub-bhyve loaded the kernel; name it"
        self.lost.append("the kernel: bhyve's command line does not say what bhyveload loaded")
        self._table("boot", 'kernel = "kernel"', f"help = {_toml(help)}")

    def _slots(self) -> bool:
        """All PCI functions; returns whether there is an LPC bridge."""
        found: dict[tuple[int, int, int], dict[str, str]] = {}
        for key in list(self.left):
            if match := _PCI.fullmatch(key):
                place = (int(match[1]), int(match[2]), int(match[3]))
                found.setdefault(place, {})[match[4]] = self.left.pop(key)
        legacy = iter(LEGACY)
        kinds, tables = set(), set()
        for (bus, slot, function), options in sorted(found.items()):
            kind = options.pop("device", "")
            where = f"pci.{bus}.{slot}.{function}"
            if bus != 0:
                self.lost.append(f"{where} ({kind}): there is one PCI bus, bus 0")
                continue
            if kind == "amd_hostbridge":
                self.lost.append(f"{where}: the host bridge is Intel's, not AMD's")
                kind = "hostbridge"
            if slot >= _SLOTS or function >= _FUNCTIONS:
                self.lost.append(f"{where}: there are {_SLOTS} slots of {_FUNCTIONS} functions")
                continue
            if kind in kinds and kind in ("hostbridge", "lpc"):
                self.lost.append(f"{where}={kind}: there is one already")
                continue
            if kind not in ("hostbridge", "lpc", "uart", *CARDS):
                words = ",".join([kind, *(f"{k}={v}" for k, v in options.items())])
                self.lost.append(f"{where}={words}: there is no such device here")
                continue
            kinds.add(kind)
            table = f"slots.{slot}"
            if function and table in tables:
                table += f".{function}"
            elif function:
                self.lost.append(f"{where}: nothing is in function 0, where guests look first")
            tables.add(table)
            lines = [f'device = "{kind}"']
            if kind == "uart":
                lines.append(f"backend = {self._backend(where, options.pop('path', ''))}")
                if options.pop("legacy", None) is not None:
                    lines += self._legacy(where, legacy)
            elif kind in CARDS:
                lines += keys(where, options, self.lost)
            for key, value in options.items():
                self.lost.append(f"{where}.{key}={value}: there is nothing like it here")
            self._table(table, *lines)
        if kinds and "hostbridge" not in kinds and (0, 0, 0) not in found:
            self.lines += ["", "# bhyve does without; guests here find PCI through it."]
            self.lines += ["[slots.0]", 'device = "hostbridge"']
        return "lpc" in kinds

    def _legacy(self, where: str, names: Iterator[str]) -> list[str]:
        name = next(names, None)
        if name is None:
            self.lost.append(f"{where}: -S gave no third uart a place, nor does this file")
            return []
        self.lost.append(
            f"{where}: -S SLOT,uart is deprecated, and so is `legacy`: "
            f"an LPC bridge and `[lpc.{name}]` take its place"
        )
        self._legacies[name] = where
        return [f"legacy = {_toml(name)}   # deprecated: use [lpc.{name}]"]

    def _com_ports(self, has_lpc: bool) -> None:
        for name in ("com1", "com2", "com3", "com4"):
            path = self.left.pop(f"lpc.{name}.path", None)
            if path is None:
                continue
            rival = LEGACY[(int(name[-1]) - 1) % 2]
            if rival in self._legacies:
                reason = f"{self._legacies[rival]} is {rival}, whose interrupt it would share"
                self.lost.append(f"lpc.{name}={path}: {reason}")
            elif has_lpc:
                self._table(f"lpc.{name}", f"backend = {self._backend(name, path)}")
            else:
                self.lost.append(f"lpc.{name}={path}: without an lpc slot bhyve ignores it")

    def _backend(self, where: str, path: str) -> str:
        """The backend that stands for a path of bhyve's uart."""
        if not path:
            return '"null"'
        if (other := self._taken.setdefault(path, where)) != where:
            self.lost.append(f"{where}: {path} is taken, by {other}; the port is not connected")
            return '"null"'
        if path == "stdio":
            return '"stdio"'
        if path.startswith("autopty"):
            link = path.partition("=")[2]
            return f'{{ type = "pty", path = {_toml(link)} }}' if link else '"pty"'
        if path.startswith("tcp="):
            if _endpoint(listen := path.removeprefix("tcp=")):
                return f'{{ type = "tcp", listen = {_toml(listen)} }}'
            self.lost.append(f"{where}: {path}: not an address and a port; it is not connected")
            return '"null"'
        if match := _NMDM.fullmatch(path):
            other = f"nmdm{match[1]}{'AB'[match[2] == 'A']}"
            was = quoted(path, "comment")
            return f'{{ type = "pty", path = {_toml(other)} }}   # was {was}; the other end is here'
        self.lost.append(f"{where}: an existing terminal, {path}, cannot be a backend")
        return '"null"'

    def _gdb(self) -> None:
        port = self.left.pop("gdb.port", None)
        address, waits = self.left.pop("gdb.address", _GDB_ADDRESS), self._flag("gdb.wait")
        if port is None:
            return
        listen = f"{address}:{port}"
        other = self._taken.get(f"tcp={listen}")
        if not _endpoint(listen) or other is not None:
            reason = f"taken, by {other}" if other is not None else "not an address and a port"
            self.lost.append(f"gdb.port={port}: {listen} is {reason}")
            return
        lines = [f"listen = {_toml(listen)}"]
        lines += ["wait = true"] if waits else []
        lines += [] if _HERE.fullmatch(address) else ["allow-remote = true"]
        self._table("gdb", *lines)

    def _cpu(self) -> None:
        """Bhyve's count, as cores of one package."""
        counts = {key: self.left.pop(key, "1") for key in ("cpus", "sockets", "cores", "threads")}
        count = counts.pop("cpus")
        if _COUNT.fullmatch(count) and 1 < int(count) <= CPUS_MAX:
            self._table("cpu", f"count = {count}")
        elif count != "1":
            self.lost.append(f"cpus={count}: a machine has 1 to {CPUS_MAX} CPUs")
        said = ",".join(f"{key}={value}" for key, value in counts.items() if value != "1")
        if said:
            self.lost.append(f"{said}: all CPUs are cores of one package")

    def _clock(self) -> None:
        if self.left.pop("rtc.use_localtime", "true") != "false":
            self.lost.append("rtc.use_localtime=true: the clock shows UTC, from `clock.epoch` on")


def _endpoint(text: str) -> bool:
    """Whether it is HOST:PORT."""
    host, _, port = text.rpartition(":")
    return bool(host) and bool(_PORT.fullmatch(port)) and int(port) <= 0xFFFF


def _memory(text: str) -> int:
    """A size that a machine can have. Raises UsageError."""
    size = _bytes(text)
    if not MIB <= size <= MAX_MEMORY or size % PAGE:
        most, least = format_size(MAX_MEMORY), format_size(MIB)
        raise UsageError(f"memory.size={text}: a machine has {least} to {most} of whole pages")
    return size


def _bytes(text: str) -> int:
    """Bhyve's size: a suffix, or megabytes when the number is too small to be bytes."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"memory.size={text}: not a size")
    number = int(match[1])
    if match[2]:
        return number * _UNITS[match[2].lower()]
    return number if number >= _UNITS["m"] else number * _UNITS["m"]


def _toml(value: str) -> str:
    try:
        return quoted(value, "toml")
    except UnquotableError as error:
        raise UsageError(f"{value!r}: {error}") from None
