# SPDX-License-Identifier: BSD-2-Clause
"""Talking to the process that owns a running machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.cli.loudness import detail
from manager.client.client import Client
from manager.client.peer import UntrustedError
from manager.errors import GuestFaultError, HostError, VmmgrError, WrongStateError
from manager.state.situation import Situation, look

if TYPE_CHECKING:
    from manager.state.paths import MachinePaths

_STARTING = 10.0
"""Seconds that a machine gets to open its socket once it holds its lock."""
_PATIENCE = 5.0
"""Seconds that it gets to say what it is doing."""
_ENDING = 30.0
"""Seconds that it gets to end once it said that it will."""


def connect(situation: Situation, timeout: float | None = 60.0) -> Client:
    """A connection to the owner. Raises WrongStateError when the machine is not running."""
    if situation.state != "running":
        raise WrongStateError(
            f"{situation.name} is not running; it is {situation.state}", help=_remedy(situation)
        )
    give_up = time.monotonic() + _STARTING
    while True:
        record = situation.last_run
        try:
            if record is None or not record.alive():
                raise HostError(f"{situation.name}: its process is just starting or ending")
            client = Client.connect(Path(record.socket), timeout)
            detail(f"connected to process {record.pid} at {record.socket}")
            return client
        except UntrustedError:
            raise
        except HostError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.05)
        situation = look(situation.paths)
        if situation.state != "running":
            raise WrongStateError(f"{situation.name} is {situation.state} by now")


def ask(situation: Situation) -> dict[str, Any] | None:
    """The status that a running one answers with.

    None when it is starting, ending or busy saving: the rest of what is known still helps.
    """
    try:
        with connect(situation, timeout=_PATIENCE) as client:
            return client.execute("query-status")
    except UntrustedError:
        raise
    except VmmgrError:
        return None


def await_end(paths: MachinePaths) -> None:
    """Wait until the owner, which said that it ends, is gone. Raises HostError when it stays."""
    from manager.state.lock import is_locked

    give_up = time.monotonic() + _ENDING
    while is_locked(paths.lock):
        if time.monotonic() > give_up:
            raise HostError(f"{paths.name}: its process does not end")
        time.sleep(0.005)


def ended_early(name: str) -> tuple[VmmgrError, list[str]]:
    """What to say of a machine that came up and is gone, and what led to its fault."""
    from manager.state.last_run import read_last_run
    from manager.state.paths import MachinePaths

    paths = MachinePaths.of(name)
    await_end(paths)
    record = read_last_run(paths.last_run)
    text = f"{name} ended before it was ready"
    help = f"`vmmgr status {name}` and `vmmgr logs {name}` tell more"
    if record is None or record.fault is None:
        return HostError(text, help=help), []
    return GuestFaultError(f"{text}: {record.fault}", help=help), record.story


def _remedy(situation: Situation) -> str:
    if (lab := situation.paths.lab) is not None:
        return f"it is part of the lab {lab.name}: `vmmgr status {lab.name}` shows that"
    if situation.saved is not None:
        return f"go on with it by `vmmgr resume {situation.name}`"
    return "boot it with `vmmgr up FILE`"
