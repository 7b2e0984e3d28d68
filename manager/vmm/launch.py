# SPDX-License-Identifier: BSD-2-Clause
"""How a machine is to be brought up, and where its progress is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.graph.lab import Lab
    from manager.graph.nodes import Graph, Ready
    from manager.text.pattern import Pattern
    from manager.vmm.running import OnTerm


@dataclass(frozen=True, slots=True)
class Readiness:
    """When the machine counts as up."""

    wait_for: Pattern
    fail_on: Pattern | None = None
    timeout: float | None = None
    """Seconds of the host's time."""
    port: str | None = None

    @classmethod
    def declared(cls, ready: Ready) -> Readiness:
        """What a machine file's `[ready]` says."""
        from manager.text.pattern import compile_pattern

        fail_on = compile_pattern(ready.fail_on) if ready.fail_on is not None else None
        return cls(compile_pattern(ready.wait_for), fail_on, ready.timeout_ns / 1e9, ready.port)

    def is_declared_by(self, graph: Graph) -> bool:
        """Whether it is what the machine file's `[ready]` says."""
        declared = graph.ready
        if declared is None:
            return False
        fail_on = self.fail_on.source if self.fail_on is not None else None
        return (self.wait_for.source, fail_on) == (
            declared.wait_for,
            declared.fail_on,
        ) and self.port in (None, declared.port)


@dataclass(frozen=True, slots=True)
class Launch:
    """How a machine is to be brought up."""

    graph: Graph
    settings: Sequence[str] = ()
    """What `--set` gave, as KEY=VALUE."""
    resume: bool = False
    """Restore the suspended state instead of powering on."""
    fresh: bool = False
    """Drop the suspended state once the machine is powered on."""
    detached: bool = False
    """No terminal or pipe of this process is the machine's console."""
    attended: bool = False
    """A console is about to be attached and belongs to the start: the machine waits for it, and
    ends when it does not get ready."""
    paused: bool = False
    on_term: OnTerm = "down"
    """What SIGTERM does."""
    readiness: Readiness | None = None
    raw: bool = False
    """Whether a terminal that is no console gets all that the guest prints."""
    cache: bool = True
    """Whether a machine that was kept when it was ready may be taken instead of booting."""
    together: str = ""
    """For a machine of a lab: see manager.replay.entries.Header."""


@dataclass(frozen=True, slots=True)
class LabLaunch:
    """How a lab is to be brought up; see Launch."""

    lab: Lab
    settings: Sequence[str] = ()
    resume: bool = False
    fresh: bool = False
    detached: bool = False
    paused: bool = False
    on_term: OnTerm = "down"
    waits: bool = False
    """Whether the audience hears when all machines are ready that say when they are."""


class Audience(Protocol):
    """Who hears how it goes."""

    def up(self) -> None:
        """The machine is about to run."""

    def output(self, data: bytes) -> None:
        """The port that is waited for sent something; only until the machine is ready."""

    def ready(self, detail: str) -> None:
        """The machine is ready."""

    def unready(self, status: int, detail: str) -> None:
        """It did not get ready; `status` is the exit code that says why."""

    def say(self, text: str) -> None:
        """Anything else, one line."""
