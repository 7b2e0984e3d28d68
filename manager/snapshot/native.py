# SPDX-License-Identifier: BSD-2-Clause
"""The native half of snapshots (pages.c): which pages of RAM are worth writing.

Asking for one of its functions raises HostError where it is not built; importing this does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from manager.snapshot._pages import *  # noqa: F403
else:
    try:
        from manager.snapshot._pages import *  # noqa: F403
    except ImportError as error:
        _missing = str(error)

        def __getattr__(name):
            from manager.errors import native_parts_missing

            if name.startswith("__"):
                raise AttributeError(name)
            raise native_parts_missing(_missing)
