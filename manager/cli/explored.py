# SPDX-License-Identifier: BSD-2-Clause
"""What `explore` prints: failing seeds as they come, counts, and how the smallest came to fail."""

from __future__ import annotations

import argparse
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager import files
from manager.cli.output import print_json
from manager.config.units import format_duration
from manager.errors import ExitCode, UsageError
from manager.text.columns import columns
from manager.text.shown import shown, unfiltered

if TYPE_CHECKING:
    from manager.boot.symbols import Symbols
    from manager.cli.junit import Case
    from manager.cli.junit import Report as JunitReport
    from manager.graph.nodes import Graph
    from manager.replay.seeds import Result
    from manager.replay.witness import Interruption, Story

LAST = 12
"""Ends of turns and interrupts that are told."""
GROUPS = 20
"""Different outcomes that are told apart."""
INTERVAL = 0.1
"""Seconds between two looks of the progress bar."""
WIDTH = 20
_ERASE = "\r\x1b[K"
_NUMBER = re.compile(r"(?:0x)?[0-9a-f]*\d[0-9a-f]*")
WORDS = {
    "matched": "matched",
    "ended": "ended",
    "failed": "--fail-on matched",
    "fault": "fault",
    "budget": "out of time",
    "early": "ended early",
}


def symbols_of(path: Path | None, graph: Graph) -> Symbols | None:
    """The guest's symbols: of a file, or of the kernel if it has some. Raises UsageError."""
    from manager.boot.errors import BootImageError
    from manager.boot.symbols import Symbols
    from manager.graph.nodes import KernelBoot

    boot = graph.boot
    kernel = boot.kernel if isinstance(boot, KernelBoot) else None
    try:
        if path is not None:
            return Symbols(files.read(path, files.KERNEL))
        return Symbols(files.read(kernel, files.KERNEL)) if kernel is not None else None
    except OSError as error:
        raise UsageError(f"{path or kernel}: {error.strerror}") from None
    except BootImageError as error:
        if path is None:
            return None  # a bzImage, say
        raise UsageError(f"{path}: {error.message}", help="--symbols takes an ELF file") from None


def command_for(args: argparse.Namespace, settings: Sequence[str]) -> str:
    """The command that shows a seed again, for which these settings stand."""
    words = ["vmmgr", "run", str(args.file)]
    for setting in (*args.settings, *settings):
        words += ["--set", setting]
    if args.start is not None:
        words += ["--from", args.start]
    for option, value in args.steps:
        words += [option, _escaped(value) if option == "--send" else value.source]
    if args.fail_on is not None:
        words += ["--fail-on", args.fail_on.source]
    if args.port is not None:
        words += ["--port", args.port]
    return shlex.join([*words, "--max-time", format_duration(args.max_time)])


def _escaped(data: bytes) -> str:
    """As --send reads it."""
    return "".join(
        chr(byte) if 32 <= byte < 127 and byte != 0x5C else f"\\x{byte:02x}" for byte in data
    )


class Report:
    """Prints while the exploration goes on, and at its end. Entered, it shows progress."""

    def __init__(
        self,
        total: int,
        symbols: Callable[[str], Symbols | None],
        *,
        as_json: bool,
        junit: JunitReport | None = None,
    ) -> None:
        self.count = 0
        """Seeds that were tried, now or before."""
        self.known = 0
        """How many of them before."""
        self.smallest: Result | None = None
        """The smallest seed that failed."""
        self._total = total
        self._symbols_of = symbols
        self._symbols: Symbols | None = None
        self._json = as_json
        self._began = time.monotonic()
        self._next = self._began
        self._bar = unfiltered(sys.stderr)
        self._shows = self._bar.isatty()
        self._groups: dict[tuple[str, str], tuple[int, Result]] = {}
        """How many seeds came to an outcome, and the smallest of them."""
        self._counts: dict[str, int] = {}
        self._story: Story | None = None
        self._command = ""
        self._junit = junit
        """The same for a CI system, by seed."""

    def __enter__(self) -> Report:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        if self._junit is not None:
            self._junit.write()

    def close(self) -> None:
        """Take the progress bar away."""
        if self._shows:
            self._bar.write(_ERASE)
            self._bar.flush()
            self._shows = False

    @property
    def status(self) -> int:
        """The exit code."""
        if self.smallest is None:
            return ExitCode.OK
        for status in (ExitCode.FAIL_ON_MATCHED, ExitCode.GUEST_FAULT):
            if self._counts.get({8: "failed", 6: "fault"}[status]):
                return status
        return self.smallest.tried.status

    def add(self, result: Result) -> None:
        """One more seed."""
        self.count += 1
        tried = result.tried
        if self._junit is not None:
            self._junit.cases[result.seed] = _case(result)
        self._counts[tried.outcome] = self._counts.get(tried.outcome, 0) + 1
        key = (tried.outcome, _NUMBER.sub("#", tried.detail))
        if key not in self._groups and len(self._groups) >= GROUPS:
            key = (tried.outcome, "others")
        count, first = self._groups.get(key, (0, result))
        self._groups[key] = count + 1, result if result.seed < first.seed else first
        if tried.is_failure and (self.smallest is None or result.seed < self.smallest.seed):
            self.smallest = result
        if self._json:
            print_json({**_plain(result), "seconds": result.seconds})
        elif tried.is_failure:
            self._line(f"seed={result.seed} {_told(result)}")
        self._progress()

    def explain(self, story: Story, command: str) -> None:
        """How the smallest failing seed came to fail, and what shows it again."""
        self._story, self._command = story, command
        self._symbols = self._symbols_of(story.machine)
        if self._junit is not None and self.smallest is not None:
            case = self._junit.cases[self.smallest.seed]
            details = list(self._explanation(story))
            self._junit.cases[self.smallest.seed] = replace(case, details=details)

    def finish(self) -> None:
        """Print the counts and the explanation."""
        self.close()
        if self._junit is not None:
            self._junit.finished = True
        if self._json:
            print_json(self._summary())
            return
        if self.count:
            print("\n".join(columns(list(self._table()))))
        if self.smallest is not None and self._story is not None:
            print("\n".join(self._explanation(self._story)))
        took = time.monotonic() - self._began
        counts = ", ".join(f"{count} {WORDS[name]}" for name, count in sorted(self._counts.items()))
        print(f"{self.count} of {self._total} seeds in {took:.1f} s: {counts or 'nothing to do'}")

    def _line(self, text: str) -> None:
        if self._shows:
            self._bar.write(_ERASE)
            self._bar.flush()
        print(text, flush=True)

    def _progress(self) -> None:
        now = time.monotonic()
        if not self._shows or now < self._next:
            return
        self._next = now + INTERVAL
        done = WIDTH * self.count // max(1, self._total)
        failures = sum(self._counts.get(kind, 0) for kind in ("failed", "fault", "budget", "early"))
        bar = "#" * done + "." * (WIDTH - done)
        self._bar.write(f"{_ERASE}[{bar}] {self.count} of {self._total} seeds, {failures} failed")
        self._bar.flush()

    def _table(self) -> Iterator[tuple[str, str, str, str]]:
        yield ("SEEDS", "FIRST", "OUTCOME", "DETAIL")
        for (outcome, text), (count, first) in sorted(
            self._groups.items(), key=lambda item: -item[1][0]
        ):
            detail = first.tried.detail if text != "others" else text
            yield (str(count), str(first.seed), WORDS[outcome], shown(detail))

    def _explanation(self, story: Story) -> Iterator[str]:
        assert self.smallest is not None
        yield ""
        yield f"seed {self.smallest.seed}: {_told(self.smallest)}"
        of = f" in {story.machine}" if story.machine else ""
        if story.interruptions:
            yield f"what came last before{of}:"
            yield from columns([self._row(item) for item in story.interruptions[-LAST:]])
        yield f"then{of}:"
        yield from columns(
            [
                (f"  CPU {place.cpu}", place.doing, self._place(place.address))
                for place in story.places
            ]
        )
        yield "to see it again:"
        yield f"  {self._command}"
        yield ""

    def _row(self, item: Interruption) -> tuple[str, str, str]:
        what = (
            f"CPU {item.cpu} to CPU {item.next}"
            if item.next >= 0
            else (f"interrupt {item.vector:#x} to CPU {item.cpu}")
        )
        half = ", between its read and its write" if item.torn else ""
        times = f", {item.times} times" if item.times > 1 else ""
        place = f"{self._place(item.address)}{half}{times}"
        return (f"  {item.at / 1e9:.9f} s", what, f"before {place}")

    def _place(self, address: int) -> str:
        name = self._symbols.name(address) if self._symbols is not None else ""
        return f"{address:#x} {shown(name)}".rstrip()

    def _summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = {
            "seeds": self.count,
            "of": self._total,
            "known": self.known,
            "counts": self._counts,
            "seconds": round(time.monotonic() - self._began, 3),
            "status": int(self.status),
        }
        if self.smallest is not None and self._story is not None:
            story = self._story
            summary["smallest"] = {
                **_plain(self.smallest),
                **({"machine": story.machine} if story.machine else {}),
                "failed_at": story.at,
                "interruptions": [
                    {**asdict(item), "place": self._place(item.address)}
                    for item in story.interruptions
                ],
                "cpus": [
                    {**asdict(item), "place": self._place(item.address)} for item in story.places
                ],
                "command": self._command,
            }
        return summary


def _case(result: Result) -> Case:
    from manager.cli.junit import Case

    name, tried = f"seed={result.seed}", result.tried
    if not tried.is_failure:
        return Case(name, seconds=result.seconds)
    return replace(Case.of(name, tried.status, [_told(result)]), seconds=result.seconds)


def _plain(result: Result) -> dict[str, Any]:
    plain = asdict(result.tried)
    return {"seed": result.seed, "virtual_time": plain.pop("at"), **plain}


def _told(result: Result) -> str:
    tried = result.tried
    detail = f": {shown(tried.detail)}" if tried.detail else ""
    return f"{WORDS[tried.outcome]}{detail}, at {tried.at / 1e9:.6f} s"
