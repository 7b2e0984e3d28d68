# SPDX-License-Identifier: BSD-2-Clause
"""JUnit's XML holds whatever a guest prints, and no more of it than makes sense."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from manager.cli import arguments
from manager.cli.junit import MOST_OUTPUT, Case, Report, Tail
from manager.cli.main import main


def written(path: Path, case: Case) -> ElementTree.Element:
    report = Report(path, "suite")
    report.cases[0] = case
    report.finished = True
    report.write()
    (found,) = ElementTree.parse(path).getroot()[0]
    return found


@given(st.binary(max_size=64), st.text(max_size=32))
def test_any_bytes_and_any_text_make_a_report(tmp_path_factory, output: bytes, said: str) -> None:
    path = tmp_path_factory.mktemp("junit") / "report.xml"

    case = written(path, Case(said, "failure", "word", said, [said], output=output))

    assert case.find("failure") is not None
    assert (case.find("system-out") is not None) == bool(output)


def test_what_xml_cannot_hold_is_shown(tmp_path: Path) -> None:
    output = b"\x1b[31m<&>]]>\x01\xff\xef\xbf\xbf\r\n\tend"

    case = written(tmp_path / "report.xml", Case("name", output=output))

    assert case.findtext("system-out") == (
        "␛[31m<&>]]>␁\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\n\tend"
    )


def test_ctrl_c_before_anything_runs_leaves_the_run_unfinished(tmp_path: Path, monkeypatch) -> None:
    def interrupted(*_: object, **_options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(arguments, "load", interrupted)
    path = tmp_path / "report.xml"

    assert main(["run", "machine.toml", "--junit", str(path)]) == 130

    (found,) = ElementTree.parse(path).getroot()[0]
    error = found.find("error")
    assert error is not None
    assert error.attrib["type"] == "unfinished"


def test_of_much_output_the_end_is_kept() -> None:
    tail = Tail()
    for number in range(100_000):
        tail.add(b"%07d\n" % number)

    content = tail.content()

    head, _, rest = content.partition(b"\n")
    assert head == b"[%d bytes before this]" % (800_000 - MOST_OUTPUT)
    assert rest.endswith(b"0099999\n")
    assert len(rest) == MOST_OUTPUT
