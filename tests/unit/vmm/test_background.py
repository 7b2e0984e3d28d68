# SPDX-License-Identifier: BSD-2-Clause
"""What the command that starts a machine hears of its process, whatever becomes of the log."""

from __future__ import annotations

from pathlib import Path

import pytest

from manager.client.reports import Report, follow
from manager.errors import HostError
from manager.vmm.background import Reporter, detach

pytestmark = pytest.mark.guest

REFUSED: list[Report] = [{"error": {"code": "failure", "message": "no", "help": "wait"}}]


def refuse(_reporter: Reporter) -> None:
    raise HostError("no", help="wait")


@pytest.mark.parametrize("log", ["/dev/full", "/proc/no-such-directory/owner.log"])
def test_errors_are_reported_when_the_log_cannot_be_written(log: str) -> None:
    assert list(follow(detach(refuse, Path(log)))) == REFUSED
