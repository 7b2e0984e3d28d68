# SPDX-License-Identifier: BSD-2-Clause
"""The layers of a sandbox: closing it around this process, and saying which of them hold.

A layer that the kernel does not have is absent, and said to be; the others hold without it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.sandbox.reach import Reach

_PATIENCE = 0.2
"""Seconds for which threads that are about to end are waited for."""
_MOMENT = 0.001


class Layer:
    """One thing that a process has given up, or could: the version that holds, or why none does."""

    __slots__ = ("detail", "holds", "name")

    def __init__(self, name: str, holds: bool, detail: str = "") -> None:
        self.name = name
        self.holds = holds
        self.detail = detail

    def __str__(self) -> str:
        if self.holds:
            return f"{self.name} ({self.detail})" if self.detail else self.name
        return f"no {self.name}: {self.detail}"

    def describe(self) -> dict[str, str | bool]:
        """The layer, for a status; these are the arguments that it is made of."""
        return {"name": self.name, "holds": self.holds, "detail": self.detail}


NAMES = ("landlock", "seccomp", "no-new-privileges", "limits")
TURNED_OFF = tuple(Layer(name, False, "[sandbox] enabled = false") for name in NAMES)


def close_around(reach: Reach) -> tuple[Layer, ...]:
    """Leave this process `reach` and nothing else, for good. Raises nothing: see the layers."""
    try:
        from manager.sandbox import _native
    except ImportError as error:
        return tuple(Layer(name, False, f"its native part is missing: {error}") for name in NAMES)
    return (
        _layer("no-new-privileges", _native.no_new_privileges),
        _layer("limits", _native.lower_limits),
        _landlock(reach),
        _layer("seccomp", lambda: _native.seccomp(tuple(sorted(reach.sockets)))),
    )


def available() -> tuple[Layer, ...]:
    """Which layers this kernel has; the ones that it always has are left out."""
    try:
        from manager.sandbox import _native, landlock
    except ImportError as error:
        return tuple(Layer(name, False, f"its native part is missing: {error}") for name in NAMES)
    filters = _native.seccomp_available()
    return (
        _layer("landlock", lambda: _fit(landlock.version())),
        Layer("seccomp", filters, "" if filters else "this kernel has no filters of system calls"),
    )


def _layer(name: str, close: Callable[[], str | None]) -> Layer:
    try:
        return Layer(name, True, close() or "")
    except OSError as error:
        return Layer(name, False, error.strerror or str(error))


def _landlock(reach: Reach) -> Layer:
    from manager.sandbox import landlock

    def close() -> str:
        version = landlock.version()
        fit = _fit(version)
        landlock.restrict(version, reach.paths, frozenset(reach.connect_to))
        return fit

    others = _other_threads()  # a thread that was begun before keeps what it has
    layer = _layer("landlock", close)
    if layer.holds and others:
        return Layer("landlock", False, f"{layer.detail}, but {others} threads were begun before")
    return layer


def _fit(version: int) -> str:
    from manager.sandbox import landlock

    if version < landlock.OLDEST:
        raise OSError(0, f"version {version} is too old, Linux 5.19 has the next one")
    return f"version {version}"


def _other_threads() -> int:
    """How many threads this process has beside this one, once those that end have ended."""
    give_up = time.monotonic() + _PATIENCE
    while (others := _threads() - 1) and time.monotonic() < give_up:
        time.sleep(_MOMENT)
    return others


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208  no need for Paths


def shown(layers: Iterable[Layer]) -> Iterator[str]:
    """Each layer for people, those that hold first."""
    for layer in sorted(layers, key=lambda layer: not layer.holds):
        yield str(layer)
