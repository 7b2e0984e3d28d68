# SPDX-License-Identifier: BSD-2-Clause
"""What a command of the control socket is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from manager.errors import UsageError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.vmm.attachments import Attachments
    from manager.vmm.running import RunningMachine
    from manager.vmm.server import ClientSession


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a client."""

    running: RunningMachine
    attachments: Attachments
    session: ClientSession
    arguments: Mapping[str, Any]


C = TypeVar("C")


@dataclass(frozen=True, slots=True)
class Argument:
    """A named value of a command."""

    type: type
    summary: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Command(Generic[C]):
    """A command: what it does, what it takes, how it is carried out."""

    summary: str
    handler: Callable[[C], dict[str, Any]]
    arguments: Mapping[str, Argument]

    def check(self, name: str, given: Mapping[str, Any]) -> None:
        """Raise UsageError unless `given` fits."""
        for key, value in given.items():
            argument = self.arguments.get(key)
            if argument is None:
                raise UsageError(f"{name}: unknown argument {key!r}")
            if type(value) is not argument.type:
                raise UsageError(f"{name}: {key!r} must be of type {argument.type.__name__}")
        for key, argument in self.arguments.items():
            if argument.required and key not in given:
                raise UsageError(f"{name}: {key!r} is missing")
