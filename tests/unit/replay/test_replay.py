# SPDX-License-Identifier: BSD-2-Clause
"""A recorded run is run again and is the same, or the first difference is told."""

from __future__ import annotations

import os
import shutil
import stat
import struct
import zlib
from pathlib import Path

import pytest
from support.cost import MIB, cost

from manager import cbor
from manager.bus.record import Plain
from manager.devices.pit.device import Pit
from manager.errors import HostError, SnapshotCorruptError, SnapshotMismatchError
from manager.graph.build import load_graph
from manager.graph.nodes import Graph
from manager.machine.inputs import Input
from manager.machine.machine import Machine
from manager.replay import digests, recordings
from manager.replay.checks import Divergence
from manager.replay.entries import Check, Start
from manager.replay.log import read
from manager.replay.recorder import header_of
from manager.replay.replay import Replay, machine_at_start
from manager.snapshot.read import open_snapshot
from manager.snapshot.write import write_snapshot

from .conftest import MILLISECOND, ROOT, SECOND, Recorded

pytestmark = pytest.mark.guest


def session(recorded: Recorded) -> None:
    """Somebody types at odd moments."""
    recorded.run(300 * MILLISECOND)
    recorded.type("u")
    recorded.run(300 * MILLISECOND + 123_457)
    recorded.type("\rm\r")
    recorded.type("over here\r", "slots.4")
    recorded.run(2 * SECOND)


def replayed(directory: Path) -> tuple[Divergence | None, Replay, dict[str, bytes]]:
    told = recordings.story(directory)
    output: dict[str, bytes] = {}

    def hear(port: str, data: bytes) -> None:
        output[port] = output.get(port, b"") + data

    machine = machine_at_start(told.header)
    replay = Replay(
        machine, told.header.records, told.entries, begun_at=told.header.start.at, output=hear
    )
    return replay.run(), replay, output


def test_replay_of_a_session_gives_the_same_output_and_state(recorded: Recorded) -> None:
    session(recorded)
    recorded.recorder.end("down")

    divergence, replay, output = replayed(recorded.directory)

    assert divergence is None
    assert replay.checked >= 3
    assert output["lpc.com1"] == recorded.output["lpc.com1"]
    assert output["slots.4"] == recorded.output["slots.4"]
    assert b"over here" in output["slots.4"]


def test_idle_machine_makes_no_checks(recorded: Recorded, hello: Graph) -> None:
    recorded.type("t\r")
    recorded.run(1 * SECOND)
    size = recorded.recorder.log.size
    checks = [e for e in read(recorded.recorder.log.path).entries if isinstance(e, Check)]

    assert len(checks) <= 1 + SECOND // (100 * MILLISECOND)
    assert size < 20_000


def test_run_that_the_guest_ended_replays_to_its_end(recorded: Recorded) -> None:
    recorded.run(300 * MILLISECOND)
    recorded.type("q\r")
    recorded.run(1 * SECOND)
    recorded.recorder.end("ended", detail="the guest halted")

    divergence, _, output = replayed(recorded.directory)

    assert divergence is None
    assert b"Halted." in output["lpc.com1"]


def test_replay_goes_on_through_a_suspend(recorded: Recorded, hello: Graph, tmp_path: Path) -> None:
    session(recorded)
    written = write_snapshot(tmp_path / "state", recorded.machine.run_to_image())
    recorded.recorder.end("suspended", written.id.hex())
    again = Machine.restore(hello, open_snapshot(tmp_path / "state"))
    recorded.machine = again
    recorded.begin(Start(written.id.hex(), str(tmp_path / "state"), again.now()))
    recorded.type("u\r")
    recorded.run(3 * SECOND)
    recorded.recorder.end("down")

    divergence, _, output = replayed(recorded.directory)

    assert len(recordings.logs(recorded.directory)) == 2
    assert divergence is None
    assert output["lpc.com1"] == recorded.output["lpc.com1"]


def test_replay_from_a_snapshot_in_the_middle(
    recorded: Recorded, hello: Graph, tmp_path: Path
) -> None:
    recorded.run(500 * MILLISECOND)
    written = write_snapshot(tmp_path / "state", recorded.machine.run_to_image())
    recorded.recorder.saved(written.id.hex(), "middle")
    recorded.type("u\r")
    recorded.run(2 * SECOND)
    recorded.recorder.end("down")
    told = recordings.story(recorded.directory)

    machine = Machine.restore(hello, open_snapshot(tmp_path / "state"))
    replay = Replay(machine, told.header.records, told.entries, begun_at=0)

    assert replay.run() is None
    assert replay.checked >= 2


def test_tampered_input_is_told_with_the_time_and_the_port(recorded: Recorded) -> None:
    session(recorded)
    recorded.recorder.end("down")
    told = recordings.story(recorded.directory)
    changed = [
        Input(entry.at + 700, entry.kind, entry.port, b"h")
        if isinstance(entry, Input) and entry.data == b"u"
        else entry
        for entry in told.entries
    ]

    replay = Replay(machine_at_start(told.header), told.header.records, changed, begun_at=0)
    divergence = replay.run()

    assert divergence is not None
    assert 300 * MILLISECOND < divergence.at < 500 * MILLISECOND
    assert divergence.after < divergence.at
    assert "lpc.com1" in divergence.ports
    assert "lpc.com1 sent something else" in "\n".join(divergence.lines())


def test_device_that_behaves_otherwise_is_named(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    session(recorded)
    recorded.recorder.end("down")

    def save(self: Pit):  # a device whose state depends on something else
        record = honest_save(self)
        record.counters[0].reload ^= 1
        return record

    honest_save = Pit.save
    monkeypatch.setattr(Pit, "save", save)

    divergence, _, _ = replayed(recorded.directory)

    assert divergence is not None
    assert divergence.states == ("board.pit",)
    assert divergence.ports == ()


def test_changed_boot_image_is_refused(recorded: Recorded) -> None:
    session(recorded)
    recorded.recorder.end("down")
    told = recordings.story(recorded.directory)
    header = told.header
    images = dict.fromkeys(header.images, "00" * 32)
    object.__setattr__(header, "images", images)

    with pytest.raises(SnapshotMismatchError, match=r"hello\.bin"):
        machine_at_start(header)


def test_log_is_private_and_a_torn_end_is_tolerated(recorded: Recorded) -> None:
    session(recorded)
    path = recorded.recorder.log.path
    whole = read(path)
    data = path.read_bytes()

    for cut in range(1, 40):
        path.write_bytes(data[:-cut])
        torn = read(path)
        assert torn.torn or len(torn.entries) == len(whole.entries) - 1
        assert torn.entries == whole.entries[: len(torn.entries)]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert replayed(recorded.directory)[0] is None


def test_damage_before_the_end_is_an_error(recorded: Recorded) -> None:
    session(recorded)
    path = recorded.recorder.log.path
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)

    with pytest.raises(SnapshotCorruptError):
        read(path)


def test_log_has_a_limit(hello: Graph, tmp_path: Path) -> None:
    recorded = Recorded(hello, tmp_path / "recordings")
    recorded.recorder.log._limit = recorded.recorder.log.size + 100
    for number in range(10):
        recorded.type(f"{number}" * 20)
        recorded.run((number + 1) * 10 * MILLISECOND)
    recorded.recorder.end("down")

    log = read(recorded.recorder.log.path)

    assert recorded.recorder.log.fault
    assert sum(isinstance(entry, Input) for entry in log.entries) == 2
    assert log.end is None


def test_check_covers_output_that_was_not_collected_yet(recorded: Recorded) -> None:
    recorded.run(300 * MILLISECOND)
    recorded.type("u\r")
    recorded.run(305 * MILLISECOND)  # which arms the check
    recorded.type("m\r")
    recorded.run(900 * MILLISECOND, slice_=SECOND)
    recorded.recorder.end("down")

    divergence, replay, _ = replayed(recorded.directory)

    assert divergence is None
    assert replay.checked >= 2


def test_ram_is_compared_at_the_end(recorded: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    session(recorded)
    recorded.recorder.end("down")
    monkeypatch.setattr(digests, "of_ram", lambda memory: "something else")

    divergence, _, _ = replayed(recorded.directory)

    assert divergence is not None
    assert divergence.states == ("RAM",)


HOSTILE_ENTRIES: dict[str, Plain] = {
    "a time before power-on": [0, -1, "data", "lpc.com1", b"x"],
    "a time that never comes": [0, 1 << 63, "data", "lpc.com1", b"x"],
    "a time as text": [0, "1", "data", "lpc.com1", b"x"],
    "a kind that is no text": [0, 1, 0, "lpc.com1", b"x"],
    "numbers for data": [0, 1, "data", "lpc.com1", [1, 2]],
    "a check without states": [1, 1, {}, None],
    "a check of a port that counts text": [1, 1, {"lpc.com1": ["x", b""]}, b""],
    "a snapshot that is a list": [2, 1, [[]] * 10, "tag"],
    "an end that is a list": [3, 1, None, b"", [[]]],
    "a nothing": [],
    "a map": {},
}


@pytest.mark.parametrize("kind", HOSTILE_ENTRIES)
def test_log_with_an_entry_that_makes_no_sense_is_refused(kind: str, recorded: Recorded) -> None:
    recorded.recorder.detach()
    body = cbor.encode(HOSTILE_ENTRIES[kind])
    path = recorded.recorder.log.path
    path.write_bytes(path.read_bytes() + struct.pack("<II", len(body), zlib.crc32(body)) + body)

    with pytest.raises(SnapshotCorruptError, match="cannot be understood"):
        read(path)


def test_log_of_empty_frames_costs_a_multiple_of_its_size(recorded: Recorded) -> None:
    recorded.recorder.detach()
    path = recorded.recorder.log.path
    body = b"\x81" * 20 + b"\x9a\x00\x02\x00\x00" + b"\x80" * 0x20000
    frame = struct.pack("<II", len(body), zlib.crc32(body)) + body
    path.write_bytes(path.read_bytes() + frame * 100)

    spent = cost(path, "log.read(path)", imports="from manager.replay import log")

    assert spent.memory < 200 * MIB
    assert spent.said.startswith("SnapshotCorruptError")


def test_a_fifo_in_the_place_of_a_log_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "000001.vmlog")

    with pytest.raises(SnapshotCorruptError, match="is a FIFO"):
        recordings.story(tmp_path)


def test_a_time_after_the_recorded_end_is_its_end(recorded: Recorded) -> None:
    session(recorded)
    recorded.recorder.end("down")
    told = recordings.story(recorded.directory)
    machine = machine_at_start(told.header)
    replay = Replay(machine, told.header.records, told.entries, begun_at=0)

    assert replay.run(9 * SECOND) is None
    assert machine.now() == recorded.machine.now()


def moving(folder: Path) -> Path:
    """A machine file, all of whose files are in its folder."""
    shutil.copytree(ROOT / "machines" / "hello", folder / "hello")
    return Path(shutil.copy(ROOT / "machines" / "hello.toml", folder))


def test_files_that_are_no_more_where_they_were(tmp_path: Path) -> None:
    recorded = Recorded(load_graph(moving(tmp_path / "here")), tmp_path / "recordings")
    session(recorded)
    recorded.recorder.end("down")
    (tmp_path / "here").rename(tmp_path / "there")

    with pytest.raises(HostError, match=r"here/hello/hello\.bin: cannot be read") as raised:
        replayed(recorded.directory)
    assert "a link to where it is now" in str(raised.value.help)

    (tmp_path / "here").symlink_to("there")
    assert replayed(recorded.directory)[0] is None


def test_files_that_were_moved_while_it_was_suspended(tmp_path: Path) -> None:
    recorded = Recorded(load_graph(moving(tmp_path / "here")), tmp_path / "recordings")
    session(recorded)
    (tmp_path / "here").rename(tmp_path / "there")
    recorded.machine.graph = load_graph(tmp_path / "there" / "hello.toml")
    recorded.suspend_and_resume(tmp_path / "state")
    recorded.type("u\r")
    recorded.run(3 * SECOND)
    recorded.recorder.end("down")

    divergence, _, output = replayed(recorded.directory)

    assert divergence is None
    assert output["lpc.com1"] == recorded.output["lpc.com1"]


def test_a_log_says_what_came_from_another_machine_of_the_lab(hello: Graph, tmp_path: Path) -> None:
    machine = Machine.power_on(hello)
    header = header_of(machine, Start(), together="0001")
    entries = [Input(1, "data", "lpc.com1", b"x"), Input(2, "data", "lpc.com1", b"y", wired=True)]
    writer = recordings.begin(tmp_path, header)
    for entry in entries:
        writer.add(entry)
    writer.close()

    told = read(writer.path)

    assert told.entries == entries
    assert told.header.together == "0001"
