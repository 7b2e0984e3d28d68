# SPDX-License-Identifier: BSD-2-Clause
"""The file of a machine or lab that is suspended, which a resume makes it of again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from manager.cli.arguments import is_file
from manager.errors import UsageError, WrongStateError

if TYPE_CHECKING:
    from manager.state.situation import Situation


def origin(situation: Situation, given: str) -> Path | None:
    """The file that is `given`, or the one it was started from; None when that is not known.

    Raises UsageError when the one that is given is not there.
    """
    if not is_file(given):
        return Path(situation.last_run.file) if situation.last_run is not None else None
    file = Path(given)
    if not file.exists():
        raise UsageError(f"{situation.name}: there is no {_kind(situation)} file {file}")
    return file


def require_name(situation: Situation, file: Path | None, name: str) -> None:
    """Raise WrongStateError when the file is of another by now."""
    kind = _kind(situation)
    if name != situation.name:
        raise WrongStateError(
            f"{file} is of the {kind} {name!r} by now, not {situation.name!r}",
            help=f"give the {kind} its name back, or discard its state",
        )


def unmade(situation: Situation, file: Path | None, why: str) -> UsageError:
    """What is said where it can be made neither of its file nor, for `why`, as it was saved."""
    kind = _kind(situation)
    gone = f"there is no {kind} file {file} any more" if file else "its record is lost"
    return UsageError(
        f"{situation.name}: {gone}, and {why}",
        help="name it where it is now: `vmmgr resume FILE`",
    )


def _kind(situation: Situation) -> str:
    return "lab" if situation.paths.is_lab else "machine"
