# SPDX-License-Identifier: BSD-2-Clause
"""When something first holds is found to the nanosecond."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from manager.errors import UsageError
from manager.graph.nodes import Graph
from manager.machine.inputs import Input
from manager.machine.machine import Machine
from manager.replay.bisect import Question, command_holds, first, first_output, memory_holds
from manager.text.pattern import compile_pattern

from .conftest import MILLISECOND, SECOND

pytestmark = pytest.mark.guest

PORT_WRITE = 2000  # ns: more than the write of a byte takes
TYPED = (Input(500 * MILLISECOND, "data", "lpc.com1", b"u\r"),)


def test_first_output_is_found_to_the_byte(hello: Graph) -> None:
    question = Question(hello, 0, 1 * SECOND, TYPED)

    found = first_output(question, compile_pattern(r"\d+ ticks"), "lpc.com1")

    machine = Machine.power_on(hello)
    machine.inputs.schedule(TYPED[0])
    machine.run(found.at - PORT_WRITE)
    before = machine.ports["lpc.com1"].take_output()
    machine.run(found.at + PORT_WRITE)
    assert re.search(rb"\d+ ticks", before) is None
    assert re.search(rb"\d+ ticks", before + machine.ports["lpc.com1"].take_output())


def test_first_time_of_a_memory_word(hello: Graph, tmp_path: Path) -> None:
    machine = Machine.power_on(hello)
    machine.run(50 * MILLISECOND)
    before = machine.memory.read(0, 1 << 19)
    machine.run(300 * MILLISECOND)
    after = machine.memory.read(0, 1 << 19)
    address = next(n for n in range(0x1000, 1 << 19) if before[n] != after[n])
    question = Question(hello, 50 * MILLISECOND, machine.now())

    found = first(question, memory_holds(address, after[address : address + 1]), tmp_path)

    for at, expected in ((found.at - 1, False), (found.at, True)):
        machine = Machine.power_on(hello)
        machine.run(at)
        assert (machine.memory.read(address, 1) == after[address : address + 1]) is expected


def test_first_time_that_a_command_says_yes(hello: Graph, tmp_path: Path) -> None:
    question = Question(hello, 0, 1000)
    command = 'test -e "$VMMGR_SNAPSHOT/snapshot.vmms" && test "$VMMGR_TIME" -ge 700'

    found = first(question, command_holds(command, tmp_path), tmp_path)

    assert 690 <= found.at <= 700


def test_wrong_bounds_are_refused(hello: Graph, tmp_path: Path) -> None:
    always = memory_holds(0, b"")

    with pytest.raises(UsageError, match="holds at 0"):
        first(Question(hello, 0, 1000), always, tmp_path)
    with pytest.raises(UsageError, match="does not hold"):
        first(Question(hello, 0, 1000), lambda machine: False, tmp_path)
    with pytest.raises(UsageError, match="not RAM"):
        first(Question(hello, 0, 1000), memory_holds(1 << 39, b"1"), tmp_path / "x")
    with pytest.raises(UsageError, match="has not sent"):
        first_output(Question(hello, 0, 1000), re.compile("never"), "lpc.com1")
