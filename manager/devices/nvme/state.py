# SPDX-License-Identifier: BSD-2-Clause
"""The record of an NVMe controller."""

from __future__ import annotations

from manager.bus.record import NEVER, Record, integer, ints, moment, several, uint
from manager.devices.nvme.queues import QUEUES, CompletionState, SubmissionState
from manager.lazy import dataclass

NO_QUEUE = -1
MOST_EVENTS = 4
"""Asynchronous event requests that are kept."""


@dataclass(slots=True)
class ControllerState(Record):
    """The controller's registers and queues."""

    TYPE = "nvme-controller"

    configuration: int = uint(32, "CC")
    status: int = uint(32, "CSTS")
    mask: int = uint(32, "interrupt mask")
    admin_sizes: int = uint(32, "AQA")
    admin_submission: int = uint(64, "ASQ")
    admin_completion: int = uint(64, "ACQ")
    submissions: list[SubmissionState] = several(SubmissionState, QUEUES, "submission queues")
    completions: list[CompletionState] = several(CompletionState, QUEUES, "completion queues")
    turn: int = integer(0, QUEUES - 1, "submission queue that is looked at first")
    serving: int = integer(
        NO_QUEUE, QUEUES - 1, "submission queue whose command is under way; -1: none", NO_QUEUE
    )
    due: int = moment("when that command is done", NEVER)
    events: list[int] = ints(MOST_EVENTS, 16, "command ids of asynchronous event requests")
    waiting: int = integer(0, MOST_EVENTS, "how many of those there are")
    features: list[int] = ints(32, 32, "values of features that only have a value")
