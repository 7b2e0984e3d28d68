# SPDX-License-Identifier: BSD-2-Clause
"""What every device owes its machine, as checks that run on any kind.

    from manager.testing.contract import check_device

    def test_my_card_keeps_the_contract():
        check_device("machine.toml", "slots.9")

vmmgr's own devices go through the same checks.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from manager.bus.record import RecordError, clone, to_plain
from manager.devices.device import Device, Takes
from manager.devices.node import DeviceNode
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.testing.bench import Bench, stored
from manager.testing.record_fields import holder, leaves, other_values, put_at, value_at

LIKELY = (0, 1, 2, 3, 4, 7, 8, 0x10, 0x40, 0x7F, 0x80, 0xFF, 0x100, 0x1000, 0xFFFF, 0x8000_0000)
TIMES = (100, 5_000, 90_000, 1_000_000, 300_000_000)
COMMAND, BAR0 = 0x04, 0x10
SIZES = (1, 2, 4)


def check_device(
    machine: Graph | Path | str, id: str, *, seeds: int = 20, steps: int = 200
) -> None:
    """Every check, on the device `id` ("slots.9", "lpc.my-port") of a machine file.

    `seeds` random runs of `steps` accesses each; equal calls do equal things. Raises
    AssertionError, which says what was done and what came of it.
    """
    graph = machine if isinstance(machine, Graph) else load_graph(Path(machine))
    check_state(lambda: Bench(graph).device(id))
    for seed in range(seeds):
        check_any_access(graph, id, seed, steps)


def check_state(fresh: Callable[[], Device[Any]]) -> None:
    """All that a device owes a snapshot by itself; `fresh` makes one as it is at power-on."""
    check_restore_changes_nothing(fresh)
    check_saved_state_is_a_copy(fresh)
    check_every_field_matters(fresh)


def check_restore_changes_nothing(fresh: Callable[[], Device[Any]]) -> None:
    """A device that is saved and restored has the same state, and so has another new one."""
    device = fresh()
    before = to_plain(device.save())
    device.load(stored(device.save()))
    _equal(before, to_plain(device.save()), "the state after save and load")
    _equal(before, to_plain(fresh().save()), "the state of another new device")


def check_saved_state_is_a_copy(fresh: Callable[[], Device[Any]]) -> None:
    """What save() gave does not change with the device."""
    device = fresh()
    saved = device.save()
    before = to_plain(saved)
    for path in leaves(device.state):
        _, _, spec = holder(device.state, path)
        put_at(device.state, path, next(other_values(value_at(device.state, path), spec)))
    _equal(before, to_plain(saved), "what was saved, after the device's own state was changed")


def check_every_field_matters(fresh: Callable[[], Device[Any]]) -> None:
    """Another value of a field is there after a restore, or load() refuses it with RecordError."""
    original = fresh().save()
    target = fresh()
    lost = []
    for path in leaves(original):
        changed = clone(original)
        _, _, spec = holder(changed, path)
        for other in other_values(value_at(original, path), spec):
            put_at(changed, path, other)
            try:
                target.load(stored(clone(changed)))
            except RecordError:
                break  # it contradicts other fields
            if value_at(target.save(), path) == other:
                break
        else:
            lost.append(".".join(map(str, path)))
    assert not lost, f"these fields do not survive a restore: {', '.join(lost)}"


def check_any_access(graph: Graph, id: str, seed: int, steps: int = 200) -> None:
    """Random accesses, input and time raise nothing, and a restore in between shows in nothing."""
    bench = Bench(graph)
    Driver(bench, id, seed).drive(steps)
    try:
        twin = bench.restored()
    except RecordError as error:
        raise AssertionError(f"seed {seed}: the state of {id} cannot be stored: {error}") from None
    bench.happened.clear()
    seen, twin_seen = (Driver(each, id, ~seed).drive(steps) for each in (bench, twin))
    for (step, one), (_, other) in zip(seen, twin_seen, strict=True):
        told = f"seed {seed}, {step}: a restored {id} behaves otherwise"
        _equal(one, other, told)
    _equal(bench.states(), twin.states(), f"seed {seed}: states after a restore of {id}")
    for one, other in zip(bench.memory.everything, twin.memory.everything, strict=True):
        assert one.memory[:] == other.memory[:], f"seed {seed}: {id} wrote other things to RAM"


class Driver:
    """Does the same random things to a device whenever it has the same seed."""

    def __init__(self, bench: Bench, id: str, seed: int) -> None:
        self._bench = bench
        self._board = bench.board
        node = bench.graph.device(id)
        assert node is not None, f"the machine has no device {id}"
        self._node: DeviceNode = node
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311 - it is to repeat itself
        self._acts = self._possible()

    def drive(self, steps: int) -> list[tuple[str, Any]]:
        """What was done at each step, and all that could be seen of it."""
        seen = []
        for number in range(steps):
            act = self._random.choice(self._acts)
            try:
                done, value = act()
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
                raise AssertionError(
                    f"seed {self._seed}, step {number}, {act.__name__.strip('_')}: {said}"
                ) from error
            output = {id: port.take_output() for id, port in self._board.ports.items()}
            seen.append((f"step {number}, {done}", (value, output, tuple(self._bench.happened))))
            self._bench.happened.clear()
        return seen

    def _possible(self) -> list[Callable[[], tuple[str, Any]]]:
        node, acts = self._node, [self._time]
        if node.ports or node.bars:
            acts += [self._port] * 6
        if node.memory or any(not bar.ram for bar in node.memory_bars):
            acts += [self._register] * 6
        if node.address is not None:
            acts += [self._configuration]
        if self._inputs():
            acts += [self._input]
        return acts

    def _number(self, size: int) -> int:
        chance = self._random
        if chance.random() < 0.3:  # an address in RAM: to a card, a place for DMA
            value = chance.randrange(0x1000, min(self._bench.graph.memory_size, 0xA0000), 0x10)
        else:
            value = chance.choice(LIKELY) if chance.random() < 0.6 else chance.getrandbits(32)
        return value & (1 << 8 * size) - 1

    def _time(self) -> tuple[str, Any]:
        ns = self._random.choice(TIMES)
        self._bench.pass_time(ns)
        return f"{ns} ns pass", self._board.clock.next_deadline()

    def _port(self) -> tuple[str, Any]:
        places = [(ports.base, ports.length) for ports in self._node.ports]
        places += [(self._base(bar.index) & ~3, bar.length) for bar in self._node.bars]
        base, length = self._random.choice(places)
        size = self._random.choice(SIZES)
        port = base + self._random.randrange(length) & 0xFFFF
        if self._random.random() < 0.5:
            return f"in {port:#x}, {size}", self._read(self._board.io.read, port, size)
        value = self._number(size)
        self._write(self._board.io.write, port, size, value)
        return f"out {port:#x}, {size}, {value:#x}", None

    def _register(self) -> tuple[str, Any]:
        places = [(place.base, place.length) for place in self._node.memory]
        for bar in self._node.memory_bars:
            high = self._base(bar.index + 1) << 32 if bar.bits == 64 else 0
            places.append((high | self._base(bar.index) & ~15, bar.length))
        base, length = self._random.choice(places)
        size = self._random.choice(SIZES)
        near = self._random.random() < 0.8  # registers are where a range begins
        offset = self._random.randrange(0, min(length, 0x100) if near else length, size)
        if self._random.random() < 0.5:
            return f"read {base + offset:#x}, {size}", self._read(
                self._board.addresses.read, base + offset, size
            )
        value = self._number(size)
        self._write(self._board.addresses.write, base + offset, size, value)
        return f"write {base + offset:#x}, {size}, {value:#x}", None

    def _read(self, read: Callable[[int, int], int], at: int, size: int) -> int:
        return self._bench.grants.checked_read(size, lambda: read(at, size), self._seen)

    def _write(
        self, write: Callable[[int, int, int], None], at: int, size: int, value: int
    ) -> None:
        grants = self._bench.grants
        grants.checked_write(size, value, lambda: write(at, size, value), self._seen)

    def _seen(self) -> Any:
        """What a granted access must leave as it is."""
        record = to_plain(self._board.devices[self._node.id].save())
        return record, self._board.clock.next_deadline(), tuple(self._bench.happened)

    def _base(self, index: int) -> int:
        address = self._node.address
        assert address is not None
        return self._board.pci.read(address.slot, address.function, BAR0 + 4 * index, 4)

    def _configuration(self) -> tuple[str, Any]:
        address = self._node.address
        assert address is not None
        size = self._random.choice(SIZES)
        offset = self._random.randrange(0, 0x100, size)
        if self._random.random() < 0.4:
            offset, size, value = COMMAND, 2, self._random.choice((0, 1, 2, 3, 6, 7, 0x407))
        else:
            value = self._number(size)
        if self._random.random() < 0.5 or BAR0 - size < offset < BAR0 + 4 * 6:
            found = self._board.pci.read(address.slot, address.function, offset, size)
            return f"configuration read {offset:#x}, {size}", found
        self._board.pci.write(address.slot, address.function, offset, size, value)
        return f"configuration write {offset:#x}, {size}, {value:#x}", None

    def _input(self) -> tuple[str, Any]:
        data = self._random.randbytes(self._random.randrange(24))
        takes = self._inputs()
        kind = self._random.choice([*takes])
        takes[kind](data)
        return f"input {kind} {data.hex()}", None

    def _inputs(self) -> Takes:
        """All that the device takes from outside."""
        takes = dict(self._board.devices[self._node.id].takes())
        own = (self._node.id, f"{self._node.id}.")
        for id, port in self._board.ports.items():
            if id == own[0] or id.startswith(own[1]):
                takes[f"data {id}"] = port.arrive
                if port.peer is not None:
                    takes[f"peer {id}"] = port.peer_arrives
        if (cable := self._board.network_ports.get(self._node.id)) is not None:
            takes["frame"] = cable.arrive
        if (share := self._board.share_ports.get(self._node.id)) is not None:
            takes["share"] = share.arrive
        return takes


def _equal(expected: Any, found: Any, what: str) -> None:
    assert expected == found, f"{what}: {_difference(expected, found)}"


def _difference(one: Any, other: Any) -> str:
    """The first place in which two stored forms differ."""
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key, value in one.items():
            if value != other[key]:
                return f"{key}: {_difference(value, other[key])}"
    return f"{one!r} and then {other!r}"
