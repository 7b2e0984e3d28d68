# SPDX-License-Identifier: BSD-2-Clause
"""Programs that try out the PC around the CPU, on a whole machine: see tests/guests."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from support import suite
from support.suite import SECOND, Outcome
from support.vmmgr import COMMAND, Vmmgr

MILLISECOND = 1_000_000
DOCUMENTED = (0, 6, 124)
"""Ended by itself, guest fault, time used up."""
PORT_ACCESS = 1000
"""Virtual time of an access to a port, ns: how finely a guest that polls can measure."""
UARTS = """
[lpc.com3]
backend = "null"
[slots.4]
device = "uart"
backend = "null"
"""


@pytest.fixture(scope="module")
def timers(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What the program about clocks measured."""
    return suite.run(suite.start(tmp_path_factory.mktemp("timers"), "timers", 32))


def test_timers_program_finds_nothing_wrong(timers: Outcome) -> None:
    suite.passes(timers, checks=6)


def test_all_clocks_agree_over_a_tenth_of_a_second(timers: Outcome) -> None:
    assert timers.told("tsc") == pytest.approx(timers.told("pm") / 3579545 * SECOND, abs=2000)
    assert timers.told("pit") in (99, 100, 101)  # 1193182 Hz / 1193
    assert timers.told("rtc") in (102, 103)  # 1024 Hz
    assert timers.told("lapic") in (99, 100, 101)  # 1 GHz / 1000000


def test_apic_timer_divides(timers: Outcome) -> None:
    assert timers.told("lapic by 16") == pytest.approx(timers.told("over") / 16, abs=200)


@pytest.mark.parametrize(
    ("measured", "ticks"),
    [("mode 0", 1193), ("mode 1", 1193), ("mode 3 high", 1193), ("mode 3 period", 2386)],
)
def test_pit_counts_its_own_ticks(timers: Outcome, measured: str, ticks: int) -> None:
    expected = ticks * SECOND / 1193182

    assert timers.told(measured) == pytest.approx(expected, abs=3 * PORT_ACCESS)


def test_latched_count_stands_while_the_counter_goes_on(timers: Outcome) -> None:
    # A thousand accesses to a port between the latch and the second count, and a few more.
    assert 1193 <= timers.told("latched") <= 1210


def test_rtc_updates_every_second_and_wakes_at_its_alarm(timers: Outcome) -> None:
    assert timers.told("update") == pytest.approx(SECOND, abs=3 * PORT_ACCESS)
    assert SECOND < timers.told("alarm") <= 2 * SECOND


@pytest.mark.parametrize("bits", [32, 64])
def test_interrupts_find_their_way(bits: int, tmp_path: Path) -> None:
    suite.passes(suite.run(suite.start(tmp_path, "routing", bits, extra=UARTS)), checks=28)


@pytest.mark.parametrize("name", ["routing", "timers"])
def test_slices_of_a_run_cannot_be_seen(name: str, tmp_path: Path) -> None:
    undisturbed = suite.run(suite.start(tmp_path, name, 32, extra=UARTS))

    sliced = suite.run(suite.start(tmp_path, name, 32, extra=UARTS), slice_=777_777)

    assert sliced.lines == undisturbed.lines
    assert sliced.records == undisturbed.records
    assert sliced.ram == undisturbed.ram


@pytest.mark.parametrize("name", ["routing", "timers"])
def test_suspended_at_any_point_it_goes_on_as_if_it_never_was(name: str, tmp_path: Path) -> None:
    undisturbed = suite.run(suite.start(tmp_path, name, 32, extra=UARTS))
    choose = random.Random(name)
    machine = suite.start(tmp_path, name, 32, extra=UARTS)
    output = bytearray()

    for number, cut in enumerate(sorted(choose.sample(range(undisturbed.time), 5))):
        machine.run(cut)
        output += machine.ports["lpc.com1"].take_output()
        machine = suite.through_snapshot(machine, tmp_path / f"{number}.vms")
    moved = suite.run(machine)
    moved.output["lpc.com1"] = output + moved.output["lpc.com1"]

    assert moved.lines == undisturbed.lines
    assert moved.records == undisturbed.records
    assert moved.ram == undisturbed.ram


def restarts(folder: Path, letters: str) -> Outcome:
    """The program about endings, with one letter for each time it boots."""
    machine = suite.start(folder, "restarts", 32)
    outcome = Outcome(None, {"lpc.com1": bytearray()})
    for letter in letters:
        machine.ports["lpc.com1"].feed(letter.encode())
        outcome.ended = machine.run(machine.now() + 10 * MILLISECOND)
        outcome.output["lpc.com1"] += machine.ports["lpc.com1"].take_output()
    return outcome


@pytest.mark.parametrize("way", ["k", "c", "p"], ids=["keyboard", "cf9", "port92"])
def test_a_reset_boots_again(way: str, tmp_path: Path) -> None:
    outcome = restarts(tmp_path, way + way + "e")

    assert outcome.lines == ["boot"] * 3
    assert outcome.ended is not None
    assert outcome.ended.status == 5 << 1 | 1


@pytest.mark.parametrize(
    ("letter", "reason", "status"),
    [
        ("t", "triple-fault", 6),
        ("e", "debug-exit", 11),
        ("s", "power-off", 0),
        ("h", "halted", 0),
    ],
)
def test_an_end_has_its_reason_and_exit_code(
    letter: str, reason: str, status: int, tmp_path: Path
) -> None:
    outcome = restarts(tmp_path, letter)

    assert outcome.ended is not None
    assert (outcome.ended.reason, outcome.ended.status) == (reason, status)


@pytest.mark.parametrize(("letter", "status"), [("t", 6), ("e", 11), ("l", 124)])
def test_run_ends_with_the_documented_exit_code(
    letter: str, status: int, vmmgr: Vmmgr, tmp_path: Path
) -> None:
    path = suite.machine_file(tmp_path, "restarts", 32)

    result = vmmgr(
        "run", path, "--until", "boot", "--send", letter, "--until", "never", "--max-time", "20ms",
        status=status,
    )  # fmt: skip

    assert "boot" in result.stdout


@pytest.mark.parametrize("bits", [16, 32, 64])
def test_noise_for_a_guest_has_a_documented_end(bits: int, vmmgr: Vmmgr, tmp_path: Path) -> None:
    path = suite.machine_file(tmp_path, "realmode" if bits == 16 else "exceptions", bits)
    [image] = tmp_path.glob("*.bin")
    image.write_bytes(random.Random(bits).randbytes(20_000))

    result = subprocess.run(
        [*COMMAND, "run", path, "--max-time", "1ms"],
        env=vmmgr.env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=60,
        check=False,
    )

    assert "Traceback" not in result.stderr, result.stderr
    assert result.returncode in DOCUMENTED
    assert result.returncode in (0, 124) or "vmmgr: " in result.stderr


@pytest.mark.parametrize("name", ["ports", "configuration", "apics"])
def test_a_guest_that_hammers_the_devices_does_no_harm(name: str, tmp_path: Path) -> None:
    machine = suite.start(tmp_path, f"hammer-{name}", 32, extra=UARTS)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcome = suite.run(machine, limit=50 * MILLISECOND)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert outcome.ended is None or outcome.ended.reason in (
        "power-off",
        "halted",
        "triple-fault",
        "debug-exit",
        "engine",
    )
    assert grown < 64 << 10  # KiB


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_an_engine_that_crashes_ends_the_guest_not_its_owner(
    number: signal.Signals, vmmgr: Vmmgr, tmp_path: Path
) -> None:
    path = suite.machine_file(tmp_path, "restarts", 32)
    command = [*COMMAND, "run", path, "--until", "boot", "--send", "l", "--until", "never"]
    with subprocess.Popen(
        command, env=vmmgr.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "boot\n"
        time.sleep(0.3)  # until the guest spins: nearly all of the time is inside the engine
        os.kill(owner.pid, number)
        _, errors = owner.communicate(timeout=20)

    assert owner.returncode == 6
    assert "the engine crashed" in errors
    assert "Traceback" not in errors
