# SPDX-License-Identifier: BSD-2-Clause
"""What can be wrong with a file that a machine should start from."""

from __future__ import annotations

from manager.errors import UsageError


class BootImageError(UsageError):
    """The file is not what the machine file says it is, or does not fit into the machine."""
