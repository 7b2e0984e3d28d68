# SPDX-License-Identifier: BSD-2-Clause
"""What CI systems read of a run: JUnit's XML, whatever the guest prints and however it ends."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import races
from support.vmmgr import COMMAND, ROOT, Vmmgr

HELLO = "machines/hello.toml"


def suite_of(path: Path) -> ElementTree.Element:
    """The one suite of a report, whose counts are right."""
    root = ElementTree.parse(path).getroot()
    (suite,) = root
    cases = suite.findall("testcase")
    assert int(suite.attrib["tests"]) == len(cases)
    assert int(suite.attrib["failures"]) == len(suite.findall("testcase/failure"))
    assert int(suite.attrib["errors"]) == len(suite.findall("testcase/error"))
    assert (root.tag, suite.tag) == ("testsuites", "testsuite")
    return suite


def only_case(path: Path) -> ElementTree.Element:
    """The case of a report that has one."""
    (case,) = suite_of(path)
    return case


def test_a_run_that_passes_is_a_case_with_its_output(vmmgr: Vmmgr, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"

    printed = vmmgr("run", HELLO, "--until", "^> ", "--junit", report).stdout

    case = only_case(report)
    assert case.attrib["name"] == "hello"
    assert case.find("failure") is None
    assert case.findtext("system-out") == printed


@pytest.mark.parametrize(
    ("options", "status", "kind", "said"),
    [
        (("--fail-on", "vmmgr"), 8, "fail-on-matched", "--fail-on matched"),
        (("--until", "never", "--max-time", "50ms"), 124, "time-budget", "budget is used up"),
    ],
)
def test_a_run_that_fails_says_how(
    vmmgr: Vmmgr, tmp_path: Path, options: tuple[str, ...], status: int, kind: str, said: str
) -> None:
    report = tmp_path / "report.xml"

    vmmgr("run", HELLO, *options, "--junit", report, status=status)

    failure = only_case(report).find("failure")
    assert failure is not None
    assert failure.attrib["type"] == kind
    assert said in failure.attrib["message"]
    assert failure.attrib["message"] in (failure.text or "")


def test_a_machine_file_with_mistakes_is_an_error(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file = tmp_path / "machine.toml"
    file.write_text('schema = 1\n[memory]\nsize = "1K"\n')
    report = tmp_path / "report.xml"

    vmmgr("run", file, "--junit", report, status=2)

    error = only_case(report).find("error")
    assert error is not None
    assert error.attrib["type"] == "usage"
    assert "machine.toml:3:8" in (error.text or "")


def test_a_report_that_cannot_be_written_is_told_before_the_run(
    vmmgr: Vmmgr, tmp_path: Path
) -> None:
    result = vmmgr("run", HELLO, "--junit", tmp_path / "none" / "report.xml", status=1)

    assert "report.xml: the report cannot be written: No such file" in result.stderr
    assert result.stdout == ""


def test_a_run_that_is_killed_is_no_success(vmmgr: Vmmgr, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    process = subprocess.Popen(
        [*COMMAND, "run", HELLO, "--until", "never", "--junit", str(report)],
        env=vmmgr.env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()

    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)

    error = only_case(report).find("error")
    assert error is not None
    assert error.attrib["type"] == "unfinished"


def test_each_seed_of_an_exploration_is_a_case(vmmgr: Vmmgr, tmp_path: Path) -> None:
    file, report = races.machine_file(tmp_path, "missing-lock"), tmp_path / "report.xml"

    vmmgr(
        "explore", file, "--seeds", "25-29", "--keep-going", *races.WANTED, "--junit", report,
        status=8,
    )  # fmt: skip

    cases = suite_of(report).findall("testcase")
    assert [case.attrib["name"] for case in cases] == [f"seed={seed}" for seed in range(25, 30)]
    failed = [case for case in cases if case.find("failure") is not None]
    assert 0 < len(failed) < len(cases)
    assert "cpu.schedule.seed=" in (failed[0].findtext("failure") or "")
