# SPDX-License-Identifier: BSD-2-Clause
"""The host's side of a serial port."""

from manager.backends.factory import make

__all__ = ["make"]
