# SPDX-License-Identifier: BSD-2-Clause
"""A mebibyte each way through Linux's own serial driver, and not a byte lost."""

from __future__ import annotations

import hashlib
import random

import pytest
from support.vmmgr import ROOT

from manager.graph.build import load_graph
from manager.machine.machine import Machine

pytestmark = pytest.mark.usefixtures("linux")

SIZE = 1 << 20
SLICE = 5_000_000


class Shell:
    """The shell on the console of a machine that runs as fast as it can."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.console = machine.ports["lpc.com1"]
        self.seen = ""

    def until(self, text: str, limit: int = 60_000_000_000) -> str:
        """Run until `text` was printed; what came before it."""
        end = self.machine.now() + limit
        while text not in self.seen:
            assert self.machine.now() < end, self.seen[-500:]
            self.machine.run(self.machine.now() + SLICE)
            self.seen += self.console.take_output().decode(errors="replace")
        before, _, self.seen = self.seen.partition(text)
        return before

    def send(self, line: str) -> None:
        self.console.feed(line.encode() + b"\n")


@pytest.fixture
def shell() -> Shell:
    shell = Shell(Machine.power_on(load_graph(ROOT / "machines" / "linux.toml")))
    shell.until("/ # ")
    return shell


def test_a_mebibyte_goes_in_and_comes_out_as_it_was(shell: Shell) -> None:
    data = random.Random(3).randbytes(SIZE)
    port = shell.machine.ports["lpc.com2"]
    shell.send(
        f"stty -F /dev/ttyS1 raw -echo; head -c {SIZE} /dev/ttyS1 >/tmp/got & sleep 1; echo O''K"
    )
    shell.until("OK")

    port.feed(data)
    shell.send("wait; sha256sum /tmp/got; echo O''K")
    digest = shell.until("OK")
    port.take_output()
    shell.send("cat /tmp/got >/dev/ttyS1; stty -F /dev/ttyS1; echo O''K")
    shell.until("OK")

    assert hashlib.sha256(data).hexdigest() in digest
    assert port.take_output() == data


def test_driver_finds_a_16550a_takes_speeds_and_counts_a_break(shell: Shell) -> None:
    """That it says 16550A means that its loopback test of the modem lines was passed too."""
    shell.send(
        "p=/dev/ttyS1; for b in 300 9600 115200; do stty -F $p $b; stty -F $p; done; echo O''K"
    )
    speeds = shell.until("OK")
    shell.send("exec 3</dev/ttyS1; echo O''K")
    shell.until("OK")
    shell.machine.inputs.post("break", "lpc.com2")
    shell.send("sleep 1; grep '^1:' /proc/tty/driver/serial; echo O''K")
    serial = shell.until("OK")

    assert [line for line in speeds.splitlines() if line.startswith("speed")] == [
        f"speed {baud} baud; line = 0;" for baud in (300, 9600, 115200)
    ]
    assert "1: uart:16550A port:000002F8 irq:3" in serial
    assert "brk:1" in serial
