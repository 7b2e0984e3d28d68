# SPDX-License-Identifier: BSD-2-Clause
"""Several machines' output in one stream: a line at a time, with whose it is and when it came."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from manager.cli.colour import has_colour
from manager.text.terminal import RESET, TerminalText

PATIENCE = 0.5
"""Seconds after which a line that is not finished is shown as it is: it may be a prompt."""
LONGEST = 16384
"""Bytes of a line that are kept together."""
_INKS = (36, 33, 32, 35, 34, 31)
"""SGR colours of the names, in turns."""


class Labelled:
    """Writes to standard output. `add` takes what came, `idle` is for when nothing does."""

    def __init__(self, names: Sequence[str], *, times: bool, raw: bool) -> None:
        width = max(map(len, names))
        colour = has_colour(sys.stdout)
        labels = names if len(names) > 1 else [""] * len(names)
        self._heads = {}
        for number, (name, label) in enumerate(zip(names, labels, strict=True)):
            text = f"{label.ljust(width)} | " if label else ""
            ink = _INKS[number % len(_INKS)]
            self._heads[name] = (f"\x1b[{ink}m{text}\x1b[0m" if colour else text).encode()
        self._times = times
        tame = sys.stdout.isatty() and not raw
        self._texts = {name: TerminalText() if tame else None for name in names}
        self._begun: dict[str, bytes] = dict.fromkeys(names, b"")
        self._since: dict[str, float] = {}

    def add(self, name: str, data: bytes, *, is_new: bool) -> None:
        """What a machine sent; `is_new`: it came just now, so that its time can be told."""
        text = self._texts[name]
        begun = self._begun[name] + (text.add(data) if text is not None else data)
        *whole, rest = begun.split(b"\n")
        for line in whole:
            self._line(name, line, is_new)
        while len(rest) > LONGEST:
            self._line(name, rest[:LONGEST], is_new)
            rest = rest[LONGEST:]
        self._begun[name] = rest
        self._since[name] = time.monotonic()
        sys.stdout.buffer.flush()

    def idle(self, *, at_end: bool = False) -> None:
        """Show lines that were begun and have not grown for a while; all, `at_end`."""
        now = time.monotonic()
        for name, rest in self._begun.items():
            if rest and (at_end or now - self._since[name] >= PATIENCE):
                self._line(name, rest, not at_end)
                self._begun[name] = b""
        sys.stdout.buffer.flush()

    def _line(self, name: str, line: bytes, is_new: bool) -> None:
        text = self._texts[name]
        stamp = b""
        if self._times:
            now = time.time()
            clock = time.strftime("%H:%M:%S", time.localtime(now)) + f".{int(now % 1 * 1000):03}"
            stamp = f"{clock if is_new else '':12} ".encode()
        reset = RESET if text is not None and text.end() else b""
        sys.stdout.buffer.write(stamp + self._heads[name] + line.rstrip(b"\r") + reset + b"\n")
