# SPDX-License-Identifier: BSD-2-Clause
"""Errors of files that a machine boots from."""

from __future__ import annotations

from manager.errors import UsageError


class BootImageError(UsageError):
    """The file is not what the machine file says it is, or does not fit into the machine.

    `key` is the key of `[boot]` that is to blame, if it is not the one of what is booted.
    """

    def __init__(self, message: str, *, help: str | None = None, key: str = "") -> None:
        super().__init__(message, help=help)
        self.key = key
