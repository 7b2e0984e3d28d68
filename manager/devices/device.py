# SPDX-License-Identifier: BSD-2-Clause
"""What every device has: a versioned state record, reset, save and load."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import ClassVar, Generic, TypeVar

from manager.bus.record import Record, clone, unfit

S = TypeVar("S", bound=Record)
Takes = Mapping[str, Callable[[bytes], None]]
"""What a device takes from outside: handlers by kind of input."""


class Device(Generic[S]):
    """A part of the machine. Subclasses name their record type; without one they cannot exist.

    A guest may do anything to a device's registers: no access may raise.
    """

    STATE: ClassVar[type[Record]]
    CACHES: ClassVar[bool] = False
    """Whether it keeps what it has worked out from outside `state`, such as from a disk: what is
    outside may change under it while the record does not, and `load` drops it then."""
    state: S

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        is_generic = bool(getattr(cls, "__parameters__", ()))
        if is_generic or inspect.isabstract(cls):
            return
        if not hasattr(cls, "STATE"):
            raise TypeError(f"{cls.__name__} has no state record: STATE = ...")
        if wrong := unfit(cls.STATE):
            raise TypeError(wrong)

    def reset(self) -> None:
        """Take the state of a power-on reset, dropping the interrupt line and timers."""
        self.load(self.power_on())

    def power_on(self) -> S:
        """The record right after power-on."""
        return self.STATE()  # type: ignore[return-value]

    def save(self) -> S:
        """A copy of the state, good for a snapshot."""
        return clone(self.state)

    def load(self, record: S) -> None:
        """Take over a state: afterwards the device drives its lines and timers as it says."""
        self.state = record
        self.settle()

    def takes(self) -> Takes:
        """The kinds of input from outside that it takes: "break", "power-button", ...

        Each piece arrives at a point in virtual time of its own and is recorded, so that a replay
        can repeat it. Bytes for a serial port are not among them: its channel has them.
        """
        return {}

    def advice(self) -> str:
        """One line on what its user may want to know and not see; empty when there is nothing."""
        return ""

    def settle(self) -> None:
        """Make lines, timers and port claims agree with `state`. Idempotent."""
