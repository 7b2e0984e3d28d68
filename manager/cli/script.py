# SPDX-License-Identifier: BSD-2-Clause
"""What to wait for and to answer, on the command lines of `run` and `explore`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.arguments import escaped_text, keys, pattern
from manager.errors import UsageError

if TYPE_CHECKING:
    from manager.graph.nodes import Graph
    from manager.machine.expectation import Step


class AddStep(argparse.Action):
    """Collects `--until`, `--send` and the like in one list, in the order of the command line."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Append (option, value)."""
        steps = [*getattr(namespace, self.dest), (option_string, values)]
        setattr(namespace, self.dest, steps)


def add_steps(parser: argparse.ArgumentParser) -> None:
    """Add `--until`, `--screen-until`, `--send`, `--keys` and `--fail-on`."""
    parser.add_argument(
        "--until",
        dest="steps",
        action=AddStep,
        type=pattern,
        default=(),
        metavar="RE",
        help="wait until the output matches; `^` and `$` match at lines, and `$` at the end of "
        "what was printed so far",
    )
    parser.add_argument(
        "--screen-until",
        dest="steps",
        action=AddStep,
        type=pattern,
        default=(),
        metavar="RE",
        help="wait until the text on the screen matches; it is looked at every 10 ms of virtual "
        "time, without blanks at the ends of its lines",
    )
    parser.add_argument(
        "--send",
        dest="steps",
        action=AddStep,
        type=escaped_text,
        default=(),
        metavar="TEXT",
        help=r"send TEXT; \n, \r, \t, \\ and \xNN are interpreted",
    )
    parser.add_argument(
        "--keys",
        dest="steps",
        action=AddStep,
        type=keys,
        default=(),
        metavar="KEYS",
        help="press keys of the keyboard: characters, and names as in `<enter>` or "
        "`<ctrl-alt-delete>`",
    )
    parser.add_argument(
        "--fail-on",
        metavar="RE",
        type=pattern,
        help="end with exit code 8 once the output matches",
    )


def add_junit(parser: argparse.ArgumentParser, cases: str) -> None:
    """Add `--junit`; `cases` says what a test case is."""
    parser.add_argument(
        "--junit",
        metavar="XML",
        type=Path,
        help=f"write JUnit's XML for a CI system to this file: {cases}",
    )


def check_screen(steps: Sequence[Step], graph: Graph) -> None:
    """Raise UsageError for steps that need a screen or a keyboard that the machine has not."""
    from manager.machine.expectation import Press, UntilScreen
    from manager.machine.keystrokes import check_keyboard

    kinds = {node.type for node in graph.devices}
    if any(isinstance(step, Press) for step in steps):
        check_keyboard(kinds, f"--keys: {graph.name}")
    looks = any(isinstance(step, UntilScreen) for step in steps)
    if looks and "vga" not in kinds:
        raise UsageError(
            f"--screen-until: {graph.name} has no screen",
            help='a slot with `device = "vga"` gives it one',
        )


def steps_of(args: argparse.Namespace) -> list[Step]:
    """The steps that were given, in order."""
    from manager.machine.expectation import Press, Send, Until, UntilScreen

    kinds: dict[str, Callable[[Any], Step]] = {
        "--until": Until,
        "--screen-until": UntilScreen,
        "--send": Send,
        "--keys": lambda keys: Press(keys.events),
    }
    return [kinds[option](value) for option, value in args.steps]
