# SPDX-License-Identifier: BSD-2-Clause
"""Machines inside a Python program. Use these names from `manager`; docs/python-api.md has more.

A machine here runs in the calling process, in virtual time and only while a method is waiting for
something: between two calls it stands still. So what it does depends on the calls alone, never on
the host's speed. The backends of the machine file are not connected; the program is the host's
side of every port.
"""

from manager.api.console import Console
from manager.api.durations import Duration
from manager.api.errors import (
    ExpectationError,
    FailOnError,
    MachineEndedError,
    OutOfBudgetError,
)
from manager.api.hands import Keyboard, Mouse
from manager.api.loading import load
from manager.api.machine import Definition, Machine, Snapshot
from manager.api.screen import Screen
from manager.text.pattern import Match

__all__ = [
    "Console",
    "Definition",
    "Duration",
    "ExpectationError",
    "FailOnError",
    "Keyboard",
    "Machine",
    "MachineEndedError",
    "Match",
    "Mouse",
    "OutOfBudgetError",
    "Screen",
    "Snapshot",
    "load",
]
