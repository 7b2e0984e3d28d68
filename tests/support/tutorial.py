# SPDX-License-Identifier: BSD-2-Clause
"""Markdown that is run: every command of a page's console blocks, its output held to the page.

    ```console
    $ vmmgr validate wrong.toml
    ? 2
    error[VM012]: slot 3 is used twice
    ...
    ```

`$ ` begins a command for bash; a backslash at a line's end continues it. `? N` says that its exit
code is N instead of 0. The other lines are what it prints, both streams together. A line `...`
stands for any number of lines, `[..]` for anything within a line. Trailing blanks and carriage
returns do not count. A command that only looks at a machine is repeated for a few seconds until it
shows what the page says, as a reader would look again. With VMMGR_TUTORIALS=overwrite in the
environment, output that differs is written into the page; exit codes are not.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

OVERWRITE = os.environ.get("VMMGR_TUTORIALS") == "overwrite"
LOOKS = re.compile(r"vmmgr (logs|status|ls)\b")
PATIENCE = 3.0
"""Seconds for which a command that looks is repeated."""
_FENCE = re.compile(r"```(\w*).*")
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x07")


@dataclass(frozen=True)
class Block:
    """A fenced code block."""

    language: str
    line: int
    """The number of its first line of content, from 1."""
    lines: list[str]

    @property
    def text(self) -> str:
        """The content, with a line break at its end."""
        return "".join(f"{line}\n" for line in self.lines)


@dataclass(frozen=True)
class Step:
    """A command, and what the page says it does."""

    line: int
    """The number of its line in the page, from 1."""
    source: list[str]
    command: str
    status: int
    expected: list[str]


def blocks(page: str) -> Iterator[Block]:
    """Every fenced code block of a Markdown page. Raises ValueError for one without an end."""
    lines = page.split("\n")
    number = 0
    while number < len(lines):
        fence = _FENCE.fullmatch(lines[number])
        number += 1
        if fence is None:
            continue
        end = lines.index("```", number)
        yield Block(fence[1], number + 1, lines[number:end])
        number = end + 1


def steps(block: Block) -> Iterator[Step]:
    """The commands of a console block, in order."""
    starts = [index for index, line in enumerate(block.lines) if line.startswith("$ ")]
    if not starts or starts[0] != 0:
        raise ValueError(f"line {block.line}: a console block begins with a command")
    for start, end in zip(starts, [*starts[1:], len(block.lines)], strict=True):
        after = start + 1
        while block.lines[after - 1].endswith("\\"):
            after += 1
        source = block.lines[start:after]
        command = "\n".join(source)[2:]
        status = 0
        if after < end and re.fullmatch(r"\? \d+", block.lines[after]):
            status = int(block.lines[after][2:])
            after += 1
        yield Step(block.line + start, source, command, status, block.lines[after:end])


def seen(output: str) -> list[str]:
    """What a reader sees of a command's output."""
    text = _TERMINAL_CODES.sub("", output).replace("\r", "")
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def fits(expected: list[str], lines: list[str]) -> bool:
    """Whether the output is the expected one, wildcards considered."""
    expected = seen("\n".join(expected))
    pattern = "".join(
        "(?:.*\n)*?"
        if line == "..."
        else ".*".join(re.escape(part) for part in line.split("[..]")) + "\n"
        for line in expected
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def run_page(page: Path, folder: Path, env: Mapping[str, str], timeout: float = 60) -> list[str]:
    """Run every console block of `page` in `folder`; the differences, as text for people."""
    differences = []
    changes = []
    for block in blocks(page.read_text(encoding="utf-8")):
        for step in steps(block) if block.language == "console" else ():
            status, lines = _settle(step, folder, env, timeout)
            if status == step.status and fits(step.expected, lines):
                continue
            if OVERWRITE and status == step.status:
                changes.append((step, lines))
                continue
            differences.append(
                f"{page.name}:{step.line}: {step.command}\n"
                f"--- the page (exit code {step.status})\n" + "\n".join(step.expected) + "\n"
                f"+++ this run (exit code {status})\n" + "\n".join(lines)
            )
    if changes:
        _rewrite(page, changes)
    return differences


def _settle(
    step: Step, folder: Path, env: Mapping[str, str], timeout: float
) -> tuple[int, list[str]]:
    give_up = time.monotonic() + (PATIENCE if LOOKS.match(step.command) else 0)
    while True:
        status, lines = _execute(step.command, folder, env, timeout)
        fitting = status == step.status and fits(step.expected, lines)
        if fitting or time.monotonic() >= give_up:
            return status, lines
        time.sleep(0.1)


def _execute(
    command: str, folder: Path, env: Mapping[str, str], timeout: float
) -> tuple[int, list[str]]:
    with subprocess.Popen(
        ["bash", "-c", command],
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
            output += f"\n(no end within {timeout:.0f} s)".encode()
    return process.returncode, seen(output.decode(errors="replace"))


def _rewrite(page: Path, changes: list[tuple[Step, list[str]]]) -> None:
    """Put what was seen in the place of what the page says, from the last change to the first."""
    lines = page.read_text(encoding="utf-8").split("\n")
    for step, output in reversed(changes):
        start = step.line - 1 + len(step.source) + (step.status != 0)
        old, new = step.expected, output
        if len(old) == len(new):  # keep the wildcards of lines that still fit
            new = [a if fits([a], [b]) else b for a, b in zip(old, new, strict=True)]
        lines[start : start + len(old)] = new
    page.write_text("\n".join(lines), encoding="utf-8")


def environment(home: Path, root: Path) -> dict[str, str]:
    """Where a page's commands run: our vmmgr and Python first on PATH, and no state yet.

    `home` should be short: sockets have their place in it.
    """
    tools = home / "bin"
    tools.mkdir()
    for name, words in {"vmmgr": "-m manager", "python3": "", "pytest": "-m pytest"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} {words} "$@"\n')
        (tools / name).chmod(0o755)
    (home / "run").mkdir(mode=0o700)
    # A make around the tests would show in what a page's own make prints.
    drop = ("PYTEST", "MAKE", "MFLAGS")
    keep = {key: value for key, value in os.environ.items() if not key.startswith(drop)}
    if not any(plugin.name == "vmmgr" for plugin in entry_points(group="pytest11")):
        keep["PYTEST_PLUGINS"] = "manager.testing.plugin"  # run from a tree that is not installed
    return keep | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(root),
        "PYTHONDONTWRITEBYTECODE": "1",
        "VMMGR_STATE_HOME": str(home / "state"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "LC_ALL": "C.UTF-8",
        "TERM": "dumb",
        "COLUMNS": "80",
    }
