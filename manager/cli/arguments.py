# SPDX-License-Identifier: BSD-2-Clause
"""What several verbs read from the command line: names, files, text, durations, patterns."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from manager import files
from manager.cli.colour import has_colour
from manager.cli.loudness import detail
from manager.errors import NoSuchMachineError, UsageError
from manager.settings import Setting

if TYPE_CHECKING:
    from manager.graph.lab import Lab
    from manager.graph.nodes import Graph
    from manager.machine.keystrokes import Keystrokes
    from manager.state.situation import Situation
    from manager.text.pattern import Pattern

T = TypeVar("T")

_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|(.?))", re.DOTALL)
_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "\\": b"\\"}


def unescape(text: str) -> bytes:
    r"""The bytes that TEXT stands for: UTF-8, with `\n`, `\r`, `\t`, `\\` and `\xNN` interpreted.

    Raises ValueError for any other escape.

    >>> unescape(r"root\n\xff")
    b'root\n\xff'
    """
    data = b""
    end = 0
    for match in _ESCAPE.finditer(text):
        data += text[end : match.start()].encode("utf-8", "surrogateescape")
        if match[1] is not None:
            data += bytes([int(match[1], 16)])
        elif match[2] in _ESCAPES:
            data += _ESCAPES[match[2]]
        else:
            raise ValueError(f"{match[0]} is no escape; a backslash itself is written \\\\")
        end = match.end()
    return data + text[end:].encode("utf-8", "surrogateescape")


def escaped_text(text: str) -> bytes:
    """Argparse type of TEXT."""
    return _argument(unescape, text)


def keys(text: str) -> Keystrokes:
    """Argparse type of KEYS. Raises UsageError."""
    from manager.machine.keystrokes import Keystrokes, written

    return Keystrokes(text, written(text))


def duration(text: str) -> int:
    """Argparse type of a duration such as `90s` or `2m`, in ns."""
    from manager.config.units import parse_duration

    return _argument(parse_duration, text)


def pattern(text: str) -> Pattern:
    """Argparse type of a pattern."""
    from manager.text.pattern import PatternError, compile_pattern

    try:
        return compile_pattern(text)
    except PatternError as error:
        raise argparse.ArgumentTypeError(error.report()) from None


def _argument(read: Callable[[str], T], text: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


MOST_JOBS = 256


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add `--jobs`."""
    parser.add_argument(
        "-j",
        "--jobs",
        metavar="N",
        type=_jobs,
        default=min(os.cpu_count() or 1, MOST_JOBS),
        help="processes at a time [one for each CPU of the host]",
    )


def _jobs(text: str) -> int:
    try:
        count = int(text)
    except ValueError:
        count = 0
    if not 1 <= count <= MOST_JOBS:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 to {MOST_JOBS}")
    return count


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        type=Setting,
        default=[],
        metavar="K=V",
        help="set a variable or a key of the machine file; may be given again. A key's path is "
        "relative to the folder where this is given, also at a later resume or restart",
    )


def add_on_term(parser: argparse.ArgumentParser) -> None:
    """Add `--on-term`."""
    parser.add_argument(
        "--on-term",
        choices=("down", "suspend"),
        default="down",
        help="what SIGTERM does to the machine: power it off (the default) or suspend it",
    )


def add_escape(parser: argparse.ArgumentParser) -> None:
    """Add `--escape`."""
    parser.add_argument(
        "--escape",
        metavar="KEY",
        type=_escape,
        default=_escape("^]"),
        help="the key that detaches, such as ^] (the default) or ctrl-a; `none` leaves every key, "
        "and `~` after Enter, to the guest",
    )


def _escape(text: str) -> int | None:
    from manager.client.keys import parse_escape

    return _argument(parse_escape, text)


def at_terminal(graph: Graph) -> bool:
    """Whether the user is at a terminal that can be the machine's console."""
    return sys.stdin is not None and sys.stdin.isatty() and bool(graph.serial_ports())


def load(
    file: Path,
    settings: Sequence[str] = (),
    *,
    require_files: bool = False,
    remember: bool = False,
) -> Graph:
    """The graph of a machine file; warnings are printed. Raises UsageError for a wrong file.

    With `remember`, for verbs that keep state, a file that has not changed is not read again.
    """
    from manager.cli import remembered

    if remember and (known := remembered.find(file, settings)) is not None:
        detail(f"{file} has not changed since it was last read")
        return known
    from manager.config.diagnostics import ConfigError, render
    from manager.graph.build import check

    checked = check(file, settings, require_files=require_files)
    if checked.graph is None or checked.loaded is None:
        raise ConfigError(checked.diagnostics)
    for warning in checked.diagnostics:
        print(render([warning], colour=has_colour(sys.stderr)), file=sys.stderr)
    detail(f"read {', '.join(map(str, checked.loaded.files))}")
    if remember and not checked.diagnostics:
        remembered.keep(file, settings, checked.graph, checked.loaded)
    return checked.graph


def load_lab(file: Path, settings: Sequence[str] = (), *, require_files: bool = False) -> Lab:
    """The lab of a lab file; warnings are printed. Raises UsageError for a wrong file."""
    from manager.config.diagnostics import Diagnostic, render
    from manager.graph import labs

    def warn(warning: Diagnostic) -> None:
        print(render([warning], colour=has_colour(sys.stderr)), file=sys.stderr)

    return labs.load_lab(file, settings, on_warning=warn, require_files=require_files)


def is_file(name: str) -> bool:
    """Whether NAME is meant as a machine file's path rather than a machine's name.

    LAB/MEMBER is a name where there is such a machine.
    """
    from manager.names import MEMBER
    from manager.state.paths import MachinePaths

    if MEMBER.fullmatch(name) and MachinePaths.of(name).exists():
        return False
    return "/" in name or name.endswith(".toml")


def find_machine(name: str) -> Situation:
    """As `find`, for what is not done to a lab. Raises UsageError for one."""
    situation = find(name)
    if situation.paths.is_lab:
        members = ", ".join(paths.name for paths in situation.paths.members())
        raise UsageError(
            f"{situation.name} is a lab, and this is done to a machine", help=f"it has {members}"
        )
    return situation


def find(name: str) -> Situation:
    """The machine or lab that NAME, or the path of its file, means.

    Raises NoSuchMachineError when nothing is known of it, be it that another file has its name;
    UsageError when a file has several.
    """
    from manager.state.situation import look_at_all, look_existing

    if not is_file(name):
        return look_existing(name)
    file = Path(name)
    known = [item for item in look_at_all() if item.last_run is not None]
    of_file = [item for item in known if _is_file_of(item, file)]
    if len(of_file) == 1:
        return of_file[0]
    if not file.exists():
        raise UsageError(f"there is no file {name}")
    from manager.cli import lab_files

    declared = lab_files.load(file).name if lab_files.is_lab(file) else load(file).name
    for item in of_file:
        if item.name == declared:
            return item
    if of_file:
        names = ", ".join(item.name for item in of_file)
        raise UsageError(f"{name} has several machines", help=f"name one of them: {names}")
    situation = look_existing(declared)
    if not situation.is_of(file):
        assert situation.last_run is not None
        raise NoSuchMachineError(
            f"nothing is known of a machine of {name}; the name {declared} is that of "
            f"{situation.last_run.file}",
            help=f"to mean that one, say `{declared}`",
        )
    return situation


def _is_file_of(situation: Situation, file: Path) -> bool:
    assert situation.last_run is not None
    return files.is_same(Path(situation.last_run.file), file)
