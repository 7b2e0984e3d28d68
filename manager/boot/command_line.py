# SPDX-License-Identifier: BSD-2-Clause
"""How long a command line a Linux kernel reads.

Source: Linux, Documentation/arch/x86/boot.rst (cmdline_size).
"""

from __future__ import annotations

import struct

from manager.boot.errors import BootImageError

LIMIT = 0x10000
"""Bytes that a loader has room for, the NUL character at the end among them."""
SETUP_HEADER, VERSION, SIZE = 0x1F1, 0x206, 0x238
SIZE_VERSION = 0x206
OLD, OF_X86 = 255, 2047
"""Bytes that a kernel reads which does not say how many: of an old protocol, and any."""


def check(text: str, header: bytes) -> None:
    """Raise BootImageError for one that a kernel with this setup header would read a part of.

    Linux would boot without its last words, and into silence if `console=` is among them.
    """
    (version,) = struct.unpack_from("<H", header, VERSION - SETUP_HEADER)
    limit = OLD
    if version >= SIZE_VERSION:
        (said,) = struct.unpack_from("<I", header, SIZE - SETUP_HEADER)
        limit = min(said or OF_X86, LIMIT - 1)
    size = len(text.encode())
    if size > limit:
        message = f"the command line has {size} bytes, and this kernel reads {limit}"
        raise BootImageError(message, help="make it shorter", key="cmdline")
