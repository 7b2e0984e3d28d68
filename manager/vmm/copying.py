# SPDX-License-Identifier: BSD-2-Clause
"""What a client copies into a share of a running machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.machine.share_port import SharePort


@dataclass(slots=True)
class Copying:
    """What one client has on its way into a share."""

    port: SharePort
    pending: int = 0
    """Bytes."""
    failure: OSError | None = None
    """Why a change could not be made, until the client has heard."""

    def send(self, data: bytes) -> None:
        """Send packed changes."""
        self.pending += len(data)

        def done(failure: OSError | None) -> None:
            self.pending -= len(data)
            self.failure = self.failure or failure

        self.port.feed(data, done)
