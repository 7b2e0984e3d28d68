# SPDX-License-Identifier: BSD-2-Clause
"""The keys of serial ports in a machine file."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from manager.config.backends import BACKEND, Backend
from manager.config.table import SlotTable, Table

_PACE: Any = Field(
    default="host",
    description='"host": bytes go as fast as the host takes them. "baud": each takes as much '
    "virtual time as the divisor and the frame format say.",
    examples=["baud"],
)


class ComPort(Table):
    """A serial port at the place where PCs have it."""

    backend: Backend = BACKEND
    pace: Literal["host", "baud"] = _PACE
    out2: Literal["gates", "ignore"] = Field(
        default="gates",
        description='"gates": interrupts get out only while the guest sets OUT2 in MCR, as on a '
        'PC. "ignore": always, as with QEMU, for guests that were only ever run there.',
        examples=["ignore"],
    )


class UartSlot(SlotTable):
    """A PCI serial port."""

    backend: Backend = BACKEND
    pace: Literal["host", "baud"] = _PACE
    legacy: Literal["com1", "com2"] | None = Field(
        default=None,
        description="Deprecated: put the port where this COM port would be.",
        examples=["com1"],
    )
