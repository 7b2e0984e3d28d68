# SPDX-License-Identifier: BSD-2-Clause
"""Finding and loading libunicorn and our native half, in the order that makes them one.

The native half (native/) is loaded first and globally, because the dynamic linker then gives
libunicorn our SYSCALL, I/O and interrupt functions instead of its own hollow ones. The Python
package `unicorn` is never imported: only its shared library is used.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType

from manager.errors import HostError, native_parts_missing

REINSTALL = "pip install --force-reinstall unicorn==2.1.4"


def find() -> Path:
    """The shared library of the installed wheel. Raises HostError."""
    spec = util.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        raise HostError("the CPU engine is missing", help=REINSTALL)
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "lib" / "libunicorn.so.2"
        if path.exists():
            return path
    raise HostError(
        "the installed unicorn package has no libunicorn.so.2",
        help=f"use the wheel for Linux: {REINSTALL}",
    )


@cache
def load() -> ModuleType:
    """Our extension, loaded before libunicorn and linked to it.

    Raises HostError for what is missing, and for any library but the stock 2.1.4.
    """
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_GLOBAL)
    try:
        from manager.cpu.unicorn import _native as native
    except ImportError as error:
        raise native_parts_missing(str(error)) from error
    finally:
        sys.setdlopenflags(flags)
    with refusals():
        native.link(str(find()))
        native.prove()
    return native


@contextmanager
def refusals() -> Iterator[None]:
    """What the native half refuses becomes a HostError."""
    try:
        yield
    except (ImportError, RuntimeError) as error:
        raise HostError(
            f"cannot use the CPU engine: {error}",
            help=f"use the stock wheel, and do not import unicorn before vmmgr: {REINSTALL}",
        ) from error
