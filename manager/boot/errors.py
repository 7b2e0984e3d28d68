# SPDX-License-Identifier: BSD-2-Clause
"""Errors of files that a machine boots from."""

from __future__ import annotations

from manager.errors import UsageError


class BootImageError(UsageError):
    """The file is not what the machine file says it is, or does not fit into the machine."""
