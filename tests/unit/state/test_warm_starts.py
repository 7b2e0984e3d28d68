# SPDX-License-Identifier: BSD-2-Clause
"""What `up` keeps of machines that are ready: by whole identity, bounded, least recently used."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from manager import version
from manager.bus.record import Plain
from manager.graph.build import load_graph
from manager.graph.nodes import Graph, ImageBoot
from manager.machine.machine import Machine
from manager.state.decided import key_of
from manager.state.warm_starts import WarmStarts

pytestmark = pytest.mark.guest

ROOT = Path(__file__).parents[3]
WAITED_FOR: dict[str, Plain] = {"waited_for": "> $"}


@pytest.fixture
def hello() -> Graph:
    return load_graph(ROOT / "machines" / "hello.toml")


def key(graph: Graph) -> str:
    return key_of(graph, WAITED_FOR)


def test_key_changes_with_all_that_the_guest_can_see_and_with_the_images(
    hello: Graph, tmp_path: Path
) -> None:
    assert isinstance(hello.boot, ImageBoot)
    image = tmp_path / "hello.bin"
    image.write_bytes(hello.boot.image.read_bytes())
    copied = replace(hello, boot=replace(hello.boot, image=image))
    same = key(copied)
    image.write_bytes(image.read_bytes() + b"\0")

    assert same == key(hello) == key(replace(hello, name="other", clock_mode="virtual"))
    others = {
        key(copied),
        key(replace(hello, memory_size=hello.memory_size * 2)),
        key(replace(hello, epoch=hello.epoch + 1)),
        key(replace(hello, cpu_model="max")),
        key_of(hello, {"waited_for": "other"}),
        key_of(hello, {}),
    }
    assert len(others | {same}) == 7


def test_kept_machine_is_found_with_its_output(hello: Graph, tmp_path: Path) -> None:
    machine = Machine.power_on(hello)
    machine.run(200_000_000)
    output = machine.ports["lpc.com1"].take_output()
    cache = WarmStarts(tmp_path / "ready")

    cache.add("k1", machine.run_to_image(), {"lpc.com1": output}, "> ")
    found = cache.find("k1")

    assert found is not None
    entry, snapshot = found
    assert entry.output() == {"lpc.com1": output}
    assert snapshot.header.virtual_time == machine.now()
    assert cache.find("k2") is None


def test_least_recently_used_goes_first(hello: Graph, tmp_path: Path) -> None:
    machine = Machine.power_on(hello)
    cache = WarmStarts(tmp_path / "ready")
    for number in range(3):
        entry = cache.add(f"k{number}", machine.run_to_image(), {}, "")
        assert entry is not None
        os.utime(entry.path, (number, number))
    assert cache.find("k0") is not None  # used just now

    removed = cache.shrink(2 * entry.size)

    assert removed == 1
    assert {item.key for item in cache.entries()} == {"k0", "k2"}


def test_machine_larger_than_the_limit_is_not_kept(hello: Graph, tmp_path: Path) -> None:
    cache = WarmStarts(tmp_path / "ready", limit=1000)

    assert cache.add("k", Machine.power_on(hello).run_to_image(), {}, "") is None
    assert cache.entries() == []
    assert list(cache.root.iterdir()) == []


def test_damaged_entry_is_removed_and_the_machine_boots(hello: Graph, tmp_path: Path) -> None:
    cache = WarmStarts(tmp_path / "ready")
    entry = cache.add("k", Machine.power_on(hello).run_to_image(), {}, "")
    assert entry is not None
    state = entry.snapshot / "snapshot.vmms"
    state.chmod(0o600)
    state.write_bytes(state.read_bytes()[:-1])

    assert cache.find("k") is None
    assert not entry.path.exists()


def test_clear_drops_everything(hello: Graph, tmp_path: Path) -> None:
    cache = WarmStarts(tmp_path / "ready")
    cache.add("k", Machine.power_on(hello).run_to_image(), {}, "")

    assert cache.clear() == 1
    assert cache.entries() == []


def test_a_change_of_any_device_makes_them_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("machine", "devices/uart", "cpu", "boot", "bus"):
        (tmp_path / part).mkdir(parents=True)
    file = tmp_path / "devices" / "uart" / "device.py"
    file.touch()
    monkeypatch.setattr(version, "__file__", str(tmp_path / "version.py"))

    before = version.of_code()
    os.utime(file, (1, 1))

    assert version.of_code() != before
