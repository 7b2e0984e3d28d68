# SPDX-License-Identifier: BSD-2-Clause
"""vmmgr: a declarative virtual machine manager on the Unicorn CPU engine.

>>> import manager
>>> with manager.load("machines/hello.toml").boot() as machine:
...     machine.console("com1").expect_line("Hello").group()
'Hello from vmmgr'

The names below are the public Python API; docs/python-api.md describes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from manager.api import (
        Console,
        Definition,
        Machine,
        Snapshot,
        load,
    )

from manager.version import __version__

__all__ = ["Console", "Definition", "Machine", "Snapshot", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import the API when it is first used: the command line does without it."""
    if name in __all__:
        from manager import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
