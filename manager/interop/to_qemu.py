# SPDX-License-Identifier: BSD-2-Clause
"""A machine as QEMU's command line: the `pc` board, which has the same 440FX and PIIX3."""

from __future__ import annotations

from datetime import UTC, datetime

from manager.config.units import format_size
from manager.devices.node import LPC_BUS, PCI_BUS, DeviceNode
from manager.graph.nodes import FirmwareBoot, Graph, ImageBoot, KernelBoot
from manager.interop.translation import Translation, comments
from manager.text.quoting import UnquotableError, quoted, shell_words

_HEADLINE = "What the machine file says, and QEMU cannot be told:"
_CPUS = {
    name.lower().replace("_", "-"): name
    for name in (
        "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell",
        "Broadwell", "Skylake-Client", "Skylake-Server", "Cascadelake-Server", "Cooperlake",
        "Icelake-Client", "Icelake-Server", "Denverton", "Snowridge", "KnightsMill", "Opteron_G1",
        "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "Dhyana", "EPYC-Rome",
    )
}  # fmt: skip
"""CPU models that QEMU spells with capitals."""
_LPC_SLOT = 1
"""Where QEMU's `pc` has its ISA bridge, whatever one says."""


def export(graph: Graph) -> Translation:
    """QEMU's command line, for a shell."""
    lost: list[str] = []
    moment = datetime.fromtimestamp(graph.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    words = ["qemu-system-x86_64", "-name", graph.name, "-machine", "pc", "-accel", "tcg"]
    memory = format_size(graph.memory_size)
    words += ["-cpu", _CPUS.get(graph.cpu_model, graph.cpu_model)]
    if graph.cpu_count > 1:
        words += ["-smp", str(graph.cpu_count)]
    words += ["-m", f"{memory}B" if memory.isdigit() else memory, "-nodefaults"]
    words += ["-display", "none", "-rtc", f"base={moment},clock=vm"]
    if graph.debug.on_triple_fault == "stop" or graph.debug.on_reset == "stop":
        words += ["-no-reboot"]
    if graph.clock_mode == "virtual":
        words += ["-icount", "shift=0,sleep=off"]
    words += _boot(graph, lost)
    for node in graph.devices:
        words += _device(node, lost)
    if graph.ready is not None:
        lost.append(f"ready: wait for {graph.ready.wait_for!r} on {graph.ready.port}")
    if graph.debug.strict_io:
        lost.append("debug.strict-io")
    if graph.debug.trace:
        lost.append(f"debug.trace {', '.join(graph.debug.trace)}")
    line = shell_words(_tellable(words, lost))
    lines = [*comments(lost, _HEADLINE), line]
    return Translation("\n".join(lines) + "\n", lost)


def _tellable(words: list[str], lost: list[str]) -> list[str]:
    """The words without those that no shell can be told, and the options that they belong to."""
    told: list[str] = []
    for word in words:
        try:
            quoted(word, "shell")
            told.append(word)
        except UnquotableError as error:
            lost.append(f"{told.pop()} {word}: {error}")
    return told


def _boot(graph: Graph, lost: list[str]) -> list[str]:
    boot = graph.boot
    if isinstance(boot, ImageBoot):
        lost.append(f"boot.entry {boot.entry:#x}, {boot.bits}-bit: QEMU starts at the reset vector")
        return ["-device", f"loader,file={_comma(str(boot.image))},addr={boot.load:#x}"]
    words = []
    if isinstance(boot, FirmwareBoot):
        words += ["-bios", str(boot.firmware)]
    elif boot.protocol is not None:
        lost.append(f"boot.protocol {boot.protocol}: QEMU chooses by itself")
    if boot.kernel is not None:
        words += ["-kernel", str(boot.kernel)]
    if boot.initrd is not None:
        words += ["-initrd", str(boot.initrd)]
    elif isinstance(boot, KernelBoot) and boot.modules:
        words += ["-initrd", ",".join(_comma(module) for module in boot.modules)]
    if boot.cmdline:
        words += ["-append", boot.cmdline]
    return words


def _device(node: DeviceNode, lost: list[str]) -> list[str]:
    if node.type == "debug-exit":
        return ["-device", f"isa-debug-exit,iobase={node.ports[0].base:#x},iosize=1"]
    if node.address is not None and node.BUS == PCI_BUS and node.address.slot != 0:
        lost.append(f"{node.id}: QEMU's host bridge is in slot 0")
    if node.address is not None and node.BUS == LPC_BUS and node.address.slot != _LPC_SLOT:
        lost.append(f"{node.id}: QEMU's LPC bridge is in slot {_LPC_SLOT}")
    if node.type not in ("isa-uart", "pci-uart"):
        return []
    name = node.port_name.replace(".", "-")
    kind, options = _chardev(node)
    try:
        quoted(options, "shell")
    except UnquotableError as error:
        lost.append(f"{node.id}: the backend {kind}{options}: {error}")
        kind, options = "null", ""
    words = ["-chardev", f"{kind},id={name}{options}"]
    if "legacy" in node.properties:
        lost.append(f"{node.id}: legacy {node.properties['legacy']}: an ISA port takes its place")
    if "pace" in node.properties:
        lost.append(f"{node.id}: pace {node.properties['pace']}")
    if node.type == "isa-uart" or "legacy" in node.properties:
        base = node.ports[0].base if node.ports else node.bars[0].base
        return [*words, "-device", f"isa-serial,chardev={name},iobase={base:#x},irq={node.irq}"]
    assert node.address is not None
    place = f"{node.address.slot:#x}.{node.address.function}"
    first = node.address.function == 0 and node.properties.get("multifunction")
    more = ",multifunction=on" if first else ""
    return [*words, "-device", f"pci-serial,chardev={name},addr={place}{more}"]


def _chardev(node: DeviceNode) -> tuple[str, str]:
    """The kind of character device, and its options."""
    assert node.backend is not None
    kind, options = node.backend.type, node.backend.options
    path = _comma(options.get("path", ""))
    if kind == "file":
        return "file", f",path={path},append=on"
    if kind == "pty":
        return "pty", f",path={path}" if path else ""
    if kind == "pipe":
        return "socket", f",path={path},server=on,wait=off"
    if kind == "unix":
        end = _comma(options.get("listen") or options["connect"])
        return "socket", f",path={end}" + (",server=on,wait=off" if "listen" in options else "")
    if kind == "tcp":
        host, _, port = (options.get("listen") or options["connect"]).rpartition(":")
        server = ",server=on,wait=off" if "listen" in options else ""
        return "socket", f",host={_comma(host.strip('[]'))},port={port}{server}"
    return kind, ""


def _comma(text: str) -> str:
    """QEMU's options end at a comma unless it is doubled."""
    return text.replace(",", ",,")
