# SPDX-License-Identifier: BSD-2-Clause
"""What stands for a device of a stored graph whose kind is not to be had."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from manager.devices.node import DeviceNode
from manager.devices.own import OwnDeviceError
from manager.lazy import dataclass

if TYPE_CHECKING:
    from manager.devices.device import Device
    from manager.devices.services import Services


@dataclass(frozen=True, slots=True)
class LostNode(DeviceNode):
    """A device of a stored graph whose kind is not there any more, or is another one now.

    It can be shown and compared, and not be built.
    """

    lost_type: str = ""
    lost_properties: Mapping[str, int | str | bool] = field(default_factory=dict)
    lost_file: Path | None = None
    why: str = ""

    @property
    def type(self) -> str:
        """What the kind was called."""
        return self.lost_type

    @property
    def properties(self) -> dict[str, int | str | bool]:
        """The facts as they were stored."""
        return dict(self.lost_properties)

    @property
    def file(self) -> Path | None:
        """Where the kind was."""
        return self.lost_file

    def build(self, board: Services) -> Device[Any]:
        """Raises OwnDeviceError."""
        raise OwnDeviceError(f"{self.id}: {self.why}", help="bring it back as it was")
