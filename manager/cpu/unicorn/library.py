# SPDX-License-Identifier: BSD-2-Clause
"""Finding and loading libunicorn and our native half, in the order that makes them one.

The native half (native/) is loaded first and globally, because the dynamic linker then gives
libunicorn our SYSCALL, I/O and interrupt functions instead of its own hollow ones. The Python
package `unicorn` is never imported: only its shared library is used.
"""

from __future__ import annotations

import os
import sys
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType

from manager.errors import HostError


def find() -> Path:
    """The shared library of the installed wheel. Raises HostError."""
    spec = util.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise HostError("the CPU engine is missing", help="pip install unicorn==2.1.4")
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "lib" / "libunicorn.so.2"
        if path.exists():
            return path
    raise HostError(
        "the installed unicorn package has no libunicorn.so.2",
        help="use the wheel for Linux: pip install --force-reinstall unicorn==2.1.4",
    )


@cache
def load() -> ModuleType:
    """Our extension, loaded before libunicorn and linked to it. Raises HostError."""
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_GLOBAL)
    try:
        from manager.cpu.unicorn import _native as native
    except ImportError as error:
        raise HostError(
            f"the native half of the CPU is not built: {error}", help="pip install -e . builds it"
        ) from error
    finally:
        sys.setdlopenflags(flags)
    try:
        native.link(str(find()))
    except ImportError as error:
        raise HostError(
            f"cannot use the CPU engine: {error}",
            help="install unicorn==2.1.4 and do not import it before vmmgr",
        ) from error
    return native
