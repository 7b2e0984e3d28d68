# SPDX-License-Identifier: BSD-2-Clause
"""What every device owes a snapshot. Devices and fields are found, not listed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.records import device_types, holder, leaves, other_values, put_at, value_at

from manager.bus.clock import Clock, ManualTime
from manager.bus.lines import Wire
from manager.bus.memory import Memory
from manager.bus.ports import PortBus
from manager.bus.record import Record, clone, from_plain, to_plain
from manager.devices.device import Device
from manager.devices.rom import Rom, RomState
from manager.graph.build import load_graph
from manager.graph.nodes import FirmwareBoot, Graph
from manager.machine.board import Board, Outside
from manager.snapshot import cbor

EVERYTHING = """
schema = 1
[memory]
size = "4M"
[boot]
firmware = "bios.bin"
[slots.0]
device = "hostbridge"
[slots.4]
device = "uart"
backend = "null"
[slots.31]
device = "lpc"
[lpc.com1]
backend = "null"
[lpc.com3]
backend = "null"
[lpc.debug-exit]
port = 0xf4
"""


def board() -> Board:
    """A board with every type of device, at virtual time 1 s; nothing fires by itself."""
    graph = whole_graph()
    time = ManualTime(1_000_000_000)
    outside = Outside(
        intr=Wire(lambda level: None),
        nmi=lambda: None,
        set_a20=lambda enabled: None,
        reset=lambda: None,
        power_off=lambda: None,
        end=lambda status: None,
        post=lambda kind, port, data: None,
        memory=Memory.blank(graph.memory_size),
        written=lambda start, end: None,
    )
    return Board(graph, PortBus(), Clock(time), outside)


_graph: list[Graph] = []


def whole_graph() -> Graph:
    if not _graph:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "bios.bin").write_bytes(bytes(1 << 16))
            (Path(folder) / "machine.toml").write_text(EVERYTHING)
            _graph.append(load_graph(Path(folder) / "machine.toml"))
        assert isinstance(_graph[0].boot, FirmwareBoot)
    return replace(_graph[0])


def devices() -> Iterator[tuple[str, Device[Any]]]:
    yield from board().devices.items()
    yield "rom", Rom(RomState(bytearray(range(256)) * 256))


DEVICES = dict(devices())


def through_a_file(record: Record) -> Record:
    """As it comes back from a snapshot."""
    plain = cbor.decode(cbor.encode(to_plain(record)))
    return from_plain(type(record), plain, record.VERSION, "device")


def fresh(name: str) -> Device[Any]:
    return dict(devices())[name]


def test_every_device_class_is_under_this_contract() -> None:
    built = {kind for device in DEVICES.values() for kind in type(device).__mro__}

    assert sorted(kind.__name__ for kind in device_types() - built) == []


@pytest.mark.parametrize("name", DEVICES)
def test_saving_and_restoring_changes_nothing(name: str) -> None:
    device = fresh(name)
    before = to_plain(device.save())

    device.load(through_a_file(device.save()))

    assert to_plain(device.save()) == before
    assert to_plain(fresh(name).save()) == before


@pytest.mark.parametrize("name", DEVICES)
def test_a_saved_state_shares_nothing_with_the_device(name: str) -> None:
    device = fresh(name)
    saved = device.save()
    before = to_plain(saved)

    for path in leaves(device.state):
        _, _, spec = holder(device.state, path)
        put_at(device.state, path, next(other_values(value_at(device.state, path), spec)))

    assert to_plain(saved) == before


@pytest.mark.parametrize("name", DEVICES)
def test_every_field_matters_and_survives_a_restore_elsewhere(name: str) -> None:
    """Another value of the field, of those its schema admits, is there after a restore."""
    silent = []
    original = fresh(name).save()
    target = fresh(name)
    for path in leaves(original):
        changed = clone(original)
        _, _, spec = holder(changed, path)
        shown = False
        for other in other_values(value_at(original, path), spec):
            put_at(changed, path, other)
            target.load(through_a_file(clone(changed)))
            if value_at(target.save(), path) == other:
                shown = True
                break
        if not shown:
            silent.append(".".join(map(str, path)))

    assert silent == []
