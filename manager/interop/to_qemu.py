# SPDX-License-Identifier: BSD-2-Clause
"""A machine as QEMU's command line: the `pc` board, which has the same 440FX and PIIX3.

What the line says, QEMU 7.2 starts; what it cannot say is in the list.
"""

from __future__ import annotations

from datetime import UTC, datetime

from manager import files
from manager.boot.errors import BootImageError
from manager.boot.loader import Protocol, protocol_of
from manager.config.modules import split_module
from manager.config.units import format_size
from manager.devices.claims import VARIABLES_DISK
from manager.graph.nodes import FirmwareBoot, Gdb, Graph, ImageBoot, KernelBoot
from manager.interop.qemu_devices import comma, device, drive
from manager.interop.translation import Translation, comments
from manager.text.quoting import UnquotableError, quoted, shell_words

_HEADLINE = "What the machine file says, and QEMU cannot be told:"
_CPUS = {
    name.lower().replace("_", "-"): name
    for name in (
        "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell",
        "Broadwell", "Skylake-Client", "Skylake-Server", "Cascadelake-Server", "Cooperlake",
        "Icelake-Server", "Denverton", "Snowridge", "KnightsMill", "Opteron_G1", "Opteron_G2",
        "Opteron_G3", "Opteron_G4", "Opteron_G5", "EPYC", "Dhyana", "EPYC-Rome",
    )
}  # fmt: skip
"""CPU models that QEMU spells with capitals."""
_GONE = {"icelake-client": "Icelake-Server"}
"""Those that it has no more, and what comes nearest."""
_LEAST_MEMORY = 2 << 20
"""With less, QEMU's firmware does not come as far as the kernel."""
_UEFI, _UEFI_AT = b"_FVH", 40
"""The signature of a firmware volume and its place (UEFI PI specification, volume 3)."""
_ELF = b"\x7fELF"


def export(graph: Graph) -> Translation:
    """QEMU's command line, for a shell."""
    lost: list[str] = []
    words = ["qemu-system-x86_64", "-name", graph.name]
    words += [*_machine(graph, lost), *_boot(graph, lost)]
    for source in graph.disks:
        # Those are told with the firmware and with the devices.
        if source.name != VARIABLES_DISK and not source.is_share:
            words += drive(source, lost)
    for node in graph.devices:
        words += device(node, graph, lost)
    words += _gdb(graph.gdb) if graph.gdb is not None else []
    if graph.ready is not None:
        lost.append(f"ready: wait for {graph.ready.wait_for!r} on {graph.ready.port}")
    if graph.debug.strict_io:
        lost.append("debug.strict-io")
    if graph.debug.trace:
        lost.append(f"debug.trace {', '.join(graph.debug.trace)}")
    line = shell_words(_tellable(words, lost))
    return Translation("\n".join([*comments(lost, _HEADLINE), line]) + "\n", lost)


def _machine(graph: Graph, lost: list[str]) -> list[str]:
    moment = datetime.fromtimestamp(graph.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    # With firmware SeaBIOS talks on COM1 here; without, QEMU's is not to be heard.
    has_screen = any(node.type == "vga" for node in graph.devices)
    is_mute = isinstance(graph.boot, FirmwareBoot) and not has_screen
    board = "pc,graphics=off" if is_mute else "pc"
    words = ["-machine", board, "-accel", "tcg"]
    model = _GONE.get(graph.cpu_model, _CPUS.get(graph.cpu_model, graph.cpu_model))
    if graph.cpu_model in _GONE:
        lost.append(f"cpu.model {graph.cpu_model}: QEMU has it no more; {model} is near")
    words += ["-cpu", model]
    if graph.cpu_count > 1:
        words += ["-smp", str(graph.cpu_count)]
    memory = format_size(graph.memory_size)
    if graph.memory_size < _LEAST_MEMORY:
        lost.append(f"memory.size {memory}: QEMU's firmware needs {format_size(_LEAST_MEMORY)}")
    words += ["-m", f"{memory}B" if memory.isdigit() else memory, "-nodefaults"]
    words += ["-display", "none", "-rtc", f"base={moment},clock=vm"]
    debug = graph.debug
    if debug.on_triple_fault == "stop" or debug.on_reset == "stop":
        words += ["-no-reboot"]
    if debug.on_triple_fault == "stop" and debug.on_reset == "reset":
        lost.append("debug.on-reset reset: QEMU ends at a reset as it does at a triple fault")
    if graph.clock_mode == "virtual":
        words += ["-icount", "shift=0,sleep=off"]
    return words


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
        return ["-device", f"loader,file={comma(str(boot.image))},addr={boot.load:#x}"]
    words = _firmware(boot, lost) if isinstance(boot, FirmwareBoot) else []
    if isinstance(boot, KernelBoot):
        lost += _differences(boot)
    if boot.kernel is not None:
        words += ["-kernel", str(boot.kernel)]
    if boot.initrd is not None:
        words += ["-initrd", comma(str(boot.initrd)) if _is_multiboot(boot) else str(boot.initrd)]
    elif isinstance(boot, KernelBoot) and boot.modules:
        words += ["-initrd", ",".join(comma(module) for module in boot.modules)]
    if boot.cmdline:
        words += ["-append", boot.cmdline]
    return words


def _firmware(boot: FirmwareBoot, lost: list[str]) -> list[str]:
    """UEFI starts from flash alone, with its variables in a chip below, and is too large for -bios.

    A file that is opened as a snapshot is never written.
    """
    path = boot.firmware
    try:
        is_uefi = files.head(path, _UEFI_AT + len(_UEFI)).endswith(_UEFI)
    except OSError:
        is_uefi = False
    if not is_uefi:
        return ["-bios", str(path)]
    words = []
    for unit, content in enumerate(filter(None, (path, boot.variables))):
        chip = f"if=pflash,unit={unit},format=raw,snapshot=on"
        words += ["-drive", f"{chip},file={comma(str(content))}"]
    if boot.variables is not None:
        lost.append(
            "boot.variables: QEMU begins with those of the file, and forgets the changes when it "
            "ends; to keep them, give unit 1 a copy of the file, without snapshot=on"
        )
    return words


def _protocol(boot: KernelBoot) -> Protocol | None:
    try:
        return protocol_of(boot)
    except BootImageError:
        return None


def _is_multiboot(boot: FirmwareBoot | KernelBoot) -> bool:
    return isinstance(boot, KernelBoot) and _protocol(boot) is Protocol.MULTIBOOT


def _differences(boot: KernelBoot) -> list[str]:
    """In what QEMU starts the kernel otherwise, or why it does not."""
    protocol = _protocol(boot)
    where = f"boot.kernel {boot.kernel}"
    try:
        start = files.head(boot.kernel, 5)
    except OSError:
        return [f"{where}: it cannot be read, and what QEMU makes of it cannot be told"]
    if protocol is None:
        return [f"{where}: it is no kernel"]
    is_elf64 = start == _ELF + b"\x02"
    if protocol is Protocol.MULTIBOOT2:
        return [f"{where}: QEMU has no multiboot 2; a CD with GRUB on it can start the kernel"]
    if protocol is Protocol.MULTIBOOT and (is_elf64 or not start.startswith(_ELF)):
        return [f"{where}: QEMU starts multiboot kernels that are ELF files of 32 bits"]
    if start[:2] in (b"\x1f\x8b", b"BZ") or start in (b"\xfd7zXZ", b"\x28\xb5\x2f\xfd"):
        return [f"{where}: QEMU does not unpack it; unpack it first"]
    found = []
    if protocol is Protocol.MULTIBOOT:
        found.append("boot.kernel: the kernel finds the whole path before its command line")
        found += [
            f"boot.modules {module}: the module finds the whole path before its arguments"
            for module in boot.modules
            if split_module(module)[0]
        ]
    elif boot.protocol is not None:
        found.append(f"boot.protocol {boot.protocol}: QEMU chooses by itself")
    return found


def _gdb(gdb: Gdb) -> list[str]:
    if gdb.is_path:
        place = f"path={comma(gdb.listen)}"
    else:
        host, _, port = gdb.listen.rpartition(":")
        place = f"host={comma(host.strip('[]'))},port={port}"
    words = ["-chardev", f"socket,id=gdb,{place},server=on,wait=off", "-gdb", "chardev:gdb"]
    return [*words, "-S"] if gdb.wait else words
