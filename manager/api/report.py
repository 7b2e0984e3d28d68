# SPDX-License-Identifier: BSD-2-Clause
"""What a person wants to see of a machine that did not do what was expected."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from manager.bus.record import NEVER
from manager.cpu.state import CpuState
from manager.text.console_text import ConsoleText
from manager.text.pattern import PatternError, compile_pattern

LAST_LINES = 40
SHORTEST_START = 3
"""Characters of a pattern that have to match to count as nearly."""
_LIKE = 0.6
"""How alike a line and a pattern are that are shown together, 0 to 1."""
_WIDEST = 200
_LONGEST_WANTED = 200
"""Characters of a pattern, and of a line, that are compared."""
_REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi")


def output(text: ConsoleText) -> str:
    """The last lines of a port, each behind a bar; one that is not finished is marked."""
    return output_of(text.text)


def output_of(text: str, lines: int = LAST_LINES) -> str:
    """The last lines of a text, each behind a bar; one that is not finished is marked."""
    if not text:
        return "  (it has sent nothing)"
    finished, partial = text.rsplit("\n", 1) if "\n" in text else ("", text)
    shown = finished.split("\n")[-lines:] if finished else []
    rows = [f"  | {line}".rstrip() for line in shown]
    if partial:
        rows += [f"  > {partial}", "  (the last line is not finished)"]
    return "\n".join(rows)


def miss(text: ConsoleText, cursor: int, wanted: str | re.Pattern[str]) -> str:
    """The output, and what in it comes nearest to the pattern."""
    pattern = wanted if isinstance(wanted, str) else wanted.pattern
    shown = output(text)
    offset = max(cursor - text.start, 0)
    near = nearest(pattern, text.text[offset:])
    if near:
        return f"{shown}\n  nearest: {near}"
    if offset and compile_pattern(pattern).search(text.text[:offset]):
        return f"{shown}\n  it came before the last match; each search begins after that"
    return shown


def nearest(pattern: str, text: str) -> str:
    r"""A line that matches the beginning of the pattern, or that looks like it; or nothing.

    >>> nearest("login: root", "Debian\nlogin: toor\n")
    "'login: toor' matches as far as 'login: '"
    """
    pattern = pattern[:_LONGEST_WANTED]
    for end in range(len(pattern) - 1, SHORTEST_START - 1, -1):
        try:
            found = compile_pattern(pattern[:end]).search(text)
        except PatternError:
            continue
        if found is not None and found.end() - found.start() >= SHORTEST_START:
            return f"{_line_at(text, found.start())!r} matches as far as {pattern[:end]!r}"
    lines = [line.strip()[:_LONGEST_WANTED] for line in text.split("\n")[-200:] if line.strip()]
    alike = difflib.get_close_matches(pattern, lines, 1, _LIKE)
    return f"{alike[0]!r} looks like it" if alike else ""


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)].strip()


def registers(state: CpuState) -> dict[str, int]:
    """The CPU's registers by their lower-case names."""
    named = dict(zip(_REGISTERS, state.gpr, strict=False))
    named |= {f"r{number}": state.gpr[number] for number in range(8, 16)}
    named |= {"rip": state.rip, "rflags": state.rflags}
    named |= {name: getattr(state, name).selector for name in ("cs", "ss", "ds", "es", "fs", "gs")}
    named |= {name: getattr(state, name) for name in ("cr0", "cr2", "cr3", "cr4", "efer")}
    return named


def show_registers(state: CpuState) -> str:
    """The registers as a table of four columns."""
    cells = [f"{name:>6} {value:016x}" for name, value in registers(state).items()]
    rows = [" ".join(cells[at : at + 4]) for at in range(0, len(cells), 4)]
    flags = [name for name in ("halted", "shadow", "nmi_blocked") if getattr(state, name)]
    return "\n".join([*rows, *([f"  {', '.join(flags)}"] if flags else [])])


def show_devices(devices: Mapping[str, Mapping[str, Any]]) -> str:
    """A line for each device, with its plain fields."""
    rows = []
    for id, state in devices.items():
        if id.startswith("cpu.") or id in ("time", "rom"):
            continue
        fields = " ".join(f"{name}={_shown(value)}" for name, value in _plain_fields(state))
        rows.append(f"  {id:<18} {fields}".rstrip()[:_WIDEST])
    return "\n".join(rows)


def _plain_fields(state: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int | str]]:
    """Numbers and texts by name, those of parts within behind the name of the part."""
    for name, value in state.items():
        if isinstance(value, Mapping):
            yield from _plain_fields(value, f"{prefix}{name}.")
        elif isinstance(value, int | str):
            yield f"{prefix}{name}", value


def _shown(value: int | str) -> str:
    if isinstance(value, bool | str):
        return str(value)
    return "never" if value == NEVER else f"{value:#x}"
