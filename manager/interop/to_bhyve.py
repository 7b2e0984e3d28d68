# SPDX-License-Identifier: BSD-2-Clause
"""A machine as bhyve's configuration file or command line."""

from __future__ import annotations

import re
from pathlib import PurePath

from manager.config.units import format_duration, format_size
from manager.devices.nic import NicNode
from manager.devices.node import DeviceNode
from manager.graph.nodes import FirmwareBoot, Gdb, Graph, ImageBoot
from manager.interop import bhyve_cards
from manager.interop.bhyve_config import Settings, to_text
from manager.interop.translation import Translation, comments
from manager.text.quoting import UnquotableError, quoted, shell_words

_NMDM = re.compile(r"nmdm([\w.-]*)([AB])")
_HEADLINE = "What the machine file says, and bhyve cannot be told:"


def export_config(graph: Graph) -> Translation:
    """Bhyve's configuration file."""
    settings, lost = settings_of(graph)
    head = "".join(f"{line}\n" for line in comments(lost, _HEADLINE))
    return Translation(head + to_text(settings), lost)


def export_argv(graph: Graph) -> Translation:
    """Bhyve's command line, for a shell."""
    plain, lost = settings_of(graph)
    # bhyve expands %(name) in whatever it is given.
    settings = {name: quoted(value, "setting") for name, value in plain.items()}
    words = ["bhyve", "-A", "-u", "-c", settings["cpus"], "-m", settings["memory.size"]]
    if "x86.strictio" in settings:
        words.append("-e")
    for node in graph.devices:
        if node.address is None or f"{_place(node)}.device" not in settings:
            continue
        kind = settings[f"{_place(node)}.device"]
        slot = f"{node.address.slot}:{node.address.function}"
        slot = slot.removesuffix(":0")
        words += ["-s", ",".join([slot, kind, *_options(_place(node), settings)])]
    for name in ("com1", "com2", "com3", "com4"):
        if (path := settings.get(f"lpc.{name}.path")) is not None:
            words += ["-l", f"{name},{path}" if path else name]
    if "lpc.bootrom" in settings:
        words += ["-l", f"bootrom,{settings['lpc.bootrom']}"]
    if "gdb.port" in settings:
        wait = "w" if "gdb.wait" in settings else ""
        words += ["-G", f"{wait}{settings['gdb.address']}:{settings['gdb.port']}"]
    lines = [*comments(lost, _HEADLINE), shell_words([*words, settings["name"]])]
    return Translation("\n".join(lines) + "\n", lost)


def _options(place: str, settings: Settings) -> list[str]:
    """What comes after a device's kind; of a card what it is plugged into, and then names."""
    if path := settings.get(f"{place}.path"):
        return [path]
    named = [(name, settings.get(f"{place}.{name}")) for name in ("hostfwd", "mac")]
    words = [f"{name}={value}" for name, value in named if value is not None]
    return [settings.get(f"{place}.backend", ""), *words] if words else []


def settings_of(graph: Graph) -> tuple[Settings, list[str]]:
    """Bhyve's settings for a machine, and what they do not say."""
    lost = [f"cpu.model {graph.cpu_model}: bhyve's guests see the host's CPU"]
    settings = {
        "name": graph.name,
        "cpus": str(graph.cpu_count),
        "memory.size": format_size(graph.memory_size),
        "acpi_tables": "true",
        "rtc.use_localtime": "false",
    }
    lost.append("clock: bhyve's guests see the host's time, and run as fast as it passes")
    if graph.debug.strict_io:
        settings["x86.strictio"] = "true"
    if graph.debug.trace:
        lost.append(f"debug.trace {', '.join(graph.debug.trace)}")
    for node in graph.devices:
        _device(node, settings, lost)
    _boot(graph, settings, lost)
    if graph.gdb is not None:
        _gdb(graph.gdb, settings, lost)
    if graph.ready is not None:
        timeout = format_duration(graph.ready.timeout_ns)
        lost.append(f"ready: wait for {graph.ready.wait_for!r} on {graph.ready.port}, {timeout}")
    told: Settings = {}
    for name, value in settings.items():
        try:
            quoted(value, "setting")
            told[name] = value
        except UnquotableError as error:
            lost.append(f"{name} {value}: {error}")
    return told, lost


def _gdb(gdb: Gdb, settings: Settings, lost: list[str]) -> None:
    address, _, port = gdb.listen.rpartition(":")
    if gdb.is_path or address.startswith("["):
        lost.append(f"gdb.listen {gdb.listen}: bhyve waits for gdb on IPv4")
        return
    settings |= {"gdb.address": address, "gdb.port": port}
    if gdb.wait:
        settings["gdb.wait"] = "true"


def _place(node: DeviceNode) -> str:
    assert node.address is not None
    return f"pci.0.{node.address.slot}.{node.address.function}"


def _device(node: DeviceNode, settings: Settings, lost: list[str]) -> None:
    kinds = {"hostbridge": "hostbridge", "lpc": "lpc", "pci-uart": "uart"}
    if node.type in kinds and node.address is not None:
        settings[f"{_place(node)}.device"] = kinds[node.type]
        if node.backend is not None and (path := _path(node, lost)):
            settings[f"{_place(node)}.path"] = path
    elif node.type == "isa-uart":
        settings[f"{node.id}.path"] = _path(node, lost)
    elif isinstance(node, NicNode) and node.type in bhyve_cards.CARDS:
        card = bhyve_cards.settings(node, lost)
        settings |= {f"{_place(node)}.{name}": value for name, value in card.items()}
    elif not node.id.startswith("board."):
        lost.append(f"{node.id}: {_reason(node)}")
    if "legacy" in node.properties:
        com = node.properties["legacy"]
        lost.append(f"{node.id}: legacy {com}: today's bhyve has no such slot")
    if "pace" in node.properties:
        lost.append(f"{node.id}: pace {node.properties['pace']}: bhyve's uarts have no baud rate")


def _reason(node: DeviceNode) -> str:
    if node.disks:
        return "bhyve would write to the image itself: give it a copy"
    return f"bhyve has no {node.type} as it is here"


def _path(node: DeviceNode, lost: list[str]) -> str:
    """What bhyve's uart is connected to; empty for nothing."""
    assert node.backend is not None
    kind, options = node.backend.type, node.backend.options
    if kind == "null":
        return ""
    if kind == "stdio":
        return "stdio"
    if kind == "tcp" and "listen" in options:
        return f"tcp={options['listen']}"
    match = _NMDM.fullmatch(PurePath(options.get("path", "")).name)
    if kind == "pty" and match is not None:
        return f"/dev/nmdm{match[1]}{'AB'[match[2] == 'A']}"
    said = " ".join([kind, *(f"{key} {value}" for key, value in options.items())])
    lost.append(f"{node.id}: the backend {said}; the port is connected to nothing")
    return ""


def _boot(graph: Graph, settings: Settings, lost: list[str]) -> None:
    boot = graph.boot
    if isinstance(boot, FirmwareBoot):
        settings["lpc.bootrom"] = str(boot.firmware)
        if boot.variables is not None:
            lost.append(
                f"boot.variables {boot.variables}: bhyve writes to the file itself; copy it, and "
                "name the copy after that of the bootrom"
            )
        reason = "the firmware has to find it"
    elif isinstance(boot, ImageBoot):
        lost.append(f"boot.image {boot.image}: bhyve loads no flat image")
        return
    else:
        reason = "give it to bhyveload or grub-bhyve first"
        lost += [f"boot.modules {module}: {reason}" for module in boot.modules]
    for key, value in (("kernel", boot.kernel), ("initrd", boot.initrd), ("cmdline", boot.cmdline)):
        if value:
            lost.append(f"boot.{key} {value}: {reason}")
