# SPDX-License-Identifier: BSD-2-Clause
"""The screen of a machine: what is on it, waiting for it, comparing it with a picture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from manager.api.durations import Duration
from manager.errors import UsageError
from manager.lazy import dataclass
from manager.text.pattern import Match, compile_pattern

if TYPE_CHECKING:
    from manager.api.runner import Runner
    from manager.screen.screen import Screen as Shown

BUDGET = "30s"
LOOK = "10ms"
"""How often a wait looks at the screen, in guest time."""


@dataclass(frozen=True, slots=True)
class Goldens:
    """Where the pictures are that screens are compared with."""

    folder: Path
    update: bool = False
    """Whether they are written, not compared with."""
    artifacts: Path | None = None
    """Where a picture goes that is not as it should be; None for beside the golden one."""


class Screen:
    """What a card shows. It is looked at anew each time it is asked."""

    __slots__ = ("_runner", "goldens")

    def __init__(self, runner: Runner, goldens: Goldens) -> None:
        """Use `Machine.screen`."""
        self._runner = runner
        self.goldens = goldens

    @property
    def _now(self) -> Shown:
        shown = self._runner.core.screen()
        if shown is None:
            raise UsageError(
                f"{self._runner.name} has no screen", help='a slot with `device = "vga"` gives one'
            )
        return shown

    @property
    def mode(self) -> str:
        """The mode in a few words: "text, 80x25", "graphics, 640x480", "off"."""
        return self._now.mode

    @property
    def lines(self) -> list[str]:
        """The rows of a text mode, without blanks at their ends; none in a graphics mode."""
        return self._now.lines() or []

    @property
    def text(self) -> str:
        """The rows as one text."""
        return "\n".join(self.lines)

    def png(self) -> bytes:
        """A picture of it, as a PNG file."""
        return self._now.picture().png()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a picture of it to a PNG file."""
        Path(path).write_bytes(self.png())

    def expect(self, pattern: str, timeout: Duration = BUDGET) -> Match:
        """Run until the text on the screen matches; `timeout` is guest time.

        Raises OutOfBudgetError, FailOnError, MachineEndedError, which tell what is on it.
        """
        __tracebackhide__ = True
        from manager.api.errors import ExpectationError

        compiled = compile_pattern(pattern)
        found: list[Match] = []

        def look() -> bool:
            match = compiled.search(self.text)
            if match is not None:
                found.append(match)
            return match is not None

        self._now  # noqa: B018  raises when there is no screen
        try:
            self._runner.require(look, timeout, LOOK)
        except ExpectationError as error:
            told = f"{error.message}: {pattern!r} on the screen ({self.mode})"
            raise type(error)(told, self.text.rstrip()) from None
        return found[0]

    def assert_matches(self, name: str | os.PathLike[str]) -> None:
        """The screen must be, dot by dot, the picture in that PNG file.

        A path counts from the folder `golden` beside the test. Where the screen differs, what it is
        and an image of the differences are left in the artifacts. Raises AssertionError.
        """
        __tracebackhide__ = True
        from manager.screen.compare import difference
        from manager.screen.picture import read_png

        path, picture = self.goldens.folder / name, self._now.picture()
        if self.goldens.update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture.png())
            return
        if not path.exists():
            raise AssertionError(f"there is no {path}; run pytest with --vmmgr-update to write it")
        try:
            expected = read_png(path.read_bytes())
        except ValueError as error:
            raise AssertionError(f"{path}: {error}") from None
        found = difference(expected, picture)
        if found is None:
            return
        folder = self.goldens.artifacts or path.parent
        folder.mkdir(parents=True, exist_ok=True)
        now, image = folder / f"{path.stem}.now.png", folder / f"{path.stem}.difference.png"
        now.write_bytes(picture.png())
        image.write_bytes(found.image.png())
        raise AssertionError(
            f"the screen is not {path}: {found.words}; it is in {now}, the difference in {image}; "
            "if it is meant to change, run pytest with --vmmgr-update"
        )
