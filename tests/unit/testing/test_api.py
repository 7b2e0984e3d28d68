# SPDX-License-Identifier: BSD-2-Clause
"""Machines inside a Python program."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import manager
from manager.api import (
    Console,
    FailOnError,
    Machine,
    MachineEndedError,
    OutOfBudgetError,
)
from manager.api.transcript import RAW_LIMIT
from manager.errors import HostError, SnapshotMismatchError, UsageError

pytestmark = pytest.mark.guest

ROOT = Path(__file__).parents[3]
HELLO = ROOT / "machines/hello.toml"


@pytest.fixture
def machine() -> Iterator[Machine]:
    with manager.load(HELLO).boot() as machine:
        yield machine


@pytest.fixture
def console(machine: Machine) -> Console:
    console = machine.console("com1")
    console.expect_prompt()
    return console


def test_importing_the_package_is_cheap() -> None:
    code = "import sys, manager; print(*(name for name in sys.modules if name[:8] == 'manager.'))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )

    assert result.stdout.split() == ["manager.version"]


def test_every_public_name_is_there() -> None:
    assert [name for name in manager.__all__ if not hasattr(manager, name)] == []
    with pytest.raises(AttributeError):
        _ = manager.nothing  # type: ignore[attr-defined]


def test_each_match_begins_after_the_one_before(machine: Machine) -> None:
    console = machine.console()

    first = console.expect(r"Hello from (\w+)")
    second = console.expect_line("Type")

    assert first[1] == "vmmgr"
    assert second.group() == "Type h and Enter for help."
    with pytest.raises(OutOfBudgetError, match="before the last match"):
        console.expect("Hello", timeout="10ms")


def test_expect_line_waits_for_the_end_of_the_line(machine: Machine) -> None:
    console = machine.console()

    line = console.expect_line(r"PCI uart.*IRQ (?P<irq>\d+)")
    assert line.group().endswith("IRQ 10")
    assert (line["irq"], line[1]) == ("10", "10")
    with pytest.raises(OutOfBudgetError):
        console.expect_line("> ", timeout="100ms")


def test_prompt_is_an_unfinished_line(machine: Machine) -> None:
    with pytest.raises(OutOfBudgetError):
        machine.console().expect_prompt("Hello from vmmgr", timeout="100ms")
    prompt = machine.console().expect_prompt("(>) ")
    assert (prompt.group(), prompt[1]) == ("> ", ">")


def test_command_returns_what_was_printed_between_two_prompts(console: Console) -> None:
    assert console.command("h").splitlines()[0] == "h  this help"
    assert console.command("h").splitlines()[-1] == "q  halt"


def test_failed_expectation_shows_the_output_and_the_nearest_miss(console: Console) -> None:
    console.send_line("u")

    with pytest.raises(OutOfBudgetError) as caught:
        console.expect("up 99.99 s", timeout="500ms")

    text = str(caught.value)
    assert text.startswith("lpc.com1: 'up 99.99 s' did not come within 500ms of guest time")
    assert "  | Hello from vmmgr" in text
    assert "matches as far as 'up '" in text


def test_same_calls_give_the_same_run() -> None:
    def play() -> tuple[int, str, dict[str, int]]:
        with manager.load(HELLO).boot() as machine:
            console = machine.console()
            console.expect_prompt()
            console.command("u")
            console.expect("tick 2", timeout="5s")
            return machine.time, console.text, machine.registers

    assert play() == play()


def test_fail_on_ends_whatever_wait_there_is(machine: Machine, console: Console) -> None:
    console.fail_on("is not a command")
    console.send_line("nonsense")

    with pytest.raises(FailOnError, match="nonsense"):
        console.expect("tick 9", timeout="20s")
    console.send_line("rubbish")
    with pytest.raises(FailOnError, match="rubbish"):
        machine.run_for("100ms")


def test_fail_on_watches_ports_without_a_wait(machine: Machine) -> None:
    machine.console("slots.4").fail_on("Hello")

    with pytest.raises(FailOnError, match=r"slots\.4"):
        machine.console("com1").expect("tick 1", timeout="5s")


def test_fail_on_does_not_look_back(machine: Machine, console: Console) -> None:
    console.fail_on("Hello")

    machine.run_for("10ms")


def test_assert_absent_looks_and_waits(console: Console) -> None:
    console.assert_absent("tick 1")

    with pytest.raises(FailOnError, match="tick 1"):
        console.assert_absent("tick 1", during="2s")


def test_settle_waits_until_the_guest_is_quiet(console: Console) -> None:
    console.send_line("h")

    text = console.settle("50ms")

    assert text.startswith("h\nh  this help")
    assert console.unread == ""


def test_settle_gives_up_on_a_guest_that_never_is(console: Console) -> None:
    with pytest.raises(OutOfBudgetError, match="never quiet"):
        console.settle("2s", timeout="3s")


def test_guest_that_halts_ends_the_wait(machine: Machine, console: Console) -> None:
    console.send_line("q")

    with pytest.raises(MachineEndedError, match="halted"):
        console.expect("more")
    assert machine.ended is not None
    assert machine.exit_status == 0


def test_last_words_still_match(console: Console) -> None:
    console.send_line("q")

    assert console.expect("q")


def test_wall_guard_ends_a_wait_that_takes_too_long(machine: Machine) -> None:
    machine.wall_guard = 0

    with pytest.raises(OutOfBudgetError, match="host's time"):
        machine.console().expect("never", timeout="1h")
    with pytest.raises(OutOfBudgetError, match="host's time"):
        machine.run_for("1h")


def test_run_until_asks_the_machine_itself(machine: Machine) -> None:
    machine.run_until(lambda: machine.registers["cr0"] & 1, timeout="1s")

    assert machine.registers["cs"] == 8
    with pytest.raises(OutOfBudgetError):
        machine.run_until(lambda: False, timeout="5ms")


def test_resumed_machine_goes_on_where_the_snapshot_was(
    machine: Machine, console: Console, tmp_path: Path
) -> None:
    snapshot = machine.snapshot(tmp_path / "state")
    time = machine.time
    console.send_line("q")
    console.expect("q")

    with machine.definition.resume(snapshot) as again:
        assert again.time == time
        assert "this help" in again.console().command("h")
    with manager.Snapshot.open(tmp_path / "state").resume() as third:
        assert third.time == time
    snapshot.verify()
    assert snapshot.machine == "hello"
    assert snapshot.devices["lpc.com1"] == "uart16550"
    with pytest.raises(HostError, match="exists"):
        machine.snapshot(tmp_path / "state")


def test_snapshot_of_another_machine_is_refused(machine: Machine, tmp_path: Path) -> None:
    snapshot = machine.snapshot(tmp_path / "state")

    with pytest.raises(SnapshotMismatchError, match="memory"):
        manager.load(HELLO, set={"memory.size": "32M"}).resume(snapshot)


def test_memory_can_be_read_and_changed(machine: Machine) -> None:
    code = machine.read_memory(0x7C00, 16)
    machine.write_memory(0x50000, b"vmmgr")

    assert code == (ROOT / "machines/hello/hello.bin").read_bytes()[:16]
    assert machine.read_memory(0x50000, 5) == b"vmmgr"
    with pytest.raises(UsageError, match="not RAM"):
        machine.read_memory(0xA0000, 1)


def test_closed_machine_answers_nothing(machine: Machine) -> None:
    machine.close()
    machine.close()

    assert machine.closed
    with pytest.raises(UsageError, match="closed"):
        machine.run_for("1ms")


@pytest.mark.parametrize("wrong", ["soon", -1.0])
def test_wrong_durations_are_named(machine: Machine, wrong: str | float) -> None:
    with pytest.raises(UsageError):
        machine.run_for(wrong)


def test_wrong_patterns_and_ports_are_named(machine: Machine) -> None:
    with pytest.raises(UsageError, match="parenthesis without its end"):
        machine.console().expect("(")
    with pytest.raises(UsageError, match="com3"):
        machine.console("com3")


def test_long_output_is_kept_within_bounds(machine: Machine) -> None:
    console = machine.console()
    console.recall(b"x" * 79 + b"\n" + b"y\n" * 100_000)

    console.expect_prompt()

    assert len(console.text) <= 3 * 65536
    assert console.expect_line("tick 1").group() == "tick 1"


@pytest.mark.parametrize("pattern", [".*END", "(a|.)+END", "(?s).*END"])
def test_no_pattern_keeps_a_wait_from_its_end(machine: Machine, pattern: str) -> None:
    console = machine.console()
    console._text.add(b"a 50%\r" * 10_000)
    console.fail_on(pattern)

    with pytest.raises(OutOfBudgetError, match="did not come within"):
        console.expect(pattern, timeout="100ms")
    console.assert_absent(pattern, during="100ms")


def test_a_pattern_that_cannot_be_searched_is_refused_with_its_place(machine: Machine) -> None:
    with pytest.raises(UsageError, match="look-ahead, at character 6"):
        machine.console().expect("login(?=:)")
    with pytest.raises(UsageError, match="back-reference"):
        machine.console().fail_on(re.compile(r"(a)\1"))


def test_flags_of_each_fail_on_pattern_are_its_own(console: Console) -> None:
    console.fail_on(re.compile("PANIC", re.IGNORECASE))
    console.fail_on("(?i)OOPS")
    console.fail_on("T[ypeh ]+X")

    console.send("h")

    console.settle()


def test_reset_goes_back_to_the_mark_with_what_the_consoles_have_heard(
    machine: Machine, console: Console
) -> None:
    machine.mark()
    marked = (console.text, console.raw, console.unread, machine.time)

    answers = [console.command("u")]
    console.fail_on("never seen")
    for _ in range(3):
        assert machine.reset() > 0
        assert (console.text, console.raw, console.unread, machine.time) == marked
        answers.append(console.command("u"))

    assert answers == answers[:1] * 4
    console.fail_on("up 0")
    machine.reset()
    with pytest.raises(FailOnError):
        console.command("u")


def test_a_machine_that_is_over_goes_back_and_runs_again(machine: Machine) -> None:
    with pytest.raises(UsageError, match="no mark"):
        machine.reset()
    machine.console().expect_prompt()
    machine.mark()

    for _ in range(2):
        machine.console().send_line("q")
        machine.run_until(lambda: machine.ended, timeout="1s")
        with pytest.raises(UsageError, match="the machine is over"):
            machine.mark()
        assert machine.reset() > 0
        assert machine.ended is None


def test_output_beyond_the_limit_is_put_back_as_well(machine: Machine) -> None:
    console = machine.console()
    console.recall(b"a" * (RAW_LIMIT - 100))
    machine.mark()
    raw = console.raw
    console._sent.add(b"b" * 200)
    assert len(console.raw) == RAW_LIMIT

    machine.reset()

    assert console.raw == raw
