# SPDX-License-Identifier: BSD-2-Clause
"""`run --cached`: what is known is told again, what changed is run, and an audit finds out."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.vmmgr import ROOT, Vmmgr

from manager.state.results import KnownRun, Results

FIRST = ("--until", "^> ", "--send", r"h\n", "--until", "^> ")
KNOWN = "not run again"


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A machine file of the test's own, with its image."""
    for name in ("hello.toml", "hello"):
        source = ROOT / "machines" / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    return tmp_path / "hello.toml"


def test_a_known_run_prints_and_ends_as_it_did(vmmgr: Vmmgr, hello: Path) -> None:
    first = vmmgr("run", hello, "--cached", *FIRST)
    again = vmmgr("run", hello, "--cached", *FIRST)

    assert KNOWN not in first.stderr
    assert KNOWN in again.stderr
    assert again.stdout == first.stdout


def test_a_failure_is_known_too_with_its_words(vmmgr: Vmmgr, hello: Path, tmp_path: Path) -> None:
    arguments = ("run", hello, "--cached", "--fail-on", "slot 4")
    first = vmmgr(*arguments, status=8)

    again = vmmgr(*arguments, "--junit", tmp_path / "report.xml", status=8)

    assert again.stdout == first.stdout
    assert first.stderr in again.stderr
    assert "fail-on-matched" in (tmp_path / "report.xml").read_text()


def test_any_change_of_what_decides_it_runs_it(vmmgr: Vmmgr, hello: Path) -> None:
    vmmgr("run", hello, "--cached", *FIRST)

    others = [
        vmmgr("run", hello, "--cached", "--until", "^> "),
        vmmgr("run", hello, "--cached", *FIRST, "--max-time", "1s"),
        vmmgr("run", hello, "--cached", *FIRST, "--set", "memory.size=128M"),
    ]
    (image,) = (hello.parent / "hello").glob("*.bin")
    image.write_bytes(image.read_bytes() + b"\0")
    others.append(vmmgr("run", hello, "--cached", *FIRST))

    assert not any(KNOWN in result.stderr for result in others)


def test_an_audit_runs_it_again_and_agrees(vmmgr: Vmmgr, hello: Path) -> None:
    vmmgr("run", hello, "--cached", *FIRST)

    again = vmmgr("run", hello, "--cached", "--audit", "100%", *FIRST)

    assert "audited: the same" in again.stderr


def test_an_audit_that_finds_another_result_fails_and_forgets_it(vmmgr: Vmmgr, hello: Path) -> None:
    vmmgr("run", hello, "--cached", *FIRST)
    (entry,) = (vmmgr.home / "state" / ".results").iterdir()
    results = Results(entry.parent)
    known = results.find(entry.stem)
    assert known is not None
    results.add(entry.stem, KnownRun(0, (), known.output + b"!", b"", 1.0, known.made_at))

    audited = vmmgr("run", hello, "--cached", "--audit", "100%", *FIRST, status=1)
    after = vmmgr("run", hello, "--cached", *FIRST)

    assert "what the guest printed, the machine's last state" in audited.stderr
    assert KNOWN not in after.stderr


def test_a_damaged_entry_is_run_again(vmmgr: Vmmgr, hello: Path) -> None:
    vmmgr("run", hello, "--cached", *FIRST)
    (entry,) = (vmmgr.home / "state" / ".results").iterdir()
    content = bytearray(entry.read_bytes())
    content[-1] ^= 1
    entry.write_bytes(content)

    again = vmmgr("run", hello, "--cached", *FIRST)

    assert KNOWN not in again.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ('lpc.com2.backend={ type = "file", path = "com2.txt" }', "has lpc.com2 on a file"),
        ('debug.trace=["irq"]', "writes a trace"),
        ('gdb.listen="127.0.0.1:0"', "lets gdb in"),
    ],
)
def test_what_does_more_than_print_is_refused(
    vmmgr: Vmmgr, hello: Path, setting: str, said: str
) -> None:
    refused = vmmgr("run", hello, "--cached", "--set", setting, *FIRST, status=2)

    assert said in refused.stderr
    assert "leave out `--cached`" in refused.stderr


def test_the_hosts_patience_is_no_result(vmmgr: Vmmgr, hello: Path) -> None:
    arguments = ("run", hello, "--cached", "--until", "never", "--max-wall", "1ms")
    vmmgr(*arguments, status=124)

    assert not (vmmgr.home / "state" / ".results").exists()


@pytest.mark.parametrize("share", ["-1%", "101", "some"])
def test_a_share_that_is_none_is_refused(vmmgr: Vmmgr, hello: Path, share: str) -> None:
    refused = vmmgr("run", hello, "--cached", f"--audit={share}", status=2)

    assert "is no share from 0% to 100%" in refused.stderr
