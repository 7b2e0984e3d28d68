# SPDX-License-Identifier: BSD-2-Clause
"""bhyve's command line as settings, as bhyve(8) explains it.

`-S` has had two meanings. Today it wires the guest's memory and stands alone. Once
`-S SLOT,DEVICE` put a PCI device at the ports of the ISA device that it stood for; what follows
the option tells them apart.

xhyve, bhyve's port to macOS, has the same options and a few of its own: `-f kexec,...` names the
kernel that it loads by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from manager import files
from manager.errors import UsageError
from manager.interop.bhyve_config import Settings, parse

FLAGS: dict[str, tuple[str, str]] = {
    "a": ("x86.x2apic", "false"),
    "A": ("acpi_tables", "true"),
    "C": ("memory.guest_in_core", "true"),
    "D": ("destroy_on_poweroff", "true"),
    "e": ("x86.strictio", "true"),
    "H": ("x86.vmexit_on_hlt", "true"),
    "P": ("x86.vmexit_on_pause", "true"),
    "S": ("memory.wired", "true"),
    "u": ("rtc.use_localtime", "false"),
    "w": ("x86.strictmsr", "false"),
    "W": ("virtio_msix", "false"),
    "x": ("x86.x2apic", "true"),
    "Y": ("x86.mptable", "false"),
}
"""Options without an argument, and what they set."""
NAMED = {"m": "memory.size", "K": "keyboard.layout", "U": "uuid", "r": "restore", "f": "fwcfg"}
"""Options whose argument is the value of one setting."""
WITH_ARGUMENT = frozenset("cGklops") | NAMED.keys()
OF_XHYVE: dict[str, tuple[str, str]] = {
    "b": ("xhyve.bvmcons", "true"),
    "M": ("xhyve.macaddr", "true"),
}
XHYVE_NAMED = {"F": "xhyve.pidfile", "g": "gdb.port"}
KEXEC = ("kexec.kernel", "kexec.initrd", "kexec.cmdline")
"""The settings that `-f kexec,KERNEL,INITRD,CMDLINE` makes."""

_OLD_STYLE = re.compile(r"\d+(?::\d+){0,2},.+")
_NUMBER = "([0-9]{1,5})"
_SLOT = re.compile(rf"(?:(?:{_NUMBER}:)?{_NUMBER}:{_NUMBER}|{_NUMBER})")


def parse_argv(
    words: list[str], read: Callable[[Path], str] = files.read_text, *, xhyve: bool = False
) -> Settings:
    """The settings that a command line makes; the last word is the machine's name.

    `read` gives the text of a file that `-k` names. Raises UsageError.
    """
    flags = FLAGS | OF_XHYVE if xhyve else FLAGS
    with_argument = WITH_ARGUMENT | XHYVE_NAMED.keys() if xhyve else WITH_ARGUMENT
    settings: Settings = {}
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        cluster = rest.pop(0)[1:]
        if cluster == "-":
            break
        while cluster:
            option, cluster = cluster[0], cluster[1:]
            old_style = cluster or (rest[0] if rest else "")
            if option == "S" and _OLD_STYLE.fullmatch(old_style):
                _slot(settings, _taken(cluster, rest, option), legacy=True)
                break
            if option in flags:
                name, value = flags[option]
                settings[name] = value
            elif option in with_argument:
                argument = _taken(cluster, rest, option)
                if xhyve and option in XHYVE_NAMED:
                    settings[XHYVE_NAMED[option]] = argument
                else:
                    _apply(settings, option, argument, read)
                break
            elif option != "I":  # accepted and ignored by bhyve itself
                raise UsageError(f"bhyve has no option -{option}")
    if len(rest) > 1:
        raise UsageError(f"more than one name at the end: {' '.join(rest)}")
    if rest:
        settings["name"] = rest[0]
    return settings


def _taken(cluster: str, rest: list[str], option: str) -> str:
    """An option's argument: the rest of its word, or the next word."""
    if cluster:
        return cluster
    if not rest:
        raise UsageError(f"-{option} needs an argument")
    return rest.pop(0)


def _apply(settings: Settings, option: str, value: str, read: Callable[[Path], str]) -> None:
    if option == "f" and value.startswith("kexec,"):
        # The command line is the rest, with its commas.
        settings.update(zip(KEXEC, value.split(",", 3)[1:], strict=False))
    elif option in NAMED:
        settings[NAMED[option]] = value
    elif option == "c":
        _topology(settings, value)
    elif option == "G":
        _gdb(settings, value)
    elif option == "p":
        settings[f"vcpu.{value.partition(':')[0]}.cpuset"] = value.partition(":")[2]
    elif option == "o":
        name, equals, content = value.partition("=")
        if not equals:
            raise UsageError(f"-o {value}: not a NAME=VALUE")
        settings[name] = content
    elif option == "k":
        try:
            text = read(Path(value))
        except OSError as error:
            raise UsageError(f"-k {value}: cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise UsageError(f"-k {value}: cannot be read: it is no UTF-8 text") from None
        settings.update(parse(text, value))
    elif option == "l":
        _lpc_device(settings, value)
    else:
        _slot(settings, value, legacy=False)


def _gdb(settings: Settings, value: str) -> None:
    """`-G [w][ADDRESS:]PORT`."""
    if value.startswith("w"):
        settings["gdb.wait"] = "true"
    address, _, settings["gdb.port"] = value.removeprefix("w").rpartition(":")
    if address:
        settings["gdb.address"] = address


def _topology(settings: Settings, value: str) -> None:
    """`-c 2` or `-c cpus=4,sockets=2,cores=2,threads=1`."""
    for part in value.split(","):
        name, equals, number = part.partition("=")
        settings[name if equals else "cpus"] = number if equals else name


def _lpc_device(settings: Settings, value: str) -> None:
    device, _, config = value.partition(",")
    if device == "bootrom":
        path, *more = config.split(",")
        settings["lpc.bootrom"] = path
        for item in more:
            name, equals, content = item.partition("=")
            settings["lpc.fwcfg" if equals and name == "fwcfg" else "lpc.bootvars"] = (
                content if equals else item
            )
    elif device in ("com1", "com2", "com3", "com4"):
        settings[f"lpc.{device}.path"] = config
    elif device == "pc-testdev":
        settings["lpc.pc-testdev"] = "true"
    else:
        settings[f"lpc.{device}"] = config


def _slot(settings: Settings, value: str, *, legacy: bool) -> None:
    place, _, device = value.partition(",")
    match = _SLOT.fullmatch(place)
    if match is None or not device:
        raise UsageError(f"-s {value}: not of the form SLOT,DEVICE[,OPTIONS]")
    bus, slot, function = match[1] or "0", match[2] or match[4], match[3] or "0"
    node = f"pci.{int(bus)}.{int(slot)}.{int(function)}"
    if f"{node}.device" in settings:
        raise UsageError(f"-s {value}: {place} is given twice")
    kind, _, options = device.partition(",")
    settings[f"{node}.device"] = kind
    if options:
        settings[f"{node}.path" if kind == "uart" else f"{node}.options"] = options
    if legacy:
        settings[f"{node}.legacy"] = "true"
