# SPDX-License-Identifier: BSD-2-Clause
"""The contract kit finds what it is there to find, and says where."""

from __future__ import annotations

from pathlib import Path

import pytest
from support import granting_device
from support.own_counter import machine_with_counter

from manager.testing.bench import Bench
from manager.testing.contract import check_device

ID = "lpc.counter"


def check(folder: Path, old: str = "", new: str = "") -> None:
    check_device(machine_with_counter(folder, b"", old, new), ID, seeds=4, steps=60)


def test_a_device_that_keeps_the_contract_passes(tmp_path: Path) -> None:
    check(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("+ len(data) & 0xFF", "+ 250", "of lpc.counter cannot be stored: counter.count: "),
        ("+ self.step & 0xFF", "// (self.state.count - 9) & 0xFF", "port: ZeroDivisionError"),
        ("return self.state.count\n", "return None\n", "it gave None, not a number of 1 byte"),
        ('"""Nothing."""', "self.step = value", "a restored lpc.counter behaves otherwise"),
        (
            "    def takes(self):",
            "    def save(self):\n        return self.state\n\n    def takes(self):",
            "what was saved, after the device's own state was changed: count: 0 and then 1",
        ),
        (
            "    def takes(self):",
            "    def load(self, record):\n        self.state = CounterState()\n\n"
            "    def takes(self):",
            "these fields do not survive a restore: count",
        ),
    ],
)
def test_what_breaks_it_is_told(tmp_path: Path, old: str, new: str, told: str) -> None:
    with pytest.raises(AssertionError) as failure:
        check(tmp_path, old, new)

    assert told in str(failure.value)


def granting(folder: Path, old: str = "", new: str = "") -> Path:
    """A machine with a device that grants; in its file `old` becomes `new`."""
    text = Path(granting_device.__file__).read_text()
    assert old in text
    (folder / "own.py").write_text(text.replace(old, new) if old else text)
    file = machine_with_counter(folder, b"")
    file.write_text(file.read_text() + '[lpc.own]\ndevice = "./own.py:GrantingNode"\n')
    return file


def test_what_is_granted_and_holds_passes(tmp_path: Path) -> None:
    check_device(granting(tmp_path), "lpc.own", seeds=2, steps=100)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return state.count", "self._grants.steady(); return state.count", "a steady read gives"),
        (
            "return 0xFF",
            "state.count ^= 1; self._grants.steady(); return 0xFF",
            "a read that is called steady changes the device",
        ),
        ("absorb(state.log, MOST", "absorb(bytearray(), MOST", " was added"),
        (
            "        state.log += ",
            "        state.lost += 1\n        state.log += ",
            "a write that is called absorbed changes more than its buffer",
        ),
    ],
)
def test_what_is_granted_and_does_not_hold_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(AssertionError) as failure:
        check_device(granting(tmp_path, old, new), "lpc.own", seeds=4, steps=100)

    assert told in str(failure.value)


def test_a_bench_lets_a_test_play_the_guest(tmp_path: Path) -> None:
    bench = Bench(machine_with_counter(tmp_path, b""))

    first, second = (bench.board.io.read(0x300, 1) for _ in range(2))
    bench.board.io.write(0xF4, 1, 1)

    assert (first, second) == (3, 6)
    assert bench.happened == ["end 3"]
    assert bench.restored().board.io.read(0x300, 1) == 9
