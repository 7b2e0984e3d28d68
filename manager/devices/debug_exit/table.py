# SPDX-License-Identifier: BSD-2-Clause
"""The keys of `[lpc.debug-exit]`."""

from __future__ import annotations

from pydantic import Field

from manager.config.table import Table
from manager.config.values import IoPort


class DebugExitTable(Table):
    """A port that ends the machine when the guest writes to it: exit status (value << 1) | 1."""

    port: IoPort = Field(default=0xF4, description="The I/O port.", examples=[0xF4])
