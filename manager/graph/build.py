# SPDX-License-Identifier: BSD-2-Clause
"""From a model to the device graph, which all later steps read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from manager.config import firmware, in_python
from manager.config.diagnostics import ConfigError, Diagnostic, errors, in_order
from manager.config.disks import DiskTable
from manager.config.files import missing_files
from manager.config.load import LoadedModel, Reading, inspect
from manager.config.schema import MachineTable
from manager.devices import own
from manager.devices.claims import FLASH_LIMIT, SHARES, VARIABLES_DISK
from manager.devices.node import LPC_BUS, DeviceNode, Place
from manager.graph import pci, read_files, rules
from manager.graph.board import BOARD, other_cpus, parts, with_screen_parts
from manager.graph.claimed import claimed
from manager.graph.firmware import with_firmware_parts
from manager.graph.lints import lint
from manager.graph.nodes import (
    SHARE,
    Boot,
    Debug,
    DiskSource,
    FirmwareBoot,
    Gdb,
    Graph,
    ImageBoot,
    KernelBoot,
    Ready,
    Recording,
    Sandbox,
    Seeded,
)
from manager.graph.port_names import known_as

Made = TypeVar("Made")


@dataclass(frozen=True)
class Checked:
    """A machine file after every check. There is no graph when there are errors."""

    graph: Graph | None
    loaded: LoadedModel | None
    diagnostics: tuple[Diagnostic, ...]
    """Errors and warnings, by place."""

    @property
    def usable(self) -> bool:
        """Whether there is no error."""
        return self.graph is not None


def build(loaded: LoadedModel) -> Graph:
    """The graph of a model. Raises ConfigError, with every error found."""
    graph = assemble(loaded)
    found = errors(rules.check(loaded, graph))
    if found:
        raise ConfigError(found)
    return graph


def check(path: Path, overrides: Sequence[str] = (), *, require_files: bool = True) -> Checked:
    """Read, build and check a machine file; errors are returned, not raised."""
    reading = inspect(path, overrides)
    if reading.loaded is None:
        return Checked(None, None, in_order(reading.diagnostics))
    try:
        return _judge(reading, reading.loaded, require_files)
    except ConfigError as error:
        return Checked(None, reading.loaded, in_order(error.diagnostics))
    except Exception as error:
        fault = own.blame(error)
        if fault is None:
            raise
        found = in_python.diagnostic(fault, own.DOCUMENTATION)
        return Checked(None, reading.loaded, (found,))


def _judge(reading: Reading, loaded: LoadedModel, require_files: bool) -> Checked:
    graph = assemble(loaded)
    found = [*reading.diagnostics, *rules.check(loaded, graph)]
    if require_files:
        blamed = {item.primary for item in found}
        missing = (*missing_files(loaded), *read_files.missing(loaded, graph))
        found += [item for item in missing if item.primary not in blamed]
    wrong = errors(found)
    if wrong:
        return Checked(None, loaded, in_order(wrong))
    # Warnings only when there are no errors.
    warnings = [*found, *lint(loaded, graph)]
    advice = in_order(item for item in warnings if item.code not in loaded.model.allow)
    return Checked(graph, loaded, advice)


def load_graph(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    on_warning: Callable[[Diagnostic], None] | None = None,
    require_files: bool = False,
) -> Graph:
    """The graph of a machine file. Raises ConfigError, with every error found.

    Warnings go to `on_warning`. With `require_files`, files to boot from must be there.
    """
    checked = check(path, overrides, require_files=require_files)
    return accepted(checked.graph, checked.diagnostics, on_warning)


def accepted(
    made: Made | None,
    diagnostics: Sequence[Diagnostic],
    on_warning: Callable[[Diagnostic], None] | None,
) -> Made:
    """What was made of a file, its warnings told. Raises ConfigError when there are errors."""
    if made is None:
        raise ConfigError(diagnostics)
    if on_warning is not None:
        for warning in diagnostics:
            on_warning(warning)
    return made


def assemble(loaded: LoadedModel) -> Graph:
    """The graph as the model has it, before any check.

    Raises ConfigError for a device of the user's own that cannot claim anything.
    """
    model = loaded.model
    board = (*parts(BOARD), *other_cpus(model.cpu.count))
    functions = pci.functions(loaded)
    lpc = _lpc_devices(loaded, functions)
    devices = with_screen_parts((*board, *pci.wired(functions, (*board, *lpc)), *lpc))
    boot = _boot(model)
    if isinstance(boot, FirmwareBoot):
        devices = with_firmware_parts(devices, boot)
    return Graph(
        name=model.name,
        source=loaded.source,
        cpu_model=model.cpu.model,
        memory_size=model.memory.size,
        clock_mode=model.clock.mode,
        epoch=model.clock.epoch,
        boot=boot,
        devices=devices,
        ready=_ready(model, devices),
        debug=Debug(
            model.debug.strict_io,
            model.debug.trace,
            Path(model.debug.trace_file) if model.debug.trace_file is not None else None,
            model.debug.on_triple_fault,
            model.debug.on_reset,
        ),
        record=Recording(model.record.enabled, model.record.rewind),
        gdb=Gdb(model.gdb.listen, model.gdb.wait) if model.gdb is not None else None,
        disks=tuple(_disks(model, boot)),
        cpu_count=model.cpu.count,
        cpu_quantum=model.cpu.quantum,
        cpu_seed=_seeded(model),
        sandbox=Sandbox(
            model.sandbox.enabled,
            tuple(map(Path, model.sandbox.read)),
            tuple(map(Path, model.sandbox.write)),
        ),
    )


def _seeded(model: MachineTable) -> Seeded | None:
    schedule = model.cpu.schedule
    if schedule.seed is None:
        return None
    return Seeded(schedule.seed, schedule.jitter, schedule.tear)


def _lpc_devices(loaded: LoadedModel, functions: Sequence[DeviceNode]) -> list[DeviceNode]:
    parent = next((node.id for node in functions if node.BUS == LPC_BUS), None)
    return [
        claimed(loaded, getattr(table, "device", name), table, Place(f"lpc.{name}", parent))
        for name, table in loaded.model.lpc.items()
    ]


def _disks(model: MachineTable, boot: Boot) -> Iterator[DiskSource]:
    """By name; those of the firmware's variables and of shares are there by themselves."""
    tables: dict[str, DiskTable | None] = dict(model.disks)
    if isinstance(boot, FirmwareBoot) and boot.variables is not None:
        tables.setdefault(VARIABLES_DISK, None)
    found = [
        _disk(name, table) if table else DiskSource(name, size=FLASH_LIMIT)
        for name, table in tables.items()
    ]
    for name, share in model.shares.items():
        folder = Path(share.folder)
        found.append(DiskSource(SHARES + name, folder=folder, format=SHARE, mode=share.mode))
    yield from sorted(found, key=lambda disk: disk.name)


def _disk(name: str, table: DiskTable) -> DiskSource:
    return DiskSource(
        name,
        Path(table.image) if table.image is not None else None,
        Path(table.folder) if table.folder is not None else None,
        table.format,
        table.size,
        table.mode,
        table.on_full,
    )


def _boot(model: MachineTable) -> Boot:
    boot = model.boot
    initrd = Path(boot.initrd) if boot.initrd is not None else None
    if boot.firmware is not None:
        kernel = Path(boot.kernel) if boot.kernel is not None else None
        code, variables = firmware.find(boot.firmware, boot.variables)
        cmdline = boot.cmdline or ""
        return FirmwareBoot(code, kernel, initrd, cmdline, variables, boot.boot_order)
    if boot.kernel is not None:
        return KernelBoot(
            Path(boot.kernel), initrd, boot.cmdline or "", boot.modules, boot.protocol
        )
    assert boot.image is not None
    assert boot.load is not None
    assert boot.entry is not None
    assert boot.bits is not None
    return ImageBoot(Path(boot.image), boot.load, boot.entry, boot.bits)


def _ready(model: MachineTable, devices: Sequence[DeviceNode]) -> Ready | None:
    ready = model.ready
    if ready is None:
        return None
    names = [end.port_name for node in devices for end in node.serial_ends]
    wanted = ready.port or next(iter(sorted(names)), "")
    return Ready(
        known_as(names, wanted.removeprefix("lpc.")),
        ready.wait_for,
        ready.fail_on,
        ready.timeout,
        ready.cache,
    )
