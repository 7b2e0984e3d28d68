# SPDX-License-Identifier: BSD-2-Clause
"""`vmmgr suspend`: save running machines and end their processes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from manager.cli.output import print_json
from manager.cli.together import add_names, chosen, each
from manager.errors import WrongStateError

if TYPE_CHECKING:
    from manager.state.situation import Situation


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the verb to the command line."""
    parser = subparsers.add_parser(
        "suspend",
        description="Saves running machines and ends their processes. Once the command returns, "
        "the state is on disk. A machine that cannot be saved runs on.",
    )
    add_names(parser, "every machine that runs")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Carry out the verb."""
    return each(chosen(args), _suspend_as_json if args.json else _suspend_as_text)


def _suspend(situation: Situation) -> dict[str, Any]:
    from manager.cli.clients import await_end, connect
    from manager.client.client import HungUpError
    from manager.state.situation import look

    try:
        with connect(situation, timeout=None) as client:
            result = client.execute("suspend")
    except HungUpError:
        await_end(situation.paths)
        state = look(situation.paths).state
        raise WrongStateError(
            f"{situation.name} ended before it was saved; it is {state}"
        ) from None
    await_end(situation.paths)
    return result


def _suspend_as_text(situation: Situation) -> str:
    from manager.cli.output import size

    result = _suspend(situation)
    return (
        f"{situation.name} suspended in {result['seconds'] * 1000:.0f} ms, "
        f"{size(result['size'])} on disk; "
        f"resume it with `vmmgr resume {situation.name}`"
    )


def _suspend_as_json(situation: Situation) -> str:
    print_json({"name": situation.name, **_suspend(situation)})
    return ""
