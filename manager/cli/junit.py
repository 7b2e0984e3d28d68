# SPDX-License-Identifier: BSD-2-Clause
"""Results as JUnit's XML, which CI systems show as tests.

The form is that of Apache Ant's JUnit task as CI systems read it (https://github.com/testmoapp/junitxml
lists who reads which attribute): suites of cases, each with at most one `failure` or `error`.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from manager import files
from manager.errors import ExitCode, HostError
from manager.lazy import dataclass
from manager.text.shown import shown_lines

MOST_OUTPUT = 64 << 10
"""Bytes of a guest's output in a case: the last."""
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to say."""


Verdict = Literal["passed", "failure", "error"]
"""`error` is for what says nothing about the guest."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test."""

    name: str
    verdict: Verdict = "passed"
    kind: str = ""
    """How it failed, in a word."""
    message: str = ""
    """One line."""
    details: Sequence[str] = ()
    """More lines."""
    seconds: float = 0.0
    """Of the host's time."""
    output: bytes = b""
    """What the guest printed."""

    @classmethod
    def of(cls, name: str, status: int, said: Sequence[str]) -> Case:
        """That of a run that ended with `status`, which docs/exit-codes.md tells, and its words."""
        if status == ExitCode.OK:
            return cls(name)
        kind = ExitCode(status).word if status in set(ExitCode) else f"status-{status}"
        message = said[0] if said else f"it ended with status {status}"
        verdict: Verdict = "error" if status == ExitCode.INTERRUPTED else "failure"
        return cls(name, verdict, kind, message, said[1:])


class Tail:
    """The last MOST_OUTPUT bytes of what is put into it."""

    def __init__(self) -> None:
        self._kept = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Some more."""
        self._kept += data
        if len(self._kept) > 2 * MOST_OUTPUT:
            self._cut()

    def content(self) -> bytes:
        """What is kept; a line in front of it tells how much is not."""
        self._cut()
        head = b"[%d bytes before this]\n" % self._dropped if self._dropped else b""
        return head + self._kept

    def _cut(self) -> None:
        much = max(0, len(self._kept) - MOST_OUTPUT)
        del self._kept[:much]
        self._dropped += much


class Report:
    """A file with cases.

    Until it is `finished` it holds an error too: a command that is killed did not find that all
    was fine.
    """

    def __init__(self, path: Path, suite: str) -> None:
        """Write it for the first time. Raises HostError."""
        self.cases: dict[int, Case] = {}
        """In the order of their keys."""
        self.finished = False
        self._path = path
        self._suite = suite
        self.write()

    def write(self) -> None:
        """Write it again. Raises HostError."""
        cases = [self.cases[key] for key in sorted(self.cases)]
        if not self.finished:
            cases.append(Case(self._suite, "error", "unfinished", "it did not come to its end"))
        _write(self._path, self._suite, cases)


def _write(path: Path, suite: str, cases: list[Case]) -> None:
    element = ElementTree.Element("testsuite", _counted(suite, cases))
    for case in cases:
        element.append(_element(suite, case))
    root = ElementTree.Element("testsuites", _counted("vmmgr", cases))
    root.append(element)
    tree = ElementTree.ElementTree(root)
    ElementTree.indent(tree)
    text = io.BytesIO()
    tree.write(text, encoding="utf-8", xml_declaration=True)
    try:
        with os.fdopen(files.open_output(path, os.O_TRUNC), "wb") as file:
            file.write(text.getvalue() + b"\n")
    except OSError as error:
        raise HostError(f"{path}: the report cannot be written: {error.strerror}") from None


def _counted(name: str, cases: list[Case]) -> dict[str, str]:
    return {
        "name": _text(name),
        "tests": str(len(cases)),
        "failures": str(sum(case.verdict == "failure" for case in cases)),
        "errors": str(sum(case.verdict == "error" for case in cases)),
        "time": f"{sum(case.seconds for case in cases):.3f}",
    }


def _element(suite: str, case: Case) -> ElementTree.Element:
    element = ElementTree.Element(
        "testcase",
        {"classname": _text(suite), "name": _text(case.name), "time": f"{case.seconds:.3f}"},
    )
    if case.verdict != "passed":
        fault = ElementTree.SubElement(
            element, case.verdict, {"type": case.kind, "message": _text(case.message)}
        )
        fault.text = _text("\n".join(filter(None, [case.message, *case.details])))
    if case.output:
        output = ElementTree.SubElement(element, "system-out")
        output.text = _text(case.output.decode(errors="replace").replace("\r\n", "\n"))
    return element


def _text(text: str) -> str:
    """As a reader may show it, and as XML can say it."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", shown_lines(text))
