# SPDX-License-Identifier: BSD-2-Clause
"""Every benchmark runs, at a tiny scale, and what it returns can be reported."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest
from support.linux import linux_images
from support.modules import cloud, complete, write_loading_initrd
from support.needs import needs

from benchmarks import __main__ as command
from benchmarks import (
    consoles,
    disks,
    earlier,
    guests,
    linux_boot,
    networks,
    ours,
    picture,
    process,
    qemu,
    report,
    resume,
    shares,
)
from benchmarks.contest import contest, contests
from benchmarks.row import VMMGR, AbsentError, Effort, Row, advantage

pytestmark = pytest.mark.guest

TINY = Effort(rounds=1, scale=0.0002)
QUICK = ("efficiency", "interrupts", "labs", "marks", "memory-io", "port-io")

needs_assembler = needs("as", "ld")


@pytest.fixture
def without_qemu(monkeypatch):
    monkeypatch.setattr(qemu, "BINARY", "no-such-qemu")


def sane(rows):
    assert rows
    for row in rows:
        assert bool(row.values) != bool(row.absent), row
        assert all(value > 0 for value in row.values), row
    return rows


def taking_part(rows):
    return {row.contestant for row in rows if row.values}


# -- the benchmarks ----------------------------------------------------------------------------


def test_every_benchmark_of_the_package_is_found():
    assert {*QUICK, "linux-boot", "resume", "several-cpus"} <= set(command.discover())


@needs_assembler
@pytest.mark.parametrize("name", QUICK)
def test_a_benchmark_measures_vmmgr_and_reports_a_missing_qemu(name, without_qemu):
    module = command.discover()[name]

    rows = sane(command.measure(module, TINY))

    assert VMMGR in taking_part(rows)
    assert {row.contestant for row in rows} == {VMMGR, *module.PEERS}
    assert all("not installed" in row.absent for row in rows if row.contestant.startswith("QEMU"))


@needs_assembler
def test_suspend_and_resume_are_measured(without_qemu, monkeypatch):
    monkeypatch.setattr(resume, "SIZES", (resume.SMALLEST,))

    rows = sane(resume.measure(TINY))

    ours_ = [row for row in rows if row.contestant == VMMGR]
    assert len(ours_) == 4
    assert all(row.values for row in ours_)


def test_suspends_with_a_disk_are_measured_and_a_missing_kernel_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(disks, "KERNEL", tmp_path / "vmlinuz")
    monkeypatch.setattr(disks, "SNAPSHOTS", 2)

    rows = sane(disks.measure(TINY))

    assert all("fetch.sh" in row.absent for row in rows if row.absent)
    assert sum(bool(row.values) for row in rows) == len(disks.DIRTY) + 1


def test_the_boot_of_linux_says_how_to_get_a_missing_kernel(monkeypatch, tmp_path):
    monkeypatch.setattr(linux_boot, "KERNEL", tmp_path / "vmlinuz")

    rows = sane(linux_boot.measure(TINY))

    assert all("fetch.sh" in row.absent for row in rows)


@pytest.mark.parametrize("module", [consoles, networks, shares])
def test_benchmarks_of_drivers_say_how_to_get_a_missing_kernel(module, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "KERNEL", tmp_path / "vmlinuz")

    rows = sane(module.measure(TINY))

    assert all("fetch.sh" in row.absent for row in rows)


def test_a_share_is_walked_and_read_and_a_missing_qemu_told(monkeypatch, tmp_path, without_qemu):
    kernel, initrd = complete(), tmp_path / "initrd.img"
    write_loading_initrd(initrd, kernel, "virtio_pci", "9pnet_virtio", "9p")
    monkeypatch.setattr(shares, "KERNEL", kernel.image)
    monkeypatch.setattr(shares, "INITRD", initrd)

    rows = sane(shares.measure(TINY))

    assert [(row.contestant, row.unit) for row in rows if row.values] == [
        (VMMGR, "files/s"), (VMMGR, "MiB/s"),
    ]  # fmt: skip
    assert all("not installed" in row.absent for row in rows if row.absent)


def test_each_kind_of_port_is_written_and_read(monkeypatch, tmp_path, without_qemu):
    kernel = cloud()
    linux_images()
    for name in consoles.DRIVERS:
        (tmp_path / f"{name}.ko").write_bytes(kernel.modules[name]())
    monkeypatch.setattr(consoles, "KERNEL", kernel.image)
    monkeypatch.setattr(consoles, "MODULES", tmp_path)

    rows = sane(consoles.measure(TINY))

    assert sum(bool(row.values) for row in rows) == 2 * len(consoles.PORTS)
    assert all("not installed" in row.absent for row in rows if row.absent)


@needs_assembler
def test_a_tree_is_measured_against_itself(monkeypatch):
    monkeypatch.setattr(earlier, "RETRIES_OF_SHORT", 1)

    rows = sane(earlier.against(earlier.ROOT, TINY))

    assert all(row.values for row in rows)
    assert len(list(earlier.ratios(rows))) == 6


def test_the_median_of_ratios_is_of_what_was_measured_side_by_side():
    new = Row("start", VMMGR, "ms", (2.0, 30.0, 4.0))
    old = Row("start", earlier.EARLIER, "ms", (1.0, 30.0, 8.0))

    assert list(earlier.ratios([new, old])) == [("start", 1.0, 2.0)]


def test_without_an_earlier_tree_it_is_said_how_to_name_one(monkeypatch):
    monkeypatch.delenv(earlier.VARIABLE, raising=False)

    assert all(earlier.VARIABLE in row.absent for row in sane(earlier.measure(TINY)))


@needs_assembler
def test_every_loop_executes_what_it_says(tmp_path):
    for loop in guests.LOOPS:
        marks = ours.run_to_end(ours.write_machine(tmp_path, loop.guest(100)))

        assert list(marks) == [guests.START, guests.END], loop.name


@needs_assembler
def test_bytes_sent_while_measuring_arrive(tmp_path):
    sink = tmp_path / "sink"

    ours.run_to_end(ours.write_machine(tmp_path, guests.port_writes(0x3F8, 500), com1=str(sink)))

    assert sink.read_bytes() == b"x" * 500


# -- taking turns ------------------------------------------------------------------------------


def test_contestants_take_turns_and_who_cannot_is_not_asked_again():
    turns = []

    def able():
        turns.append("able")
        return float(len(turns))

    def unable():
        turns.append("unable")
        raise AbsentError("not here")

    rows = contest("race", "s", {"able": able, "unable": unable}, 3)

    assert turns == ["able", "unable", "able", "able"]
    assert rows == [
        Row("race", "able", "s", (1.0, 3.0, 4.0)),
        Row("race", "unable", "s", absent="not here"),
    ]


def test_a_contestant_may_be_in_some_contests_only():
    rows = contests(["a", "b"], "s", {"x": lambda: {"a": 1, "b": 2}, "y": lambda: {"b": 3}}, 1)

    assert [(row.contest, row.contestant, row.values) for row in rows] == [
        ("a", "x", (1,)), ("b", "x", (2,)), ("b", "y", (3,)),
    ]  # fmt: skip


def test_a_process_that_never_says_it_is_absent_with_its_last_words():
    with (
        process.Child(["/bin/echo", "something else"]) as child,
        pytest.raises(AbsentError, match="something else"),
    ):
        child.wait_for(b"ready")


# -- reports -----------------------------------------------------------------------------------


def test_twice_the_rate_and_half_the_time_are_both_twice_as_good():
    fast, slow = Row("c", VMMGR, "1/s", (2.0,), True), Row("c", "p", "1/s", (1.0,), True)
    short, long = Row("c", VMMGR, "s", (1.0,)), Row("c", "p", "s", (2.0,))

    assert advantage(fast, slow) == advantage(short, long) == 2


def test_reports_compare_within_a_contest_and_name_who_was_absent():
    rows = [
        Row("one", VMMGR, "s", (1.0, 2.0, 9.0)),
        Row("one", "peer", "s", (4.0,), note="by|the way"),
        Row("two", VMMGR, "MIPS", (100.0,), True),
        Row("two", "peer", "MIPS", (400.0,), True),
        Row("two", "other", "MIPS", absent="not installed"),
    ]

    page = report.markdown({"python": "3"}, {"some": rows})
    text = report.text("some", rows)
    plain = json.loads(json.dumps(report.plain({}, {"some": rows})))

    assert "| vmmgr | 2 | 1 | s | 3 |  |" in page
    assert "| peer | 4 | 4 | s | 1 | 2 times as fast |" in page
    assert "| peer | 400 | 400 | MIPS | 1 | 4 times slower |" in page
    assert "- other: absent: not installed" in page
    assert "by\\|the way" in page
    assert "absent: not installed" in text
    assert [row.get("advantage") for row in plain["benchmarks"]["some"]] == [
        None, 2.0, None, 0.25, None,
    ]  # fmt: skip


def test_the_command_measures_what_is_named_and_writes_both_files(
    tmp_path, capsys, monkeypatch, without_qemu
):
    class Module:
        NAME, PEERS = "fake", ()

        @staticmethod
        def measure():
            return [Row("c", VMMGR, "s", (1.0,))]

    monkeypatch.setattr(command, "discover", lambda: {"fake": Module})
    page, values = tmp_path / "page.md", tmp_path / "values.json"

    status = command.main(["fake", "--markdown", str(page), "--json", str(values)])

    assert status == 0
    assert "vmmgr" in capsys.readouterr().out
    assert "## fake" in page.read_text()
    assert json.loads(values.read_text())["benchmarks"]["fake"][0]["values"] == [1.0]


def test_an_unknown_name_is_a_usage_error(capsys):
    assert command.main(["nonsense"]) == 2
    assert "there are: consoles, disks, earlier" in capsys.readouterr().err


def test_the_picture_has_a_bar_on_the_right_side_for_each_peer():
    rows = [
        Row("boot", VMMGR, "s", (2.0,)),
        Row("boot", "slow peer", "s", (20.0,)),
        Row("boot", "fast peer", "s", (1.0,)),
        Row("boot", "no peer", "s", absent="not installed"),
    ]

    drawn = picture.svg({"linux-boot": rows})

    assert ElementTree.fromstring(drawn) is not None
    assert "boot: slow peer" in drawn
    assert ">10x<" in drawn
    assert ">1/2<" in drawn
    assert "no peer" not in drawn
