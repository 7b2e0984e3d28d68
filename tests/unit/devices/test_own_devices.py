# SPDX-License-Identifier: BSD-2-Clause
"""Devices that a machine file names by a Python file: built, saved, replayed, and blamed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.assembler import assemble
from support.own_counter import COUNTER, LOAD, machine_with_counter

from manager.devices import registry
from manager.devices.lost import LostNode
from manager.devices.own import OwnDeviceError
from manager.errors import ExitCode
from manager.graph.build import load_graph
from manager.graph.differences import differences
from manager.graph.identity import full_hash, identity, identity_hash
from manager.graph.plain import from_plain, to_plain
from manager.machine.machine import Machine
from manager.snapshot.read import Snapshot, open_snapshot
from manager.snapshot.store import Store

READ_TWICE = "mov dx, 0x300; in al, dx; in al, dx; out 0xf4, al; hlt"
READ_FOR_EVER = "mov dx, 0x300; 1: in al, dx; jmp 1b"
WAIT = "1: jmp 1b"
MILLISECOND = 1_000_000
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Makes a machine with the counter and a guest; in the counter's file `old` becomes `new`."""

    def write(guest: str = READ_TWICE, old: str = "", new: str = "") -> Path:
        return machine_with_counter(tmp_path, assemble(guest, LOAD, 32), old, new)

    return write


def counted(machine: Machine) -> int:
    record = machine.records()["lpc.counter"]
    count: int = record.count  # type: ignore[attr-defined]
    return count


def test_a_guest_reads_it(write: Write) -> None:
    machine = Machine.power_on(load_graph(write()))

    ended = machine.run(MILLISECOND)

    assert ended is not None
    assert ended.status == 6 << 1 | 1


def test_it_is_in_the_graph_like_any_other(write: Write) -> None:
    graph = load_graph(write())
    node = graph.device("lpc.counter")

    assert node is not None
    assert (node.type, node.parent) == ("counter.py:CounterNode", "slots.31")
    facts = identity(graph)["devices"]["lpc.counter"]  # type: ignore[index,call-overload]
    assert facts["properties"]["step"] == 3
    assert len(facts["properties"]["code"]) == 64


def test_the_content_of_its_file_is_part_of_the_identity_and_its_place_is_not(
    write: Write, tmp_path: Path
) -> None:
    one = load_graph(write())
    other = tmp_path / "elsewhere"
    other.mkdir()
    for name in ("demo.toml", "counter.py", "guest.bin"):
        (other / name).write_bytes((tmp_path / name).read_bytes())
    moved = load_graph(other / "demo.toml")
    changed = load_graph(write(old="What was counted.", new="What has been counted."))

    assert (identity_hash(moved), full_hash(moved)) == (identity_hash(one), full_hash(one))
    assert identity_hash(changed) != identity_hash(one)
    found = differences(identity(one), identity(changed))
    assert [item.subject for item in found] == ["lpc.counter.properties.code"]


def test_plain_form_is_lossless(write: Write) -> None:
    graph = load_graph(write())

    again = from_plain(json.loads(json.dumps(to_plain(graph))))

    assert again == graph
    assert full_hash(again) == full_hash(graph)


def test_a_stored_graph_is_read_without_the_file_but_not_built(write: Write) -> None:
    graph = load_graph(write())
    plain = to_plain(graph)
    (graph.source.parent / "counter.py").unlink()

    again = from_plain(plain)

    assert isinstance(again.device("lpc.counter"), LostNode)
    assert (identity_hash(again), full_hash(again)) == (identity_hash(graph), full_hash(graph))
    assert to_plain(again) == plain
    with pytest.raises(OwnDeviceError, match=r"lpc\.counter: .*counter\.py cannot be read"):
        Machine.power_on(again)


def test_a_stored_graph_is_not_built_with_another_file(write: Write) -> None:
    plain = to_plain(load_graph(write()))
    write(old="& 0xFF", new="& 0x7F")

    with pytest.raises(OwnDeviceError, match="is not what it was"):
        Machine.power_on(from_plain(plain))


def test_its_state_goes_through_a_snapshot(write: Write, tmp_path: Path) -> None:
    graph = load_graph(write(READ_FOR_EVER))
    machine = Machine.power_on(graph)
    machine.run(MILLISECOND)

    restored = Machine.restore(graph, saved(machine, tmp_path))

    assert counted(restored) == counted(machine)
    for each in (machine, restored):
        each.run(2 * MILLISECOND)
    assert counted(restored) == counted(machine) != 0


def test_input_of_a_kind_of_its_own_arrives_at_its_time(write: Write) -> None:
    machine = Machine.power_on(load_graph(write(WAIT)))
    seen: list[tuple[str, str]] = []
    machine.inputs.on_input = lambda item: seen.append((item.kind, item.port))

    machine.inputs.post("nudge", "lpc.counter", b"12345")
    machine.inputs.post("nudge")
    before = counted(machine)
    machine.run(MILLISECOND)

    assert (before, counted(machine)) == (0, 5)
    assert seen == [("nudge", "lpc.counter"), ("nudge", "")]


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ("return self.state.count\n", "return 1 // 0\n", "ZeroDivisionError: .* (in read_port)"),
        ("return self.state.count\n", "return -1\n", "it gave -1, not a number of 1 byte"),
        ("return self.state.count\n", "return None\n", "it gave None, not a number of 1 byte"),
        ("return self.state.count\n", "raise SystemError\n", "SystemError"),
    ],
)
def test_an_exception_while_the_guest_runs_ends_the_machine_as_a_fault(
    write: Write, old: str, new: str, detail: str
) -> None:
    machine = Machine.power_on(load_graph(write(READ_TWICE, old, new)))

    ended = machine.run(MILLISECOND)

    assert ended is not None
    assert (ended.reason, ended.status, ended.is_fault) == ("device", ExitCode.GUEST_FAULT, True)
    line = COUNTER.replace(old, new).splitlines().index(f"        {new.strip()}") + 1
    if "gave" in detail:
        line = COUNTER.splitlines().index("    def read_port(self, offset):") + 1
    assert f"counter.py:{line}: " in ended.detail
    assert detail.partition(":")[0].partition(",")[0] in ended.detail
    assert machine.run(2 * MILLISECOND) is ended
    assert machine.records().keys() >= {"lpc.counter"}


def test_an_exception_in_a_timer_or_in_input_is_such_a_fault_too(write: Write) -> None:
    file = write(
        WAIT, "self.state.count = self.state.count + len(data) & 0xFF", "raise KeyError(data)"
    )
    machine = Machine.power_on(load_graph(file))

    machine.inputs.post("nudge", "lpc.counter")
    ended = machine.run(MILLISECOND)

    assert ended is not None
    assert ended.reason == "device"
    assert "KeyError" in ended.detail


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("board.claim(self.ports[0], counter)", "1 // 0", "ZeroDivisionError"),
        ("        return counter", "", "build() is to return a Device"),
        ('"counter"', '"pic"', "has the TYPE 'pic' already"),
        ("self.ports[0], counter)", "self.ports[0], counter); board.irq()", "does not claim an in"),
    ],
)
def test_a_device_that_cannot_be_built_is_an_error_with_its_place(
    write: Write, old: str, new: str, told: str
) -> None:
    graph = load_graph(write(READ_TWICE, old, new))

    with pytest.raises(OwnDeviceError, match=r"^lpc\.counter: .*counter\.py:[0-9]+: ") as error:
        Machine.power_on(graph)

    assert told in error.value.message
    assert error.value.exit_code == ExitCode.USAGE


@pytest.mark.parametrize(
    ("method", "place"),
    [
        ("save(self):\n        raise KeyError(1)", "save"),
        ("load(self, record):\n        {}[record.count]", "load"),
    ],
)
def test_an_exception_at_a_snapshot_or_a_restore_is_an_error_with_its_place(
    write: Write, tmp_path: Path, method: str, place: str
) -> None:
    graph = load_graph(
        write(READ_FOR_EVER, "def takes(self):", f"def {method}\n\n    def takes(self):")
    )
    machine = Machine.power_on(graph)
    machine.run(MILLISECOND)

    with pytest.raises(OwnDeviceError, match=rf"counter\.py:[0-9]+: KeyError: .* \(in {place}\)"):
        Machine.restore(graph, saved(machine, tmp_path))


def saved(machine: Machine, folder: Path) -> Snapshot:
    """The machine as a snapshot."""
    return open_snapshot(Store(folder / "store").commit(machine.run_to_image(), "t"))


def test_an_installed_package_may_bring_a_kind(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write()
    package = tmp_path / "site"
    (package / "acme_counter-1.0.dist-info").mkdir(parents=True)
    (package / "acme_counter.py").write_text(COUNTER)
    info = package / "acme_counter-1.0.dist-info"
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-counter\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vmmgr.devices]\nacme = acme_counter:CounterNode\n")
    monkeypatch.syspath_prepend(str(package))
    registry.forget()

    graph = load_graph(file, ['lpc.counter.device="acme"'])
    ended = Machine.power_on(graph).run(MILLISECOND)

    node = graph.device("lpc.counter")
    assert node is not None
    assert node.type == "acme"
    assert node.properties["code"]
    assert from_plain(to_plain(graph)) == graph
    assert ended is not None
    assert ended.status == 6 << 1 | 1
    registry.forget()


def test_a_file_is_run_again_only_when_it_has_changed(write: Write) -> None:
    file = write()
    kinds = [type(load_graph(file).device("lpc.counter")) for _ in range(2)]
    write(old="& 0xFF", new="& 0x7F")
    changed = type(load_graph(file).device("lpc.counter"))

    assert kinds[0] is kinds[1]
    assert changed is not kinds[0]


def test_nodes_of_a_graph_can_be_replaced(write: Write) -> None:
    graph = load_graph(write())
    node = graph.device("lpc.counter")
    assert node is not None

    assert replace(node, id="lpc.other").properties == node.properties
